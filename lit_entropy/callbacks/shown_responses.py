"""The responses that a token page shows, and the text of their tokens."""

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lit_entropy.figures.token_page import ShownResponse, ShownToken
from lit_entropy.types import Experience

#: Longest prompt on the page, characters; of a longer one the end is shown.
PROMPT_CHARACTERS = 1000


class TokenTexts:
    """Text of single tokens, decoded once each; the end-of-sequence token is ``⟨eos⟩``."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids)
        self._texts: dict[int, str] = {}

    def __call__(self, token: int) -> tuple[str, bool]:
        """The text and whether it is a special token; a token without text shows its id."""
        if token not in self._texts:
            self._texts[token] = self.decode([token]) or f"⟨{token}⟩"
        special = token in self._special
        end = special and token == self._tokenizer.eos_token_id
        return ("⟨eos⟩" if end else self._texts[token]), special

    def decode(self, tokens: list[int]) -> str:
        """The text of a sequence, special tokens included."""
        return str(
            self._tokenizer.decode(
                tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )


def choose_responses(
    correct_B: Tensor, difficulty_B: Tensor, signal_B: Tensor, count: int
) -> list[int]:
    """Rows to show: half of them right and half wrong as far as there are, easy to hard.

    Each half is spread evenly over its rows in the order of difficulty. Rows without signal
    (advantage 0) are taken only where the others do not suffice.

    Args:
        correct_B: bool.
        difficulty_B: int64.
        signal_B: bool, rows with an advantage other than 0.
        count: most rows to choose.

    Returns:
        Distinct rows, by difficulty and then by number.
    """
    order_B = difficulty_B.argsort(stable=True)
    right, wrong = (order_B[correct_B[order_B] == flag] for flag in (True, False))
    half = min(max(count - count // 2, count - len(wrong)), len(right))
    chosen = []
    for rows, wanted in ((right, half), (wrong, min(count - half, len(wrong)))):
        with_signal = rows[signal_B[rows]]
        pool = with_signal if len(with_signal) >= wanted else rows
        if wanted:
            chosen += pool[torch.linspace(0, len(pool) - 1, wanted).round().long()].tolist()
    return sorted(chosen, key=lambda row: (int(difficulty_B[row]), row))


def shown_response(
    experience: Experience, covariance_BT: Tensor, row: int, texts: TokenTexts, max_tokens: int
) -> ShownResponse:
    """Row ``row`` of the rollout with at most its first ``max_tokens`` tokens.

    Raises:
        ValueError: a field of the rollout is missing.
    """
    columns_T = experience.response_mask_BT[row].nonzero().flatten()
    shown = columns_T[:max_tokens]
    numbers = (
        experience.old_logprobs_BT,
        experience.entropies_BT,
        covariance_BT,
        experience.advantages_BT,
    )
    columns = zip(*(values_BT[row, shown].tolist() for values_BT in numbers), strict=True)
    tokens = experience.tokens_BT[row, shown].tolist()
    prompt_S = experience.prompt_tokens_BS[row]
    prompt = texts.decode(prompt_S[experience.prompt_mask_BS[row]].tolist())
    return ShownResponse(
        prompt=prompt[-PROMPT_CHARACTERS:],
        hidden_characters=max(0, len(prompt) - PROMPT_CHARACTERS),
        tokens=[
            ShownToken(*texts(token), *values)
            for token, values in zip(tokens, columns, strict=True)
        ],
        hidden_tokens=len(columns_T) - len(shown),
        reward=float(experience.rewards_B[row]),
        correct=bool(experience.correct_B[row]),
        difficulty=int(experience.difficulty_B[row]),
    )
