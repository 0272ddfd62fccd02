"""RL steps of TRL's ``GRPOTrainer``, timed from the start of one to the start of the next."""

from __future__ import annotations

import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from benchmarks.fitted import quiet
from benchmarks.setting import Setting, tokenizer_of
from transformers import PreTrainedTokenizerBase, TrainerCallback

from lit_entropy.tasks.base import Task

MISSING = "TRL: not installed; pip install -e '.[bench]'"


def installed() -> bool:
    """Whether TRL can be measured."""
    return find_spec("trl") is not None


def trl_seconds(setting: Setting, folder: str) -> float:
    """Mean seconds of an RL step; the first one and the last one are not counted.

    Args:
        setting: what is trained.
        folder: of the base.
    """
    from trl import GRPOTrainer

    task, tokenizer = setting.make_task(), tokenizer_of(folder)
    problems = setting.problems(task, setting.steps + 2)
    stamps = Stamps(setting.plan.updates_per_step)

    def reward(completions: list[str], number: list[int], **_: Any) -> list[float]:
        pairs = zip(number, completions, strict=True)
        return [float(task.reward(problems[index], text) or 0.0) for index, text in pairs]

    with tempfile.TemporaryDirectory() as output, quiet():
        GRPOTrainer(
            model=folder,
            args=arguments(setting, output),
            reward_funcs=reward,
            train_dataset=dataset(problems, task, tokenizer),
            processing_class=tokenizer,
            callbacks=[stamps],
        ).train()
    seconds = [end - start for start, end in pairwise(stamps.starts)][1:]
    return sum(seconds) / len(seconds)


def arguments(setting: Setting, output: str) -> Any:
    """TRL's configuration of the same RL step, in float32, without reports and checkpoints."""
    from trl import GRPOConfig

    plan = setting.plan
    micro = plan.microbatch_size(1)
    return GRPOConfig(
        output_dir=output,
        max_steps=plan.updates_per_step * (setting.steps + 2),
        per_device_train_batch_size=micro,
        steps_per_generation=plan.sequences // micro,
        gradient_accumulation_steps=plan.microbatches,
        num_generations=plan.group_size,
        max_completion_length=setting.limit,
        learning_rate=setting.rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        beta=0.0,
        epsilon=0.2,
        loss_type="bnpo",  # a mean over tokens, as ours
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        shuffle_dataset=False,
        gradient_checkpointing=False,  # its default would compute every layer twice
        bf16=False,
        model_init_kwargs={"dtype": "float32"},
        use_cpu=True,
        dataloader_pin_memory=False,
        logging_steps=plan.updates_per_step,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def dataset(problems: list[Any], task: Task, tokenizer: PreTrainedTokenizerBase) -> Any:
    """The problems' prompts as text, which TRL encodes itself.

    Raises:
        ValueError: it would encode another prompt than the task does.
    """
    from datasets import Dataset

    encoded = [task.encode(problem, tokenizer) for problem in problems]
    texts = [str(tokenizer.decode(tokens)) for tokens in encoded]
    again = tokenizer(text=texts)["input_ids"]
    for tokens, other in zip(encoded, again, strict=True):
        if tokens != other:
            raise ValueError(f"prompt {tokens} is {other} to TRL: the two would not be compared")
    return Dataset.from_list([{"prompt": text, "number": n} for n, text in enumerate(texts)])


class Stamps(TrainerCallback):
    """When each RL step starts: its first update comes after sampling, the stamp before."""

    def __init__(self, updates: int) -> None:
        self.updates = updates
        self.starts: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Before an update, and before the sampling that the first one of an RL step waits for."""
        if state.global_step % self.updates == 0:
            self.starts.append(time.perf_counter())
