"""The contract of what makes an RL step's rollout."""

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.contracts import named_numbers, refuse, require_tensor
from lit_entropy.policy import Policy
from lit_entropy.step.collect import collect
from lit_entropy.step.context import StepContext
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.rollout import Rollout
from lit_entropy.tasks.prompt_source import PromptSource


class Collector:
    """Makes each RL step's rollout. Subclass it in any file and name it by ``model.collector``.

    Most subclasses change the record that ``super().collect(...)`` returns: take tokens out of
    ``experience.mask_BT``, add to ``metrics``. One that samples in another way is put together from
    the functions of :mod:`lit_entropy.step.collect`.
    """

    def collect(
        self,
        context: StepContext,
        source: PromptSource,
        advantage: AdvantageEstimator,
        reference: Policy | None,
        rl_step: int,
    ) -> Rollout:
        """Sample, reward and prepare; every rank calls it and returns the same.

        Args:
            context: sizes, sampler and ranks.
            source: the task's problems.
            advantage: the advantage estimator.
            reference: the frozen base policy, where something is compared to it.
            rl_step: number of the RL step, from 1.

        Returns:
            The rollout; ``train_rows`` names as many rows as the plan has sequences.
        """
        return collect(context, source, advantage, reference, rl_step)


def checked_rollout(collector: Collector, given: object, plan: StepPlan) -> Rollout:
    """What a collector returned, if minibatches can be made of it.

    Raises:
        ContractError: it is no ``Rollout``, or ``train_rows`` or ``metrics`` are something else
            than they must be.
    """
    if not isinstance(given, Rollout):
        refuse(collector, "collect", "a Rollout", given, "return what super().collect(...) returns")
    place = "collect, train_rows"
    require_tensor(collector, place, given.train_rows, (plan.sequences,), "B", "int")
    named_numbers(collector, "collect, metrics", given.metrics)
    return given
