"""``lit-entropy pretrain``: rebuild a shipped base model, or make another, from scratch."""

from inspect import signature
from pathlib import Path
from typing import Literal

from lit_entropy.pretraining.options import AttemptMixture, Average, StrategyOptions


def pretrain(
    output: str,
    size: Literal["xs", "s", "m", "l"] = "s",
    steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    seed: int = 0,
    max_length: int = 10,
    short_length: int = 4,
    careful_short: float = 0.35,
    careful_long: float = 0.04,
    guess: float = 0.3,
    skip_short: float = 0.35,
    skip_long: float = 0.35,
    error: float = 0.05,
    dtype: Literal["float32", "bfloat16"] = "float32",
    progress: bool = True,
    task: Literal["chain", "countdown", "discovery"] = "chain",
    min_numbers: int = 3,
    max_numbers: int = 5,
    attempts: AttemptMixture | None = None,
    strategies: StrategyOptions | None = None,
    width: int | None = None,
    average: Average = "token",
) -> Path:
    """Pretrain a tiny Qwen2 on careful, sloppy and guessed answers to one of the tiny tasks.

    The result is an imperfect prior, as a base language model is: reinforcement learning has
    accuracy to gain and entropy to spend. Everything is determined by the seed, to the bit
    on one machine type and with one number of threads.

    Args:
        output: Folder to write; it must not exist or be empty.
        size: Model size: xs 24 k, s 96 k, m 0.38 M, l 1.5 M parameters.
        steps: Optimizer steps.
        batch_size: Sequences a step.
        learning_rate: Peak learning rate of AdamW.
        seed: Seed of the weights and of every batch.
        max_length: Chain: most operations of a pretraining prompt.
        short_length: Chain: longest chain that counts as short.
        careful_short: Chain: share of careful responses on short chains.
        careful_long: Chain: share of careful responses on longer chains.
        guess: Chain: share of guesses; what is left is sloppy.
        skip_short: Chain: probability that a sloppy response leaves out a result, on short ones.
        skip_long: Chain: the same on longer chains.
        error: Chain: probability that a written result is a wrong digit.
        dtype: Type of the saved weights; training is in float32.
        progress: Whether to show a progress bar.
        task: Chain arithmetic, countdown or strategy discovery.
        min_numbers: Countdown: fewest numbers of a pretraining prompt.
        max_numbers: Countdown: most numbers of a pretraining prompt.
        attempts: Countdown: shares of the styles of response and their faults.
        strategies: Discovery: the prior over strategies, and the world that it is of.
        width: Hidden width in place of a named size, a multiple of 16; l has 256.
        average: What the loss is a mean over: all response tokens alike, so that styles get the
            shares asked for, or those of each batch. Batches hold texts of one length, so that
            the latter favours short responses; the bases whose ``recipe.json`` says so had it.

    Returns:
        The folder, with weights, configuration, tokenizer and ``recipe.json``.

    Raises:
        ValueError: for a non-empty folder or a parameter out of range.
    """
    recipe = {k: v for k, v in locals().items() if k not in ("output", "progress")}
    parameters = signature(pretrain).parameters
    given = {name for name, value in recipe.items() if value != parameters[name].default}
    from lit_entropy.pretraining.base import make_base  # with torch, which --help needs not

    return make_base(Path(output), recipe, given, progress)
