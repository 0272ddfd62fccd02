"""Archived runs, read again: which there are, and whether they are those that are wanted."""

import io
import lzma
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lit_entropy.figures.runs import Run
from lit_entropy.jobs.job import Job
from lit_entropy.jobs.record import read_record
from lit_entropy.jobs.runner import DONE
from lit_entropy.tracking.metrics_file import METRICS_FILE, STEP
from lit_entropy.tracking.state_table import STATES_FILE

CONFIG = "config.yaml"
SUFFIX = ".tar.xz"
#: Bytes that one file may hold unpacked: some hundred times as much as any here does.
MOST = 2**28
#: Columns of ``metrics.csv`` that an archive keeps: those that a figure of the report reads.
KEPT = (
    STEP, "val/*", "entropy/token_mean", "entropy/answer", "rollout/accuracy", "rollout/reward",
    "rollout/length", "rollout/groups", "cov/mean", "cov/top_*", "policy/kl_selected",
    "dynamics/bandit_covariance", "dynamics/bandit_covariance/*", "dynamics/fixed/delta",
    "dynamics/fixed/lemma1", "dynamics/own/delta", "dynamics/own/lemma1",
    "dynamics/own/theorem?_state", "dynamics/on_policy/delta", "strategies/*", "theorems/*",
)  # fmt: skip
#: Of those the ones that none reads: standard errors by difficulty.
DROPPED = ("val/*_se/*",)
#: What to do about an archive that cannot be read.
REMEDY = "write it again with `lit-entropy archive`, or move it away"
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
    record = read_record(path.read_bytes(), str(path), REMEDY)
    return record.has_settings_of(run) and record.digest == run.digest


def unplanned(folder: Path, settings: Collection[str]) -> list[Path]:
    """The runs of an unpacked archive that are of none of these settings."""
    return sorted(path for path in folder.iterdir() if setting_of(path.name) not in settings)


def in_short(names: Collection[str]) -> str:
    """Names of runs, those of one setting together: ``a-seed{0,1}, b-seed0``."""
    seeds: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (setting_of(name), len(name), name)):
        seeds.setdefault(setting_of(name), []).append(name.removeprefix(setting_of(name)))
    return ", ".join(
        f"{setting}-seed{{{','.join(each.removeprefix('-seed') for each in own)}}}"
        if len(own) > 1
        else f"{setting}{own[0]}"
        for setting, own in seeds.items()
    )


def setting_of(name: str) -> str:
    """The setting of a run: its name before ``-seed``, or else all of it."""
    return name.rpartition("-seed")[0] or name


def is_kept(column: str) -> bool:
    """Whether an archive keeps a column of ``metrics.csv``."""

    def found(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(column, pattern) for pattern in patterns)

    return found(KEPT) and not found(DROPPED)


def distinct(runs: Sequence[Run], say: Callable[[str], None]) -> list[Run]:
    """Runs without those that are there already: archived ones among the others, say.

    Raises:
        ValueError: two runs of one name and seed that are not the same.
    """
    kept: dict[tuple[str, int], Run] = {}
    for run in runs:
        first = kept.setdefault((run.name, run.seed), run)
        if first is run:
            continue
        if not _same(first, run):
            raise ValueError(
                f"two runs are named {run.name} and differ: a run is known by its name, so leave "
                "one of them out of --others and --archive, or rename its folder"
            )
        say(f"{run.name} is there twice: it counts once in the table of claims by rung")
    return list(kept.values())


def _same(first: Run, second: Run) -> bool:
    """Whether two runs have the same facts and, to an archive's seven digits, numbers."""
    ours, theirs = ({k: v for k, v in run.history.items() if is_kept(k)} for run in (first, second))
    return (
        first.facts == second.facts
        and ours.keys() == theirs.keys()
        and all(
            len(ours[key]) == len(theirs[key])
            and np.allclose(ours[key], theirs[key], rtol=1e-6, atol=0, equal_nan=True)
            for key in ours
        )
    )


def _archives(archive: Path) -> list[Path]:
    found = sorted(path for path in archive.glob(f"*{SUFFIX}") if path.is_file())
    if not found:
        raise FileNotFoundError(
            f"archive={archive} holds no *{SUFFIX}: name a folder that `lit-entropy archive` wrote"
        )
    return found


def read_archive(path: Path) -> dict[str, dict[str, bytes]]:
    """The files of each run of an archive; nothing is written, and no other names are taken.

    Raises:
        ValueError: it is damaged, holds something else, or a run without its files.
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
    for name, files in runs.items():
        for needed in (CONFIG, METRICS_FILE):
            if needed not in files:
                raise ValueError(f"{path}: the run {name} has no {needed}: {REMEDY}")
        if DONE in files:
            read_record(files[DONE], f"{path}: {DONE} of {name}", REMEDY)
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
