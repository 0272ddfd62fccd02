"""Claims of section 2, on both sides of each threshold, and where nothing can be judged."""

import pytest
from reproduce.claim_judging import (
    NO,
    OPEN,
    UNDECIDED,
    YES,
    claim,
    coefficient,
    est,
    judged,
    some,
    verdict,
)

from lit_entropy.figures.as_text import show
from lit_entropy.figures.coefficients import Law, LawMetrics, Points
from lit_entropy.figures.collapse import Collapse
from lit_entropy.figures.comparison import Algorithms, Distributions
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.forecast import Forecasts, forecast_table
from lit_entropy.figures.ladder import WIDTHS, Ladder, Size, Trend, ladder_table
from lit_entropy.figures.law import law_table
from lit_entropy.figures.spending import Mark, Spending
from lit_entropy.functional.law import LawFit


@pytest.mark.parametrize(
    "lost, gain, expected",
    [
        (est(0.8, 0.04), est(0.1, 0.05), YES),
        (est(0.8, 0.05), est(0.1, 0.05), UNDECIDED),
        (est(0.7, 0.05), est(0.1, 0.05), NO),
        (est(0.9, 0.05), est(0.1, 0.1), UNDECIDED),
        (est(0.9, 0.05), est(-0.1, 0.05), NO),
        (est(0.9), est(0.1), OPEN),
    ],
)
def test_collapse(lost: Estimate, gain: Estimate, expected: str) -> None:
    assert verdict("1", some(Collapse, entropy_lost=lost, gain=gain, seeds=3)) == expected
    assert "lost above 75 %" in claim("1").rule and "accuracy above 0" in claim("1").rule


def test_collapse_in_words() -> None:
    def text(gain: Estimate) -> str:
        return judged(
            "1", some(Collapse, entropy_lost=est(0.83, 0.05), gain=gain, seeds=3)
        ).measured

    assert text(est(0.2, 0.1)) == "entropy lost 83 ± 5 %, accuracy +0.200 ± 0.100, 3 seeds"
    # deviation 0.1 sqrt(3) / 4.303 = 0.0403; 0.0403 t / sqrt(n) < 0.05 from 5 seeds on
    words = "entropy lost 83 ± 5 %, accuracy +0.050 ± 0.100, 3 seeds; about 5 seeds would decide"
    assert text(est(0.05, 0.1)) == words


@pytest.mark.parametrize("number, least, words", [(0, 0.5, "half"), (1, 2 / 3, "two thirds")])
def test_shares_of_fall_and_gain(number: int, least: float, words: str) -> None:
    def marks(
        entropy: float, gain: float, fall: Estimate | None = None, rise: Estimate | None = None
    ) -> Spending:
        mark = some(
            Mark, entropy=est(0.814, 0.02), gain=est(0.9, 0.03), least=least,
            entropy_ahead=est(entropy, 0.02), gain_ahead=est(gain, 0.03),
        )  # fmt: skip
        whole = {"fall": fall or est(0.3, 0.1), "rise": rise or est(0.2, 0.1)}
        return some(Spending, marks=[mark, mark], **whole)

    assert verdict("2", marks(0.021, 0.031), number) == YES
    assert verdict("2", marks(0.019, 1.0), number) == UNDECIDED
    assert verdict("2", marks(1.0, 0.029), number) == UNDECIDED
    assert verdict("2", marks(-0.021, 1.0), number) == NO
    assert verdict("2", marks(1.0, -0.031), number) == NO
    # of a fall of the accuracy no part is much
    assert verdict("2", marks(1.0, 1.0, rise=est(-0.2, 0.1)), number) == NO
    assert verdict("2", marks(1.0, 1.0, rise=est(0.1, 0.1)), number) == UNDECIDED
    assert verdict("2", marks(1.0, 1.0, fall=est(-0.2, 0.1)), number) == NO
    text = judged("2", marks(0.1, 0.2), number).measured
    assert text == (
        f"81 ± 2 % of the entropy, 90 ± 3 % of the gain; less {least:.0%} of the whole "
        "+0.100 ± 0.020 nats, +20.0 ± 3.0 points"
    )
    assert words in claim("2", number).rule and "above 0" in claim("2", number).rule


def law(r2: float, half: float | None, *caveats: str) -> Law:
    """What is measured of one law, a = 0.3, b = 1.1, ceiling 0.8."""
    return some(
        Law,
        label="GRPO",
        metrics=LawMetrics("val/avg@4", "val/entropy"),
        r2=est(r2, 0.02),
        rmse=est(0.0123, 0.002),
        a=coefficient(0.3, half),
        b=coefficient(1.1, 0.1),
        ceiling=coefficient(0.8),
        caveats=list(caveats),
    )


@pytest.mark.parametrize("figure", ["3", "4"])
def test_fit(figure: str) -> None:
    assert verdict(figure, law(0.921, 0.29)) == YES
    assert verdict(figure, law(0.919, 0.29)) == UNDECIDED
    assert verdict(figure, law(0.879, 0.29)) == NO
    assert verdict(figure, law(0.99, 0.3)) == UNDECIDED  # the interval of a touches 0
    assert verdict(figure, law(0.99, None)) == OPEN
    # equal accuracies have no R²
    found = judged(figure, law(float("nan"), 0.1))
    assert found.verdict == OPEN
    rest = "RMSE 1.2 ± 0.2 %, a = 0.30 [0.20, 0.40], val/avg@4 of val/entropy"
    assert found.measured == f"R² = n/a, {rest}"
    text = judged(figure, law(0.954, 0.1)).measured
    assert text == f"R² = 0.95 ± 0.02, {rest}"
    assert "R² above 0.9" in claim(figure).rule and "a above 0" in claim(figure).rule


def forecast(
    rmse: float,
    final: float,
    half: float | None = 0.001,
    fitted: float = 0.12,
    accuracies: tuple[float, ...] = (0.4, 0.5, 0.6),
) -> Forecasts:
    errors = {"rmse": {"law": est(rmse, half)}, "final_error": {"law": est(final, half)}}
    seeds = ((0.4, 0.5, 0.6), accuracies, (0.4, 0.5, 0.6))
    points = [Points([4, 8, 12], [0.3, 0.2, 0.1], list(each)) for each in seeds]
    return some(
        Forecasts, fitted=[4] * 3, fitted_share=fitted, steps=100.0, points=points, **errors
    )


@pytest.mark.parametrize("figure", ["5", "5b"])
def test_forecast(figure: str) -> None:
    assert verdict(figure, forecast(0.0189, 0.0189)) == YES
    assert verdict(figure, forecast(0.0191, 0.0)) == UNDECIDED
    assert verdict(figure, forecast(0.0211, 0.0)) == NO
    assert verdict(figure, forecast(0.0, 0.0211)) == NO
    text = judged(figure, forecast(0.0114, 0.0236)).measured
    assert text == (
        "RMSE 1.1 ± 0.1 %, final step 2.4 ± 0.1 %, from the first 12% of 100 RL steps (4 points)"
    )
    # three points of a run with few validations are no first 15 %
    assert verdict(figure, forecast(0.01, 0.01, fitted=0.2)) == YES
    assert verdict(figure, forecast(0.01, 0.01, fitted=0.21)) == OPEN
    assert "2 %" in claim(figure).rule and "both" in claim(figure).rule
    still = judged(figure, forecast(0.0, 0.0, accuracies=(0.3, 0.3, 0.3)))
    assert still.verdict == OPEN and "the accuracy of a seed does not change" in still.measured
    assert "stands still" in claim(figure).rule


@pytest.mark.parametrize("figure", ["5", "5b"])
def test_rivals_are_compared_by_pairs(figure: str) -> None:
    def errors(**values: list[float]) -> Forecasts:
        rmse = {name: Estimate(each, sum(each) / len(each), 0.01) for name, each in values.items()}
        return some(Forecasts, rmse=rmse)

    # differences 0.010, 0.011, 0.012: mean 0.011, half width 0.001 * 4.303 / sqrt 3 = 0.0025,
    # though the values themselves are far apart
    ahead = errors(law=[0.01, 0.05, 0.09], sigmoid=[0.02, 0.061, 0.102])
    found = judged(figure, ahead, 1)
    assert found.verdict == YES
    assert found.measured == "RMSE: law 5.0 ± 1.0 %, sigmoid 6.1 ± 1.0 %"
    # differences 0, 0.01, 0.02: mean 0.01, half width 0.01 * 4.303 / sqrt 3 = 0.0248
    wide = errors(law=[0.01] * 3, sigmoid=[0.01, 0.02, 0.03])
    assert verdict(figure, wide, 1) == UNDECIDED
    assert judged(figure, wide, 1).measured.endswith("; about 7 seeds would decide")
    both = errors(law=[0.01] * 3, sigmoid=[0.02] * 3, last=[0.01] * 3)
    assert verdict(figure, both, 1) == NO  # one of two is not beaten
    # a line in H reads the entropies too: it is asked for by itself
    line = errors(law=[0.0109, 0.011, 0.0111], sigmoid=[0.02] * 3, **{"linear in H": [0.009] * 3})
    assert verdict(figure, line, 1) == YES and verdict(figure, line, 2) == NO
    assert judged(figure, line, 2).numbers == "RMSE: law 1.1 ± 1.0 %, linear in H 0.9 ± 1.0 %"
    assert verdict(figure, errors(law=[0.01], sigmoid=[0.5]), 1) == OPEN
    assert "each paired difference above 0" in claim(figure, 1).rule


def test_one_law_for_all() -> None:
    def one(worse: Estimate | None, *missing: str, r2: float = 0.95) -> Algorithms:
        fit = LawFit(0.3, 1.1, 0.8, 0.9, 0.03, 40)
        laws = {"GRPO": law(0.95, 0.1), "RLOO": law(r2, 0.1)}
        return Algorithms(laws, fit, 0.02, worse, list(missing))

    assert verdict("6", one(est(1.1, 0.14))) == YES
    assert verdict("6", one(est(1.1, 0.16))) == UNDECIDED
    assert verdict("6", one(est(1.4, 0.16))) == UNDECIDED
    assert verdict("6", one(est(1.4, 0.14))) == NO
    assert verdict("6", one(est(1.0, 0.1), "PRIME")) == OPEN
    assert verdict("6", one(None)) == OPEN
    assert judged("6", one(est(1.5, 0.1))).measured == (
        "RMSE 0.030 with one (a, b), 0.020 with one each; residual standard error by seed "
        "\N{MULTIPLICATION SIGN}1.50 ± 0.10"
    )
    assert "below 1.25" in claim("6").rule and "fits as in Fig. 3" in claim("6").rule
    # noise makes laws look alike
    noisy = judged("6", one(est(1.1, 0.1), r2=0.91))
    assert noisy.verdict == UNDECIDED
    assert "; the law is not seen to fit RLOO (R² 0.91 ± 0." in noisy.measured
    assert noisy.decision.remedy and noisy.measured.endswith("seeds would decide")
    assert verdict("6", one(est(1.1, 0.1), r2=0.2)) == OPEN  # no law that could be one
    assert verdict("6", one(est(1.5, 0.1), r2=0.91)) == NO


def ladder(
    r2_a: Estimate | None = None,
    r2_b: Estimate | None = None,
    sizes: int = len(WIDTHS),
    **errors: Estimate | None,
) -> Ladder:
    certain = est(0.95, 0.01)
    r2 = {"a": r2_a or certain, "b": r2_b or certain, "ceiling": None}
    size = {name: coefficient(0.5, 0.1) for name in r2}
    trends = {
        name: some(
            Trend, predicted=0.512, measured=0.5, r2_by_seed=r2[name],
            error_by_seed=errors.get(name, est(0.012, 0.05)),
        )
        for name in r2
    }  # fmt: skip
    each = some(Size, parameters=94912.0, **size)
    return some(Ladder, metrics=LawMetrics(), trends=trends, sizes=[each] * sizes)


def test_trend_of_the_ladder() -> None:
    high, wide, low = est(0.95, 0.04), est(0.95, 0.06), est(0.7, 0.1)
    assert verdict("7", ladder(high, high)) == YES
    assert verdict("7", ladder(wide, high)) == verdict("7", ladder(high, wide)) == UNDECIDED
    assert verdict("7", ladder(low, high)) == verdict("7", ladder(high, low)) == NO
    assert verdict("7", ladder(est(float("nan"), 0.1), high)) == OPEN
    text = judged("7", ladder(est(0.954, 0.01), est(0.99, 0.01))).measured
    assert (
        text == "R² by seed, val/accuracy of entropy/token_mean, of a 0.95 ± 0.01, of b 0.99 ± 0.01"
    )
    assert "above 0.9" in claim("7").rule


def test_extrapolation_of_the_ladder() -> None:
    assert verdict("7", ladder(), 1) == YES
    for name in ("a", "b", "ceiling"):
        assert verdict("7", ladder(**{name: est(0.29, 0.1)}), 1) == NO
        assert verdict("7", ladder(**{name: est(-0.012, 0.1)}), 1) == UNDECIDED
        assert verdict("7", ladder(**{name: None}), 1) == OPEN
        assert name in claim("7", 1).rule
    assert "within ±0.1" in claim("7", 1).rule
    # without the largest size another one is the largest
    assert verdict("7", ladder(sizes=5), 1) == OPEN and verdict("7", ladder(sizes=5)) == YES
    assert judged("7", ladder(sizes=5), 1).measured.startswith("5 of 6 sizes; a: predicted 0.51")
    assert judged("7", ladder(), 1).measured == "; ".join(
        f"{name}: predicted 0.51, measured 0.50, error by seed +0.01 ± 0.05"
        for name in ("a", "b", "ceiling")
    )


@pytest.mark.parametrize(
    "a, b, expected",
    [
        (est(0.1, 0.04), est(0.0, 0.2), YES),  # one of the two is enough
        (est(0.0, 0.2), est(-0.1, 0.04), YES),
        (est(0.1, 0.06), est(0.0, 0.01), UNDECIDED),
        (est(0.04, 0.2), est(0.0, 0.01), UNDECIDED),
        (est(0.02, 0.02), est(-0.02, 0.02), NO),
        (est(0.1), est(0.0, 0.01), OPEN),
        (None, est(0.1, 0.01), YES),
    ],
)
def test_distributions(a: Estimate | None, b: Estimate | None, expected: str) -> None:
    laws = {
        label: some(Law, a=coefficient(0.5, 0.1), b=coefficient(1.1, 0.1))
        for label in ("long", "short")
    }
    found = judged("13", some(Distributions, laws=laws, differences={"a": a, "b": b}))
    assert found.verdict == expected
    one = "a 0.50 [0.40, 0.60], b 1.10 [1.00, 1.20]"
    assert found.measured.startswith(
        f"long: {one}; short: {one}; difference of a {show(a, 2, True)}; difference of b "
    )
    assert "beyond ±0.05" in claim("13").rule


def test_tables_show_what_is_not_there_as_such() -> None:
    (table,) = law_table([law(float("nan"), 0.1), law(0.9, None)])
    assert table.rows == [
        ["GRPO", "0.30 [0.20, 0.40]", "1.10 [1.00, 1.20]", "0.80", "n/a", "0.012 ± 0.002", "none"],
        ["GRPO", "0.30", "1.10 [1.00, 1.20]", "0.80", "0.90 ± 0.02", "0.012 ± 0.002", "none"],
    ]
    (alone,) = law_table([law(0.9, 0.1, "One.", "Two.")])
    assert alone.rows[0][0] == "GRPO" and alone.rows[0][-1] == "One. Two."
    (ahead,) = forecast_table(forecast(0.0114, 0.0236, None))
    assert ahead.rows == [["law", "1.1 %", "2.4 %"]]
    (sizes,) = ladder_table(ladder(sizes=1))
    assert sizes.rows == [["94,912", *["0.50 [0.40, 0.60]"] * 3]]
    for each in (table, alone, ahead, sizes):
        assert all(len(row) == len(each.header) for row in each.rows)
