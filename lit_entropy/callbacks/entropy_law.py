"""The law R = -a exp(H) + b, fitted while the run goes on."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from lit_entropy.atomic import atomic_write
from lit_entropy.callbacks.base import RolloutCallback, trained_module, trained_run
from lit_entropy.callbacks.initial_validation import InitialValidation
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.bootstrap import LawIntervals, bootstrap
from lit_entropy.functional.law import MINIMUM, Pairs, fit, has_spread, pairs
from lit_entropy.functional.law_report import FEW, caveats, report
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import State

LAW_FILE = "law.json"
ENTROPY = "entropy/token_mean"
ROLLOUT_ACCURACY = "rollout/accuracy"


class EntropyLaw(RolloutCallback):
    """Fits the law of arXiv 2505.22617 (eq. 6) to this run's pairs of accuracy and entropy.

    A pair is the accuracy R of the validation after RL step k and the entropy H of rollout k + 1:
    one policy. It is complete, and the keys are logged, at RL step k + 1, from three pairs on.

    ================== ==================================================================== ========
    key                formula                                                              unit
    ================== ==================================================================== ========
    law/a              least squares of R = -a exp(H) + b over the pairs so far             fraction
    law/b              the same fit                                                         fraction
    law/ceiling        b - a, the accuracy forecast for entropy 0                           fraction
    law/ceiling_low    its 95 % interval, block bootstrap of the residuals; left out where  fraction
    law/ceiling_high   the pairs do not bound it                                            fraction
    law/r2             share of the variance of R that the fit explains                     fraction
    law/rmse           root mean squared residual                                           fraction
    law/forecast_error R of the newest pair - the law of the earlier ones (3 or more) at    fraction
                       its H
    ================== ==================================================================== ========

    At the end of a fit ``law.json`` in the run's folder holds the fit, its intervals, the forecast
    from the first 15 % beside its rivals, the sensitivity to the window and the caveats, for these
    pairs (``validation``) and for each rollout's own accuracy and entropy (``rollout``). One
    warning names the caveats, from ten pairs on or at the end of the fit.

    Args:
        accuracy: Metric of the validation that is taken as R; ``val/avg@8`` is less noisy than the
            greedy ``val/accuracy``.
        resamples: Resamples of the bootstrap.
        seed: Key of its random numbers.

    Raises:
        ValueError: no resample, or an accuracy that no validation logs.
    """

    _rows: list[dict[str, float]]

    def __init__(self, accuracy: str = "val/accuracy", resamples: int = 999, seed: int = 0) -> None:
        if not accuracy.startswith("val/"):
            raise ValueError(f"accuracy={accuracy!r} must be a metric of validation, val/...")
        if resamples < 1:
            raise ValueError(f"resamples={resamples} must be at least 1")
        self.accuracy, self.resamples, self.seed = accuracy, resamples, seed
        self._rows, self._warned = [], False

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may be logged."""
        names = ("a", "b", "ceiling", "ceiling_low", "ceiling_high", "r2", "rmse", "forecast_error")
        return tuple(f"law/{name}" for name in names)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the base's validation, which goes to the loggers alone and not to the trainer."""
        if trainer.current_epoch == 0:
            self._rows = []
            callbacks = trained_run(trainer).callbacks
            first = any(isinstance(callback, InitialValidation) for callback in callbacks)
            if first and trainer.limit_val_batches:
                self._rows.append({"step": 0.0})
                self._add_accuracy(trained_module(pl_module).validation_metrics())

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        step = rollout.rl_step
        # another trainer's fit forgets the steps that it repeats
        self._rows = [row for row in self._rows if row["step"] < step]
        self._rows.append({"step": float(step), **_measure(rollout)})
        found = self._pairs(self.accuracy, 1)
        newest = len(found.step_N) > 0 and found.step_N[-1] == step - 1
        if newest and _has_fit(found):
            intervals = self._intervals(found)
            if len(found.step_N) >= FEW:  # with fewer, hardly any fit is identified
                self._warn(found, intervals)
            return self._values(found, intervals)
        return {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the accuracy of the policy after this RL step."""
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if fitting and self._rows:
            # of the records: trainer.callback_metrics may still hold an earlier validation's
            self._add_accuracy(trained_module(pl_module).validation_metrics())

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``law.json``, unless the run has no pairs to fit."""
        folder = trainer.log_dir  # on every rank: reading it is a collective
        kinds = {"validation": (self.accuracy, 1), "rollout": (ROLLOUT_ACCURACY, 0)}
        found = {name: self._pairs(*pairing) for name, pairing in kinds.items()}
        fitted = {name: points for name, points in found.items() if _has_fit(points)}
        if "validation" in fitted and not self._warned:
            self._warn(fitted["validation"], self._intervals(fitted["validation"]))
        if not (trainer.is_global_zero and folder and fitted):
            return
        values = {
            name: {"accuracy": kinds[name][0], **report(points, self.resamples, self.seed)}
            for name, points in fitted.items()
        }
        with atomic_write(Path(folder) / LAW_FILE) as file:
            file.write(json.dumps(values, indent=1, allow_nan=False).encode() + b"\n")

    def _add_accuracy(self, metrics: Mapping[str, float]) -> None:
        if self.accuracy in metrics:
            self._rows[-1][self.accuracy] = float(metrics[self.accuracy])
        elif not any(self.accuracy in row for row in self._rows):  # else: sampled now and then
            known = sorted(key for key in metrics if key.count("/") == 1)
            raise ValueError(
                f"EntropyLaw's accuracy={self.accuracy!r} is not logged by the validation: choose "
                f"one of {known}"
            )

    def _pairs(self, accuracy: str, offset: int) -> Pairs:
        keys = ("step", ENTROPY, accuracy)
        columns = {key: [row.get(key, np.nan) for row in self._rows] for key in keys}
        history = {key: np.array(column, dtype=np.float64) for key, column in columns.items()}
        return pairs(history, accuracy, ENTROPY, offset)

    def _intervals(self, found: Pairs) -> LawIntervals:
        _, entropy_N, accuracy_N = found
        return bootstrap(entropy_N, accuracy_N, resamples=self.resamples, seed=self.seed)

    def _values(self, found: Pairs, intervals: LawIntervals) -> dict[str, float]:
        step_N, entropy_N, accuracy_N = found
        law = fit(entropy_N, accuracy_N)
        low, high = intervals.ceiling
        values = {name: getattr(law, name) for name in ("a", "b", "ceiling", "r2", "rmse")}
        values |= {"ceiling_low": low, "ceiling_high": high}
        earlier = Pairs(step_N[:-1], entropy_N[:-1], accuracy_N[:-1])
        if _has_fit(earlier):
            expected = fit(earlier.entropy_N, earlier.accuracy_N).predict(entropy_N[-1])
            values["forecast_error"] = float(accuracy_N[-1] - expected)
        return {f"law/{name}": value for name, value in values.items() if math.isfinite(value)}

    def _warn(self, found: Pairs, intervals: LawIntervals) -> None:
        if not self._warned and (sentences := caveats(*found, intervals)):
            self._warned = True
            rank_zero_warn(f"EntropyLaw at RL step {found.step_N[-1]:.0f}: {' '.join(sentences)}")

    def state_dict(self) -> State:
        return {"rows": [dict(row) for row in self._rows], "warned": self._warned}

    def load_state_dict(self, state_dict: State) -> None:
        self._rows = [dict(row) for row in state_dict["rows"]]
        self._warned = state_dict["warned"]


def _has_fit(found: Pairs) -> bool:
    return len(found.step_N) >= MINIMUM and has_spread(found.entropy_N)


def _measure(rollout: Rollout) -> dict[str, float]:
    """Entropy (as ``EntropyMonitor``) and accuracy of a rollout's checked responses."""
    correct_B = rollout.experience.correct_B[rollout.experience.checked_B]
    values = {ENTROPY: rollout.entropy}
    return values | ({ROLLOUT_ACCURACY: float(correct_B.double().mean())} if len(correct_B) else {})
