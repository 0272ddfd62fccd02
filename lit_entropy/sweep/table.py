"""What a sweep came to: means over seeds, and differences to a baseline paired by seed."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from lit_entropy.figures.estimates import Estimate, by_seed, estimate, paired
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import FEWEST_SEEDS

TITLE = ("point", "metric", "seeds", "mean", "half_width", "difference", "difference_half_width",
         "difference_seeds", "p_value")  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What is compared, and to what."""

    metrics: list[str]
    baseline: str


@dataclass(frozen=True)
class Row:
    """One metric of one point, in the unit of the metric.

    Attributes:
        point: label of the point.
        metric: key.
        values: mean over the last tenth of the RL steps, by seed.
        mean: over seeds.
        half_width: half the width of the 95 % t interval; None below three seeds.
        difference: mean difference to the baseline over the seeds that both have; None for the
            baseline itself, or without such a seed.
        difference_half_width: as ``half_width``.
        difference_seeds: those seeds.
        p_value: of the two-sided paired t test, from three seeds on.
    """

    point: str
    metric: str
    values: dict[int, float]
    mean: float
    half_width: float | None
    difference: float | None
    difference_half_width: float | None
    difference_seeds: list[int]
    p_value: float | None


def last_tenth(run: Run, key: str) -> float | None:
    """Mean of the finite values at RL steps in the last tenth of the run.

    A metric of single RL steps, a validation say, that has none there counts with its last value.
    RL step 0 is the base and no result of a run.

    Returns:
        The mean; None for a run that does not log the metric at any RL step.
    """
    step_N, finite_N = run.history["step"], _measured(run, key)
    if not finite_N.any():
        return None
    value_N = run.history[key]
    window_N = finite_N & (10 * step_N > 9 * step_N.max())
    if not window_N.any():
        window_N = finite_N & (step_N == step_N[finite_N].max())
    return float(value_N[window_N].mean())


def _measured(run: Run, key: str) -> np.ndarray:
    """Whether a row is that of an RL step and has a finite number of a metric."""
    step_N = run.history["step"]
    value_N = run.history.get(key)
    if value_N is None:
        return np.zeros(len(step_N), dtype=bool)
    return np.isfinite(value_N) & (step_N > 0)


def rows(runs: Sequence[Run], metrics: Sequence[str], baseline: str) -> list[Row]:
    """One row per metric and point, of the points in order of appearance.

    Args:
        runs: finished runs, labelled by their point.
        metrics: keys.
        baseline: label that differences are taken to; it may have no run.

    Raises:
        ValueError: two runs of a point have one seed.
    """
    found = []
    for metric in metrics:
        columns = {label: _values(group, metric) for label, group in by_label(runs).items()}
        base = columns.get(baseline, {})
        found += [
            _row(label, metric, values, {} if label == baseline else base)
            for label, values in columns.items()
            if values
        ]
    return found


def _values(group: Sequence[Run], metric: str) -> dict[int, float]:
    found = by_seed(group, lambda run: np.nan if (x := last_tenth(run, metric)) is None else x)
    return {seed: value for seed, value in found.items() if np.isfinite(value)}


def _row(label: str, metric: str, values: dict[int, float], base: Mapping[int, float]) -> Row:
    mean, pair = estimate(list(values.values())), paired(values, base)
    return Row(
        label,
        metric,
        values,
        mean.mean,
        _half_width(mean),
        None if pair is None else pair.mean,
        None if pair is None else _half_width(pair),
        [] if pair is None else pair.seeds,
        None if pair is None or len(pair.seeds) < FEWEST_SEEDS else pair.p_value,
    )


def _half_width(value: Estimate) -> float | None:
    return value.half_width if len(value.values) >= FEWEST_SEEDS else None


def unlogged(runs: Sequence[Run], metrics: Sequence[str]) -> list[str]:
    """Lines on the metrics of which some runs have no number, or none at the end.

    A key that no run has is told with those that are near.

    Args:
        runs: finished ones.
        metrics: keys of the table.
    """
    lines = []
    for metric in metrics:
        lacking: dict[str, list[str]] = {}
        for run in runs:
            if reason := _lacking(run, metric):
                lacking.setdefault(reason, []).append(run.name)
        for reason, names in lacking.items():
            whose = f"not {reason} by {', '.join(names)}"
            if len(names) == len(runs):
                whose = f"{reason} by no run"
            lines.append(f"{metric}: {whose}{_remedy(reason, metric, runs)}")
        lines += _early(runs, metric)
    return lines


#: What a run without a number of a metric lacks.
_LOGGED, _MEASURED, _FINITE = "logged", "measured", "logged as a finite number"


def _lacking(run: Run, key: str) -> str | None:
    """Why a run has no number of a metric; None if it has one."""
    if _measured(run, key).any():
        return None
    if key not in run.history:
        return _LOGGED
    of_base = np.isfinite(run.history[key]).any()
    infinite = np.isinf(run.history[key][run.history["step"] > 0]).any()
    return _MEASURED if of_base and not infinite else _FINITE


def _remedy(reason: str, metric: str, runs: Sequence[Run]) -> str:
    if reason == _MEASURED:
        return (
            " after RL step 0, the base's: train longer, or lower trainer.check_val_every_n_epoch"
        )
    if reason == _FINITE:
        return ": NaN or infinite at every RL step, see metrics.csv"
    if any(metric in run.history for run in runs):
        return ""
    near = get_close_matches(metric, {key for run in runs for key in run.history}, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _early(runs: Sequence[Run], metric: str) -> list[str]:
    """A line where a metric was not measured in the last tenth of the RL steps."""
    ends = set()
    for run in runs:
        step_N = run.history["step"]
        measured_M = step_N[_measured(run, metric)]
        if len(measured_M) and 10 * measured_M[-1] <= 9 * step_N.max():
            ends.add((int(measured_M[-1]), int(step_N.max())))
    where = " and ".join(f"{step} of {end}" for step, end in sorted(ends))
    return [f"{metric}: the last one is of RL step {where}"] if where else []


def as_markdown(found: Sequence[Row], baseline: str) -> str:
    """The table for readers: mean and interval, and the difference to the baseline."""
    lines = [
        f"| point | metric | mean | difference to {baseline} | seeds |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        mean = _shown(row.mean, row.half_width, "")
        difference = "" if row.difference is None else _shown(
            row.difference, row.difference_half_width, "+"
        )  # fmt: skip
        if row.point == baseline:
            difference = "baseline"
        elif row.difference is not None and len(row.difference_seeds) < len(row.values):
            difference += f" ({len(row.difference_seeds)} shared)"
        seeds = ", ".join(map(str, row.values))
        point, metric = (text.replace("|", r"\|") for text in (row.point, row.metric))
        lines.append(f"| {point} | `{metric}` | {mean} | {difference} | {seeds} |")
    return "\n".join(lines) + "\n"


def as_csv(found: Sequence[Row]) -> str:
    """The table for programs, one row per metric and point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TITLE)
    for row in found:
        numbers: list[Any] = [row.mean, row.half_width, row.difference, row.difference_half_width]
        cells = [row.point, row.metric, len(row.values), *numbers, len(row.difference_seeds)]
        writer.writerow(["" if cell is None else cell for cell in [*cells, row.p_value]])
    return text.getvalue()


def _shown(mean: float, half_width: float | None, sign: str) -> str:
    """Mean and interval, the mean with the decimals of the interval's two digits."""
    if half_width is None or not half_width > 0 or not math.isfinite(half_width):
        text = f"{mean:{sign}.4g}"
        return text if half_width is None else f"{text} ± {half_width:.2g}"
    place = math.floor(math.log10(float(f"{half_width:.1e}")))  # of its first digit, once rounded
    if not -5 <= place <= 3:
        return f"{mean:{sign}.4g} ± {half_width:.2g}"
    decimals = max(0, 1 - place)
    return f"{mean:{sign}.{decimals}f} ± {half_width:.{decimals}f}"
