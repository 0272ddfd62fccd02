"""``lit-entropy archive``: what figures read of finished runs, one file for each setting."""

import csv
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from lit_entropy.atomic import atomic_write
from lit_entropy.jobs.runner import DONE
from lit_entropy.reproduce.archived import CONFIG, SUFFIX, Files, read_archive
from lit_entropy.tracking.metrics_file import METRICS_FILE, STEP, read_rows
from lit_entropy.tracking.state_table import STATES_FILE
from lit_entropy.yaml_text import read_yaml

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
#: Significant digits of an archived number; a float32 has 7.2.
DIGITS = 7


def archive(runs: list[str], output: str = "archive") -> None:
    """Keep what figures read of finished runs in a small file for each setting, for others.

    Their configurations, the columns of metrics that a figure of the report reads, to seven digits,
    and the digests by which ``reproduce --archive`` knows a run; no weights, no texts and not the
    folder they were kept in. A file that is there keeps its other runs.

    Args:
        runs: Run folders, or patterns of them in quotes, ``'reproduce/tiny-full/runs/*'`` say.
        output: Folder of the files, ``<setting>.tar.xz``.

    Raises:
        FileNotFoundError: a folder or a pattern that is no run.
        ValueError: no run is finished, or a file that is there is no archive.
    """
    from lit_entropy.reproduce.selection import run_folders  # with numpy, which --help needs not

    def say(line: str) -> None:
        print(line, flush=True)

    write_archive(run_folders(runs, say), Path(output), say)


def write_archive(folders: Sequence[Path], output: Path, say: Callable[[str], None]) -> list[Path]:
    """Write what figures read of finished runs to ``<setting>.tar.xz``, without weights and texts.

    The setting is the run's name before ``-seed``. A file that is there keeps its other runs. The
    same runs make the same bytes.

    Args:
        folders: of runs; one that has not reached its last RL step is left out and named.
        output: folder of the files.
        say: called with a line for each run that is left out and each file.

    Raises:
        FileNotFoundError: a folder is no run.
        ValueError: no run is finished, two of them have one name, or a file that is there is no
            archive.
    """
    settings: dict[str, dict[str, Files]] = {}
    for folder in folders:
        if reason := _unfinished(folder):
            say(f"{folder} is left out: {reason}")
        else:
            runs, files = settings.setdefault(setting_of(folder.name), {}), _files(folder)
            if runs.setdefault(folder.name, files) != files:
                raise ValueError(
                    f"two runs are named {folder.name}, one of them {folder}: an archive knows a "
                    "run by its name, so keep them in archives of their own, --output"
                )
    if not settings:
        raise ValueError(f"none of {len(folders)} runs is finished: there is nothing to archive")
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for setting, runs in sorted(settings.items()):
        path = output / f"{setting}{SUFFIX}"
        known = read_archive(path) if path.exists() else {}
        for name in sorted(known.keys() & runs.keys()):
            if known[name] != runs[name]:
                say(f"{path}: {name} takes the place of another run of its name")
        content = _packed({**known, **runs})
        with atomic_write(path) as file:
            file.write(content)
        say(f"{path}: {len({**known, **runs})} runs, {len(content) / 1000:,.0f} kB")
        written.append(path)
    return written


def setting_of(name: str) -> str:
    """The setting of a run: its name before ``-seed``, or else all of it."""
    return name.rpartition("-seed")[0] or name


def _unfinished(folder: Path) -> str:
    """Why a run cannot be archived; empty if it can."""
    for name in (CONFIG, METRICS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: name the folder of a run")
    try:
        steps = int(read_yaml(folder / CONFIG)["trainer"]["max_epochs"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / CONFIG} is not the configuration of a run: no {error}"
        ) from error
    done = max((int(row[STEP]) for row in read_rows(folder / METRICS_FILE)), default=0)
    return "" if done >= steps else f"it has {done} of {steps} RL steps"


def _files(folder: Path) -> Files:
    names = [CONFIG, *(name for name in (DONE, STATES_FILE) if (folder / name).is_file())]
    files = {name: (folder / name).read_bytes() for name in names}
    files[CONFIG] = _without_place(folder / CONFIG)
    for name in {METRICS_FILE, STATES_FILE} & {METRICS_FILE, *names}:
        files[name] = _shortened((folder / name).read_text(), name == METRICS_FILE)
    return files


def _without_place(config: Path) -> bytes:
    """A run's configuration that does not say where on a machine the run was kept."""
    values = read_yaml(config)
    if "folder" in values.get("run", {}):
        values["run"]["folder"] = "runs"
    return yaml.safe_dump(values, sort_keys=False).encode()


def _shortened(text: str, select: bool) -> bytes:
    """A table with numbers of 7 digits; with ``select`` only the columns that are kept."""
    rows = csv.DictReader(io.StringIO(text))
    columns = [name for name in rows.fieldnames or () if not select or _is_kept(name)]
    short = io.StringIO()
    writer = csv.writer(short, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [row[name] for name in columns]
        writer.writerow([cell and f"{float(cell):.{DIGITS}g}" for cell in cells])
    return short.getvalue().encode()


def _is_kept(column: str) -> bool:
    def found(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(column, pattern) for pattern in patterns)

    return found(KEPT) and not found(DROPPED)


def _packed(runs: Mapping[str, Files]) -> bytes:
    """Runs as a compressed tar file, the same bytes for the same runs."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:") as tar:
        for name, files in sorted(runs.items()):
            for file, data in sorted(files.items()):
                member = tarfile.TarInfo(f"{name}/{file}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return lzma.compress(content.getvalue(), preset=9)
