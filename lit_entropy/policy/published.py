"""Shapes of published models, shipped without weights: ``assets/architectures``."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "assets" / "architectures"


@dataclass(frozen=True)
class PublishedModel:
    """A model whose shape is shipped.

    Attributes:
        names: hub ids (and package names) of models of this shape.
        parameters: number of parameters as published.
        config: arguments of its configuration class, ``model_type`` included.
    """

    names: tuple[str, ...]
    parameters: int
    config: dict[str, object]


@lru_cache(maxsize=1)
def published_models() -> dict[str, PublishedModel]:
    """Every shipped shape by each of its names; names of files (``qwen2.5-7b``) count too."""
    models: dict[str, PublishedModel] = {}
    for path in sorted(FOLDER.glob("*.json")):
        record = json.loads(path.read_text())
        model = PublishedModel(tuple(record["names"]), record["parameters"], record["config"])
        models |= dict.fromkeys([path.stem, *model.names], model)
    return models
