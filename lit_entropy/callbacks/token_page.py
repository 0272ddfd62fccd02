"""A page that shows which tokens drive the entropy, written during the run."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_warn
from transformers import PreTrainedTokenizerBase

from lit_entropy.atomic import write_once
from lit_entropy.callbacks.base import RolloutCallback
from lit_entropy.callbacks.endings import is_last_step
from lit_entropy.callbacks.token_records import PageOptions, token_page_record
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.figures.token_page import token_page
from lit_entropy.step.minibatch import Microbatch
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import State


class TokenPage(RolloutCallback):
    """Writes ``<trainer.log_dir>/tokens/step_00025.html`` every ``every`` RL steps.

    Also at RL step 1 and at the last one, whatever ends the fit. The page describes the rollout of
    that RL step, hence the policy before its updates, as far as groups were checked whole: the
    covariance of eq. 10 (arXiv 2505.22617) beside Table 1, its four quadrants, the vocabulary
    entries with the largest part in Theorem 2's entropy change, the profile over positions, and
    responses token by token. It is one file without any address of a network, the same bytes for
    the same rollout. A file is never changed: other content for the same step goes to
    ``step_00025-2.html``, with a warning. A W&B logger also gets the page.

    =========== ============================== ====
    key         content                        unit
    =========== ============================== ====
    tokens/page the page, ``wandb.Html`` (W&B) html
    =========== ============================== ====

    Args:
        every: RL steps between pages, at least 1.
        responses: responses on the page, half of them right and half wrong if there are as many,
            spread over difficulty.
        max_tokens: tokens shown of each of them.
        top_tokens: vocabulary entries shown that lower, and that raise, the entropy.
        high_probability: pi from which a token counts as likely in the quadrants, in (0, 1).

    Raises:
        ValueError: a number is below 1, or the probability is not in (0, 1).
    """

    def __init__(
        self,
        every: int = 25,
        responses: int = 12,
        max_tokens: int = 200,
        top_tokens: int = 10,
        high_probability: float = 0.5,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.every = every
        self.options = PageOptions(responses, max_tokens, top_tokens, high_probability)
        self._unwritten: Rollout | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that there is a tokenizer."""
        tokenizer = getattr(getattr(pl_module, "policy", None), "tokenizer", None)
        if tokenizer is None:
            raise ValueError(
                f"{type(pl_module).__name__} has no policy.tokenizer: TokenPage needs it to show "
                "tokens as text; set it or remove the callback"
            )
        self._tokenizer: PreTrainedTokenizerBase = tokenizer
        self._unwritten = None

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        self._unwritten = rollout
        return {}

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Microbatch, batch_idx: int
    ) -> None:
        """Write the page, when one is due."""
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        rollout = self._unwritten
        if rollout is None:
            return
        if rollout.rl_step == 1 or rollout.rl_step % self.every == 0:
            self.on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: State
    ) -> None:
        """Write the page of the last RL step, whatever ends the fit, before its checkpoint.

        What is continued from there makes no rollout.
        """
        if self._unwritten is not None and is_last_step(trainer, self._unwritten.rl_step):
            self.on_train_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the page of the last RL step, where no checkpoint was asked for."""
        rollout, self._unwritten = self._unwritten, None
        if rollout is not None:
            folder = Path(trainer.log_dir or ".")  # a broadcast: every rank must ask
            if trainer.is_global_zero:
                self._write(rollout, folder, trainer.loggers)

    def _write(self, rollout: Rollout, folder: Path, loggers: Sequence[Logger]) -> None:
        rl_step = rollout.rl_step
        record = token_page_record(rollout, self._tokenizer, folder.resolve().name, self.options)
        if record is None:
            rank_zero_warn(f"RL step {rl_step} has no token page: no group was checked whole")
            return
        html = token_page(record)
        write_once(folder / "tokens", f"step_{rl_step:05d}", ".html", html.encode())
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                import wandb  # a WandbLogger is there, so it is installed

                page = wandb.Html(html, inject=False, data_is_not_path=True)
                logger.log_metrics({"tokens/page": page}, step=rl_step)
