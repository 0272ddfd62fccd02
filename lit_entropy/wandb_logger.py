"""Weights & Biases that never stops or changes a run."""

from __future__ import annotations

import netrc
import os
import socket
import urllib.request
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import wandb
from lightning.fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from lightning.fabric.utilities.logger import _convert_json_serializable, _convert_params
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from lit_entropy.redaction import redact

RUN_ID_FILE = "wandb_id.txt"
STEP_METRIC = "rl_step"


def _server() -> str:
    return os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"


def wandb_is_configured() -> bool:
    """Whether the user has set up Weights & Biases: ``WANDB_API_KEY`` or an entry in netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    named = os.environ.get("NETRC")
    files = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    host = urlsplit(_server()).hostname or ""
    for file in files:
        if file.is_file():
            try:
                return host in netrc.netrc(str(file)).hosts
            except netrc.NetrcParseError as error:
                warnings.warn(f"{file} cannot be read, no W&B login there: {error}", stacklevel=2)
    return False


class SafeWandbLogger(WandbLogger):
    """Sends the run to Weights & Biases; when that fails the run goes on as if it were not there.

    A server that cannot be reached at the start turns the logger to offline mode (``wandb sync``
    uploads the folder later); an error while logging turns it off. Each gives one warning. The
    login comes from the environment or netrc alone. Host, command line, git state, console output
    and code stay at home, and the configuration is sent redacted.
    """

    def __init__(
        self,
        save_dir: str = "runs",
        name: str = "run",
        project: str = "lit_entropy",
        mode: Literal["online", "offline", "disabled"] | None = None,
        init_timeout: float = 20.0,
        finish_timeout: float = 60.0,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        """Store the settings; nothing is sent before the first use.

        Args:
            save_dir: folder of all runs.
            name: folder of this run within it, and the run's name on the server.
            project: W&B project.
            mode: None takes WANDB_MODE, or online if that is not set.
            init_timeout: seconds to wait for the server at the start (the library adds up to 10).
            finish_timeout: seconds to wait for the last uploads; the rest stays on disk.
            entity: W&B user or team; None for the login's default.
            group: W&B group, for the seeds of one experiment.
            tags: W&B tags.
        """
        for field, value in (("init_timeout", init_timeout), ("finish_timeout", finish_timeout)):
            if not value > 0:
                raise ValueError(f"{field}={value}: give a positive number of seconds")
        self._folder = Path(save_dir) / name
        super().__init__(
            name=name, save_dir=str(self._folder), project=project,
            entity=entity, group=group, tags=list(tags),
        )  # fmt: skip
        self._mode = mode or os.environ.get("WANDB_MODE") or "online"
        self._init_timeout = init_timeout
        self._finish_timeout = finish_timeout

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, or a stand-in that ignores every call once W&B has failed."""
        if self._experiment is None:
            self._experiment = self._start()
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send metrics with the RL step as their x axis."""
        axis = {} if step is None else {STEP_METRIC: step}
        self._safely(lambda: self.experiment.log({**metrics, **axis}))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace | None = None) -> None:  # type: ignore[override]
        """Send the configuration without secrets."""
        config = redact(_convert_json_serializable(_convert_params(params)))
        self._safely(lambda: self.experiment.config.update(config, allow_val_change=True))

    @rank_zero_only
    def log_table(self, *args: Any, **kwargs: Any) -> None:
        """Send a table, as in ``WandbLogger``."""
        self._safely(lambda: super(SafeWandbLogger, self).log_table(*args, **kwargs))

    @rank_zero_only
    def log_image(self, *args: Any, **kwargs: Any) -> None:
        """Send images, as in ``WandbLogger``."""
        self._safely(lambda: super(SafeWandbLogger, self).log_image(*args, **kwargs))

    def _safely(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:  # whatever it is, training is worth more
            warnings.warn(f"W&B failed and is off for the rest of the run: {error}", stacklevel=3)
            self._experiment = _DummyExperiment()  # type: ignore[assignment]

    def _start(self) -> Any:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._mode == "disabled":
            return _DummyExperiment()
        if self._mode == "online":
            try:
                self._check_reachable()
                return self._init("online")
            except Exception as error:
                self._warn_offline(error)
        try:
            return self._init("offline")
        except Exception as error:
            warnings.warn(f"W&B cannot start and is off for this run: {error}", stacklevel=4)
            return _DummyExperiment()

    def _warn_offline(self, error: Exception) -> None:
        warnings.warn(
            f"W&B is not available ({error}). The run goes on offline: `wandb sync "
            f"{self._folder}/wandb/offline-run-*` uploads it later.",
            stacklevel=5,
        )

    def _check_reachable(self) -> None:
        """Fail at once where ``wandb.init`` would retry for long or ask for a key."""
        if not wandb_is_configured():
            raise PermissionError("no WANDB_API_KEY and no netrc entry: run `wandb login`")
        server = urlsplit(_server())
        if server.scheme in urllib.request.getproxies():
            return  # only the proxy can tell
        port = server.port or (443 if server.scheme == "https" else 80)
        socket.create_connection((server.hostname or "", port), self._init_timeout).close()

    def _init(self, mode: Literal["online", "offline"]) -> Any:
        settings = wandb.Settings(
            x_disable_meta=True,
            x_disable_machine_info=True,
            disable_git=True,
            save_code=False,
            console="off",
            init_timeout=self._init_timeout,
            finish_timeout=self._finish_timeout,
        )
        id_file = self._folder / RUN_ID_FILE
        if not id_file.exists():
            id_file.write_text(wandb.util.generate_id() + "\n", encoding="utf-8")
        arguments = {key: self._wandb_init[key] for key in ("name", "project", "dir", "entity")}
        run = wandb.init(
            **arguments,
            group=self._wandb_init["group"],
            tags=self._wandb_init["tags"],
            id=id_file.read_text(encoding="utf-8").strip(),
            resume="allow",
            mode=mode,
            settings=settings,
        )
        run.define_metric(STEP_METRIC)
        run.define_metric("*", step_metric=STEP_METRIC, step_sync=True)
        return run
