"""The control experiments on the real module: what they break, and that only that is broken."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from runs import CONFIGS, SMALL, experience_of, fit, metrics, weights

from lit_entropy.advantages import GRPO
from lit_entropy.cli.main import EntropyCLI, main
from lit_entropy.functional.rng import uniforms

QUIET = ["--trainer.callbacks=null", "--trainer.limit_val_batches=0"]
ONE_UPDATE = [
    "--data.prompts_per_step=2",
    "--data.minibatch_size=8",
    "--trainer.max_epochs=21",
    "--model.max_new_tokens=12",
    "--checkpoint.every_n_epochs=100",
]


def control(folder: Path, name: str, *arguments: str) -> EntropyCLI:
    overlay = ["--config", str(CONFIGS / "experiment" / f"{name}.yaml")]
    return fit(
        folder, *overlay, *SMALL, f"--run.name={name}-seed0", *QUIET, *arguments, config="base.yaml"
    )


def test_random_rewards_train_on_draws_and_log_the_truth(tmp_path: Path) -> None:
    cli = control(tmp_path, "random_rewards")
    experience, task = experience_of(cli), cli.datamodule.task
    texts = cli.model.policy.decode(experience.tokens_BT, experience.response_mask_BT)
    problems = [cli.datamodule.train_problems[int(i)] for i in experience.prompt_ids_B]
    true = [task.reward(*pair) for pair in zip(problems, texts, strict=True)]
    assert experience.rewards_B.tolist() == true and 0 < sum(true) < 32
    history = metrics(tmp_path, "random_rewards-seed0")
    assert history["rollout/reward"][-1] == history["rollout/accuracy"][-1] == sum(true) / 32
    # RL step 2; no group filter, so that all groups are one call
    drawn_PG = (uniforms(0, "random-rewards", 2, 1, torch.arange(32)) < 0.5).float().view(8, 4)
    expected_B1 = GRPO()(drawn_PG).flatten()[:, None]
    assert torch.equal(experience.advantages_BT, expected_B1 * experience.response_mask_BT)
    assert not torch.equal(drawn_PG.flatten(), experience.rewards_B)


def test_shuffled_advantages_are_those_of_other_responses(tmp_path: Path) -> None:
    experience = experience_of(control(tmp_path, "shuffled_advantages"))
    true_B = GRPO()(experience.rewards_B.view(8, 4)).flatten()
    used_B = experience.advantages_BT[:, 0]  # every response has a first token
    assert torch.equal(used_B.sort().values, true_B.sort().values)
    assert not torch.equal(used_B, true_B)


def test_kl_cov_with_one_update_is_inert_and_says_so(tmp_path: Path) -> None:
    """Bit-equal to a penalty of weight 0, and warned about after 20 updates."""
    with pytest.warns(UserWarning, match="KLCov does not act: all ratios are 1"):
        penalised = control(tmp_path, "kl_cov_single_update", *ONE_UPDATE)
    assert penalised.trainer.global_step == 21
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        free = control(
            tmp_path / "free", "kl_cov_single_update", *ONE_UPDATE, "--model.loss.kl_coef=0"
        )
    assert not any("KLCov does not act" in str(item.message) for item in caught)
    expected = weights(free)
    assert all(torch.equal(value, expected[name]) for name, value in weights(penalised).items())
    base = weights(control(tmp_path / "base", "kl_cov_single_update", "--trainer.max_epochs=0"))
    assert any(not torch.equal(value, base[name]) for name, value in expected.items())


def test_the_overlay_makes_one_update_of_the_base_configuration(tmp_path: Path) -> None:
    files = [CONFIGS / "base.yaml", CONFIGS / "experiment" / "kl_cov_single_update.yaml"]
    small = [option for option in SMALL if not option.startswith("--data")]
    options = [*small, *QUIET, "--trainer.max_epochs=0", f"--run.folder={tmp_path}"]
    cli = main(["fit", *(word for file in files for word in ("--config", str(file))), *options])
    assert cli.datamodule.plan.updates_per_step == 1
