"""The summary figure holds the numbers of the history; the callback writes it after a fit."""

import io
import warnings

import lightning as L
import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from rich.console import Console

from lit_entropy.callbacks.summary import RunSummary, summary_table
from lit_entropy.figures.style import METHOD_COLOURS, method_colour, paper_style
from lit_entropy.figures.summary import summary_figure
from lit_entropy.tracking.csv_logger import RunLogger

NAN = float("nan")


def history() -> dict[str, np.ndarray]:
    return {
        "step": np.array([0.0, 1.0, 2.0, 3.0]),
        "entropy/token_mean": np.array([NAN, 0.5, 0.3, 0.2]),
        "val/accuracy": np.array([0.25, NAN, 0.5, NAN]),
        "val/accuracy_se": np.array([0.05, NAN, 0.1, NAN]),
        "rollout/reward": np.array([NAN, 0.3, 0.4, 0.6]),
        "rollout/accuracy": np.array([NAN, 0.3, 0.4, 0.6]),
        "val/pass@8": np.array([0.5, NAN, 0.625, NAN]),
        "val/pass@16": np.array([0.75, NAN, 0.875, NAN]),
        "val/pass@8_se": np.array([0.01, NAN, 0.02, NAN]),
        "dynamics/delta": np.array([NAN, NAN, -0.2, -0.1]),
        "dynamics/predicted_theorem2": np.array([NAN, NAN, -0.4, -0.3]),
        "dynamics/slope": np.array([NAN, NAN, 0.5, 0.4]),
    }


def line_of(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_panels_show_the_logged_numbers():
    entropy, accuracy, change, *_ = summary_figure(history()).axes
    np.testing.assert_array_equal(entropy.lines[0].get_xydata(), [[1, 0.5], [2, 0.3], [3, 0.2]])
    greedy = line_of(accuracy, "greedy, held out")
    np.testing.assert_array_equal(greedy.get_xydata(), [[0, 0.25], [2, 0.5]])
    band = accuracy.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.152)  # 0.25 - 1.96 * 0.05
    assert band[:, 1].max() == pytest.approx(0.696)  # 0.5 + 1.96 * 0.1
    names = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert names[-1] == "95 % interval"
    reward = line_of(accuracy, "reward, rollout")
    np.testing.assert_array_equal(reward.get_ydata(), [0.3, 0.4, 0.6])
    # Theorem 2 as it is logged, in nats for a unit step; realised in 10^-3 nats
    np.testing.assert_allclose(
        change.collections[0].get_offsets(), [[-0.4, -200], [-0.3, -100]], rtol=1e-12
    )
    # through the origin: (0.4 * 0.2 + 0.3 * 0.1) / (0.4^2 + 0.3^2) = 0.11 / 0.25
    assert line_of(change, "slope 0.44, fitted here").get_slope() == pytest.approx(440)
    assert change.get_title(loc="left") == "(c)  fixed states"


def test_what_is_measured_at_the_same_states_has_two_panels():
    numbers = history() | {
        "dynamics/fixed/delta": np.array([NAN, -0.02, NAN, -0.01]),
        "dynamics/fixed/lemma1": np.array([NAN, -0.021, NAN, -0.0105]),
        "dynamics/own/delta": np.array([NAN, -0.03, NAN, -0.01]),
        "dynamics/own/theorem2_batch": np.array([NAN, -3.0, NAN, -1.0]),
    }
    _, _, lemma, theorem, *_ = summary_figure(numbers).axes
    np.testing.assert_allclose(
        lemma.collections[0].get_offsets(), [[-21, -20], [-10.5, -10]], rtol=1e-12
    )
    assert lemma.get_xlim() == lemma.get_ylim() and "Lemma 1" in lemma.get_xlabel()
    assert line_of(lemma, "y = x").get_slope() == 1  # Lemma 1 has no free scale
    np.testing.assert_allclose(
        theorem.collections[0].get_offsets(), [[-3, -30], [-1, -10]], rtol=1e-12
    )
    assert line_of(theorem, "slope 0.01, fitted here").get_slope() == pytest.approx(10)
    titles = [panel.get_title(loc="left") for panel in (lemma, theorem)]
    assert titles == ["(c)  fixed states", "(d)  states of the rollout"]


def test_a_run_of_one_step_is_seen_and_has_no_slope():
    numbers = {key: values[:2] for key, values in history().items()} | {
        "dynamics/fixed/delta": np.array([NAN, -0.02]),
        "dynamics/fixed/lemma1": np.array([NAN, -0.021]),
        "dynamics/own/delta": np.array([NAN, -0.03]),
        "dynamics/own/theorem2_batch": np.array([NAN, -3.0]),
    }
    entropy, accuracy, lemma, theorem, bar, _ = summary_figure(numbers).axes
    assert entropy.lines[0].get_marker() == "o" and entropy.get_ylim() == (0, 0.525)
    assert line_of(accuracy, "reward, rollout").get_marker() == "o"
    # of one validation a bar in place of a band: 0.25 -+ 1.96 * 0.05
    ends = accuracy.collections[0].get_segments()[0]
    np.testing.assert_allclose(ends, [[0, 0.152], [0, 0.348]])
    # every axis that counts RL steps does so in whole ones
    for axis in (entropy.xaxis, accuracy.xaxis, bar.yaxis):
        low, high = axis.get_view_interval()
        shown = [at for at in axis.get_ticklocs() if low <= at <= high]
        assert shown in ([1.0], [0.0, 1.0])
    low, high = lemma.get_xlim()
    assert low < -21 and high > 0  # from zero: a twentieth off is seen as one
    labels = [text.get_text() for text in theorem.get_legend().get_texts()]
    assert labels == ["one RL step: no slope"]


def test_missing_numbers_are_named():
    axes = summary_figure({"step": np.array([1.0]), "cov/mean": np.array([0.1])}).axes
    texts = ["\n".join(text.get_text() for text in panel.texts) for panel in axes]
    assert "entropy/token_mean" in texts[0]
    assert "val/accuracy" in texts[1] and "rollout/reward" in texts[1]
    assert "dynamics/delta" in texts[2] and "dynamics/predicted_theorem2" in texts[2]
    with pytest.raises(ValueError, match="no 'step'"):
        summary_figure({"cov/mean": np.array([0.1])})


def test_columns_without_a_finite_number_count_as_missing():
    numbers = {key: np.full(4, NAN) for key in history()} | {"step": np.arange(4.0)}
    assert all(panel.texts for panel in summary_figure(numbers).axes)


def test_every_axis_is_labelled_and_text_stays_inside():
    figure = summary_figure(history())
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] == 7.0
    for axes in figure.axes[:3]:
        assert axes.get_xlabel() and axes.get_ylabel()
        box = axes.get_tightbbox()
        assert box.x0 >= -1 and box.x1 <= figure.bbox.width + 1  # pixels


def test_style_is_local_and_methods_have_distinct_colours():
    before = dict(matplotlib.rcParams)
    with paper_style():
        assert matplotlib.rcParams["font.size"] == 8
    assert dict(matplotlib.rcParams) == before
    colours = [to_rgb(colour) for colour in METHOD_COLOURS.values()]
    assert len(set(colours)) == len(colours)
    assert method_colour("KL-Cov") == METHOD_COLOURS["KL-Cov"]
    assert method_colour("my method") == METHOD_COLOURS["other"]


def test_table_holds_first_and_last_numbers():
    stream = io.StringIO()
    Console(file=stream, width=100).print(summary_table(history(), 12.34, "run"))
    lines = {
        line.split("│")[1].strip(): line for line in stream.getvalue().splitlines() if "│" in line
    }
    assert list(lines) == [
        "entropy, token mean (nats)",
        "accuracy, rollout",
        "accuracy, held out (greedy)",
        "pass@8, held out",  # in the order of k, without the standard errors
        "pass@16, held out",
    ]
    assert "0.5 (step 1)" in lines["entropy, token mean (nats)"]
    assert "0.2 (step 3)" in lines["entropy, token mean (nats)"]
    assert "0.25 (step 0)" in lines["accuracy, held out (greedy)"]
    assert "wall time of this fit: 12.3 s" in stream.getvalue()


def test_the_table_shows_windows_of_what_is_logged_at_every_step():
    steps = np.arange(41.0)
    numbers = {
        "step": steps,
        "entropy/token_mean": np.where(steps == 0, NAN, steps),
        "val/accuracy": np.where(steps % 20 == 0, steps / 100, NAN),
    }
    stream = io.StringIO()
    Console(file=stream, width=120).print(summary_table(numbers, 1.0, "run"))
    printed = stream.getvalue()
    assert "2.5 (steps 1-4)" in printed and "38.5 (steps 37-40)" in printed
    assert "0 (step 0)" in printed and "0.4 (step 40)" in printed


def test_the_base_alone_is_no_last_value():
    numbers = history() | {"val/accuracy": np.array([0.25, NAN, NAN, NAN])}
    table = summary_table(numbers, 1.0, "run")
    first, last = (list(table.columns[index].cells) for index in (1, 2))
    row = list(table.columns[0].cells).index("accuracy, held out (greedy)")
    assert (first[row], last[row]) == ("0.25 (step 0)", "- (not measured after step 0)")
    row = list(table.columns[0].cells).index("pass@8, held out")
    assert (first[row], last[row]) == ("0.5 (step 0)", "0.625 (step 2)")


class Tiny(L.LightningModule):
    """Logs an entropy that halves every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.ones(2, 1))

    def training_step(self, batch, batch_idx):
        return self.layer(batch).sum()

    def on_train_epoch_end(self):
        self.log("step", float(self.current_epoch + 1))
        self.log("entropy/token_mean", 0.5**self.current_epoch)
        self.trainer.should_stop = self.current_epoch == 1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_callback_writes_and_prints_after_an_early_stop(tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            max_epochs=9, accelerator="cpu", logger=RunLogger(str(tmp_path), "run"),
            callbacks=[RunSummary()], enable_progress_bar=False, enable_checkpointing=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(Tiny())
    png, pdf = (tmp_path / "run" / "figures" / f"summary.{end}" for end in ("png", "pdf"))
    assert png.read_bytes().startswith(b"\x89PNG") and pdf.read_bytes().startswith(b"%PDF")
    printed = capsys.readouterr().out
    assert "1 (step 1)" in printed and "0.5 (step 2)" in printed
    assert f"run: {tmp_path / 'run'}" in printed
