"""The check of the built site finds each kind of fault, and none in a page that is whole."""

import subprocess
import sys
from pathlib import Path

from built_site import faults_of
from documents import ROOT

WHOLE = """<link rel="stylesheet" href="extra.css"><h1 id="a">A</h1><h2>B</h2>
<a href="#a">up</a> <a href="sub/b.html#c">on</a> <a href="https://arxiv.org/abs/2505.22617">paper</a>
<img src="p.png"> <code>$$ \\frac</code> <a href="sub/">folder</a>"""
FAULTS = {
    '<a href="none.html">x</a>': "none.html does not exist",
    '<a href="sub/b.html#d">x</a>': "sub/b.html#d names no anchor",
    '<a href="#b">x</a>': "#b names no anchor",
    '<img src="q.png">': "q.png does not exist",
    '<script src="https://cdn.example/katex.js"></script>': (
        "<script> is loaded from elsewhere: https://cdn.example/katex.js"
    ),
    '<link rel="stylesheet" href="//fonts.example/a.css">': (
        "<link> is loaded from elsewhere: //fonts.example/a.css"
    ),
    "<p>so \\(a_b\\) is</p>": "a formula is not drawn: \\(a_b\\) is",
    "<p>| a |\n|---|\n| 1 |</p>": "a table is not drawn: |---|",
    '<span id="x<span class=">y</span>': "<span> holds a tag in id: x<span class=",
    "<h1>C</h1>": "2 headings of level 1",
    "<h4>C</h4>": "a heading of level 4 follows one of level 2",
}


def site(folder: Path, text: str, style: str = "a { background: url(p.png) }") -> Path:
    """A site of two pages, the first with ``text``."""
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text(text)
    (folder / "sub" / "b.html").write_text('<h1>B</h1><a name="c" href="../index.html"></a>')
    (folder / "sub" / "index.html").write_text("<h1>S</h1>")
    (folder / "p.png").write_bytes(b"")
    (folder / "extra.css").write_text(style)
    return folder


def test_a_whole_site_has_no_fault(tmp_path: Path) -> None:
    assert faults_of(site(tmp_path / "s", WHOLE)) == []
    assert faults_of(tmp_path / "empty") == [f"{tmp_path / 'empty'}: has no pages"]


def test_each_fault_is_named(tmp_path: Path) -> None:
    for number, (text, why) in enumerate(FAULTS.items()):
        found = faults_of(site(tmp_path / str(number), f"{WHOLE}\n{text}"))
        assert found == [f"index.html: {why}"], text


def test_styles_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    style = "a { src: url('https://fonts.example/a.woff2') } b { src: url(none.woff2) }"
    assert faults_of(site(tmp_path / "s", WHOLE, style)) == [
        "extra.css: https://fonts.example/a.woff2 comes from elsewhere",
        "extra.css: none.woff2 does not exist",
    ]


def test_the_command_ends_with_the_faults(tmp_path: Path) -> None:
    """And what CI runs after the build is this command, on the folder that the build writes."""
    command = [sys.executable, str(ROOT / "tests" / "docs" / "built_site.py")]
    links = "".join(f'<a href="{i}.html">x</a>' for i in range(42))
    for text, code, lines in ((WHOLE, 0, 0), (WHOLE + links, 1, 41)):
        folder = site(tmp_path / str(code), text)
        ended = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (code, lines)
    assert ended.stderr.endswith("and 2 more\n")
    assert "python tests/docs/built_site.py build/site" in (ROOT / ".ci" / "run").read_text()
    assert "site_dir: build/site" in (ROOT / "mkdocs.yml").read_text()
