"""Fig. 12 (arXiv 2505.22617): Clip-Cov's fraction and KL-Cov's coefficient set the entropy."""

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import show
from lit_entropy.figures.cells import Cell
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.entries import Claim, Entry, Judgement
from lit_entropy.figures.estimates import estimate, paired_ratio, smoothed, smoothing_window
from lit_entropy.figures.knobs import Knob, by_knob, measure_12
from lit_entropy.figures.outcomes import ENTROPY
from lit_entropy.figures.panels import frame_lines, legend_above, plain_log_ticks
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import seed_lines
from lit_entropy.figures.style import (
    FULL_WIDTH,
    method_colour,
    method_marker,
    paper_figure,
    sequential_colours,
)
from lit_entropy.figures.verdicts import NOT_TESTABLE, above, below

#: Clip-Cov's fraction in the units of the scale: of the 350 tokens of a minibatch one, 10, 21, 31,
#: 42, 70 and 105, drawn from the 30 % of highest covariance. The paper's band of absolute
#: covariances holds 3 % here, which a fraction above would exhaust.
CLIP_COV_FRACTIONS = (0.003, 0.03, 0.06, 0.09, 0.12, 0.2, 0.3)
CLIP_COV_BAND = {
    "model.loss.init_args.bounds_kind": "quantile",
    "model.loss.init_args.bounds": "[0.7, 1.0]",
}
#: Coefficients of KL-Cov's penalty: none, and two decades around the paper's 1. Those below 1 are
#: not told apart from none. Ties lower a rank correlation: the paper's 0.05, 0.1 and 0.5 left it
#: undecided, as a fraction of 0.009 did Clip-Cov's.
KL_COEFFICIENTS = (0.0, 0.2, 1.0, 2.0, 5.0, 10.0, 20.0)
#: Seeds 23 to 28 and 50 to 58 have judged other values.
FIRST_SEED = 29
#: The first six decided both knobs, and asked for about eight for the steadier one.
SEEDS = 12
#: Values of a knob below which a rank correlation says little.
FEWEST_VALUES = 6
#: Curves that waver by a fifth less are smoother to the eye. A limit of 1 could not be decided if
#: the two were equal.
STEADIER = 0.8
#: Most columns of a legend that are not wider than a panel.
WIDEST = 4

#: The knob of each method: symbol in the legend, label of the axis.
KNOBS = {
    "Clip-Cov": (r"$\times$", "fraction, multiples of the smallest"),
    "KL-Cov": (r"$\beta$ =", r"coefficient $\beta$"),
}


def figure_12(runs: Sequence[Run]) -> Figure:
    """Entropy against the RL step for each value of the knob, and its last fifth against it."""
    numbers = measure_12(runs)
    groups = {label: by_knob(runs, label) for label in KNOBS}
    # as many rows over both panels, so that their titles stand at one height
    rows = max(2, *(-(-len(each) // WIDEST) for each in groups.values()))
    with paper_figure(FULL_WIDTH, 4.6) as figure:
        curves, levels = figure.subplots(2, 2, sharey="row", height_ratios=(1.25, 1))
        for label, above, below in zip(KNOBS, curves, levels, strict=True):
            _plot_curves(above, groups[label], label, rows)
            _plot_levels(below, numbers[label], label)
        curves[0].set(ylabel="entropy, token mean (nats)", yscale="log")
        frame_lines(*curves)
        plain_log_ticks(curves[0].yaxis)
        levels[0].set(ylabel="entropy, last fifth (nats)", yscale="log")
        plain_log_ticks(levels[0].yaxis)
    return figure


def _plot_curves(axes: Axes, groups: dict[float, list[Run]], label: str, rows: int) -> None:
    symbol, _ = KNOBS[label]
    for (knob, group), colour in zip(groups.items(), sequential_colours(len(groups)), strict=True):
        shown = [smoothed(run, ENTROPY) for run in group]
        seed_lines(axes, shown, ENTROPY, colour, f"{symbol} {knob:.3g}")
    window = smoothing_window(next(iter(groups.values()))[0])
    axes.set(xlabel=f"RL step (mean over {window})")
    legend_above(axes, *axes.get_legend_handles_labels(), label, -(-len(groups) // rows))


def _plot_levels(axes: Axes, numbers: Knob, label: str) -> None:
    knob, levels = numbers.knob, numbers.entropy
    draw_estimates(
        axes, knob, levels, method_colour(label), marker=method_marker(label), markersize=4
    )
    smallest = min(value for value in knob if value > 0)
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    axes.set_xticks(knob, [f"{value:.3g}" for value in knob])
    axes.minorticks_off()
    axes.set(xlabel=KNOBS[label][1])
    correlation = numbers.rank_correlation
    if correlation is not None:
        axes.set_title(f"rank correlation {correlation.mean:+.2f}", loc="left", fontsize=7)


def _judge_steering(m: dict[str, Knob], method: str) -> Judgement:
    found = m[method]
    columns = zip(found.knob, found.entropy, strict=True)
    text = "; ".join(f"{knob:g}: {show(level)}" for knob, level in columns)
    rank = found.rank_correlation
    if rank is None or len(found.knob) < FEWEST_VALUES:
        return Judgement(NOT_TESTABLE, text)
    return Judgement(above(rank, 0.9), f"{text}; rank correlation {show(rank, 2)}")


def _judge_steadier(m: dict[str, Knob]) -> Judgement:
    by_name = {name: m[name].unsteadiness_of for name in KNOBS}
    ratio = paired_ratio(by_name["KL-Cov"], by_name["Clip-Cov"])
    if ratio is None:
        return Judgement(NOT_TESTABLE, "too few RL steps, or no seed with every value of both")
    parts = [f"{name} {show(estimate([*each.values()]))}" for name, each in by_name.items()]
    text = f"relative deviation: {', '.join(parts)}; KL-Cov's over Clip-Cov's, by seed, "
    return Judgement(below(ratio, STEADIER), text + show(ratio, 2))


STEERING_RULE = (
    f"95 % interval of the rank correlation of each seed, over {FEWEST_VALUES} values of the knob "
    "or more, above 0.9"
)
FIGURE_12 = Entry(
    "12", "Fig. 12", "Steering the entropy",
    "The level of entropy by the fraction of Clip-Cov and the coefficient of KL-Cov. Clip-Cov's "
    "band is the 30 % of highest covariance, its fraction a share of all tokens.",
    measure_12, figure_12,
    (
        Claim("Clip-Cov's fraction sets the level of entropy.", "2, 4, 5, 7 times the fraction",
              STEERING_RULE, partial(_judge_steering, method="Clip-Cov")),
        Claim("KL-Cov's coefficient sets the level of entropy.", "β 0, 0.05, 0.1, 0.5, 1",
              STEERING_RULE, partial(_judge_steering, method="KL-Cov")),
        Claim("KL-Cov is the steadier one.", "smoother curves",
              "deviation of the entropy from its trend in the last fifth as a share of it, "
              "mean over the knob, KL-Cov's over Clip-Cov's, by seed: 95 % interval below "
              f"{STEADIER:g}",
              _judge_steadier),
    ),
    (
        *(Cell(f"clip_cov_share_{f:g}", "Clip-Cov", "clip_cov",
               {**CLIP_COV_BAND, "model.loss.init_args.fraction": f"{f:g}"}, "sweep", seeds=SEEDS,
               first_seed=FIRST_SEED)
          for f in CLIP_COV_FRACTIONS),
        *(Cell(f"kl_cov_beta_{c:g}", "KL-Cov", "kl_cov",
               {"model.loss.init_args.kl_coef": f"{c:g}"}, "sweep", seeds=SEEDS,
               first_seed=FIRST_SEED)
          for c in KL_COEFFICIENTS),
    ),
)  # fmt: skip
