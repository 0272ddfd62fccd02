"""A part of the tiny suite through the real command line, at the size of a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lit_entropy.cli.main import main
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.jobs import cells_of, plan

#: Both tasks and every control.
CHOSEN = ("1", "4", "controls")
#: One seed shows that a cell runs; the notebooks' tests train two.
ONE_SEED = replace(BUDGETS["smoke"], steps=4, claim_seeds=1, few_seeds=1)


@pytest.mark.timeout(900)
def test_reproduce_smoke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUDGETS, "smoke", ONE_SEED)
    output = tmp_path / "smoke"
    command = ["reproduce", "--suite", "tiny", "--budget", "smoke", "--output", str(output)]
    command += ["--figures", ",".join(CHOSEN)]
    main([*command, "--jobs", "1"])
    planned = plan(cells_of(ENTRIES, CHOSEN), BUDGETS["smoke"])
    assert f"0 of {len(planned)} runs are finished" in capsys.readouterr().out
    finished = sorted(path.parent.name for path in (output / "runs").glob("*/done.json"))
    assert finished == sorted(run.name for run in planned)
    used = {value for run in planned for value in run.settings if value.endswith(".yaml")}
    # that of sweeps: test_jobs; those of strategy discovery: tests/callbacks/test_strategy_shares
    assert {"configs/suite/tiny.yaml", "configs/suite/tiny_smoke.yaml"} <= used
    report = json.loads((output / "report-1-4-controls.json").read_text())
    assert list(report["figures"]) == [e.key for e in ENTRIES if e.key in CHOSEN]
    assert report["missing"] == []
    claims = {entry.key: [claim.claim for claim in entry.claims] for entry in ENTRIES}
    for key, figure in report["figures"].items():
        assert figure["commands"], key
        if figure["problem"]:  # a run of four RL steps cannot show everything
            assert figure["claims"] == []
            continue
        assert [claim["claim"] for claim in figure["claims"]] == claims[key]
        steps = {"1": 24, "4": 8}.get(key, 4)  # six times and twice as long as others
        assert {c["verdict"] for c in figure["claims"]} == {
            f"not judged: 1 of 3 seeds, {steps} of 100 RL steps"
        }
        stem = f"figure_{key.replace('-', '_')}"
        assert (output / "figures" / f"{stem}.png").stat().st_size > 10_000
        assert (output / "figures" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    drawn = [key for key, figure in report["figures"].items() if not figure["problem"]]
    assert set(drawn) == set(CHOSEN)
    before = (output / "report-1-4-controls.html").read_bytes()
    main(command)
    said = capsys.readouterr().out
    assert f"{len(planned)} of {len(planned)} runs are finished, 0 to go" in said
    assert (output / "report-1-4-controls.html").read_bytes() == before
