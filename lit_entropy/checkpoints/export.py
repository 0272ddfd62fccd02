"""From a checkpoint to an ordinary Hugging Face folder."""

import os
import shutil
from pathlib import Path

import torch
from transformers import GenerationConfig

from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.checkpoints.model_card import model_card
from lit_entropy.errors import CheckpointError
from lit_entropy.policy.lora import LoraOptions, fold_adapters
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Config, State

#: The only class that a checkpoint may name: its configuration is data, not code.
POLICY = "lit_entropy.Policy"
#: Every name of the class that a configuration may hold; the first is the one that runs record.
POLICY_NAMES = (POLICY, "lit_entropy.policy.Policy", "lit_entropy.policy.policy.Policy")
_PREFIX = "policy."


def write_model(checkpoint: Path, target: Path, dtype: str) -> None:
    """Write a checkpoint as a Hugging Face folder.

    Args:
        checkpoint: a checkpoint file, or the folder of a distributed one.
        target: folder to write, which must not exist or be empty.
        dtype: ``float32`` or ``bfloat16``, of the written weights; ``checkpoint`` keeps that of the
            checkpoint's base weights.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: the checkpoint is damaged, or not of ``lit-entropy fit``.
        FileExistsError: the output folder has something in it.
    """
    require_empty(target)
    state = AtomicCheckpointIO().load_checkpoint(checkpoint)
    configuration = configuration_of(state, checkpoint)
    policy = load_policy(state, configuration, checkpoint)
    fold_adapters(policy.model)  # before the cast, so that a sum is rounded once
    first = state["state_dict"][_PREFIX + next(policy.named_parameters())[0]]
    policy.model.to(first.dtype if dtype == "checkpoint" else getattr(torch, dtype))
    policy.model.generation_config = generation_config(policy, configuration["model"])
    temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    try:
        policy.save(temporary)
        card = model_card(configuration, int(state["rl_steps"]), policy, run_folder(checkpoint))
        (temporary / "README.md").write_text(card)
        if target.is_dir():
            target.rmdir()
        os.rename(temporary, target)
    except Exception as error:
        error.add_note(f"while writing {target}")
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"wrote {target}")


def require_empty(folder: Path) -> None:
    """Raise FileExistsError unless ``folder`` does not exist or is empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"--output={folder} exists and is not an empty folder: name another one, or remove it"
        )


def configuration_of(state: State, path: Path) -> Config:
    """The configuration of the run that wrote a checkpoint.

    Raises:
        CheckpointError: the checkpoint does not record it, or is that of a run without policy.
    """
    configuration = state.get("configuration")
    if not isinstance(configuration, dict) or "rl_steps" not in state:
        raise CheckpointError(
            f"{path} does not record its configuration: export a checkpoint of lit-entropy fit"
        )
    return configuration


def load_policy(state: State, configuration: Config, path: Path) -> Policy:
    """The policy with the checkpoint's weights, built as the run built it.

    Raises:
        CheckpointError: the run's policy is another class, or its weights do not fit.
    """
    config = configuration["model"]["policy"]
    name = config.get("class_path", POLICY)
    if name not in POLICY_NAMES:
        raise CheckpointError(
            f"{path} holds a policy of class {name}: only {POLICY} can be exported by this command;"
            " build yours in Python, load the state_dict's policy.* entries and call its save"
        )
    options = dict(config.get("init_args", config))
    if options.get("lora"):
        options["lora"] = LoraOptions(**options["lora"])
    policy = Policy(**options)
    weights = {
        key.removeprefix(_PREFIX): value
        for key, value in state["state_dict"].items()
        if key.startswith(_PREFIX)
    }
    try:
        policy.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} does not fit model.policy.model={options.get('model')!r}: restore the base "
            f"that it was trained from ({error})"
        ) from error
    return policy.eval()


def generation_config(policy: Policy, model: Config) -> GenerationConfig:
    """Sampling as in training: the full softmax at the run's temperature, no top-k, no top-p."""
    return GenerationConfig(
        do_sample=True,
        temperature=float(model["temperature"]),
        top_k=0,
        top_p=1.0,
        max_new_tokens=int(model["max_new_tokens"]),
        eos_token_id=policy.eos_token_ids,
        pad_token_id=policy.pad_token_id,
    )


def run_folder(checkpoint: Path) -> Path:
    """The folder of the run that a checkpoint lies in, if it still does."""
    return checkpoint.resolve().parent.parent
