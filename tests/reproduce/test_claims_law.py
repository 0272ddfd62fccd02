"""Claims of section 2, on both sides of each threshold, and where nothing can be judged."""

import pytest
from reproduce.claim_judging import NO, OPEN, YES, claim, coefficient, est, judged, some, verdict

from lit_entropy.figures.coefficients import Law, Points
from lit_entropy.figures.collapse import Collapse
from lit_entropy.figures.comparison import Algorithms, Comparison
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.forecast import Forecasts, forecast_table
from lit_entropy.figures.ladder import Ladder, Size, Trend, ladder_table
from lit_entropy.figures.law import law_table
from lit_entropy.figures.spending import Mark, Spending
from lit_entropy.functional.law import LawFit


@pytest.mark.parametrize(
    "lost, gain, expected", [(0.75, 0.1, YES), (0.7499, 0.1, NO), (0.9, 0.0, NO), (0.9, -0.1, NO)]
)
def test_collapse(lost: float, gain: float, expected: str) -> None:
    found = judged("1", some(Collapse, entropy_lost=lost, gain=gain, seeds=3))
    assert found.verdict == expected
    assert found.measured == f"entropy lost {100 * lost:.0f}%, accuracy {gain:+.3f}, 3 seeds"
    assert "75 %" in claim("1").rule and "a gain in accuracy" in claim("1").rule


@pytest.mark.parametrize("number, least, words", [(0, 0.5, "half"), (1, 2 / 3, "two thirds")])
def test_shares_of_fall_and_gain(number: int, least: float, words: str) -> None:
    def marks(entropy: float, gain: float) -> Spending:
        mark = some(Mark, entropy=est(entropy, 0.02), gain=est(gain, 0.03))
        other = some(Mark, entropy=est(0.0), gain=est(0.0))
        return some(Spending, marks=[mark, other] if number == 0 else [other, mark])

    assert verdict("2", marks(least, least), number) == YES
    assert verdict("2", marks(least - 1e-6, 1.0), number) == NO
    assert verdict("2", marks(1.0, least - 1e-6), number) == NO
    text = judged("2", marks(0.814, 0.9), number).measured
    assert text == "81 ± 2 % of the entropy, 90 ± 3 % of the gain"
    assert words in claim("2", number).rule and "both" in claim("2", number).rule


def law(r2: float, half: float | None, *caveats: str) -> Law:
    """What is measured of one law, a = 0.3, b = 1.1, ceiling 0.8."""
    return some(
        Law,
        label="GRPO",
        r2=est(r2, 0.02),
        rmse=est(0.0123, 0.002),
        a=coefficient(0.3, half),
        b=coefficient(1.1, 0.1),
        ceiling=coefficient(0.8),
        caveats=list(caveats),
    )


@pytest.mark.parametrize("figure", ["3", "4"])
def test_fit(figure: str) -> None:
    assert verdict(figure, law(0.9, 0.29)) == YES
    assert verdict(figure, law(0.8999, 0.29)) == NO
    assert verdict(figure, law(0.99, 0.3)) == NO  # the interval of a touches 0
    assert verdict(figure, law(0.99, None)) == OPEN
    # equal accuracies have no R²
    assert judged(figure, law(float("nan"), 0.1)) == (
        None,
        "R² = n/a, RMSE 1.2 ± 0.2 %, a = 0.30 [0.20, 0.40]",
    )
    text = judged(figure, law(0.954, 0.1)).measured
    assert text == "R² = 0.95 ± 0.02, RMSE 1.2 ± 0.2 %, a = 0.30 [0.20, 0.40]"
    assert "0.9" in claim(figure).rule and "a above 0" in claim(figure).rule


def forecast(
    rmse: float, final: float, half: float | None = 0.001, fitted: float = 0.12
) -> Forecasts:
    errors = {"rmse": {"law": est(rmse, half)}, "final_error": {"law": est(final, half)}}
    points = [some(Points, step=[0.0, 4.0, 8.0, 12.0, 100.0])] * 3
    return some(Forecasts, fitted=[4] * 3, fitted_share=fitted, points=points, **errors)


@pytest.mark.parametrize("figure", ["5", "5b"])
def test_forecast(figure: str) -> None:
    assert verdict(figure, forecast(0.02, 0.02)) == YES
    assert verdict(figure, forecast(0.0201, 0.0)) == NO
    assert verdict(figure, forecast(0.0, 0.0201)) == NO
    text = judged(figure, forecast(0.0114, 0.0236)).measured
    assert text == (
        "RMSE 1.1 ± 0.1 %, final step 2.4 ± 0.1 %, from the first 12% of 100 RL steps (4 points)"
    )
    # three points of a run with few validations are no first 15 %
    assert verdict(figure, forecast(0.01, 0.01, fitted=0.2)) == YES
    assert verdict(figure, forecast(0.01, 0.01, fitted=0.21)) == OPEN
    assert "2 %" in claim(figure).rule and "both" in claim(figure).rule


@pytest.mark.parametrize("figure", ["5", "5b"])
def test_rivals_are_compared_by_pairs(figure: str) -> None:
    def errors(**values: list[float]) -> Forecasts:
        rmse = {name: Estimate(each, sum(each) / len(each), 0.01) for name, each in values.items()}
        return some(Forecasts, rmse=rmse)

    # differences 0.010, 0.011, 0.012: mean 0.011, half width 0.001 * 4.303 / sqrt 3 = 0.0025,
    # though the values themselves are far apart
    ahead = errors(law=[0.01, 0.05, 0.09], sigmoid=[0.02, 0.061, 0.102])
    assert judged(figure, ahead, 1) == (True, "RMSE: law 5.0 ± 1.0 %, sigmoid 6.1 ± 1.0 %")
    # differences 0, 0.01, 0.02: mean 0.01, half width 0.01 * 4.303 / sqrt 3 = 0.0248
    assert verdict(figure, errors(law=[0.01] * 3, sigmoid=[0.01, 0.02, 0.03]), 1) == NO
    both = errors(law=[0.01] * 3, sigmoid=[0.02] * 3, linear=[0.01] * 3)
    assert verdict(figure, both, 1) == NO  # one of two is not beaten
    assert verdict(figure, errors(law=[0.01], sigmoid=[0.5]), 1) == OPEN
    assert "each paired difference above 0" in claim(figure, 1).rule


def test_one_law_for_all() -> None:
    def one(shared: float, separate: float, *missing: str) -> Algorithms:
        fit = LawFit(0.3, 1.1, 0.8, 0.9, shared, 40)
        return Algorithms({}, fit, separate, list(missing))

    assert verdict("6", one(0.25, 0.2)) == YES
    assert verdict("6", one(0.2501, 0.2)) == NO
    assert verdict("6", one(0.2, 0.2, "PRIME")) == OPEN
    text = judged("6", one(0.03, 0.02)).measured
    assert text == "RMSE 0.030 with one (a, b), 0.020 with one each: ratio 1.50"
    # fits without any error have no ratio
    assert judged("6", one(0.0, 0.0)) == (True, "RMSE 0.000 with one (a, b), 0.000 with one each")
    assert verdict("6", one(0.01, 0.0)) == NO
    assert "25 % worse" in claim("6").rule


def ladder(a: float = 0.95, b: float = 0.95, bounded: bool = True, wrong: str = "") -> Ladder:
    r2 = {"a": a, "b": b, "ceiling": 0.1}
    size = {name: coefficient(0.5, 0.1 if bounded else None) for name in r2}
    trends = {
        name: some(Trend, r2=r2[name], predicted=0.512, measured=0.5, within=name != wrong)
        for name in r2
    }
    return some(Ladder, trends=trends, sizes=[some(Size, parameters=94912.0, **size)])


def test_trend_of_the_ladder() -> None:
    assert verdict("7", ladder(0.9, 0.9)) == YES
    assert verdict("7", ladder(0.8999, 1.0)) == NO
    assert verdict("7", ladder(1.0, 0.8999)) == NO
    assert verdict("7", ladder(float("nan"), 1.0)) == OPEN
    assert judged("7", ladder(0.954, 0.99)).measured == "R² of a 0.95, of b 0.99"
    assert "0.9" in claim("7").rule


def test_extrapolation_of_the_ladder() -> None:
    assert verdict("7", ladder(), 1) == YES
    for name in ("a", "b", "ceiling"):
        assert verdict("7", ladder(wrong=name), 1) == NO
        assert name in claim("7", 1).rule
    assert verdict("7", ladder(bounded=False), 1) == OPEN
    assert judged("7", ladder(), 1).measured == "; ".join(
        f"{name}: predicted 0.51, measured 0.50" for name in ("a", "b", "ceiling")
    )


@pytest.mark.parametrize(
    "a, b, expected",
    [
        (((0.2, 0.1), (0.3, 0.1)), ((1.1, 0.1), (1.2, 0.1)), NO),
        (((0.2, 0.1), (0.35, 0.04)), ((1.1, 0.1), (1.2, 0.1)), YES),
        (((0.2, 0.1), (0.3, 0.1)), ((1.25, 0.05), (1.05, 0.05)), YES),
        (((0.25, 0.125), (0.5, 0.125)), ((1.1, 0.1), (1.1, 0.1)), NO),  # they touch
        (((0.2, 0.1), (0.55, 0.05)), ((1.0, None), (1.1, 0.1)), OPEN),
    ],
)
def test_distributions(a: tuple, b: tuple, expected: str) -> None:
    laws = {
        label: some(Law, a=coefficient(*a[i]), b=coefficient(*b[i]))
        for i, label in enumerate(("long", "short"))
    }
    found = judged("13", some(Comparison, laws=laws))
    assert found.verdict == expected
    (mean, half), (other, _) = a
    first = f"long: a {mean:.2f} [{mean - half:.2f}, {mean + half:.2f}], b {b[0][0]:.2f}"
    assert found.measured.startswith(first) and f"; short: a {other:.2f}" in found.measured
    assert "disjoint" in claim("13").rule


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
    (sizes,) = ladder_table(ladder())
    assert sizes.rows == [["94,912", *["0.50 [0.40, 0.60]"] * 3]]
    for each in (table, alone, ahead, sizes):
        assert all(len(row) == len(each.header) for row in each.rows)
