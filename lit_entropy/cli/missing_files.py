"""Files that a configuration names and that are not there."""

import os
import re
from collections.abc import Mapping

from lit_entropy.cli.component_files import is_component_file
from lit_entropy.closest import files_near, no_such_file
from lit_entropy.shipped import configs_folder

#: How the parser words a text that is neither a file nor a class.
_TRIED = re.compile(
    r"Expected a path but (.+?) either not accessible or invalid"
    r"|given class_path '([^']+)'|Unexpected import path format: (\S+)"
)


def missing_file(key: str, message: str) -> str | None:
    """What to say of a component's file that is not there; None where none is missing.

    Call it where the parser does, in the folder that a relative path starts from: that of the file
    that names it, or the working folder.

    Args:
        key: dotted.
        message: of the parser, on this key.
    """
    named = [name for found in _TRIED.findall(message) for name in found]
    for file in named:
        if is_component_file(file) and not os.path.exists(file):
            return f"{key}={file}: no such file{_meant(file)}"
    return None


def check_trainer_files(settings: Mapping[str, object]) -> None:
    """Refuse a file of the trainer's that stands as text, since it is not there.

    Args:
        settings: of ``trainer``; text is accepted for many of them, a name of Lightning's.

    Raises:
        ValueError: names the key and what lies there.
    """
    for key, value in settings.items():
        if isinstance(value, str) and is_component_file(value) and not os.path.exists(value):
            raise ValueError(f"trainer.{key}={value}: {no_such_file(value)}")


def _meant(file: str) -> str:
    """A file beside the one that is missing, else a shipped one, which a path in full names."""
    shipped = configs_folder() / file
    if os.path.isfile(shipped):
        return f"; the shipped one is {shipped}"
    return files_near(file) or files_near(str(shipped)) or "; give an existing path"
