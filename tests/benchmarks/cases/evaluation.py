"""Held-out problems a second: greedy responses, and greedy beside eight samples."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.records import Outcome, Series, Size
from benchmarks.rounds import alternate, rated

from lit_entropy.evaluation import Evaluation
from lit_entropy.evaluation.decode import Responder
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.step.sampler import Sampler
from lit_entropy.tasks import ChainArithmetic, StrategyDiscovery
from lit_entropy.tasks.base import Task


@dataclass(frozen=True)
class Sizes:
    """How much is evaluated.

    Attributes:
        problems: held-out problems.
        limit: most tokens of a response.
        samples: responses beside the greedy one.
        batch: problems evaluated at once, as ``data.validation_batch``.
    """

    problems: int
    limit: int
    samples: int
    batch: int = 256


SIZES: dict[Size, Sizes] = {"smoke": Sizes(10, 4, 4), "full": Sizes(1000, 80, 8)}


def measure(size: Size, rounds: int) -> Outcome:
    """Problems a second of each task."""
    sizes = SIZES[size]
    found: list[Series] = []
    for model, task in tasks_of(size).items():
        responder = _responder(model, task, sizes.limit)
        contenders = {
            f"{model}: {name}": rated(lambda r=responder, s=samples: evaluated(r, sizes, s))
            for name, samples in (
                ("greedy", False),
                (f"greedy and {sizes.samples} samples", True),
            )
        }
        found += alternate(contenders, rounds, "problems/s").values()
    return Outcome(tuple(found))


def tasks_of(size: Size) -> dict[str, Task]:
    """The tasks by the base that answers them."""
    problems = SIZES[size].problems
    # few held-out chains of one and two operations exist
    tasks: dict[str, Task] = {"chain-s": ChainArithmetic(min_length=3, validation_size=problems)}
    if size == "full":
        tasks["discovery-s"] = StrategyDiscovery(validation_size=problems)
    return tasks


def evaluated(responder: Responder, sizes: Sizes, sampling: bool) -> int:
    """Problems that were answered, batch by batch as in a validation."""
    evaluation = Evaluation(samples=sizes.samples, pass_k=(2,))
    problems = responder.task.validation_problems()
    records = [
        record
        for start in range(0, len(problems), sizes.batch)
        for record in evaluation.run(responder, problems[start : start + sizes.batch], sampling)
    ]
    evaluation.summarise(records)
    return len(records)


def _responder(model: str, task: Task, limit: int) -> Responder:
    policy = Policy(model).eval()
    sampler = Sampler(policy, LocalEngine(), max_new_tokens=limit)
    return Responder(
        sampler, task, lambda problems: [task.encode(each, policy.tokenizer) for each in problems]
    )
