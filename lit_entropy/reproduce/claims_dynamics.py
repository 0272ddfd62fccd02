"""The paper's claims of its section 3: what drives the entropy; and the controls."""

from __future__ import annotations

from lit_entropy.figures.as_text import percent, show
from lit_entropy.figures.controls import SINGLE
from lit_entropy.figures.entries import Claim, Judgement, Table
from lit_entropy.figures.estimates import lower, positive
from lit_entropy.figures.matching import MATCHES

Measures = dict


def judge_positive(m: Measures) -> Judgement:
    """Fig. 8 left: the sign."""
    share = m["positive_share"]
    return Judgement(share["mean"] >= 0.9, f"positive at {percent(share)} of the RL steps")


def judge_shape(m: Measures) -> Judgement:
    """Fig. 8 left: the shapes."""
    text = f"correlation of the smoothed curves {show(m['correlation'], 2)}"
    return Judgement(positive(m["correlation"]), text)


def judge_order(m: Measures) -> Judgement:
    """Fig. 8 right."""
    parts = [f"{name} {show(value, 4)}" for name, value in m["by_accuracy"].items()]
    text = f"{', '.join(parts)}; ordered in {m['ordered']:.0%} of the seeds"
    return Judgement(m["ordered"] == 1.0, text)


def judge_lemma(m: Measures) -> Judgement:
    """Lemma 1 at fixed states."""
    matches = [label["lemma1_fixed"] for label in m.values()]
    text = "; ".join(
        f"{name}: R² {show(label['lemma1_fixed']['r2'], 2)}, slope "
        f"{show(label['lemma1_fixed']['slope'], 2)}"
        for name, label in m.items()
    )
    if any(match["r2"] is None for match in matches):
        return Judgement(None, text)
    return Judgement(all(match["r2"]["mean"] >= 0.9 for match in matches), text)


def judge_theorem(m: Measures) -> Judgement:
    """Theorem 2 with sampled advantages against what happened."""
    text = "; ".join(
        f"{name}: R² {show(label['theorem2_on_policy']['r2'], 2)}, sign "
        f"{percent(label['theorem2_on_policy']['sign_agreement'])}"
        for name, label in m.items()
    )
    matches = [label["theorem2_on_policy"]["r2"] for label in m.values()]
    if any(match is None for match in matches):
        return Judgement(None, text)
    return Judgement(all(match["mean"] >= 0.5 for match in matches), text)


def dynamics_table(m: Measures) -> list[Table]:
    """Agreement of every prediction."""
    header = ["prediction", "method", "points", "slope", "R²", "same sign", "relative error"]
    rows = [
        [match.title, label, str(found[match.name]["points"]),
         show(found[match.name]["slope"], 2), show(found[match.name]["r2"], 2),
         percent(found[match.name]["sign_agreement"]),
         show(found[match.name].get("relative_error"), 2)]
        for match in MATCHES
        for label, found in m.items()
    ]  # fmt: skip
    return [Table(header, rows)]


def judge_tail(m: Measures) -> Judgement:
    """Table 1."""
    top = m["rows"][0]
    ratio = top["times_mean"]
    text = f"top 0.02 %: {show(top['covariance'], 2)}, mean {show(m['rows'][-1]['covariance'])}"
    return Judgement(None if ratio is None else ratio >= 100, text)


def tail_table(m: Measures) -> list[Table]:
    """Table 1 beside the paper's."""
    rows = [
        ["all" if row["share"] == 1 else f"top {100 * row['share']:g} %",
         show(row["covariance"]), f"{row['paper']:.3f}",
         "" if row["times_mean"] is None else f"{row['times_mean']:,.1f}"]
        for row in m["rows"]
    ]  # fmt: skip
    return [Table(["tokens", "covariance (nats)", "Qwen2.5-7B (paper)", "times the mean"], rows)]


def judge_random(m: Measures) -> Judgement:
    """Entropy falls without learning."""
    if "random rewards" not in m:
        return Judgement(None, "no such run")
    found = m["random rewards"]
    text = (
        f"entropy {show(found['entropy_first'])} to {show(found['entropy_last'])}, accuracy "
        f"{show(found['accuracy_gain'], signed=True)}"
    )
    gained = positive(found["accuracy_gain"])
    if gained is None:
        return Judgement(None, text)
    falls = found["entropy_last"]["mean"] <= 0.9 * found["entropy_first"]["mean"]
    return Judgement(falls and not gained, text)


def judge_shuffled(m: Measures) -> Judgement:
    """The covariance vanishes."""
    if "shuffled advantages" not in m:
        return Judgement(None, "no such run")
    covariance = m["shuffled advantages"]["covariance"]
    low = lower(covariance)
    text = f"mean covariance {show(covariance, 5)}"
    if "GRPO" in m:
        text += f", GRPO's {show(m['GRPO']['covariance'], 5)}"
    if low is None:
        return Judgement(None, text)
    return Judgement(low <= 0 <= covariance["mean"] + covariance["half_width"], text)


def judge_single(m: Measures) -> Judgement:
    """KL-Cov has nothing to act on."""
    if SINGLE not in m or m[SINGLE]["penalty"] is None:
        return Judgement(None, "no such run")
    penalty = max(m[SINGLE]["penalty"]["values"])
    return Judgement(penalty < 1e-6, f"largest penalty {penalty:.1e} nats")


def controls_table(m: Measures) -> list[Table]:
    """Every control beside GRPO."""
    header = ["", "entropy, first", "last fifth", "answer entropy, first", "last fifth",
              "accuracy gain", "covariance"]  # fmt: skip
    keys = ("entropy_first", "entropy_last", "answer_entropy_first", "answer_entropy_last")
    rows = [
        [label, *(show(found[key]) for key in keys), show(found["accuracy_gain"], signed=True),
         show(found["covariance"], 5)]
        for label, found in m.items()
    ]  # fmt: skip
    return [Table(header, rows)]


CLAIMS: dict[str, tuple[Claim, ...]] = {
    "8": (
        Claim("The covariance of responses stays positive through training.",
              "0.04 falling to 0.005", "positive at 90 % of the RL steps at least",
              judge_positive),
        Claim("The fall of entropy and the covariance have the same shape.", "two like curves",
              "correlation of the smoothed curves, 95 % interval above 0", judge_shape),
        Claim("The easier the prompt, the higher the covariance.",
              "group accuracy 0.125 < 0.5 < 0.875", "low < middle < high in every seed",
              judge_order),
    ),
    "dynamics": (
        Claim("Lemma 1: the covariance of log π and the change of the logits is the change of "
              "entropy to first order.", "proved, not measured",
              "R² of at least 0.9 at fixed states", judge_lemma),
        Claim("Theorem 2: the covariance of log π and the advantage foretells it.",
              "shapes compared by eye", "R² of at least 0.5 on-policy, step by step",
              judge_theorem),
    ),
    "table-1": (Claim("A few tokens have a covariance far above the mean.",
                      "top 0.02 %: 5.654, mean 0.003", "top 0.02 % at least 100 times the mean",
                      judge_tail),),
    "controls": (
        Claim("A fall of entropy is no proof of learning: random rewards.",
              "not in the paper (2509.26114, 2512.16912)",
              "entropy falls by a tenth at least, the 95 % interval of the gain in accuracy is not "
              "above 0", judge_random),
        Claim("Without a tie to the response the covariance vanishes: shuffled advantages.",
              "not in the paper", "the 95 % interval of the mean covariance holds 0",
              judge_shuffled),
        Claim("With one update a rollout KL-Cov has nothing to act on.",
              "not in the paper (its repository's issue 1)", "penalty below 1e-6 nats",
              judge_single),
    ),
}  # fmt: skip
