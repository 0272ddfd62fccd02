"""Keys of validations that are known before the first one are those that it logs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from broken_parts import InfiniteAdvantage
from lightning.pytorch.callbacks import EarlyStopping, Timer
from runs import fit, metrics, parts

from lit_entropy.callbacks import EntropyLaw
from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.evaluation import Evaluation, SetSampling
from lit_entropy.evaluation.keys import check_keys, validation_keys
from lit_entropy.evaluation.sampling import ends_note, has_greedy_ones
from lit_entropy.types import Problem

PROBLEMS = [Problem(i, "1+1", "2", source="ab"[i % 2], difficulty=i // 2) for i in range(4)]


def test_they_are_those_that_a_run_logs(tmp_path: Path) -> None:
    cli = fit(tmp_path, "--trainer.callbacks=null", "--trainer.check_val_every_n_epoch=1",
              "--trainer.max_epochs=1")  # fmt: skip
    module, data = parts(cli)
    logged = {key for key in metrics(tmp_path) if key.startswith("val/")}
    assert len(logged) > 30 and "val/accuracy/difficulty_2" in logged
    assert set(validation_keys(module.evaluation, data.validation_problems)) == logged


def test_what_is_not_sampled_and_single_problems_have_fewer() -> None:
    greedy = validation_keys(Evaluation(samples=0), PROBLEMS[:1])
    assert {"val/accuracy", "val/accuracy/difficulty_0", "val/length"} <= set(greedy)
    assert not [key for key in greedy if "@" in key or "_se" in key or "a/" in key]
    own = Evaluation(samples=0, pass_k=(2,), sets={"b": SetSampling(4, 1.0, greedy=False)})
    keys = validation_keys(own, PROBLEMS)
    assert {"val/avg@4", "val/b/pass@2", "val/a/accuracy", "val/mean_of_sets"} <= set(keys)
    assert not {"val/a/avg@4", "val/b/accuracy", "val/pass@4", "val/accuracy_se/x"} & set(keys)


def refusal(*callbacks: object, schedules: tuple[object, ...] = ()) -> str:
    with pytest.raises(ValueError) as caught:
        check_keys(Evaluation(), PROBLEMS, callbacks, schedules)
    return str(caught.value)


def test_every_setting_that_names_a_key() -> None:
    checkpoint = RunCheckpoint(monitor="val/acuracy", mode="max")
    assert refusal(checkpoint).startswith(
        "checkpoint.monitor=val/acuracy is not logged by the validations of this run: name one of "
        "val/accuracy, "
    )
    assert refusal(EarlyStopping("val/pass@3")).startswith(
        "trainer.callbacks: EarlyStopping.monitor=val/pass@3 is not"
    )
    assert refusal(EntropyLaw("val/avg@9")).startswith("trainer.callbacks: EntropyLaw.accuracy=val")
    schedule = SimpleNamespace(monitor="val/zzzz")
    assert refusal(schedules=(schedule,)).endswith(
        "model.lr_scheduler.monitor=val/zzzz is not logged by the validations of this run: name "
        "one of val/accuracy, val/avg@8, val/maj@8, val/pass@2, val/pass@4, val/cover@0.2, "
        "val/cover@0.8, val/length, val/truncated, val/unchecked, val/format_failure, "
        "val/length_sampled, val/entropy, val/truncated_sampled, val/unchecked_sampled, "
        "val/format_failure_sampled, val/answer_entropy, val/mean_of_sets"
    )


ENDS = ["--model.evaluation.sampling=ends", "--trainer.check_val_every_n_epoch=1"]
LAW = ["--trainer.callbacks=EntropyLaw", "--trainer.callbacks.accuracy=val/avg@8"]
MONITOR = ["--trainer.callbacks=null", "--checkpoint.monitor=val/avg@8", "--checkpoint.mode=max"]


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [(MONITOR, "checkpoint.monitor"), (LAW, "trainer.callbacks: EntropyLaw.accuracy")],
)
def test_what_is_sampled_at_the_ends_alone_is_not_looked_up_in_between(
    tmp_path: Path, arguments: list[str], setting: str
) -> None:
    with pytest.raises(ValueError) as caught:
        fit(tmp_path, *ENDS, *arguments)
    assert str(caught.value) == (
        f"{setting}=val/avg@8 is looked up after every validation, and evaluation.sampling=ends "
        "samples for the first and the last one alone: set it to always"
    )
    assert not list(tmp_path.iterdir())


def test_keys_of_a_validation_that_does_not_sample() -> None:
    keys = validation_keys(Evaluation(sampling="ends"), PROBLEMS, sampling=False)
    plain = validation_keys(Evaluation(samples=0), PROBLEMS)
    assert keys == [key for key in plain if "mean_of_sets" not in key]
    sampled_only = Evaluation(samples=0, sets={"b": SetSampling(4, 1.0, greedy=False)})
    keys = validation_keys(sampled_only, PROBLEMS, sampling=False)
    assert keys == validation_keys(Evaluation(samples=0), PROBLEMS[::2])
    right = RunCheckpoint(monitor="val/accuracy", mode="max")
    check_keys(Evaluation(), PROBLEMS, [right], [], greedy_ones=True)


def test_a_fit_that_may_end_before_its_sampled_validation_is_told() -> None:
    assert not has_greedy_ones("ends", 10, 19) and has_greedy_ones("ends", 10, 20)
    callbacks = [EarlyStopping("val/accuracy"), Timer("00:00:01:00")]
    note = ends_note("ends", 10, 25, callbacks)
    assert note is not None and note.startswith(
        "evaluation.sampling=ends samples before RL step 1 and after 20: a fit that EarlyStopping "
        "or trainer.max_time ends earlier has no sampled last validation"
    )
    assert ends_note("always", 10, 25, callbacks) is None
    assert ends_note("ends", 10, 10, callbacks) is None
    assert ends_note("ends", 10, 25, callbacks[:0]) is None


def test_what_may_be_logged_by_others_is_not_refused() -> None:
    """Keys that are right, of other groups, or that a part of the user's own may log."""
    right = RunCheckpoint(monitor="val/a/pass@2", mode="max")
    other = RunCheckpoint(monitor="rollout/lenght", mode="max")
    wrong = RunCheckpoint(monitor="val/mine", mode="max")
    check_keys(Evaluation(), PROBLEMS, [right, other], [])
    check_keys(Evaluation(), PROBLEMS, [wrong, InfiniteAdvantage()], [])


def test_a_run_is_refused_before_its_first_rl_step(tmp_path: Path) -> None:
    monitor = ["--checkpoint.monitor=val/acuracy", "--checkpoint.mode=max"]
    with pytest.raises(ValueError, match=r"checkpoint\.monitor=val/acuracy is not logged by the"):
        fit(tmp_path, *monitor, "--trainer.callbacks=null")
    assert not list(tmp_path.iterdir())
