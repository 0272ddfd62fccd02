"""The numbers of a report by hand, and by other routes."""

from __future__ import annotations

import json
import math
from itertools import combinations

import pytest
from made_reports import EVALUATION, greedy, records, report, sampled

from lit_entropy.evaluation.report.plain import report_from_plain, report_to_plain
from lit_entropy.evaluation.report.records import CheckerCounts, Score
from lit_entropy.evaluation.report.report import bounds, by_set, checker_counts, powers_of_two
from lit_entropy.evaluation.report.table import table
from lit_entropy.evaluation.sampling import SetSampling
from lit_entropy.functional.majority import Vote, majority

AIME = ("rrrr", "rww-", "rwv-")


def test_scores_of_a_set_by_hand() -> None:
    found = report(base=records(AIME, "rw")).policies[0].sets
    aime, maths = found["aime"], found["math"]
    assert (aime.problems, aime.samples, maths.samples) == (3, 4, 0)
    assert aime.scores["avg@4"].mean == pytest.approx((1 + 1 / 4 + 1 / 4) / 3)
    # deviations 1/2, -1/4, -1/4: variance 3/16, / 3 problems
    assert aime.scores["avg@4"].se == pytest.approx(math.sqrt(3 / 16 / 3))
    # majority: right; wrong (w has two votes); a tie of r, w and v
    assert aime.scores["maj@4"].mean == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert aime.scores["pass@2"].mean == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    # of all samples too, beside those of pass_k: each has a right one
    assert aime.scores["pass@4"] == Score(1.0, 0.0, 3)
    head = "| policy | avg@4 | maj@4 | pass@2 | pass@4 | cover@0.5 |"
    assert head in table(report(base=records(AIME, "rw")))
    assert aime.scores["cover@0.5"].mean == pytest.approx(1 / 3)
    assert maths.scores == {"accuracy": Score(0.5, 0.5, 2)}
    assert maths.pass_curve == maths.cover_curve == maths.majority_curve == []
    assert aime.rates["format_failure_sampled"] == pytest.approx(2 / 12)
    assert maths.rates["format_failure"] == 0.0


def test_curves() -> None:
    (policy,) = report(base=records(AIME, "rw")).policies
    aime = policy.sets["aime"]
    assert [point.k for point in aime.pass_curve] == [1, 2, 4]
    # pass@1 is avg@n, pass@4 the share with a right one among all
    means = [point.score.mean for point in aime.pass_curve]
    assert means == pytest.approx([0.5, 2 / 3, 1.0])
    for point in aime.majority_curve:
        each = []
        for letters in AIME:
            draws = list(combinations(letters, point.k))
            each.append(sum(vote_of(draw) for draw in draws) / len(draws))
        assert point.score.mean == pytest.approx(sum(each) / 3)
    cover = {point.tau: point for point in aime.cover_curve}
    assert [cover[tau].score.mean for tau in (0.25, 0.5, 0.75, 1.0)] == pytest.approx(
        [1.0, 1 / 3, 1 / 3, 1 / 3]
    )
    for point in cover.values():
        assert point.score.mean is not None
        assert point.surely <= point.score.mean <= point.possibly


def vote_of(letters: tuple[str, ...]) -> float:
    counts = {letter: letters.count(letter) for letter in letters if letter != "-"}
    value = majority([Vote(n, n, n * (letter == "r")) for letter, n in counts.items()])
    assert value is not None
    return value


def test_unchecked_responses_widen_the_bounds() -> None:
    found = [sampled(0, "rr??"), sampled(1, "wwww"), greedy(2, "?"), greedy(3, "r")]
    assert bounds(found) == {"accuracy": [0.5, 1.0], "avg@4": [0.25, 0.5]}
    assert checker_counts(found) == CheckerCounts(
        responses=10, right=3, wrong=4, unchecked=3, malformed=0
    )
    nothing = [sampled(0, "????")]
    found = report(base=nothing).policies[0].sets["all"]
    assert found.scores == {} and found.cover_curve == [] and found.pass_curve == []
    assert [point.score.mean for point in found.majority_curve] == [None] * 3


def test_the_report_names_how_it_was_sampled() -> None:
    found = report(base=records(AIME, "rw"))
    assert found.sampling == {
        "aime": SetSampling(samples=4, temperature=0.6, greedy=False, max_new_tokens=64),
        "math": SetSampling(samples=0, temperature=1.0, greedy=True, max_new_tokens=64),
    }
    assert found.prompts.count == 5 and len(found.prompts.hash) == 32
    metrics = found.policies[0].metrics
    assert metrics == EVALUATION.summarise(records(AIME, "rw"))
    assert metrics["mean_of_sets"] == pytest.approx((0.5 + 0.5) / 2)


def test_rows_are_plain_and_without_the_texts() -> None:
    made = report(base=records(AIME, "rw"))
    found = report_to_plain(made)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert report_from_plain(found) == made
    assert found["policies"][0]["sets"]["math"]["scores"] == {
        "accuracy": {"mean": 0.5, "se": 0.5, "problems": 2}
    }
    assert found["policies"][0]["sets"]["aime"]["pass_curve"][0].keys() == {
        "k", "mean", "se", "problems",
    }  # fmt: skip
    rows = found["policies"][0]["problems"]
    assert [(row["source"], row["id"]) for row in rows[:3]] == [("aime", i) for i in range(3)]
    assert rows[1]["correct_count"] == 1 and rows[1]["votes"] == [[1, 1, 1], [2, 2, 0]]
    assert not any({"sample", "shown"} & row.keys() for row in rows)


def test_sets_are_the_sources() -> None:
    both = records(AIME, "rw")
    assert list(by_set(both)) == ["aime", "math"]
    assert list(by_set(both[:3])) == ["all"]


@pytest.mark.parametrize(("n", "ks"), [(0, []), (1, [1]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8])])
def test_powers_of_two(n: int, ks: list[int]) -> None:
    assert powers_of_two(n) == ks
