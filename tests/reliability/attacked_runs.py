"""The smallest runs that are attacked: what they are called and what each changes."""

from __future__ import annotations

from runs import ALONE, CONFIGS, NO_FIGURE

NAME = "run"
#: RL steps of a run.
STEPS = 3
SMALLEST = [
    f"--config={CONFIGS / 'quickstart.yaml'}", NO_FIGURE, "--model.policy.model=chain-xs",
    "--data.prompts_per_step=2", "--data.group_size=2", "--data.minibatch_size=2",
    "--data.task.validation_size=10", "--model.max_new_tokens=6", f"--trainer.max_epochs={STEPS}",
    "--model.evaluation.samples=1", "--model.evaluation.pass_k=[1]",
    "--trainer.check_val_every_n_epoch=2", "--trainer.accelerator=cpu", "--run.wandb=off",
    "--checkpoint.every_n_epochs=1", "--run.folder=runs", f"--run.name={NAME}",
]  # fmt: skip
#: A run whose end nobody knows beforehand, with all that is written there.
ENDLESS = [
    "--trainer.max_epochs=9", "--trainer.callbacks+=lit_entropy.callbacks.TokenPage",
    "--trainer.callbacks.every=7", "--trainer.callbacks+=lit_entropy.callbacks.EntropyLaw",
    "--trainer.callbacks.resamples=19", "--trainer.callbacks+=lit_entropy.callbacks.RunSummary",
]  # fmt: skip
#: By name, what a run changes of the smallest.
CONFIGURATIONS: dict[str, list[str]] = {
    "GRPO": ALONE,
    "KL-Cov": [f"--model.loss={CONFIGS / 'loss' / 'kl_cov_tiny.yaml'}", *ALONE],
    "Clip-Cov": [f"--model.loss={CONFIGS / 'loss' / 'clip_cov_tiny.yaml'}", *ALONE],
    "PRIME": [
        "--model.advantage=lit_entropy.advantages.PRIME",
        "--model.advantage.init_args.optimizer=torch.optim.AdamW", *ALONE,
    ],
    "accumulate": ["--trainer.accumulate_grad_batches=2", "--data.minibatch_size=4", *ALONE],
    "monitor": [
        "--checkpoint.monitor=rollout/reward", "--checkpoint.mode=max",
        "--checkpoint.save_top_k=2", *ALONE,
    ],
    "samples and token pages": [
        "--trainer.callbacks+=lit_entropy.callbacks.TokenPage", "--trainer.callbacks.every=2",
    ],
    "stateful": [
        "--model.regularizers+=lit_entropy.regularizers.AdaptiveEntropy",
        "--model.lr_scheduler=torch.optim.lr_scheduler.LinearLR", "--data.group_filter=resample",
        *ALONE,
    ],
    "hostile parts": [
        "--model.loss=hostile_parts.HostileLoss", "--data.task=hostile_parts.HostileTask",
        *ALONE[1:],
        "--trainer.callbacks=[{'class_path': 'hostile_parts.HostileCallback'}]",
    ],
    "every second step": ["--checkpoint.every_n_epochs=2", *ALONE],
    "ended by max_steps": [*ENDLESS, f"--trainer.max_steps={2 * STEPS}"],
    "ended by an early stop": [
        *ENDLESS, "--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping",
        "--trainer.callbacks.monitor=entropy/token_mean", "--trainer.callbacks.min_delta=1000",
        f"--trainer.callbacks.patience={STEPS - 1}", "--trainer.callbacks.mode=max",
        "--trainer.callbacks.check_on_train_epoch_end=true",
    ],
    "ended by a time limit": [
        *ENDLESS, f"--trainer.min_epochs={STEPS}",
        "--trainer.callbacks+=lightning.pytorch.callbacks.Timer",
        "--trainer.callbacks.duration={'milliseconds': 1}", "--trainer.callbacks.interval=epoch",
    ],
}  # fmt: skip
