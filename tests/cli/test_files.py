"""A configuration file with a mistake: its name, the place and what is wrong, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_entropy.cli.main import main
from lit_entropy.cli.values import read_values

BROKEN: dict[str, tuple[bytes, str]] = {
    "syntax": (
        b"model:\n  loss: [KLCov\ndata:\n",
        ", line 3, column 5: while parsing a flow sequence from line 2, expected ',' or ']', "
        "but got ':'",
    ),
    "tab": (b"a: 1\n\tb: 2\n", r", line 2, column 1: while scanning for the next token, found "),
    "latin": (b"a: 1\nb: \xe9t\xe9\n", ", line 2: byte 0xe9 is no UTF-8; save the file as UTF-8"),
    "twice": (b"data:\n  x: 1\n  x: 2\n", ", line 3, column 3: the key x stands twice, first in "),
    "alias": (b"a: *nope\n", ", line 1, column 4: found undefined alias 'nope'"),
    "tag": (b"a: !!python/name:os.system\n", ", line 1, column 4: could not determine a const"),
    "two": (b"a: 1\n---\nb: 2\n", ", line 2, column 1: expected a single document in the stream"),
    "control": (b'a: "x\x01"\n', ", character 6 is no text (#x0001); remove it"),
    "deep": (b"[" * 3000, ", nested too deeply: a configuration has a few levels"),
    "half": (b'a: "\\ud83d"', ", line 1, column 4: '\\ud83d' holds half a surrogate pair, which"),
    "digits": (b"a: " + b"9" * 5000, ", Exceeds the limit (4300 digits) for integer string conv"),
    "unhashable": (b"? [1, 2]\n: 3\n", ", line 1, column 3: while constructing a mapping, found"),
}
#: Of the file of an experiment alone.
NO_KEYS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", " holds nothing: a configuration is keys, 'data: {seed: 1}' say"),
    "comment": (b"# nothing\n", " holds nothing: a configuration is keys"),
    "list": (b"- a\n- b\n", " holds a list: a configuration is keys"),
    "text": (b"KLCov\n", " holds a text: a configuration is keys"),
    "number": (b"1: 2\n", ": the key 1 is no text; a configuration's keys are names"),
}


def said(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """The one line after the usage hint."""
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", "quickstart", *flags])
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 2
    return lines[-1]


@pytest.mark.parametrize("name", BROKEN | NO_KEYS)
def test_an_experiments_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = (BROKEN | NO_KEYS)[name]
    file = tmp_path / "my.yaml"
    file.write_bytes(content)
    assert said(capsys, "--config", str(file)).startswith(f"lit-entropy: error: {file}{message}")


@pytest.mark.parametrize("name", BROKEN)
def test_a_components_file_also_where_another_names_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = BROKEN[name]
    outer = tmp_path / "outer.yaml"
    for file in (tmp_path / "loss.yaml", tmp_path / "loss.yml"):
        file.write_bytes(content)
        outer.write_text(f"model: {{loss: {file.name}}}\n")
        for flag, path in (("--model.loss", file), ("--config", outer), ("--model", file)):
            line = said(capsys, flag, str(path))
            assert line.startswith(f"lit-entropy: error: {file}{message}")


def test_a_folder_an_empty_component_and_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, empty, items = (tmp_path / f"{name}.yaml" for name in ("folder", "empty", "items"))
    folder.mkdir()
    empty.touch()
    items.write_text("- a\n- b\n")
    for flag in ("--config", "--model.loss", "--model"):
        assert f"{folder} is a folder: name a file in it" in said(capsys, flag, str(folder))
    assert f"{empty} holds nothing: write what" in said(capsys, "--model.loss", str(empty))
    line = said(capsys, "--model.loss", str(items))
    assert line.endswith(f"model.loss: {items} holds neither the keys of a component nor its name")


def test_a_flags_mistake_names_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, "--run", "{name:")
    assert "run: Unable to load config '{name:'" in line and line.endswith("in column 7")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ValueError, match=r"a\.yaml cannot be read: Permission denied"):
        read_values(tmp_path / "a.yaml")


def test_a_merged_mapping_may_be_written_over(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")
    assert read_values(file)["b"] == {"x": 3, "y": 2}
