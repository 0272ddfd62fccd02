"""Names that have moved: class paths, modules and configuration keys, old and new."""

import re
from collections.abc import Callable, Iterator, Mapping

#: Old dotted name below ``lit_entropy`` -> new one; the longest that fits counts.
MOVED: dict[str, str] = {
    "architectures": "policy.published",
    "checkpoint": "checkpoints.io",
    "cli.EntropyCLI": "cli.main.EntropyCLI",
    "collection": "step.collect",
    "commands": "cli.commands",
    "distributed_checkpoint": "checkpoints.folders",
    "dry_run": "policy.dry_run",
    "entropies": "step.sampler",
    "evaluated": "evaluation.module",
    "evaluation_decode": "evaluation.decode",
    "evaluation_ranks": "evaluation.ranks",
    "evaluation_records": "evaluation.records",
    "evaluation_sets": "evaluation.sets",
    "evaluation_summary": "evaluation.summary",
    "experiment": "cli.record",
    "export": "checkpoints.export",
    "export.export": "checkpoints.command.export",
    "functional.order": "step.order",
    "history": "figures.history",
    "loader": "step.loader",
    "loggers": "tracking.csv_logger",
    "lora": "policy.lora",
    "lora.LoraOptions": "policy.LoraOptions",
    "metrics": "tracking.means",
    "metrics_file": "tracking.metrics_file",
    "minibatch": "step.minibatch",
    "model_card": "checkpoints.model_card",
    "model_checks": "policy.checks",
    "model_loading": "policy.loading",
    "policy_scoring": "policy.scoring",
    "pretrain": "pretraining.command",
    "prompt_checks": "tasks.prompt_limit",
    "redaction": "tracking.redaction",
    "resume": "checkpoints.resume",
    "reproduce.runner": "jobs.runner",
    "rewards": "tasks.rewards",
    "run_folder": "tracking.run_folder",
    "run_options": "cli.options",
    "sampling_plan": "evaluation.sampling",
    "sampling_plan.SetSampling": "evaluation.SetSampling",
    "scoring": "step.scoring",
    "sharding": "distributed.sharding",
    "statistics": "step.statistics",
    "stopwatch": "tracking.stopwatch",
    "strategy": "distributed.strategy",
    "strategy.FullySharded": "distributed.FullySharded",
    "validation": "evaluation.report",
    "validation.command": "cli.validate",
    "validation.compare": "evaluation.report.compare",
    "validation.compare.compare": "cli.compare.compare",
    "validation.differences": "evaluation.report.differences",
    "validation.files": "evaluation.report.files",
    "validation.report": "evaluation.report.report",
    "validation.table": "evaluation.report.table",
    "wandb_logger": "tracking.wandb_logger",
    "wandb_session": "tracking.wandb_session",
}

#: Old configuration key -> new one. A key that the command line still has is not refused.
RENAMED_KEYS: dict[str, str] = {
    "data.skip_bad_rows": "data.task.skip_bad_rows",
    "model.rollout": "model.engine",
}

#: Names that work beside a shorter one of the same class.
LONG_NAMES: dict[str, str] = {
    **{
        f"lit_entropy.advantages.controls.{name}": f"lit_entropy.advantages.{name}"
        for name in ("RandomRewards", "ShuffledAdvantages")
    },
    "lit_entropy.data.PromptDataModule": "lit_entropy.PromptDataModule",
    "lit_entropy.module.EntropyModule": "lit_entropy.EntropyModule",
    "lit_entropy.policy.Policy": "lit_entropy.Policy",
    "lit_entropy.policy.policy.Policy": "lit_entropy.Policy",
    "lit_entropy.tasks.reasoning_gym.ReasoningGym": "lit_entropy.tasks.ReasoningGym",
}

_NAME = re.compile(r"(?<![\w.])lit_entropy\.([A-Za-z_][\w.]*)")


def current_name(name: str) -> str:
    """A dotted name of this package as it is today; any other text as it is."""
    found = _NAME.fullmatch(name)
    words = found[1].split(".") if found else []
    for count in range(len(words), 0, -1):
        new = MOVED.get(".".join(words[:count]))
        if new is not None:
            return ".".join(("lit_entropy", new, *words[count:]))
    return name


def current_key(key: str, has_key: Callable[[str], bool]) -> str:
    """A dotted configuration key as it is today, the subcommand before it left alone.

    Args:
        key: such as ``model.rollout.init_args.block`` or ``fit.model.rollout``.
        has_key: whether the command line still has an old key.
    """
    for old, new in RENAMED_KEYS.items():
        found = re.fullmatch(rf"((?:\w+\.)?){re.escape(old)}((?:\..*)?)", key)
        if found and not has_key(old):
            return f"{found[1]}{new}{found[2]}"
    return key


def check_names(where: str, text: str) -> None:
    """Refuse a text with a name that has moved.

    Raises:
        ValueError: one line with where it stands, the old name and the new one.
    """
    for found in _NAME.finditer(text):
        old = found[0].rstrip(".")
        if current_name(old) != old:
            raise ValueError(f"{where}: {old} is now {current_name(old)}: write that instead")


def check_key(where: str, key: str, has_key: Callable[[str], bool]) -> None:
    """Refuse a configuration key that was renamed.

    Raises:
        ValueError: one line with where it stands, the old key and the new one.
    """
    new = current_key(key, has_key)
    if new != key:
        raise ValueError(f"{where}: the key {key} is now {new}: write that instead")


def leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Dotted key and value of all that a configuration holds; items of a list have its key."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, key)
    else:
        yield key, value
