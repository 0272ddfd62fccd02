"""Everything in the README runs, and every logged key stands in its metric dictionary."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from runs import CONFIGS, SMALL, fit, metrics

from lit_entropy.cli.main import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(label: str) -> list[str]:
    """The code blocks that follow a comment ``<!-- label -->``."""
    return re.findall(rf"<!-- {re.escape(label)} -->\n```\w+\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    text = "\n".join(blocks("run"))
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def dictionary() -> set[str]:
    """Keys of the metric dictionary's table, patterns such as ``<d>`` included."""
    section = README.split("## Metric dictionary")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def matches(key: str, entry: str) -> bool:
    pattern = "".join(
        r"[\w.@-]+" if part.startswith("<") else re.escape(part)
        for part in re.split(r"(<\w+>)", entry)
    )
    return re.fullmatch(pattern, key) is not None


def test_the_two_commands() -> None:
    """They are what CI runs, but for the environment that CI makes itself."""
    (first,), (second,) = blocks("command 1"), blocks("command 2")
    ci = (ROOT / ".ci" / "run").read_text().replace("--quiet ", "")
    assert "lit-entropy fit --config configs/quickstart.yaml" in first
    assert "pip install -c constraints.txt -e ." in first
    for part in ("pip install -c constraints.txt -e '.[test]'", "python -m pytest -n 2"):
        assert part in second and part in ci


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, at a small size, from a folder that holds configs/ and the README's file."""
    (tmp_path / "configs").symlink_to(CONFIGS)
    (tmp_path / "my_ablation.py").write_text(blocks("file my_ablation.py")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = commands()
    assert len(lines) >= 9
    fit(tmp_path / "runs")  # the quickstart run that later commands refer to
    for line in lines:
        words = [word for word in shlex.split(line) if word != "PYTHONPATH=."]
        assert words[0] == "lit-entropy"
        if words[1] == "pretrain":
            main([*words[1:], "--steps", "2", "--batch_size", "4", "--progress", "false"])
            assert (tmp_path / "bases" / "my-base" / "model.safetensors").exists()
            continue
        if words[1] == "figures":
            main(words[1:])
            assert (tmp_path / "my-figures" / "report.html").exists()
            continue
        if words[1] in ("plan", "export"):
            main(words[1:])
            continue
        small = [option for option in SMALL if not option.startswith("--checkpoint")]
        if "--ckpt_path" in words and words[1] == "fit":  # an option of the line counts: 200
            words[words.index("200")] = "3"
            small = [option for option in small if "max_epochs" not in option]
        elif words[1] == "fit":
            small += ["--trainer.max_epochs=1"]
        main([*words[1:], *(SMALL[-1:] if words[1] == "fit" else []), *small])
    assert metrics(tmp_path / "runs")["step"].tolist() == [0, 1, 2, 3]


def test_every_logged_key_is_documented(tmp_path: Path) -> None:
    """Runs that log everything: both covariance losses, every regularizer, and a test."""
    entries = dictionary()
    logged: set[str] = set()
    # every squared correlation needs four RL steps; the metrics of loss and regularizers need one
    for loss, regularizers, steps in (
        ("clip_cov_tiny", ("EntropyBonus", "ReferenceKL"), 4),
        ("kl_cov_tiny", ("AdaptiveEntropy", "EntropyBonus"), 1),
    ):
        fit(
            tmp_path / loss,
            f"--model.loss={CONFIGS / 'loss' / loss}.yaml",
            "--model.loss.init_args.fraction=0.1",
            *(f"--model.regularizers+=lit_entropy.regularizers.{name}" for name in regularizers),
            "--trainer.callbacks+=lit_entropy.callbacks.EntropyDynamics",
            "--trainer.callbacks.probe_prompts=4",
            "--trainer.callbacks+=lit_entropy.callbacks.EntropyLaw",
            "--trainer.callbacks+=lit_entropy.callbacks.TokenPage",
            "--trainer.accumulate_grad_batches=2",
            f"--trainer.max_epochs={steps}",
        )
        keys = set(metrics(tmp_path / loss)) - {"step", "epoch"}
        assert {f"loss/{name}" for name in ("policy", *regularizers)} <= keys
        assert ("policy/entropy_coef" in keys) and ("policy/selected" in keys)
        logged |= keys
    fit(
        tmp_path / "prime",
        f"--model.advantage={CONFIGS / 'advantage' / 'prime.yaml'}",
        "--trainer.callbacks+=lit_entropy.callbacks.UpdateAnatomy",
        "--trainer.callbacks.probe_prompts=4",
        "--trainer.max_epochs=1",
    )
    logged |= set(metrics(tmp_path / "prime")) - {"step", "epoch"}
    missing = {key for key in logged if not any(matches(key, entry) for entry in entries)}
    assert not missing
    stale = {entry for entry in entries if not any(matches(key, entry) for key in logged)}
    # logged only under conditions that these small runs need not meet
    assert stale <= {
        "entropy/by_accuracy/<bin>",
        "cov/by_accuracy/<bin>",
        "dynamics/bandit_covariance/<bin>",
        "dynamics/bandit_covariance_theorem1/<bin>",
        "dynamics/<change>/<prediction>_run_r2",
        "samples/validation",
        "tokens/page",
        "val/mean_of_sets",
        *(entry for entry in entries if entry.startswith("law/")),
        # tests/losses/test_truncated_importance.py
        *(entry for entry in entries if entry.startswith("policy/importance_")),
    }
    assert keys_of_a_test(tmp_path / "test") == {
        key.replace("val/", "test/") for key in logged if key.startswith("val/")
    }
    assert "under `test/`" in README


def keys_of_a_test(folder: Path) -> set[str]:
    """What ``lit-entropy test`` logs of the base."""
    options = [option for option in SMALL if not option.startswith("--checkpoint")]
    config = ["--config", str(CONFIGS / "quickstart.yaml"), f"--run.folder={folder}"]
    main(["test", *config, *options])
    return set(metrics(folder, "quickstart-seed0-test")) - {"step", "epoch"}


def test_the_pattern_match_can_fail() -> None:
    assert matches("val/pass@4/difficulty_10", "val/<score>/difficulty_<d>")
    assert not matches("val/pass@4", "val/avg@<n>") and not matches("loss/a/b", "loss/<term>")


def test_the_files_named_exist() -> None:
    for path in re.findall(r"`((?:lit_entropy|configs|images)/[\w./-]*)`", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path
