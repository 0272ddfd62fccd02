"""Archived runs, read again: which there are, and whether they are those that are wanted."""

import io
import json
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lit_entropy.jobs.job import Job
from lit_entropy.jobs.runner import DONE
from lit_entropy.tracking.metrics_file import METRICS_FILE
from lit_entropy.tracking.redaction import redact_words
from lit_entropy.tracking.state_table import STATES_FILE

CONFIG = "config.yaml"
SUFFIX = ".tar.xz"
#: Bytes that one file may hold unpacked: some hundred times as much as any here does.
MOST = 2**28
#: The files of an archived run by name.
Files = Mapping[str, bytes]


@contextmanager
def unpacked(archive: Path | None) -> Iterator[Path]:
    """A folder with the archived runs, each a folder as figures read it; gone after the block.

    Args:
        archive: folder of ``write_archive``; None for one without runs.

    Raises:
        FileNotFoundError: it is not there, or holds no archive.
        ValueError: a file of it is damaged, or no archive of this kind.
    """
    with TemporaryDirectory(prefix="lit_entropy-archive-") as place:
        folder = Path(place)
        for path in _archives(archive) if archive else []:
            for name, files in read_archive(path).items():
                if (folder / name).exists():
                    raise ValueError(f"{path} and another file of {archive} both hold {name}")
                (folder / name).mkdir()
                for file, content in files.items():
                    (folder / name / file).write_bytes(content)
        yield folder


def is_archived(run: Job, folder: Path) -> bool:
    """Whether an unpacked archive has this run, with the settings and files that it has now."""
    path = folder / run.name / DONE
    if not path.exists():
        return False
    record = json.loads(path.read_bytes())
    wanted = {"settings": redact_words(run.settings), "digest": run.digest}
    return isinstance(record, dict) and wanted.items() <= record.items()


def fitted(folder: Path) -> list[Path]:
    """The runs of an unpacked archive that no reproduction has planned: those of ``fit``."""
    return sorted(path for path in folder.iterdir() if not (path / DONE).exists())


def _archives(archive: Path) -> list[Path]:
    found = sorted(archive.glob(f"*{SUFFIX}"))
    if not found:
        raise FileNotFoundError(
            f"archive={archive} holds no *{SUFFIX}: name a folder that `lit-entropy archive` wrote"
        )
    return found


def read_archive(path: Path) -> dict[str, dict[str, bytes]]:
    """The files of each run of an archive; nothing is written, and no other names are taken.

    Raises:
        ValueError: it is damaged, or holds something else.
    """
    runs: dict[str, dict[str, bytes]] = {}
    allowed = (CONFIG, METRICS_FILE, STATES_FILE, DONE)
    try:
        with tarfile.open(fileobj=io.BytesIO(_unpressed(path)), mode="r:") as tar:
            for member in tar:
                name, _, file = member.name.partition("/")
                content = tar.extractfile(member) if member.isfile() else None
                if content is None or file not in allowed or name in ("", ".", ".."):
                    raise ValueError(f"{path} holds {member.name!r}, which is no file of a run")
                runs.setdefault(name, {})[file] = content.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"{path} is damaged or no archive: {error}") from error
    return runs


def _unpressed(path: Path) -> bytes:
    """What a file holds to its checksum, which ``tarfile`` would not miss.

    Raises:
        lzma.LZMAError: it is damaged, cut short, or holds more than :data:`MOST` bytes.
    """
    reader = lzma.LZMADecompressor()
    whole = reader.decompress(path.read_bytes(), max_length=MOST)
    if not reader.eof or reader.unused_data:
        raise lzma.LZMAError(f"it is cut short, goes on, or unpacks to more than {MOST} bytes")
    return whole
