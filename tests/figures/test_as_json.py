"""Records as JSON holds them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from lit_entropy.figures.as_json import as_json


class Pair(NamedTuple):
    low: float
    high: float


@dataclass
class Record:
    name: str
    pairs: dict[str, Pair]
    values: list[float | None]


def test_records_keep_the_order_of_their_fields():
    record = Record("x", {"a": Pair(0.5, float("inf"))}, [float("nan"), None, np.float64(2.0)])
    found = as_json({2: record, "b": True, "c": (1, "y")})
    assert found == {
        "2": {"name": "x", "pairs": {"a": {"low": 0.5, "high": None}}, "values": [None, None, 2.0]},
        "b": True,
        "c": [1, "y"],
    }
    assert list(found["2"]) == ["name", "pairs", "values"]


def test_anything_else_is_refused():
    with pytest.raises(TypeError, match="ndarray is not a value of JSON"):
        as_json({"a": np.zeros(2)})
