"""What the documents point to exists, and what the site generates covers the command line."""

import ast
import importlib
import importlib.util
import re
from functools import reduce
from pathlib import Path

import pytest
from documents import PAGES, README, ROOT, blocks

from lit_entropy.advantages import AdvantageEstimator
from lit_entropy.callbacks import RolloutCallback
from lit_entropy.cli.main import main
from lit_entropy.losses import PolicyLoss
from lit_entropy.policy import Policy
from lit_entropy.regularizers import Regularizer
from lit_entropy.rollouts import RolloutEngine
from lit_entropy.tasks import Task
from lit_entropy.verify import AnswerChecker

OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
PATH = re.compile(
    r"`((?:lit_entropy|configs|docs|tests|recipes|notebooks|\.ci)/[\w./-]*|\w+\.(?:txt|cff|cfg))`"
)
STOP = re.compile(r"\[`([\w.]+)`\]\[(lit_entropy[\w.]+)\]")
DIRECTIVE = re.compile(r"^::: (lit_entropy[\w.]+)$", re.MULTILINE)
COMMAND = re.compile(r"(?:PYTHONPATH=(\w+) )?python -m ([\w.]+)")
LINK = re.compile(r"\]\(([^)#:]+)(#[\w-]+)?\)")


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_and_links_exist(page: Path) -> None:
    text = page.read_text()
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []
    links = [link for link, _ in LINK.findall(text) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_each_promise_of_security_names_the_test_that_keeps_it() -> None:
    text = (ROOT / "SECURITY.md").read_text().split("## What holds")[1].split("\n## ")[0]
    promises = re.split(r"\n(?=\d+\. \*\*)", text)[1:]
    assert len(promises) >= 8
    assert [promise for promise in promises if not re.search(r"`tests/[\w/]+\.py`", promise)] == []


def named(path: str) -> object:
    """What a dotted path names; AttributeError or ModuleNotFoundError where it names nothing."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        if is_module(module):
            return reduce(getattr, parts[count:], importlib.import_module(module))
    raise ModuleNotFoundError(path)


def is_module(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


#: Kinds of parts that the command line knows by a short name, if their package exports it.
KINDS = (AdvantageEstimator, AnswerChecker, Policy, PolicyLoss, Regularizer, RolloutCallback)
KINDS += (RolloutEngine, Task)
CLASS = re.compile(r"(?<![\w./-])((?:\w+\.)*[A-Z]\w*[a-z]\w*)(?![\w./-])")
#: Names of others: Python, Lightning, TRL; and stand-ins for a name of the reader's.
FOREIGN = {"False", "None", "True", "ValueError", "GRPOTrainer", "MyLoss"}
FOREIGN |= {"EarlyStopping", "LearningRateMonitor", "ModelCheckpoint"}
STAND_INS = ("my.", "my_module.", "my_package.")


def classes_of_the_code() -> dict[str, list[str]]:
    """Dotted paths of every class of the package, by its name."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "lit_entropy").rglob("*.py")):
        module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(f"{module}.{node.name}")
    return found


def unknown_classes(text: str, shown: set[str], known: dict[str, list[str]]) -> list[str]:
    """Classes that a page names in another way than the command line, or Python, finds them."""
    blocks = "".join(re.findall(r"```\w+\n(.*?)```", text, re.DOTALL))
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    names = [name for span in spans for name in CLASS.findall(span)]
    names += re.findall(r"class_path: ([\w.]+)", blocks)
    return [name for name in sorted(set(names)) if not is_found(name, text, shown, known)]


def is_found(name: str, text: str, shown: set[str], known: dict[str, list[str]]) -> bool:
    """Whether a name of a page leads to a class."""
    if name in FOREIGN | shown or name.startswith(STAND_INS):
        return True
    if "." in name:
        try:
            return isinstance(named(name), type)
        except (AttributeError, ModuleNotFoundError):
            return False
    paths = known.get(name, [])
    parts = [named(path) for path in paths]
    if not any(isinstance(part, type) and issubclass(part, KINDS) for part in parts):
        return bool(paths)
    packages = {".".join(path.split(".")[:2]) for path in paths}
    exported = any(name in vars(importlib.import_module(package)) for package in packages)
    return exported or any(path in text for path in paths)


def test_every_class_that_a_page_names_is_found() -> None:
    known = classes_of_the_code()
    shown = {
        f"{block.label.removeprefix('file ').removesuffix('.py')}.{name}"
        for block in blocks()
        if block.label.endswith(".py")
        for name in re.findall(r"^class (\w+)", block.text, re.MULTILINE)
    }
    assert len(shown) >= 10
    pages = {page.name: page.read_text() for page in [*PAGES, *OTHERS]}
    faults = {name: unknown_classes(text, shown, known) for name, text in pages.items()}
    assert {name: found for name, found in faults.items() if found} == {}
    wrong = "`tasks.Countdown` `KLCoy` `Miniature` `lit_entropy.losses.KLCov` `my_a.B_c`"
    assert unknown_classes(wrong, shown, known) == [
        "KLCoy",
        "Miniature",
        "my_a.B_c",
        "tasks.Countdown",
    ]


def test_each_stop_of_a_batch_is_a_function_of_today() -> None:
    """And its source stands in the API or in The RL step, so that the link leads to it."""
    stops = STOP.findall((ROOT / "docs" / "life-of-a-batch.md").read_text())
    assert len(stops) >= 25
    for name, path in stops:
        assert callable(named(path)), path
        assert path.endswith(f".{name}"), (name, path)
    with pytest.raises(AttributeError):
        named("lit_entropy.step.collect.nothing")


def test_what_the_reference_shows_exists() -> None:
    reference = [page.read_text() for page in PAGES if page.parent.name == "reference"]
    paths = [path for text in reference for path in DIRECTIVE.findall(text)]
    assert len(paths) >= 25
    assert all(named(path) for path in paths)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_are_run_exist(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, module in COMMAND.findall(page.read_text()):
        monkeypatch.syspath_prepend(str(ROOT / path))
        assert is_module(module), module


def test_paths_that_are_looked_at() -> None:
    """SECURITY.md names files, and a wrong one would be found."""
    assert len(PATH.findall((ROOT / "SECURITY.md").read_text())) >= 5
    assert PATH.findall("`lit_entropy/nowhere.py`") == ["lit_entropy/nowhere.py"]


def test_every_link_of_the_readme_is_a_page_or_a_file() -> None:
    text = README.read_text()
    linked = {link for link, _ in LINK.findall(text)}
    assert len([link for link in linked if link.startswith("docs/")]) >= 22
    assert len(text.splitlines()) <= 150
    assert "![" in text


def test_the_configuration_page_has_every_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every flag of fit below model, data, run and checkpoint is in a generated table."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    generate = importlib.import_module("generate")
    page = generate.on_page_markdown((ROOT / "docs" / "reference" / "config.md").read_text())
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    flags = re.findall(r"--((?:model|data|run|checkpoint)\.[\w.]+)", capsys.readouterr().out)
    keys = {flag for flag in flags if not flag.endswith(".help")}
    assert len(keys) >= 30
    assert [key for key in sorted(keys) if f"| `{key}` |" not in page] == []
    assert "| `fraction` | `float` | `0.002` | share k of the tokens" in page  # KLCov
    assert "generated:" not in page


def test_what_the_pages_are_given_when_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headings beside cells, flags that no line end parts, help without control characters."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    generate = importlib.import_module("generate")
    table = "<table><tr><th>key</th><th><code>a</code> b</th></tr><tr><td>1</td><td>2</td></tr>"
    page = generate.on_page_content(table + "</table><code>lit-entropy fit --a.b 1</code> --c")
    assert '<td data-label="key">1</td><td data-label="a b">2</td>' in page
    assert '<span class="whole">lit-entropy</span> fit <span class="whole">--a.b</span> 1' in page
    assert "</code> --c" in page
    assert "\b" not in generate.cli("fit")


def test_a_word_has_one_meaning() -> None:
    """No word stands twice in the glossary."""
    rows = (ROOT / "docs" / "glossary.md").read_text().splitlines()[4:]
    words = [row.split("|")[1].strip() for row in rows if row.startswith("|")]
    assert len(words) == len(set(words)) >= 30
