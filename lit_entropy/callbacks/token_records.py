"""From a rollout to the records of the token page."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lit_entropy.callbacks.shown_responses import TokenTexts, choose_responses, shown_response
from lit_entropy.figures.position_profile import PositionProfile
from lit_entropy.figures.token_page import PAPER_TABLE1, QuadrantRow, TokenPageRecord, TokenRow
from lit_entropy.functional.attribution import (
    QUADRANTS,
    largest_means,
    position_means,
    quadrant_index,
    quadrant_sums,
    token_totals,
)
from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.masked import masked_mean
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Experience

#: Most points of the position profile.
POSITION_BINS = 100
#: The strongest shade stands for this quantile over the rollout, so that outliers do not hide all.
SHADE_QUANTILE = 0.98


@dataclass(frozen=True)
class PageOptions:
    """What a token page shows; see ``TokenPage``.

    Raises:
        ValueError: a number is below 1, or the probability is not in (0, 1).
    """

    responses: int
    max_tokens: int
    top_tokens: int
    high_probability: float

    def __post_init__(self) -> None:
        for name in ("responses", "max_tokens", "top_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.high_probability < 1:
            raise ValueError(f"high_probability must be in (0, 1), got {self.high_probability}")


def token_page_record(
    rollout: Rollout,
    tokenizer: PreTrainedTokenizerBase,
    run: str,
    options: PageOptions,
) -> TokenPageRecord | None:
    """The numbers and texts of the page of a rollout's groups that were checked whole.

    None without a response token of such groups: the others have no advantages.
    """
    experience = rollout.experience
    checked_B = experience.checked_rows(rollout.group_size)
    experience = experience.rows(checked_B.nonzero().flatten()).to("cpu")
    mask_BT = experience.response_mask_BT
    if not mask_BT.any():
        return None
    entropies_BT = experience.entropies_BT
    covariance_BT = token_covariance(experience.old_logprobs_BT, experience.advantages_BT, mask_BT)
    texts = TokenTexts(tokenizer)
    lowering, raising = _token_rows(experience, covariance_BT, texts, options.top_tokens)
    return TokenPageRecord(
        run=run,
        rl_step=rollout.rl_step,
        responses_total=len(experience),
        tokens_total=int(mask_BT.sum()),
        reward=float(experience.rewards_B.double().mean()),
        entropy=float(masked_mean(entropies_BT, mask_BT, dtype=torch.float64)),
        covariance=float(masked_mean(covariance_BT, mask_BT, dtype=torch.float64)),
        table1=_table1(covariance_BT, mask_BT),
        high_probability=options.high_probability,
        quadrants=_quadrant_rows(experience, covariance_BT, mask_BT, options.high_probability),
        lowering=lowering,
        raising=raising,
        profile=_profile(entropies_BT, covariance_BT, mask_BT),
        responses=[
            shown_response(experience, covariance_BT, row, texts, options.max_tokens)
            for row in _rows(experience, mask_BT, options.responses)
        ],
        covariance_limit=_quantile(covariance_BT[mask_BT].abs()),
        entropy_limit=_quantile(entropies_BT[mask_BT]),
    )


def _rows(experience: Experience, mask_BT: Tensor, count: int) -> list[int]:
    return choose_responses(
        experience.correct_B,
        experience.difficulty_B,
        (experience.advantages_BT.ne(0) & mask_BT).any(1),
        count,
    )


def _table1(covariance_BT: Tensor, mask_BT: Tensor) -> dict[float, float]:
    fractions = list(PAPER_TABLE1)
    means = largest_means(covariance_BT, mask_BT, fractions).tolist()
    return dict(zip(fractions, means, strict=True))


def _quadrant_rows(
    experience: Experience, covariance_BT: Tensor, mask_BT: Tensor, high_probability: float
) -> list[QuadrantRow]:
    index_BT = quadrant_index(
        experience.old_logprobs_BT, experience.advantages_BT, mask_BT, high_probability
    )
    tokens = int(mask_BT.sum())
    sums, counts = (values.tolist() for values in quadrant_sums(covariance_BT, index_BT))
    rows = zip(QUADRANTS, sums, counts, strict=True)
    return [QuadrantRow(name, count / tokens, total / tokens) for name, total, count in rows]


def _token_rows(
    experience: Experience, covariance_BT: Tensor, texts: TokenTexts, top: int
) -> tuple[list[TokenRow], list[TokenRow]]:
    totals = token_totals(
        experience.tokens_BT,
        covariance_BT,
        experience.old_logprobs_BT,
        experience.advantages_BT,
        experience.response_mask_BT,
    )
    columns = zip(*(column.tolist() for column in totals), strict=True)
    rows = [TokenRow(*texts(token), *numbers) for token, *numbers in columns]
    rows.sort(key=lambda row: row.change)
    lowering = [row for row in rows[:top] if row.change < 0]
    raising = [row for row in rows[::-1][:top] if row.change > 0]
    return lowering, raising


def _profile(entropies_BT: Tensor, covariance_BT: Tensor, mask_BT: Tensor) -> PositionProfile:
    starts_X, entropy_X, share_X = position_means(entropies_BT, mask_BT, POSITION_BINS)
    _, covariance_X, _ = position_means(covariance_BT, mask_BT, POSITION_BINS)
    columns = (starts_X, entropy_X, covariance_X, share_X)
    return PositionProfile(*(column.tolist() for column in columns))


def _quantile(values_N: Tensor) -> float:
    # torch.quantile stops at 16 million values
    rank = max(1, round(SHADE_QUANTILE * values_N.numel()))
    return float(values_N.kthvalue(rank).values)
