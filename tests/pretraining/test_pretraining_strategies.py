"""What a base for strategy discovery is trained on, and what the shipped one does."""

from typing import get_type_hints

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_entropy.policy.loading import ASSETS
from lit_entropy.pretraining.strategies import StrategyPrior, strategy_texts
from lit_entropy.pretraining.tokenizer import DISCOVERY_CHARACTERS, character_tokenizer
from lit_entropy.tasks.discovery import StrategyDiscovery, Working, context_of, context_prompt
from lit_entropy.tasks.discovery_world import LETTERS, World


def test_texts_follow_the_prior() -> None:
    """40,000 texts, 1,000 a context: shares of the kinds within four standard errors."""
    texts = strategy_texts(torch.arange(40_000), StrategyPrior(), 0)
    true, decoy = World().assignment()
    contexts = [context_of(prompt) for prompt, _ in texts]
    for chosen, share in ((true, 0.02), (decoy, 0.6)):
        hits = sum(
            response[0] == LETTERS[chosen[context]]
            for context, (_, response) in zip(contexts, texts, strict=True)
        )
        assert hits / 40_000 == pytest.approx(share, abs=4 * (share * (1 - share) / 40_000) ** 0.5)
    assert strategy_texts(torch.tensor([39_999]), StrategyPrior(), 0) == texts[-1:]


@pytest.mark.parametrize("working", ["fixed", "arithmetic"])
def test_every_response_is_well_formed_and_tokenized(working: str) -> None:
    texts = strategy_texts(torch.arange(300), StrategyPrior(working=working), 0)
    task, tokenizer = StrategyDiscovery(working=working), character_tokenizer(DISCOVERY_CHARACTERS)
    for prompt, response in texts:
        assert task.answer_of(response) == response[0]
        assert tokenizer.decode(tokenizer.encode(prompt + response)) == prompt + response
        assert len(tokenizer.encode(prompt + response)) == len(prompt + response)


def test_the_options_are_those_of_the_task() -> None:
    assert get_type_hints(StrategyPrior)["working"] == Working


def test_prior_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"true is 1\.2: give a probability"):
        StrategyPrior(true=1.2, decoy=-0.2)
    with pytest.raises(ValueError, match="strategies is 2: choose 3 to 12"):
        StrategyPrior(strategies=2)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"), [("discovery-s", 0.015, 0.04), ("discovery-easy-s", 0.035, 0.08)]
)
def test_the_shipped_base_has_its_prior(name: str, lowest: float, highest: float) -> None:
    """Probabilities of the first token in all 40 contexts, in bands around the recipe's."""
    folder = ASSETS / name
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = torch.tensor([tokenizer.encode(context_prompt(context)) for context in range(40)])
    with torch.no_grad():
        probabilities_SV = model(prompts).logits[:, -1].double().softmax(-1)
    letters = [tokenizer.encode(letter)[0] for letter in LETTERS]
    letters_SK = probabilities_SV[:, letters]
    true, decoy = (torch.tensor(chosen)[:, None] for chosen in World().assignment())
    assert letters_SK.sum(1).min() > 0.998
    true_S, decoy_S = letters_SK.gather(1, true), letters_SK.gather(1, decoy)
    assert true_S.min() > lowest and true_S.max() < highest
    assert decoy_S.min() > 0.55 and decoy_S.max() < 0.65
