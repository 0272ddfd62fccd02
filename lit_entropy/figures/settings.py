"""Whether runs of one label were trained alike: the settings in which they differ."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_entropy.figures.runs import Run

#: Settings that say nothing of what is trained: the seed, a run's name and place, what is kept.
BESIDE = ("seed_everything", "run", "checkpoint", "ckpt_path", "weights_only", "trainer.logger",
          "trainer.default_root_dir")  # fmt: skip
#: Settings named in a remark; more are counted.
MOST_NAMED = 4


def settings_of(config: Mapping[str, Any]) -> dict[str, object]:
    """A configuration by dotted keys, without what differs between seeds of one setting.

    ``init_args`` is left out of the keys, and a component of a list goes by its class.
    """
    return {
        key: value
        for key, value in _flat("", config)
        if not any(key == own or key.startswith(f"{own}.") for own in BESIDE)
    }


def differences(runs: Sequence[Run]) -> list[str]:
    """A line for each curve, or point of it, whose runs differ in more than the seed.

    Runs without a configuration, exports say, are left out of the comparison.
    """
    curves: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        if run.settings:
            key = (run.label, run.x, run.facts.get("model"), run.facts.get("task"))
            curves.setdefault(key, []).append(run)
    return [
        f"{label!r} has runs of other settings, averaged as one: {found}; if they are not one, "
        "give each its label, --labels"
        for (label, *_), group in curves.items()
        if (found := _in_words(group))
    ]


def _in_words(group: Sequence[Run]) -> str:
    """The keys whose values are not the same in all runs, with the values."""
    found = {}
    for key in sorted({key for run in group for key in run.settings}):
        values = dict.fromkeys(str(run.settings.get(key, "not given")) for run in group)
        if len(values) > 1:
            found[key] = values
    named = [f"{key} ({', '.join(values)})" for key, values in list(found.items())[:MOST_NAMED]]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _flat(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Every leaf below ``value`` by its dotted key; a component of a list has its class in it."""
    if isinstance(value, Mapping):
        parts = {str(name): part for name, part in value.items()}
        if isinstance(arguments := parts.pop("init_args", None), Mapping):
            parts |= {str(name): part for name, part in arguments.items()}
    elif isinstance(value, list) and value and all(_is_component(item) for item in value):
        seen = Counter[str]()
        parts = {}
        for item in value:
            name = item["class_path"].rpartition(".")[2]
            seen[name] += 1
            parts[name if seen[name] == 1 else f"{name}-{seen[name]}"] = item
    else:
        yield key, value
        return
    for name, part in parts.items():
        yield from _flat(f"{key}.{name}" if key else name, part)


def _is_component(item: object) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("class_path"), str)
