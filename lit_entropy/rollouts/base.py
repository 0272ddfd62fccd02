"""The contract of a rollout engine."""

from abc import ABC, abstractmethod

from torch import Tensor

from lit_entropy.policy.policy import Policy
from lit_entropy.types import Completions


class RolloutEngine(ABC):
    """Samples responses from the current policy.

    Sampling is from the full softmax at ``temperature`` (no top-k, no top-p, no penalties), or
    greedy at temperature 0. A sequence depends on (seed, purpose, step, prompt id, sample id) only.
    """

    #: True when the engine runs the policy module itself, so that its log-probs are the policy's
    #: up to rounding; otherwise every rollout is scored again by the policy.
    runs_policy: bool = False
    #: Largest accepted ``policy/sampler_gap`` of an engine that runs the policy, in nats per token.
    #: None for 1e-3 where its log-probs stand for the training path's, and 0.1 in low precision.
    gap_tolerance: float | None = None

    def setup(self, policy: Policy) -> None:
        """Check before the run what needs no response: packages, connections, sizes.

        Args:
            policy: the policy, not yet on its device and without the weights of a checkpoint.

        Raises:
            ValueError: names what is missing and the remedy.
        """
        return None

    def prepare(self, policy: Policy) -> None:
        """Take the policy's weights before a validation; every rank comes here.

        The batches of a validation differ in number by rank, so that :meth:`generate` must not
        wait for other ranks there; only for a sharded policy that the engine does not run do all
        ranks make the same calls.

        Args:
            policy: the policy with the current weights.
        """
        return None

    def close(self) -> None:
        """Free what the engine holds; the next :meth:`generate` builds it again."""
        return None

    @abstractmethod
    def generate(
        self,
        policy: Policy,
        prompts: list[list[int]],
        prompt_ids_B: Tensor,
        sample_ids_B: Tensor,
        *,
        max_new_tokens: int,
        temperature: float,
        keys: tuple[int | str, ...],
    ) -> Completions:
        """Sample one response for each row.

        Args:
            policy: the :class:`lit_entropy.policy.Policy` with the current weights.
            prompts: token ids of each row's prompt (B lists, unpadded; rows may repeat a prompt).
            prompt_ids_B: int64 ``Problem.id`` of each row.
            sample_ids_B: int64 sample index of each row within its prompt.
            max_new_tokens: limit of the response, end-of-sequence token included.
            temperature: sampling temperature; 0 decodes greedily.
            keys: (seed, purpose, step), the prefix of the counter that keys every draw.

        Returns:
            Completions on the policy's device, in the order of the rows. An engine that does not
            know whole distributions leaves ``entropies_BT`` None: the policy is asked for them. One
            that lets an environment answer marks its tokens in ``environment_BT``.
        """
