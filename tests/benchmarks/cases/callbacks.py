"""What each callback costs, as a share of an RL step: the time within its hooks, in one fit.

The callbacks are those of the quickstart and the others that measure a run of chain arithmetic,
each as often as by default: one that measures every ten RL steps costs a tenth of its measurement.
What is spent once a run (the summary figure, the first validation) is no part of an RL step.
"""

from __future__ import annotations

from benchmarks.fitted import CONFIGS, Clock, fit
from benchmarks.records import SHARE, Outcome, Series, Size

FURTHER = ("TokenPage", "UpdateAnatomy")
#: RL steps that are counted: the full number is a multiple of every callback's ``every``.
STEPS: dict[Size, int] = {"smoke": 1, "full": 50}
SMALL = (
    "--model.policy.model=chain-xs",
    "--model.max_new_tokens=4",
    "--data.prompts_per_step=2",
    "--data.group_size=2",
    "--data.minibatch_size=2",
    "--trainer.callbacks=[lit_entropy.callbacks.EntropyMonitor]",
)


def measure(size: Size, rounds: int) -> Outcome:
    """The share of each callback and of all of them."""
    arguments = ["--config", str(CONFIGS / "quickstart.yaml")]
    if size == "smoke":
        arguments += SMALL
    else:
        arguments += [f"--trainer.callbacks+=lit_entropy.callbacks.{name}" for name in FURTHER]
    clocks = [fit(arguments, STEPS[size]) for _ in range(rounds)]
    names = sorted(set().union(*(clock.spent for clock in clocks)) - {Clock.__name__})
    shares = [
        Series(name, SHARE, tuple(clock.spent[name] / clock.window for clock in clocks))
        for name in names
    ]
    every = [clock.spent.total() / clock.window for clock in clocks]
    step = Series("RL step with all of them", "s", tuple(clock.step_seconds for clock in clocks))
    return Outcome((*shares, Series("all callbacks", SHARE, tuple(every)), step))
