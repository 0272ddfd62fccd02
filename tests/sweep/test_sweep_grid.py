"""The points of a grid, its runs, and what of it is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from lit_entropy.cli.commands import split_words
from lit_entropy.cli.main import main
from lit_entropy.sweep.file import read_file
from lit_entropy.sweep.grid import Sweep, check_words, points, runs

LOSSES = {"model.loss": ["PPOClip", "lit_entropy.losses.KLCov"]}


def test_every_combination_is_a_point() -> None:
    over = {**LOSSES, "model.optimizer.lr": [1e-4, 2e-4]}
    assert [point.label for point in points(over)] == [
        "PPOClip-lr_0.0001", "PPOClip-lr_0.0002", "KLCov-lr_0.0001", "KLCov-lr_0.0002",
    ]  # fmt: skip
    assert points(over)[3].values == {
        "model.loss": "lit_entropy.losses.KLCov", "model.optimizer.lr": "0.0002",
    }  # fmt: skip


def test_a_sweep_over_seeds_alone_has_one_point() -> None:
    planned = runs(Sweep(("--config", "a/base.yaml", "--config", "b/mine.yaml"), {}, (0, 1)))
    assert [run.name for run in planned] == ["mine-seed0", "mine-seed1"]
    assert [run.name for run in runs(Sweep((), {}, (0,)))] == ["run-seed0"]


def test_first_seeds_come_first_and_every_setting_is_typed() -> None:
    planned = runs(Sweep(("--config", "quickstart"), LOSSES, (3, 5)), "mine")
    assert [run.name for run in planned] == [
        "PPOClip-seed3", "KLCov-seed3", "PPOClip-seed5", "KLCov-seed5",
    ]  # fmt: skip
    assert planned[1].arguments(Path("out"), Path("last.ckpt")) == [
        "fit", "--config", "quickstart", "--model.loss", "lit_entropy.losses.KLCov",
        "--seed_everything", "3", "--run.folder", "out", "--run.name", "KLCov-seed3",
        "--run.group", "mine", "--ckpt_path", "last.ckpt",
    ]  # fmt: skip
    own = runs(Sweep(("--run.group", "theirs"), LOSSES, (0,)), "mine")[0]
    assert own.arguments(Path("out"), None).count("--run.group") == 1


def test_a_digest_reads_shipped_files_by_name(tmp_path: Path) -> None:
    def digest(*words: str) -> str:
        return runs(Sweep(words, LOSSES, (0,)))[0].digest

    file = tmp_path / "mine.yaml"
    file.write_text("seed_everything: 1\n")
    first = digest("--config", str(file))
    assert digest("--config", "quickstart") not in (first, digest("--config", "base"))
    file.write_text("seed_everything: 2\n")
    assert digest("--config", str(file)) != first


def test_texts_that_look_like_one_number_are_several_values() -> None:
    labels = [point.label for point in points({"a.b": ["007", "7", "1_0", "10", "sNaN", "nan"]})]
    assert labels == ["b_007", "b_7", "b_1_0", "b_10", "b_sNaN", "b_nan"]


def test_words_are_told_apart() -> None:
    words = ["sweep", "--config=a.yaml", "--over.model.loss", "[A, b/c]", "--jobs=2", "--seeds",
             "[0, 1]", "--over.x.y=[1e-6, true]", "--trainer.max_epochs", "3"]  # fmt: skip
    assert split_words(words) == (
        ["sweep", "--jobs", "2", "--seeds", "[0, 1]", "--over",
         '{"model.loss": ["A", "b/c"], "x.y": [1e-06, true]}'],
        ["--config", "a.yaml", "--trainer.max_epochs", "3"],
    )  # fmt: skip
    assert split_words(["fit", "--jobs", "2"]) == (["fit", "--jobs", "2"], [])
    assert split_words(["sweep", "--help"]) == (["sweep", "--help"], [])


@pytest.mark.parametrize(
    "over, message",
    [
        ({"model.loss": "KLCov"}, r"^over.model.loss=KLCov: give a list of values"),
        ({"model.loss": []}, r"^over.model.loss=\[\]: give a list"),
        ({"a.b": [1, "1"]}, r"^over.a.b: 1 and 1 are one value: leave one out$"),
        ({"a.b": ["1e-4", 2, 0.0001]}, r"^over.a.b: 1e-4 and 0.0001 are one value: leave one out$"),
        ({"a.b": [True, "True", "true"]}, r"^over.a.b: true and True and true are one value"),
        ({"a.b": ["x", 1, 1.0, "x"]}, r"^over.a.b: x and x are one value: leave one out$"),
        ({"model.loss": ["KLCov", "lit_entropy.losses.KLCov"]}, r"both be called 'KLCov'"),
        (
            {"a.b.c": [1], "a.init_args.b.c": [2]},
            r"^over.a.b.c and over.a.init_args.b.c are one key",
        ),
        (
            {"a.b": [date(2024, 1, 1)]},
            r"^over.a.b=2024-01-01: give .*; write a date or time in quotes$",
        ),
        ({"a.b": [1, {date(2024, 1, 1): 2}]}, r"^over.a.b=\{datetime.*; write a date .* in quotes"),
        ({"seed_everything": [0]}, r"the seeds of every point are --seeds"),
        ({"run.name": ["a", "b"]}, r"where a run is kept"),
    ],
)
def test_grids_that_are_refused(over: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        points(over)


@pytest.mark.parametrize(
    "word, message",
    [
        ("--seed_everything", "--seed_everything: in a sweep the seeds are those of --seeds"),
        ("--ckpt_path", "continues by itself"),
        ("--print_config", "no single configuration"),
        ("--run.name", "named after their point"),
        ("--model.loss", "--model.loss and over.model.loss: give one of them"),
        ("--model.loss.class_path", "--model.loss.class_path and over.model.loss: give one of"),
        (
            "--model.loss.clip_high",
            "^--model.loss.clip_high 3: over.model.loss is set after it and would undo it; sweep "
            "it too, over.model.loss.clip_high with the one value 3$",
        ),
    ],
)
def test_words_that_are_refused(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_words(("--config", "quickstart", word, "3"), LOSSES)


def test_words_beside_or_above_what_is_swept_are_kept() -> None:
    words = ("--model.losses", "3", "--model.loss", "PPOClip", "--trainer.callbacks", "[A]")
    check_words(words, {"model.loss.clip_high": [0.3], "trainer.callbacks+": ["B", "C"]})
    with pytest.raises(ValueError, match=r"callbacks\+ B: over.trainer.callbacks is set after it"):
        check_words(("--trainer.callbacks+", "B"), {"trainer.callbacks": ["[A]"]})


@pytest.mark.parametrize("children_first", [True, False])
def test_a_class_is_typed_before_its_arguments(children_first: bool) -> None:
    """It would undo them, whichever order they are given in; other keys stay where they are."""
    order = ["model.loss.init_args.clip_high", "model.optimizer.lr", "model.loss"]
    values = {"model.loss": ["PPOClip"], "model.optimizer.lr": [1e-4], order[0]: [0.25, 0.31]}
    over = {key: values[key] for key in (order if children_first else reversed(order))}
    first, second = runs(Sweep((), over, (0,)))
    assert list(first.point.values) == list(over)
    for run, value in ((first, "0.25"), (second, "0.31")):
        flags = [word for word in run.settings if word.startswith("--model")]
        ahead = ["--model.loss", "--model.loss.init_args.clip_high"]
        others = ["--model.optimizer.lr"]
        assert flags == ([*ahead, *others] if children_first else [ahead[0], *others, ahead[1]])
        assert run.settings[run.settings.index(ahead[1]) + 1] == value


def test_arguments_that_come_before_their_file_are_trained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    over = {"model.loss.clip_high": [0.25, 0.31], "model.loss": ["configs/loss/clip_higher.yaml"]}
    found = {}
    for run in runs(Sweep(("--config", "quickstart"), over, (0,))):
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["fit", *run.settings, "--print_config"])
        config = yaml.safe_load(capsys.readouterr().out)
        found[run.name] = config["model"]["loss"]["init_args"]["clip_high"]
    assert found == {
        "clip_high_0.25-clip_higher-seed0": 0.25, "clip_high_0.31-clip_higher-seed0": 0.31,
    }  # fmt: skip


@pytest.mark.parametrize(
    "words, message",
    [
        (["--over.model.loss", "[PPOClip, NoSuch]"], "^NoSuch: model.loss=NoSuch: neither a known"),
        (["--over.model.temprature", "[1]"], "temprature 1; did you mean --model.temperature"),
        (["--over.model.temperature", "[1, -1]"],
         "^temperature_-1: model.temperature=-1.0 must be a finite number >= 0.01$"),
        (["--over.model.loss", "[KLCov]", "--gpu", "h100"], "unrecognized arguments: --gpu h100"),
        (["--over.model.loss", "[KLCov]", "--baseline", "GRPO"],
         "^baseline=GRPO: the points are KLCov$"),
        (["--over.model.loss", "[KLCov]", "--seeds", "[1, 1]"], r"^seeds=\[1, 1\]: give whole"),
        (["--over.model.loss", "[KLCov]", "--seeds", "[0, -1]"], r"numbers from 0 to 4294967295"),
        (["--over.model.loss", "[KLCov]", "--seeds", "[4294967296]"], r"from 0 to 4294967295, eac"),
        (["--over.model.loss", "[KLCov]", "--jobs", "0"], "^jobs=0: "),
    ],
)  # fmt: skip
def test_a_bad_key_or_value_is_refused_before_the_first_run(
    tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        main(["sweep", "--config", "quickstart", *words, "--output", str(tmp_path / "out")])
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- files of W&B

FILE = """
program: lit-entropy
method: grid
metric: {name: val/pass@4, goal: maximize}
command: [lit-entropy, fit, --config, quickstart, "${args}"]
parameters:
  model.loss: {values: [PPOClip, KLCov]}
  model: {parameters: {temperature: {values: [1.0, 0.9]}}}
  trainer.max_epochs: {value: 3}
  model.advantage.whiten: {value: true}
  seed_everything: {values: [0, 1]}
"""


def test_a_file_of_wandb_is_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "losses.yaml"
    path.write_text(FILE)
    found = read_file(path)
    assert found.words == ["--config", "quickstart", "--trainer.max_epochs", "3",
                           "--model.advantage.whiten", "true"]  # fmt: skip
    assert found.over == {"model.loss": ["PPOClip", "KLCov"], "model.temperature": [1.0, 0.9]}
    assert found.seeds == [0, 1] and found.metric == "val/pass@4"
    path.write_text(
        FILE.replace("{values: [0, 1]}", "{value: 7}").replace("--config, ", "--config=")
    )
    again = read_file(path)
    assert again.seeds == [7] and again.words == found.words and again.over == found.over


@pytest.mark.parametrize(
    "text, message",
    [
        ("a: [", r"while parsing a flow"),
        ("[" * 3000, r"nested too deeply"),
        ("a: 9999-99-99", r"month must be in"),
        ("- a", r"no mapping `parameters`"),
        ("{parameters: {a: {values: [1]}}, method: bayes}", r"method=bayes.*wandb agent"),
        ("{parameters: {a: {min: 0, max: 1}}}", r"parameters.a=.*a grid needs `values"),
        ("{parameters: {a: 3}}", r"parameters.a=3"),
        (
            "{parameters: {a: {value: 2024-01-01}}}",
            r"parameters.a=2024-01-01: .*a date or time in quotes",
        ),
        ("{parameters: {seed_everything: {value: null, values: null}}}", "a grid needs .*, one of"),
        ("{parameters: {a: {value: 1, values: [2]}}}", r"a=.*a grid needs .*, one of them"),
        ('{parameters: {"a\\nb": 3}}', r"parameters.'a\\nb'=3: a grid needs"),
        ("{parameters: {a: {values: [1]}}, b: 1, 3: 1}", r"b is not known here"),
        ("{parameters: {a: {values: [1]}}, early_terminate: {}}", r"early_terminate is not known"),
        ("{parameters: {a: {values: [1]}}, command: python x.py}", r"expected \[lit-entropy, fit"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)^file={path}[:,] .*{message}"):
        read_file(path)
    with pytest.raises(ValueError, match=r"none\.yaml: no such file; give an existing path"):
        read_file(tmp_path / "none.yaml")


@pytest.mark.parametrize("macro", ["${args}", "${args_no_equals}"])
def test_the_command_of_wandb_agent_is_understood(
    macro: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Built by W&B's own functions, as the agent does for one run of the sweep."""
    values = {
        "model.loss": "KLCov", "model.loss.fraction": 0.02, "model.temperature": 1e-06,
        "model.policy.packing": True, "data.group_filter": "none", "seed_everything": 1,
    }  # fmt: skip
    made = create_sweep_command_args({"args": {key: {"value": v} for key, v in values.items()}})
    command = create_sweep_command([*yaml.safe_load(FILE)["command"][:-1], macro])
    words = command[: command.index(macro)] + made[macro.strip("${}")]
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*words[1:], "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["model"]["loss"]["init_args"]["fraction"] == 0.02
    assert config["model"]["temperature"] == 1e-06 and config["seed_everything"] == 1
    assert config["model"]["policy"]["init_args"]["packing"] is True


@pytest.mark.parametrize("name", ["my.yml", "my.conf"])
def test_a_digest_reads_files_of_any_name(name: str, tmp_path: Path) -> None:
    """What --config takes, and what such a file names: an edit makes another run."""
    (tmp_path / "loss.yml").write_text("class_path: KLCov\n")
    (tmp_path / name).write_text("model: {loss: loss.yml}\n")

    def digest() -> str:
        return runs(Sweep(["--config", str(tmp_path / name)], LOSSES, (0,)))[0].digest

    first = digest()
    (tmp_path / "loss.yml").write_text("class_path: ClipCov\n")
    second = digest()
    (tmp_path / name).write_text("model: {loss: KLCov}\n")
    assert len({first, second, digest()}) == 3


def test_a_digest_reads_data_and_bases_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows, base = tmp_path / "rows.jsonl", tmp_path / "bases" / "b"
    base.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(b"1")
    rows.write_text("{}")
    Path("with.yaml").write_text("data: {train: rows.jsonl, note: runs, seed: 3}")
    (tmp_path / "runs").mkdir()

    def digests() -> tuple[str, str, str]:
        places = ("--config", "with.yaml"), ("--model.policy.model=bases/b",), ("--seed", "3")
        first, second, third = (runs(Sweep(words, LOSSES, (0,)))[0].digest for words in places)
        return first, second, third

    first = digests()
    (tmp_path / "runs" / "a").write_text("no weights")
    assert digests() == first
    rows.write_text('{"prompt": 1}')
    assert [one == other for one, other in zip(first, digests(), strict=True)] == [
        False,
        True,
        True,
    ]
    rows.write_text("{}")
    (base / "model.safetensors").write_bytes(b"22")
    assert [one == other for one, other in zip(first, digests(), strict=True)] == [
        True,
        False,
        True,
    ]
