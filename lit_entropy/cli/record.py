"""The record of what was run: the configuration in the run folder and in every checkpoint."""

import os
from collections.abc import Mapping
from pathlib import Path

import lightning as L
import yaml
from lightning.pytorch.cli import LightningArgumentParser, Namespace, SaveConfigCallback

from lit_entropy.atomic import atomic_write
from lit_entropy.checkpoints.folders import is_distributed, load_rest
from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.checkpoints.resume import check_same_experiment, may_differ
from lit_entropy.cli.values import ConfigLoader, dump_values, map_text, unescaped
from lit_entropy.tracking.redaction import hidden_by_variables, redact
from lit_entropy.types import Config, State


def plain_config(parser: LightningArgumentParser, config: Namespace) -> dict[str, object]:
    """The resolved configuration as plain values, secrets redacted."""
    return redact(_resolved(parser, config))


def _resolved(parser: LightningArgumentParser, config: Namespace) -> dict[str, object]:
    text = parser.dump(config, skip_unset=False, skip_validation=True, format="yaml")
    values: dict[str, object] = map_text(yaml.load(text, ConfigLoader), unescaped)
    return values


def check_comparable(config: Config, environment: Mapping[str, str] | None = None) -> None:
    """Refuse settings that a resume compares and that the record would hide.

    Args:
        config: as it was given, nothing redacted.
        environment: variables that are protected; by default those of the process.

    Raises:
        ValueError: a setting that decides numbers has the value of a variable whose name speaks of
            no secret; names both.
    """
    for key, name in hidden_by_variables(config, environment).items():
        if may_differ(key):
            continue
        raise ValueError(
            f"{key} has the value of the environment variable {name}, which config.yaml and "
            "checkpoints hide, so that no resume could compare it and no export load it: unset "
            f"the variable, or name it {name}_PATH"
        )


def run_folder_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint lies in.

    Raises:
        ValueError: no ``config.yaml`` two folders up, so the run that it belongs to is unknown.
    """
    folder = checkpoint.resolve().parent.parent
    if not (folder / "config.yaml").exists():
        raise ValueError(
            f"ckpt_path={checkpoint} does not lie in <run folder>/checkpoints ({folder} has no "
            "config.yaml): move it back, since a resume continues the run's own metrics"
        )
    return folder


def check_checkpoint(path: Path, config: Config) -> None:
    """Refuse to resume a run under another configuration.

    Raises:
        ValueError: lists every key that differs, with both values.
    """
    checkpoint = (
        load_rest(path) if is_distributed(path) else AtomicCheckpointIO().load_checkpoint(path)
    )
    if "configuration" not in checkpoint:
        raise ValueError(
            f"{path} does not record its configuration: it was not written by lit-entropy fit"
        )
    check_same_experiment(checkpoint["configuration"], config)


class ExperimentRecord(SaveConfigCallback):
    """Writes ``config.yaml`` into the run folder and the configuration into every checkpoint.

    A resumed run keeps the first file and adds ``config-2.yaml`` if anything changed. The
    checkpoint that a fit continues is that call's alone: a fit from the file is another run.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write the configuration once, before anything runs.

        Raises:
            ValueError: see :func:`check_comparable`.
        """
        resolved = _resolved(self.parser, self.config)
        self.values = redact(resolved)
        if stage == "fit":
            check_comparable(resolved)
            self.values["ckpt_path"] = None
        folder = trainer.log_dir  # on every rank: reading it is a collective
        if self.already_saved or not trainer.is_global_zero or folder is None:
            return
        self.already_saved = True
        os.makedirs(folder, exist_ok=True)
        text = dump_values(self.values)
        path, number = Path(folder) / self.config_filename, 2
        while path.exists() and path.read_text(encoding="utf-8") != text:
            path, number = path.with_name(f"config-{number}.yaml"), number + 1
        with atomic_write(path) as file:  # a half one would stop every resume
            file.write(text.encode())
        for logger in trainer.loggers:
            logger.log_hyperparams(self.values)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State
    ) -> None:
        """Put the configuration beside the weights."""
        checkpoint["configuration"] = self.values
