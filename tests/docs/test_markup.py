"""What becomes of the pages' HTML: code, formulas, pictures, indices, names of files."""

import importlib
from types import ModuleType

import pytest
from documents import ROOT


@pytest.fixture
def markup(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("markup")


def formula(markup: ModuleType, tex: str) -> str:
    """The MathML of a formula in a line, without what stands around it."""
    pytest.importorskip("latex2mathml")  # of the extra docs
    drawn = markup.finished(f'<span class="arithmatex">\\({tex}\\)</span>')
    return drawn.split("<mrow>", 1)[1].rsplit("</mrow>", 1)[0]


def test_code_is_kept_and_its_words_stay_whole(markup: ModuleType) -> None:
    """A flag or a run is not parted; an attribute that looks like a flag is no text."""
    source = '<code><span id="a--source--__span-0-1"><span>def</span></span></code>'
    assert markup.finished(source) == source
    command = markup.finished("<code>lit-entropy fit --ckpt_path runs/q-seed0/last.ckpt</code>")
    assert command == (
        '<code><span class="whole">lit-entropy</span> fit <span class="whole">--ckpt_path</span> '
        '<span class="whole">runs/q-seed0</span>/last.ckpt</code>'
    )


def test_formulas_are_spaced_as_in_print(markup: ModuleType) -> None:
    thin = '<mspace width="0.167em" />'
    assert formula(markup, r"\operatorname{Cov}(y)") == (
        '<mi>Cov</mi><mo stretchy="false">&#x00028;</mo><mi>y</mi>'
        '<mo stretchy="false">&#x00029;</mo>'
    )
    assert formula(markup, r"\log\pi") == f"<mi>log</mi>{thin}<mi>&#x003C0;</mi>"
    assert formula(markup, r"a = -b") == (
        '<mi>a</mi><mo>&#x0003D;</mo><mo form="prefix">&#x02212;</mo><mi>b</mi>'
    )
    assert formula(markup, r"a - b") == "<mi>a</mi><mo>&#x02212;</mo><mi>b</mi>"
    assert formula(markup, r"a \sim b") == "<mi>a</mi><mo>&#x0223C;</mo><mi>b</mi>"
    assert formula(markup, r"\mathcal H") == "<mi>&Hscr;</mi>"
    assert formula(markup, r"y_{<t}") == (
        '<msub><mi>y</mi><mrow><mo lspace="0" rspace="0">&#x0003C;</mo><mi>t</mi></mrow></msub>'
    )


def test_a_picture_has_its_text_below_it(markup: ModuleType) -> None:
    assert markup.finished('<p><img alt="A law" src="../images/law.png" /></p>') == (
        '<figure class="picture"><div><a href="../images/law.png">'
        '<img alt="A law" src="../images/law.png" /></a></div>'
        "<figcaption>A law</figcaption></figure>"
    )


def test_letters_have_their_index_below_the_line(markup: ModuleType) -> None:
    """Not in code, and not in the names of keys or files."""
    page = "<td>H_{k+1}, Cov_a, π_old, log_ratio <code>c_i</code> a/b_c</td>"
    assert markup.finished(page) == (
        "<td>H<sub>k+1</sub>, Cov<sub>a</sub>, π<sub>old</sub>, "
        "log_ratio <code>c_i</code> a/b_c</td>"
    )


def test_a_file_that_a_page_shows_has_its_name(markup: ModuleType) -> None:
    generate = importlib.import_module("generate")
    shown = generate.on_page_markdown("<!-- file my_loss.py -->\n```python\nx = 1\n```")
    assert shown == '```python title="my_loss.py"\nx = 1\n```'


def test_tables_of_docstrings_keep_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two columns or three, as reStructuredText has them."""
    pytest.importorskip("griffe")  # of the extra docs
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    table = importlib.import_module("docstrings").TABLE
    for rule in ("=== ===", "=== === ==="):
        text = f"Keys.\n\n{rule}\nkey  unit\n{rule}\na    nats\n{rule}\n\nMore."
        assert table.findall(text) == [text.split("\n\n")[1]]
