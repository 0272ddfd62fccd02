"""The folder that ``--output`` names."""

import os
from pathlib import Path


def check_output(folder: Path) -> None:
    """Refuse a folder that cannot be made, since a file is in its place or above it.

    Raises:
        ValueError: one line with the flag, the folder and the file.
    """
    for place in (folder, *folder.parents):
        if os.path.isdir(place):
            return
        if os.path.lexists(place):  # a file, or a link that leads nowhere
            raise ValueError(
                f"--output {folder}: {place} is no folder; name another one, or move it away"
            )
