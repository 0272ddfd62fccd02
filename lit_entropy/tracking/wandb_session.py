"""Starting a Weights & Biases run without surprises: bounded waiting, nothing private sent."""

import http.client
import json
import netrc
import os
import secrets
import ssl
import threading
import urllib.error
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from lit_entropy.tracking.redaction import redact_text

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
    try:
        host = urlsplit(_server()).hostname or ""
    except ValueError as error:
        warnings.warn(f"{_no_address(error)}; no W&B login", stacklevel=2)
        return False
    for file in files:
        try:
            if file.is_file():
                return host in netrc.netrc(str(file)).hosts
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            warnings.warn(f"{file} cannot be read, no W&B login there: {error}", stacklevel=2)
    return False


def _no_address(error: Exception) -> str:
    """What to say of a ``WANDB_BASE_URL`` that is none."""
    shown = redact_text(_server())
    return f"WANDB_BASE_URL={shown!r:.80} is no address of a server ({error}): correct or unset it"


def check_reachable(timeout: float) -> None:
    """Fail at once where ``wandb.init`` would retry for long or ask for a key.

    One question to the server, answered whole: one that hangs, sends a byte now and then or is
    broken would hold up the library for minutes at the start and again at the end.

    Args:
        timeout: seconds to wait for the answer, in all.

    Raises:
        PermissionError: no login.
        OSError: no connection, no answer in time, or the server answers that it is broken.
    """
    if not wandb_available():
        raise PermissionError("no WANDB_API_KEY and no netrc entry: run `wandb login`")
    outcome: list[OSError | None] = []

    def ask() -> None:
        outcome.append(_server_problem(timeout))

    thread = threading.Thread(target=ask, daemon=True)  # a time limit of a socket is one a byte
    thread.start()
    thread.join(timeout)
    problem = outcome[0] if outcome else TimeoutError(f"no answer within {timeout:g} s")
    if problem is not None:
        raise problem


def _server_problem(timeout: float) -> OSError | None:
    """What is wrong with the server; None where it answers, be it that a login is missing."""
    question = json.dumps({"query": "query { serverInfo { cliVersionInfo } }"}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(f"{_server()}/graphql", question, headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        return OSError(f"it answers with HTTP status {error.code}") if error.code >= 500 else None
    except urllib.error.URLError as error:
        # the library has certificates of its own
        certificate = isinstance(error.reason, ssl.SSLCertVerificationError)
        return None if certificate else OSError(str(error.reason))
    except OSError as error:
        return error
    except (http.client.InvalidURL, ValueError) as error:
        return OSError(_no_address(error))
    except http.client.HTTPException as error:
        return OSError(f"it does not speak HTTP ({error!r})")
    return None


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
    # reports of the library on itself, also offline: at the exit it waits 30 s to be rid of them
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
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
