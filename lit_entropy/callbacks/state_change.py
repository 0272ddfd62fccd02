"""Realised and predicted change of the entropy of given states, and how well they agree."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.callbacks.probe import Snapshot, pieces
from lit_entropy.functional import agreement
from lit_entropy.functional.dynamics import entropy, lemma1_prediction, second_order_prediction
from lit_entropy.functional.sampled_dynamics import (
    batch_centred_theorem1,
    batch_centred_theorem2,
    discriminator_prediction,
    state_centred_theorem1,
    state_centred_theorem2,
)
from lit_entropy.types import Experience

STATISTICS: dict[str, Callable[[Tensor, Tensor], float | None]] = {
    "slope": agreement.slope_through_origin,
    "r2": agreement.squared_correlation,
    "sign_agreement": agreement.sign_agreement,
    "relative_error": agreement.relative_error,
}
#: Predictions at unit step size: their scale, hence their relative error, means nothing.
UNIT_STATISTICS = ("slope", "r2", "sign_agreement")
THEOREMS = ("theorem1_state", "theorem2_state", "theorem1_batch", "theorem2_batch", "discriminator")


class Predictions(NamedTuple):
    """What the rollout's actions predict at the kept states whose tokens are scored.

    Attributes:
        by_theorem: float64 [n] by name, nats at unit step size.
        scored_N: bool, which of the kept states they belong to.
        acting_n: bool, advantage not 0: the states whose own action says anything.
    """

    by_theorem: dict[str, Tensor]
    scored_N: Tensor
    acting_n: Tensor


def exact_change(before: Snapshot, after: Snapshot) -> dict[str, Tensor]:
    """``delta``, ``lemma1`` and ``second_order`` of each kept state, float64 [N], nats."""
    parts: dict[str, list[Tensor]] = {"delta": [], "lemma1": [], "second_order": []}
    for old_NV, new_NV in zip(pieces(before.logits_NV), pieces(after.logits_NV), strict=True):
        old_NV, new_NV = old_NV.double(), new_NV.double()
        change_NV = new_NV - old_NV
        parts["delta"].append(entropy(new_NV) - entropy(old_NV))
        parts["lemma1"].append(lemma1_prediction(old_NV, change_NV))
        parts["second_order"].append(second_order_prediction(old_NV, change_NV))
    return {name: torch.cat(values) for name, values in parts.items()}


def theorem_predictions(before: Snapshot, experience: Experience, kept_BT: Tensor) -> Predictions:
    """Theorems 1 and 2 and the discriminator at the kept states whose tokens are scored."""
    scored_N = experience.mask_BT[kept_BT]
    actions_N = experience.tokens_BT[kept_BT][scored_N]
    advantages_N = experience.advantages_BT[kept_BT][scored_N].double()
    logprobs, entropies, discriminators = [], [], []
    logits_NV = before.logits_NV[scored_N]
    sizes = [len(piece) for piece in pieces(logits_NV)]
    columns = (pieces(logits_NV), actions_N.split(sizes), advantages_N.split(sizes))
    for piece_NV, action_N, advantage_N in zip(*columns, strict=True):
        exact_NV = piece_NV.double()
        logprob_NV = exact_NV.log_softmax(-1)
        logprobs.append(logprob_NV.gather(-1, action_N[:, None]).squeeze(-1))
        entropies.append(entropy(exact_NV))
        discriminators.append(discriminator_prediction(exact_NV, action_N, advantage_N))
    logprobs_N, entropy_N = torch.cat(logprobs), torch.cat(entropies)
    values = (
        state_centred_theorem1(logprobs_N, entropy_N, advantages_N),
        state_centred_theorem2(logprobs_N, entropy_N, advantages_N),
        batch_centred_theorem1(logprobs_N, advantages_N),
        batch_centred_theorem2(logprobs_N, advantages_N),
        torch.cat(discriminators),
    )
    by_theorem = dict(zip(THEOREMS, values, strict=True))
    return Predictions(by_theorem, scored_N, advantages_N != 0)


def agreements(
    prefix: str, predicted_N: Tensor, realised_N: Tensor, names: Sequence[str]
) -> dict[str, float]:
    """The statistics ``<prefix>_<name>`` that are defined."""
    values = {f"{prefix}_{name}": STATISTICS[name](predicted_N, realised_N) for name in names}
    return {key: value for key, value in values.items() if value is not None}


def summarise(prefix: str, change: dict[str, Tensor]) -> dict[str, float]:
    """Means over states of an exact change, and Lemma 1's agreement from state to state."""
    delta_N, lemma1_N = change["delta"], change["lemma1"]
    values = {f"{prefix}/{name}": float(value_N.mean()) for name, value_N in change.items()}
    values |= agreements(f"{prefix}/lemma1", lemma1_N, delta_N, tuple(STATISTICS))
    both_N = lemma1_N + change["second_order"]
    return values | agreements(f"{prefix}/second_order", both_N, delta_N, ("relative_error",))


def summarise_theorems(prefix: str, predicted: Predictions, realised_N: Tensor) -> dict[str, float]:
    """Means over states of the theorems' predictions, and their agreement from state to state.

    Agreement is over the states with a non-zero advantage, alike for every prediction: where a
    group gave no signal most predictions are 0 and have no sign.
    """
    values: dict[str, float] = {}
    realised_n, acting_n = realised_N[predicted.scored_N], predicted.acting_n
    for name, predicted_n in predicted.by_theorem.items():
        if len(predicted_n):
            values[f"{prefix}/{name}"] = float(predicted_n.mean())
            pairs = predicted_n[acting_n], realised_n[acting_n]
            values |= agreements(f"{prefix}/{name}", *pairs, UNIT_STATISTICS)
    return values


def step_means(values: dict[str, float]) -> dict[str, float]:
    """The numbers of a measurement that :func:`run_agreements` needs, as ``<set>/<name>``."""
    names = {"delta", "lemma1", *THEOREMS}
    kept = {key: value for key, value in values.items() if key.rpartition("/")[2] in names}
    return {key.removeprefix("dynamics/"): value for key, value in kept.items()}


def run_agreements(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Agreement of step means over the run: each realised change against each prediction.

    Args:
        history: one row a measured RL step with the keys ``<set>/<name>`` without ``dynamics/``.

    Returns:
        ``dynamics/<set>/<prediction>_run_<statistic>`` for the sets fixed, own and on_policy.
    """
    values: dict[str, float] = {}
    for realised in ("fixed", "own", "on_policy"):
        lemma1 = "fixed/lemma1" if realised == "fixed" else "own/lemma1"
        sources = {"lemma1": lemma1} | {name: f"own/{name}" for name in THEOREMS}
        for name, source in sources.items():
            rows = [row for row in history if source in row]
            if not rows:
                continue
            predicted_N, realised_N = (
                torch.tensor([row[key] for row in rows], dtype=torch.float64)
                for key in (source, f"{realised}/delta")
            )
            names = tuple(STATISTICS) if name == "lemma1" else UNIT_STATISTICS
            prefix = f"dynamics/{realised}/{name}_run"
            values |= agreements(prefix, predicted_N, realised_N, names)
    return values
