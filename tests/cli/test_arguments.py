"""Shipped configurations by name, and old names refused with the new one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from lit_entropy.checkpoints.resume import check_same_experiment
from lit_entropy.cli.arguments import ready_arguments
from lit_entropy.cli.main import main
from lit_entropy.moved import LONG_NAMES, MOVED, current_key, current_name
from lit_entropy.shipped import configs_folder

CONFIGS = configs_folder()


@pytest.mark.parametrize(("long", "short"), sorted(LONG_NAMES.items()))
def test_a_long_name_is_that_of_the_same_class(long: str, short: str) -> None:
    (one, name), (other, again) = (path.rsplit(".", 1) for path in (long, short))
    assert getattr(import_module(one), name) is getattr(import_module(other), again)


@pytest.mark.parametrize("new", sorted(set(MOVED.values())))
def test_every_new_name_exists(new: str) -> None:
    name = f"lit_entropy.{new}"
    try:
        import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute)


def test_names_become_files() -> None:
    typed = ["fit", "--config", "quickstart", "--config=experiment/kl_cov", "--model.loss"]
    typed += ["loss/kl_cov", "--model.regularizers+=regularizer/reference_kl", "--trainer.x", "-1"]
    assert ready_arguments(typed) == [
        "fit",
        "--config",
        f"{CONFIGS}/quickstart.yaml",
        f"--config={CONFIGS}/experiment/kl_cov.yaml",
        "--model.loss",
        f"{CONFIGS}/loss/kl_cov.yaml",
        f"--model.regularizers+={CONFIGS}/regularizer/reference_kl.yaml",
        "--trainer.x",
        "-1",
    ]


def test_positional_paths_are_left_as_they_are() -> None:
    arguments = ["figures", "/runs/a", "runs/b", "--output", "/figures"]
    assert ready_arguments(arguments) == arguments


def test_a_file_comes_before_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text("seed_everything: 1")
    assert ready_arguments(["--config=quickstart"]) == ["--config=quickstart"]


def test_an_unknown_name_lists_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["fit", "--config", "quikstart"])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lit-entropy: error: --config quikstart: neither a file nor a shipped")
    assert line.endswith("; did you mean quickstart?")
    with pytest.raises(ValueError, match=r"shipped are .*base, .*experiment/\.\.\. \(\d+\)"):
        ready_arguments(["--config", "nothing-like-it"])
    with pytest.raises(ValueError, match=r"shipped are loss/clip_cov, .*loss/truncated_\w+$"):
        ready_arguments(["--model.loss=loss/nope"])


OLD, NEW = "lit_entropy.strategy.FullySharded", "lit_entropy.distributed.FullySharded"


def test_an_old_name_is_refused_in_a_flag_and_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^--trainer.strategy: {OLD} is now {NEW}"):
        ready_arguments(["fit", "--trainer.strategy", OLD])
    part, file = tmp_path / "part.yaml", tmp_path / "my.yaml"
    part.write_text(f"class_path: {OLD}")
    file.write_text("trainer:\n  strategy: part.yaml\n")
    with pytest.raises(ValueError, match=f"^{part}: class_path: {OLD} is now {NEW}"):
        ready_arguments(["fit", "--config", str(file)])


def test_an_old_key_is_refused_once_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("model:\n  rollout:\n    class_path: a.B\n")
    typed = ["fit", f"--config={file}"]
    assert ready_arguments(typed, lambda key: True) == typed
    with pytest.raises(
        ValueError, match=r"the key model\.rollout\.class_path is now model\.engine"
    ):
        ready_arguments(typed, lambda key: False)
    with pytest.raises(ValueError, match=r"the key model\.rollout is now model\.engine"):
        ready_arguments(["fit", "--model.rollout=local"], lambda key: False)


def test_current_names() -> None:
    assert current_name("lit_entropy.policy.Policy") == "lit_entropy.policy.Policy"
    assert current_name("lit_entropy.lora.LoraOptions") == "lit_entropy.policy.LoraOptions"
    assert (
        current_name("lit_entropy.loggers.RunLogger") == "lit_entropy.tracking.csv_logger.RunLogger"
    )
    assert current_name("lora.LoraOptions") == "lora.LoraOptions"
    assert current_key("fit.model.rollout.x", lambda key: False) == "fit.model.engine.x"


def test_a_checkpoint_of_before_the_move_resumes() -> None:
    old = {"model": {"rollout": {"class_path": OLD, "init_args": {"block": 4}}}}
    new = {"model": {"engine": {"class_path": NEW, "init_args": {"block": 4}}}}
    check_same_experiment(old, new)
    names = ("lit_entropy.policy.Policy", "lit_entropy.Policy")
    first, second = ({"model": {"policy": {"class_path": name}}} for name in names)
    check_same_experiment(first, second)
    new["model"]["collector"] = None  # an argument that came later
    check_same_experiment(old, new)
    new["model"]["engine"]["init_args"]["block"] = 5  # type: ignore[index]
    with pytest.raises(ValueError, match=r"model\.engine\.init_args\.block: 4 -> 5"):
        check_same_experiment(old, new)


def test_options_before_the_subcommand_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parsers of subcommands are filled when they are called, or all where options come first."""
    file = tmp_path / "all.yaml"
    file.write_text("fit:\n  trainer:\n    max_epochs: 7\n")
    quickstart = ["--config", str(CONFIGS / "quickstart.yaml"), "--print_config"]
    with pytest.raises(SystemExit) as exit_:
        main(
            ["--config", str(file), "fit", *quickstart[:2], "--trainer.max_epochs=7", quickstart[2]]
        )
    assert exit_.value.code == 0
    given = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["fit", *quickstart[:2], "--trainer.max_epochs=7", quickstart[2]])
    assert capsys.readouterr().out == given and "max_epochs: 7" in given


def test_a_text_that_is_too_long_for_a_name_is_a_text() -> None:
    notes = f"--run.notes={'x' * 500}.yaml"
    assert ready_arguments([notes]) == [notes]
    with pytest.raises(ValueError, match="neither a file nor a shipped configuration"):
        ready_arguments(["--config", "x" * 500])
