"""The engine and the task of docs/how-to/rl-step.md as classes, also for runs on two ranks."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "rl-step.md"
NAME = "ask_again"


def _load() -> ModuleType:
    """The page's file, imported from a copy."""
    text = PAGE.read_text().split(f"<!-- file {NAME}.py -->\n```python\n")[1].split("```\n")[0]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{NAME}.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(NAME, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
    return module


AskAgain = _load().AskAgain
LastAnswer = sys.modules[NAME].LastAnswer
