"""Evaluation: summaries by hand, mistakes in its arguments, and a recount of a real run."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import fit, metrics, parts

from lit_entropy.cli.main import EntropyCLI
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.records import Greedy, Record, Samples
from lit_entropy.evaluation.sampling import Sampling, check_ends, samples_now
from lit_entropy.functional.rng import uniforms
from lit_entropy.types import Problem

RECORDS = [
    Record(11, "", 1, "", Greedy(1.0, 1.0, 2, 0.0), Samples(4, 4, 4, 2.0, 8, 0)),
    Record(12, "", 1, "", Greedy(0.0, 1.0, 4, 0.0), Samples(4, 4, 1, 4.0, 4, 1)),
    Record(13, "", 2, "", Greedy(1.0, 1.0, 6, 1.0), Samples(4, 4, 2, 1.0, 10, 0)),
    Record(14, "", 3, "", Greedy(0.0, 1.0, 8, 1.0), Samples(4, 4, 0, 3.0, 3, 3)),
]


def with_samples(record: Record, **changes: Any) -> Record:
    assert record.sampled is not None
    return replace(record, sampled=replace(record.sampled, **changes))


def test_summary_by_hand() -> None:
    values = Evaluation(samples=4, pass_k=(2,), cover_tau=(0.5,)).summarise(RECORDS)
    expected = {
        "accuracy": 0.5,  # (1 + 0 + 1 + 0) / 4
        "avg@4": 0.4375,  # (4 + 1 + 2 + 0) / 4 / 4
        # 1 - C(4 - c, 2) / C(4, 2) with c = 4, 1, 2, 0: 1, 1 - 3/6, 1 - 1/6, 0
        "pass@2": (1 + 1 / 2 + 5 / 6 + 0) / 4,
        # deviations +-1/2: variance 4 * 1/4 / 3; / 4 problems
        "accuracy_se": math.sqrt(1 / 3 / 4),
        # deviations of 16, 4, 8, 0 sixteenths from 7: 9, -3, 1, -7; squares 81 + 9 + 1 + 49 = 140
        "avg@4_se": math.sqrt(140 / 256 / 3 / 4),
        # deviations of 1, 1/2, 5/6, 0 from 7/12: 5/12, -1/12, 3/12, -7/12; squares 84/144
        "pass@2_se": math.sqrt(84 / 144 / 3 / 4),
        "accuracy/difficulty_1": 0.5,
        "avg@4/difficulty_1": 0.625,  # (1 + .25) / 2
        "pass@2/difficulty_1": 0.75,  # (1 + .5) / 2
        # of two values the standard error is half their difference: sqrt(2 (d/2)^2 / 1 / 2)
        "accuracy_se/difficulty_1": 0.5,
        "avg@4_se/difficulty_1": 0.375,
        "pass@2_se/difficulty_1": 0.25,
        # one problem has no standard error
        "accuracy/difficulty_2": 1.0,
        "avg@4/difficulty_2": 0.5,
        "pass@2/difficulty_2": 5 / 6,
        "accuracy/difficulty_3": 0.0,
        "avg@4/difficulty_3": 0.0,
        "pass@2/difficulty_3": 0.0,
        "entropy": 0.4,  # (2 + 4 + 1 + 3) / (8 + 4 + 10 + 3): every token weighs the same
        "length": 5.0,
        "length_se": math.sqrt((9 + 1 + 1 + 9) / 3 / 4),
        "truncated": 0.5,
        "unchecked": 0.0,
        # 4/4, 1/4, 2/4, 0/4 right: two of four reach one half
        "cover@0.5": 0.5,
        "cover@0.5_se": math.sqrt(1 / 3 / 4),
        "cover@0.5/difficulty_1": 0.5,
        "cover@0.5_se/difficulty_1": 0.5,
        "cover@0.5/difficulty_2": 1.0,
        "cover@0.5/difficulty_3": 0.0,
        "length_sampled": 25 / 16,
        # a problem's mean lengths 8, 4, 10, 3 quarters around 25/4: 7, -9, 15, -13 sixteenths
        "length_sampled_se": math.sqrt((49 + 81 + 225 + 169) / 256 / 3 / 4),
        "truncated_sampled": 4 / 16,
        "unchecked_sampled": 0.0,
    }
    assert values == pytest.approx(expected, abs=1e-12)


def test_standard_errors_are_clustered_by_problem() -> None:
    """More samples of the same problems do not shrink the spread between problems."""
    few = Evaluation(samples=4, pass_k=()).summarise(RECORDS)
    many = [
        with_samples(r, samples=64, checked_count=64, correct_count=16 * r.sampled.correct_count)
        for r in RECORDS
        if r.sampled
    ]
    more = Evaluation(samples=64, pass_k=()).summarise(many)
    assert more["avg@64"] == few["avg@4"] and more["avg@64_se"] == few["avg@4_se"] > 0.2


def test_without_samples_greedy_numbers_alone() -> None:
    greedy = Evaluation(samples=0, pass_k=(2, 4))
    assert greedy.pass_k == ()
    values = greedy.summarise([replace(record, sampled=None) for record in RECORDS])
    assert values["accuracy"] == 0.5 and values["length"] == 5.0
    assert {key.split("/")[0] for key in values} == {
        "accuracy", "accuracy_se", "length", "length_se", "truncated", "unchecked",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "parts_of_message"),
    [
        ({"samples": 4, "pass_k": (2, 8)}, ["evaluation.pass_k=[2, 8]", "samples=4"]),
        ({"samples": 4, "pass_k": (0,)}, ["evaluation.pass_k=[0]", "samples=4"]),
        ({"samples": -1}, ["evaluation.samples=-1"]),
        ({"temperature": 0.0}, ["evaluation.temperature=0.0"]),
        ({"temperature": -1.0}, ["evaluation.temperature=-1.0"]),
        ({"temperature": math.nan}, ["evaluation.temperature=nan"]),
        ({"temperature": math.inf}, ["evaluation.temperature=inf"]),
        ({"max_new_tokens": 0}, ["evaluation.max_new_tokens=0"]),
        ({"cover_tau": (0.5, 1.5)}, ["tau=1.5", "[0, 1]"]),
        ({"sampling": "never"}, ["evaluation.sampling='never'", "always", "ends"]),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], parts_of_message: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        Evaluation(**arguments)
    for part in parts_of_message:
        assert part in str(error.value)


def test_a_noisy_pass_at_k_warns() -> None:
    with pytest.warns(UserWarning, match="n < 2k: n=7, k=4"):
        Evaluation(samples=7, pass_k=(2, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Evaluation()  # n = 8, k = 2, 4
        Evaluation(samples=1, pass_k=(1,))  # pass@1 is avg@n
        Evaluation(samples=0)


def test_answer_entropy_is_a_mean_over_problems() -> None:
    entropies = (0.0, 0.5, 1.25, 0.25)
    named = [
        with_samples(r, answer_entropy=e, malformed_count=1)
        for r, e in zip(RECORDS, entropies, strict=True)
    ]
    evaluation = Evaluation(samples=4, pass_k=(2,))
    values = evaluation.summarise(named)
    assert values.pop("answer_entropy") == 0.5  # 2 / 4, whatever the tokens
    assert values.pop("format_failure_sampled") == 0.25
    assert values == evaluation.summarise(RECORDS)


@pytest.mark.parametrize(
    ("steps", "every", "sampled"),
    [(100, 20, [0, 100]), (100, 30, [0, 90]), (7, 1, [0, 7]), (3, 5, [0])],
)
def test_the_ends_of_a_fit(steps: int, every: int, sampled: list[int]) -> None:
    def sampled_at(sampling: Sampling, fitting: bool = True) -> list[int]:
        return [s for s in validated if samples_now(sampling, s, fitting, every, steps)]

    validated = [0, *range(every, steps + 1, every)]
    assert sampled_at("ends") == sampled
    assert sampled_at("always") == sampled_at("ends", fitting=False) == validated
    assert samples_now("ends", 20, fitting=False, every=20, steps=-1)


@pytest.mark.parametrize(("every", "steps"), [(20, -1), (20, None), (None, 100)])
def test_ends_need_a_known_last_validation(every: int | None, steps: int | None) -> None:
    with pytest.raises(ValueError, match=r"sampling=ends with trainer.max_epochs=.*always"):
        check_ends("ends", every, steps)
    check_ends("always", every, steps)
    check_ends("ends", 20, 100)


def test_a_fit_without_a_known_end_is_refused_at_its_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sampling=ends with trainer\.max_epochs=-1"):
        fit(tmp_path, *ENDS, "--trainer.max_epochs=-1")


def test_gather_orders_by_difficulty_and_id() -> None:
    keys = [(2, 5), (1, 9), (2, 3), (1, 10), (0, 99)]
    records = [Record(id, "", difficulty, "") for difficulty, id in keys]
    ordered = Evaluation().gather(records, Ranks())
    assert [(r.difficulty, r.id) for r in ordered] == sorted(keys)
    more = [replace(record, source="amc") for record in records] + records
    assert [r.source for r in Evaluation().gather(more, Ranks())] == [""] * 5 + ["amc"] * 5


# ------------------------------------------------------------------ a real run

SAMPLES = 2
ENDS = (
    "--model.evaluation=lit_entropy.evaluation.Evaluation",
    f"--model.evaluation.samples={SAMPLES}",
    "--model.evaluation.pass_k=[1]",
    "--model.evaluation.sampling=ends",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[EntropyCLI, dict[str, Any]]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("evaluation")
    cli = fit(
        folder,
        "--model.evaluation=lit_entropy.evaluation.Evaluation",
        f"--model.evaluation.samples={SAMPLES}",
        "--model.evaluation.pass_k=[1]",
        "--model.evaluation.temperature=0.7",
        "--data.validation_batch=4",  # 10 problems: two full batches and a rest
        "--trainer.callbacks=null",
    )
    return cli, metrics(folder)


def decode_alone(cli: EntropyCLI, problem: Problem, sample: int | None) -> tuple[list[int], float]:
    """Full forward of one sequence per token, no batch, no cache; tokens and summed entropy.

    ``sample`` None decodes greedily, else by inverse CDF at temperature 0.7.
    """
    module, _ = parts(cli)
    tokenizer = module.policy.tokenizer
    prompt = tokenizer.encode(problem.prompt, add_special_tokens=False)
    response: list[int] = []
    entropy = 0.0
    while len(response) < 24:  # model.max_new_tokens
        with torch.no_grad():
            logits = module.policy.model(torch.tensor([prompt + response])).logits[0, -1].double()
        probs = torch.softmax(logits / 0.7, -1)
        entropy += float(-(probs * probs.log()).sum())
        if sample is None:
            token = int(logits.argmax())
        else:
            u = float(uniforms("evaluation", problem.id, sample, len(response)))
            token = int((probs.cumsum(0) <= u).sum())
        response.append(token)
        if token == tokenizer.eos_token_id:
            break
    return response, entropy


def is_right(cli: EntropyCLI, problem: Problem, response: list[int]) -> bool:
    module, data = parts(cli)
    text = module.policy.tokenizer.decode(response, skip_special_tokens=True)
    return data.task.reward(problem, text) > 0.5


def test_greedy_numbers_equal_a_recount(run: tuple[EntropyCLI, dict[str, Any]]) -> None:
    cli, history = run
    problems = cli.datamodule.validation_problems
    responses = [decode_alone(cli, problem, None)[0] for problem in problems]
    right = [is_right(cli, *pair) for pair in zip(problems, responses, strict=True)]
    assert 0 < sum(right) < 10  # else the recount could not tell much
    assert history["step"].tolist() == [1, 2]
    assert history["val/accuracy"][-1] == sum(right) / 10
    assert history["val/length"][-1] == sum(map(len, responses)) / 10
    ended = [response[-1] == cli.model.policy.tokenizer.eos_token_id for response in responses]
    assert history["val/truncated"][-1] == pytest.approx(1 - sum(ended) / 10, abs=1e-12)
    shown = [sample["response"] for sample in cli.model.validation_samples]
    order = sorted(range(10), key=lambda i: (problems[i].difficulty, problems[i].id))
    decode = cli.model.policy.tokenizer.decode
    assert shown == [decode(responses[i], skip_special_tokens=True) for i in order]


def test_sampled_numbers_equal_a_recount(run: tuple[EntropyCLI, dict[str, Any]]) -> None:
    cli, history = run
    right, tokens, entropy, disagreeing, malformed = 0, 0, 0.0, 0, 0
    covered, majorities = [], []
    decode = cli.model.policy.tokenizer.decode
    for problem in cli.datamodule.validation_problems:
        answers, marks = [], []
        for sample in range(SAMPLES):
            response, total = decode_alone(cli, problem, sample)
            marks.append(is_right(cli, problem, response))
            tokens, entropy = tokens + len(response), entropy + total
            text = decode(response, skip_special_tokens=True)
            answers.append(text[-1] if len(text) > 1 and text[-2] == "#" else None)
        disagreeing += answers[0] != answers[1]
        malformed += answers.count(None)
        right += sum(marks)
        covered.append((any(marks), all(marks)))
        # of two samples both vote, or the only one with an answer
        voting = [m for m, answer in zip(marks, answers, strict=True) if answer is not None]
        majorities.append(sum(voting) / len(voting) if voting else 0.0)
    average = right / (10 * SAMPLES)
    assert 0 < average < 1
    assert history[f"val/avg@{SAMPLES}"][-1] == pytest.approx(average, abs=1e-12)
    assert history["val/pass@1"][-1] == pytest.approx(average, abs=1e-12)
    # float32 forward with a cache against one without
    assert history["val/entropy"][-1] == pytest.approx(entropy / tokens, rel=1e-4)
    # two samples: entropy log 2 where they differ, else 0
    assert 0 < disagreeing < 10
    expected = disagreeing * math.log(2) / 10
    assert history["val/answer_entropy"][-1] == pytest.approx(expected, abs=1e-12)
    assert history[f"val/maj@{SAMPLES}"][-1] == pytest.approx(sum(majorities) / 10, abs=1e-12)
    assert history["val/cover@0.2"][-1] == sum(some for some, _ in covered) / 10
    assert history["val/cover@0.8"][-1] == sum(both for _, both in covered) / 10
    assert history["val/length_sampled"][-1] == pytest.approx(tokens / 20, abs=1e-12)
    assert history["val/format_failure_sampled"][-1] == malformed / 20
    assert history["val/unchecked_sampled"][-1] == 0.0


def test_only_the_ends_of_a_fit_sample(tmp_path: Path) -> None:
    """Validations at 0, 1, 2, 3: dense greedy numbers, the samples of a run that always samples."""
    options = ["--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=1"]
    options += ["--trainer.callbacks=null"]
    options += ["--trainer.callbacks+=lit_entropy.callbacks.InitialValidation"]
    fit(tmp_path / "ends", *ENDS, *options)
    fit(tmp_path / "always", *ENDS[:-1], *options)
    ends, always = metrics(tmp_path / "ends"), metrics(tmp_path / "always")
    sampled = {f"val/{key}" for key in ("avg@2", "maj@2", "pass@1", "entropy", "answer_entropy")}
    rates = ("length", "truncated", "unchecked", "format_failure")
    greedy = ("val/accuracy", *(f"val/{name}" for name in (*rates, "length_se")))
    keys = [key for key in always if key.startswith("val/")]
    assert sampled <= set(keys) == {key for key in ends if key.startswith("val/")}
    present: Counter[tuple[bool, ...]] = Counter()
    for key in keys:
        shown = ~np.isnan(ends[key])
        np.testing.assert_array_equal(ends[key][shown], always[key][shown], err_msg=key)
        present[tuple(shown.tolist())] += 1
        assert shown.all() == key.startswith("val/accuracy") or key in greedy, key
        assert not (key in greedy and key.endswith("_sampled")), key
    assert set(present) == {(True,) * 4, (True, False, False, True)}
