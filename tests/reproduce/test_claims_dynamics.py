"""Claims of section 3 and the controls, on both sides of each threshold."""

from dataclasses import replace

import pytest
from reproduce.claim_judging import NO, OPEN, UNDECIDED, YES, claim, est, judged, some, verdict

from lit_entropy.figures.controls import SINGLE, Control, controls_table
from lit_entropy.figures.dynamics import FallAndCovariance
from lit_entropy.figures.entries import Judgement
from lit_entropy.figures.estimates import Estimate, estimate
from lit_entropy.figures.matches import MATCHES, Agreement, Agreements
from lit_entropy.figures.matching import dynamics_table
from lit_entropy.figures.tail import Share, Tail, tail_table


def test_positive_covariance() -> None:
    def share(mean: float) -> FallAndCovariance:
        return some(FallAndCovariance, positive_share=est(mean, 0.02))

    assert verdict("8", share(0.93)) == YES
    assert verdict("8", share(0.91)) == verdict("8", share(0.89)) == UNDECIDED
    assert verdict("8", share(0.87)) == NO
    assert verdict("8", some(FallAndCovariance, positive_share=est(1.0, 0.0))) == YES
    text = judged("8", some(FallAndCovariance, positive_share=est(0.934, 0.021))).measured
    assert text == "positive at 93 ± 2 % of the RL steps"
    assert "90 %" in claim("8").rule


@pytest.mark.parametrize(
    "correlation, expected, text",
    [
        (est(0.8, 0.1), YES, "0.80 ± 0.10"),
        (est(0.25, 0.3), UNDECIDED, "0.25 ± 0.30; about 4 seeds would decide"),
        (est(-0.2, 0.1), NO, "-0.20 ± 0.10"),
        (est(0.8), OPEN, "0.80"),
        (None, OPEN, "n/a"),
    ],
)
def test_shape(correlation: Estimate | None, expected: str, text: str) -> None:
    found = judged("8", some(FallAndCovariance, correlation=correlation), 1)
    assert found.verdict == expected
    assert found.measured == f"correlation of the smoothed curves {text}"


def test_order_by_accuracy() -> None:
    bins = {"low": est(0.001), "middle": est(0.0023, 0.0001), "high": est(0.01)}

    def order(first: Estimate | None, second: Estimate | None) -> Judgement:
        steps = {"middle_minus_low": first, "high_minus_middle": second}
        return judged("8", some(FallAndCovariance, by_accuracy=bins, ordered=2 / 3, **steps), 2)

    up, wide, down = est(0.02, 0.01), est(0.01, 0.02), est(-0.02, 0.01)
    assert order(up, up).measured == (
        "low 0.0010, middle 0.0023 ± 0.0001, high 0.0100; ordered in 67% of the seeds"
    )
    assert order(up, up).verdict == YES
    assert order(wide, up).verdict == order(up, wide).verdict == UNDECIDED
    assert order(down, up).verdict == order(up, down).verdict == NO
    assert order(up, None).verdict == OPEN
    assert "above 0" in claim("8", 2).rule


def matches(*, opposed: int = 0, slope: float = 1.1, **r2: float | None) -> Agreements:
    """Agreement by label: R², slope ± 0.1 and 80 % of the signs."""
    return {
        label: {
            match.name: Agreement(
                20,
                est(slope, 0.1),
                None if value is None else est(value, 0.01),
                est(0.8),
                5,
                opposed,
            )
            for match in MATCHES
        }
        for label, value in r2.items()
    }


@pytest.mark.parametrize("number, least", [(0, 0.9), (1, 0.5)])
def test_lemma_and_theorem(number: int, least: float) -> None:
    assert verdict("dynamics", matches(GRPO=least + 0.011, other=1.0), number) == YES
    assert verdict("dynamics", matches(GRPO=least + 0.009, other=1.0), number) == UNDECIDED
    assert verdict("dynamics", matches(GRPO=least - 0.011, other=1.0), number) == NO
    assert verdict("dynamics", matches(GRPO=1.0, other=None), number) == OPEN
    assert f"{least:g}" in claim("dynamics", number).rule
    measures = matches(GRPO=0.954)
    wrong = est(0.1)  # the other predictions do not count
    name = ("lemma1_fixed", "theorem2_on_policy")[number]
    for other in measures["GRPO"]:
        if other != name:
            measures["GRPO"][other] = Agreement(20, wrong, wrong, wrong, 5, 0)
    found = judged("dynamics", measures, number)
    tail = ("slope 1.10 ± 0.10", "slope 1.10 ± 0.10, sign 80 %")[number]
    assert (found.verdict, found.measured) == (YES, f"GRPO: R² 0.95 ± 0.01, {tail}")
    against = judged("dynamics", matches(GRPO=0.954, opposed=2), number)
    assert against.measured == f"GRPO: R² 0.95 ± 0.01 (2 of 5 opposed), {tail}"
    # R² does not know the sign: entropy that moves against the prediction is no match
    assert verdict("dynamics", matches(GRPO=1.0, slope=-10.0), number) == NO
    assert verdict("dynamics", matches(GRPO=1.0, slope=0.05), number) == UNDECIDED
    assert "slope above 0" in claim("dynamics", number).rule


def test_tail() -> None:
    def rows(times: Estimate | None) -> Tail:
        top = Share(2e-4, "cov/top_2e-4", est(5.0, 0.5), 5.654, times)
        return Tail(1.0, [0], [top, Share(1.0, "cov/mean", est(0.02), 0.003, est(1.0))])

    assert verdict("table-1", rows(est(150.0, 49.0))) == YES
    assert verdict("table-1", rows(est(150.0, 51.0))) == UNDECIDED
    assert verdict("table-1", rows(est(90.0, 9.0))) == NO
    assert verdict("table-1", rows(None)) == OPEN
    assert judged("table-1", rows(est(250.0, 40.0))).measured == (
        "top 0.02 %: 5.00 ± 0.50, mean 0.020: \N{MULTIPLICATION SIGN}250 ± 40"
    )
    assert "above 100" in claim("table-1").rule
    (table,) = tail_table(rows(est(1234.5, 10.0)))
    assert table.rows == [
        ["top 0.02 %", "5.000 ± 0.500", "5.654", "1234.5 ± 10.0"],
        ["all", "0.020", "0.003", "1.0"],
    ]
    assert tail_table(rows(None))[0].rows[0][-1] == ""


def control(
    last: float = 0.5,
    gain: Estimate | None = None,
    covariance: Estimate | None = None,
    penalty: Estimate | None = None,
) -> Control:
    return Control(
        seeds=[0, 1, 2],
        entropy_kept=est(last, 0.1),
        entropy_first=est(1.0, 0.1),
        entropy_last=est(last, 0.1),
        answer_entropy_first=None,
        answer_entropy_last=None,
        accuracy_gain=gain or est(0.01, 0.02),
        covariance=covariance or est(0.001, 0.002),
        penalty=penalty,
    )


@pytest.mark.parametrize(
    "last, gain, expected",
    [
        (0.79, est(0.0, 0.01), YES),
        (0.81, est(0.0, 0.01), UNDECIDED),
        (1.01, est(0.0, 0.01), NO),  # it does not fall by a tenth
        (0.5, est(0.01, 0.02), UNDECIDED),
        (0.5, est(0.05, 0.02), NO),  # learnt something
        (0.5, est(-0.3, 0.02), YES),
        (0.5, est(0.3), OPEN),
    ],
)
def test_random_rewards(last: float, gain: Estimate, expected: str) -> None:
    found = judged("controls", {"random rewards": control(last, gain)})
    assert found.verdict == expected
    levels = (
        f"entropy 1.000 ± 0.100 to {last:.3f} ± 0.100 (\N{MULTIPLICATION SIGN}{last:.2f} ± 0.10)"
    )
    assert found.measured.startswith(f"{levels}, accuracy ")
    assert f"{gain.mean:+.3f}" in found.measured


@pytest.mark.parametrize(
    "values, expected",
    [
        # shares of GRPO's 0.04: mean 0.025, half width 0.025 * 4.303 / sqrt 3 = 0.062
        ([0.0, 0.001, 0.002], YES),
        # half width 0.124
        ([-0.001, 0.001, 0.003], UNDECIDED),
        ([0.03, 0.031, 0.032], NO),
        ([-0.03, -0.031, -0.032], NO),
        ([0.0], OPEN),
    ],
)
def test_shuffled_advantages(values: list[float], expected: str) -> None:
    covariance = Estimate(values, sum(values) / len(values), None)
    shuffled = replace(control(covariance=covariance), seeds=list(range(len(values))))
    measures = {"shuffled advantages": shuffled}
    assert verdict("controls", measures, 1) == OPEN  # nothing beside it
    beside = judged("controls", measures | {"GRPO": control(covariance=est(0.04, 0.0))}, 1)
    assert beside.verdict == expected and ", GRPO's 0.04000 ± 0.00000: " in beside.measured
    assert "within ±0.1" in claim("controls", 1).rule


def test_single_update() -> None:
    def penalties(*values: float) -> dict[str, Control]:
        return {SINGLE: control(penalty=estimate(values))}

    found = judged("controls", penalties(0.0, 2e-7, 1e-7), 2)
    assert (found.verdict, found.measured) == (YES, "largest penalty 2.0e-07 nats")
    assert verdict("controls", penalties(0.0, 0.0, 1.5e-6), 2) == UNDECIDED
    assert verdict("controls", penalties(1e-3, 1.1e-3, 1e-3), 2) == NO
    assert "1e-6" in claim("controls", 2).rule


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_control_without_runs_is_open(number: int) -> None:
    for found in (
        judged("controls", {"GRPO": control()}, number),
        judged("controls", {SINGLE: control()}, 2),
    ):
        assert (found.verdict, found.measured) == (OPEN, "no such run")


def test_tables() -> None:
    (table,) = dynamics_table(matches(GRPO=0.5, other=None))
    assert len(table.rows) == 2 * len(MATCHES)
    assert table.rows[1] == ["Lemma 1, fixed states", "other", "20", "1.10 ± 0.10", "n/a", "80 %",
                             "n/a"]  # fmt: skip
    (rows,) = controls_table({"GRPO": control(0.5, est(0.3, 0.1))})
    assert rows.rows == [
        ["GRPO", "1.000 ± 0.100", "0.500 ± 0.100", "n/a", "n/a", "+0.300 ± 0.100",
         "0.00100 ± 0.00200"]
    ]  # fmt: skip
    assert len(rows.header) == len(rows.rows[0]) and len(table.header) == len(table.rows[0])
