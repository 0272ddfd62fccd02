"""The picture of the import graph: every import of the code, no cycle, arrows that point down."""

import ast
import importlib
import re
from types import ModuleType

import networkx as nx
import pytest
from documents import ROOT

PACKAGE = ROOT / "lit_entropy"
EDGE = re.compile(r'd="M\d+ (\d+)C[^"]* (\d+)"><title>(\w+) imports (\w+)</title>')


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("rooms")


def edges_of_the_code() -> set[tuple[str, str]]:
    """Every import statement between two rooms, those under TYPE_CHECKING too."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {
                (room, name.split(".")[1]) for name in names if name.startswith("lit_entropy.")
            }
    return {(room, other) for room, other in found if room not in (other, "__init__")}


def test_no_cycle(rooms: ModuleType) -> None:
    assert list(nx.simple_cycles(rooms.imports())) == []
    assert not nx.is_directed_acyclic_graph(nx.DiGraph([("a", "b"), ("b", "a")]))


def test_the_picture_shows_every_import_and_each_points_down(rooms: ModuleType) -> None:
    drawn = EDGE.findall(rooms.picture())
    assert {(room, other) for _, _, room, other in drawn} == edges_of_the_code()
    assert len(drawn) > 80
    assert all(int(start) < int(end) for start, end, _, _ in drawn)


def test_the_table_has_every_room(rooms: ModuleType) -> None:
    lines = rooms.table().splitlines()[2:]
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {line.split("`")[1] for line in lines} == modules - {"__init__", "__pycache__", "assets"}
    assert all(line.split("|")[2].strip() for line in lines)  # what it holds
