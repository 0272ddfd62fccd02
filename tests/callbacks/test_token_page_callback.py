"""When and where pages are written, on one rank and on two."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from experiences import rollout_of
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from lit_entropy.atomic import write_once
from lit_entropy.callbacks import TokenPage
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Experience


class PolicyModule(LightningModule):
    """Offers one given rollout an RL step, and the policy's tokenizer."""

    def __init__(self, experiences: list[Experience]) -> None:
        super().__init__()
        self.policy = Policy("chain-s")
        self.experiences = experiences

    @property
    def ranks(self) -> Ranks:
        return Ranks(self.trainer.global_rank, self.trainer.world_size, self.device)

    def stopwatch(self, name: str) -> nullcontext[None]:
        return nullcontext()

    def log_values(self, values: dict[str, float]) -> None:
        assert values == {}  # a page has no numbers

    def train_dataloader(self) -> list[int]:
        return [0, 1]

    def on_train_epoch_start(self) -> None:
        experience = self.experiences[self.current_epoch % len(self.experiences)]
        self.rollout = rollout_of(experience, 4, self.current_epoch + 1)

    def training_step(self, batch: int, batch_idx: int) -> torch.Tensor:
        return sum((weight.sum() for weight in self.policy.parameters()), torch.zeros(()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class StopAt(Callback):
    """An end of the fit that nobody knows beforehand."""

    def __init__(self, rl_step: int) -> None:
        self.rl_step = rl_step

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.rl_step


@pytest.fixture
def run(
    tmp_path: Path, make_experience: Callable[..., Experience]
) -> Callable[..., dict[str, bytes]]:
    """``run(callbacks, name, seed, loggers, **options)`` -> the pages by file name."""

    def start(
        *callbacks: Callback,
        name: str = "run",
        seed: int = 0,
        loggers: list[Logger] | None = None,
        **options: Any,
    ) -> dict[str, bytes]:
        trainer = Trainer(
            logger=[CSVLogger(tmp_path, name=name, version=""), *(loggers or [])],
            callbacks=list(callbacks),
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            log_every_n_steps=1,
            **{"devices": 1, "max_epochs": 7} | options,
        )
        trainer.fit(PolicyModule([make_experience(P=3, T=8, seed=seed + k) for k in range(7)]))
        files = (tmp_path / name / "tokens").iterdir()
        return {path.name: path.read_bytes() for path in files}

    return start


def test_the_first_every_third_and_the_last(run: Callable[..., dict[str, bytes]]) -> None:
    pages = run(TokenPage(every=3))
    assert sorted(pages) == [f"step_0000{step}.html" for step in (1, 3, 6, 7)]
    assert len(set(pages.values())) == 4
    text = pages["step_00003.html"].decode()
    assert text.startswith("<!DOCTYPE html>") and "<code>run</code>, RL step 3" in text


def test_the_last_step_of_an_early_stop(run: Callable[..., dict[str, bytes]]) -> None:
    pages = run(TokenPage(every=3), StopAt(5))
    assert sorted(pages) == [f"step_0000{step}.html" for step in (1, 3, 5)]
    # the page of RL step 5 is that of its rollout
    assert pages["step_00005.html"] == run(TokenPage(every=5), name="x/run")["step_00005.html"]


def test_two_processes_write_the_page_of_one(run: Callable[..., dict[str, bytes]]) -> None:
    one = run(TokenPage(every=2), name="a/run", max_epochs=2)
    two = run(TokenPage(every=2), name="b/run", max_epochs=2, devices=2, strategy="ddp_fork")
    assert sorted(one) == ["step_00001.html", "step_00002.html"]
    assert one == two


def test_other_content_never_replaces_a_page(run: Callable[..., dict[str, bytes]]) -> None:
    first = run(TokenPage(), max_epochs=1)
    assert run(TokenPage(), max_epochs=1) == first  # the same rollout, the same bytes
    with pytest.warns(UserWarning, match=r"step_00001-2\.html"):
        second = run(TokenPage(), max_epochs=1, seed=1)
    assert sorted(second) == ["step_00001-2.html", "step_00001.html"]
    assert second["step_00001.html"] == first["step_00001.html"] != second["step_00001-2.html"]
    assert run(TokenPage(), max_epochs=1, seed=1) == second


def test_a_page_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_once(tmp_path / "tokens", "step_00001", ".html", b"<p>page</p>")
    assert list((tmp_path / "tokens").iterdir()) == []


def test_wandb_gets_the_same_page(
    run: Callable[..., dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = WandbLogger(save_dir=tmp_path / "wandb", offline=True)
    pages = run(TokenPage(), loggers=[logger], max_epochs=2)
    summary = json.loads(json.dumps(dict(logger.experiment.summary), default=dict))
    logger.experiment.finish()
    assert summary["tokens/page"]["_type"] == "html-file"
    sent = [path.read_bytes() for path in (tmp_path / "wandb").rglob("*.html")]
    assert sorted(sent) == sorted(pages.values()) and len(sent) == 2


def test_bad_arguments_and_a_module_without_tokenizer_are_refused(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience]
) -> None:
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        TokenPage(every=0)
    with pytest.raises(ValueError, match="responses must be at least 1, got 0"):
        TokenPage(responses=0)
    with pytest.raises(ValueError, match=r"RolloutModule has no policy\.tokenizer"):
        run_rollouts([TokenPage()], [make_experience()], 4)
