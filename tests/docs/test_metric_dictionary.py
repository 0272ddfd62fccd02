"""Every logged key stands in the metric dictionary, and the dictionary names no other."""

import re
from pathlib import Path

from documents import ROOT
from runs import CONFIGS, SMALL, fit, metrics

from lit_entropy.cli.main import main
from lit_entropy.evaluation import Evaluation
from lit_entropy.evaluation.keys import validation_keys
from lit_entropy.types import Problem

PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text()


def dictionary() -> set[str]:
    """Keys of the dictionary's table, patterns such as ``<d>`` included."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def matches(key: str, entry: str) -> bool:
    pattern = "".join(
        r"[\w.@-]+" if part.startswith("<") else re.escape(part)
        for part in re.split(r"(<\w+>)", entry)
    )
    return re.fullmatch(pattern, key) is not None


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
        "scores/val",  # tests/tracking/test_wandb_scores.py, as the next
        "scores/test",
        "figures/summary",
        "tokens/page",
        "val/mean_of_sets",
        *(entry for entry in entries if entry.startswith("law/")),
        # tests/callbacks/test_strategy_shares.py
        *(entry for entry in entries if entry.startswith("strategies/")),
        # tests/callbacks/test_theorem_check.py
        *(entry for entry in entries if entry.startswith("theorems/")),
        # tests/losses/test_truncated_importance.py
        *(entry for entry in entries if entry.startswith("policy/importance_")),
    }
    assert keys_of_a_test(tmp_path / "test") == {
        key.replace("val/", "test/") for key in logged if key.startswith("val/")
    }
    assert "under `test/`" in PAGE


def test_every_key_that_a_validation_may_log_is_documented() -> None:
    problems = [Problem(i, "1+1", "2", source="ab"[i % 2], difficulty=i // 4) for i in range(8)]
    keys = validation_keys(Evaluation(), problems)
    entries = dictionary()
    assert {"val/length_se", "val/mean_of_sets_se", "val/a/pass@2"} <= set(keys)
    assert not [key for key in keys if not any(matches(key, entry) for entry in entries)]
    # any name fits the row of standard errors: it says of what there are some
    before, _, rest = PAGE.partition("| `val/<score>_se` |")
    scores = re.findall(r"`(val/[^`]+)`", before)
    named = re.findall(r"`(val/[^`]+)`", rest.splitlines()[0])
    for key in keys:
        score = key.removesuffix("_se")
        if score != key and key.count("/") == 1:
            assert score in named or any(matches(score, entry) for entry in scores), key


def keys_of_a_test(folder: Path) -> set[str]:
    """What ``lit-entropy test`` logs of the base."""
    options = [option for option in SMALL if not option.startswith("--checkpoint")]
    config = ["--config", str(CONFIGS / "quickstart.yaml"), f"--run.folder={folder}"]
    main(["test", *config, *options])
    return set(metrics(folder, "quickstart-seed0-test")) - {"step", "epoch"}


def test_the_pattern_match_can_fail() -> None:
    assert matches("val/pass@4/difficulty_10", "val/<score>/difficulty_<d>")
    assert not matches("val/pass@4", "val/avg@<n>") and not matches("loss/a/b", "loss/<term>")
