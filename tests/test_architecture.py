"""The import directions of the design, and calls that no file of the package may make."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lit_entropy"
FILES = sorted(PACKAGE.rglob("*.py"))

#: The rooms from the lowest layer to the highest: a room imports lower layers alone.
LAYERS = (
    {"types", "errors", "atomic", "functional", "verify", "shipped", "moved"},
    {"losses", "advantages", "regularizers", "tasks", "policy", "tracking"},
    {"checks", "checkpoints", "figures", "pretraining"},
    {"distributed", "reproduce"},
    {"rollouts"},
    {"step"},
    {"evaluation", "callbacks", "data"},
    {"module"},
    {"planning"},
    {"cli"},
    {"__main__", "__init__"},
)
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
FORBIDDEN_CALLS = {"eval", "exec", "sympify", "parse_expr", "compile"}
FORBIDDEN_ATTRIBUTES = {("pickle", "load"), ("pickle", "loads"), ("os", "system")}


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def runtime_imports(tree: ast.Module) -> set[str]:
    """Imports of the package outside ``if TYPE_CHECKING`` blocks."""
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If)
        and isinstance(block.test, ast.Name)
        and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lit_entropy"):
            names.add((node.module or "").split(".")[1] if "." in (node.module or "") else "")
        elif isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("lit_entropy.")
            }
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = part(path)
    others = runtime_imports(ast.parse(path.read_text())) - {room, ""}
    upwards = {other for other in others if LAYER[other] >= LAYER[room]}
    assert not upwards, f"{path.name} imports {upwards}, which is not below {room}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_unsafe_call(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in FORBIDDEN_CALLS, f"{path.name}:{node.lineno}"
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                call = (node.func.value.id, node.func.attr)
                assert call not in FORBIDDEN_ATTRIBUTES, f"{path.name}:{node.lineno}"
            for keyword in node.keywords:
                if keyword.arg == "trust_remote_code":
                    assert getattr(keyword.value, "value", True) is False
                if keyword.arg == "weights_only":
                    assert getattr(keyword.value, "value", None) is True
                assert not (keyword.arg == "shell" and getattr(keyword.value, "value", 0) is True)


def test_the_checks_can_fail() -> None:
    tree = ast.parse("from lit_entropy.module import EntropyModule\nimport lit_entropy.cli.main")
    assert runtime_imports(tree) == {"module", "cli"}
