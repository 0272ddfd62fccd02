"""The paper's configurations, parsed by the command line's own parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lit_entropy.cli import main as cli
from lit_entropy.planning.experiment import Parsed

CONFIGS = Path(__file__).parent.parent.parent / "configs"
PAPER = CONFIGS / "experiment" / "paper"


def parser_of_plan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Parsed]:
    """A function that parses configuration files and flags as ``lit-entropy plan`` does.

    The parser is taken from a real call, so that the files are read a second each, not ten.
    """
    calls: list[Parsed] = []

    def keep(experiment: Parsed) -> None:
        """Keep the experiment."""
        calls.append(experiment)

    monkeypatch.setattr("lit_entropy.planning.command.plan", keep)
    cli.main(["plan", "--config", str(CONFIGS / "quickstart.yaml")])
    parser = calls[0].parser

    def parse(*items: Path | str) -> Parsed:
        flags = [
            text
            for item in items
            for text in (["--config", str(item)] if isinstance(item, Path) else [item])
        ]
        return Parsed(parser, parser.parse_args(flags))

    return parse
