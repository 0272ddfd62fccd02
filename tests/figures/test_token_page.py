"""The page as text: numbers, colours, escapes."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from matplotlib.colors import to_rgb

from lit_entropy.figures.position_profile import PositionProfile
from lit_entropy.figures.token_page import (
    LEVELS,
    PAPER_TABLE1,
    QuadrantRow,
    ShownResponse,
    ShownToken,
    TokenPageRecord,
    TokenRow,
    covariance_class,
    decimals,
    level,
    shades,
    signed,
    token_page,
)

ATTACK = "<script>alert(1)</script>\"' onclick=x&amp;\n\u202e"
VOID = {"meta", "input", "br"}
MINUS = "\N{MINUS SIGN}"


class Page(HTMLParser):
    """Balanced tags, scripts, the cells of each table, and the shown tokens with attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.tables: list[list[list[str]]] = []
        self.tokens: list[tuple[dict[str, str | None], str]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "i":
            self.tokens.append((dict(attrs), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data.strip()
        if self.open and self.open[-1] == "i":
            self.tokens[-1] = (self.tokens[-1][0], self.tokens[-1][1] + data)


@pytest.fixture
def record() -> TokenPageRecord:
    tokens = [
        ShownToken(" the", False, -0.5, 0.25, 1.0, 1.5),
        ShownToken("⟨eos⟩", True, -3.0, 2.0, -4.0, 1.5),
    ]
    return TokenPageRecord(
        run="quick",
        rl_step=25,
        responses_total=256,
        tokens_total=12345,
        reward=0.4375,
        entropy=0.31415,
        covariance=0.0625,
        table1=dict(zip(PAPER_TABLE1, (17.5, 11.25, 3.0, 0.875, 0.4375, 0.0625), strict=True)),
        high_probability=0.5,
        quadrants=[
            QuadrantRow("positive_high", 0.5, 0.125),
            QuadrantRow("positive_low", 0.0625, -0.0625),
            QuadrantRow("negative_high", 0.25, -0.03125),
            QuadrantRow("negative_low", 0.125, 0.0315),
            QuadrantRow("zero", 0.0625, -0.00025),
        ],
        lowering=[TokenRow(" wait", False, 1234, -0.0421, 0.25, 0.5)],
        raising=[TokenRow("⟨eos⟩", True, 256, 0.0123, 0.999, -1.25)],
        profile=PositionProfile([1, 2], [0.5, 0.25], [0.1, -0.1], [1.0, 0.5]),
        responses=[ShownResponse("1 + 1\n", 7, tokens, 3, 1.0, True, 4)],
        covariance_limit=2.0,
        entropy_limit=2.0,
    )


def test_the_page_holds_the_numbers(record: TokenPageRecord) -> None:
    page = Page(token_page(record))
    for part in ("quick", "25", "256", "12,345", "0.438", "0.3141", "+0.0625", f"{MINUS}0.0625"):
        assert part in page.text, part
    table1, quadrants, lowering, raising = page.tables
    assert table1[1:] == [
        ["0.02 %", "17.500", "5.654"],
        ["0.2 %", "11.250", "3.112"],
        ["2 %", "3.000", "1.385"],
        ["20 %", "0.875", "0.351"],
        ["50 %", "0.438", "0.152"],
        ["all", "0.062", "0.003"],
    ]
    assert [row[:3] for row in quadrants[1:]] == [
        ["A > 0, likely", "50.0 %", "+0.125"],
        ["A > 0, unlikely", "6.2 %", f"{MINUS}0.062"],
        ["A < 0, likely", "25.0 %", f"{MINUS}0.031"],
        ["A < 0, unlikely", "12.5 %", "+0.032"],
        ["A = 0", "6.2 %", "0.000"],
        ["all", "100 %", "+0.062"],
    ]
    assert lowering[1:] == [["·wait", "1,234", f"{MINUS}0.0421", "0.250", "+0.500"]]
    assert raising[1:] == [["⟨eos⟩", "256", "+0.0123", "0.999", f"{MINUS}1.25"]]


def test_each_token_is_shaded_twice_and_has_its_numbers(record: TokenPageRecord) -> None:
    page = Page(token_page(record))
    assert page.tokens == [
        (
            # c = +1 of 2: half of the shades; H = 0.25 of 2: an eighth
            {"class": "p4 e1", "title": "log π -0.500 · H 0.250 · c +1.000 · A +1.50"},
            "·the",
        ),
        (
            # c = -4 saturates
            {"class": "n8 e8 s", "title": "log π -3.000 · H 2.000 · c -4.000 · A +1.50"},
            "⟨eos⟩",
        ),
    ]
    for part in ("[7 characters] … 1 + 1↵\n", "… 3 more tokens", "✓ right", "reward 1"):
        assert part in page.text, part


def test_the_advantage_of_a_response_may_vary_over_its_tokens(record: TokenPageRecord) -> None:
    response = record.responses[0]
    varied = [response.tokens[0], replace(response.tokens[1], advantage=-0.5)]
    html = token_page(replace(record, responses=[replace(response, tokens=varied)]))
    assert f"advantage {MINUS}0.500 to +1.50" in Page(html).text
    assert "advantage +1.50" in Page(token_page(record)).text


def test_text_of_the_model_cannot_act(record: TokenPageRecord) -> None:
    token = replace(record.responses[0].tokens[0], text=ATTACK)
    attacked = replace(
        record,
        run=ATTACK,
        lowering=[replace(record.lowering[0], text=ATTACK)],
        raising=[replace(record.raising[0], text=ATTACK)],
        responses=[replace(record.responses[0], prompt=ATTACK, tokens=[token])],
    )
    harmless, page = Page(token_page(record)), Page(token_page(attacked))
    assert page.count["script"] == harmless.count["script"] == 1
    assert "onclick" not in {name for name, _ in page.attributes}
    shown = "<script>alert(1)</script>\"'·onclick=x&amp;↵⟨U+202E⟩"
    assert page.tokens[0][1] == shown
    assert page.tables[2][1][0] == page.tables[3][1][0] == shown
    assert "\u202e" not in token_page(attacked)


def test_nothing_is_fetched(record: TokenPageRecord) -> None:
    html = token_page(record)
    page = Page(html)
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "srcset", "action", "data"}
    # references within the drawing alone
    links = [value for name, value in page.attributes if name == "xlink:href"]
    assert links and all(value and value.startswith("#") for value in links)
    assert "default-src 'none'" in html and "@import" not in html
    assert html == token_page(record)


def test_a_full_page_is_light(record: TokenPageRecord) -> None:
    token = ShownToken(" together", False, -10.123, 0.123, -0.123, -0.12)
    response = replace(record.responses[0], prompt="word " * 200, tokens=[token] * 200)
    html = token_page(replace(record, responses=[response] * 12))  # the defaults of the callback
    assert len(Page(html).tokens) == 2400
    assert len(html.encode()) < 300_000


def test_empty_lists_are_said(record: TokenPageRecord) -> None:
    page = Page(token_page(replace(record, raising=[], responses=[], entropy_limit=0.0)))
    assert page.tables[3][1] == ["none"] and page.tokens == []


def test_levels() -> None:
    assert [level(value, 2.0) for value in (0.0, 0.1, 0.13, -1.0, 2.0, 99.0)] == [0, 0, 1, 4, 8, 8]
    assert level(1.0, 0.0) == 0
    assert [covariance_class(value, 2.0) for value in (-2.0, 0.5, 0.0)] == ["n8", "p2", "p0"]


def test_black_text_is_legible_on_every_shade() -> None:
    def luminance(colour: str) -> float:  # WCAG 2
        parts = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)
        )
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    for colour in ("#E69F00", "#0072B2", "#009E73"):
        scale = shades(colour)
        assert scale[0] == "#ffffff" and len(scale) == LEVELS + 1
        light = [luminance(shade) for shade in scale]
        assert light == sorted(light, reverse=True)
        assert (light[-1] + 0.05) / (luminance("#1a1a1a") + 0.05) > 4.5


def test_numbers_as_text() -> None:
    assert (
        signed(0.01234) == "+0.0123" and signed(-12.34) == f"{MINUS}12.3" and signed(0.0) == "0.00"
    )
    assert signed(-5e-9, 3) == "0.000" and signed(1234.5) == "+1234"
    assert decimals([0.01, -0.2, 0.0]) == 3 and decimals([]) == 2 and decimals([5e-6]) == 8
