"""The table of samples a validation writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from lit_entropy.atomic import write_once
from lit_entropy.callbacks import Samples
from lit_entropy.callbacks.samples import to_lines

COLUMNS = ["prompt", "response", "reward", "correct", "difficulty"]


class ValidatedModule(LightningModule):
    """Three responses a validation, with the number of validations in the text."""

    def __init__(self, text: str = "try") -> None:
        super().__init__()
        self.text = text
        self.weight = torch.nn.Parameter(torch.ones(1))

    def train_dataloader(self) -> list[int]:
        return [0]

    def val_dataloader(self) -> list[int]:
        return [0]

    def training_step(self, batch: int, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def validation_step(self, batch: int, batch_idx: int) -> None: ...

    def on_validation_epoch_end(self) -> None:
        self.validation_samples = [
            {
                "prompt": f"{row}+1",
                "response": f"{self.text} {self.current_epoch} <b>\n\x1b[31m\u202e\ud800",
                "reward": 0.5,
                "correct": row == 0,
                "difficulty": row,
            }
            for row in range(3)
        ]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(callback: Samples, module: LightningModule, *loggers: Logger, **options: Any) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=list(loggers),
        callbacks=[callback],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        **{"max_epochs": 4, "check_val_every_n_epoch": 2, "num_sanity_val_steps": 1} | options,
    )
    trainer.fit(module)
    return trainer


def test_one_file_a_validation(tmp_path: Path) -> None:
    trainer = fit(Samples(rows=2), ValidatedModule(), CSVLogger(tmp_path))
    folder = Path(str(trainer.log_dir)) / "samples"
    # validations after two and four RL steps; the sanity check writes nothing
    assert sorted(path.name for path in folder.iterdir()) == [
        "step_00002.jsonl",
        "step_00004.jsonl",
    ]
    text = (folder / "step_00004.jsonl").read_bytes()
    assert text.isascii() and b"\x1b" not in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    assert rows[1] == {
        "prompt": "1+1",
        "response": "try 3 <b>\n\x1b[31m\u202e\ud800",
        "reward": 0.5,
        "correct": False,
        "difficulty": 1,
    }


def test_a_validation_outside_of_training_has_its_own_name(tmp_path: Path) -> None:
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=[Samples()],
        default_root_dir=tmp_path,
        enable_progress_bar=False,
    )
    module = ValidatedModule()
    trainer.validate(module, verbose=False)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["validate.jsonl"]
    for module.policy_name in ("base", "quickstart-seed0/last", "../\n"):  # of several policies
        trainer.validate(module, verbose=False)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "validate-base.jsonl", "validate-quickstart-seed0-last.jsonl", "validate.jsonl",
    ]  # fmt: skip


def test_without_a_logger_the_root_folder_is_used(tmp_path: Path) -> None:
    fit(Samples(), ValidatedModule(), default_root_dir=tmp_path)
    assert (tmp_path / "samples" / "step_00002.jsonl").exists()


def test_other_content_never_replaces_a_file(tmp_path: Path) -> None:
    def again(text: str) -> list[str]:
        fit(Samples(), ValidatedModule(text), default_root_dir=tmp_path, max_epochs=2)
        return sorted(path.name for path in (tmp_path / "samples").iterdir())

    assert again("one") == ["step_00002.jsonl"]
    before = (tmp_path / "samples" / "step_00002.jsonl").read_bytes()
    assert again("one") == ["step_00002.jsonl"]
    with pytest.warns(UserWarning, match=r"step_00002-2\.jsonl"):
        assert again("two") == ["step_00002-2.jsonl", "step_00002.jsonl"]
    assert again("two") == ["step_00002-2.jsonl", "step_00002.jsonl"]
    assert (tmp_path / "samples" / "step_00002.jsonl").read_bytes() == before


def test_wandb_gets_one_capped_table_a_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    module = ValidatedModule("x" * 50)
    module.on_validation_epoch_end = lambda: setattr(  # type: ignore[method-assign]
        module,
        "validation_samples",
        [
            {
                "prompt": [{"role": "user", "content": "1+1"}],
                "response": "x" * 50,
                "reward": 1.0,
                "correct": True,
                "difficulty": 2,
            }
        ],
    )
    fit(Samples(max_characters=44), module, logger)
    logger.experiment.finish()
    tables = [json.loads(path.read_text()) for path in tmp_path.rglob("*.table.json")]
    expected = ['[{"role": "user", "content": "1+1"}]', "x" * 44 + " [6 more]", 1.0, True, 2]
    assert [table["columns"] for table in tables] == [COLUMNS, COLUMNS]
    assert [table["data"] for table in tables] == [[expected], [expected]]


@given(st.lists(st.text(), max_size=4))
def test_lines_round_trip(texts: list[str]) -> None:
    samples = [{"response": text} for text in texts]
    lines = to_lines(samples)
    assert lines.isascii() and lines.count("\n") == len(texts)
    assert [json.loads(line) for line in lines.splitlines()] == samples


def test_a_number_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_lines([{"reward": float("nan")}])
    assert write_once(tmp_path, "step", ".jsonl", b"a\n").read_text() == "a\n"
    assert [path.name for path in tmp_path.iterdir()] == ["step.jsonl"]


def test_bad_arguments_and_a_silent_module_are_refused(tmp_path: Path) -> None:
    for name in ("rows", "max_characters"):
        with pytest.raises(ValueError, match=name):
            Samples(**{name: 0})

    class Silent(ValidatedModule):
        def on_validation_epoch_end(self) -> None: ...

    with pytest.raises(ValueError, match="Silent has no validation_samples"):
        fit(Samples(), Silent(), default_root_dir=tmp_path)
