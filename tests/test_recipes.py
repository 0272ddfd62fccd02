"""The recipes of recipes/: sound shell, and arguments that the real command line takes."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from runs import CONFIGS

from lit_entropy.cli.main import main

RECIPES = CONFIGS.parent / "recipes"
#: What a launcher is started with, one argument a line, instead of starting it.
STAND_IN = "#!/usr/bin/env bash\nprintf '%s\\n' \"$@\"\n"
SLURM = {
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_CPUS_PER_TASK": "4",
    "SLURM_SUBMIT_DIR": str(CONFIGS.parent),
}
EXPERIMENT = ["--config", str(CONFIGS / "base.yaml")]
EXPERIMENT += ["--config", str(CONFIGS / "experiment" / "kl_cov.yaml")]


def launched(folder: Path, recipe: str, *arguments: str) -> list[str]:
    """The arguments that a recipe gives to its launcher."""
    for name in ("torchrun", "srun"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    environment = os.environ | SLURM | {"PATH": f"{folder}:{os.environ['PATH']}"}
    command = ["bash", str(RECIPES / recipe), *arguments]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return output.stdout.splitlines()


def test_every_recipe_is_sound_shell() -> None:
    recipes = sorted(path.name for path in RECIPES.iterdir())
    assert recipes == ["gpu_check.sh", "slurm.sbatch", "torchrun.sh"]
    for name in recipes:
        subprocess.run(["bash", "-n", str(RECIPES / name)], check=True)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
@pytest.mark.parametrize(
    ("recipe", "own", "nodes", "devices"),
    [("torchrun.sh", ["4"], 1, "4"), ("slurm.sbatch", [], 2, "8")],
)
def test_the_command_line_takes_what_a_recipe_says(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    strategy: str,
    recipe: str,
    own: list[str],
    nodes: int,
    devices: str,
) -> None:
    parts = launched(tmp_path, recipe, strategy, *own, *EXPERIMENT)
    start = parts.index("lit-entropy")
    if recipe == "torchrun.sh":
        assert parts[:start] == ["--standalone", "--nproc-per-node", devices, "--no-python"]
    with pytest.raises(SystemExit) as exit_:
        main([*parts[start + 1 :], "--print_config"])
    assert exit_.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["num_nodes"] == nodes
    assert str(config["trainer"]["devices"]) == devices
    assert config["model"]["loss"]["class_path"].endswith("KLCov")
    chosen = config["trainer"]["strategy"]
    if strategy == "ddp":
        assert chosen == "ddp"
    else:
        assert chosen["class_path"] == "lit_entropy.distributed.FullySharded"
        assert chosen["init_args"]["save_distributed_checkpoint"] is False


@pytest.mark.parametrize(("recipe", "own"), [("torchrun.sh", ["4"]), ("slurm.sbatch", [])])
def test_the_configurations_own_strategy_is_left_alone(
    tmp_path: Path, recipe: str, own: list[str]
) -> None:
    parts = launched(tmp_path, recipe, "own", *own, *EXPERIMENT)
    fit = parts[parts.index("lit-entropy") :]
    assert fit[: 2 + len(EXPERIMENT)] == ["lit-entropy", "fit", *EXPERIMENT]
    assert [part for part in fit[6:] if part.startswith("--")] == [
        "--trainer.num_nodes", "--trainer.devices",
    ]  # fmt: skip


def test_a_task_of_an_array_has_its_number_as_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the page about sweeps, as the shell of a login node hands it on."""
    page = (CONFIGS.parent / "docs" / "how-to" / "sweeps.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("sbatch ")]
    shell = ["bash", "-c", f"sbatch() {{ printf '%s\\n' \"$@\"; }}; {line}"]
    given = subprocess.run(shell, check=True, capture_output=True, text=True).stdout.splitlines()
    assert given[:3] == ["--array", "0-2", "recipes/slurm.sbatch"]
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.chdir(CONFIGS.parent)
    parts = launched(tmp_path, "slurm.sbatch", *given[3:])
    with pytest.raises(SystemExit) as exit_:
        main([*parts[parts.index("lit-entropy") + 1 :], "--print_config"])
    assert exit_.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["seed_everything"] == 2


def test_a_recipe_says_what_it_misses() -> None:
    for name in ("torchrun.sh", "slurm.sbatch"):
        result = subprocess.run(
            ["bash", str(RECIPES / name)], capture_output=True, text=True, check=False
        )
        assert result.returncode != 0 and "ddp or fsdp2" in result.stderr


def test_the_gpu_check_is_started_with_what_it_is_given(tmp_path: Path) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN + 'echo "$PYTHONPATH"\n')
    stand_in.chmod(0o755)
    command = ["bash", str(RECIPES / "gpu_check.sh"), "--device", "cpu"]
    environment = os.environ | {"PYTHON": str(stand_in)}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    *arguments, path = output.stdout.splitlines()
    assert arguments == ["-m", "gpu.check", "--device", "cpu"]
    assert path.split(":")[:2] == [str(RECIPES.parent / "tests"), str(RECIPES.parent)]


def test_the_gpu_check_needs_no_installation(tmp_path: Path) -> None:
    """As on a machine of a cloud: the packages are there, and the project is a copied folder."""
    packages, checkout = tmp_path / "packages", tmp_path / "checkout"
    packages.mkdir()
    for folder in reversed(site.getsitepackages()):
        for entry in Path(folder).iterdir():
            if "lit_entropy" not in entry.name and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    for name in ("recipes", "tests", "lit_entropy", "setup.cfg"):
        checkout.mkdir(exist_ok=True)
        (checkout / name).symlink_to(RECIPES.parent / name)
    python = tmp_path / "python"
    python.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "PYTHONPATH": str(packages)}

    def output(*command: str) -> str:
        return subprocess.run(
            command, env=environment, cwd=checkout, check=True, capture_output=True, text=True
        ).stdout

    assert "--device" in output("bash", str(checkout / "recipes" / "gpu_check.sh"), "--help")
    environment["PYTHONPATH"] += f":{checkout}"
    assert output(str(python), "-m", "lit_entropy", "--version") == "lit-entropy 0+checkout\n"
