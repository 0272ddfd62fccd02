"""Means and maxima that stay exact over microbatches, ranks and reduced-precision modules."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor
from torchmetrics import Metric

from lit_entropy.types import Maximum, Mean


def exact(values: Mapping[str, float]) -> dict[str, Tensor]:
    """The numbers as float64 tensors: Lightning would round Python floats to float32."""
    return {key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()}


class WeightedSums(Metric):
    """Base: ``total`` and ``weight`` in float64, added up over updates and ranks.

    ``module.to(torch.bfloat16)`` casts the states of an ordinary metric, whose sums then stop
    growing at 256 ones (float32 sums stop at 2^24): here a cast moves the device alone.
    """

    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Metric:
        this = cast(Metric, super()._apply(fn, exclude_state=tuple(self._defaults)))
        this._computed = None
        for name, default in this._defaults.items():
            this._defaults[name] = cast(Tensor, default).to(this.device)
            setattr(this, name, getattr(this, name).to(this.device))
        return this

    def _add(self, total: Tensor, weight: Tensor | float) -> None:
        weight = torch.as_tensor(weight)
        self.total = self.total + total.detach().to(self.total)
        self.weight = self.weight + weight.detach().to(self.weight)


class TokenMean(WeightedSums):
    """A mean weighted by tokens (or sequences, or prompts): sum of totals / sum of weights.

    A metric that saw no weight computes ``None``; Lightning then leaves its key out of the log.
    """

    def update(self, total: Tensor, weight: Tensor | float) -> None:
        """Add a batch.

        Args:
            total: scalar, the sum of the values over the batch's tokens.
            weight: scalar, the number of those tokens.
        """
        self._add(total, weight)

    def compute(self) -> Tensor | None:
        """The mean over all updates and ranks, float64 scalar; None without any weight.

        Raises:
            ValueError: a total or weight is not finite (a NaN is never dropped).
        """
        _check_finite(self.total, self.weight, ("TokenMean",))
        return self.total / self.weight if self.weight > 0 else None


class NamedMeans(WeightedSums):
    """Many weighted means reduced over ranks by one collective.

    Args:
        names: Keys of the means, the same and in the same order on every rank.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__((len(names) + 1,))  # the last place tells whether the ranks agree on names
        self.names = tuple(names)
        digest = hashlib.blake2b("\0".join(names).encode(), digest_size=5).digest()
        self._fingerprint = Mean(torch.tensor(int.from_bytes(digest, "big")), torch.tensor(1))

    def update(self, sums: Mapping[str, Mean]) -> None:
        """Add totals and weights for any of the names."""
        if unknown := set(sums) - set(self.names):
            raise ValueError(f"sums holds {sorted(unknown)}, which are not in names {self.names}")
        zero = Mean(torch.zeros(()), torch.zeros(()))
        means = (*(sums.get(name, zero) for name in self.names), self._fingerprint)
        columns = zip(*means, strict=True)
        total, weight = (
            torch.stack([torch.as_tensor(value).detach().to(self.total) for value in column])
            for column in columns
        )
        self._add(total, weight)

    def compute(self) -> dict[str, float]:
        """The means by name, without the names that no rank gave a weight.

        Raises:
            ValueError: a total or weight is not finite (the message names the keys), or the ranks
                have different names.
        """
        if self.total[-1] != self.weight[-1] * self._fingerprint.total.item():
            raise ValueError(
                f"the ranks reduce different keys, or in another order; this one has {self.names}: "
                "add every key on every rank, with weight 0 where there is nothing to add"
            )
        total, weight = self.total[:-1], self.weight[:-1]
        _check_finite(total, weight, self.names)
        rows = zip(self.names, total.tolist(), weight.tolist(), strict=True)
        return {name: total / weight for name, total, weight in rows if weight > 0}


def reduce_means(sums: Mapping[str, Mean], device: torch.device | str) -> dict[str, float]:
    """Means of this rank's totals and weights with those of every other rank.

    Args:
        sums: This rank's share; every rank passes the same keys in the same order.
        device: Device of the collective (the module's).

    Returns:
        Equal numbers on every rank; keys without weight on any rank are left out.
    """
    metric = NamedMeans(tuple(sums)).to(device)
    metric.update(sums)
    return metric.compute()


class NamedMaxima(Metric):
    """Many maxima reduced over ranks by one collective, in float64.

    Args:
        names: Keys of the maxima, the same and in the same order on every rank.
    """

    full_state_update = False
    largest: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        nothing = torch.full((len(names),), -torch.inf, dtype=torch.float64)
        self.add_state("largest", nothing, dist_reduce_fx="max")
        self.names = tuple(names)

    def update(self, maxima: Mapping[str, Tensor]) -> None:
        """Add a scalar for each of the names; -inf where there is nothing."""
        values = torch.stack([maxima[name].detach().to(self.largest) for name in self.names])
        self.largest = torch.maximum(self.largest, values)

    def compute(self) -> dict[str, float]:
        """The maxima by name, without the names for which no rank had anything.

        Raises:
            ValueError: a maximum is NaN or infinite (the message names the keys).
        """
        nothing = self.largest == -torch.inf
        found = self.largest.masked_fill(nothing, 0.0)  # a NaN is never dropped
        _check_finite(found, torch.ones_like(found), self.names)
        rows = zip(self.names, found.tolist(), nothing.tolist(), strict=True)
        return {name: value for name, value, left_out in rows if not left_out}


def reduce_maxima(maxima: Mapping[str, Tensor], device: torch.device | str) -> dict[str, float]:
    """This rank's maxima with those of every other rank.

    Args:
        maxima: This rank's scalars, -inf where there is nothing; every rank passes the same keys
            in the same order.
        device: Device of the collective (the module's).

    Returns:
        Equal numbers on every rank; keys for which no rank had anything are left out.
    """
    if not maxima:
        return {}
    metric = NamedMaxima(tuple(maxima)).to(device)
    metric.update(maxima)
    return metric.compute()


class UpdateMeans:
    """Exact means and maxima over an RL step's updates, microbatches and ranks (float64)."""

    def __init__(self) -> None:
        self._sums: dict[str, Mean] = {}
        self._maxima: dict[str, Tensor] = {}

    def add(self, name: str, total: Tensor, weight: Tensor | float) -> None:
        """Add a total and its weight to the mean ``name``."""
        total = total.detach().double()
        weight = torch.as_tensor(weight, dtype=torch.float64, device=total.device)
        before = self._sums.get(name)
        self._sums[name] = Mean(
            total if before is None else before.total + total,
            weight if before is None else before.weight + weight,
        )

    def add_metric(self, name: str, value: Tensor | Mean | Maximum, tokens: Tensor) -> None:
        """Add a loss metric: a scalar is a mean over ``tokens``, a ``Mean`` has its own weight."""
        if isinstance(value, Maximum):
            largest = value.value.detach().double()
            before = self._maxima.get(name)
            self._maxima[name] = largest if before is None else torch.maximum(before, largest)
        elif isinstance(value, Mean):
            self.add(name, value.total, value.weight)
        else:
            self.add(name, value.double() * tokens, tokens)

    def reset(self, device: torch.device) -> dict[str, float]:
        """The numbers over all ranks, without those of no weight; starts again from nothing."""
        zero = torch.zeros((), dtype=torch.float64)
        nothing = Mean(zero, zero)
        # the names of the maxima too: ranks that disagree on names are found out there
        values = reduce_means(self._sums | dict.fromkeys(self._maxima, nothing), device)
        values |= reduce_maxima(self._maxima, device)
        self._sums, self._maxima = {}, {}
        return values


def _check_finite(total: Tensor, weight: Tensor, names: Sequence[str]) -> None:
    bad = ~(torch.isfinite(total) & torch.isfinite(weight)).reshape(-1)
    if bad.any():
        keys = [name for name, flag in zip(names, bad.tolist(), strict=True) if flag]
        raise ValueError(
            f"non-finite sums of {keys} (totals {total.tolist()}, weights {weight.tolist()}): "
            "find the NaN or infinity in the values that were added"
        )
