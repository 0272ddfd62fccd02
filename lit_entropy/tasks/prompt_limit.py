"""Prompts checked with the policy's tokenizer before a run starts."""

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Literal, NamedTuple

from transformers import PreTrainedTokenizerBase

from lit_entropy.tasks.base import Task
from lit_entropy.tasks.prompts import check_chat, check_date
from lit_entropy.types import Problem

Overlong = Literal["refuse", "drop"]
#: Problems of a lazy sequence that are checked.
SAMPLE = 256


class PromptLimit(NamedTuple):
    """The longest prompt, in tokens, and what sets it."""

    tokens: int
    reason: str


def setting(max_prompt_tokens: int) -> PromptLimit:
    """The limit that ``data.max_prompt_tokens`` sets."""
    return PromptLimit(max_prompt_tokens, f"data.max_prompt_tokens={max_prompt_tokens}")


def prompt_limit(
    response_limits: Mapping[str, int], context: int | None, max_prompt_tokens: int
) -> PromptLimit:
    """The setting, or less where the longest response leaves less of the model's context.

    Args:
        response_limits: longest responses in tokens, by the name of the setting.
        context: tokens that the policy's model can hold; None where it has no limit.
        max_prompt_tokens: the setting.

    Raises:
        ValueError: a response may fill the context of the policy's model.
    """
    name, longest = max(response_limits.items(), key=itemgetter(1))
    if context is None or context - longest >= max_prompt_tokens:
        return setting(max_prompt_tokens)
    if longest >= context:
        raise ValueError(
            f"{name}={longest} leaves no room for a prompt in model.policy's context of {context} "
            "tokens: lower it"
        )
    reason = f"{context - longest}, what {name}={longest} leaves of the model's {context} tokens"
    return PromptLimit(context - longest, reason)


def usable_problems(
    task: Task,
    problems: Sequence[Problem],
    split: str,
    tokenizer: PreTrainedTokenizerBase,
    limit: PromptLimit,
    overlong: Overlong,
) -> tuple[Sequence[Problem], int]:
    """The problems whose prompts the policy can be given, and how many were too long.

    A list is checked whole. A procedural, lazy sequence is kept as it is: a sample of it must do,
    and none of its problems can be dropped.

    Args:
        task: encodes the prompts.
        problems: training or validation problems.
        split: ``training`` or ``validation``, for errors.
        tokenizer: the policy's.
        limit: longest prompt accepted.
        overlong: whether longer prompts are refused or dropped.

    Raises:
        ValueError: there are no problems, none is left, a prompt is too long (refused) or has no
            token or characters that the tokenizer has no token for, or the tokenizer has no fitting
            chat template.
    """
    if len(problems) == 0:
        raise ValueError(f"data.task has no {split} problems: check its files and limits")
    whole = isinstance(problems, list)
    checked = problems if whole else list(islice(problems, SAMPLE))
    _check_chats(checked, tokenizer)
    ids = [task.encode(problem, tokenizer) for problem in checked]
    _check_characters(checked[:SAMPLE], ids, tokenizer)
    sizes = [len(each) for each in ids]
    for problem, size in zip(checked, sizes, strict=True):
        if size == 0 or (size > limit.tokens and not (whole and overlong == "drop")):
            raise too_long(problem, size, limit, sizes)
    kept = [p for p, size in zip(checked, sizes, strict=True) if size <= limit.tokens]
    if not kept:
        raise ValueError(
            f"all {len(problems)} {split} prompts are longer than {limit.reason} (the shortest has "
            f"{min(sizes)}): raise the limit"
        )
    return (kept, len(problems) - len(kept)) if len(kept) < len(checked) else (problems, 0)


def too_long(
    problem: Problem, size: int, limit: PromptLimit, sizes: Sequence[int] = ()
) -> ValueError:
    """The error for a prompt of an inadmissible number of tokens."""
    count = sum(size > limit.tokens for size in sizes)
    others = f" ({count} of {len(sizes)} prompts are longer, up to {max(sizes)})" if count else ""
    return ValueError(
        f"problem {problem.id} has a prompt of {size} tokens, allowed are 1 to "
        f"{limit.reason}{others}: raise the limit, remove the row, or leave such rows out with "
        f"data.overlong_prompts=drop. It starts {str(problem.prompt)[:80]!r}"
    )


def _check_chats(problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase) -> None:
    """Check one prompt of each sequence of roles against the chat template."""
    examples: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for problem in problems:
        if not isinstance(problem.prompt, str):
            roles = tuple(message["role"] for message in problem.prompt)
            examples.setdefault(roles, problem.prompt)
    for prompt in examples.values():
        check_chat(prompt, tokenizer)
        check_date(prompt, tokenizer)


def _check_characters(
    problems: Sequence[Problem], ids: Sequence[list[int]], tokenizer: PreTrainedTokenizerBase
) -> None:
    """Raise ValueError where a prompt loses characters: the policy would answer another question.

    Spaces, and forms of one character that a tokenizer may unite, are no loss.
    """
    for problem, of_problem in zip(problems, ids, strict=False):
        prompt = problem.prompt
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        read = tokenizer.decode(of_problem, skip_special_tokens=True)
        lost = sorted(_characters(text) - _characters(str(read)))
        if lost:
            raise ValueError(
                f"problem {problem.id}: the policy's tokenizer has no token for {lost[:8]} and "
                f"drops them; it reads {text[:60]!r} as {str(read)[:60]!r}. Use a model whose "
                "tokenizer has these characters, or leave such rows out of data.task"
            )


def _characters(text: str) -> set[str]:
    return set("".join(unicodedata.normalize("NFKC", text).casefold().split()))
