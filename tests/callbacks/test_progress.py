"""The bar over RL steps: its plain lines, its terminal form, and what it does without metrics."""

import io
import warnings

import lightning as L
import pytest
import torch
from rich.console import Console

from lit_entropy.callbacks.progress import RLProgressBar, describe


class Counter(L.LightningModule):
    """Logs the RL step itself as every metric, some of them in the last hook of the epoch."""

    def __init__(self, fail_at: int = 0, keys: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.layer, self.fail_at, self.keys = torch.nn.Linear(1, 1), fail_at, keys

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.ones(2, 1))

    def training_step(self, batch, batch_idx):
        if self.current_epoch + 1 == self.fail_at:
            raise RuntimeError("stop here")
        return self.layer(batch).sum()

    def on_train_epoch_end(self):
        for key in self.keys:
            self.log(key, float(self.current_epoch + 1))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def output_of(module, bar, terminal, epochs=5, **options) -> str:
    stream = io.StringIO()
    bar._console = Console(file=stream, force_terminal=terminal, width=120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_model_summary=False, callbacks=[bar], **options,
        )  # fmt: skip
        try:
            trainer.fit(module)
        except RuntimeError as error:
            assert "stop here" in str(error)
    return stream.getvalue()


def test_plain_lines_hold_the_numbers_of_their_own_step():
    module = Counter(keys=("rollout/reward", "time/tokens_per_second"))
    lines = output_of(module, RLProgressBar(print_every=2), terminal=False).splitlines()
    assert lines == [
        "RL step 2/5  reward 2.000  tok/s 2",
        "RL step 4/5  reward 4.000  tok/s 4",
        "RL step 5/5  reward 5.000  tok/s 5",
    ]


def test_terminal_shows_one_bar_with_the_last_numbers():
    module = Counter(keys=("entropy/token_mean", "cov/mean"))
    text = output_of(module, RLProgressBar(), terminal=True)
    assert "RL step 5/5" in text
    assert "H 5.000" in text and "cov 5.0e+00" in text
    assert "\x1b[?25h" in text  # the cursor is given back


def test_missing_metrics_are_skipped():
    assert output_of(Counter(), RLProgressBar(print_every=5), terminal=False) == "RL step 5/5\n"


def test_exception_gives_the_terminal_back():
    bar = RLProgressBar()
    text = output_of(Counter(fail_at=2), bar, terminal=True)
    assert "\x1b[?25h" in text
    assert bar._progress is None


def test_other_ranks_are_silent():
    bar = RLProgressBar(print_every=1)
    bar.disable()
    assert output_of(Counter(), bar, terminal=False) == ""
    assert output_of(Counter(), bar, terminal=True) == ""


def test_describe_orders_and_formats():
    metrics = {
        "time/tokens_per_second": torch.tensor(12345.6),
        "cov/mean": 0.00312,
        "entropy/token_mean": torch.tensor(0.25),
        "val/accuracy": 0.5,
        "rollout/reward": float("nan"),
        "law/ceiling": torch.tensor(0.8125, dtype=torch.float64),
        "other": 1.0,
    }
    assert describe(metrics) == (
        "reward nan  val acc 0.500  H 0.250  cov 3.1e-03  ceiling 0.812  tok/s 12,346"
    )
    assert describe({}) == ""


def test_print_every_is_checked():
    with pytest.raises(ValueError, match="print_every=0"):
        RLProgressBar(print_every=0)
