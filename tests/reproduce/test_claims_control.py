"""Claims of section 4: bonuses, reference KL, the covariance methods and their knobs."""

import pytest
from reproduce.claim_judging import NO, OPEN, UNDECIDED, YES, claim, est, judged, some, verdict

from lit_entropy.figures.by_difficulty import difficulty_tables
from lit_entropy.figures.control import BONUS_COEFFICIENTS, sweep_table
from lit_entropy.figures.difficulty_scores import DifficultyScores, Row
from lit_entropy.figures.estimates import Estimate, Paired
from lit_entropy.figures.knobs import Knob
from lit_entropy.figures.matched import Matched
from lit_entropy.figures.methods import METHODS, Methods, methods_table
from lit_entropy.figures.outcomes import Levels
from lit_entropy.figures.sweeps import Sweep

BOTH = ("Clip-Cov", "KL-Cov")


def sweep(ratios: dict[float, float], accuracy: float = 0.75, half: float = 0.01) -> Sweep:
    """Entropy as multiples of 0.1 nats; accuracy 0.75 but at the last coefficient."""
    accuracies = [0.75] * (len(ratios) - 1) + [accuracy]
    return some(
        Sweep,
        coefficients=list(ratios),
        entropy_ratio=[est(ratio, half) for ratio in ratios.values()],
        accuracy_gain=[est(value - 0.75, 0.01) for value in accuracies],
        entropy=[est(0.1 * ratio, 0.01) for ratio in ratios.values()],
        accuracy=[est(value, 0.02) for value in accuracies],
    )


@pytest.mark.parametrize(
    "small, larger, expected",
    [
        (1.0, 1.0, YES),
        (0.68, 1.48, YES),
        (1.495, 1.0, UNDECIDED),
        (1.505, 1.0, UNDECIDED),
        (1.511, 1.0, NO),
        (1.0, 0.65, NO),
        (1.0, 1.511, NO),
    ],
)
def test_small_bonus(small: float, larger: float, expected: str) -> None:
    found = judged("9", sweep({0.0: 1.0, 1e-4: small, 1e-3: larger, 1e-2: 99.0}))
    assert found.verdict == expected
    assert "factor of 1.5" in claim("9").rule
    middle = f"; 0.0001: H \N{MULTIPLICATION SIGN}{small:.2f} ± 0.01, 0.75 ± 0.02; 0.001: H "
    assert middle in found.measured


def test_bonuses_that_were_not_run_are_open() -> None:
    for there in ({0.0: 1.0, 1e-3: 1.0}, {0.0: 1.0, 1e-4: 1.0}):
        assert verdict("9", sweep(there)) == OPEN
        assert verdict("9", sweep(there), 1) == OPEN
    assert sweep({0.0: 1.0, 1e-2: 2.0}).place(0.01) == 1
    assert sweep({0.0: 1.0, 1e-2: 2.0}).place(0.011) is None


def test_large_bonus() -> None:
    found = judged("9", sweep({0.0: 1.0, 0.3: 10.02}), 1)
    assert found.verdict == YES
    assert found.measured == "\N{MULTIPLICATION SIGN}10.02 ± 0.01 at 0.3"
    assert verdict("9", sweep({0.0: 1.0, 1e-2: 50.0, 0.3: 10.0}), 1) == UNDECIDED
    assert verdict("9", sweep({0.0: 1.0, 0.3: 9.98, 1.0: 50.0}), 1) == NO
    assert verdict("9", sweep({0.0: 1.0, 1e-2: 50.0}), 1) == OPEN
    assert "at 0.3" in claim("9", 1).rule and BONUS_COEFFICIENTS[-1] == 0.3
    assert "above 10" in claim("9", 1).rule


@pytest.mark.parametrize(
    "ratio, accuracy, expected",
    [
        (1.52, 0.71, YES),
        (1.5, 0.5, UNDECIDED),
        (1.48, 0.5, NO),
        (9.0, 0.725, UNDECIDED),
        (9.0, 0.745, NO),
        (9.0, 0.9, NO),
    ],
)
def test_reference_kl(ratio: float, accuracy: float, expected: str) -> None:
    found = judged("10", sweep({0.0: 1.0, 1e-2: 20.0, 1.0: ratio}, accuracy))
    assert found.verdict == expected
    words = (
        f"1: H \N{MULTIPLICATION SIGN}{ratio:.2f} ± 0.01, {accuracy:.2f} ± 0.02; accuracy at the "
        f"largest {100 * (accuracy - 0.75):+.1f} ± 1.0 points"
    )
    assert words in found.measured
    assert verdict("10", sweep({0.0: 1.0, 1e-1: ratio}, accuracy)) == OPEN  # not the largest
    assert "1.5 times" in claim("10").rule and "more than 2 points" in claim("10").rule


def test_sweep_table() -> None:
    (table,) = sweep_table(sweep({0.0: 1.0, 1e-4: 2.5}, 0.5))
    assert table.rows == [
        ["0", "0.100 ± 0.010", "1.00 ± 0.01", "0.750 ± 0.020"],
        ["0.0001", "0.250 ± 0.010", "2.50 ± 0.01", "0.500 ± 0.020"],
    ]


def methods(matched: Matched | None = None, **changed: dict[str, object]) -> Methods:
    """What Fig. 11 measures; keys of ``changed`` are method names without the hyphen."""
    numbers = {
        "entropy_first": est(0.4),
        "entropy_plateau": est(0.1, 0.01),
        "entropy_ratio": est(1.0, 0.1),
        "entropy_gain": est(0.05, 0.01),
        "length_first": est(10.0),
        "length_plateau": est(12.0),
        "length_gain": est(0.0, 0.1),
        "accuracy": est(0.7),
        "accuracy_gain": est(0.02, 0.01),
        "late_change": est(0.0, 0.01),
    }
    found = {
        name: some(Levels, **numbers | changed.get(name.replace("-", ""), {})) for name in METHODS
    }
    return Methods(found, matched, "no tokens")


def test_ten_times() -> None:
    def ratio(mean: float) -> Methods:
        """KL-Cov's; Clip-Cov's is large and does not count."""
        large = {"entropy_ratio": est(20.0, 0.1)}
        return methods(KLCov={"entropy_ratio": est(mean, 0.5)}, ClipCov=large)

    found = judged("11", ratio(10.6), 1)
    assert (found.verdict, found.measured) == (YES, "10.6 ± 0.5 times GRPO's plateau")
    assert verdict("11", ratio(10.4), 1) == verdict("11", ratio(9.6), 1) == UNDECIDED
    assert verdict("11", ratio(9.4), 1) == NO


@pytest.mark.parametrize("number, key", [(0, "entropy_gain"), (3, "accuracy_gain")])
def test_gains_of_both_methods(number: int, key: str) -> None:
    assert verdict("11", methods(), number) == YES
    for method in ("ClipCov", "KLCov"):
        assert verdict("11", methods(**{method: {key: est(0.02, 0.02)}}), number) == UNDECIDED
        assert verdict("11", methods(**{method: {key: est(-0.03, 0.02)}}), number) == NO
        assert verdict("11", methods(**{method: {key: est(0.02)}}), number) == OPEN
        assert verdict("11", methods(**{method: {key: None}}), number) == OPEN
    assert "above 0 for both" in claim("11", number).rule


def test_gains_in_words() -> None:
    measures = methods(
        ClipCov={"entropy_gain": est(0.05, 0.01), "entropy_ratio": est(1.5, 0.1)},
        KLCov={"accuracy_gain": est(-0.0131, 0.002)},
    )
    times = "\N{MULTIPLICATION SIGN}"
    assert judged("11", measures).measured == (
        f"Clip-Cov +0.050 ± 0.010 nats ({times}1.5 ± 0.1); KL-Cov +0.050 ± 0.010 nats "
        f"({times}1.0 ± 0.1)"
    )
    assert judged("11", measures, 3).measured == (
        "Clip-Cov +2.0 ± 1.0 points; KL-Cov -1.3 ± 0.2 points"
    )


def test_length() -> None:
    longer = {"length_plateau": est(12.5, 0.1), "length_gain": est(0.5, 0.4)}
    found = judged("11", methods(ClipCov=longer, KLCov=longer), 2)
    assert found.verdict == YES
    assert found.measured == (
        "GRPO 10.0 to 12.0; Clip-Cov 10.0 to 12.5 ± 0.1; KL-Cov 10.0 to 12.5 ± 0.1"
    )
    assert verdict("11", methods(ClipCov=longer), 2) == UNDECIDED
    assert verdict("11", methods(KLCov=longer), 2) == UNDECIDED
    shorter = {"length_gain": est(-0.5, 0.4)}
    assert verdict("11", methods(ClipCov=longer, KLCov=shorter), 2) == NO
    same = {"length_gain": est(0.01, 0.08)}  # a task whose responses are all of one length
    assert verdict("11", methods(ClipCov=same, KLCov=same), 2) == OPEN
    assert verdict("11", methods(ClipCov=same, KLCov=shorter), 2) == NO


def test_instability() -> None:
    def change(mean: float) -> Methods:
        return methods(cliphigher={"late_change": est(mean, 0.01)})

    found = judged("11", change(-0.031), 4)
    words = "accuracy of the last fifth minus that at half time -0.031 ± 0.010"
    assert (found.verdict, found.measured) == (YES, words)
    assert verdict("11", change(-0.029), 4) == UNDECIDED
    assert verdict("11", change(-0.009), 4) == NO
    assert "below -2 points" in claim("11", 4).rule


def test_methods_table_tells_why_nothing_is_matched() -> None:
    (table,) = methods_table(methods())
    assert [row[0] for row in table.rows] == list(METHODS)
    assert table.rows[0][1:4] == ["0.400", "0.100 ± 0.010", "1.00 ± 0.10"]
    assert {row[-1] for row in table.rows} == {"no tokens"}
    matched = some(Matched, accuracy={name: est(0.6, 0.1) for name in METHODS})
    (table,) = methods_table(methods(matched))
    assert {row[-1] for row in table.rows} == {"0.600 ± 0.100"}
    assert all(len(row) == len(table.header) for row in table.rows)


@pytest.mark.parametrize("number, method", list(enumerate(BOTH)))
def test_steering(number: int, method: str) -> None:
    def knob(rank: Estimate | None, count: int = 6) -> dict[str, Knob]:
        values = [0.0, 0.05, 0.1, 0.5, 1.0, 2.0][:count]
        levels = [est(0.1 * i, 0.01) for i in range(count)]
        return {
            name: some(Knob, knob=values, entropy=levels, rank_correlation=correlation)
            for name, correlation in ((method, rank), (BOTH[1 - number], None))
        }

    assert verdict("12", knob(est(1.0, 0.0)), number) == YES
    assert verdict("12", knob(est(0.95, 0.06)), number) == UNDECIDED
    assert verdict("12", knob(est(0.8, 0.09)), number) == NO
    assert verdict("12", knob(est(-1.0, 0.0)), number) == NO
    assert verdict("12", knob(None), number) == OPEN
    assert verdict("12", knob(est(1.0, 0.0), 5), number) == OPEN
    text = judged("12", knob(est(0.95, 0.04)), number).measured
    assert text.startswith("0: 0.000 ± 0.010; 0.05: 0.100 ± 0.010; ")
    assert text.endswith("; rank correlation 0.95 ± 0.04")
    assert "over 6 values" in claim("12", number).rule and "0.9" in claim("12", number).rule


def test_steadier() -> None:
    def measures(clip: list[float], kl: list[float]) -> dict[str, Knob]:
        return {
            name: some(Knob, unsteadiness_of=dict(enumerate(values)))
            for name, values in (("Clip-Cov", clip), ("KL-Cov", kl))
        }

    # ratios 0.5, 0.6, 0.7: half width 0.1 * 4.303 / sqrt 3 = 0.25
    found = judged("12", measures([0.2, 0.3, 0.4], [0.1, 0.18, 0.28]), 2)
    assert found.verdict == UNDECIDED and "by seed, 0.60 ± 0.25; about" in found.measured
    # ratios 0.5, 0.5, 0.55: half width 0.0289 * 4.303 / sqrt 3 = 0.072
    found = judged("12", measures([0.2, 0.3, 0.4], [0.1, 0.15, 0.22]), 2)
    assert found.verdict == YES
    assert found.measured == (
        "relative deviation: Clip-Cov 0.300 ± 0.248, KL-Cov 0.157 ± 0.150; "
        "KL-Cov's over Clip-Cov's, by seed, 0.52 ± 0.07"
    )
    # as steady as the other, and a tenth steadier
    assert verdict("12", measures([0.1, 0.2, 0.3], [0.1, 0.2, 0.31]), 2) == NO
    assert verdict("12", measures([0.1, 0.2, 0.3], [0.09, 0.18, 0.27]), 2) == NO
    assert verdict("12", measures([0.2], [0.1]), 2) == OPEN
    assert judged("12", measures([0.2] * 3, []), 2).measured.startswith("too few RL steps")


BANDS = ("2-4", "5-7", "8-10", "11-12, unseen", "average")


def pairs(mean: float, half: float | None) -> Paired:
    """Differences of three seeds around a mean; of one seed without a half width."""
    step = None if half is None else half * 3**0.5 / 4.302652730
    values = [mean] if step is None else [mean - step, mean, mean + step]
    return Paired(values, mean, half, list(range(len(values))), None)


def table_2(**differences: Paired | None) -> DifficultyScores:
    """Gains of 3 ± 1 points, 5 on the longest trained chains, but for those given of KL-Cov."""
    other = {"average": "average", "hardest": "8-10", "unseen": "11-12, unseen", "easy": "2-4"}
    changed = {other[key]: value for key, value in differences.items()}
    scores = ["pass@1 (greedy)", "avg@8"]

    def gain(method: str, score: str, band: str) -> Paired | None:
        certain = pairs(0.05 if band == "8-10" else 0.03, 0.01)
        own = (method, score) == ("KL-Cov", scores[0])
        return changed.get(band, certain) if own else certain

    rows = [
        Row(method, score, band, est(0.5, 0.1), gain(method, score, band))
        for method in METHODS
        for score in scores
        for band in BANDS
    ]
    return DifficultyScores(list(BANDS), scores, {}, rows)


@pytest.mark.parametrize("number, band", [(0, "average"), (1, "hardest")])
def test_table_2(number: int, band: str) -> None:
    assert verdict("table-2", table_2(), number) == YES
    assert verdict("table-2", table_2(**{band: pairs(0.05, 0.05)}), number) == UNDECIDED
    assert verdict("table-2", table_2(**{band: pairs(-0.03, 0.02)}), number) == NO
    assert verdict("table-2", table_2(**{band: pairs(0.05, None)}), number) == OPEN
    assert verdict("table-2", table_2(**{band: None}), number) == OPEN
    # lengths that are not trained on do not count alone
    assert verdict("table-2", table_2(unseen=pairs(-0.5, 0.01)), number) == YES
    assert "longest trained chains" in claim("table-2", 1).rule


def test_table_2_in_words() -> None:
    assert judged("table-2", table_2(average=pairs(-0.02, 0.01))).measured == (
        "pass@1 (greedy): Clip-Cov +3.0 ± 1.0 points; KL-Cov -2.0 ± 1.0 points"
    )
    # by seed 5 less the mean of 3 and 3, of all three seeds alike
    assert judged("table-2", table_2(), 1).measured == (
        "8-10, pass@1 (greedy): Clip-Cov +5.0 ± 1.0 points; KL-Cov +5.0 ± 1.0 points; more than on "
        "shorter ones: Clip-Cov +2.0 ± 0.0 points; KL-Cov +2.0 ± 0.0 points"
    )


def test_a_gain_that_is_as_large_on_shorter_chains_is_not_the_largest() -> None:
    found = judged("table-2", table_2(easy=pairs(0.2, 0.01)), 1)
    # 5 less the mean of 20 and 3
    assert found.verdict == NO and "KL-Cov -6.5 ± 0.0 points" in found.measured
    assert "exceeds the mean gain on shorter ones" in claim("table-2", 1).rule


def test_difficulty_tables() -> None:
    tables = difficulty_tables(table_2(hardest=None))
    assert [table.header for table in tables] == [
        ["pass@1 (greedy)", *BANDS],
        ["avg@8", *BANDS],
    ]
    names = [row[0] for row in tables[0].rows]
    assert names == [*METHODS, *(f"{name} minus GRPO" for name in METHODS[1:])]
    assert tables[0].rows[0][1:] == ["50.0 ± 10.0 %"] * 5
    assert tables[0].rows[-1][1:4] == ["+3.0 ± 1.0 %", "+3.0 ± 1.0 %", "n/a"]
