"""Every case of the benchmarks at its smallest size, and the contenders of their own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from benchmarks import __main__ as command
from benchmarks import trl_grpo
from benchmarks.cases import callbacks, engines, evaluation, growth, head, rl_step, rollout, startup
from benchmarks.cases import update as update_case
from benchmarks.fitted import CONFIGS, fit
from benchmarks.memory import peak_bytes, resident_bytes, start_peak
from benchmarks.records import Outcome
from benchmarks.separate import separately
from benchmarks.setting import SMOLLM, Setting, base_folder, tokenizer_of
from runs import SMALL

NO_TRL = pytest.mark.skipif(find_spec("trl") is None, reason="needs the bench extra")


def measured(outcome: Outcome) -> dict[str, str]:
    """Units by name."""
    assert all(len(each.values) == 1 for each in outcome.series)
    return {each.name: each.unit for each in outcome.series}


@pytest.mark.parametrize(
    ("case", "units"),
    [
        (startup.measure, {"python alone": "CPU-s"}),
        (
            rollout.measure,
            {
                "LocalEngine, chain-xs": "tokens/s",
                "generate, chain-xs": "tokens/s",
                "rollout, chain-xs: LocalEngine by generate": "ratio",
            },
        ),
        (
            evaluation.measure,
            {"chain-s: greedy": "problems/s", "chain-s: greedy and 4 samples": "problems/s"},
        ),
        (
            update_case.measure,
            {"update of chain-xs": "Gflop/s", "update of chain-xs by a product": "share"},
        ),
        (growth.measure, {"update, batch": "exponent", "rollout, batch": "exponent"}),
        (
            head.measure,
            {
                "time, plain": "s",
                "time, checkpointed": "s",
                "time, blocks": "s",
                "head, time: blocks by plain": "ratio",
            },
        ),
    ],
    ids=["startup", "rollout", "evaluation", "update", "growth", "head"],
)
def test_what_a_case_measures(case: command.Callable, units: dict[str, str]) -> None:
    assert measured(case("smoke", 1)) == units


def test_a_share_is_part_of_the_rl_step() -> None:
    outcome = callbacks.measure("smoke", 1)
    shares = {each.name: each.median for each in outcome.series if each.unit == "share"}
    every = shares.pop("all callbacks")
    assert 0 < shares["EntropyMonitor"] < every < 1
    assert every == pytest.approx(sum(shares.values()))
    assert "Clock" not in shares


def test_an_rl_step_without_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trl_grpo, "installed", lambda: False)
    outcome = rl_step.measure("rl_step_0.1m", "smoke", 1)
    ours, plain, by = outcome.series
    assert (ours.name, plain.name) == ("lit_entropy", "plain script")
    assert by.name == "rl_step_0.1m: plain script by lit_entropy"
    assert by.median == plain.median / ours.median
    assert outcome.missing == ("TRL: not installed; pip install -e '.[bench]'",)


def test_rl_steps_that_only_warm_up_do_not_count() -> None:
    clock = fit(["--config", str(CONFIGS / "quickstart.yaml"), *SMALL], 2, first=3)
    assert len(clock.starts) == 6
    assert clock.window == clock.starts[5] - clock.starts[3] == 2 * clock.step_seconds


def test_generate_and_the_engine_count_tokens_alike() -> None:
    """A response counts up to and with its end: at most the limit, at least one token."""
    setting = rollout.Sampled("chain-xs", 2, 2, 3)
    policy = rollout.Case("chain-xs", 1, 1, 1).policy().eval()
    prompts = rollout.prompts_of(setting, policy)
    assert len(prompts) == 4 and prompts[0] == prompts[1] != prompts[2]
    assert 4 <= rollout.generated_tokens(policy, prompts, 3) <= 12
    policy.eos_token_ids = list(range(policy.vocab_size))  # every token ends
    assert rollout.generated_tokens(policy, prompts, 3) == 4
    assert rollout.engine_tokens(policy, prompts, setting) == 4


def test_each_task_has_a_thousand_held_out_problems() -> None:
    tasks = evaluation.tasks_of("full")
    assert {base: len(task.validation_problems()) for base, task in tasks.items()} == {
        "chain-s": 1000,
        "discovery-s": 1000,
    }


def test_engines_without_vllm() -> None:
    if find_spec("vllm") is not None:
        pytest.skip("vllm is installed")
    assert engines.measure("smoke", 1) == Outcome((), (engines.MISSING,))


def test_a_failed_command_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="exit code 3; run it by hand"):
        startup.cpu_seconds([startup.sys.executable, "-S", "-c", "raise SystemExit(3)"])


def test_prompts_come_in_the_order_of_the_run() -> None:
    """The plan's order, which a fit uses as well, RL step after RL step."""
    setting = rl_step.SMOKE
    task = setting.make_task()
    numbers = [int(n) for step in (1, 2) for n in setting.plan.prompts(100_000, step, 0)]
    assert [problem.id for problem in setting.problems(task, 2)] == numbers


@pytest.mark.slow
def test_the_peak_of_a_pass() -> None:
    """Logits of 4,096 x 16,384 float32 take 268 MB, of which blocks keep a part."""
    sizes = head.Head(4096, 16_384, 16)
    plain, blocks = (separately(head.peak, path, sizes) for path in ("plain", "blocks"))
    assert plain > 0.268
    assert blocks < 0.5 * plain


@pytest.mark.slow
def test_a_peak_starts_again() -> None:
    block = torch.ones(50_000_000)
    del block
    start_peak()
    assert peak_bytes() < resident_bytes() + 50e6


@pytest.mark.slow
def test_smollm_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base of its shape, in whose chat a sum can be asked; the table says that it is random."""
    monkeypatch.setattr("benchmarks.setting.has_weights", lambda base: False)
    tokenizer = tokenizer_of(base_folder(SMOLLM, tmp_path))
    task = rl_step.SETTINGS["rl_step_smollm"].make_task()
    text = tokenizer.decode(task.encode(task.train_problems()[0], tokenizer))
    assert text.startswith("Add.;")
    assert tokenizer.decode(tokenizer.encode("12 + 7 = 19")) == "12 + 7 = 19"


@NO_TRL
@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [rl_step.SMOKE, Setting("chain-xs", "chain", (), 4, 1e-4, 2, 4, 4, 2, 1)]
)
def test_trl_makes_the_same_rl_step(setting: Setting, tmp_path: Path) -> None:
    """Also where minibatches have microbatches."""
    assert trl_grpo.trl_seconds(setting, base_folder(setting.base, tmp_path)) > 0
    arguments = trl_grpo.arguments(setting, str(tmp_path))
    assert arguments.generation_batch_size == setting.plan.sequences
    assert arguments.max_steps == setting.plan.updates_per_step * 3


@NO_TRL
@pytest.mark.slow
def test_a_prompt_that_trl_would_change_is_refused() -> None:
    setting = rl_step.SMOKE
    task, tokenizer = setting.make_task(), tokenizer_of(base_folder("chain-xs", Path()))
    task.encode = lambda problem, tokenizer: [5, tokenizer.eos_token_id, 99]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="the two would not be compared"):
        trl_grpo.dataset(setting.problems(task, 1), task, tokenizer)
