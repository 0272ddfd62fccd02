"""Runs of the real CLI on data sets, with a tiny model that has letters and a chat template."""

from __future__ import annotations

import string
from pathlib import Path

from runs import CONFIGS, SMALL
from tiny_models import build_tiny_model
from transformers import AutoTokenizer

from lit_entropy.cli.main import EntropyCLI, main

SMALL_DATA = [option for option in SMALL if "data.task" not in option]
CHAT_TEMPLATE = "{% for message in messages %}<{{ message.content }}>{% endfor %}"


def chat_model(folder: Path) -> str:
    """A random model of printable characters whose tokenizer has a chat template."""
    path = build_tiny_model(folder, string.printable)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(path)
    return path


def run(command: str, folder: Path, *arguments: str, config: str = "quickstart.yaml") -> EntropyCLI:
    """Run a subcommand in this process, runs below ``folder``."""
    small = [option for option in SMALL_DATA if command == "fit" or "checkpoint" not in option]
    options = [f"--run.folder={folder}", "--trainer.callbacks=null", *arguments]
    return main([command, "--config", str(CONFIGS / config), *small, *options])
