"""The metrics table, run folders, redaction, and W&B that fails."""

import math
import multiprocessing
import netrc
import os
import re
import resource
import signal
import time
import warnings
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import wandb
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_entropy.tracking.csv_logger import (
    RunLogger,
    SafeWandbLogger,
    claim_run_folder,
    read_metrics,
    redact,
    wandb_available,
)
from lit_entropy.tracking.metrics_file import MetricsFile, read_rows
from lit_entropy.tracking.redone_rows import RedoneRows
from lit_entropy.tracking.wandb_session import check_reachable

FORK = multiprocessing.get_context("fork")


def text(folder: Path) -> str:
    return (folder / "metrics.csv").read_text()


def logger_in(folder: Path) -> RunLogger:
    return RunLogger(str(folder.parent), folder.name)


# ---------------------------------------------------------------------- the table


def test_one_row_a_step_whatever_the_number_of_calls(tmp_path):
    logger = logger_in(tmp_path)
    logger.log_metrics({"val/accuracy": 0.25}, 0)
    logger.log_metrics({"val/accuracy": 0.5}, 1)  # validation of a step comes first
    logger.log_metrics({"rollout/reward": torch.tensor(0.75)}, 1)
    logger.log_metrics({"rollout/reward": 1.0}, 2)
    assert text(tmp_path) == ("step,rollout/reward,val/accuracy\n0,,0.25\n1,0.75,0.5\n2,1.0,\n")


def test_every_call_is_on_disk_when_it_returns(tmp_path):
    """A process killed right after a call, without any exit handler, loses nothing."""

    def child() -> None:
        logger = logger_in(tmp_path)
        for step in range(1, 4):
            logger.log_metrics({"val/a": step + 0.5}, step)
            if step < 3:
                logger.log_metrics({"b": float(step)}, step)
        os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert text(tmp_path) == "step,b,val/a\n1,1.0,1.5\n2,2.0,2.5\n3,,3.5\n"
    resumed = logger_in(tmp_path)  # the resumed run completes the partial row
    resumed.log_metrics({"val/a": 3.5}, 3)
    resumed.log_metrics({"b": 3.0}, 3)
    assert text(tmp_path).endswith("\n3,3.0,3.5\n")


def test_resumed_run_gives_the_rows_of_an_uninterrupted_one(tmp_path):
    def steps(logger: RunLogger, first: int, last: int) -> None:
        for step in range(first, last + 1):
            if step % 2 == 0:
                logger.log_metrics({"val/a": math.sin(step)}, step)
            logger.log_metrics({"a": math.exp(-step), "time/step": time.perf_counter()}, step)

    steps(logger_in(tmp_path / "whole"), 1, 10)
    steps(logger_in(tmp_path / "cut"), 1, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # differing times are no reason for a warning
        steps(logger_in(tmp_path / "cut"), 5, 10)  # the last checkpoint was at step 4
    whole, cut = read_metrics(tmp_path / "whole"), read_metrics(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for key in ("step", "a", "val/a"):
        np.testing.assert_array_equal(whole[key], cut[key])


def test_a_repeated_value_that_differs_is_a_warning_and_not_lost(tmp_path):
    logger_in(tmp_path).log_metrics({"a": 1.0, "b": 2.0}, 3)
    logger = logger_in(tmp_path)
    with pytest.warns(UserWarning, match=r"RL step 3 repeats b .*2\.0 is kept.*2\.5 is not"):
        logger.log_metrics({"a": 1.0, "b": 2.5}, 3)
    assert text(tmp_path) == "step,a,b\n3,1.0,2.0\n"


def two_parts(folder: Path, again: float) -> tuple[list[str], RunLogger]:
    """RL steps 1 to 4, continued after 2 with ``a`` times ``again``; the warnings of it."""
    first = logger_in(folder)
    for step in range(1, 5):
        first.log_metrics({"a": float(step), "b": 2.0, "time/step": 1.0}, step)
    resumed = logger_in(folder)
    resumed.resume_after(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in (3, 4, 5):
            resumed.log_metrics({"a": step * again, "time/step": 7.0}, step)
            resumed.log_metrics({"b": 2.0}, step)
        resumed.finalize("success")
    return [str(warning.message) for warning in caught], resumed


def test_rows_after_the_checkpoint_are_set_aside_and_made_again(tmp_path):
    said, _ = two_parts(tmp_path, again=1.0)
    assert said == []  # times differ and are no reason
    assert text(tmp_path) == (
        "step,a,b,time/step\n1,1.0,2.0,1.0\n2,2.0,2.0,1.0\n"
        "3,3.0,2.0,7.0\n4,4.0,2.0,7.0\n5,5.0,2.0,7.0\n"
    )
    abandoned = tmp_path / "metrics-abandoned.csv"
    assert abandoned.read_text() == "step,a,b,time/step\n3,3.0,2.0,1.0\n4,4.0,2.0,1.0\n"
    logger_in(tmp_path).resume_after(5)  # nothing behind it: nothing is set aside
    logger_in(tmp_path).resume_after(4)
    assert (tmp_path / "metrics-abandoned-2.csv").read_text() == (
        "step,a,b,time/step\n5,5.0,2.0,7.0\n"
    )
    assert read_metrics(tmp_path)["step"].tolist() == [1, 2, 3, 4]
    logger_in(tmp_path).resume_after(0)
    assert not (tmp_path / "metrics.csv").exists()
    logger_in(tmp_path).log_metrics({"c": 1.0}, 1)
    assert text(tmp_path) == "step,c\n1,1.0\n"


def test_a_resume_that_is_not_exact_is_one_warning(tmp_path):
    said, _ = two_parts(tmp_path, again=1.25)
    assert said == [
        "The resume was not exact: at RL step 3 1 of 2 metrics differ from those before the "
        "resume, the most by 0.2 of its value (a: 3, now 3.75). "
        f"{tmp_path}/metrics.csv goes on with the new ones. Compare config, versions, threads and "
        "devices with those of the first part."
    ]
    assert read_metrics(tmp_path)["a"].tolist() == [1.0, 2.0, 3.75, 5.0, 6.25]  # of one run


def test_the_last_row_of_a_resume_is_compared_too(tmp_path):
    logger_in(tmp_path).log_metrics({"a": 1.0}, 1)
    resumed = logger_in(tmp_path)
    resumed.resume_after(0)
    resumed.log_metrics({"a": math.nan}, 1)
    with pytest.warns(UserWarning, match=r"RL step 1 1 of 1 .*by inf of its value \(a: 1, now nan"):
        resumed.finalize("interrupted")


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (0.0, -0.0, ""),
        (math.nan, math.nan, ""),
        (0.0, 1e-3, r"the most by 1 of its value \(loss/policy: 0, now 0\.001\)"),
    ],
)
def test_zeros_of_both_signs_are_one_number(before: float, now: float, said: str) -> None:
    redone = RedoneRows([{"step": "1", "loss/policy": repr(before)}])
    assert redone.observe(1, {"loss/policy": now}) == ""
    text = redone.difference()
    assert re.search(said, text) if said else text == ""


@pytest.mark.parametrize(("mode", "expected"), [("", "online"), ("offline", "offline")])
def test_an_empty_wandb_mode_is_none(
    mode: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    assert SafeWandbLogger(str(tmp_path), "run")._mode == expected


def test_new_columns_and_missing_earlier_rows(tmp_path):
    logger = logger_in(tmp_path)
    logger.log_metrics({"b": 1.0}, 1)
    logger.log_metrics({"a": 2.0}, 5)  # a new column on a new step
    logger.log_metrics({"c": 3.0}, 5)  # and on the last one
    logger.log_metrics({"c": 4.0}, 2)  # a step that had no row
    logger.log_metrics({"a": 5.0}, 1)  # an earlier row is completed
    logger.log_metrics({"b": 6.0}, 6)
    assert text(tmp_path) == ("step,a,b,c\n1,5.0,1.0,\n2,,,4.0\n5,2.0,,3.0\n6,,6.0,\n")


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.dictionaries(st.sampled_from("abcd"), st.floats(), max_size=3),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_any_order_of_calls_equals_a_dictionary(tmp_path_factory, calls):
    """Second route: first value of each (step, key) in a plain dictionary; reopening at random."""
    path = tmp_path_factory.mktemp("table") / "metrics.csv"
    table, expected = MetricsFile(path), {}
    for step, metrics, reopen in calls:
        table = MetricsFile(path) if reopen else table
        conflicts = table.write(step, metrics)
        row = expected.setdefault(step, {})
        assert set(conflicts) == {
            key for key, value in metrics.items() if key in row and repr(row[key]) != repr(value)
        }
        expected[step] = {**metrics, **row}
    got = read_rows(path) if path.exists() else []
    # an empty call of an old step may leave no row: nothing was measured
    got = {int(row.pop("step")): row for row in got}
    want = {step: {key: repr(v) for key, v in row.items()} for step, row in expected.items()}
    assert {s: r for s, r in got.items() if r} == {s: r for s, r in want.items() if r}
    assert list(got) == sorted(got)


def test_all_digits_survive(tmp_path):
    values = {"a": 0.1 + 0.2, "b": 1e-300, "c": float("nan"), "d": -math.inf, "e": math.pi}
    logger_in(tmp_path).log_metrics(values, 1)
    history = read_metrics(tmp_path)
    for key, value in values.items():
        np.testing.assert_array_equal(history[key], [value])
    assert history["a"].dtype == np.float64


def test_line_that_a_power_cut_left_incomplete_is_replaced(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,a\n1,1.5\n2,2.")
    assert read_metrics(tmp_path)["step"].tolist() == [1.0]
    logger_in(tmp_path).log_metrics({"a": 2.5}, 2)
    assert text(tmp_path) == "step,a\n1,1.5\n2,2.5\n"


def test_foreign_table_and_bad_steps_are_refused(tmp_path):
    logger = logger_in(tmp_path)
    with pytest.raises(ValueError, match="step is None"):
        logger.log_metrics({"a": 1.0})
    with pytest.raises(ValueError, match="step is -1"):
        logger.log_metrics({"a": 1.0}, -1)
    (tmp_path / "metrics.csv").write_text("epoch,a\n1,1.5\n")
    with pytest.raises(ValueError, match="no metrics table"):
        logger_in(tmp_path).log_metrics({"a": 1.0}, 1)
    assert text(tmp_path) == "epoch,a\n1,1.5\n"
    with pytest.raises(FileNotFoundError, match="run that has begun"):
        read_metrics(tmp_path / "none")


@pytest.mark.parametrize("room", [0, 1, 10])
def test_a_disk_that_is_full_for_a_moment_loses_no_row_in_silence(tmp_path, room):
    """The size limit of a process takes a part of a line, as a full disk does."""
    logger = logger_in(tmp_path)
    logger.log_metrics({"a": 1.5, "b": 0.123456789}, 1)
    before = text(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            logger.log_metrics({"a": 2.5, "b": 0.987654321}, 2)
        with pytest.raises(OSError):  # a new column writes the table again
            logger.log_metrics({"a": 2.5, "new": 0.987654321}, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "RL step 2" in caught.value.__notes__[0]
    assert text(tmp_path) == before
    logger.log_metrics({"a": 2.5, "b": 0.987654321}, 2)  # there is room again
    logger.log_metrics({"a": 3.5, "b": 0.5}, 3)
    assert text(tmp_path) == before + "2,2.5,0.987654321\n3,3.5,0.5\n"


@pytest.mark.parametrize("change", ["removed", "emptied", "cut", "extended"])
def test_a_table_that_another_program_changes_is_not_added_to(tmp_path, change):
    """Rows would vanish without a word, or stand below no header."""
    table = MetricsFile(tmp_path / "metrics.csv")
    for step in (1, 2, 3):
        table.write(step, {"a": step / 7})
    before = table.path.read_bytes()
    after = {"emptied": b"", "cut": before[:-9], "extended": before + b"9,1.0\n"}.get(change)
    table.path.unlink() if after is None else table.path.write_bytes(after)
    found = 0 if after is None else len(after)
    for step in (4, 3, 2):  # a new row, the last one, an earlier one
        with pytest.raises(RuntimeError, match=rf"has {found} bytes, not the {len(before)} that"):
            table.write(step, {"b": 1.0})
    assert table.path.exists() == (after is not None)
    table.path.write_bytes(before)
    table.write(4, {"a": 4 / 7})
    assert [row["step"] for row in read_rows(table.path)] == ["1", "2", "3", "4"]


NAMES = [
    "a, b", 'the "best"', '"all"', "c", "C", "Genauigkeit äöü", "a=b", "=1+1", " before", "after ",
    " ", "Step", "None", "nan", "\\", "#", "日本", "x" * 3000,
]  # fmt: skip


def test_names_of_metrics(tmp_path):
    """A comma or a quote moves no column, also of names that come late; nothing is stripped."""
    values = {name: i / 10 for i, name in enumerate(NAMES)}
    logger = logger_in(tmp_path)
    for step in (1, 2, 3, 4):
        logger.log_metrics({"loss": step}, step)
    logger.log_metrics(values, 5)
    noted = logger.noted_rows(5)
    logger = logger_in(tmp_path)  # of another process
    logger.log_metrics(values, 6)
    logger.require_rows(noted)
    logger.resume_after(5)
    logger.require_rows(noted)
    history = read_metrics(tmp_path)
    assert history.keys() == {"step", "loss", *NAMES}
    for name, value in values.items():
        assert history[name][4] == value and np.isnan(history[name][:4]).all()
    assert read_metrics(tmp_path / "metrics-abandoned.csv")["a, b"].tolist() == [0.0]


HIDDEN = [
    "",
    "a\nb",
    "a\r",
    "a\tb",
    "\x1b[2J",
    "a\u2028",
    "\u2029",
    "\x85",
    "\xa0",
    "\ud83d",
    "\ufeffa",
]


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_that_cannot_be_shown_is_refused(tmp_path, name):
    logger = logger_in(tmp_path)
    logger.log_metrics({"a": 1.0}, 1)
    before = text(tmp_path)
    for step in (1, 2):
        with pytest.raises(ValueError, match="has no printable name") as caught:
            logger.log_metrics({name: 1.0}, step)
        assert str(caught.value).isprintable()
    assert text(tmp_path) == before


def test_cost_of_a_long_run_stays_small(tmp_path):
    """Appending does not read the table: 800 rows of 60 columns, 1/4 of them merged."""
    table = MetricsFile(tmp_path / "metrics.csv")
    row = {f"metric/{index}": index / 7 for index in range(60)}
    table.write(0, {**row, "val/a": 0.5})
    start = os.times().user
    for step in range(1, 801):
        if step % 4 == 0:
            table.write(step, {"val/a": 0.5})
        table.write(step, row)
    assert os.times().user - start < 20  # about 1 s; re-reading the table would take minutes
    assert len(read_rows(tmp_path / "metrics.csv")) == 801


# ---------------------------------------------------------------------- run folders


def test_fresh_start_never_enters_an_existing_folder(tmp_path, capfd):
    assert claim_run_folder(tmp_path, "a", resume=False) == "a"
    (tmp_path / "a" / "metrics.csv").write_text("step\n1\n")
    assert claim_run_folder(tmp_path, "a", resume=False) == "a-2"
    assert claim_run_folder(tmp_path, "a", resume=False) == "a-3"
    assert claim_run_folder(tmp_path, "a", resume=True) == "a"
    assert claim_run_folder(tmp_path, "sweep/a", resume=False) == "sweep/a"
    assert (tmp_path / "a" / "metrics.csv").read_text() == "step\n1\n"
    assert sorted(os.listdir(tmp_path)) == ["a", "a-2", "a-3", "sweep"]


@pytest.mark.parametrize("name", ["", ".", "..", "../b", "/absolute", "a/../../b"])
def test_names_stay_below_the_folder_of_runs(tmp_path, name):
    with pytest.raises(ValueError, match="name="):
        claim_run_folder(tmp_path / "runs", name, resume=False)
    assert os.listdir(tmp_path) == []


def claim_into(folder, queue):
    queue.put([claim_run_folder(folder, "a", resume=False) for _ in range(10)])


def test_processes_that_start_together_get_different_folders(tmp_path):
    queue = FORK.Queue()
    processes = [FORK.Process(target=claim_into, args=(tmp_path, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    names = [name for _ in processes for name in queue.get(timeout=60)]
    for process in processes:
        process.join()
    assert len(set(names)) == 40
    assert set(names) == set(os.listdir(tmp_path))


# ---------------------------------------------------------------------- redaction

CANARY = "canary-5c1f09"


def test_secrets_are_redacted_and_settings_are_not():
    config = {
        "api_key": CANARY, "apiKey": CANARY, "apikey": CANARY, "HF_TOKEN": CANARY,
        "aws": [{"secret_access_key": CANARY, "region": "x"}], "tokens": [CANARY],
        "password": 12345678,
        "note": f"from environment {CANARY}-long", "empty_key": None,
        "max_new_tokens": 16, "tokenizer": "char", "monkey": "kept", "lr": 1e-6,
    }  # fmt: skip
    clean = redact(config, {"MY_API_KEY": f"{CANARY}-long", "HOME": "char"})
    assert CANARY not in str(clean)
    assert "12345678" not in str(clean)
    kept = ("max_new_tokens", "tokenizer", "monkey", "lr", "empty_key")
    assert {key: clean[key] for key in kept} == {key: config[key] for key in kept}
    assert clean["aws"][0]["region"] == "x"
    assert config["api_key"] == CANARY  # the original is not touched


# ---------------------------------------------------------------------- inside a fit


class TinyModule(L.LightningModule):
    """One linear layer on fixed data; logs as the real module does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = torch.nn.Linear(4, 1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.arange(16.0).view(4, 4) / 16, batch_size=2)

    val_dataloader = train_dataloader

    def training_step(self, batch, batch_idx):
        loss = (self.layer(batch) - 1).square().mean()
        self.log("loss/total", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/accuracy", self.layer(batch).mean())
        self.log("step", float(self.current_epoch + 1), on_step=False, on_epoch=True)

    def on_train_epoch_end(self):
        self.log("step", float(self.current_epoch + 1))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, extra: list, epochs: int = 4, **options) -> TinyModule:
    module = TinyModule()
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=[logger_in(folder), *extra],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        check_val_every_n_epoch=2,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(num_workers|logging interval).*")
        trainer.fit(module, **options)
    assert Path(trainer.log_dir) == folder
    return module


def test_fit_and_resume_with_lightning(tmp_path):
    module = fit(tmp_path / "run", [])
    history = read_metrics(tmp_path / "run")
    assert history["step"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isfinite(history["loss/total"]).all()
    assert np.isfinite(history["val/accuracy"]).tolist() == [False, True, False, True]
    saved = list((tmp_path / "run" / "checkpoints").glob("*.ckpt"))
    assert len(saved) == 1  # checkpoints lie in the run's folder
    resumed = fit(tmp_path / "run", [], epochs=6, ckpt_path=saved[0], weights_only=True)
    whole = fit(tmp_path / "whole", [], epochs=6)
    assert torch.equal(resumed.layer.weight, whole.layer.weight)
    assert not torch.equal(module.layer.weight, whole.layer.weight)
    assert text(tmp_path / "run") == text(tmp_path / "whole")


# ---------------------------------------------------------------------- Weights & Biases


def stored_by_wandb(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_wandb_available(clean_wandb, tmp_path):
    assert not wandb_available()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x\n")
    assert wandb_available()
    clean_wandb.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not wandb_available()
    clean_wandb.setenv("WANDB_API_KEY", "x" * 40)
    assert wandb_available()


@pytest.mark.parametrize("address", ["https://[::1", "no-address", "https://x:y/"])
def test_an_address_that_is_none_is_said(clean_wandb, address):
    clean_wandb.setenv("WANDB_BASE_URL", address)
    clean_wandb.setenv("WANDB_API_KEY", "x" * 40)
    with pytest.raises(OSError, match=r"WANDB_BASE_URL='.*' is no address of a server \("):
        check_reachable(5.0)
    clean_wandb.delenv("WANDB_API_KEY")
    if address == "https://[::1":
        with pytest.warns(UserWarning, match="is no address of a server .*; no W&B login"):
            assert wandb_available() is False


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"nonsense"])
def test_a_netrc_that_cannot_be_read_is_no_login(clean_wandb, tmp_path, monkeypatch, content):
    path = tmp_path / "netrc"
    path.write_bytes(content or b"machine api.wandb.ai login user password x\n")
    if content is None:
        monkeypatch.setattr(netrc, "netrc", lambda _: Path("/dev/null/netrc").read_text())
    with pytest.warns(UserWarning, match="netrc cannot be read, no W&B login there"):
        assert wandb_available() is False


def test_a_row_is_forced_to_disk(tmp_path, monkeypatch):
    """Before the checkpoint that asks for it."""
    synced = []
    fsync = os.fsync

    def counted(file):
        fsync(file)
        synced.append((os.fstat(file).st_ino, os.fstat(file).st_size))

    monkeypatch.setattr(os, "fsync", counted)
    table = MetricsFile(tmp_path / "metrics.csv")
    for step in range(3):
        table.write(step, {"a": step})
        now = table.path.stat()
        assert (now.st_ino, now.st_size) in synced


def test_offline_run_keeps_results_and_hides_secrets(clean_wandb, tmp_path):
    clean_wandb.setenv("WANDB_API_KEY", CANARY * 4)
    plain = fit(tmp_path / "plain", [])
    folder = tmp_path / "run"
    logger = SafeWandbLogger(str(tmp_path), "run", offline=True)
    logger.log_hyperparams({"hf_token": CANARY, "loss": "visible-setting"})
    module = fit(folder, [logger])
    assert logger.experiment.settings.mode == "offline"
    logger.experiment.finish()
    assert torch.equal(plain.layer.weight, module.layer.weight)
    assert text(folder) == text(tmp_path / "plain")
    assert "WANDB_MODE" not in os.environ
    identity = (folder / "wandb_id.txt").read_text().split("\t")[0]
    assert any(identity in path.name for path in folder.glob("wandb/offline-run-*"))
    resumed = SafeWandbLogger(str(tmp_path), "run", offline=True)
    assert resumed.experiment.id == identity
    resumed.experiment.finish()
    wandb.teardown()  # ends the service, which writes the files on its own time
    sent = stored_by_wandb(folder / "wandb")
    for visible in (b"visible-setting", b"rl_step", b"loss/total"):
        assert visible in sent
    assert CANARY.encode() not in sent


def test_refused_server_goes_offline_at_once(clean_wandb, tmp_path):
    plain = fit(tmp_path / "plain", [])
    clean_wandb.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    clean_wandb.setenv("WANDB_API_KEY", "x" * 40)
    logger = SafeWandbLogger(str(tmp_path), "run", init_timeout=3.0)
    with pytest.warns(UserWarning, match="not available.*refused.*wandb sync") as caught:
        module = fit(tmp_path / "run", [logger])
    assert sum("W&B" in str(warning.message) for warning in caught) == 1
    assert torch.equal(plain.layer.weight, module.layer.weight)
    assert text(tmp_path / "run") == text(tmp_path / "plain")
    assert list((tmp_path / "run").glob("wandb/offline-run-*"))


def test_no_login_goes_offline_without_asking(clean_wandb, tmp_path):
    logger = SafeWandbLogger(str(tmp_path), "run")
    with pytest.warns(UserWarning, match="wandb login"):
        assert logger.experiment.settings.mode == "offline"


def test_error_while_logging_turns_wandb_off_and_nothing_else(clean_wandb, tmp_path):
    plain = fit(tmp_path / "plain", [])
    logger = SafeWandbLogger(str(tmp_path), "run", offline=True)
    logger.experiment.finish()  # a finished run refuses to log, as one whose service died
    with pytest.warns(UserWarning, match="is off for the rest of the run") as caught:
        module = fit(tmp_path / "run", [logger])
    assert sum("W&B" in str(warning.message) for warning in caught) == 1
    assert torch.equal(plain.layer.weight, module.layer.weight)
    assert text(tmp_path / "run") == text(tmp_path / "plain")


def test_timeouts_must_be_positive():
    with pytest.raises(ValueError, match="init_timeout=0"):
        SafeWandbLogger(init_timeout=0)
