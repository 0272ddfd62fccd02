"""Rewards as plain functions, named by ``data.task.reward``: the task's own form, or TRL's.

- ``f(problem, response)``: one number for one response.
- ``f(prompts, completions, **columns)``: TRL's form, a number for each response of a batch. Columns
  are lists of what stands in the rows of the data set.

A number may be partial, 0.3 say; None says that a response could not be checked.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from lit_entropy.closest import no_such_file
from lit_entropy.contracts import checked_rewards
from lit_entropy.types import Problem

#: What a user may write: a function in Python, its name in a configuration.
Reward = Callable[..., Any]
_FORMS = "f(problem, response) or f(prompts, completions, **columns)"


class RewardFunction:
    """A function as a batch of responses is rewarded by it."""

    def __init__(self, reward: str | Reward) -> None:
        """Find the function and tell its form.

        Args:
            reward: a function, ``package.module.function`` on the Python path, or
                ``path/to/file.py:function``.

        Raises:
            ValueError: there is no such function, or it has another form.
        """
        self.reward = reward
        self.function = load_function(reward) if isinstance(reward, str) else reward
        label = f"data.task.reward={reward!r}" if isinstance(reward, str) else f"reward={reward!r}"
        if inspect.isclass(self.function) or not callable(self.function):
            raise ValueError(f"{label} is no function: give one of the form {_FORMS}")
        if inspect.iscoroutinefunction(self.function):
            raise ValueError(f"{label} is asynchronous: give a plain function")
        parameters = inspect.signature(self.function).parameters
        self.batched = "completions" in parameters
        if not self.batched and not _takes_two(parameters):
            raise ValueError(
                f"{label} takes ({', '.join(map(str, parameters.values()))}): give it the form "
                f"{_FORMS}"
            )
        self._all_columns = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self._names = set(parameters)

    def __reduce__(self) -> tuple[type[RewardFunction], tuple[str | Reward]]:
        """A copy in another process finds the function again."""
        return RewardFunction, (self.reward,)

    def __call__(
        self,
        problems: Sequence[Problem],
        responses: Sequence[str],
        columns: Mapping[int, Mapping[str, object]],
    ) -> list[float | None]:
        """The rewards of responses, in order.

        Args:
            problems: the problem of each response.
            responses: decoded responses, without special tokens.
            columns: the row of each problem by ``Problem.id``; may lack problems.

        Raises:
            ContractError: the function gave something else than a number or None for each.
        """
        if self.batched:
            given = self.function(**self._batch(problems, responses, columns))
        else:
            given = [self.function(*pair) for pair in zip(problems, responses, strict=True)]
        return checked_rewards(self.function, "__call__", given, problems)

    def _batch(
        self,
        problems: Sequence[Problem],
        responses: Sequence[str],
        columns: Mapping[int, Mapping[str, object]],
    ) -> dict[str, list[Any]]:
        """The arguments of TRL's form; answers to chat messages are messages too."""
        rows = [{"answer": p.answer, **columns.get(p.id, {})} for p in problems]
        names = dict.fromkeys(name for row in rows for name in row)
        batch: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in names}
        batch["prompts"] = [problem.prompt for problem in problems]
        batch["completions"] = [
            text if isinstance(problem.prompt, str) else [{"role": "assistant", "content": text}]
            for problem, text in zip(problems, responses, strict=True)
        ]
        for name in ("prompt", "completion"):  # TRL gives these as prompts and completions alone
            batch.pop(name, None)
        if self._all_columns:
            return batch
        return {name: values for name, values in batch.items() if name in self._names}


def reward_function(reward: str | Reward | None) -> RewardFunction | None:
    """What a task's argument ``reward`` stands for; None where the task rewards by itself."""
    return None if reward is None else RewardFunction(reward)


def load_function(path: str, setting: str = "data.task.reward") -> Any:
    """What stands at ``package.module.name`` or ``file.py:name``.

    Args:
        path: where it stands.
        setting: the setting that names it, for errors.

    Raises:
        ValueError: no such file, module or name, or the module cannot be imported.
    """
    label = f"{setting}={path!r}"
    place, separator, name = path.rpartition(":")
    if not separator:
        place, separator, name = path.rpartition(".")
    if not (place and name.isidentifier()):
        raise ValueError(f"{label}: write module.function, or path/to/file.py:function")
    try:
        module = _file(place, label) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, SyntaxError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == place.partition(".")[0]
        remedy = f": put its folder on PYTHONPATH, or write path/to/{place}.py:{name}"
        raise ValueError(
            f"{label}: {place} cannot be imported ({error}){remedy if missing else ''}"
        ) from error
    if not hasattr(module, name):
        found = [value for value in vars(module).values() if inspect.isfunction(value)]
        functions = [value.__name__ for value in found if value.__module__ == module.__name__]
        raise ValueError(f"{label}: {place} has no {name}; its functions are {functions}")
    return getattr(module, name)


def _file(place: str, label: str) -> ModuleType:
    """The module in a file, imported once."""
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"{label}: {no_such_file(place)}")
    name = f"{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None  # it ends in .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before: dataclasses look their module up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _takes_two(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a function can be called with two positional arguments."""
    kinds = [(p.kind, p.default is p.empty) for p in parameters.values()]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = [required for kind, required in kinds if kind in positional]
    many = any(kind is inspect.Parameter.VAR_POSITIONAL for kind, _ in kinds)
    named = any(kind is inspect.Parameter.KEYWORD_ONLY and required for kind, required in kinds)
    return not named and sum(places) <= 2 and (len(places) >= 2 or many)
