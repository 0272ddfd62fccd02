"""The paper's claims of its section 2: collapse, the law, and what its coefficients depend on."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from lit_entropy.figures.as_text import show
from lit_entropy.figures.coefficients import show_interval
from lit_entropy.figures.estimates import estimate
from lit_entropy.reproduce.entries import Claim, Judgement, Measures, Table
from lit_entropy.reproduce.wording import defined, percent, positive


def judge_collapse(m: Measures) -> Judgement:
    """Fig. 1."""
    text = f"entropy lost {m['entropy_lost']:.0%}, accuracy {m['gain']:+.3f}, {m['seeds']} seeds"
    return Judgement(m["entropy_lost"] >= 0.75 and m["gain"] > 0, text)


def judge_mark(index: int, least: float) -> Any:
    """Fig. 2, at one share of training."""

    def judge(m: Measures) -> Judgement:
        mark = m["marks"][index]
        text = f"{percent(mark['entropy'])} of the entropy, {percent(mark['gain'])} of the gain"
        return Judgement(min(mark["entropy"]["mean"], mark["gain"]["mean"]) >= least, text)

    return judge


def judge_fit(m: Measures) -> Judgement:
    """Fig. 3 and 4."""
    r2, low = defined(m["r2"]), m["a"]["low"]
    text = f"R² = {show(r2, 2)}, RMSE {percent(m['rmse'], 1)}, a = {show_interval(m['a'])}"
    if r2 is None or low is None:
        return Judgement(None, text)
    return Judgement(r2["mean"] >= 0.9 and low > 0, text)


def judge_forecast(m: Measures) -> Judgement:
    """Fig. 5: the size of the error."""
    rmse, final = m["rmse"]["law"], m["final_error"]["law"]
    text = f"RMSE {percent(rmse, 1)}, final step {percent(final, 1)}, from {m['fitted'][0]} points"
    return Judgement(max(rmse["mean"], final["mean"]) <= 0.02, text)


def judge_rivals(m: Measures) -> Judgement:
    """Fig. 5: whether entropy helps."""
    text = "RMSE: " + ", ".join(f"{name} {percent(e, 1)}" for name, e in m["rmse"].items())
    law = m["rmse"]["law"]["values"]
    ahead = [
        estimate([other - own for other, own in zip(rival["values"], law, strict=True)])
        for name, rival in m["rmse"].items()
        if name != "law"
    ]
    return Judgement(positive(*ahead), text)


def judge_one_law(m: Measures) -> Judgement:
    """Fig. 6."""
    shared, separate = m["shared"]["rmse"], m["separate_rmse"]
    text = f"RMSE {shared:.3f} with one (a, b), {separate:.3f} with one each"
    if separate > 0:
        text += f": ratio {shared / separate:.2f}"
    return Judgement(None if m["missing"] else shared <= 1.25 * separate, text)


def judge_ladder(m: Measures) -> Judgement:
    """Fig. 7: the trend."""
    a, b = m["trends"]["a"]["r2"], m["trends"]["b"]["r2"]
    if a is None or b is None:
        return Judgement(None, "a coefficient is the same in all runs")
    return Judgement(min(a, b) >= 0.9, f"R² of a {a:.2f}, of b {b:.2f}")


def judge_extrapolation(m: Measures) -> Judgement:
    """Fig. 7: the largest size foretold."""
    parts = [
        f"{name}: predicted {t['predicted']:.2f}, measured {t['measured']:.2f}"
        for name, t in m["trends"].items()
    ]
    if any(m["sizes"][-1][name]["low"] is None for name in m["trends"]):
        return Judgement(None, "; ".join(parts))
    return Judgement(all(t["within"] for t in m["trends"].values()), "; ".join(parts))


def judge_distributions(m: Measures) -> Judgement:
    """Fig. 13."""
    laws = list(m["laws"].values())
    text = "; ".join(
        f"{label}: a {show_interval(law['a'])}, b {show_interval(law['b'])}"
        for label, law in m["laws"].items()
    )
    if any(law[name]["low"] is None for law in laws for name in ("a", "b")):
        return Judgement(None, text)
    apart = any(
        max(one[name]["low"], other[name]["low"]) > min(one[name]["high"], other[name]["high"])
        for one, other in combinations(laws, 2)
        for name in ("a", "b")
    )
    return Judgement(apart, text)


def law_table(m: Measures) -> list[Table]:
    """Coefficients, fit and caveats of one law or of several."""
    laws = m["laws"] if "laws" in m else {m["label"]: m}
    header = ["", "a", "b", "ceiling b - a", "R²", "RMSE", "caveats"]
    rows = [
        [label, *(show_interval(law[name]) for name in ("a", "b", "ceiling")),
         show(defined(law["r2"]), 2), show(law["rmse"]), " ".join(law["caveats"]) or "none"]
        for label, law in laws.items()
    ]  # fmt: skip
    return [Table(header, rows)]


def forecast_table(m: Measures) -> list[Table]:
    """The law's forecast beside its rivals'."""
    rows = [
        [name, percent(m["rmse"][name], 1), percent(m["final_error"][name], 1)]
        for name in m["rmse"]
    ]
    return [Table(["forecast", "RMSE on the rest", "error on the final step"], rows)]


def ladder_table(m: Measures) -> list[Table]:
    """Coefficients by size."""
    rows = [
        [f"{row['parameters']:,.0f}", *(show_interval(row[name]) for name in ("a", "b", "ceiling"))]
        for row in m["sizes"]
    ]
    return [Table(["parameters without embeddings", "a", "b", "ceiling b - a"], rows)]


RIVALS_RULE = "RMSE below each rival's: the 95 % interval of each paired difference above 0"
FIT_RULE = "mean R² of at least 0.9 and an interval of a above 0"
CLAIMS: dict[str, tuple[Claim, ...]] = {
    "1": (
        Claim("Entropy collapses as the accuracy rises and saturates.", "entropy towards 0",
              "at least 75 % of the entropy lost and a gain in accuracy", judge_collapse),
    ),
    "2": (
        Claim("Most is spent and won at once: the first twelfth of training.",
              "73 % of the entropy, 76 % of the gain", "at least half of both", judge_mark(0, 0.5)),
        Claim("Nearly all is spent and won in the first third.",
              "94 % of the entropy, 93 % of the gain", "at least two thirds of both",
              judge_mark(1, 2 / 3)),
    ),
    "3": (Claim("R = -a exp(H) + b fits every run on mathematics.", "2 coefficients for 200 points",
                FIT_RULE, judge_fit),),
    "4": (Claim("The same law fits on code (here: countdown).", "2 coefficients for 200 points",
                FIT_RULE, judge_fit),),
    "5": (
        Claim("Fitted to the first 15 %, the law forecasts the rest (mathematics).",
              "RMSE 0.9 %, final step 0.5 %", "both errors at most 2 %", judge_forecast),
        Claim("Entropy is what makes the forecast possible.", "no rival is reported",
              RIVALS_RULE, judge_rivals),
    ),
    "5b": (
        Claim("The same on code (here: countdown).", "RMSE 1.2 %, final step 1.9 %",
              "both errors at most 2 %", judge_forecast),
        Claim("Entropy is what makes the forecast possible.", "no rival is reported",
              RIVALS_RULE, judge_rivals),
    ),
    "6": (Claim("(a, b) do not depend on the algorithm.", "four algorithms on one curve",
                "one law for all fits at most 25 % worse (RMSE) than one for each",
                judge_one_law),),
    "7": (
        Claim("a and b are log-linear in the size of the model.", "straight lines, 0.5 B to 32 B",
              "R² of both at least 0.9", judge_ladder),
        Claim("So the coefficients of larger models can be extrapolated.", "shown as a figure",
              "a, b and ceiling of the largest within its interval", judge_extrapolation),
    ),
    "13": (Claim("Other training data, other coefficients.", "shown as a figure",
                 "intervals of a or of b disjoint", judge_distributions),),
}  # fmt: skip
