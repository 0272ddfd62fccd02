"""What a reader without a network would miss on the built site: ``python built_site.py FOLDER``.

Every link, picture and anchor leads to something within the site, no script, style, font or picture
comes from elsewhere, no formula and no table is left as it was written, headings go down by one
level, and no attribute holds a tag (which breaks what it stands in). It exits with the faults.
"""

import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
AWAY = ("http", "https", "data", "mailto")
CSS_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
TEX = re.compile(r"\\[(\[]|\$\$|\\(?:frac|sum|mathcal|operatorname|log)\b")
LEFT = {"a formula": TEX, "a table": re.compile(r"\|-{3}|={5,} ={5,}")}
SHOWN = 40  # faults
UNREAD = ("script", "style", "pre", "code")


class Page(HTMLParser):
    """Links, anchors, headings and faults of one page, in the order in which they stand.

    Attributes:
        ids: what an anchor may name.
        links: addresses of links and of whatever is loaded.
        headings: levels, 1 to 6.
        faults: what is wrong with the page by itself.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.headings: list[int] = []
        self.faults: list[str] = []
        self._unread: list[str] = []
        self.feed(text)
        self.faults += levels(self.headings)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for name, value in given.items():
            if "<" in name or "<" in value:
                self.faults.append(f"<{tag}> holds a tag in {name}: {value[:60]}")
        if tag in UNREAD:
            self._unread.append(tag)
        self._look_at_address(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if self._unread and self._unread[-1] == tag:
            self._unread.pop()

    def handle_data(self, data: str) -> None:
        for what, written in () if self._unread else LEFT.items():
            if found := written.search(data):
                line = data[found.start() :].splitlines()[0]
                self.faults.append(f"{what} is not drawn: {line[:60]}")

    def _look_at_address(self, tag: str, given: dict[str, str]) -> None:
        address = given.get(LOADED.get(tag, "href"), "")
        if tag in LOADED and urlsplit(address).netloc and given.get("rel") != "canonical":
            self.faults.append(f"<{tag}> is loaded from elsewhere: {address}")
        elif address and urlsplit(address).scheme not in AWAY:
            self.links.append(address)


def levels(headings: list[int]) -> list[str]:
    """What is wrong with the levels of a page's headings."""
    faults = [] if headings.count(1) == 1 else [f"{headings.count(1)} headings of level 1"]
    return faults + [
        f"a heading of level {level} follows one of level {before}"
        for before, level in pairwise(headings)
        if level > before + 1
    ]


def dead(site: Path, path: Path, link: str, pages: dict[Path, Page]) -> str | None:
    """Why a link of ``path`` leads nowhere; None if it leads somewhere."""
    address = urlsplit(link)
    start = site if address.path.startswith("/") else path.parent
    target = (start / unquote(address.path).lstrip("/")).resolve() if address.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return f"{link} does not exist"
    if address.fragment and target in pages and unquote(address.fragment) not in pages[target].ids:
        return f"{link} names no anchor"
    return None


def faults_of(folder: Path) -> list[str]:
    """Every fault of a built site, as ``page: what is wrong``."""
    site = folder.resolve()
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    faults = [] if pages else [f"{folder}: has no pages"]
    for path, page in pages.items():
        nowhere = [dead(site, path, link, pages) for link in page.links]
        found = [*page.faults, *dict.fromkeys(why for why in nowhere if why)]
        faults += [f"{path.relative_to(site)}: {why}" for why in found]
    for path in sorted(site.rglob("*.css")):
        for given in ("".join(found) for found in CSS_URL.findall(path.read_text())):
            address = urlsplit(given)
            missing = not address.scheme and not (path.parent / address.path).is_file()
            if address.netloc or missing:
                why = "comes from elsewhere" if address.netloc else "does not exist"
                faults.append(f"{path.relative_to(site)}: {given} {why}")
    return faults


if __name__ == "__main__":
    every = faults_of(Path(sys.argv[1]))
    more = [f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else []
    sys.exit("\n".join(every[:SHOWN] + more) or 0)
