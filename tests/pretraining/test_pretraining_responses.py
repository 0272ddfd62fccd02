"""The styles of response, by hand and in shares."""

from __future__ import annotations

import math

import pytest
import torch

from lit_entropy.pretraining.responses import (
    Mixture,
    careful_response,
    pretraining_texts,
    render_response,
)
from lit_entropy.tasks.chain_prompts import is_held_out

MIXTURE = Mixture(
    careful_short=0.4,
    careful_long=0.1,
    short_length=2,
    guess=0.2,
    skip_short=0.3,
    skip_long=0.6,
    error=0.05,
)
KEEP = [0.99, 0.99, 0.0]  # no skip, no fault


def test_styles_by_hand() -> None:
    prompt = "7+5*3-2 "  # length 3: careful from 0.2 to 0.3, then sloppy with skip 0.6
    assert render_response(prompt, MIXTURE, [0.19] + KEEP * 3) == "#4"
    careful = "7+5=2;2*3=6;6-2=4;#4"
    assert render_response(prompt, MIXTURE, [0.29] + [0.0, 0.99, 0.0] * 3) == careful
    assert careful_response(prompt) == careful
    skip_first = [0.31, 0.59, 0.99, 0.0] + KEEP * 2
    assert render_response(prompt, MIXTURE, skip_first) == "7+5*3=6;6-2=4;#4"
    # The last result is never skipped.
    assert render_response(prompt, MIXTURE, [0.31] + [0.0, 0.99, 0.0] * 3) == "7+5*3-2=4;#4"
    # On 2 operations the careful share is 0.4 and the skip 0.3.
    assert render_response("7+5*3 ", MIXTURE, [0.61, 0.29, 0.99, 0.0, *KEEP]) == "7+5*3=6;#6"
    assert render_response("7+5*3 ", MIXTURE, [0.59, 0.29, 0.99, 0.0, *KEEP]) == "7+5=2;2*3=6;#6"


def test_a_fault_is_a_wrong_digit_that_later_steps_build_on() -> None:
    # 7+5=2; the fault adds 1 + int(0.5 * 9) = 5: 7; then 7*3 = 21 -> 1.
    draws = [0.59, 0.99, 0.049, 0.5, *KEEP]
    assert render_response("7+5*3 ", MIXTURE, draws) == "7+5=7;7*3=1;#1"


def test_shares_of_the_drawn_texts() -> None:
    size = 4000
    texts = pretraining_texts(torch.arange(size), 4, MIXTURE, seed=3)
    guesses = sum(response[0] == "#" for _, response in texts)
    # Binomial(4000, 0.2): mean 800, sd 25.3; four sd.
    assert abs(guesses - 800) < 4 * math.sqrt(size * 0.16)
    assert not any(is_held_out(prompt) for prompt, _ in texts)
    # One by one gives the same texts as all at once.
    assert texts[17:18] == pretraining_texts(torch.tensor([17]), 4, MIXTURE, seed=3)


@pytest.mark.parametrize("name", ["careful_short", "guess", "skip_long", "error"])
def test_shares_must_be_fractions(name: str) -> None:
    values = {**MIXTURE.__dict__, name: -0.1}
    with pytest.raises(ValueError, match=rf"{name} is -0\.1"):
        Mixture(**values)
