"""What a run says of the law, and what speaks against reading it so."""

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

from lit_entropy.functional.bootstrap import LawIntervals, bootstrap
from lit_entropy.functional.forecast import first_points, forecast, window_sensitivity
from lit_entropy.functional.law import Array, Pairs, checked, fit, has_spread

#: Entropy counts as falling up to this Spearman correlation with the RL step.
FALLING = -0.8
#: Share of RL steps with a rise beyond noise that is still called falling; noise alone gives 2.3 %.
RISES = 0.1
#: Pairs below which an interval is called rough.
FEW = 10


def caveats(
    step_N: ArrayLike,
    entropy_N: ArrayLike,
    accuracy_N: ArrayLike,
    intervals: LawIntervals | None = None,
) -> list[str]:
    """Plain sentences, with their numbers, on where the law or its fit is not to be trusted.

    Args:
        step_N: RL steps, increasing.
        entropy_N: entropies, nats.
        accuracy_N: accuracies, fractions.
        intervals: of the fit; by default those of ``bootstrap`` with its defaults.

    Raises:
        ValueError: no fit exists (see ``law.fit``).
    """
    entropy_N, accuracy_N = checked(entropy_N, accuracy_N)
    intervals = bootstrap(entropy_N, accuracy_N) if intervals is None else intervals
    step_N = np.asarray(step_N, dtype=np.float64)
    return _on_entropy(step_N, entropy_N) + _on_fit(entropy_N, accuracy_N, intervals)


def _on_entropy(step_N: Array, entropy_N: Array) -> list[str]:
    rank = float(scipy.stats.spearmanr(step_N, entropy_N).statistic)
    sentences = []
    if rank > FALLING:
        sentences.append(
            f"Entropy does not fall steadily: its Spearman correlation with the RL step is "
            f"{rank:.2f} (-1 for a steady fall), so one entropy may stand for several accuracies."
        )
    share, noise = rises(entropy_N)
    if share > RISES:
        sentences.append(
            f"Entropy rises beyond its noise of {noise:.2g} nats in {share:.0%} of the steps from "
            "one pair to the next: the law takes it as spent and never regained."
        )
    return sentences


def _on_fit(entropy_N: Array, accuracy_N: Array, intervals: LawIntervals) -> list[str]:
    law = fit(entropy_N, accuracy_N)
    low, high = intervals.a
    spread = float(np.exp(entropy_N).std())
    sentences = []
    if low <= 0 <= high:
        sentences.append(
            f"a and b are not identified: the {intervals.level:.0%} interval of a = {law.a:.3g}, "
            f"[{low:.3g}, {high:.3g}], contains 0."
        )
    if abs(law.a) * spread < law.rmse:
        sentences.append(
            f"a and b are not identified: exp(H) spreads by {spread:.3g}, which moves the accuracy "
            f"by {abs(law.a) * spread:.3g}, less than the residuals' {law.rmse:.3g}."
        )
    if law.a < 0:
        sentences.append(
            f"a = {law.a:.3g} is negative: accuracy falls with entropy, and b - a = "
            f"{law.ceiling:.3g} is no ceiling."
        )
    if not 0 <= law.ceiling <= 1:
        sentences.append(f"The ceiling b - a = {law.ceiling:.3g} is no accuracy in [0, 1].")
    return sentences


def rises(entropy_N: ArrayLike) -> tuple[float, float]:
    """Share of rises H_{i+1} - H_i beyond twice their noise, and the noise of one entropy, nats.

    The noise is the median absolute second difference, scaled to a standard deviation (factor
    1.4826 / sqrt(6)): it cancels a trend that is smooth over three pairs. (0, 0) below 3 pairs.
    """
    entropy_N = np.asarray(entropy_N, dtype=np.float64)
    if len(entropy_N) < 3:
        return 0.0, 0.0
    noise = float(1.4826 / np.sqrt(6) * np.median(np.abs(np.diff(entropy_N, 2))))
    return float((np.diff(entropy_N) > 2 * np.sqrt(2) * noise).mean()), noise


def report(
    pairs: Pairs, resamples: int = 999, seed: int = 0, share: float = 0.15
) -> dict[str, object]:
    """Everything about the law in one run, as numbers, strings, lists and dicts for JSON.

    Args:
        pairs: of one run, in the order of RL steps (``law.pairs``).
        resamples: of the bootstrap.
        seed: of the bootstrap.
        share: share of the points that the forecast is fitted on.

    Returns:
        ``pairs``, ``fit``, ``intervals``, ``forecast`` (by method; None where no point is left
        to predict or the first ones do not differ), ``windows`` and ``caveats``. Numbers that do
        not exist are None.

    Raises:
        ValueError: no fit exists (see ``law.fit``).
    """
    step_N, entropy_N, accuracy_N = pairs
    intervals = bootstrap(entropy_N, accuracy_N, resamples=resamples, seed=seed)
    sentences = caveats(step_N, entropy_N, accuracy_N, intervals)
    if len(step_N) < FEW:
        sentences.append(f"The fit rests on {len(step_N)} pairs: its intervals are rough.")
    values: dict[str, object] = {
        "pairs": {name: value_N.tolist() for name, value_N in pairs._asdict().items()},
        "fit": fit(entropy_N, accuracy_N)._asdict(),
        "intervals": intervals._asdict(),
        "forecast": _forecast(pairs, share),
        "windows": [
            {"share": window.share, **window.fit._asdict(), "rmse_rest": window.rmse_rest}
            for window in window_sensitivity(entropy_N, accuracy_N)
        ],
        "caveats": sentences,
    }
    return {key: _plain(value) for key, value in values.items()}


def _forecast(pairs: Pairs, share: float) -> dict[str, object] | None:
    """The forecast by method; None where no point is left to predict or the first do not differ."""
    count = first_points(len(pairs.step_N), share)
    if count >= len(pairs.step_N) or not has_spread(pairs.entropy_N[:count]):
        return None
    ahead = forecast(*pairs, share)
    methods = {
        name: {"rmse": method.rmse, "final_error": method.final_error}
        for name, method in ahead.methods.items()
    }
    return {
        "share": share,
        "fitted": ahead.fitted,
        "methods": methods,
        "ceiling": ahead.law.ceiling,
    }


def _plain(value: object) -> object:
    """The value with lists for tuples and None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
