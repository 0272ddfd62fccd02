"""Fixtures shared by every test: one thread, a fixed seed, and small ragged experiences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from experiences import whole_experience
from hypothesis import settings

from lit_entropy.types import Experience, LossBatch, PolicyOutput

if TYPE_CHECKING:
    from shared_launch import Launched

# a busy machine is no failure
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    """One torch thread, float32 and seed 0 in every test; the default dtype is put back."""
    dtype = torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(dtype)


@pytest.fixture(scope="session")
def on_two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """The default tests' runs on two ranks: one launch for the whole suite, a start takes long."""
    from shared_launch import launched

    return launched(tmp_path_factory)


@pytest.fixture
def make_experience() -> Callable[..., Experience]:
    """Factory of experiences with ragged masks, ids and GRPO-like advantages.

    ``make_experience(P, G, T, seed=0, prompt_tokens=5, vocabulary=16, filter_groups=False)``:
    responses have 1..T tokens (the first one T, so that no column is padding alone), rewards are
    binary with at least one right and one wrong response a prompt, and with ``filter_groups`` the
    last prompt is all right, so that its tokens are not scored (``mask_BT`` False).
    """

    def build(
        P: int = 4,
        G: int = 4,
        T: int = 12,
        *,
        seed: int = 0,
        prompt_tokens: int = 5,
        vocabulary: int = 16,
        filter_groups: bool = False,
    ) -> Experience:
        generator = torch.Generator().manual_seed(seed)
        B = P * G
        lengths_B = torch.randint(1, T + 1, (B,), generator=generator)
        lengths_B[0] = T
        response_mask_BT = torch.arange(T) < lengths_B[:, None]
        prompt_lengths_B = torch.randint(1, prompt_tokens + 1, (P,), generator=generator)
        prompt_mask_BS = (
            torch.arange(prompt_tokens).flip(0) < prompt_lengths_B[:, None]
        ).repeat_interleave(G, 0)
        rewards_PG = torch.randint(0, 2, (P, G), generator=generator).float()
        if G > 1:
            rewards_PG[:, 0], rewards_PG[:, 1] = 1.0, 0.0
        mask_BT = response_mask_BT.clone()
        if filter_groups:
            rewards_PG[-1] = 1.0
            mask_BT[-G:] = False
        centred_PG = rewards_PG - rewards_PG.mean(1, keepdim=True)
        scale_P1 = rewards_PG.std(1, keepdim=True) + 1e-6 if G > 1 else torch.ones(P, 1)
        advantages_B1 = (centred_PG / scale_P1).reshape(B, 1)
        old_BT = -torch.empty(B, T).exponential_(0.8, generator=generator)
        entropies_BT = 2.0 * torch.rand(B, T, generator=generator)
        tokens_BT = torch.randint(1, vocabulary, (B, T), generator=generator)
        prompts_PS = torch.randint(1, vocabulary, (P, prompt_tokens), generator=generator)
        zero = torch.zeros(())
        return whole_experience(
            mask_BT,
            old_logprobs_BT=torch.where(response_mask_BT, old_BT, zero),
            advantages_BT=torch.where(response_mask_BT, advantages_B1.expand(B, T), zero),
            response_mask_BT=response_mask_BT,
            tokens_BT=torch.where(response_mask_BT, tokens_BT, 0),
            prompt_tokens_BS=prompts_PS.repeat_interleave(G, 0) * prompt_mask_BS,
            prompt_mask_BS=prompt_mask_BS,
            entropies_BT=torch.where(response_mask_BT, entropies_BT, zero),
            sampler_logprobs_BT=torch.where(response_mask_BT, old_BT, zero),
            reference_logprobs_BT=torch.where(
                response_mask_BT, old_BT + 0.2 * torch.randn(B, T, generator=generator), zero
            ),
            rewards_B=rewards_PG.reshape(B),
            correct_B=rewards_PG.reshape(B) > 0.5,
            truncated_B=lengths_B == T,
            prompt_ids_B=torch.arange(100, 100 + P).repeat_interleave(G),
            sample_ids_B=torch.arange(G).repeat(P),
            difficulty_B=torch.ones(B, dtype=torch.int64),
        )

    return build


@pytest.fixture
def make_batch(make_experience: Callable[..., Experience]) -> Callable[..., LossBatch]:
    """Factory of what a loss reads of ``make_experience(...)``, as a whole minibatch."""

    def build(*sizes: int, **options: int) -> LossBatch:
        batch = make_experience(*sizes, **options).loss_batch
        return replace(batch, minibatch_tokens=int(batch.mask_BT.sum()))

    return build


@pytest.fixture
def make_policy() -> Callable[..., PolicyOutput]:
    """Factory ``make_policy(experience, drift=0.3, seed=1)`` of leaf log-probs near the old ones.

    ``drift`` is the standard deviation of the log-ratio; 0 gives the on-policy case exactly.
    """

    def build(
        experience: Experience | LossBatch, drift: float = 0.3, *, seed: int = 1
    ) -> PolicyOutput:
        generator = torch.Generator().manual_seed(seed)
        old_BT = experience.old_logprobs_BT
        noise_BT = torch.randn(old_BT.shape, generator=generator)
        entropy_BT = 2.0 * torch.rand(old_BT.shape, generator=generator)
        return PolicyOutput(
            logprobs_BT=(old_BT + drift * noise_BT).requires_grad_(),
            entropy_BT=entropy_BT.requires_grad_(),
        )

    return build
