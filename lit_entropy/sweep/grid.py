"""The points of a grid, and the runs of each."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path

from lit_entropy.jobs.job import Job
from lit_entropy.shipped import short_name
from lit_entropy.tracking.run_name import parts

#: Arguments of ``fit`` that differ between runs, and what decides them.
_OWN = {
    "seed_everything": 'the seeds are those of --seeds, "[0, 1, 2]" say',
    "run.folder": "runs lie below --output",
    "run.name": "runs are named after their point and seed",
    "print_config": "no single configuration is shown: see lit-entropy fit --print_config",
    "ckpt_path": "an interrupted run continues by itself: give the same command again",
}
#: A number as YAML has it; with a zero in front it is a text.
NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
#: One value of a key, as a file or a flag has it.
Value = object


@dataclass(frozen=True)
class Sweep:
    """What a sweep trains.

    Attributes:
        words: arguments of ``fit`` that all runs have.
        over: values by dotted key; every combination of them is a point.
        seeds: seeds of each point.
    """

    words: tuple[str, ...]
    over: Mapping[str, Sequence[Value]]
    seeds: tuple[int, ...]

    @property
    def stem(self) -> str:
        """Name of the last configuration file; ``run`` without one."""
        pairs = zip(self.words, self.words[1:], strict=False)
        files = [value for key, value in pairs if key in ("--config", "-c")]
        return Path(files[-1]).stem if files else "run"

    @property
    def points(self) -> list["Point"]:
        """Every combination of values; of a sweep over seeds alone the one that there is."""
        return points(self.over) if self.over else [Point(self.stem, {})]


@dataclass(frozen=True)
class Point:
    """One combination of values.

    Attributes:
        label: what tells it from the others, ``KLCov-lr_0.0001``; begins the names of its runs.
        values: its value of each key, as text.
    """

    label: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class SweepRun(Job):
    """One point with one seed."""

    point: Point
    seed: int
    settings: tuple[str, ...]
    place: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Folder of the run."""
        return f"{self.point.label}-seed{self.seed}"

    @property
    def root(self) -> Path:
        """The folder in which the sweep was started."""
        return Path()


def points(over: Mapping[str, Sequence[Value]]) -> list[Point]:
    """Every combination of values, the last key changing fastest.

    Raises:
        ValueError: a key without a list of values, two keys that are one, or two points that would
            have one label; two of the same words have.
    """
    for key, values in over.items():
        _check_values(key, values)
        if twins := [other for other in over if other != key and _place(other) == _place(key)]:
            raise ValueError(f"over.{key} and over.{twins[0]} are one key: give one of them")
    made = [
        {key: as_word(value, f"over.{key}") for key, value in zip(over, chosen, strict=True)}
        for chosen in product(*over.values())
    ]
    told = [{key: short_name(word) for key, word in values.items()} for values in made]
    found = [Point("-".join(parts(of)), values) for of, values in zip(told, made, strict=True)]
    labels = [point.label for point in found]
    for point in found:
        if labels.count(point.label) > 1:
            same = [dict(other.values) for other in found if other.label == point.label]
            raise ValueError(
                f"over: the points {same[0]} and {same[1]} would both be called {point.label!r}: "
                "leave one out, or give files or classes of other names"
            )
    return found


def check_words(words: Sequence[str], over: Mapping[str, Sequence[Value]]) -> None:
    """Refuse arguments of all runs that the sweep sets itself, run by run, or would overwrite.

    Raises:
        ValueError: names the argument, and the key of the sweep.
    """
    for word, value in pairwise([*words, ""]):
        key = word.removeprefix("--") if word.startswith("--") else ""
        if key in _OWN:
            raise ValueError(f"--{key}: in a sweep {_OWN[key]}")
        if same := [swept for swept in over if key and _place(swept) == _place(key)]:
            raise ValueError(f"--{key} and over.{same[0]}: give one of them")
        if above := [swept for swept in over if key and _is_below(key, swept)]:
            raise ValueError(
                f"--{key} {value}: over.{above[0]} is set after it and would undo it; sweep it "
                f"too, over.{key} with the one value {value}"
            )


def runs(sweep: Sweep, group: str = "") -> list[SweepRun]:
    """The runs of a sweep: first seeds first, so that a first comparison shows early.

    Args:
        sweep: what is trained.
        group: W&B group of the runs, where the words name none.
    """
    grouped = ("--run.group", group[:128]) if group and "--run.group" not in sweep.words else ()
    return [
        SweepRun(
            point,
            seed,
            (*sweep.words, *_flags(point.values), "--seed_everything", str(seed)),
            grouped,
        )
        for seed in sweep.seeds
        for point in sweep.points
    ]


def as_word(value: Value, field: str) -> str:
    """A value of a file as it would be typed.

    Args:
        value: of YAML.
        field: what it is the value of, for the message.

    Raises:
        ValueError: neither number, text, list nor mapping of such; a date of YAML is none.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{field}={value!s:.200}: give numbers, text, lists or mappings; write a date or "
            "time in quotes"
        ) from error


def _flags(values: Mapping[str, str]) -> Iterator[str]:
    """The flags of a point, a key after those that it lies below: a class undoes its arguments."""
    given: list[str] = []
    for key in values:
        above = sorted((other for other in values if _is_below(key, other)), key=_depth)
        given += [each for each in (*above, key) if each not in given]
    for key in given:
        yield from (f"--{key}", values[key])


def _place(key: str) -> tuple[str, ...]:
    """Where a key lies: its words, without those that ``fit`` lets one leave out.

    What is added to a list, ``trainer.callbacks+``, lies below the list.
    """
    words = key.replace("+", ".+").split(".")
    return tuple(word for word in words if word not in ("class_path", "init_args"))


def _is_below(key: str, other: str) -> bool:
    place, above = _place(key), _place(other)
    return len(place) > len(above) and place[: len(above)] == above


def _depth(key: str) -> int:
    return len(_place(key))


def _check_values(key: str, values: object) -> None:
    example = '"[PPOClip, KLCov]"'
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"over.{key}={values}: give a list of values, {example} say")
    if key == "seed_everything":
        raise ValueError("over.seed_everything: the seeds of every point are --seeds")
    if key.startswith("run.") or key in ("config", "ckpt_path"):
        raise ValueError(f"over.{key}: it decides where a run is kept, not what it does")
    words = [as_word(value, f"over.{key}") for value in values]
    meant = [_meant(word) for word in words]
    for number in meant:
        if meant.count(number) > 1:
            said = " and ".join(w for w, other in zip(words, meant, strict=True) if other == number)
            raise ValueError(f"over.{key}: {said} are one value: leave one out")


def _meant(word: str) -> Decimal | str:
    """What a word says however it is spelt: 1e-4 is 0.0001, True is true; 007 is a text."""
    if NUMBER.fullmatch(word):
        return Decimal(word)
    return word.lower() if word.lower() in ("true", "false", "null") else word
