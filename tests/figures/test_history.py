"""Runs as figures see them: labels and knobs from configurations, run folders, W&B's exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reproduce.made_runs import config, history, write_metrics, write_run, write_table
from safetensors.numpy import save_file

from lit_entropy.figures.history import body_parameters, load_run, method_of, read_export
from lit_entropy.functional.law import pairs

NAN = float("nan")


def regularizer(name: str, **arguments: float) -> list[dict[str, Any]]:
    return [{"class_path": f"lit_entropy.regularizers.{name}", "init_args": arguments}]


@pytest.mark.parametrize(
    "values, expected",
    [
        (config(), ("GRPO", None)),
        (config(clip_low=0.2, clip_high=0.28), ("clip-higher", None)),
        (config("ClipCov", fraction=0.014), ("Clip-Cov", 0.014)),
        (config("KLCov", kl_coef=0.5), ("KL-Cov", 0.5)),
        (config("KLCov", kl_coef=0.0), ("KL-Cov", 0.0)),
        (config("PolicyGradient"), ("policy gradient", None)),
        (config(advantage="PRIME"), ("PRIME", None)),
        (config(advantage="RLOO"), ("RLOO", None)),
        (config(advantage="ReinforcePlusPlus"), ("REINFORCE++", None)),
        (config(advantage="DrGRPO"), ("Dr. GRPO", None)),
        (config(advantage="controls.RandomRewards"), ("random rewards", None)),
        (config(advantage="controls.ShuffledAdvantages"), ("shuffled advantages", None)),
        (config(regularizers=regularizer("EntropyBonus", coef=5e-3)), ("entropy bonus", 5e-3)),
        (config(regularizers=regularizer("ReferenceKL", coef=0.1)), ("reference KL", 0.1)),
        # what the paper does not have is not counted among GRPO's runs
        (config(regularizers=regularizer("AdaptiveEntropy")), ("AdaptiveEntropy", None)),
        (config("ConfidentTokens", below=0.5), ("ConfidentTokens", None)),
        (config(advantage="Mine"), ("Mine", None)),
        ({"model": {}}, ("other", None)),
    ],
)
def test_methods_and_knobs(values: dict[str, Any], expected: tuple[str, float | None]) -> None:
    assert method_of(values) == expected


@pytest.mark.parametrize(
    "model, count", [("xs", 23904), ("s", 94912), ("m", 378240), ("l", 1510144)]
)
def test_parameters_of_the_shipped_bases_without_embeddings(model: str, count: int) -> None:
    assert body_parameters(f"chain-{model}") == count


def test_parameters_of_a_local_folder(tmp_path: Path) -> None:
    shapes = {
        "model.embed_tokens.weight": (50, 4),
        "lm_head.weight": (50, 4),
        "model.layers.0.mlp.weight": (4, 6),
        "model.norm.weight": (4,),
    }
    for part, names in enumerate((list(shapes)[:2], list(shapes)[2:])):
        tensors = {name: np.zeros(shapes[name], dtype=np.float32) for name in names}
        save_file(tensors, tmp_path / f"model-{part}.safetensors")
    assert body_parameters(str(tmp_path)) == 4 * 6 + 4
    assert body_parameters("Qwen/Qwen2.5-7B") is None


def test_a_name_that_no_folder_can_have_is_a_model_elsewhere(tmp_path: Path) -> None:
    for name in ("a" * 300, "/".join(["a" * 200] * 30)):
        assert body_parameters(name) is None
        folder = write_run(tmp_path / "long", history(seed=3), config(model=name))
        assert (load_run(folder).x, load_run(folder).facts["model"]) == (None, name)


def test_damaged_weights_of_a_local_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights" * 10)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged \(.*\): .*copy it again"):
        body_parameters(str(tmp_path))


def test_a_run_folder(tmp_path: Path) -> None:
    columns = history(seed=3)
    folder = write_run(tmp_path / "mine", columns, config(seed=3))
    for path in (folder, str(folder), folder / "metrics.csv"):
        run = load_run(path)
        assert (run.name, run.label, run.seed, run.x) == ("mine", "GRPO", 3, 94912)
        assert run.facts == {"model": "chain-s", "task": "ChainArithmetic", "group_size": 8.0}
        assert run.history.keys() == columns.keys()
        for key, values in columns.items():
            np.testing.assert_array_equal(run.history[key], values)
    assert load_run(folder, "other name").label == "other name"


def test_a_knob_goes_before_the_size_of_the_model(tmp_path: Path) -> None:
    values = config("KLCov", kl_coef=0.5, model="chain-m")
    assert load_run(write_run(tmp_path / "a", history(0), values)).x == 0.5
    far = config(model="Qwen/Qwen2.5-7B", task="MathFiles")
    run = load_run(write_run(tmp_path / "b", history(0), far))
    assert run.x is None and run.facts["task"] == "MathFiles"


def test_a_folder_without_a_configuration_goes_by_its_name(tmp_path: Path) -> None:
    write_metrics(tmp_path / "mine-seed12", history(0))
    run = load_run(tmp_path / "mine-seed12")
    assert (run.name, run.label, run.seed, run.x) == ("mine-seed12", "mine-seed12", 12, None)
    assert run.facts == {}


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name}.*name the folder of a run"):
        load_run(tmp_path / name)


@pytest.mark.parametrize("step", ["step", "rl_step", "_step", "Step", "trainer/global_step"])
def test_an_export_has_the_numbers_of_the_folder(tmp_path: Path, step: str) -> None:
    columns = history(0)
    renamed = {step if key == "step" else key: value for key, value in columns.items()}
    rows = dict(reversed(renamed.items()))  # columns in any order
    file = write_table(tmp_path / "grpo-seed2.csv", rows)
    run = load_run(file)
    assert (run.name, run.label, run.seed) == ("grpo-seed2", "grpo-seed2", 2)
    for key, values in columns.items():
        np.testing.assert_array_equal(run.history[key], values)
    assert load_run(file, "GRPO").label == "GRPO"


def test_the_rl_step_goes_before_the_count_of_calls(tmp_path: Path) -> None:
    numbers = {"_step": [0.0, 1, 2], "rl_step": [0.0, 4, 8], "val/accuracy": [0.1, 0.2, 0.3]}
    table = {key: np.array(values) for key, values in numbers.items()}
    found = read_export(write_table(tmp_path / "a.csv", table))
    assert found["step"].tolist() == [0, 4, 8]
    assert found["_step"].tolist() == [0, 1, 2]


def test_the_calls_of_one_rl_step_are_one_row(tmp_path: Path) -> None:
    """The logger sends validation and training separately; pictures come without an RL step."""
    file = tmp_path / "run.csv"
    file.write_text(
        "_step,rl_step,val/accuracy,entropy/token_mean,samples/validation\n"
        "0,0,0.25,,table-file\n"
        "1,,,,\n"
        "3,2,0.5,,\n"
        "2,1,,0.75,\n"
        "4,2,,0.5,\n"
        "5,2,NaN,,\n"
        "6,3,,0.25,\n"
    )
    found = read_export(file)
    assert found["step"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(found["val/accuracy"], [0.25, NAN, 0.5, NAN])
    np.testing.assert_array_equal(found["entropy/token_mean"], [NAN, 0.75, 0.5, 0.25])
    assert found["_step"].tolist() == [0, 2, 5, 6]  # the last call of each
    assert "samples/validation" not in found  # text
    step, entropy, accuracy = pairs(found)
    assert (step.tolist(), entropy.tolist(), accuracy.tolist()) == (
        [0, 2],
        [0.75, 0.25],
        [0.25, 0.5],
    )


def test_the_export_of_a_chart(tmp_path: Path) -> None:
    file = tmp_path / "chart.csv"
    file.write_text(
        '"Step","my - run - val/accuracy","my - run - val/accuracy__MIN",'
        '"my - run - val/accuracy__MAX"\n'
        '"8","0.5","0.1","0.9"\n"4","0.25","0.1","0.9"\n'
    )
    found = read_export(file)
    assert found.keys() == {"step", "Step", "val/accuracy"}
    assert found["step"].tolist() == [4, 8]
    assert found["val/accuracy"].tolist() == [0.25, 0.5]


def test_a_chart_of_several_runs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "chart.csv"
    file.write_text("Step,a - val/accuracy,b - val/accuracy\n0,0.5,0.6\n")
    with pytest.raises(ValueError, match=r"several runs in \['a - val/accuracy', 'b - val/accu"):
        load_run(file)


@pytest.mark.parametrize("text", ["", "epoch,val/accuracy\n1,0.5\n", "step,val/accuracy\n"])
def test_a_table_without_rl_steps_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"table\.csv has none of the columns step, rl_step"):
        load_run(file)
