"""Fig. 3, 4, 6 and 13 of arXiv 2505.22617: accuracy against entropy, and R = -a exp(H) + b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.coefficients import measure_law, show_interval
from lit_entropy.figures.estimates import labelled
from lit_entropy.figures.law_panels import (
    dot_panel,
    entropies_of,
    entropy_axis,
    fit_to_points,
    law_curve,
    law_points,
    legend_below,
)
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.style import (
    COLUMN_WIDTH,
    FULL_WIDTH,
    GREY,
    method_colour,
    method_marker,
    paper_style,
    sequential_colours,
)
from lit_entropy.functional.law import fit

METHOD = "GRPO"

#: Algorithms of Fig. 6 in its order, and training distributions of Fig. 13.
ALGORITHMS = ("GRPO", "RLOO", "REINFORCE++", "PRIME")
DISTRIBUTIONS = ("lengths 1–10", "lengths 1–6")  # noqa: RUF001 (ranges)


def measure_3(runs: Sequence[Run]) -> dict[str, Any]:
    """The law on GRPO's runs: :func:`lit_entropy.figures.coefficients.measure_law`.

    Raises:
        ValueError: no run of the label "GRPO", a missing key, or a run without a fit.
    """
    return measure_law(labelled(runs, METHOD)[METHOD])


def figure_3(runs: Sequence[Run]) -> Figure:
    """Accuracy against entropy, all seeds, with the fitted law; raises as :func:`measure_3`."""
    law = measure_3(runs)
    colour = method_colour(METHOD)
    with paper_style():
        figure = Figure(figsize=(COLUMN_WIDTH, 2.7), layout="constrained")
        axes = figure.subplots()
        entropy_axis(axes, entropies_of([law]))
        law_points(axes, law, colour, method_marker(METHOD))
        law_curve(axes, law["a"], law["b"], colour, r"$R = -a\,e^{H} + b$")
        fit_to_points(axes, [law])
        _draw_ceiling(axes, law)
        quality = "" if law["r2"]["mean"] is None else f"\n$R^2$ = {law['r2']['mean']:.2f}"
        seeds = len(law["seeds"])
        legend_below(
            axes, [law], alignment="left",
            title=f"{METHOD}, {seeds} seed{'s' if seeds > 1 else ''}\n"
            f"a = {show_interval(law['a'])}\nb = {show_interval(law['b'])}{quality}",
            title_fontsize=7, handlelength=1.5,
        )  # fmt: skip
    return figure


def _draw_ceiling(axes: Axes, law: Mapping[str, Any]) -> None:
    """The accuracy at H = 0; drawn into view where it is one, told by the legend anyway."""
    ceiling = law["ceiling"]["mean"]
    low, high = axes.get_ylim()
    room = 0.12 * (high - low)
    if 0 <= ceiling <= 1:
        axes.set_ylim(min(low, ceiling - room), max(high, ceiling + room))
    name = f"ceiling {show_interval(law['ceiling'])}"
    axes.axhline(ceiling, color=GREY, linewidth=0.8, linestyle="--", label=name)


#: The same for the second task, which stands for the paper's code runs.
measure_4 = measure_3
figure_4 = figure_3


def measure_6(runs: Sequence[Run]) -> dict[str, Any]:
    """The law for each algorithm, and one law for all of them.

    Args:
        runs: of at least two of "GRPO", "RLOO", "REINFORCE++" and "PRIME".

    Returns:
        ``laws``: by label, as :func:`measure_3`; ``missing``: labels without runs; ``shared``: the
        fit ``a``, ``b``, ``ceiling``, ``r2``, ``rmse``, ``n`` to all points of all labels;
        ``separate_rmse``: that of one fit to all points of each label. Accuracies are fractions.

    Raises:
        ValueError: fewer than two of the labels, a missing key, or a run without a fit.
    """
    present = [label for label in ALGORITHMS if label in by_label(runs)]
    if len(present) < 2:
        missing = [label for label in ALGORITHMS if label not in present]
        raise ValueError(
            f"Fig. 6 compares at least two of {list(ALGORITHMS)}, but no run has label {missing}: "
            "add such runs"
        )
    return _compare(runs, present) | {
        "missing": [label for label in ALGORITHMS if label not in present]
    }


def measure_13(runs: Sequence[Run]) -> dict[str, Any]:
    """As :func:`measure_6` for training on chain lengths 1 to 10 and 1 to 6, without ``missing``.

    Raises:
        ValueError: one of the two labels has no run, a missing key, or a run without a fit.
    """
    labelled(runs, *DISTRIBUTIONS)
    return _compare(runs, DISTRIBUTIONS)


def _compare(runs: Sequence[Run], labels: Sequence[str]) -> dict[str, Any]:
    groups = labelled(runs, *labels)
    laws = {label: measure_law(groups[label]) for label in labels}
    entropy_L, accuracy_L = (
        [np.concatenate([point[name] for point in laws[label]["points"]]) for label in labels]
        for name in ("entropy", "accuracy")
    )
    separate = [fit(*points) for points in zip(entropy_L, accuracy_L, strict=True)]
    shared = fit(np.concatenate(entropy_L), np.concatenate(accuracy_L))
    squares = sum(law.n * law.rmse**2 for law in separate)
    return {
        "laws": laws,
        "shared": shared._asdict(),
        "separate_rmse": float(np.sqrt(squares / shared.n)),
    }


def figure_6(runs: Sequence[Run]) -> Figure:
    """Algorithms in one plane of entropy and accuracy, and their a and b with intervals."""
    measured = measure_6(runs)
    looks = {label: (method_colour(label), method_marker(label)) for label in measured["laws"]}
    return _comparison(measured, looks)


def figure_13(runs: Sequence[Run]) -> Figure:
    """As :func:`figure_6` for two training distributions."""
    looks = zip(sequential_colours(len(DISTRIBUTIONS)), "o^", strict=True)
    return _comparison(measure_13(runs), dict(zip(DISTRIBUTIONS, looks, strict=True)))


def _comparison(measured: Mapping[str, Any], looks: Mapping[str, tuple[str, str]]) -> Figure:
    """All laws in one plane, coefficients beside it; ``looks`` holds colour and marker by label."""
    laws, shared = measured["laws"], measured["shared"]
    colours = {label: colour for label, (colour, _) in looks.items()}
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.6), layout="constrained")
        plane, *panels = figure.subplots(1, 3, width_ratios=(2.4, 1, 1))
        entropy_axis(plane, entropies_of(list(laws.values())))
        for label, law in laws.items():
            law_points(plane, law, *looks[label])
            law_curve(
                plane, law["a"], law["b"], colours[label], label, band=False,
                marker=looks[label][1], markersize=3, markevery=[],
            )  # fmt: skip
        one = {name: {"values": [shared[name]]} for name in ("a", "b")}
        name = f"one law for all, $R^2$ = {shared['r2']:.2f}"
        law_curve(plane, one["a"], one["b"], GREY, name, linestyle="--")
        fit_to_points(plane, list(laws.values()))
        legend_below(plane, list(laws.values()))
        plane.set_title("(a)", loc="left")
        for axes, name, letter in zip(panels, ("a", "b"), "bc", strict=True):
            dot_panel(axes, {label: law[name] for label, law in laws.items()}, colours)
            axes.axvline(shared[name], color=GREY, linewidth=0.8, linestyle="--")
            axes.set_xlabel(f"coefficient {name}")
            axes.set_title(f"({letter})", loc="left")
        panels[1].tick_params(labelleft=False)
    return figure
