"""Any text of a configuration or a command is read, or refused; none is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import fuzz, texts, values
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from lit_entropy.cli.arguments import ready_arguments
from lit_entropy.cli.classes import choose, flat
from lit_entropy.cli.commands import split_words
from lit_entropy.cli.loggers import completed
from lit_entropy.cli.names import changes_of, name_run
from lit_entropy.cli.options import RunOptions
from lit_entropy.cli.parser import set_up_parsing
from lit_entropy.cli.start import light_parser
from lit_entropy.cli.values import dump_values, escaped, load_values, map_text, read_values
from lit_entropy.tracking.redaction import REDACTED, redact, redact_text, redact_words

SETTINGS = ["--model.loss", "--data.seed", "--run.name", "--over.x", "-c", "--seeds", "--model"]
WORD = st.sampled_from([*SETTINGS, "fit", "sweep", "figures"]) | texts(3).map(lambda t: t[:500])
WORDS = st.lists(WORD | st.tuples(WORD, WORD).map("=".join), max_size=6)


def test_values() -> None:
    def are_read(text: str) -> None:
        try:
            value = load_values(text)
        except yaml.YAMLError:
            return
        completed(flat(value))

    assert fuzz(texts().map(lambda text: text[:3000]), are_read) >= 100


def test_files_of_any_bytes(tmp_path: Path) -> None:
    def is_read(content: bytes) -> None:
        path = tmp_path / "x.yaml"
        path.write_bytes(content)
        try:
            read_values(path)
        except ValueError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)

    encoded = texts().map(lambda text: text[:3000].encode("utf-8", "surrogatepass"))
    deep = st.sampled_from([b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"? " * 3000])
    assert fuzz(st.binary(max_size=200) | encoded | deep, is_read) >= 100


def test_values_survive_a_file() -> None:
    def survive(value: Any) -> None:
        text = dump_values({"a": value})
        assert repr(load_values(text)) == repr({"a": map_text(value, escaped)})

    def is_plain(value: Any) -> bool:
        text = repr(value)  # PyYAML needs seconds for 100,000 characters
        return len(text) < 50_000 and "\ud83d" not in text and "\\ud" not in text

    plain = values().filter(is_plain)
    assert fuzz(plain, survive) >= 100


def test_words_of_a_command() -> None:
    def are_read(words: list[str]) -> None:
        try:
            own, _ = split_words(words)
            chosen = choose(ready_arguments(own))
        except (ValueError, yaml.YAMLError):
            return
        changes = changes_of(chosen.arguments, {})
        run = RunOptions()
        name_run(run, changes, 0)
        assert changes.explicit or (len(run.name) < 400 and "/" not in run.name)

    assert fuzz(WORDS, are_read) >= 100


def test_a_parser_ends_with_code_2_or_settings(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_parsing()
    parser = light_parser("figures")[0]

    def ends(words: list[str]) -> None:
        try:
            parser.parse_args(ready_arguments(["figures", *words]))
        except (OmegaConfBaseException, ValueError):  # a reference, or no UTF-8: refused in a line
            return
        except SystemExit as end:
            lines = capsys.readouterr().err.splitlines()
            assert end.code in (0, 2)
            assert end.code == 0 or len(lines) <= 2

    flag = st.sampled_from(["--output", "--labels", "--only", "--nothing", "run"])
    words = st.lists(st.tuples(flag, texts(3).map(lambda t: t[:300])).map("=".join), max_size=4)
    assert fuzz(words, ends, examples=60) >= 50


def test_redaction() -> None:
    environment = {"GH_PAT": "canary-55", "SHORT_TOKEN": "zq1"}

    def hides(case: tuple[Any, str]) -> None:
        value, text = case
        clean = redact({"a": value, "b": text, "c": f"{text} canary-55", "d": "zq1"}, environment)
        assert "canary-55" not in str(clean) and clean["d"] == REDACTED
        assert "canary-55" not in redact_text(f"{text}canary-55{text}", environment)
        assert len(redact_words([text, "--x", text])) == 3

    assert fuzz(st.tuples(values(), texts()), hides) >= 100
