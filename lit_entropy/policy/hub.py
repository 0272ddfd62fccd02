"""Where a hub id is loaded from: the hub, or the cache where the hub is out of reach."""

from json import JSONDecodeError
from typing import cast

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

#: Seconds to wait for the hub's one answer.
LONGEST = 10.0
#: A connection that fails raises what the hub's own errors derive from, whichever client it uses.
_ConnectionFailed = cast(type[Exception], HfHubHTTPError.__mro__[1])


def hub_location(name: str, revision: str | None, field: str) -> str:
    """Ask the hub once for a repository, before transformers asks for each of its files.

    Without a network transformers tries each file several times, a minute and more in all.

    Args:
        name: hub id.
        revision: branch, tag or commit; None is the default branch.
        field: key that errors name.

    Returns:
        The hub id, or the folder of its files in the cache where the hub is out of reach.

    Raises:
        ValueError: it is no hub id, or the hub does not have it, or the hub is out of reach and
            the cache does not have it.
    """
    wanted = f"{field}={name!r}" + (f" at revision {revision!r}" if revision else "")
    try:
        HfApi().model_info(name, revision=revision, timeout=LONGEST)
        return name
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403, 404):
            cause: Exception = error  # the hub itself is ill
        else:
            raise ValueError(
                f"{wanted}: the hub has no such model, or not for you; check the name, log in with "
                "hf auth login, or name a folder"
            ) from error
    except HFValidationError as error:
        raise ValueError(
            f"{wanted}: not a folder that is there, nor a hub id ({error}); correct the name"
        ) from error
    except (OfflineModeIsEnabled, _ConnectionFailed, JSONDecodeError) as error:
        cause = error  # no JSON: a network's login page answers in the hub's place
    try:
        folder = snapshot_download(name, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError:
        reason = str(cause).partition("\n")[0] or type(cause).__name__
        raise ValueError(
            f"{wanted}: the hub cannot be reached ({reason:.200}) and the cache does not hold it; "
            f"name a folder or a shipped base, or run hf download {name} where there is a network"
        ) from cause
    rank_zero_warn(f"{wanted}: the hub cannot be reached; it is taken from the cache")
    return folder
