"""Checkpoint folders to which every rank adds its part (torch's distributed checkpoints), read
without running code: torch itself unpickles their metadata and their plain values freely."""

import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from lightning.fabric.utilities.load import _METADATA_FILENAME as REST
from torch.distributed.checkpoint import DefaultLoadPlanner, FileSystemReader
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem
from torch.futures import Future

from lit_entropy.checkpoints.intact import load_intact, require_digest, require_intact
from lit_entropy.errors import CheckpointError
from lit_entropy.types import State

#: Plain records, all of which may be named; what their module imports may not.
RECORDS = "torch.distributed.checkpoint.metadata"
#: What else the description of a folder's tensors is made of, by module.
DESCRIPTION = {
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
    "torch": {"Size", "device"},
    "torch.serialization": {"_get_layout"},
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath", "WindowsPath"},
    "pathlib._local": {"PosixPath", "WindowsPath"},
}


class _Description(pickle.Unpickler):
    """Builds the records of a description and refuses everything else."""

    def find_class(self, module: str, name: str) -> object:
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        known = name in DESCRIPTION.get(module, set()) or (module == RECORDS and _is_record(name))
        if "." in name or not known:
            raise CheckpointError(f"the checkpoint's .metadata refers to {module}.{name}")
        return super().find_class(module, name)


def _is_record(name: str) -> bool:
    """Whether a name of the module of records is a class that is defined there.

    It also has ``dataclass``, which compiles the names of fields.
    """
    value = getattr(dcp.metadata, name, None)
    return isinstance(value, type) and value.__module__ == RECORDS


class SafeReader(FileSystemReader):
    """Reads a checkpoint folder whose description can name no code."""

    def read_metadata(self, *args: object, **kwargs: object) -> Metadata:
        """The description of the folder's tensors.

        Raises:
            CheckpointError: it is missing, damaged, or refers to anything but its own records.
        """
        path = Path(self.path) / ".metadata"
        try:
            description = path.read_bytes()
            require_digest(path.parent, description)
            metadata: Metadata = _Description(io.BytesIO(description)).load()
            assert metadata.storage_meta is not None
            metadata.storage_meta.load_id = self.load_id
        except CheckpointError:
            raise
        except Exception as error:  # a damaged description may raise anything
            raise CheckpointError(
                f"{path} cannot be read ({error!r}): resume from another checkpoint"
            ) from error
        return metadata

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Fill what the plan asks for, each part once it is known to be what was written.

        Raises:
            CheckpointError: a part has another checksum than it was written with; names its file.
        """
        for item in plan.items:
            place = self.storage_data[item.storage_index]
            path = Path(self.path) / place.relative_path
            with open(path, "rb") as file:
                file.seek(place.offset)
                part = io.BytesIO(file.read(place.length))
            try:
                require_intact(part)
            except CheckpointError as error:
                raise CheckpointError(f"{path}, {item.storage_index.fqn}: {error}") from error
        return super().read_data(plan, planner)


class _SafeBytes(DefaultLoadPlanner):
    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        torch.load(value, weights_only=True)  # raises where torch's own would run code
        value.seek(0)
        super().load_bytes(read_item, value)


class _WholeState(_SafeBytes, _EmptyStateDictLoadPlanner):
    """Makes up the state from the folder's description."""


def is_distributed(path: str | Path) -> bool:
    """Whether ``path`` is a checkpoint folder."""
    return (Path(path) / REST).is_file()


def load_rest(path: str | Path) -> State:
    """What is in a checkpoint folder beside weights and optimizer states.

    Raises:
        CheckpointError: the file that holds it is damaged.
    """
    file = Path(path) / REST
    try:
        with open(file, "rb") as opened:
            rest: State = load_intact(opened)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # torch raises half a dozen types for a damaged file
        raise CheckpointError(
            f"{file} cannot be read ({_reason(error)}): resume from another checkpoint"
        ) from error
    return rest


def _reason(error: BaseException) -> str:
    """An error in one line."""
    first = str(error).partition("\n")[0]
    return first if isinstance(error, CheckpointError) else f"{type(error).__name__}: {first}"


def _read(
    path: str | Path, state: State, planner: DefaultLoadPlanner, no_dist: bool = False
) -> None:
    reader = SafeReader(path)
    reader.read_metadata()  # its errors as they are: torch wraps those that it meets itself
    try:
        dcp.load(state, storage_reader=reader, planner=planner, no_dist=no_dist)
    except dcp.CheckpointException as error:
        causes = "; ".join(_reason(cause) for cause, _ in error.failures.values())
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint of this run ({causes}): resume from another one"
        ) from error


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What tells a folder from another one of its name; None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _one_folder(path: str | Path) -> Iterator[None]:
    """All reads within are of one checkpoint: a run under way replaces its newest.

    Raises:
        CheckpointError: the folder was replaced.
    """
    before, failure = _identity(path), None
    try:
        yield
    except Exception as error:
        failure = error
    if _identity(path) != before:
        raise CheckpointError(
            f"{path} was replaced while it was read: read it again, or a numbered one beside it"
        ) from failure
    if failure is not None:
        raise failure


def load_into(path: str | Path, state: State) -> None:
    """Fill a (sharded) state from a folder; a collective where ranks exist."""
    with _one_folder(path):
        _read(path, state, _SafeBytes())


def load_whole(path: str | Path) -> State:
    """A checkpoint folder as the checkpoint that a single process would have written.

    It must fit into the memory of this process.

    Raises:
        CheckpointError: the folder cannot be read, or was replaced meanwhile.
    """
    planner = _WholeState()
    with _one_folder(path):
        _read(path, {}, planner, no_dist=True)
        rest = load_rest(path)
    state: State = planner.original_state_dict  # made up by the planner, then filled
    optimizers = [state.pop(key) for key in sorted(state) if key.startswith("optimizer_")]
    if optimizers:
        rest["optimizer_states"] = [by_number(optimizer) for optimizer in optimizers]
    return rest | state


def by_number(state: State) -> State:
    """An optimizer's state with parameters numbered in the order of its groups, as torch does."""
    names = [name for group in state["param_groups"] for name in group["params"]]
    number = {name: index for index, name in enumerate(names)}
    groups = [
        dict(group) | {"params": [number[name] for name in group["params"]]}
        for group in state["param_groups"]
    ]
    states = {number[name]: values for name, values in state.get("state", {}).items()}
    return {"state": states, "param_groups": groups}
