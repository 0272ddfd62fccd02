"""Validation before the first RL step, logged as RL step 0."""

from itertools import islice

import lightning as L
from lightning.pytorch.callbacks import Callback

from lit_entropy.callbacks.base import trained_module, trained_run
from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.callbacks.samples import Samples


class InitialValidation(Callback):
    """Evaluates the untrained policy, so that every curve starts at the base model.

    Lightning's own sanity check runs before training too, but throws its metrics away.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Evaluate and log, unless the run is resumed or validation is off."""
        limit = trainer.limit_val_batches
        if trainer.current_epoch > 0 or not limit:
            return
        run, module = trained_run(trainer), trained_module(pl_module)
        batches = run.datamodule.val_dataloader()
        count = limit if isinstance(limit, int) else int(limit * len(batches))
        if count == 0:
            raise ValueError(
                f"trainer.limit_val_batches={limit} of {len(batches)} batches is none: raise it or "
                "lower data.validation_batch"
            )
        pl_module.on_validation_epoch_start()
        for index, batch in enumerate(islice(batches, count)):
            pl_module.validation_step(batch, index)
        metrics = module.validation_metrics()
        module.step_axis.add(metrics)
        module.step_axis.write(trainer.loggers, 0, updates=0)
        for callback in run.callbacks:
            if isinstance(callback, RunCheckpoint):
                callback.check_validation(metrics)
        folder = trainer.log_dir  # a broadcast: every rank must ask
        for callback in run.callbacks:
            if isinstance(callback, Samples) and trainer.is_global_zero:
                callback.write(module.validation_samples, folder, trainer.loggers, 0)
