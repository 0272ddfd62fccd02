"""The styles of countdown responses, by hand and in shares."""

from __future__ import annotations

import math
import re

import pytest
import torch

from lit_entropy.pretraining.attempts import (
    ATTEMPTS,
    AttemptMixture,
    attempt_texts,
    draws_needed,
    render_attempts,
    worked,
)
from lit_entropy.pretraining.tokenizer import CHARACTERS
from lit_entropy.tasks.countdown import Countdown, make_problem
from lit_entropy.tasks.countdown_prompts import (
    apply,
    is_held_out,
    parse_prompt,
    random_expression,
)

MIXTURE = AttemptMixture(direct=0.3, guess=0.4, miss=0.5, give_up=0.2, error=0.1)
PROMPT, SOLUTION = "5;2;3=7 ", "5*2-3"
#: Operators of a random expression: - of (+ - *), and + of (+ - *): 5-2+3 = 6.
OPERATORS = [0.34, 0.0]
CLEAN = [0.9, 0.0, 0.9, 0.0]  # both values written without a fault
MISS, HIT = [0.49, 0.2, *OPERATORS, *CLEAN], [0.5, 0.2, *OPERATORS, *CLEAN]  # neither gives up


def render(style: list[float], *attempts: list[float]) -> str:
    filled = [*attempts, *[HIT] * (ATTEMPTS - len(attempts))]
    return render_attempts(PROMPT, SOLUTION, MIXTURE, style + [d for a in filled for d in a])


def test_styles_by_hand() -> None:
    assert random_expression([5, 2, 3], OPERATORS) == "5-2+3"
    # of 2 and then 9, minus would leave 0 to 30, so that times is the second of two
    assert random_expression([2, 9], [0.5]) == "2*9" and random_expression([9, 2], [0.5]) == "9-2"
    assert render([0.29, 0.4]) == "#5*2-3"
    assert render([0.29, 0.39], MISS) == "#5-2+3"
    assert render([0.3, 0.0], HIT) == "5*2=10-3=7 7;#5*2-3"
    assert render([0.3, 0.0], MISS, HIT) == "5-2=3+3=6 7;5*2=10-3=7 7;#5*2-3"
    gives_up = [0.49, 0.19, *OPERATORS, *CLEAN]
    assert render([0.3, 0.0], gives_up) == "5-2=3+3=6 7;#5-2+3"
    # the last attempt is handed in, right or wrong
    assert render([0.3, 0.0], MISS, MISS, MISS) == "5-2=3+3=6 7;" * 3 + "#5-2+3"


def test_a_fault_is_believed_and_built_on() -> None:
    assert worked("5*2-3", 0.1, [0.09, 0.0, 0.1, 0.0]) == ("5*2=11-3=8", 8)
    # 6 + 1 + int(0 * 9) = 7 looks like the target; 7 + 1 + int(0.5 * 9) does not
    lucky, unlucky = [0.9, 0.0, 0.09, 0.0], [0.9, 0.0, 0.09, 0.5]
    assert render([0.3, 0.0], [0.49, 0.2, *OPERATORS, *lucky]) == "5-2=3+3=7 7;#5-2+3"
    faulty = [0.5, 0.2, *OPERATORS, *unlucky]
    assert render([0.3, 0.0], faulty, HIT) == "5*2=10-3=12 7;5*2=10-3=7 7;#5*2-3"


def test_shares_of_the_drawn_texts() -> None:
    size, task = 4000, Countdown()
    texts = attempt_texts(torch.arange(size), 3, 5, MIXTURE, seed=3)
    direct = [(prompt, response) for prompt, response in texts if response[0] == "#"]
    # Binomial(4000, 0.3): mean 1200, sd 29; four sd
    assert abs(len(direct) - 1200) < 4 * math.sqrt(size * 0.21)
    assert not any(is_held_out(prompt) for prompt, _ in texts)
    for prompt, response in texts:
        assert set(prompt + response) <= set(CHARACTERS) and response.count(";") <= ATTEMPTS
        if len(parse_prompt(prompt)[0]) < 5:
            assert len(response) < 80  # the end of sequence still fits
        assert task.answer_of(response) is not None
        digits = [int(digit) for digit in response.split("#")[1][::2]]
        assert digits == parse_prompt(prompt)[0]  # in the order of the prompt
    right = sum(task.reward(make_problem(0, p), r) for p, r in direct) / len(direct)
    assert 0.6 < right < 0.75  # 0.6 by the solution, and the lucky guesses
    step = re.compile(r"(\d+)([-+*])(\d)=(?=(\d+))")  # a value begins the next step
    steps = [match for _, response in texts for match in step.findall(overlapping(response))]
    wrong = sum(apply(int(a), o, int(b)) != int(value) for a, o, b, value in steps)
    assert abs(wrong - 0.1 * len(steps)) < 4 * math.sqrt(0.09 * len(steps))
    # one by one gives the same texts as all at once
    assert attempt_texts(torch.tensor([17]), 3, 5, MIXTURE, seed=3) == texts[17:18]


def overlapping(response: str) -> str:
    """The steps of a response, each value written twice: as a result and as the next start."""
    return re.sub(r"=(\d+)", r"=\1 \1", response)


def test_draws_of_a_response() -> None:
    # 3 attempts of: miss, give up; 4 of the operators; 2 for each of 4 values
    assert draws_needed(5) == 2 + 3 * (2 + 4 + 8)


@pytest.mark.parametrize("name", ["direct", "guess", "miss", "give_up", "error"])
def test_shares_must_be_fractions(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} is -0\.1"):
        AttemptMixture(**{name: -0.1})
