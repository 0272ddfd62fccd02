"""The import graph of the package's rooms, drawn from the imports themselves.

A room is a module or package directly below ``lit_entropy``; an import under ``TYPE_CHECKING``
counts. ``docs/generate.py`` asks for both parts when the site is built.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import grimp
import networkx as nx

PACKAGE = Path(__file__).parents[1] / "lit_entropy"
COLUMN, ROW, MARGIN = 92, 62, 4  # distances of a layer's rooms and of layers, and the edge, in px


@cache
def imports() -> nx.DiGraph:
    """Every room, with an edge to each room that it imports."""
    graph = grimp.build_graph("lit_entropy", cache_dir=None)
    rooms = sorted(graph.find_children("lit_entropy"))
    for room in rooms:
        graph.squash_module(room)
    drawn = nx.DiGraph()
    for room in rooms:
        name = room.removeprefix("lit_entropy.")
        drawn.add_node(name)
        found = graph.find_modules_directly_imported_by(room) - {"lit_entropy", room}
        drawn.add_edges_from((name, other.removeprefix("lit_entropy.")) for other in found)
    return drawn


def layers() -> list[list[str]]:
    """The rooms from those that import none to those that no other imports.

    Raises:
        networkx.NetworkXUnfeasible: there is a cycle.
    """
    found: list[list[str]] = []
    place: dict[str, float] = {}

    def mean_place(room: str) -> float:
        below = [place[other] for other in imports()[room]]
        return sum(below) / len(below) if below else 0.5

    for layer in nx.topological_generations(imports().reverse()):
        found.append(sorted(sorted(layer), key=mean_place))
        place |= {room: (i + 1) / (len(layer) + 1) for i, room in enumerate(found[-1])}
    return found


def picture() -> str:
    """The graph as SVG: an arrow is an import, a faint one an import that others imply."""
    rows = layers()
    width, height = max(map(len, rows)) * COLUMN, len(rows) * ROW
    at = {
        room: (width * (i + 0.5) / len(row), height - (n + 0.5) * ROW)
        for n, row in enumerate(rows)
        for i, room in enumerate(row)
    }
    needed = nx.transitive_reduction(imports()).edges
    lines, names = [], []
    for room, other in sorted(imports().edges, key=lambda edge: edge in needed):
        (x, y), (u, v) = at[room], at[other]
        shape = (
            f"M{x:.0f} {y + 13:.0f}C{x:.0f} {y + 40:.0f} {u:.0f} {v - 40:.0f} {u:.0f} {v - 13:.0f}"
        )
        kind = "needed" if (room, other) in needed else "implied"
        lines.append(
            f'<path class="{kind}" d="{shape}"><title>{room} imports {other}</title></path>'
        )
    for room, (x, y) in at.items():
        names.append(
            f'<rect x="{x - 42:.0f}" y="{y - 13:.0f}" width="84" height="26" rx="5"/>'
            f'<text x="{x:.0f}" y="{y + 4:.0f}">{room}</text>'
        )
    head = (
        '<div class="rooms"><svg role="img" aria-label="Import graph of the rooms" '
        f'viewBox="{-MARGIN} {-MARGIN} {width + 2 * MARGIN} {height + 2 * MARGIN}">'
    )
    return "\n".join([head, *lines, *names, "</svg></div>"])


def table() -> str:
    """Each room with the first sentence of its docstring and the rooms that it imports."""
    lines = ["| room | what it holds | imports |", "|---|---|---|"]
    for room in (room for layer in layers() for room in sorted(layer)):
        path = PACKAGE / room
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        text = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
        text = " ".join(text.replace("``", "`").split())
        others = ", ".join(f"`{other}`" for other in sorted(imports()[room])) or "none"
        lines.append(f"| `{room}` | {text} | {others} |")
    return "\n".join(lines)
