"""The arithmetic of the benchmarks' records, their table, and their command."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path

import pytest
from benchmarks import __main__ as command
from benchmarks.cases import rl_step
from benchmarks.machine import Machine
from benchmarks.records import Outcome, Series, exponent, ratio, share
from benchmarks.records import growth as growth_of
from benchmarks.report import Record, Report, read, table, write
from benchmarks.rounds import alternate, rated

MACHINE = Machine("a processor", 2, {"float32": 5e10}, 2e10)


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


def test_every_case_is_there() -> None:
    """Each module of cases is in the command; RL steps make 8 or 2 updates."""
    modules = {path.stem for path in Path(rl_step.__file__).parent.glob("*.py")}
    assert modules - {"rl_step"} == set(command.CASES) - set(rl_step.SETTINGS)
    updates = [setting.plan.updates_per_step for setting in rl_step.SETTINGS.values()]
    assert updates == [8, 8, 2]


def test_the_page_names_every_case_and_its_commands_are_right() -> None:
    page = (rl_step.CONFIGS.parent / "docs" / "how-to" / "benchmarks.md").read_text()
    named = set(re.findall(r"`([\w.]+)`", " ".join(re.findall(r"^\| (`.*?) \|", page, re.M))))
    assert named == set(command.CASES)
    lines = re.findall(r"^PYTHONPATH=tests python -m benchmarks (.*)$", page, re.M)
    first, second = (command.parse(line.split()) for line in lines)
    assert (first.size, first.cases, first.threads) == ("full", list(command.CASES), 2)
    assert (second.size, second.rounds) == ("smoke", 1)
