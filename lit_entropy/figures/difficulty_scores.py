"""Scores of the last validation by method and band of difficulty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lit_entropy.figures.estimates import (
    Estimate,
    Paired,
    by_seed,
    estimate,
    labelled,
    last,
    paired,
)
from lit_entropy.figures.methods import METHODS
from lit_entropy.figures.runs import Run

Bands = Mapping[str, tuple[int, ...]]

#: Chain lengths of each band; 11 and 12 are longer than any that is trained on.
BANDS: Bands = {"2-4": (2, 3, 4), "5-7": (5, 6, 7), "8-10": (8, 9, 10), "11-12, unseen": (11, 12)}
AVERAGE = "average"
GREEDY = "accuracy"


def scores(runs: Sequence[Run]) -> dict[str, str]:
    """The scores that all runs have by difficulty: name in the table, part of the key.

    Greedy pass@1 (``val/accuracy``), ``val/avg@<n>`` and ``val/pass@<k>`` of the largest n and k.

    Raises:
        ValueError: not all runs share an ``avg@`` and a ``pass@`` by difficulty.
    """
    common = set.intersection(*(set(run.history) for run in runs)) if runs else set()
    found = {"pass@1 (greedy)": GREEDY}
    for kind in ("avg", "pass"):
        prefix, middle = f"val/{kind}@", "/difficulty_"
        sizes = [
            key.removeprefix(prefix).split(middle)[0]
            for key in common
            if key.startswith(prefix) and middle in key
        ]
        numbers = [int(size) for size in sizes if size.isdigit()]  # not the standard errors
        if not numbers:
            raise ValueError(
                f"no '{prefix}<n>{middle}<d>' is common to {[run.name for run in runs]}: "
                "validate with samples (evaluation.samples, evaluation.pass_k)"
            )
        found[f"{kind}@{max(numbers)}"] = f"{kind}@{max(numbers)}"
    return found


def bands_of(runs: Sequence[Run]) -> Bands:
    """:data:`BANDS` where the runs have all of its difficulties, else one band a difficulty.

    Raises:
        ValueError: no difficulty is common to all runs.
    """
    prefix = f"val/{GREEDY}/difficulty_"
    common = set.intersection(*(set(run.history) for run in runs)) if runs else set()
    found = sorted(int(k) for key in common if (k := key.removeprefix(prefix)).isdigit())
    if not found:
        raise ValueError(f"no '{prefix}<d>' is common to {[run.name for run in runs]}")
    lengths = sorted(length for band in BANDS.values() for length in band)
    return BANDS if set(lengths) <= set(found) else {str(each): (each,) for each in found}


def band_score(run: Run, score: str, lengths: Sequence[int]) -> float:
    """Last ``val/<score>/difficulty_<d>``, mean over the lengths d.

    Raises:
        ValueError: the run lacks a key.
    """
    return float(np.mean([last(run, f"val/{score}/difficulty_{length}") for length in lengths]))


@dataclass(frozen=True)
class Row:
    """One method, score and band.

    ``value`` is a fraction; ``difference`` is that to GRPO, paired by seed, None without a common
    seed.
    """

    method: str
    score: str
    band: str
    value: Estimate
    difference: Paired | None


@dataclass(frozen=True)
class DifficultyScores:
    """Scores of the last validation by method and band."""

    # names; ``average`` is the mean of the bands, as the paper averages benchmarks
    bands: list[str]
    scores: list[str]  # names
    seeds: dict[str, list[int]]  # by method
    rows: list[Row]  # one per method, score and band

    def row(self, method: str, score: str, band: str) -> Row:
        """The one of them."""
        wanted = (method, score, band)
        return next(row for row in self.rows if (row.method, row.score, row.band) == wanted)


def measure_table_2(runs: Sequence[Run], bands: Bands = BANDS) -> DifficultyScores:
    """Scores by method and band, and their differences to GRPO.

    Args:
        runs: must hold runs labelled GRPO, clip-higher, Clip-Cov and KL-Cov.
        bands: difficulties of each band.

    Raises:
        ValueError: a method without runs, or a run without a key.
    """
    return measure_scores(labelled(runs, *METHODS), bands, "GRPO")


def measure_scores(
    groups: Mapping[str, Sequence[Run]], bands: Bands, base: str
) -> DifficultyScores:
    """As :func:`measure_table_2` for any labels, with differences to ``base``."""
    names = scores([run for group in groups.values() for run in group])
    columns = [*bands, AVERAGE]
    rows = []
    for name, score in names.items():
        for band in columns:
            values = {
                method: by_seed(group, lambda run: _score(run, score, band, bands))  # noqa: B023
                for method, group in groups.items()
            }
            rows += [
                Row(method, name, band, estimate(list(own.values())), paired(own, values[base]))
                for method, own in values.items()
            ]
    seeds = {method: [run.seed for run in group] for method, group in groups.items()}
    return DifficultyScores(columns, list(names), seeds, rows)


def _score(run: Run, score: str, band: str, bands: Bands) -> float:
    if band == AVERAGE:
        return float(np.mean([band_score(run, score, lengths) for lengths in bands.values()]))
    return band_score(run, score, bands[band])
