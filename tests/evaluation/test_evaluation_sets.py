"""Several evaluation sets at once: keys, means, sampling by set, unchecked and malformed ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import CONFIGS, SMALL, fit, metrics

from lit_entropy.cli.main import main
from lit_entropy.evaluation.evaluation import Evaluation, SetSampling
from lit_entropy.evaluation.records import Record, Response, make_record, prompts_hash
from lit_entropy.evaluation.sets import check_sources, group_by_source, mean_of_sets, source_key
from lit_entropy.evaluation.summary import score_columns, summarise
from lit_entropy.functional.answer_entropy import NO_ANSWER
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.types import Problem

AIME = SetSampling(samples=4, temperature=0.6)


def row(correct: bool, checked: bool = True, **changes: Any) -> Response:
    reward = float(correct) if checked else None
    found = Response([], "", reward, correct, 3, truncated=False, entropy=1.0, answer=int(correct))
    return replace(found, **changes)


def record(
    source: str, number: int, greedy: Response | None = None, samples: Sequence[Response] = ()
) -> Record:
    return make_record(Problem(number, f"{source} {number}", "1", 0, source), greedy, samples)


def sampled(source: str, number: int, right: int) -> Record:
    return record(source, number, None, [row(index < right) for index in range(4)])


# ------------------------------------------------------------------ keys and means

MIXED = [
    sampled("aime", 1, 4),
    sampled("aime", 2, 1),
    record("math", 1, row(True)),
    record("math", 2, row(False)),
    record("math", 3, row(True)),
    record("math", 4, row(True)),
]


def test_sets_by_hand() -> None:
    evaluation = Evaluation(samples=0, pass_k=(2,), sets={"aime": AIME}, cover_tau=(0.5,))
    values = evaluation.summarise(MIXED)
    assert values["math/accuracy"] == 0.75 and values["aime/avg@4"] == 0.625
    assert values["mean_of_sets"] == pytest.approx((0.75 + 0.625) / 2)
    # standard errors: math sqrt((3/16 + 9/16) / 3 / 4) = 1/4; aime |1 - 1/4| / 2 = 3/8
    assert values["mean_of_sets_se"] == pytest.approx(math.hypot(0.25, 0.375) / 2)
    assert "aime/accuracy" not in values and "math/avg@4" not in values
    # over all problems, as far as they have the score
    assert values["accuracy"] == 0.75 and values["avg@4"] == 0.625
    assert values["pass@2"] == values["aime/pass@2"] == (1 + 0.5) / 2
    assert values["aime/cover@0.5"] == 0.5
    split = [key for key in values if "difficulty" in key]
    assert split and not any(key.startswith(("aime/", "math/")) for key in split)


def test_one_set_has_no_keys_of_its_own() -> None:
    evaluation = Evaluation(samples=0, pass_k=(), sets={"aime": AIME})
    values = evaluation.summarise(MIXED[:2])
    assert not any(key.startswith(("aime/", "mean_of_sets")) for key in values)
    assert values["avg@4"] == 0.625


def test_the_mean_waits_for_every_set() -> None:
    """A validation that did not sample a set has no headline for it."""
    evaluation = Evaluation(samples=0, pass_k=(), sets={"math": SetSampling(samples=8)})
    values = evaluation.summarise([record("amc", 1, row(True)), *MIXED[2:]])
    assert values["math/accuracy"] == 0.75 and "mean_of_sets" not in values
    part = {"accuracy": 0.5}  # of one problem: no standard error
    found = mean_of_sets({"a": part, "b": part}, {"a": "accuracy", "b": "accuracy"})
    assert found == {"mean_of_sets": 0.5}


def test_nothing_sampled_gives_nothing() -> None:
    assert Evaluation().summarise([]) == {}


@pytest.mark.parametrize(
    ("source", "key"), [("HuggingFaceH4/MATH-500", "HuggingFaceH4_MATH-500"), ("", "unnamed")]
)
def test_source_keys(source: str, key: str) -> None:
    assert source_key(source) == key


def test_sources_are_checked() -> None:
    check_sources({"amc"}, {"amc", "aime"})
    with pytest.raises(ValueError, match=r"names \['aime42'\].*sources \['aime', 'amc'\]"):
        check_sources({"aime42", "amc"}, {"amc", "aime"})
    with pytest.raises(ValueError, match=r"'a b' and 'a/b'.*'a_b'"):
        check_sources((), {"a/b", "a b"})


def test_grouping_keeps_the_order_within_a_source() -> None:
    groups = group_by_source([MIXED[3], MIXED[1], MIXED[2], MIXED[0]])
    assert list(groups) == ["aime", "math"]
    assert [r.id for r in groups["aime"]] == [2, 1]
    assert [r.id for r in groups["math"]] == [2, 1]


# ------------------------------------------------------------------ unchecked and malformed


def test_unchecked_responses_are_neither_right_nor_wrong() -> None:
    rows = [row(True), row(False), row(False, checked=False), row(False, checked=False)]
    one = record("", 1, row(False, checked=False), rows)
    two = record("", 2, row(True), [row(False)] * 4)
    assert one.greedy is not None and one.greedy.accuracy is None
    assert one.sampled is not None
    assert (one.sampled.checked_count, one.sampled.correct_count) == (2, 1)
    values = summarise([one, two], pass_k=(2, 4), cover_tau=(0.5,))
    assert values["accuracy"] == 1.0 and "accuracy_se" not in values  # over the checked one
    assert values["avg@4"] == (1 / 2 + 0) / 2
    assert values["pass@2"] == (1.0 + 0.0) / 2  # 1 of 2 right: both draws hold it
    assert values["pass@4"] == 0.0  # the first problem has two checked samples alone
    assert values["cover@0.5"] == 0.5
    assert values["unchecked"] == 0.5 and values["unchecked_sampled"] == 0.25
    columns = score_columns([one, two], (4,), ())
    assert columns["pass@4"] == [None, 0.0] and columns["accuracy"] == [None, 1.0]


def test_a_problem_without_a_checked_response_is_left_out() -> None:
    unknown = record("", 1, None, [row(False, checked=False)] * 4)
    values = summarise([unknown, sampled("", 2, 3)], (2,), (0.5,))
    assert values["avg@4"] == 0.75 and values["cover@0.5"] == 1.0 and values["maj@4"] == 1.0
    assert values["unchecked_sampled"] == 0.5


def test_format_failures_and_truncation_by_hand() -> None:
    silent: dict[str, Any] = {"answer": NO_ANSWER, "truncated": True, "length": 9}
    one = record("", 1, row(False, **silent), [row(True), row(False, **silent)])
    two = record("", 2, row(True), [row(True), row(True)])
    values = summarise([one, two], (), ())
    assert values["format_failure"] == 0.5 and values["truncated"] == 0.5
    assert values["format_failure_sampled"] == 0.25 and values["truncated_sampled"] == 0.25
    assert values["length"] == 6.0 and values["length_sampled"] == (9 + 3 + 3 + 3) / 4
    assert values["maj@2"] == 1.0  # the silent sample does not vote
    assert values["answer_entropy"] == pytest.approx(math.log(2) / 2)


def test_a_task_that_names_no_answers_has_no_votes() -> None:
    bare = row(True, answer=None)
    values = summarise([record("", 1, bare, [bare] * 4)], (), ())
    assert values["avg@4"] == 1.0
    assert not any(key.startswith(("maj@", "format_failure", "answer")) for key in values)


def test_the_hash_is_of_the_problems_alone() -> None:
    assert prompts_hash(MIXED) == prompts_hash(MIXED[::-1])
    assert prompts_hash(MIXED) != prompts_hash(MIXED[1:])
    other = make_record(Problem(1, "aime 1", "2", 0, "aime"))  # another gold answer
    assert prompts_hash([other]) != prompts_hash(MIXED[:1])
    # a recorded value: the hash is the same on every machine
    assert prompts_hash(MIXED[:1]) == "e901cdecf38bf98e6a02da1586bbb1d0"


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (SetSampling(samples=-1), r"evaluation\.sets\.amc\.samples=-1"),
        (SetSampling(temperature=0.0), r"evaluation\.sets\.amc\.temperature=0\.0"),
        (SetSampling(max_new_tokens=0), r"evaluation\.sets\.amc\.max_new_tokens=0"),
        (SetSampling(samples=0), r"evaluation\.sets\.amc has samples=0 and greedy=false"),
    ],
)
def test_bad_sets(sampling: SetSampling, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluation(sets={"amc": sampling})


def test_limits_and_ks_of_sets() -> None:
    own = SetSampling(max_new_tokens=7)
    sets = {"a": AIME, "b": own, "c": SetSampling(32)}
    evaluation = Evaluation(0, pass_k=(16,), max_new_tokens=99, sets=sets)
    assert evaluation.sampling_of("a").max_new_tokens == 99
    assert evaluation.sampling_of("b").max_new_tokens == 7
    assert evaluation.sampling_of("other").headline == "accuracy"
    assert evaluation.pass_k == (16,) and evaluation.samples_at_all
    with pytest.raises(ValueError, match=r"pass_k=\[64\].*samples=32"):
        Evaluation(0, pass_k=(64,), sets={"c": SetSampling(32)})


# ------------------------------------------------------------------ a real run


class TwoSources(ChainArithmetic):
    """Chain arithmetic whose held-out problems come from two sources in turn."""

    def validation_problems(self) -> list[Problem]:
        problems = list(super().validation_problems())
        return [p._replace(source=("even", "odd")[i % 2]) for i, p in enumerate(problems)]


SETS = (
    "--data.task=test_evaluation_sets.TwoSources",
    "--data.task.validation_size=10",
    "--model.evaluation=lit_entropy.evaluation.Evaluation",
    "--model.evaluation.pass_k=[1]",
    "--trainer.callbacks=null",
    "--trainer.callbacks+=lit_entropy.callbacks.InitialValidation",
)


def test_a_run_with_two_sets(tmp_path: Path) -> None:
    """One set is sampled alone, by the numbers of its own; the other is greedy alone."""
    sets = "{odd: {samples: 3, temperature: 0.6, greedy: false}}"
    arguments = ["--model.evaluation.samples=0", f"--model.evaluation.sets={sets}"]
    cli = fit(tmp_path / "sets", *SETS, *arguments)
    values = metrics(tmp_path / "sets")
    both = ["--model.evaluation.samples=3", "--model.evaluation.temperature=0.6"]
    fit(tmp_path / "all", *SETS, *both)
    every = metrics(tmp_path / "all")
    for key in ("val/odd/avg@3", "val/odd/maj@3", "val/odd/entropy", "val/even/accuracy"):
        np.testing.assert_allclose(values[key], every[key], rtol=1e-6, err_msg=key)
        assert np.isfinite(values[key]).tolist() == [True, False, True]  # RL steps 0, 1, 2
    assert "val/odd/accuracy" not in values and "val/even/avg@3" not in values
    mean = (values["val/odd/avg@3"][-1] + values["val/even/accuracy"][-1]) / 2
    assert values["val/mean_of_sets"][-1] == pytest.approx(mean)
    assert values["val/accuracy"][-1] == values["val/even/accuracy"][-1]
    assert len(cli.model.validation_samples) == 10
    assert {key.split("/")[-1] for key in every if "difficulty" in key}  # over all problems only


class Unreadable(TwoSources):
    """No response to a problem of an odd place can be checked."""

    def reward(self, problem: Problem, response: str) -> float | None:
        return None if problem.source == "odd" else super().reward(problem, response)


def test_unchecked_responses_of_a_real_run(tmp_path: Path) -> None:
    """They are counted and warned of, and the accuracies are over the others."""
    options = [option for option in SMALL if not option.startswith("--checkpoint")]
    config = ["--config", str(CONFIGS / "quickstart.yaml"), *options, "--trainer.callbacks=null"]
    found = []
    for task in ("TwoSources", "Unreadable"):
        arguments = [f"--data.task=test_evaluation_sets.{task}", "--data.task.validation_size=10"]
        folder = tmp_path / task
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            main(["validate", *config, *arguments, f"--run.folder={folder}"])
        said = [str(w.message) for w in caught if "could not be checked" in str(w.message)]
        assert len(said) == (2 if task == "Unreadable" else 0)
        values = metrics(folder, "quickstart-seed0-validate")
        found.append({key: float(column[-1]) for key, column in values.items()})
    every, half = found
    assert "val/unchecked=0.500" in " ".join(said)
    assert half["val/unchecked"] == half["val/unchecked_sampled"] == 0.5
    assert every["val/unchecked"] == every["val/unchecked_sampled"] == 0.0
    for score in ("accuracy", "avg@8", "pass@4", "maj@8", "cover@0.2"):
        assert half[f"val/{score}"] == half[f"val/even/{score}"] == every[f"val/even/{score}"]
        assert f"val/odd/{score}" not in half
    assert half["val/odd/length"] == every["val/odd/length"]  # what needs no checker stays
    assert "val/mean_of_sets" in every and "val/mean_of_sets" not in half


def test_a_set_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"names \['amc'\].*\['even', 'odd'\]"):
        fit(tmp_path, *SETS, "--model.evaluation.sets={amc: {samples: 2}}")


def test_between_the_ends_a_sampled_set_rests(tmp_path: Path) -> None:
    options = ["--model.evaluation.samples=0", "--model.evaluation.sampling=ends"]
    options += ["--model.evaluation.sets={odd: {samples: 2, greedy: false}}"]
    options += ["--trainer.max_epochs=2", "--trainer.check_val_every_n_epoch=1"]
    fit(tmp_path, *SETS, *options)
    values = metrics(tmp_path)
    assert [math.isnan(v) for v in values["val/odd/avg@2"]] == [False, True, False]
    assert [math.isnan(v) for v in values["val/mean_of_sets"]] == [False, True, False]
    assert not any(math.isnan(v) for v in values["val/accuracy"])
