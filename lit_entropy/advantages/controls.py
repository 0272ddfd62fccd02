"""Controls: advantages without information, against which every other finding is held.

Both wrap another estimator. The logged rewards and accuracies stay the true ones.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.contracts import checked_advantages
from lit_entropy.functional.checks import require_fraction
from lit_entropy.functional.rng import permutation, uniforms
from lit_entropy.types import State


class _Control(AdvantageEstimator):
    """A wrapper whose draws are a pure function of (seed, RL step, call, place)."""

    def __init__(self, inner: AdvantageEstimator) -> None:
        if type(inner).token_advantages is not AdvantageEstimator.token_advantages:
            raise ValueError(
                f"inner is {type(inner).__name__}: it gives an advantage per token from the true "
                "rewards, which a control must not see; choose one that gives an advantage a "
                "response, GRPO say"
            )
        self.inner = inner
        self.min_group_size, self.needs_reference = inner.min_group_size, inner.needs_reference
        self._keys: tuple[int, int] | None = None
        self._calls = 0

    def on_rollout(self, seed: int, rl_step: int) -> None:
        """Key the draws of this RL step; see :class:`AdvantageEstimator`."""
        self._keys, self._calls = (seed, rl_step), 0
        self.inner.on_rollout(seed, rl_step)

    def attach(self, policy: nn.Module) -> None:
        """Passed on to the inner estimator, as are its metrics and its state."""
        self.inner.attach(policy)

    def metrics(self) -> Mapping[str, float]:
        """The inner estimator's."""
        return self.inner.metrics()

    def state_dict(self) -> State:
        """The inner estimator's; the draws need none."""
        return self.inner.state_dict()

    def load_state_dict(self, state: State) -> None:
        """The inner estimator's."""
        self.inner.load_state_dict(state)

    def _next_keys(self) -> tuple[int, int, int]:
        """Keys of this call: the groups that are scored and those that are not are two calls."""
        if self._keys is None:
            raise RuntimeError(
                f"{type(self).__name__} has no key for its draws: call on_rollout(seed, rl_step) "
                "before the advantages of every RL step"
            )
        self._calls += 1
        return (*self._keys, self._calls)


class RandomRewards(_Control):
    """Bernoulli draws instead of rewards: entropy that moves here does not move by learning.

    Clipping alone moves the entropy under random rewards (2512.16912, 2509.26114). Use it with
    ``group_filter: none``; a filter would choose groups by their true rewards.
    """

    def __init__(self, inner: AdvantageEstimator, probability: float = 0.5) -> None:
        """Wrap an estimator.

        Args:
            inner: estimator that is given the drawn rewards.
            probability: probability of a reward of 1, in [0, 1].

        Raises:
            ValueError: ``probability`` is no fraction, or ``inner`` gives token advantages.
        """
        super().__init__(inner)
        self.probability = require_fraction("probability", probability)

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """The inner advantages of drawn rewards; see :class:`AdvantageEstimator`."""
        seed, rl_step, call = self._next_keys()
        places_PG = _places(rewards_PG)
        draws_PG = uniforms(seed, "random-rewards", rl_step, call, places_PG)
        drawn_PG = (draws_PG < self.probability).to(rewards_PG)
        return checked_advantages(self.inner, self.inner(drawn_PG), drawn_PG)


class ShuffledAdvantages(_Control):
    """The inner advantages in random order over all responses of the RL step.

    Their distribution is kept and their relation to the responses is broken, so the covariance of
    log-prob and advantage (eq. 10) has expectation 0.
    """

    def __init__(self, inner: AdvantageEstimator) -> None:
        """Wrap an estimator.

        Args:
            inner: estimator whose advantages are permuted.

        Raises:
            ValueError: ``inner`` gives token advantages.
        """
        super().__init__(inner)

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """The inner advantages, permuted; see :class:`AdvantageEstimator`."""
        seed, rl_step, call = self._next_keys()
        order = permutation(rewards_PG.numel(), seed, "shuffled-advantages", rl_step, call)
        advantages_PG = checked_advantages(self.inner, self.inner(rewards_PG), rewards_PG)
        return advantages_PG.flatten()[order.to(advantages_PG.device)].view_as(advantages_PG)


def _places(rewards_PG: Tensor) -> Tensor:
    """Row-major numbers 0 to P * G - 1 in the shape of the rewards."""
    count = torch.arange(rewards_PG.numel(), device=rewards_PG.device)
    return count.view(rewards_PG.shape)
