"""``lit-entropy export``: a checkpoint as an ordinary Hugging Face folder."""

from pathlib import Path
from typing import Literal


def export(
    checkpoint: str, output: str, dtype: Literal["checkpoint", "float32", "bfloat16"] = "checkpoint"
) -> None:
    """Write a checkpoint as a Hugging Face folder that plain transformers loads.

    Weights (safetensors; adapters added in), config, tokenizer, generation config and a model card.

    Args:
        checkpoint: a checkpoint file, or the folder of a distributed one.
        output: folder to write, which must not exist or be empty.
        dtype: type of the written weights; that of the checkpoint's base weights by default.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: the checkpoint is damaged, or not of ``lit-entropy fit``.
        FileExistsError: the output folder has something in it.
    """
    from lit_entropy.checkpoints.export import write_model  # with torch, which --help needs not

    write_model(Path(checkpoint), Path(output), dtype)
