"""A resume continues the same experiment: what may change in its configuration and what may not."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from lit_entropy.moved import LONG_NAMES, current_key, current_name
from lit_entropy.types import Config

#: Dotted patterns of what may change on a resume: length, machine and display, not the numbers.
MAY_CHANGE: tuple[str, ...] = (
    "config",
    "ckpt_path",
    "weights_only",
    "run",
    "checkpoint",
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.max_time",
    "trainer.min_epochs",
    "trainer.min_steps",
    "trainer.logger",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.default_root_dir",
    "trainer.log_every_n_steps",
    "trainer.check_val_every_n_epoch",
    "trainer.limit_val_batches",
    "trainer.profiler",
    "trainer.enable_*",
    "trainer.callbacks.RLProgressBar*",
    "trainer.callbacks.RunSummary*",
    "trainer.callbacks.Samples*",
    "trainer.callbacks.Timer*",
)


def check_same_experiment(
    checkpoint_config: Config,
    current_config: Config,
    may_change: Sequence[str] = MAY_CHANGE,
) -> None:
    """Refuse to resume a run under another configuration.

    Names that merely moved, two names of one class, and keys that were merely renamed are the same;
    a key that is null is the same as none.

    Args:
        checkpoint_config: nested configuration stored in the checkpoint.
        current_config: nested configuration of this call.
        may_change: dotted patterns (``*`` matches anything); a pattern covers what lies below it.
            An entry of a list of ``class_path`` items is addressed by its class name, as in
            ``trainer.callbacks.RLProgressBar.init_args.print_every``.

    Raises:
        ValueError: listing every dotted key that differs, old -> new.
    """
    new = _today(current_config, current_config)
    old = _today(checkpoint_config, current_config)
    absent = "(absent)"
    changes = [
        f"  {key}: {old.get(key, absent)!r} -> {new.get(key, absent)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not _covered(key, may_change)
    ]
    if changes:
        raise ValueError(
            "The checkpoint belongs to another configuration; a resume would mix two experiments:\n"
            + "\n".join(changes)
            + "\nRestore these values, or start a new run without ckpt_path."
        )


def _today(config: Config, current: Config) -> dict[str, object]:
    """Leaves under the names of today; an old key counts where ``current`` still has it."""

    def has_key(key: str) -> bool:
        group, _, name = key.partition(".")
        return name in (current.get(group) or {})

    def name(value: object) -> object:
        if not isinstance(value, str):
            return value
        today = current_name(value)
        return LONG_NAMES.get(today, today)

    return {current_key(key, has_key): name(value) for key, value in _leaves(config)}


def may_differ(key: str) -> bool:
    """Whether a setting may be another one on a resume.

    Args:
        key: dotted; an entry of a list has the list's.
    """
    return _covered(key, MAY_CHANGE) or key.startswith(("trainer.callbacks", "trainer.plugins"))


def _covered(key: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(key, pattern) or fnmatchcase(key, f"{pattern}.*") for pattern in patterns
    )


def _leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted key and value of everything that is not a container; empty containers are leaves."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple) and value:
        names: list[str] = []
        for index, item in enumerate(value):
            name = item.get("class_path") if isinstance(item, Mapping) else None
            label = str(name).rpartition(".")[2] if name else str(index)
            count = names.count(label)
            names.append(label)
            yield from _leaves(
                item, f"{prefix}.{label}#{count + 1}" if count else f"{prefix}.{label}"
            )
    else:
        yield prefix, list(value) if isinstance(value, tuple) else value
