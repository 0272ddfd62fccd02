r"""What a flag sets survives flag, file, config.yaml, file: numbers in names, ``off``, ``\${``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from runs import CONFIGS

from lit_entropy.cli.main import main
from lit_entropy.cli.values import (
    ConfigLoader,
    below,
    dump_references,
    dump_values,
    escaped,
    load_values,
    map_text,
    unescaped,
)
from lit_entropy.yaml_text import DEEPEST

NAMES = [
    "1e-6", "5e6", "1E6", "007", "true", "True", "null", "~", "0x10", "0o7", "0b1", "2026-11-28",
    "2026-11-28T10:00:00", "off", "on", "yes", "no", "Off", "12:30", "1:30.5", "1_000", ".5", "+1",
    "-5", ".inf", ".nan", "-.inf", "<<", "=", "1.", "a: b", "[x]", "{a, b}", "x:", "# x", "a #b",
    " x ", "@x", "%x", "&x", "*x", "!x", "|", ">", "\tx", "a\nb", "a\n", "é", "\u2028", "\x85",
    r"\${x}$", "${x}", r"\\${x}", "$", "${", "}", r"a\ ", "'", '"',
]  # fmt: skip
TEXT = st.text("\\${}x:.,'\"#- \n0e1", max_size=8) | st.text(max_size=8)


def readings(text: str) -> list[Any]:
    """By this project, by PyYAML, and by what resolves references."""
    return [load_values(text), yaml.safe_load(text), OmegaConf.to_container(OmegaConf.create(text))]


@pytest.mark.parametrize("name", NAMES)
def test_text_stays_text(name: str) -> None:
    for value in ({"a": {"b": name}}, {"a": [name, 1e-6, 5, True, None]}, {name: "x"}):
        expected = map_text(value, escaped)
        assert load_values(dump_values(value)) == expected
        assert yaml.safe_load(dump_values(value)) == expected
    assert readings(dump_references({"a": name.replace("${", "")})) == (
        [{"a": name.replace("${", "")}] * 3
    )


@given(TEXT)
def test_any_text_survives(value: str) -> None:
    written = load_values(dump_values({"a": {"b": value}}))
    assert map_text(written, unescaped) == {"a": {"b": value}}
    resolved = OmegaConf.to_container(OmegaConf.create(dump_references(written)), resolve=True)
    assert resolved == {"a": {"b": value}}


@given(st.floats() | st.integers() | st.booleans() | st.none())
def test_any_number_survives(value: float | bool | None) -> None:
    assert repr(load_values(dump_values({"a": value}))) == repr({"a": value})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6), ("5e6", 5e6), ("-1.5E+3", -1500.0), (".5", 0.5), ("1_000", 1000), ("0", 0),
        ("true", True), ("null", None), ("~", None), ("", None), ("off", "off"), ("yes", "yes"),
        ("007", "007"), ("0x10", "0x10"), ("12:30", "12:30"), ("2026-11-28", "2026-11-28"),
        ("1e", "1e"), ("1.2.3", "1.2.3"), ("-", "-"), ("name:", "name:"), ("{a, b}", "{a, b}"),
        ("{a: 1}", {"a": 1}), ("[off, 1e-6]", ["off", 1e-6]),
    ],
)  # fmt: skip
def test_what_a_file_means(text: str, value: object) -> None:
    loaded = load_values(text) if text != "-" else text
    assert loaded == value and type(loaded) is type(value)


@pytest.mark.parametrize("opening, closing", [("[", "]"), ("{a: ", "}"), ("[{a: ", "}]")])
def test_nesting_has_a_limit_whatever_python_recurses(
    monkeypatch: pytest.MonkeyPatch, opening: str, closing: str
) -> None:
    """PyYAML takes a time that grows with the square of the levels, 7 s for 3,000 of them here."""
    levels = DEEPEST // (1 + (len(closing) > 1))
    assert load_values(opening * levels + closing * levels)
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(20_000)
        with pytest.raises(yaml.YAMLError, match=r"^nested too deeply: a configuration has a few"):
            load_values(opening * 3000 + closing * 3000)
    finally:
        sys.setrecursionlimit(before)
    loader = ConfigLoader(opening * 3000)
    with pytest.raises(yaml.YAMLError):
        loader.get_single_data()
    assert loader.flow_level == DEEPEST, "what comes after the limit is not looked at"


def test_references_are_those_of_the_subcommand() -> None:
    assert below("a-${seed_everything}-${data.seed}", "fit") == (
        "a-${fit.seed_everything}-${fit.data.seed}"
    )
    assert below("${oc.env:X,${model.x}}", "fit") == "${oc.env:X,${fit.model.x}}"
    for text in ("${fit.x}", "${.x}", "${..x}", r"\${x}", r"\\\${x}", "${oc.env:X}", "$x"):
        assert below(text, "fit") == text
    assert below(r"\\${x}", "fit") == r"\\${fit.x}"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["fit", *arguments, "--print_config"])
    assert end.value.code == 0
    return capsys.readouterr().out


QUICKSTART = f"--config={CONFIGS / 'quickstart.yaml'}"


def test_flag_and_file_and_print_config_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several awkward texts at once, at the top, in a component, and in a list."""
    flags = ["--run.name=1e-6", "--run.project=off", "--run.folder=2026-11-28"]
    flags += [r"--model.policy.model=\${x}$", "--data.task=DatasetTask"]
    flags += ["--data.task.validation={a: 'x${seed_everything}', on: 5e6.jsonl}"]
    flags += ["--data.task.checker=NumberChecker", "--data.task.train=007"]
    flags += ["--data.task.system_prompt=1e3"]
    first = printed(capsys, QUICKSTART, *flags)
    values = map_text(load_values(first), unescaped)
    assert values["run"]["name"] == "1e-6" and values["run"]["project"] == "off"
    assert values["run"]["folder"] == "2026-11-28"
    assert values["model"]["policy"]["init_args"]["model"] == "${x}$"
    task = values["data"]["task"]["init_args"]
    assert task["train"] == "007" and task["system_prompt"] == "1e3"
    assert task["validation"] == {"a": "x0", "on": "5e6.jsonl"}
    file = tmp_path / "saved.yaml"
    file.write_text(first)
    assert printed(capsys, f"--config={file}") == first


def test_words_of_yaml_1_1_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("run: {wandb: off, name: 007, project: 2026-11-28}\n")
    run = load_values(printed(capsys, QUICKSTART, f"--config={file}"))["run"]
    assert (run["wandb"], run["name"], run["project"]) == ("off", "007", "2026-11-28")


def test_a_reference_in_a_flag_and_in_a_component(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loss = tmp_path / "loss.yaml"
    loss.write_text("class_path: KLCov\ninit_args: {kl_coef: '${seed_everything}'}\n")
    flags = ["--run.name=a-${seed_everything}-${data.group_size}", f"--model.loss={loss}"]
    values = load_values(printed(capsys, QUICKSTART, *flags, "--seed_everything=3"))
    assert values["run"]["name"] == f"a-3-{values['data']['group_size']}"
    assert values["model"]["loss"]["init_args"]["kl_coef"] == 3
