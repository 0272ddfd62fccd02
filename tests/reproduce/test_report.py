"""The report: every figure of the suite drawn from runs of known numbers, as HTML and as JSON."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from reproduce.claim_judging import NO, OPEN, UNDECIDED, YES
from reproduce.made_runs import STEPS, finish, make

from lit_entropy.figures import entries, style
from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.entries import Claim, Entry, Judgement, Table
from lit_entropy.figures.history import load_run
from lit_entropy.figures.marks import AXIS, BAND, BAR, MEANINGS, PAIR, artists
from lit_entropy.figures.runs import Run
from lit_entropy.figures.verdicts import Decision, Verdict
from lit_entropy.laboratory import rules
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS, Budget
from lit_entropy.reproduce.command import report_of
from lit_entropy.reproduce.digest import rules_digest
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


def always(verdict: Verdict) -> Claim:
    found = Decision(verdict)
    return Claim("It is so.", "so", "it must be", lambda m: Judgement(found, f"{m['runs']} runs"))


def run(label: str = "GRPO", seed: int = 0) -> Run:
    return Run("run", label, seed, {"step": np.arange(101.0)})


def test_a_section_holds_numbers_verdicts_and_the_picture(tmp_path: Path) -> None:
    claims = (always(YES), always(NO), always(OPEN), always(UNDECIDED))
    one = entry(key="table-1", claims=claims)
    runs = [run(seed=seed) for seed in range(3)]
    section = draw_section(one, runs, ["a b"], tmp_path)
    assert section.problem == "" and section.commands == ["a b"]
    assert section.picture == (tmp_path / "figure_table_1.png").read_bytes()
    assert section.picture.startswith(b"\x89PNG")
    assert (tmp_path / "figure_table_1.pdf").read_bytes().startswith(b"%PDF")
    assert [claim.verdict for claim in section.claims] == [YES, NO, OPEN, UNDECIDED]
    styles = ["yes", "no", "open", "undecided"]
    assert [claim.css for claim in section.claims] == styles
    few = draw_section(one, runs[:2], [], tmp_path)
    assert [claim.verdict for claim in few.claims] == ["not judged: 2 of 3 seeds"] * 4
    assert {claim.css for claim in few.claims} == {"open"}
    short = replace(runs[2], history={"step": np.arange(3.0)})
    (claim,) = draw_section(entry(claims=claims[:1]), [*runs[:2], short], [], tmp_path).claims
    assert claim.verdict == "not judged: 2 of 100 RL steps"
    both = draw_section(entry(claims=claims[:1]), [short], [], tmp_path).claims[0]
    assert both.verdict == "not judged: 1 of 3 seeds, 2 of 100 RL steps"
    assert as_json(section.claims[0]) == {
        "claim": "It is so.",
        "paper": "so",
        "rule": "it must be",
        "measured": "3 runs",
        "verdict": "reproduced",
    }


@pytest.mark.parametrize("part", ["select", "measure", "draw"])
def test_runs_that_cannot_show_it_leave_the_reason(tmp_path: Path, part: str) -> None:
    def refuse(runs: Any) -> Any:
        raise ValueError("no run has label ['KL-Cov']")

    section = draw_section(entry(claims=(always(YES),), **{part: refuse}), [run()], [], tmp_path)
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
    said = Claim("It is so.", "so", "it must be", lambda m: Judgement(Decision(YES), evil))
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
    """Pictures of few pixels, which is where the time goes; made runs as long as planned."""
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)
    monkeypatch.setattr(entries, "PLANNED", entries.Plan(seeds=3, steps=STEPS))


#: Three seeds of everything, as long as the made runs are.
THREE_SEEDS = Budget(steps=STEPS, claim_seeds=3, few_seeds=3)


def made_runs(entry: Entry, budget: Budget, folder: Path) -> list[Run]:
    """The runs of an entry, as training would leave them."""
    planned = plan(cells_of(ENTRIES, [entry.key]), budget)
    made = [(each, folder / each.cell.name / each.name) for each in planned]
    return [
        load_run(path if path.exists() else make(each, path.parent), each.cell.label)
        for each, path in made
    ]


@pytest.mark.parametrize("seeds", [pytest.param(1, marks=pytest.mark.slow), 2, 3])
def test_every_mark_of_every_figure_stands_in_a_legend(tmp_path: Path, seeds: int) -> None:
    budget = Budget(steps=STEPS, claim_seeds=seeds, few_seeds=seeds)
    for each in ENTRIES:
        figure = each.draw(each.select(made_runs(each, budget, tmp_path)))
        assert unexplained(figure) == [], each.key
        # no interval from fewer than three seeds
        marks = {artist.get_gid() for artist in artists(figure) if is_drawn(artist)}
        assert bool(marks & {BAND, BAR}) == (seeds > 2 and each.key != "dynamics"), each.key


def unexplained(figure: Figure) -> list[Artist]:
    """What is drawn and not named in a legend, by itself or by its kind; no zero of a panel."""
    parts = [each for part in figure.subfigs for each in part.legends]
    legends = [
        *figure.legends,
        *parts,
        *(axes.get_legend() for axes in figure.axes if axes.get_legend()),
    ]
    said = {text.get_text() for legend in legends for text in legend.get_texts()}
    names = {
        id(part): container.get_label()
        for axes in figure.axes
        for container in axes.containers
        for part in container.get_children()
    }
    known = {AXIS, PAIR, *(role for role, (name, _) in MEANINGS.items() if name in said)}
    return [
        artist
        for artist in artists(figure)
        if artist.get_gid() not in known
        and names.get(id(artist), artist.get_label()) not in said
        and is_drawn(artist)
    ]


def is_drawn(artist: Artist) -> bool:
    """Whether it has a place: bars of no width and lines without numbers have none."""
    if isinstance(artist, LineCollection):
        points = np.concatenate(
            [np.zeros((0, 2)), *(each for each in artist.get_segments() if len(each))]
        )
    else:
        points = artist.get_xydata() if isinstance(artist, Line2D) else np.zeros((1, 2))
    return bool(np.isfinite(np.asarray(points, dtype=float)).all(axis=-1).any())


def test_every_entry_measures_and_judges_the_runs_of_the_suite(tmp_path: Path) -> None:
    verdicts, measures = {}, {}
    for each in ENTRIES:
        runs = made_runs(each, THREE_SEEDS, tmp_path)
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
    # one law for all algorithms and all sizes: without spread of a coefficient there is no R²
    assert verdicts["6"] == [YES] and verdicts["7"] == [OPEN, YES]
    assert verdicts["8"] == [YES, YES, YES] and verdicts["dynamics"] == [YES, YES]
    assert verdicts["table-1"] == [YES]  # 400 times the mean
    assert verdicts["9"] == [YES, NO] and verdicts["10"] == [NO]  # no coefficient does anything
    assert verdicts["12"][:2] == [OPEN, OPEN]  # equal levels have no rank correlation
    assert verdicts["11"] == [YES, NO, YES, NO, NO]  # 0.4 nats are 6 times 0.07 nats
    assert verdicts["controls"] == [NO, YES, YES]
    # every prediction is the change itself, but Theorem 1's with Adam: nothing else costs R², of
    # which a difference of two ones is 0 but for rounding
    adam = [row.label for row in rules.ROWS if row.costs].index("Adam")
    costs = verdicts["anatomy"][4:-4]
    assert len(costs) == 9 and [place for place, v in enumerate(costs) if v == YES] == [adam]
    assert verdicts["anatomy"][:4] == verdicts["anatomy"][-4:] == [YES] * 4


def test_html_and_json_say_the_same(
    tmp_path: Path, quick_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen, seeds = ["1", "3", "table-1"], {"1": 8, "3": 8, "table-1": 12}
    planned = plan(cells_of(ENTRIES, chosen), BUDGETS["full"])
    for each in planned:
        finish(each, tmp_path / "runs")
    html = report_of(planned, tmp_path, chosen, "tiny", "full")
    assert html == tmp_path / "report-1-3-table-1.html"
    text = html.with_suffix(".json").read_text()
    record = json.loads(text, parse_constant=refuse_constant)
    assert list(record["figures"]) == ["1", "3", "table-1"]
    assert record["missing"] == [] and record["incomplete"] == ""
    assert f"{BUDGETS['full'].steps} RL steps, 3 seeds for claims" in record["setting"]
    assert f" Rules {rules_digest(ENTRIES, BUDGETS['full'])}: " in record["setting"]
    claims = {entry.key: [claim.claim for claim in entry.claims] for entry in ENTRIES}
    for key, figure in record["figures"].items():
        assert figure["problem"] == ""
        assert [claim["claim"] for claim in figure["claims"]] == claims[key]
        assert {claim["verdict"] for claim in figure["claims"]} == {YES}
        own = {cell.name for entry in ENTRIES if entry.key == key for cell in entry.cells}
        commands = [each.command(Path("runs")) for each in planned if each.cell.name in own]
        assert figure["commands"] == commands and len(commands) == seeds[key]
        stem = tmp_path / "figures" / f"figure_{key.replace('-', '_')}"
        assert stem.with_suffix(".png").exists() and stem.with_suffix(".pdf").exists()
    # entropy 0.65 to 0.05 + 0.6 exp(-3.9) = 0.0621; accuracy as the law has it, at k = 0 and 40
    (claim,) = record["figures"]["1"]["claims"]
    assert claim["measured"] == "entropy lost 90 ± 0 %, accuracy +0.426 ± 0.000, 8 seeds"
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
