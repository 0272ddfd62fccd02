"""The keys that validations of a run log, known before the first: a misspelt one is refused."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lit_entropy.closest import closest
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.records import Greedy, Record, Samples
from lit_entropy.functional.majority import Vote
from lit_entropy.types import Problem

#: Attributes of callbacks that name a metric.
_NAMING = ("monitor", "accuracy")
#: Packages whose parts log no key of a validation beside the evaluation's own.
_KNOWN = ("lit_entropy", "lightning", "torch")


def validation_keys(
    evaluation: Evaluation, problems: Sequence[Problem], sampling: bool = True
) -> list[str]:
    """Every key that a validation may log, ``val/accuracy`` first.

    They are those of responses without a fault: a task that names no answers logs fewer.

    Args:
        evaluation: says what is sampled.
        problems: that are held out.
        sampling: whether responses are sampled beside the greedy ones.
    """
    counted: Counter[tuple[str, int]] = Counter()
    records = []
    for problem in problems:
        counted[kind := (problem.source, problem.difficulty)] += 1
        if counted[kind] <= 2:  # from two on there are standard errors
            records.append(_record(problem, evaluation, sampling))
    return [f"val/{key}" for key in evaluation.summarise([*filter(None, records)])]


def _record(problem: Problem, evaluation: Evaluation, sampling: bool) -> Record | None:
    """The record of a problem that was answered as the evaluation asks, if it was answered."""
    own = evaluation.sampling_of(problem.source)
    n = own.samples if sampling else 0
    if not (own.greedy or n):
        return None
    return Record(
        id=problem.id,
        source=problem.source,
        difficulty=problem.difficulty,
        fingerprint="",
        greedy=Greedy(1.0, 1.0, 1, 0.0, 0.0) if own.greedy else None,
        sampled=Samples(n, n, n, 0.0, n, 0, 0, 0.0, [Vote(n, n, n)]) if n else None,
    )


def monitored(
    callbacks: Iterable[object], schedules: Iterable[object]
) -> Iterator[tuple[str, str]]:
    """Setting and key of everything that looks a metric of validations up.

    Args:
        callbacks: of the trainer.
        schedules: of learning rates, as the trainer keeps them.
    """
    for callback in callbacks:
        place = getattr(callback, "config_key", f"trainer.callbacks: {type(callback).__name__}")
        for name in _NAMING:
            key = getattr(callback, name, None)
            if isinstance(key, str) and key.startswith("val/"):
                yield f"{place}.{name}", key
    for schedule in schedules:
        key = getattr(schedule, "monitor", None)
        if isinstance(key, str) and key.startswith("val/"):
            yield "model.lr_scheduler.monitor", key


def may_log_others(parts: Iterable[object]) -> bool:
    """Whether a part of the user's own is there, which may log keys that nobody else knows."""
    return any(type(part).__module__.partition(".")[0] not in _KNOWN for part in parts)


def check_monitored(wanted: Mapping[str, str], keys: Sequence[str]) -> None:
    """Refuse a metric that no validation logs.

    Args:
        wanted: keys by the setting that names them.
        keys: those of the run's validations.

    Raises:
        ValueError: names the setting, the key and those that are near.
    """
    for setting, key in wanted.items():
        if key not in keys:
            short = [known for known in keys if known.count("/") == 1 and not known.endswith("_se")]
            near = closest(key, keys) or short
            raise ValueError(
                f"{setting}={key} is not logged by the validations of this run: name one of "
                f"{', '.join(near)}"
            )


def check_keys(
    evaluation: Evaluation,
    problems: Sequence[Problem],
    parts: Sequence[Any],
    schedules: Iterable[object],
    greedy_ones: bool = False,
) -> None:
    """Refuse, before the first RL step, what looks up a metric that not every validation logs.

    Args:
        evaluation: of the run.
        problems: that are held out.
        parts: the callbacks and the module.
        schedules: of learning rates, as the trainer keeps them.
        greedy_ones: whether some validations do not sample.

    Raises:
        ValueError: names the setting, the key and those that are near, or the sampling.
    """
    if not (wanted := dict(monitored(parts, schedules))):
        return
    keys = validation_keys(evaluation, problems)
    if not may_log_others(parts):
        check_monitored(wanted, keys)
    if greedy_ones:
        rare = set(keys) - set(validation_keys(evaluation, problems, sampling=False))
        for setting, key in wanted.items():
            if key in rare:
                raise ValueError(
                    f"{setting}={key} is looked up after every validation, and "
                    "evaluation.sampling=ends samples for the first and the last one alone: set it "
                    "to always"
                )
