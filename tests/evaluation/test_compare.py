"""Paired differences between reports: by hand, by scipy, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from made_reports import EVALUATION, greedy, records, report, sampled
from scipy import stats

from lit_entropy.cli.compare import compare
from lit_entropy.evaluation.evaluation import Evaluation, SetSampling
from lit_entropy.evaluation.report.compare import join, with_differences
from lit_entropy.evaluation.report.files import free_stem, read_report, write_report
from lit_entropy.evaluation.report.records import Report, ScoreDifference
from lit_entropy.evaluation.report.table import table

BASE = records(("rrww", "wwww", "rwww"), "rwww")
BETTER = records(("rrrw", "rwww", "rrrw"), "rrww")


def rows_of(found: Report) -> dict[tuple[str, str], ScoreDifference]:
    return {(row.set, row.score): row for row in found.differences}


def test_differences_by_hand() -> None:
    rows = rows_of(with_differences(report(base=BASE, better=BETTER)))
    row = rows["aime", "avg@4"]
    assert (row.policy, row.against, row.problems) == ("better", "base", 3)
    # differences 1/4, 1/4, 2/4
    assert row.difference == pytest.approx(1 / 3)
    test = stats.ttest_rel([0.75, 0.25, 0.75], [0.5, 0.0, 0.25]).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((test.low, test.high))
    assert rows["math", "accuracy"].difference == pytest.approx(0.25)
    assert rows["aime", "pass@4"].difference == pytest.approx(1 / 3)  # 3 of 3 against 2 of 3
    assert rows["aime", "cover@0.5"].difference == pytest.approx(1 / 3)
    assert ("math", "avg@4") not in rows and ("aime", "accuracy") not in rows
    mean = rows["mean_of_sets", "mean_of_sets"]
    assert mean.difference == pytest.approx((1 / 3 + 1 / 4) / 2) and mean.problems == 7


def test_the_first_policy_is_the_one_compared_against() -> None:
    one = rows_of(with_differences(report(base=BASE, better=BETTER)))
    other = rows_of(with_differences(report(better=BETTER, base=BASE)))
    assert one.keys() == other.keys()
    for key, row in one.items():
        assert other[key].difference == pytest.approx(-row.difference)
        assert other[key].low == pytest.approx(-row.high)
    three = with_differences(report(base=BASE, better=BETTER, again=BASE)).differences
    assert {row.policy for row in three} == {"better", "again"}
    assert all(row.difference == 0 for row in three if row.policy == "again")


def test_problems_that_one_policy_could_not_be_scored_on_are_left_out() -> None:
    first = [sampled(0, "rrww"), sampled(1, "????"), sampled(2, "rwww")]
    second = [sampled(0, "rrrw"), sampled(1, "rrrr"), sampled(2, "rwww")]
    row = rows_of(with_differences(report(a=first, b=second)))["all", "avg@4"]
    assert row.problems == 2 and row.difference == pytest.approx(1 / 8)
    single = rows_of(with_differences(report(a=first[:1], b=second[:1])))["all", "avg@4"]
    assert single.difference == 0.25 and single.se is None and single.low is None


def write(folder: Path, name: str, **policies: Any) -> str:
    return str(write_report(with_differences(report(**policies)), folder / name))


def test_the_command_equals_one_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = with_differences(report(base=BASE, better=BETTER))
    files = [write(tmp_path, "a", base=BASE), write(tmp_path, "b", better=BETTER)]
    found = compare(files, output=str(tmp_path / "out"))
    assert found.differences == together.differences
    assert "| better | base | aime | avg@4 | +33.3 |" in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written["differences"] == [asdict(row) for row in found.differences]
    # a folder stands for its validation.json; equal names are told apart by the file
    again = compare([str(Path(files[0]).parent), files[0]])
    assert [p.name for p in again.policies] == [f"{tmp_path}/a: base", f"{files[0]}: base"]
    assert all(row.difference == 0 for row in again.differences)


def test_other_problems_are_refused(tmp_path: Path) -> None:
    files = [write(tmp_path, "a", base=BASE), write(tmp_path, "b", base=BASE[:-1])]
    with pytest.raises(ValueError, match=r"b/validation\.json and .*a/validation\.json .*problems"):
        compare(files)
    with pytest.raises(ValueError, match="hold one policy"):
        compare(files[:1])


def test_another_sampling_is_noted() -> None:
    hot = Evaluation(0, pass_k=(2,), cover_tau=(0.5,), sets={"aime": SetSampling(4, 1.0)})
    joint = join([report(base=BASE), report(hot, better=BETTER)], ["a", "b"])
    assert joint.notes == ["a and b differ in temperature 0.6 and 1.0 for aime."]
    assert "- a and b differ in temperature" in table(joint)
    assert join([report(base=BASE), report(better=BETTER)], ["a", "b"]).notes == []


def test_differences_are_at_the_very_thresholds_of_the_scores() -> None:
    """2 of 3 right reach 2/3, and not 0.666667."""
    evaluation = Evaluation(0, pass_k=(), cover_tau=(2 / 3,), sets={"aime": SetSampling(3)})
    first = [sampled(0, "rrw"), sampled(1, "www"), greedy(0, "r")]
    second = [sampled(0, "rrw"), sampled(1, "rrw"), greedy(0, "r")]
    found = with_differences(report(evaluation, a=first, b=second))
    (name,) = [key for key in found.policies[0].sets["aime"].scores if "cover" in key]
    means = [policy.sets["aime"].scores[name].mean for policy in found.policies]
    assert means == [0.5, 1.0]
    assert rows_of(found)["aime", name].difference == 0.5


def test_differences_of_every_score_that_both_have() -> None:
    evaluation = Evaluation(12, pass_k=(3, 6))
    first = [sampled(i, "r" * (i + 1) + "w" * (11 - i), "") for i in range(3)]
    second = [sampled(i, "r" * (i + 3) + "w" * (9 - i), "") for i in range(3)]
    found = with_differences(report(evaluation, a=first, b=second))
    scores = {policy.name: policy.sets["all"].scores for policy in found.policies}
    rows = {score: row for (_, score), row in rows_of(found).items()}
    assert {"pass@3", "pass@6", "pass@12"} < scores["a"].keys() == scores["b"].keys()
    assert rows.keys() == {*scores["a"], "pass@2", "pass@4", "pass@8"}  # of the curve
    for score, own in scores["b"].items():
        expected = own.mean - scores["a"][score].mean
        assert rows[score].difference == pytest.approx(expected, abs=1e-12)
    other = Evaluation(12, pass_k=(5, 6))
    joint = rows_of(join([report(evaluation, a=first), report(other, b=second)], ["a", "b"]))
    assert {score for _, score in joint if "pass" in score} == {
        f"pass@{k}" for k in (2, 4, 6, 8, 12)
    }


def test_problems_of_one_id_are_not_paired() -> None:
    """A policy minus itself would not be 0."""
    twice = [sampled(0, "rrrr", ""), sampled(0, "wwww", ""), sampled(1, "rwww", "")]
    with pytest.raises(ValueError, match=r"^2 problems of the set 'all' have the id 0, by which"):
        with_differences(report(a=twice, b=twice))


def test_other_numbers_of_samples_share_what_both_have() -> None:
    more = Evaluation(0, pass_k=(2,), cover_tau=(0.5,), sets={"aime": SetSampling(8)})
    second = [sampled(i, "rrrrwwww") for i in range(3)] + [greedy(i, "r") for i in range(4)]
    rows = rows_of(join([report(base=BASE), report(more, better=second)], ["a", "b"]))
    assert ("aime", "avg@4") not in rows and ("aime", "avg@8") not in rows
    # the chance of 2 of 4 at a rate is not that of 4 of 8
    assert ("aime", "cover@0.5") not in rows
    # 1 - C(4, 2) / C(8, 2) = 11/14 against 5/6, 0, 1/2
    assert rows["aime", "pass@2"].difference == pytest.approx(11 / 14 - (5 / 6 + 0 + 1 / 2) / 3)


def test_thresholds_are_compared_where_equally_many_were_checked() -> None:
    """One unchecked response does not drop Cover@tau of the whole set."""
    first = [sampled(0, "rrww"), sampled(1, "wwww"), sampled(2, "rwww")]
    second = [sampled(0, "rrrw"), sampled(1, "rrr?"), sampled(2, "rrww")]
    row = rows_of(with_differences(report(a=first, b=second)))["all", "cover@0.5"]
    assert row.problems == 2 and row.difference == 0.5  # 1, 0 against 1, 1


def test_files_are_never_overwritten(tmp_path: Path) -> None:
    found = with_differences(report(base=BASE, better=BETTER))
    first, second = write_report(found, tmp_path), write_report(found, tmp_path)
    assert (first.name, second.name) == ("validation.json", "validation-2.json")
    assert first.read_bytes() == second.read_bytes()
    for path in (first, second):
        for suffix in (".md", ".png", ".pdf"):
            assert path.with_suffix(suffix).stat().st_size > 500
    assert free_stem(tmp_path, "validation") == "validation-3"
    assert read_report(first) == read_report(tmp_path) == found


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"format": 99, "policies": []}', '{"format": 1, "policies": []}', "{}"]
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "validation.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"validation\.json is no"):
        read_report(file)
    with pytest.raises(FileNotFoundError, match=r"there is no .*validation\.json"):
        read_report(tmp_path / "nowhere" / "validation.json")


def test_the_table_by_hand() -> None:
    text = table(with_differences(report(base=BASE, better=BETTER)))
    lines = text.splitlines()
    assert "- aime: n = 4 at temperature 0.6, at most 64 new tokens" in lines
    assert "- math: greedy, at most 64 new tokens" in lines
    assert "| policy | aime, avg@4 | math, accuracy | mean |" in lines
    # avg@4 25 %: deviations 1/4, -1/4, 0: SE sqrt(1/16 / 3) = 0.1443; t(2) = 4.3027
    assert any(line.startswith("| base | 25.0 ± 62.1 | 25.0 ± 79.6 | 25.0 |") for line in lines)
    same = table(with_differences(report(base=BASE, again=BASE)))
    assert "| again | base | aime | avg@4 | +0.0 | equal on each | 3 |" in same
    odd = table(report(EVALUATION, **{"a|b": BASE}))
    assert "| a\\|b |" in odd  # a name cannot break the table
