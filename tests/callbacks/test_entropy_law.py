"""The law live: which accuracy meets which entropy, what is logged, resumed and written."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from experiences import rollout_of, whole_experience
from lightning.pytorch.callbacks import ModelCheckpoint
from runs import fit as run_fit
from runs import metrics

from lit_entropy.callbacks import EntropyLaw, InitialValidation, entropy_law
from lit_entropy.callbacks.entropy_law import LAW_FILE
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.bootstrap import LawIntervals, bootstrap
from lit_entropy.functional.law import fit, pairs
from lit_entropy.functional.law_report import report
from lit_entropy.tracking.csv_logger import RunLogger, read_metrics
from lit_entropy.tracking.step_axis import StepAxis

ENTROPIES = [0.6, 0.5, 0.42, 0.3, 0.21, 0.2, 0.11]
ACCURACIES = [0.20, 0.31, 0.36, 0.50, 0.52, 0.55, 0.61, 0.60]  # the first is the base's


class Known(L.LightningModule):
    """RL step k has a rollout of entropy ENTROPIES[k - 1], then validates to ACCURACIES[k]."""

    ranks = Ranks()

    def __init__(self, entropies: Sequence[float] = ENTROPIES, validates: bool = True) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.step_axis = StepAxis()
        self.entropies, self.validates, self.rl_step = entropies, validates, 0

    def train_dataloader(self) -> list[int]:
        return [0, 1]

    def val_dataloader(self) -> list[int]:
        return [0] if self.validates else []

    def setup(self, stage: str) -> None:
        self.step_axis.attach(self.trainer.loggers)

    def on_train_epoch_start(self) -> None:
        self.rl_step = self.current_epoch + 1
        mask_BT = torch.tensor([[True, True], [True, False]])
        entropy = self.entropies[self.current_epoch]
        # token mean = entropy over the three tokens; padding is NaN and enters nowhere
        rows = [[entropy - 0.1, entropy], [entropy + 0.1, math.nan]]
        experience = whole_experience(
            mask_BT,
            entropies_BT=torch.tensor(rows, dtype=torch.float64),
            correct_B=torch.tensor([True, self.current_epoch % 2 == 0]),
        )
        self.rollout = rollout_of(experience, 2, self.rl_step)

    def stopwatch(self, name: str) -> nullcontext[None]:
        return nullcontext()

    def training_step(self, batch: int, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def on_train_epoch_end(self) -> None:
        self.log_values({"entropy/token_mean": self.entropies[self.current_epoch]})
        self.step_axis.write(self.trainer.loggers, self.rl_step, self.trainer.global_step)

    def on_validation_epoch_start(self) -> None:
        self.records = [ACCURACIES[self.rl_step]]

    def validation_step(self, batch: int, batch_idx: int) -> None:
        pass

    def validation_metrics(self) -> dict[str, float]:
        metrics = {"val/accuracy": self.records[-1], "val/length": 3.0}
        if self.rl_step in (0, 2, 3, 6):  # a score of some validations alone
            metrics["val/avg@4"] = self.records[-1] / 2
        return metrics

    def on_validation_epoch_end(self) -> None:
        self.log_values(self.validation_metrics())

    def log_values(self, values: dict[str, float]) -> None:
        self.step_axis.add(values)

    def teardown(self, stage: str) -> None:
        self.step_axis.detach(self.trainer.loggers)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Data(L.LightningDataModule):
    def train_dataloader(self) -> list[int]:
        return [0, 1]

    def val_dataloader(self) -> list[int]:
        return [0]


def run(
    folder: Path, module: Known | None = None, law: EntropyLaw | None = None, **options: Any
) -> dict[str, np.ndarray]:
    module = module or Known()
    first = [InitialValidation()] if module.validates else []
    checkpoint = ModelCheckpoint(
        folder / "checkpoints", "{epoch}", every_n_epochs=1, save_top_k=-1,
        save_on_train_epoch_end=True,
    )  # fmt: skip
    path = options.pop("ckpt_path", None)
    defaults: dict[str, Any] = {"max_epochs": len(ENTROPIES), "num_sanity_val_steps": 0}
    trainer = L.Trainer(
        accelerator="cpu", devices=1, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[law or EntropyLaw(), *first, checkpoint],
        logger=RunLogger(str(folder), "run"), **(defaults | options),
    )  # fmt: skip
    if module.validates:
        trainer.fit(module, datamodule=Data(), ckpt_path=path)
    else:
        trainer.fit(module, ckpt_path=path)
    return read_metrics(folder / "run")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


def test_a_validation_is_bootstrapped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys and the warning have one and the same intervals."""
    law = EntropyLaw(resamples=19)
    made: list[LawIntervals] = []

    def counted(*arguments: Any, **options: Any) -> LawIntervals:
        made.append(bootstrap(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(entropy_law, "bootstrap", counted)
    for step in range(11):
        entropy = 1 - 0.08 * step
        accuracy = 0.9 - 0.3 * math.exp(entropy) + 0.01 * (-1) ** step
        law._rows.append(
            {"step": step, entropy_law.ENTROPY: entropy + 0.08, "val/accuracy": accuracy}
        )
    mask_BT = torch.ones(2, 2, dtype=torch.bool)
    experience = whole_experience(mask_BT, entropies_BT=torch.full((2, 2), 0.2))
    values = law.on_rollout(rollout_of(experience, 2, 11), Ranks())
    assert len(made) == 1
    assert (values["law/ceiling_low"], values["law/ceiling_high"]) == made[0].ceiling


def test_a_validation_meets_the_entropy_of_the_next_rollout(whole: Path) -> None:
    history = read_metrics(whole / "run")
    assert history["step"].tolist() == list(range(8))
    for step in range(8):
        logged = {
            key: history[key][step]
            for key in EntropyLaw().keys
            if not math.isnan(history[key][step])
        }
        if step < 3:  # two pairs at most
            assert logged == {}
            continue
        # pair i is (ACCURACIES[i], ENTROPIES[i]): both of the policy after i RL steps
        H, R = np.array(ENTROPIES[:step]), np.array(ACCURACIES[:step])
        slope, intercept = np.polyfit(np.exp(H), R, 1)
        expected = {"a": -slope, "b": intercept, "ceiling": intercept + slope}
        expected["rmse"] = np.sqrt(np.mean((R - intercept - slope * np.exp(H)) ** 2))
        expected["r2"] = np.corrcoef(np.exp(H), R)[0, 1] ** 2
        if step > 3:  # three pairs bound nothing, and have no earlier fit
            slope, intercept = np.polyfit(np.exp(H[:-1]), R[:-1], 1)
            expected["forecast_error"] = R[-1] - intercept - slope * np.exp(H[-1])
            interval = bootstrap(H, R).ceiling
            expected |= {"ceiling_low": interval.low, "ceiling_high": interval.high}
        assert logged == pytest.approx({f"law/{k}": v for k, v in expected.items()}, rel=1e-9)


def test_law_json_is_the_report_of_the_table(whole: Path) -> None:
    written = json.loads((whole / "run" / LAW_FILE).read_text())
    history = read_metrics(whole / "run")
    found = pairs(history)
    assert found.step_N.tolist() == [0, 1, 2, 3, 4, 5, 6]  # the last validation has no rollout
    validation = written["validation"]
    assert validation.pop("accuracy") == "val/accuracy"
    expected = report(found)
    for key in ("step_N", "entropy_N", "accuracy_N"):
        values = validation["pairs"][key]
        assert values == pytest.approx(expected["pairs"][key], rel=1e-9)
    assert validation["fit"] == pytest.approx(expected["fit"], rel=1e-9)
    assert validation["forecast"]["fitted"] == 3
    assert validation["caveats"] == ["The fit rests on 7 pairs: its intervals are rough."]
    rollout = written["rollout"]
    assert rollout["pairs"]["step_N"] == [1, 2, 3, 4, 5, 6, 7]
    assert rollout["pairs"]["accuracy_N"] == [1, 0.5, 1, 0.5, 1, 0.5, 1]
    assert rollout["pairs"]["entropy_N"] == validation["pairs"]["entropy_N"]


@pytest.mark.parametrize("done", [1, 3, 6])
def test_a_resumed_run_equals_the_uninterrupted_one(whole: Path, tmp_path: Path, done: int) -> None:
    run(tmp_path, max_epochs=done)
    path = tmp_path / "checkpoints" / f"epoch={done - 1}.ckpt"
    assert torch.load(path, weights_only=True)["callbacks"]["EntropyLaw"]["rows"]
    resumed, expected = run(tmp_path, ckpt_path=str(path)), read_metrics(whole / "run")
    assert resumed.keys() == expected.keys()
    for key in expected:
        np.testing.assert_array_equal(resumed[key], expected[key], err_msg=key)
    assert (tmp_path / "run" / LAW_FILE).read_text() == (whole / "run" / LAW_FILE).read_text()


def test_without_validation_only_the_rollouts_are_fitted(tmp_path: Path) -> None:
    history = run(tmp_path, Known(validates=False))
    assert not [key for key in history if key.startswith("law/")]
    assert list(json.loads((tmp_path / "run" / LAW_FILE).read_text())) == ["rollout"]


def test_too_few_or_equal_entropies_log_and_write_nothing(tmp_path: Path) -> None:
    for name, module, steps in (("few", Known(), 2), ("equal", Known([0.5] * 7), 7)):
        history = run(tmp_path / name, module, max_epochs=steps)
        assert not [key for key in history if key.startswith("law/")]
        assert not (tmp_path / name / "run" / LAW_FILE).exists()


def test_sparse_validations_log_where_a_pair_is_complete(tmp_path: Path) -> None:
    history = run(tmp_path, check_val_every_n_epoch=2)
    # validated at 0, 2, 4, 6: pairs complete at 1, 3, 5, 7
    assert np.flatnonzero(~np.isnan(history["law/a"])).tolist() == [5, 7]
    law = fit([ENTROPIES[i] for i in (0, 2, 4)], [ACCURACIES[i] for i in (0, 2, 4)])
    assert history["law/ceiling"][5] == pytest.approx(law.ceiling, rel=1e-9)


def test_a_score_of_some_validations_is_never_taken_from_an_earlier_one(tmp_path: Path) -> None:
    run(tmp_path, law=EntropyLaw("val/avg@4"))
    found = json.loads((tmp_path / "run" / LAW_FILE).read_text())["validation"]["pairs"]
    assert found["step_N"] == [0, 2, 3, 6]
    assert found["accuracy_N"] == [ACCURACIES[step] / 2 for step in (0, 2, 3, 6)]


def test_entropy_that_rises_is_warned_about_once(tmp_path: Path) -> None:
    rising = sorted(ENTROPIES)
    with pytest.warns(UserWarning, match="EntropyLaw at RL step 6: Entropy does not fall") as found:
        run(tmp_path, Known(rising))
    assert len([w for w in found if "EntropyLaw" in str(w.message)]) == 1


def test_ten_pairs_warn_during_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lit_entropy.callbacks.entropy_law.FEW", 5)
    law = EntropyLaw()
    with pytest.warns(UserWarning, match="EntropyLaw at RL step 4") as found:
        run(tmp_path, Known(sorted(ENTROPIES)), law)
    assert len([w for w in found if "EntropyLaw" in str(w.message)]) == 1
    assert law.state_dict()["warned"] is True


def test_a_second_fit_forgets_the_steps_it_repeats(tmp_path: Path) -> None:
    law = EntropyLaw()
    run(tmp_path / "one", law=law)
    first = law.state_dict()
    run(tmp_path / "two", law=law)
    assert law.state_dict() == first
    first["rows"][0]["step"] = 9.0
    assert law.state_dict()["rows"][0]["step"] == 0.0  # a copy


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="accuracy='rollout/accuracy'"):
        EntropyLaw("rollout/accuracy")
    with pytest.raises(ValueError, match="resamples=0"):
        EntropyLaw(resamples=0)
    with pytest.raises(
        ValueError,
        match=r"'val/avg@8' is not logged.*\['val/accuracy', 'val/avg@4', 'val/length'\]",
    ):
        run(tmp_path, law=EntropyLaw("val/avg@8"))


def test_a_real_run(tmp_path: Path) -> None:
    """The pairs of the callback are, bit for bit, those of the table."""
    options = ["--trainer.max_epochs=4", "--trainer.check_val_every_n_epoch=1"]
    law = "--trainer.callbacks+=lit_entropy.callbacks.EntropyLaw"
    run_fit(tmp_path, *options, law, "--trainer.callbacks.accuracy=val/avg@8")
    history = metrics(tmp_path)
    written = json.loads((tmp_path / "quickstart-seed0" / LAW_FILE).read_text())
    kinds = {"validation": ("val/avg@8", 1), "rollout": ("rollout/accuracy", 0)}
    for name, (accuracy, offset) in kinds.items():
        found = pairs(history, accuracy, offset=offset)
        assert len(found.step_N) == 4
        for key, value_N in found._asdict().items():
            assert written[name]["pairs"][key] == value_N.tolist()
    found = pairs(history, "val/avg@8")
    law_fit = fit(found.entropy_N, found.accuracy_N)
    assert history["law/ceiling"][4] == law_fit.ceiling and history["law/a"][4] == law_fit.a
