"""``lit-entropy archive``: what figures read of finished runs, one file for each setting."""

import csv
import io
import lzma
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lit_entropy.atomic import atomic_write
from lit_entropy.jobs.output import check_output
from lit_entropy.jobs.record import read_record
from lit_entropy.jobs.runner import DONE
from lit_entropy.reproduce.archived import (
    CONFIG,
    SUFFIX,
    Files,
    is_kept,
    read_archive,
    setting_of,
)
from lit_entropy.tracking.metrics_file import METRICS_FILE, STEP, read_rows
from lit_entropy.tracking.state_table import STATES_FILE
from lit_entropy.yaml_text import read_yaml

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
        ValueError: no run is finished, a file of one is damaged, a file that is there is no
            archive, or ``output`` is no folder.
    """
    check_output(Path(output))
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
        ValueError: no run is finished, two of them have one name, a file of one is damaged, or a
            file that is there is no archive.
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
        if path.is_dir():
            raise ValueError(f"{path} is a folder: move it away, or name another --output")
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


def _unfinished(folder: Path) -> str:
    """Why a run cannot be archived; empty if it can."""
    for name in (CONFIG, METRICS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: name the folder of a run")
    steps = _config(folder)["trainer"]["max_epochs"]
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(
            f"{folder / CONFIG}: trainer.max_epochs={steps} does not say when the run is finished; "
            "leave it out, or write the number of its RL steps there"
        )
    done = max((int(row[STEP]) for row in read_rows(folder / METRICS_FILE)), default=0)
    return "" if done >= steps else f"it has {done} of {steps} RL steps"


def _config(folder: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        ValueError: it has no ``trainer.max_epochs``, or a ``run`` without keys.
    """
    values = read_yaml(folder / CONFIG)
    no_run = f"{folder / CONFIG} is not the configuration of a run: "
    here = values
    for key in ("trainer", "max_epochs"):
        if not isinstance(here, dict) or key not in here:
            raise ValueError(f"{no_run}no {key!r}; name a folder of lit-entropy fit")
        here = here[key]
    if not isinstance(values.get("run", {}), dict):
        raise ValueError(f"{no_run}run={values['run']}; write keys there, or remove it")
    return dict(values)


def _files(folder: Path) -> Files:
    files = {CONFIG: _without_place(folder), METRICS_FILE: _metrics(folder / METRICS_FILE)}
    if (folder / STATES_FILE).is_file():
        files[STATES_FILE] = _states(folder / STATES_FILE)
    if (folder / DONE).is_file():
        files[DONE] = (folder / DONE).read_bytes()
        read_record(files[DONE], str(folder / DONE), "leave the run out, or train it again")
    return files


def _without_place(folder: Path) -> bytes:
    """A run's configuration that does not say where on a machine the run was kept."""
    values = _config(folder)
    if "folder" in values.get("run", {}):
        values["run"]["folder"] = "runs"
    return yaml.safe_dump(values, sort_keys=False).encode()


def _metrics(path: Path) -> bytes:
    """The columns that are kept of a run's metrics; not a last line that was cut short."""
    rows = read_rows(path)
    with path.open(newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file), [])
    return _shortened(path, [name for name in columns if is_kept(name)], rows)


def _states(path: Path) -> bytes:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return _shortened(path, rows.fieldnames or (), rows)


def _shortened(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """A table with numbers of 7 digits.

    Raises:
        ValueError: a cell of the file is no number.
    """
    short = io.StringIO()
    writer = csv.writer(short, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(name) for name in columns]
        try:
            writer.writerow([cell and f"{float(cell):.{DIGITS}g}" for cell in cells])
        except ValueError as error:
            raise ValueError(f"{path} is no table of numbers ({error}): leave it out") from error
    return short.getvalue().encode()


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
