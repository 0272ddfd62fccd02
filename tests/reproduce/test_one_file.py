"""The documented figure in one file: listed, it is planned, drawn and judged."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from docs.documents import ROOT, labelled
from reproduce import made_runs
from reproduce.made_runs import STEPS, finish

from lit_entropy.figures import entries, style
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.command import report_of
from lit_entropy.reproduce.jobs import cells_of, plan

(FILE,) = labelled("file lengths.py", ROOT / "docs" / "how-to" / "figures.md")


def test_a_figure_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)
    monkeypatch.setattr(entries, "PLANNED", entries.Plan(seeds=3, steps=STEPS))
    file = tmp_path / "lengths.py"
    file.write_text(FILE)
    spec = importlib.util.spec_from_file_location("lengths", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lengths", module)
    spec.loader.exec_module(module)
    book = (*ENTRIES, module.LENGTHS)

    planned = plan(cells_of(book, ["length"]), BUDGETS["quick"])
    assert [run.name for run in planned] == [
        f"{name}-seed{seed}" for seed in (50, 51, 52) for name in ("grpo", "longer")
    ]
    assert "--model.max_new_tokens 120" in planned[1].command(tmp_path)
    for run in planned:
        floor = 0.4 + (run.seed - 50) / 10
        monkeypatch.setitem(made_runs.LEVELS, "longer limit", (floor, 0.0))
        finish(run, tmp_path / "runs")
    page = report_of(planned, tmp_path, ["length"], "tiny", "quick", book)

    record = json.loads(page.with_suffix(".json").read_text())["figures"]
    assert list(record) == ["length"] and len(record["length"]["commands"]) == 6
    # 10 + 0.05 k + seed / 10 tokens over steps 33 to 40, of each seed once
    measures = record["length"]["measures"]
    expected = [10 + 0.05 * 36.5 + seed / 10 for seed in (50, 51, 52)]
    assert measures["last"]["values"] == pytest.approx(expected)
    assert measures["last"]["mean"] == pytest.approx(expected[1])
    # the longer limit: 0.4, 0.5 and 0.6 an RL step in place of 0.05
    assert measures["added"]["seeds"] == [50, 51, 52]
    assert measures["added"]["values"] == pytest.approx([k * 36.5 for k in (0.35, 0.45, 0.55)])
    assert record["length"]["claims"] == [
        {
            "claim": "Responses stay short.",
            "paper": "not in the paper",
            "rule": "95 % interval below 20 tokens",
            "measured": "16.9 ± 0.2 tokens",
            "verdict": "reproduced",
        },
        {
            "claim": "The limit keeps them short.",
            "paper": "not in the paper",
            "rule": "difference above 0",
            "measured": "+16.4 ± 9.1 tokens",
            "verdict": "reproduced",
        },
    ]
    assert "How long responses are" in page.read_text()
    assert (tmp_path / "figures" / "figure_length.pdf").exists()
