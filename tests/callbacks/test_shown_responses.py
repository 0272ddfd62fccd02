"""Which responses are shown, and as what text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.callbacks.shown_responses import TokenTexts, choose_responses, shown_response
from lit_entropy.functional.covariance import token_covariance
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Experience


@pytest.fixture(scope="module")
def texts() -> TokenTexts:
    return TokenTexts(Policy("chain-s").tokenizer)


def choose(correct: list[int], difficulty: list[int], signal: list[int], count: int) -> list[int]:
    columns = torch.tensor(correct).bool(), torch.tensor(difficulty), torch.tensor(signal).bool()
    return choose_responses(*columns, count)


def test_half_right_half_wrong_from_easy_to_hard() -> None:
    correct = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    difficulty = [5, 4, 3, 2, 1, 1, 2, 3, 4, 5]
    every = [1] * 10
    # of five in order of difficulty: both ends, and the middle
    assert choose(correct, difficulty, every, 6) == [4, 5, 2, 7, 0, 9]
    assert choose(correct, difficulty, every, 2) == [4, 5]
    # three of four rows with signal suffice; of the wrong, none has any
    assert choose(correct, difficulty, [1, 0, 1, 1, 0, 0, 0, 0, 0, 0], 6) == [5, 3, 2, 7, 0, 9]
    # too few wrong ones: the right ones fill up, and the other way round
    assert choose([1, 1, 1, 0], [1, 2, 3, 4], [1] * 4, 4) == [0, 1, 2, 3]
    assert choose([0, 0, 0, 0], [1, 2, 3, 4], [1] * 4, 2) == [0, 3]
    assert choose([1], [7], [0], 12) == [0]


@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.booleans()), min_size=1),
    count=st.integers(1, 20),
)
def test_rows_are_distinct_and_as_many_as_asked(
    rows: list[tuple[bool, int, bool]], count: int
) -> None:
    correct, difficulty, signal = (list(column) for column in zip(*rows, strict=True))
    chosen = choose(correct, difficulty, signal, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(rows))
    assert [difficulty[row] for row in chosen] == sorted(difficulty[row] for row in chosen)
    right, available = sum(correct[row] for row in chosen), sum(correct)
    wrong_available = len(rows) - available
    assert right == min(max(count - count // 2, count - wrong_available), available)


def test_single_tokens(texts: TokenTexts) -> None:
    tokenizer = texts._tokenizer
    seven = tokenizer.convert_tokens_to_ids("7")
    assert texts(seven) == ("7", False)
    assert texts(tokenizer.eos_token_id) == ("⟨eos⟩", True)
    assert texts(tokenizer.pad_token_id) == ("<pad>", True)
    assert texts.decode([seven, tokenizer.eos_token_id]) == "7<eos>"
    assert texts(10_000) == ("⟨10000⟩", False)  # a row of the embedding without a text


def test_a_response_is_cut(texts: TokenTexts, make_experience: Callable[..., Experience]) -> None:
    experience = make_experience(P=2, G=2, T=9)
    mask_BT = experience.response_mask_BT
    assert mask_BT is not None and experience.tokens_BT is not None
    assert experience.prompt_tokens_BS is not None and experience.prompt_mask_BS is not None
    covariance_BT = token_covariance(experience.old_logprobs_BT, experience.advantages_BT, mask_BT)
    shown = shown_response(experience, covariance_BT, 0, texts, 4)  # row 0 has all nine tokens
    assert len(shown.tokens) == 4 and shown.hidden_tokens == 5 and shown.hidden_characters == 0
    for position, token in enumerate(shown.tokens):
        assert token.text == texts(int(experience.tokens_BT[0, position]))[0]
        assert token.logprob == float(experience.old_logprobs_BT[0, position])
        assert token.covariance == float(covariance_BT[0, position])
        assert token.advantage == float(experience.advantages_BT[0, position])
    prompt = experience.prompt_tokens_BS[0][experience.prompt_mask_BS[0]].tolist()
    assert shown.prompt == "".join(texts.decode([token]) for token in prompt)
    assert shown.reward == 1.0 and shown.correct and shown.difficulty == 1


def test_of_a_long_prompt_the_end_is_shown(
    texts: TokenTexts, make_experience: Callable[..., Experience]
) -> None:
    experience = make_experience(P=1, G=2)
    digits = [texts._tokenizer.convert_tokens_to_ids(digit) for digit in "0123456789"]
    experience.prompt_tokens_BS = torch.tensor([digits * 101] * 2)
    experience.prompt_mask_BS = torch.ones(2, 1010, dtype=torch.bool)
    shown = shown_response(experience, experience.old_logprobs_BT, 0, texts, 4)
    assert shown.hidden_characters == 10 and shown.prompt == "0123456789" * 100
