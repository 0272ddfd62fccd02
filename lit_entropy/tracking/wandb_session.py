"""Starting a Weights & Biases run without surprises: bounded waiting, nothing private sent."""

import netrc
import os
import secrets
import socket
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import wandb

RUN_ID_FILE = "wandb_id.txt"
STEP_METRIC = "rl_step"


def _server() -> str:
    return os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"


def wandb_available() -> bool:
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


def check_reachable(timeout: float) -> None:
    """Fail at once where ``wandb.init`` would retry for long or ask for a key.

    Args:
        timeout: seconds to wait for a connection.

    Raises:
        PermissionError: no login.
        OSError: no connection to the server.
    """
    if not wandb_available():
        raise PermissionError("no WANDB_API_KEY and no netrc entry: run `wandb login`")
    server = urlsplit(_server())
    if server.scheme in urllib.request.getproxies():
        return  # only the proxy can tell
    port = server.port or (443 if server.scheme == "https" else 80)
    socket.create_connection((server.hostname or "", port), timeout).close()


def run_id(folder: Path, new: bool = False) -> str:
    """The W&B id of a run folder, which stays the same on a resume and when the folder is moved.

    A copy of a folder is another experiment: it gets another id, or W&B would merge the two.

    Args:
        folder: the run's folder; each line of its ``wandb_id.txt`` is an id and the folder for
            which it was drawn, the last one counts.
        new: draw another id in any case.
    """
    file, place = folder / RUN_ID_FILE, str(folder.resolve())
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if lines and not new:
        identity, _, first = lines[-1].partition("\t")
        other = Path(first) / RUN_ID_FILE if first else file
        copied = first not in ("", place) and other.exists()
        if not copied or lines[-1] not in other.read_text(encoding="utf-8").splitlines():
            return identity
        warnings.warn(f"{folder} is a copy of {first}: it gets a W&B run of its own", stacklevel=2)
    identity = secrets.token_hex(4)
    note_run_id(folder, identity)
    return identity


def note_run_id(folder: Path, identity: str) -> None:
    """Keep the W&B id of a run folder, so that a resume goes on there."""
    with open(folder / RUN_ID_FILE, "a", encoding="utf-8") as opened:
        opened.write(f"{identity}\t{folder.resolve()}\n")


def start_run(
    folder: Path,
    mode: Literal["online", "offline"],
    *,
    new_id: bool,
    init_timeout: float,
    finish_timeout: float,
    name: str | None,
    project: str | None,
    entity: str | None,
    group: str | None,
    notes: str | None,
    tags: list[str],
) -> "wandb.Run":
    """Start or continue the W&B run of a run folder, with the RL step as x axis.

    Args:
        folder: the run's folder; keeps the W&B ids in ``wandb_id.txt`` and the data in ``wandb/``.
        mode: offline writes to the folder alone.
        new_id: start another W&B run; the library blocks the id of a start that failed.
        init_timeout: seconds to wait for the server.
        finish_timeout: seconds to wait for the last uploads at the end.
        name: the run's name on the server.
        project: W&B project.
        entity: W&B user or team; None for the login's default.
        group: W&B group; None for none.
        notes: a text on the run; None for none.
        tags: W&B tags.
    """
    import wandb  # takes longer than all of --help

    sweep = bool(os.environ.get("WANDB_SWEEP_ID"))  # its agent decides where the run belongs
    run = wandb.init(
        name=name,
        project=None if sweep else project,
        entity=None if sweep else entity,
        group=group,
        notes=notes,
        tags=tags or None,  # none: WANDB_TAGS counts
        dir=str(folder),
        id=None if sweep else run_id(folder, new_id),
        resume="allow",
        mode=mode,
        settings=wandb.Settings(
            x_disable_meta=True,
            x_disable_machine_info=True,
            disable_git=True,
            save_code=False,
            console="off",
            init_timeout=init_timeout,
            finish_timeout=finish_timeout,
        ),
    )
    if sweep:
        note_run_id(folder, run.id)
    run.define_metric(STEP_METRIC)
    run.define_metric("*", step_metric=STEP_METRIC, step_sync=True)
    return run
