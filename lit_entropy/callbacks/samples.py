"""A table of prompts, responses and rewards at each validation."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn

from lit_entropy.atomic import write_once

COLUMNS = ("prompt", "response", "reward", "correct", "difficulty")


class Samples(Callback):
    """Writes some responses of each validation, always to the same held-out problems.

    The rows are spread evenly over the problems, which are ordered by difficulty.

    Files: ``<trainer.log_dir>/samples/step_00010.jsonl``, one response per line in full, where 10
    is the number of finished RL steps; ``validate.jsonl`` for a validation outside of training, and
    ``validate-base.jsonl`` where several policies are validated and this one is ``base``. A file is
    never changed: other content for the same step goes to ``step_00010-2.jsonl``, with a warning. A
    W&B logger also gets the table ``samples/validation``, one immutable ``wandb.Table`` per
    validation.

    ================== =========================================================== =====
    key                content                                                     unit
    ================== =========================================================== =====
    samples/validation columns prompt, response, reward, correct, difficulty (W&B) table
    ================== =========================================================== =====

    Args:
        rows: Number of responses to keep, at least 1.
        max_characters: Limit of a prompt's and of a response's text in the W&B table.

    Raises:
        ValueError: a number is below 1.
    """

    def __init__(self, rows: int = 16, max_characters: int = 4000) -> None:
        for name, value in (("rows", rows), ("max_characters", max_characters)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.rows = rows
        self.max_characters = max_characters

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        training = trainer.state.fn == TrainerFn.FITTING
        # the epoch of the validation is not counted yet
        rl_steps = trainer.current_epoch + 1 if training else None
        folder = trainer.log_dir  # a broadcast: every rank must ask
        samples = getattr(pl_module, "validation_samples", None)
        if samples is None:
            raise ValueError(
                f"{type(pl_module).__name__} has no validation_samples: set it to a list of dicts "
                f"with the keys {COLUMNS} at the end of validation"
            )
        if trainer.is_global_zero:
            policy = "" if training else getattr(pl_module, "policy_name", "")
            self.write(samples, folder, trainer.loggers, rl_steps, policy)

    def write(
        self,
        samples: Sequence[dict[str, object]],
        folder: str | None,
        loggers: Sequence[Logger],
        rl_steps: int | None,
        policy: str = "",
    ) -> None:
        """Write the file and the W&B table.

        Args:
            samples: one row per problem, with ``COLUMNS``.
            folder: the run's; by default the current one.
            loggers: the run's.
            rl_steps: number of finished RL steps; None outside of training.
            policy: name of the one that responded, where several are validated.
        """
        count = min(self.rows, len(samples))
        spread = [samples[index * len(samples) // count] for index in range(count)]
        kept = [{column: sample[column] for column in COLUMNS} for sample in spread]
        name = re.sub(r"[^\w.+-]+", "-", policy).strip("-.")
        outside = f"validate-{name}" if name else "validate"
        stem = outside if rl_steps is None else f"step_{rl_steps:05d}"
        write_once(Path(folder or ".") / "samples", stem, ".jsonl", to_lines(kept).encode())
        data = [[self._short(value) for value in sample.values()] for sample in kept]
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.log_table(
                    "samples/validation", columns=list(COLUMNS), data=data, step=rl_steps
                )

    def _short(self, value: object) -> object:
        if isinstance(value, list):  # chat messages
            value = json.dumps(value)
        if not isinstance(value, str) or len(value) <= self.max_characters:
            return value
        return value[: self.max_characters] + f" [{len(value) - self.max_characters} more]"


def to_lines(samples: Sequence[dict[str, object]]) -> str:
    """JSON lines in ASCII, so that no character of a response can act on a terminal or fail."""
    return "".join(json.dumps(sample, allow_nan=False) + "\n" for sample in samples)
