"""What a plug-in must return: type and shape are checked, never broadcast.

Each function gives back what it was given, or raises :class:`lit_entropy.errors.ContractError`
with the class, what was expected and what was found. What is checked of a microbatch is read from
no tensor's numbers, so that no update waits for a GPU; rewards and numbers to log are, once an RL
step.
"""

import numbers
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from lit_entropy.errors import ContractError, PartError
from lit_entropy.types import Completions, LossOutput, Maximum, Mean, Problem

_KINDS = {"float": "a floating-point", "bool": "a bool", "int": "an int64"}


def name_of(owner: object) -> str:
    """The class or function of a plug-in as its user names it, ``my_loss.MyLoss``."""
    named = owner if isinstance(owner, FunctionType) else type(owner)
    return f"{named.__module__}.{named.__qualname__}"


def describe(value: object) -> str:
    """What a value is, in a few words."""
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {list(value.shape)}"
    if value is None:
        return "None"
    if type(value) in (list, tuple, dict):
        return f"a {type(value).__name__} ({value!s:.60})"
    return f"a {type(value).__name__} ({value!r:.60})"


def refuse(owner: object, place: str, expected: str, found: object, remedy: str = "") -> NoReturn:
    """Raise the error of a plug-in that broke its contract.

    Args:
        owner: the plug-in.
        place: what it gave, ``forward, token_loss_BT`` say.
        expected: what belongs there.
        found: what was there.
        remedy: what to do, where more can be said than to return what is expected.

    Raises:
        ContractError: always.
    """
    message = f"{name_of(owner)}.{place}: expected {expected}, found {describe(found)}"
    raise ContractError(f"{message}; {remedy}" if remedy else message)


@contextmanager
def no_stop(owner: object, method: str) -> Iterator[None]:
    """Where a plug-in is called: its StopIteration would end the loop of another.

    Raises:
        PartError: names the plug-in that has raised one.
    """
    try:
        yield
    except StopIteration:
        raise PartError(
            f"{name_of(owner)}.{method} raised StopIteration, which ends loops: let it raise "
            "another error"
        ) from None  # from it contextlib would take this for the interpreter's own conversion


def require_gradient(owner: object, loss_BT: Tensor, may_be_off: bool = False) -> None:
    """Refuse a loss of which nothing depends on the policy.

    Args:
        owner: the loss or the regularizer.
        loss_BT: its token losses.
        may_be_off: whether zeros need no gradient, as those of a regularizer that rests.

    Raises:
        ContractError: it has no gradient.
    """
    if torch.is_grad_enabled() and not loss_BT.requires_grad:
        if may_be_off and not bool(loss_BT.any()):
            return
        remedy = "compute it from the policy's output, and detach nothing of it"
        refuse(owner, "forward", "a loss with a gradient", loss_BT, remedy)


def require_tensor(
    owner: object,
    place: str,
    value: object,
    shape: Sequence[int],
    axes: str,
    kind: str = "float",
    remedy: str = "",
) -> Tensor:
    """The tensor, if it has the shape and the kind of numbers expected.

    Args:
        owner: the plug-in.
        place: what it gave.
        value: what was there.
        shape: the shape expected.
        axes: its axes by their letters, ``PG``.
        kind: ``float``, ``bool`` or ``int``.
        remedy: what to do otherwise.

    Raises:
        ContractError: it is no such tensor.
    """
    if isinstance(value, Tensor) and list(value.shape) == list(shape):
        whole = {"bool": value.dtype == torch.bool, "int": value.dtype == torch.int64}
        if whole.get(kind, value.is_floating_point()):
            return value
    expected = f"{_KINDS[kind]} tensor [{', '.join(axes)}] = {list(shape)}"
    refuse(owner, place, expected, value, remedy)


def checked_loss(owner: object, given: object, mask_BT: Tensor) -> LossOutput:
    """What a loss or a regularizer returns of a batch.

    Args:
        owner: the loss.
        given: what its ``forward`` returned.
        mask_BT: the batch's mask.

    Raises:
        ContractError: it is no ``LossOutput``, its token losses are no floating-point [B, T], or a
            metric is no scalar tensor, ``Mean`` or ``Maximum``.
    """
    if not isinstance(given, LossOutput):
        remedy = "return LossOutput(loss_BT, metrics)"
        refuse(owner, "forward", "a LossOutput", given, remedy)
    remedy = "return one loss per token, not aggregated: the module alone sums and divides"
    place = "forward, token_loss_BT"
    require_tensor(owner, place, given.token_loss_BT, mask_BT.shape, "BT", remedy=remedy)
    if not isinstance(given.metrics, Mapping):
        refuse(owner, "forward, metrics", "a dict of metrics by name", given.metrics)
    for key, value in given.metrics.items():
        if not isinstance(key, str) or not _is_metric(value):
            place, remedy = f"forward, metrics[{key!r}]", "take the mean over the batch's tokens"
            refuse(owner, place, "a scalar tensor, a Mean or a Maximum by its name", value, remedy)
    return given


def checked_selection(owner: object, given: object, mask_BT: Tensor) -> Tensor:
    """The tokens that a loss selects of a minibatch: bool [B, T].

    Raises:
        ContractError: it is something else.
    """
    return require_tensor(owner, "select", given, mask_BT.shape, "BT", "bool")


def checked_advantages(owner: object, given: object, rewards_PG: Tensor) -> Tensor:
    """One advantage per response: floating-point, in the rewards' shape.

    Raises:
        ContractError: it is something else.
    """
    remedy = "return one advantage for each of the G responses to each of the P prompts"
    return require_tensor(owner, "__call__", given, rewards_PG.shape, "PG", remedy=remedy)


def checked_token_advantages(owner: object, given: object, mask_BT: Tensor) -> Tensor:
    """One advantage per token: floating-point, in the mask's shape.

    Raises:
        ContractError: it is something else.
    """
    return require_tensor(owner, "token_advantages", given, mask_BT.shape, "BT")


def named_numbers(owner: object, method: str, given: object) -> dict[str, float]:
    """Numbers to log by key, from a callback or an estimator.

    Args:
        owner: the plug-in.
        method: which of its methods gave them.
        given: what it gave; scalar tensors and numbers of numpy are numbers too.

    Raises:
        ContractError: it is no mapping, a key is no text, or a value is no number.
    """
    if not isinstance(given, Mapping):
        remedy = "return {} where there is nothing to log"
        refuse(owner, method, "a dict of numbers by key", given, remedy)
    for key, value in given.items():
        if not isinstance(key, str):
            refuse(owner, f"{method}, a key", "a text", key)
        if not is_number(value):
            refuse(owner, f"{method}, {key!r}", "a number", value)
    return {key: float(value) for key, value in given.items()}


def checked_completions(owner: object, given: object, rows: int) -> Completions:
    """What a rollout engine returns for ``rows`` prompts.

    Raises:
        ContractError: it is no ``Completions``, or a field is of another type or shape.
    """
    if not isinstance(given, Completions):
        refuse(owner, "generate", "Completions", given)
    tokens_BT = given.tokens_BT
    width = tokens_BT.shape[1] if isinstance(tokens_BT, Tensor) and tokens_BT.dim() == 2 else 0
    shapes = {"BT": (rows, width), "B": (rows,)}
    for name, axes, kind in (
        ("tokens_BT", "BT", "int"),
        ("mask_BT", "BT", "bool"),
        ("logprobs_BT", "BT", "float"),
        ("entropies_BT", "BT", "float"),
        ("truncated_B", "B", "bool"),
        ("environment_BT", "BT", "bool"),
    ):
        value = getattr(given, name)
        if value is not None or name not in ("entropies_BT", "environment_BT"):
            require_tensor(owner, f"generate, {name}", value, shapes[axes], axes, kind)
    return given


def checked_rewards(
    owner: object, method: str, given: object, problems: Sequence[Problem]
) -> list[float | None]:
    """Rewards of responses: a number or None for each.

    Args:
        owner: the task, or the reward function.
        method: which of its methods gave them.
        given: what it gave; numbers of numpy and torch are numbers too.
        problems: the problem of each response.

    Raises:
        ContractError: they are something else.
    """
    count, remedy = len(problems), "give one for each response, None where it could not be checked"
    flat = isinstance(given, Tensor | np.ndarray) and given.ndim == 1
    if not flat and not isinstance(given, list | tuple):
        refuse(owner, method, f"a list of {count} rewards", given, remedy)
    values: list[object] = list(given)  # type: ignore[call-overload]  # either is iterable
    if len(values) != count:
        raise ContractError(
            f"{name_of(owner)}.{method} gave {len(values)} rewards for {count} responses: {remedy}"
        )
    for place, value in enumerate(values):
        if value is not None and not is_number(value):
            where = f"{method}, response {place} (to problem {problems[place].id})"
            refuse(owner, where, "a number or None", value, remedy)
    return [None if value is None else float(value) for value in values]  # type: ignore[arg-type]


def is_number(value: object) -> bool:
    """Whether a value is one real number: of Python, of numpy, or in a tensor without axes."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "biuf"
    return isinstance(value, numbers.Real | np.bool_) or _is_scalar(value)


def is_truth(value: object) -> bool:
    """Whether a value is true or false: of Python, of numpy, or in a tensor without axes."""
    if isinstance(value, Tensor):
        return value.dim() == 0 and value.dtype == torch.bool
    return isinstance(value, bool | np.bool_)


def _is_scalar(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() == 0 and not value.is_complex()


def _is_metric(value: object) -> bool:
    if isinstance(value, Mean):
        return _is_scalar(value.total) and is_number(value.weight)
    return _is_scalar(value.value if isinstance(value, Maximum) else value)
