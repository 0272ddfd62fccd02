"""The import directions of the design, and calls that no file of the package may make."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import lightning as L
import pytest

PACKAGE = Path(__file__).parent.parent / "lit_entropy"
FILES = sorted(PACKAGE.rglob("*.py"))

#: The rooms from the lowest layer to the highest: a room imports lower layers alone.
LAYERS = (
    {"closest", "release"},
    {"types", "errors", "atomic", "functional", "verify", "shipped", "moved", "yaml_text"},
    {"contracts"},
    {"losses", "advantages", "regularizers", "tasks", "policy", "tracking"},
    {"checkpoints", "figures", "pretraining", "jobs"},
    {"distributed", "laboratory", "sweep"},
    {"reproduce"},
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


def imports(tree: ast.Module) -> set[str]:
    """Modules of the package that a file imports, also where only types are checked, or by name."""
    names = imports_by_name(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            home = node.module or ""
            names.add(home)
            names |= {f"{home}.{alias.name}" for alias in node.names} & MODULES.keys()
    return {name for name in names if name.partition(".")[0] == "lit_entropy"}


def imports_by_name(tree: ast.Module) -> set[str]:
    """Modules of the package that stand as text in a file which calls ``import_module``."""
    nodes = list(ast.walk(tree))
    if not any(isinstance(node, ast.Name) and node.id == "import_module" for node in nodes):
        return set()
    names = set()
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = node.value.split(".")
            stems = [".".join(parts[:count]) for count in range(len(parts), 1, -1)]
            names |= set([stem for stem in stems if stem in MODULES][:1])
    return names


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def room_of(module: str) -> str:
    return [*module.split("."), "__init__"][1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = part(path)
    others = {room_of(name) for name in imports(ast.parse(path.read_text()))} - {room}
    upwards = {other for other in others if LAYER[other] >= LAYER[room]}
    assert not upwards, f"{path.name} imports {upwards}, which is not below {room}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {name: imports(ast.parse(path.read_text())) for name, path in MODULES.items()}
    assert all(found <= MODULES.keys() for found in graph.values())
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert sorted(order) == sorted(MODULES)


def test_every_layer_is_there() -> None:
    assert {part(path) for path in FILES} == LAYER.keys()


#: What no function below the LightningModule may ask for; Lightning's own hooks are given it.
WHOLE = ("Trainer", "LightningModule", "EntropyModule", "EvaluatedModule", "PromptDataModule")
HOOKS = {name for kind in (L.Callback, L.LightningModule) for name in dir(kind)}


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if LAYER[part(path)] < LAYER["module"]],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_no_function_takes_the_whole(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name not in HOOKS:
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            asked = {ast.unparse(a.annotation).split(".")[-1] for a in arguments if a.annotation}
            assert not asked & set(WHOLE), f"{path.name}:{node.lineno} {node.name} takes {asked}"


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
    lines = ["if TYPE_CHECKING:", "    from lit_entropy.module import EntropyModule"]
    lines += ["import lit_entropy.cli.main", "from lit_entropy.step import collect", "import os"]
    found = imports(ast.parse("\n".join(lines)))
    parts = ("module", "cli.main", "step", "step.collect")
    assert found == {f"lit_entropy.{name}" for name in parts}
    named = 'import_module("lit_entropy.cli.main.main"), "of lit_entropy.step.order", "lit_entropy"'
    assert imports(ast.parse(named)) == {"lit_entropy.cli.main"}
    assert imports(ast.parse('"lit_entropy.cli.main"')) == set()
    assert room_of("lit_entropy") == "__init__" and room_of("lit_entropy.step.collect") == "step"
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
