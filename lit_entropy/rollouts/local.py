"""Rollouts from the policy's own forward pass: batched, with a KV cache, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.functional.rng import uniforms
from lit_entropy.policy.casts import shared_casts
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.cached import check_cache
from lit_entropy.rollouts.cuda_graphs import CudaGraphs
from lit_entropy.rollouts.decoding import decode
from lit_entropy.rollouts.llama import cache_bytes, is_plain_llama
from lit_entropy.rollouts.recorded import Record, can_be_recorded
from lit_entropy.rollouts.turns import in_turns, whole
from lit_entropy.types import Completions

#: Most sequences decoded at once by default, and on a CPU.
ROWS, ROWS_CPU = 1024, 256
#: Bytes of keys and values up to which a small model decodes as many on a CPU as elsewhere.
SMALL_CACHE = 1 << 30


class LocalEngine(RolloutEngine):
    """Samples with the training weights themselves, so no weight synchronisation is needed.

    Rows that share a prompt share its prefill. Finished rows are dropped from the cache, so ragged
    lengths do not pay for the longest response.
    """

    runs_policy = True

    def __init__(
        self,
        max_rows: int | None = None,
        compact_below: float = 0.8,
        gap_tolerance: float | None = None,
        check_every: int | None = None,
        graphs: bool = True,
    ) -> None:
        """Set the batching of the sampler; no argument changes what is sampled.

        Args:
            max_rows: most sequences decoded at once; more are decoded in turns, those of short
                prompts first. None for 1024, and on a CPU for 256, where larger batches are
                slower, or for as many up to 1024 as a small Llama or Qwen2 holds keys and values
                of in 1 GiB.
            compact_below: drop finished rows once this share of the batch or less is unfinished.
            gap_tolerance: largest mean difference, in nats per token, of its log-probs and those of
                the updates' forward pass; a larger one at any RL step stops the run. None for
                1e-3, and 0.1 where weights or passes are in less than float32.
            check_every: tokens between two looks at which rows have ended, the only time that the
                engine itself waits for a GPU as it decodes; up to one less are decoded in vain at
                the end. None for 1 on a CPU, which has nothing to wait for, and 8 elsewhere.
            graphs: with a policy that is compiled (``model.policy.compile``), on a GPU, record the
                decoding step of models with ``sdpa`` as a CUDA graph and launch that for each
                token; false takes each step as it comes.

        Raises:
            ValueError: a number is out of range.
        """
        if max_rows is not None and max_rows < 1:
            raise ValueError(f"max_rows={max_rows} must be at least 1, or null")
        if not 0 <= compact_below <= 1:
            raise ValueError(f"compact_below={compact_below} must lie in [0, 1]")
        if gap_tolerance is not None and not gap_tolerance > 0:
            raise ValueError(f"gap_tolerance={gap_tolerance} must be positive, or null")
        if check_every is not None and check_every < 1:
            raise ValueError(f"check_every={check_every} must be at least 1, or null")
        self.max_rows = max_rows
        self.check_every = check_every
        self.graphs = graphs
        self._recorder: Record | None = None  # made when it is first needed
        self.gap_tolerance = gap_tolerance
        self.compact_below = compact_below

    def setup(self, policy: Policy) -> None:
        """Check that the model's cached decoding is its forward pass; see :func:`check_cache`.

        The first rollout on a GPU checks recorded steps in the same way.
        """
        with evaluation_mode(policy), whole_parameters(policy):
            check_cache(policy)

    @torch.no_grad()
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
        """Sample one response for each row; see :class:`RolloutEngine`."""
        device = next(policy.parameters()).device
        positions_T = torch.arange(max_new_tokens)
        uniforms_BT = uniforms(*keys, prompt_ids_B[:, None], sample_ids_B[:, None], positions_T)
        on_cpu = device.type == "cpu"
        check_every = self.check_every or (1 if on_cpu else 8)
        longest = max(map(len, prompts), default=0) + max_new_tokens
        rows_at_once = self.max_rows or default_rows(policy.model, longest, on_cpu)
        turns = in_turns(prompts, rows_at_once)
        parts = []
        with evaluation_mode(policy), whole_parameters(policy), shared_casts(policy.model):
            record = self._record(policy)
            for rows in turns:
                part = decode(
                    policy, [prompts[row] for row in rows], uniforms_BT[rows].to(device),
                    temperature, self.compact_below, check_every, record,
                )  # fmt: skip
                parts.append(part)
        return whole(parts, turns, policy.pad_token_id)

    def _record(self, policy: Policy) -> Record | None:
        """What records decoding steps of this policy, once it was seen to do so rightly."""
        on_gpu = policy.model.device.type == "cuda"
        if not (self.graphs and policy.compiled and on_gpu and can_be_recorded(policy)):
            return None
        if self._recorder is None:
            recorder = CudaGraphs()
            check_cache(policy, recorder)
            self._recorder = recorder
        return self._recorder


def default_rows(model: nn.Module, longest: int, on_cpu: bool) -> int:
    """Sequences of at most ``longest`` tokens that are decoded at once without ``max_rows``."""
    if not on_cpu:
        return ROWS
    if not is_plain_llama(model):
        return ROWS_CPU
    return min(max(SMALL_CACHE // (longest * cache_bytes(model)), ROWS_CPU), ROWS)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode within the block: gradient checkpointing would switch the KV cache off."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
