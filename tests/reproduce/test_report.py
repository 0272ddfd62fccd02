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
from reproduce.made_runs import finish, make

from lit_entropy.figures import style
from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.entries import Claim, Entry, Judgement, Table
from lit_entropy.figures.history import load_run
from lit_entropy.figures.runs import Run
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.command import report_of
from lit_entropy.reproduce.jobs import cells_of, plan
from lit_entropy.reproduce.report import Header, Section, draw_section, write_report

VOID = {"meta", "img", "br", "hr", "link"}
HEADER = Header("Title", "Words & more words.", "Setting.")


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
        "claims": (),
        "select": list,
        "tables": lambda measures: [Table(["label"], [[measures["labels"][0]]])],
    }
    return Entry(**parts | changed)


def always(holds: bool | None) -> Claim:
    return Claim("It is so.", "so", "it must be", lambda m: Judgement(holds, f"{m['runs']} runs"))


def run(label: str = "GRPO") -> Run:
    return Run("run", label, 0, {"step": np.arange(3.0)})


def test_a_section_holds_numbers_verdicts_and_the_picture(tmp_path: Path) -> None:
    claims = (always(True), always(False), always(None))
    one = entry(key="table-1", claims=claims)
    section = draw_section(one, [run(), run()], ["a b"], tmp_path)
    assert section.problem == "" and section.commands == ["a b"]
    assert section.picture == (tmp_path / "figure_table_1.png").read_bytes()
    assert section.picture.startswith(b"\x89PNG")
    assert (tmp_path / "figure_table_1.pdf").read_bytes().startswith(b"%PDF")
    assert [claim.verdict for claim in section.claims] == [YES, NO, OPEN]
    assert as_json(section.claims[0]) == {
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

    section = draw_section(entry(claims=(always(True),), **{part: refuse}), [run()], [], tmp_path)
    assert section.problem == "Not drawn: no run has label ['KL-Cov']"
    assert section.measures is None and section.claims == [] and section.picture == b""
    assert not list(tmp_path.iterdir())
    html, data = write_report(tmp_path, [section], HEADER)
    page = Page(html.read_text())
    assert "Not drawn: no run has label ['KL-Cov']" in page.text
    assert page.tags["img"] == 0 and page.verdicts == []
    figure = json.loads(data.read_text())["figures"]["1"]
    assert figure["problem"] == section.problem and figure["measures"] is None


def test_an_error_of_the_code_is_not_taken_for_a_lack_of_runs(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        draw_section(entry(measure=lambda runs: {}["x"]), [run()], [], tmp_path)


def test_whatever_runs_are_called_the_page_stays_a_page(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&amp;"
    said = Claim("It is so.", "so", "it must be", lambda m: Judgement(True, evil))
    section = draw_section(entry(claims=(said,)), [run(evil)], [f"fit {evil}"], tmp_path)
    broken = Section(entry(key="2"), [], problem=evil)
    header = Header("Title", "Words.", evil, evil, [evil])
    html, data = write_report(tmp_path, [section, broken], header)
    text = html.read_text()
    page = Page(text)
    assert "script" not in page.tags and "<script" not in text and page.tags["b"] == 0
    # table, measured, command, problem, setting, incomplete, missing; each as it was
    assert "".join(page.text).count(evil) == 7
    record = json.loads(data.read_text())
    assert record["setting"] == evil
    assert record["figures"]["1"]["measures"] == {"runs": 1, "half": None, "labels": [evil]}


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few pixels, which is where the time goes."""
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)


def test_every_entry_measures_and_judges_the_runs_of_the_suite(tmp_path: Path) -> None:
    planned = plan(cells_of(ENTRIES), BUDGETS["smoke"])
    loaded = {
        each.name: load_run(make(each, tmp_path / each.cell.name), each.cell.label)
        for each in planned
    }
    verdicts, measures = {}, {}
    for each in ENTRIES:
        runs = [loaded[run.name] for run in planned if run.cell in each.cells]
        measures[each.key] = each.measure(each.select(runs))
        json.dumps(as_json(measures[each.key]), allow_nan=False)
        judgements = [claim.judge(measures[each.key]) for claim in each.claims]
        verdicts[each.key] = [judgement.verdict for judgement in judgements]
        assert all(judgement.measured for judgement in judgements)
        for table in each.tables(measures[each.key]):
            assert table.rows and {len(row) for row in table.rows} == {len(table.header)}
    assert measures["3"].a.mean == pytest.approx(0.5, rel=1e-6)
    assert verdicts["1"] == [YES] and verdicts["3"] == [YES]
    # after 40 / 12 RL steps exp(-k / 10) has made 29 % of its way, after 40 / 3 of them 75 %
    assert verdicts["2"] == [NO, YES]
    # one law for all algorithms and all sizes
    assert verdicts["6"] == [YES] and verdicts["7"][0] == NO
    assert verdicts["8"] == [YES, YES, YES] and verdicts["dynamics"] == [YES, YES]
    assert verdicts["table-1"] == [YES]  # 400 times the mean
    assert verdicts["9"] == [YES, NO] and verdicts["10"] == [NO]  # no coefficient does anything
    assert verdicts["12"][:2] == [OPEN, OPEN]  # equal levels have no rank correlation
    assert verdicts["11"] == [YES, NO, YES, NO, NO]  # 0.4 nats are 6 times 0.07 nats
    assert verdicts["controls"] == [NO, YES, YES]


def test_html_and_json_say_the_same(
    tmp_path: Path, quick_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["1", "3", "table-1"]
    planned = plan(cells_of(ENTRIES, chosen), BUDGETS["quick"])
    for each in planned:
        finish(each, tmp_path / "runs")
    html = report_of(planned, tmp_path, chosen, "tiny", "quick")
    assert html == tmp_path / "report-1-3-table-1.html"
    text = html.with_suffix(".json").read_text()
    record = json.loads(text, parse_constant=refuse_constant)
    assert list(record["figures"]) == ["1", "3", "table-1"]
    assert record["missing"] == [] and record["incomplete"] == ""
    assert f"{BUDGETS['quick'].steps} RL steps, 3 seeds for claims" in record["setting"]
    claims = {entry.key: [claim.claim for claim in entry.claims] for entry in ENTRIES}
    for key, figure in record["figures"].items():
        assert figure["problem"] == ""
        assert [claim["claim"] for claim in figure["claims"]] == claims[key]
        assert {claim["verdict"] for claim in figure["claims"]} == {YES}
        assert figure["commands"] == [each.command(Path("runs")) for each in planned]
        stem = tmp_path / "figures" / f"figure_{key.replace('-', '_')}"
        assert stem.with_suffix(".png").exists() and stem.with_suffix(".pdf").exists()
    # entropy 0.65 to 0.05 + 0.6 exp(-3.9) = 0.0621; accuracy as the law has it, at k = 0 and 40
    (claim,) = record["figures"]["1"]["claims"]
    assert claim["measured"] == "entropy lost 90%, accuracy +0.426, 3 seeds"
    page = Page(html.read_text())
    assert page.verdicts == [YES] * 6  # the summary, then each figure's own
    assert page.tags["img"] == 3
    pictures = [address for address in page.addresses if address.startswith("data:image/png")]
    anchors = [address for address in page.addresses if address.startswith("#")]
    assert len(pictures) + len(anchors) == len(page.addresses)  # nothing comes from elsewhere
    assert {anchor.removeprefix("#") for anchor in anchors} == set(page.ids)
    for picture, key in zip(pictures, ("1", "3", "table_1"), strict=True):
        png = (tmp_path / "figures" / f"figure_{key}.png").read_bytes()
        assert base64.b64decode(picture.partition(",")[2]) == png
    assert claim["measured"] in page.text and claim["paper"] in page.text
    assert "\n".join(record["figures"]["1"]["commands"]) in page.text
    assert capsys.readouterr().out.splitlines() == [
        "Fig. 1: drawn", "Fig. 3: drawn", "Table 1: drawn",
    ]  # fmt: skip
    for word in ("url(", "@import", "<script", str(tmp_path)):
        assert word not in html.read_text()


def test_the_same_runs_give_the_same_bytes_and_missing_ones_are_named(
    tmp_path: Path, quick_pictures: None
) -> None:
    planned = plan(cells_of(ENTRIES, ["1", "8"]), BUDGETS["smoke"])
    for folder in ("one", "two"):
        for each in planned[::-1] if folder == "two" else planned:
            finish(each, tmp_path / folder / "runs")
    first, second = (
        report_of(planned, tmp_path / folder, ["1", "8"], "tiny", "smoke")
        for folder in ("one", "two")
    )
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()

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
