"""The benchmarks at their smallest size, the arithmetic of their records, and their table."""

from __future__ import annotations

import math
import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from benchmarks import __main__ as command
from benchmarks import trl_grpo
from benchmarks.cases import callbacks, engines, evaluation, growth, head, rl_step, rollout, startup
from benchmarks.cases import update as update_case
from benchmarks.machine import Machine
from benchmarks.memory import peak_bytes, resident_bytes, start_peak
from benchmarks.records import Outcome, Series, exponent, ratio, share
from benchmarks.records import growth as growth_of
from benchmarks.report import Record, Report, read, table, write
from benchmarks.rounds import alternate, rated
from benchmarks.separate import separately
from benchmarks.setting import SMOLLM, Setting, base_folder, tokenizer_of

MACHINE = Machine("a processor", 2, {"float32": 5e10}, 2e10)
NO_TRL = pytest.mark.skipif(find_spec("trl") is None, reason="needs the bench extra")


def series(*values: float, name: str = "a", unit: str = "s") -> Series:
    return Series(name, unit, values)


def test_ratios_are_taken_round_by_round() -> None:
    """A round that is three times as slow for both leaves the ratio: 2, 2, 4, not 6 / 3."""
    found = ratio("x", series(2.0, 6.0, 8.0), series(1.0, 3.0, 2.0))
    assert found == Series("x", "ratio", (2.0, 2.0, 4.0))
    assert found.median == 2.0 and found.spread == (2.0, 4.0)
    assert share("y", series(1.0), series(4.0)) == Series("y", "share", (0.25,))


def test_a_power_is_its_exponent() -> None:
    """3 n^1.5 at n = 1, 4, 16 is 3, 24, 192."""
    assert exponent([1, 4, 16], [3.0, 24.0, 192.0]) == pytest.approx(1.5)
    sizes = [series(3.0, 5.0), series(24.0, 20.0), series(192.0, 80.0)]
    found = growth_of("z", [1, 4, 16], sizes)
    assert found.unit == "exponent"
    assert found.values == pytest.approx((1.5, 1.0))  # the second round: 5 n


@pytest.mark.parametrize("values", [(), (1.0, math.nan), (math.inf,)])
def test_a_round_without_a_number_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="every round needs a finite number"):
        Series("a", "s", values)


@pytest.mark.parametrize(("warm", "values"), [(True, ((3, 5), (4, 6))), (False, ((1, 3), (2, 4)))])
def test_contenders_take_turns(warm: bool, values: tuple[tuple[float, ...], ...]) -> None:
    """Each call counts on: A takes the odd numbers, B the even ones."""
    numbers = iter(range(1, 100))
    take = partial(next, numbers)
    found = alternate({"A": take, "B": take}, 2, "unit", warm)
    assert (found["A"].values, found["B"].values) == values
    assert found["A"].unit == "unit"


def test_a_rate_is_a_count_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert rated(lambda: 30)() == 60.0


def test_the_table_says_what_was_measured_and_what_was_not() -> None:
    outcome = Outcome((series(1.0, 4.0, 2.0, name="TRL"),), ("vllm: not installed",))
    text = table(Report({"threads": "2"}, {"rollout": Record(outcome, MACHINE, 0.25, 61.4)}))
    assert text.splitlines() == [
        "threads 2",
        "",
        "| case | measured | median | least to largest | unit |",
        "|---|---|---|---|---|",
        "| rollout | TRL | 2 | 1 to 4 | s |",
        "| rollout | not measured: vllm: not installed | | | |",
        "",
        "| case | product, Gflop/s | copy, GB/s | load before | took, s |",
        "|---|---|---|---|---|",
        "| rollout | 50.0 | 20.0 | 0.2 | 61 |",
    ]


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    outcome = Outcome((series(1.0, 2.0), series(0.1, unit="share")), ("nothing",))
    report = Report({"size": "full"}, {"head": Record(outcome, MACHINE, 0.0, 1.0)})
    write(report, tmp_path)
    assert read(tmp_path, {"size": "full"}) == report
    assert (tmp_path / "benchmarks.png").stat().st_size > 1000
    with pytest.raises(ValueError, match=r"of another setup \(size full, now smoke\): name a new"):
        read(tmp_path, {"size": "smoke"})


def test_a_finished_case_is_not_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a case that was not asked for is not measured; another setup is refused."""
    words = ["--output", str(tmp_path), "--size", "smoke", "--rounds", "1", "--threads", "1"]
    words += ["--cases", "engines"]
    first = [command.main(words) for _ in range(2)]
    assert first == [0, 0]
    assert capsys.readouterr().out.count("engines: measuring") == 1
    assert command.main([*words, "--again"]) == 0
    assert capsys.readouterr().out.count("engines: measuring") == 1
    assert command.main([*words, "--rounds", "2"]) == 2
    assert "another setup (rounds 1, now 2)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.parse([*words, "--rounds", "0"])
    assert "--rounds=0 must be at least 1" in capsys.readouterr().err


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


def test_every_case_is_there() -> None:
    """Each module of cases is in the command; RL steps make 8 or 2 updates."""
    modules = {path.stem for path in Path(rl_step.__file__).parent.glob("*.py")}
    assert modules - {"rl_step"} == set(command.CASES) - set(rl_step.SETTINGS)
    updates = [setting.plan.updates_per_step for setting in rl_step.SETTINGS.values()]
    assert updates == [8, 8, 2]


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


def test_the_page_names_every_case_and_its_commands_are_right() -> None:
    page = (rl_step.CONFIGS.parent / "docs" / "how-to" / "benchmarks.md").read_text()
    named = set(re.findall(r"`([\w.]+)`", " ".join(re.findall(r"^\| (`.*?) \|", page, re.M))))
    assert named == set(command.CASES)
    lines = re.findall(r"^PYTHONPATH=tests python -m benchmarks (.*)$", page, re.M)
    first, second = (command.parse(line.split()) for line in lines)
    assert (first.size, first.cases, first.threads) == ("full", list(command.CASES), 2)
    assert (second.size, second.rounds) == ("smoke", 1)
