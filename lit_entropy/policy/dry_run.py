"""Dry runs: models without weights, so that a configuration can be built on any machine.

Within :func:`dry_run` a :class:`~lit_entropy.policy.Policy` is built on torch's meta device, whose
tensors have shapes and no data. A hub id takes its shape from ``assets/architectures`` and a
stand-in tokenizer: nothing is downloaded and no weight file is read.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from lit_entropy.errors import DryRunError
from lit_entropy.policy.published import published_models

_active: ContextVar[bool] = ContextVar("lit_entropy_dry_run", default=False)


@contextmanager
def dry_run() -> Iterator[None]:
    """Within the block policies are built without weights, on the meta device."""
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def is_dry_run() -> bool:
    """Whether the code runs within :func:`dry_run`."""
    return _active.get()


def is_published(name: str) -> bool:
    """Whether a dry run knows the shape of a model that is not on the disk."""
    return name in published_models()


def published_config(name: str) -> PreTrainedConfig:
    """The configuration of a published model.

    Raises:
        DryRunError: its shape is not shipped.
    """
    models = published_models()
    if name not in models:
        raise DryRunError(
            f"model={name!r:.80}: a dry run needs its shape, and only those of {sorted(models)}, "
            "of shipped bases and of local folders are known; download its config.json to a folder "
            "and name that"
        )
    arguments = dict(models[name].config)
    return AutoConfig.for_model(str(arguments.pop("model_type")), **arguments)


def meta_model(location: str, gguf_file: str | None, dtype: torch.dtype) -> PreTrainedModel:
    """A causal LM on the meta device, of a published shape or of a folder's configuration.

    Raises:
        DryRunError: neither a folder nor a published model.
    """
    if os.path.isdir(location) and not is_published(location):
        config = AutoConfig.from_pretrained(location, gguf_file=gguf_file)
    else:
        config = published_config(location)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.generation_config.eos_token_id = config.eos_token_id
    return model


def stand_in_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """A tokenizer that knows nothing but the end of sequence of a published model."""
    config = published_config(name)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"<end>": config.eos_token_id}, unk_token="<end>")),
        eos_token="<end>",
        pad_token="<end>",
        padding_side="left",
        name_or_path=name,
    )
