"""Whether a checkpoint still is what was written: checksums of everything that is read from it.

``torch.save`` writes a zip archive with a CRC-32 of every record, and ``torch.load`` compares none:
a flipped bit of a weight loads. They cost a save nothing, and files of earlier versions have them.
"""

import hashlib
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch.serialization import MAP_LOCATION

from lit_entropy.errors import CheckpointError

#: Beside the description of a checkpoint folder, which is no archive: its SHA-256.
DIGEST = ".metadata.sha256"
_CHUNK = 1 << 22  # bytes
_FOLDER = 0x10  # MS-DOS attribute


def load_intact(file: IO[bytes], map_location: MAP_LOCATION = "cpu") -> Any:
    """What ``torch.save`` has written to a file, tensors and plain values alone.

    Args:
        file: open for reading, at its beginning; the same one is checked and loaded, so that one
            which is replaced meanwhile is not mixed.
        map_location: as in ``torch.load``.

    Raises:
        CheckpointError: names the record that differs from what was written.
    """
    require_intact(file)
    file.seek(0)
    return torch.load(file, map_location=map_location, weights_only=True)


def require_intact(file: IO[bytes]) -> None:
    """Raise CheckpointError unless every record of an archive has the checksum it was written with.

    Args:
        file: the archive, or a part of a file that is one.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for record in archive.infolist():
                if record.external_attr & _FOLDER:  # torch reads none of it, and no error
                    raise CheckpointError(
                        f"not as it was written: its directory calls {record.filename} a folder"
                    )
                with archive.open(record) as content:
                    while content.read(_CHUNK):
                        pass  # the last read compares
    except (OSError, CheckpointError):
        raise
    except Exception as error:  # a damaged directory of an archive may raise anything
        reason = "no archive of torch.save" if "not a zip" in str(error) else str(error)
        raise CheckpointError(f"not as it was written: {reason}") from error


def write_digest(folder: Path) -> None:
    """Note the SHA-256 of the description of a checkpoint folder."""
    digest = hashlib.sha256((folder / ".metadata").read_bytes()).hexdigest()
    (folder / DIGEST).write_text(f"{digest}\n", encoding="ascii")


def require_digest(folder: Path, description: bytes) -> None:
    """Raise CheckpointError unless a description is the one that was written.

    A folder of an earlier version has no digest; a warning says so.
    """
    file = folder / DIGEST
    if not file.is_file():
        rank_zero_warn(
            f"{folder} is of an earlier version, without {DIGEST}: the places of its tensors are "
            "not checked for damage, their values are"
        )
    elif file.read_bytes() != f"{hashlib.sha256(description).hexdigest()}\n".encode():
        raise CheckpointError(
            f"{folder / '.metadata'} is damaged (it is not what {DIGEST} says): resume from "
            "another checkpoint"
        )
