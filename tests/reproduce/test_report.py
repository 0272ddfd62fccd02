"""The report: every figure of the suite drawn from runs of known numbers, as HTML and as JSON."""

from __future__ import annotations

import base64
import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from reproduce.claim_judging import NO, OPEN, YES
from reproduce.made_runs import finish

from lit_entropy.figures import style
from lit_entropy.figures.runs import Run
from lit_entropy.reproduce.book import CLAIMS, ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.command import report_of
from lit_entropy.reproduce.entries import Claim, Entry, Judgement, Table
from lit_entropy.reproduce.plan import plan
from lit_entropy.reproduce.report import Section, draw_section, plain, write_report
from lit_entropy.reproduce.suite import tiny_suite

VOID = {"meta", "img", "br", "hr", "link"}
HEADER = {
    "title": "Title",
    "introduction": "Words & more words.",
    "setting": "Setting.",
    "incomplete": "",
    "missing": [],
}


class Page(HTMLParser):
    """Elements, texts and addresses of a page; an end tag that closes nothing is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.verdicts: list[str] = []
        self._attributes: dict[str, str | None] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._attributes = dict(attrs)
        self.addresses += [str(value) for key, value in attrs if key in ("src", "href", "data")]
        self.ids += [str(value) for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and "verdict" in str(self._attributes.get("class", "")).split():
            self.verdicts.append(data.strip())
            self._attributes = {}
        self.text.append(data)


def draw(runs: Any = ()) -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def entry(**changed: Any) -> Entry:
    parts: dict[str, Any] = {
        "key": "1",
        "name": "Fig. 1",
        "title": "What <b>it</b> shows",
        "caption": "How to read it.",
        "draw": draw,
        "measure": lambda runs: {
            "runs": len(runs),
            "half": float("nan"),
            "labels": [runs[0].label],
        },
        "select": list,
        "tables": lambda measures: [Table(["label"], [[measures["labels"][0]]])],
    }
    return Entry(**parts | changed)


def always(holds: bool | None) -> Claim:
    return Claim("It is so.", "so", "it must be", lambda m: Judgement(holds, f"{m['runs']} runs"))


def run(label: str = "GRPO") -> Run:
    return Run("run", label, 0, {"step": np.arange(3.0)})


def test_a_section_holds_numbers_verdicts_and_the_picture(tmp_path: Path) -> None:
    claims = [always(True), always(False), always(None)]
    section = draw_section(entry(key="table-1"), claims, [run(), run()], ["a b"], tmp_path)
    assert section.problem == "" and section.commands == ["a b"]
    assert section.picture == tmp_path / "figure_table_1.png"
    assert section.picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure_table_1.pdf").read_bytes().startswith(b"%PDF")
    assert [judgement["verdict"] for judgement in section.judgements] == [YES, NO, OPEN]
    assert section.judgements[0] == {
        "claim": "It is so.",
        "paper": "so",
        "rule": "it must be",
        "measured": "2 runs",
        "verdict": "reproduced",
    }


@pytest.mark.parametrize("part", ["select", "measure", "draw"])
def test_runs_that_cannot_show_it_leave_the_reason(tmp_path: Path, part: str) -> None:
    def refuse(runs: Any) -> Any:
        raise ValueError("no run has label ['KL-Cov']")

    section = draw_section(entry(**{part: refuse}), [always(True)], [run()], [], tmp_path)
    assert section.problem == "Not drawn: no run has label ['KL-Cov']"
    assert section.measures is None and section.judgements == [] and section.picture is None
    assert not list(tmp_path.iterdir())
    html, data = write_report(tmp_path, [section], HEADER)
    page = Page(html.read_text())
    assert "Not drawn: no run has label ['KL-Cov']" in page.text
    assert page.tags["img"] == 0 and page.verdicts == []
    figure = json.loads(data.read_text())["figures"]["1"]
    assert figure["problem"] == section.problem and figure["measures"] is None


def test_an_error_of_the_code_is_not_taken_for_a_lack_of_runs(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        draw_section(entry(measure=lambda runs: {}["x"]), [], [run()], [], tmp_path)


def test_whatever_runs_are_called_the_page_stays_a_page(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&amp;"
    section = draw_section(entry(), [always(True)], [run(evil)], [f"fit {evil}"], tmp_path)
    section.judgements[0]["measured"] = evil
    broken = Section(entry(key="2"), [], problem=evil)
    header = HEADER | {"setting": evil, "incomplete": evil, "missing": [evil]}
    html, data = write_report(tmp_path, [section, broken], header)
    text = html.read_text()
    page = Page(text)
    assert "script" not in page.tags and "<script" not in text and page.tags["b"] == 0
    # table, measured, command, problem, setting, incomplete, missing; each as it was
    assert "".join(page.text).count(evil) == 7
    record = json.loads(data.read_text())
    assert record["setting"] == evil
    assert record["figures"]["1"]["measures"] == {"runs": 1, "half": None, "labels": [evil]}


def test_numbers_that_are_not_finite_become_none() -> None:
    assert plain({"a": [float("nan"), (float("inf"), 1.0)], 2: "x", "b": True}) == {
        "a": [None, [None, 1.0]],
        "2": "x",
        "b": True,
    }


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few pixels, which is where the time goes."""
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)


def test_the_report_of_the_whole_suite(
    tmp_path: Path, quick_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(tiny_suite(), BUDGETS["smoke"], [])
    for each in planned:
        finish(each, tmp_path / "runs")
    html = report_of(planned, tmp_path, [], "tiny", "smoke")
    record = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse_constant)
    assert list(record["figures"]) == [entry.key for entry in ENTRIES]
    assert {key: each["problem"] for key, each in record["figures"].items()} == dict.fromkeys(
        record["figures"], ""
    )
    assert record["missing"] == [] and record["incomplete"] == ""
    assert f"{BUDGETS['smoke'].steps} RL steps, 2 seeds for claims" in record["setting"]
    verdicts = []
    for key, figure in record["figures"].items():
        assert [claim["claim"] for claim in figure["claims"]] == [c.claim for c in CLAIMS[key]]
        assert figure["measures"]
        commands = [each.command(Path("runs")) for each in planned if key in each.cell.figures]
        assert figure["commands"] == commands
        verdicts += [claim["verdict"] for claim in figure["claims"]]
        stem = tmp_path / "figures" / f"figure_{key.replace('-', '_')}"
        assert stem.with_suffix(".png").exists() and stem.with_suffix(".pdf").exists()
    assert set(verdicts) <= {YES, NO, OPEN}
    shown = {key: figure["claims"] for key, figure in record["figures"].items()}
    # entropy 0.65 to 0.05 + 0.6 exp(-3.9) = 0.0621, accuracy by the law itself
    assert shown["1"][0]["measured"].startswith("entropy lost 90%, accuracy +0.424")
    assert shown["1"][0]["verdict"] == YES
    assert record["figures"]["3"]["measures"]["a"]["mean"] == pytest.approx(0.5, rel=1e-6)
    assert shown["12"][0]["verdict"] == NO  # the same entropy whatever the knob
    assert shown["table-1"][0]["verdict"] == YES  # 400 times the mean
    assert [claim["verdict"] for claim in shown["controls"]] == [NO, YES, YES]

    page = Page(html.read_text())
    assert page.verdicts[: len(verdicts)] == verdicts  # the summary, then each figure's own
    assert sorted(page.verdicts) == sorted(2 * verdicts)
    assert page.tags["img"] == len(ENTRIES)
    pictures = [address for address in page.addresses if address.startswith("data:image/png")]
    anchors = {address for address in page.addresses if address.startswith("#")}
    assert len(pictures) + sum(a.startswith("#") for a in page.addresses) == len(page.addresses)
    assert anchors <= {f"#{name}" for name in page.ids} and len(anchors) == len(ENTRIES)
    png = (tmp_path / "figures" / "figure_1.png").read_bytes()
    assert base64.b64decode(pictures[0].partition(",")[2]) == png
    assert capsys.readouterr().out.splitlines() == [f"{each.name}: drawn" for each in ENTRIES]
    for word in ("url(", "@import", "<script", str(tmp_path)):
        assert word not in html.read_text()


def test_the_same_runs_give_the_same_bytes_and_missing_ones_are_named(
    tmp_path: Path, quick_pictures: None
) -> None:
    planned = plan(tiny_suite(), BUDGETS["smoke"], ["1", "8"])
    for folder in ("one", "two"):
        for each in planned[::-1] if folder == "two" else planned:
            finish(each, tmp_path / folder / "runs")
    first, second = (
        report_of(planned, tmp_path / folder, ["1", "8"], "tiny", "smoke")
        for folder in ("one", "two")
    )
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()
    report_of(planned, tmp_path / "two", ["1", "8"], "tiny", "smoke")
    assert first.read_bytes() == second.read_bytes()

    for seed in (0, 1):
        (tmp_path / "two" / "runs" / f"policy_gradient-seed{seed}" / "done.json").unlink()
    second = report_of(planned, tmp_path / "two", ["1", "8"], "tiny", "smoke")
    record = json.loads(second.with_suffix(".json").read_text())
    assert record["missing"] == ["policy_gradient-seed0", "policy_gradient-seed1"]
    assert record["incomplete"].startswith(f"2 of {len(planned)} runs are not in this report")
    assert list(record["figures"]) == ["1", "8"]
    assert record["figures"]["1"]["problem"] == ""
    assert "policy gradient" in record["figures"]["8"]["problem"]
    assert "policy_gradient-seed1" in "".join(Page(second.read_text()).text)
