"""Ragged responses as tensors and back, and responses in turns."""

import pytest
import torch

from lit_entropy.rollouts.responses import (
    Response,
    environment_turn,
    to_completions,
    to_responses,
)

CPU = torch.device("cpu")


def test_rows_come_back_as_they_were() -> None:
    given = [Response([4, 5, 2], [-0.5, -0.25, -1.0], False), Response([7], [-2.0], True)]
    completions = to_completions(given, 0, CPU)
    assert completions.environment_BT is None
    assert torch.equal(completions.sampled_BT, completions.mask_BT)
    assert to_responses(completions) == given


def test_turns_follow_each_other_without_padding() -> None:
    first = Response([4, 2], [-0.5, -0.25], False)
    dialogue = first.then(environment_turn([8, 9, 8])).then(Response([5, 2], [-1.0, -2.0], True))
    completions = to_completions([dialogue, Response([6], [-3.0], False, [False])], 0, CPU)
    assert completions.tokens_BT.tolist() == [[4, 2, 8, 9, 8, 5, 2], [6, 0, 0, 0, 0, 0, 0]]
    assert completions.mask_BT.sum(1).tolist() == [7, 1]
    environment_BT = completions.environment_BT
    assert environment_BT is not None
    assert environment_BT[0].tolist() == [False, False, True, True, True, False, False]
    assert not environment_BT[1].any()
    assert completions.sampled_BT.sum(1).tolist() == [4, 1]
    assert completions.logprobs_BT[0].tolist() == [-0.5, -0.25, 0, 0, 0, -1, -2]
    assert completions.truncated_B.tolist() == [True, False]  # the last turn's
    assert to_responses(completions)[0].environment == [False] * 2 + [True] * 3 + [False] * 2
    assert to_responses(completions)[1] == Response([6], [-3.0], False, [False])


def test_nobody_may_have_been_answered() -> None:
    """All rows or none have the mask, whatever was said: ranks and draws are joined."""
    completions = to_completions([Response([6], [-3.0], False, [False])], 0, CPU)
    assert completions.environment_BT is not None and not completions.environment_BT.any()


def test_some_that_know_their_environment_and_some_that_do_not_are_refused() -> None:
    plain, knowing = Response([5], [-1.0], False), Response([5], [-1.0], False, [])
    with pytest.raises(ValueError, match="some responses say which tokens an environment wrote"):
        to_completions([plain, knowing], 0, torch.device("cpu"))
    assert to_completions([knowing, knowing], 0, torch.device("cpu")).environment_BT is not None


@pytest.mark.parametrize("environment", [[True], [True, False], [False] * 4])
def test_an_environment_is_told_of_every_token(environment: list[bool]) -> None:
    """One value would be every token's."""
    other = Response([6], [-3.0], False, [])
    response = Response([1, 2, 3], [-1.0, -1.0, -1.0], False, environment)
    message = rf"gave 3 tokens for row 1, and ``environment`` says of {len(environment)} whether"
    with pytest.raises(ValueError, match=message):
        to_completions([other, response], 0, CPU)
