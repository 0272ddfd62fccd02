"""The paper's claims of its section 4: what controls the entropy, and what that wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_entropy.figures.as_text import percent, points, show
from lit_entropy.figures.by_difficulty import AVERAGE, cell
from lit_entropy.figures.entries import Claim, Judgement, Table
from lit_entropy.figures.estimates import positive
from lit_entropy.figures.methods import METHODS

COVARIANCE_METHODS = ("Clip-Cov", "KL-Cov")
#: The longest chains that are trained on, a band of Table 2.
LONGEST_TRAINED = "8-10"


Measures = dict


def at(m: Mapping[str, Any], coefficient: float) -> int | None:
    """Place of a coefficient in a sweep; None if it was not run."""
    found = [i for i, c in enumerate(m["coefficients"]) if abs(c - coefficient) < 1e-12]
    return found[0] if found else None


def sweep_text(m: Measures) -> str:
    """Level of entropy and accuracy at every coefficient."""
    columns = zip(m["coefficients"], m["entropy_ratio"], m["accuracy"], strict=True)
    return "; ".join(f"{c:g}: H ×{ratio:.2f}, {show(r, 2)}" for c, ratio, r in columns)  # noqa: RUF001


def judge_small_bonus(m: Measures) -> Judgement:
    """Fig. 9: 1e-4 and 1e-3."""
    places = [at(m, 1e-4), at(m, 1e-3)]
    if None in places:
        return Judgement(None, sweep_text(m))
    ratios = [m["entropy_ratio"][place] for place in places if place is not None]
    return Judgement(all(1 / 1.5 <= ratio <= 1.5 for ratio in ratios), sweep_text(m))


def judge_large_bonus(m: Measures) -> Judgement:
    """Fig. 9: 1e-2."""
    place = at(m, 1e-2)
    if place is None:
        return Judgement(None, sweep_text(m))
    return Judgement(m["entropy_ratio"][place] >= 10, f"×{m['entropy_ratio'][place]:.2f} at 0.01")  # noqa: RUF001


def judge_reference(m: Measures) -> Judgement:
    """Fig. 10."""
    held = m["entropy_ratio"][-1] >= 1.5
    worse = m["accuracy"][-1]["mean"] <= m["accuracy"][0]["mean"] - 0.02
    return Judgement(held and worse, sweep_text(m))


def sweep_table(m: Measures) -> list[Table]:
    """Every coefficient of a sweep."""
    header = ["coefficient", "entropy, last fifth", "times that at 0", "accuracy, last fifth"]
    rows = [
        [f"{c:g}", show(h), f"{ratio:.2f}", show(r)]
        for c, h, ratio, r in zip(
            m["coefficients"], m["entropy"], m["entropy_ratio"], m["accuracy"], strict=True
        )
    ]
    return [Table(header, rows)]


def judge_ten_times(m: Measures) -> Judgement:
    """Fig. 11: the size of the effect."""
    ratio = m["methods"]["KL-Cov"]["entropy_ratio"]
    return Judgement(ratio >= 10, f"{ratio:.1f} times GRPO's plateau")


def judge_held(m: Measures) -> Judgement:
    """Fig. 11: the direction of the effect."""
    gains = {name: m["methods"][name]["entropy_gain"] for name in COVARIANCE_METHODS}
    text = "; ".join(
        f"{name} {show(gain, 3, signed=True)} nats (×{m['methods'][name]['entropy_ratio']:.1f})"  # noqa: RUF001
        for name, gain in gains.items()
    )
    return Judgement(positive(*gains.values()), text)


def judge_length(m: Measures) -> Judgement:
    """Fig. 11: response length."""
    lengths = {name: m["methods"][name] for name in ("GRPO", *COVARIANCE_METHODS)}
    text = "; ".join(
        f"{name} {show(e['length_first'], 1)} to {show(e['length_plateau'], 1)}"
        for name, e in lengths.items()
    )
    base = lengths["GRPO"]["length_plateau"]["mean"]
    longer = all(lengths[name]["length_plateau"]["mean"] > base for name in COVARIANCE_METHODS)
    return Judgement(longer, text)


def judge_accuracy(m: Measures) -> Judgement:
    """Fig. 11: test accuracy."""
    gains = {name: m["methods"][name]["accuracy_gain"] for name in COVARIANCE_METHODS}
    text = "; ".join(f"{name} {points(gain)}" for name, gain in gains.items())
    return Judgement(positive(*gains.values()), text)


def judge_instability(m: Measures) -> Judgement:
    """Fig. 11: clip-higher."""
    change = m["methods"]["clip-higher"]["late_change"]
    text = f"accuracy of the last fifth minus that at half time {show(change, signed=True)}"
    return Judgement(change["mean"] <= -0.02, text)


def methods_table(m: Measures) -> list[Table]:
    """Fig. 11 in numbers, and at matched compute."""
    header = ["", "entropy, first", "last fifth", "times GRPO's", "length, last fifth",
              "accuracy, last fifth", "since half time", "accuracy at matched tokens"]  # fmt: skip
    matched = m["matched"]
    rows = [
        [name, show(e["entropy_first"]), show(e["entropy_plateau"]), f"{e['entropy_ratio']:.2f}",
         show(e["length_plateau"], 1), show(e["accuracy"]), show(e["late_change"], signed=True),
         show(matched["accuracy"][name]) if matched else m["matched_missing"]]
        for name, e in m["methods"].items()
    ]  # fmt: skip
    return [Table(header, rows)]


def judge_steering(method: str) -> Any:
    """Fig. 12: one method's knob."""

    def judge(m: Measures) -> Judgement:
        found = m[method]
        text = "; ".join(
            f"{knob:g}: {show(level)}"
            for knob, level in zip(found["knob"], found["entropy"], strict=True)
        )
        rank = found["rank_correlation"]
        if rank is None or len(found["knob"]) < 4:
            return Judgement(None, text)
        return Judgement(rank >= 0.9, f"{text}; rank correlation {rank:.2f}")

    return judge


def judge_steadier(m: Measures) -> Judgement:
    """Fig. 12: which knob is the steadier one."""
    means = {}
    for name in COVARIANCE_METHODS:
        values = [e["mean"] for e in m[name]["unsteadiness"] if e is not None]
        if not values:
            return Judgement(None, "too few RL steps")
        means[name] = sum(values) / len(values)
    text = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
    return Judgement(means["KL-Cov"] < means["Clip-Cov"], f"relative deviation: {text}")


def judge_average(m: Measures) -> Judgement:
    """Table 2: the average."""
    score = m["scores"][0]
    found = {name: cell(m, name, score, AVERAGE)["difference"] for name in COVARIANCE_METHODS}
    text = "; ".join(f"{name} {points(d)}" for name, d in found.items())
    return Judgement(positive(*found.values()), f"{score}: {text}")


def judge_hardest(m: Measures) -> Judgement:
    """Table 2: the hardest band."""
    score = m["scores"][0]
    found = {
        name: cell(m, name, score, LONGEST_TRAINED)["difference"] for name in COVARIANCE_METHODS
    }
    text = "; ".join(f"{name} {points(d)}" for name, d in found.items())
    return Judgement(positive(*found.values()), f"{LONGEST_TRAINED}, {score}: {text}")


def difficulty_tables(m: Measures) -> list[Table]:
    """Table 2: values and paired differences, one table a score."""
    tables = []
    for score in m["scores"]:
        rows = [
            [f"{name}{' minus GRPO' if kind == 'difference' else ''}",
             *(percent(cell(m, name, score, band)[kind], 1, kind == "difference")
               for band in m["bands"])]
            for kind, names in (("value", METHODS), ("difference", METHODS[1:]))
            for name in names
        ]  # fmt: skip
        tables.append(Table([score, *m["bands"]], rows))
    return tables


CLAIMS: dict[str, tuple[Claim, ...]] = {
    "9": (
        Claim("A small entropy bonus (1e-4, 1e-3) does nothing.", "curves on top of each other",
              "entropy within a factor of 1.5 of GRPO's", judge_small_bonus),
        Claim("A bonus of 0.01 makes the entropy explode.", "entropy runs away",
              "at least 10 times GRPO's entropy", judge_large_bonus),
    ),
    "10": (Claim("A reference KL holds the entropy and costs accuracy.",
                 "lower scores for every coefficient",
                 "largest coefficient: 1.5 times GRPO's entropy, at least 2 points less accuracy",
                 judge_reference),),
    "11": (
        Claim("Clip-Cov and KL-Cov keep the entropy above GRPO's.", "whole training",
              "paired 95 % intervals above 0 for both", judge_held),
        Claim("KL-Cov keeps more than ten times GRPO's plateau entropy.", "more than 10 times (7B)",
              "at least 10 times", judge_ten_times),
        Claim("Responses grow longer than GRPO's.", "shown as a figure",
              "mean length of the last fifth above GRPO's for both", judge_length),
        Claim("Test accuracy rises above GRPO's.", "+1.8 and +2.0 points (7B), +4.5 and +6.4 (32B)",
              "paired 95 % intervals above 0 for both", judge_accuracy),
        Claim("Clip-higher gains early, then becomes unstable and declines.", "shown as a figure",
              "last fifth at least 2 points below half time", judge_instability),
    ),
    "12": (
        Claim("Clip-Cov's fraction sets the level of entropy.", "2, 4, 5, 7 times the fraction",
              "rank correlation of at least 0.9", judge_steering("Clip-Cov")),
        Claim("KL-Cov's coefficient sets the level of entropy.", "β 0, 0.05, 0.1, 0.5, 1",
              "rank correlation of at least 0.9", judge_steering("KL-Cov")),
        Claim("KL-Cov is the steadier one.", "smoother curves",
              "smaller deviation of the entropy from its trend in the last fifth",
              judge_steadier),
    ),
    "table-2": (
        Claim("Clip-Cov and KL-Cov beat GRPO on average over benchmarks.",
              "40.4 and 40.6 against 38.6 (7B)", "paired 95 % intervals above 0 for both",
              judge_average),
        Claim("The gain is largest on the hardest benchmarks.", "AIME25: +6.2 and +3.3 (7B)",
              "on the longest trained chains: paired 95 % intervals above 0 for both",
              judge_hardest),
    ),
}  # fmt: skip
