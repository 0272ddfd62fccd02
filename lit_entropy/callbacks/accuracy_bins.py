"""Prompts sorted by the share of right responses in their group (paper, Fig. 8 right)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from lit_entropy.types import Mean


class AccuracyBins:
    """Bins ``none`` (accuracy 0), half-open intervals of (0, 1), and ``all`` (accuracy 1).

    Args:
        edges: Inner edges, increasing in (0, 1); an interval holds its upper edge.
        names: Names of the intervals, one more than edges.

    Raises:
        ValueError: edges or names do not fit.
    """

    def __init__(self, edges: Sequence[float], names: Sequence[str]) -> None:
        bounds = [0.0, *edges, 1.0]
        if not all(low < high for low, high in pairwise(bounds)):  # false for NaN too
            raise ValueError(f"bin_edges must increase strictly within (0, 1), got {list(edges)}")
        if len(names) != len(edges) + 1:
            raise ValueError(
                f"bin_names needs {len(edges) + 1} names for {len(edges)} bin_edges, "
                f"got {list(names)}"
            )
        self.names = ("none", *names, "all")
        if len(set(self.names)) != len(self.names) or "" in self.names:
            raise ValueError(
                f"bin_names must be distinct, not empty and none of 'none', 'all', "
                f"got {list(names)}"
            )
        self._edges = torch.tensor(list(edges), dtype=torch.float64)

    def index(self, correct_PG: Tensor) -> Tensor:
        """Bin of each prompt, int64 [P], from bool [P, G]."""
        right_P, group_size = correct_PG.sum(1), correct_PG.shape[1]
        # a float64 quotient equals an edge such as 1/3 exactly; a float32 mean may not
        accuracy_P = right_P.double() / group_size
        inner_P = 1 + torch.bucketize(accuracy_P, self._edges.to(accuracy_P.device))
        inner_P[right_P == 0] = 0
        inner_P[right_P == group_size] = len(self.names) - 1
        return inner_P

    def means(
        self, prefix: str, totals_B: Tensor, weights_B: Tensor, correct_B: Tensor, group_size: int
    ) -> dict[str, Mean]:
        """Totals and weights by bin under ``<prefix>/<bin>``, for rows of whole groups."""
        bin_P = self.index(correct_B.reshape(-1, group_size))
        bin_B = bin_P.repeat_interleave(group_size)
        return {
            f"{prefix}/{name}": Mean(
                totals_B[bin_B == number].sum(), weights_B[bin_B == number].sum()
            )
            for number, name in enumerate(self.names)
        }
