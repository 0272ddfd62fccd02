"""What a run is called after."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import CONFIGS

from lit_entropy.cli.names import changes_of, name_run
from lit_entropy.cli.options import RunOptions
from lit_entropy.shipped import short_name
from lit_entropy.tracking.run_name import changed, part, run_name

QUICKSTART = ["--config", "configs/quickstart.yaml"]
LOSS = ["--model.loss", "lit_entropy.losses.KLCov"]


def named(*words: str, name: str = "quickstart-seed0", seed: int = 0, **classes: str) -> str:
    run = RunOptions(name=name)
    name_run(run, changes_of(words, classes), seed)
    return run.name


@pytest.mark.parametrize(
    "words, name",
    [
        ([], "quickstart-seed0"),
        (LOSS, "quickstart-KLCov-seed0"),
        (["--model.loss=KLCov", "--model.loss.fraction=0.02"],
         "quickstart-KLCov-fraction_0.02-seed0"),
        (["--model.loss.init_args.clip_high", "0.3"], "quickstart-clip_high_0.3-seed0"),
        (["--model.loss.fraction=0.1", *LOSS], "quickstart-KLCov-seed0"),  # of another class
        (["--model.loss", "/far/away/loss/kl_cov.yaml"], "quickstart-kl_cov-seed0"),
        (["--config", "configs/strategy/fsdp2.yaml", "--config", "configs/suite/tiny_smoke.yaml"],
         "quickstart-tiny_smoke-seed0"),  # a strategy changes no training
        (["--model.policy.model", "models/tiny"], "quickstart-model_models_tiny-seed0"),
        (["--model.policy.model", "/data/models/tiny"], "quickstart-model_models_tiny-caf5-seed0"),
        (["--model.regularizers+", "EntropyBonus", "--model.regularizers+", "ReferenceKL"],
         "quickstart-EntropyBonus-ReferenceKL-seed0"),
        (["--data.group_filter", "none", "--model.advantage.whiten", "True"],
         "quickstart-group_filter_none-whiten_True-seed0"),
        (["--model.loss", "my_ablation.ConfidentTokens", "--model.loss.below=0.5"],
         "quickstart-my_ablation.ConfidentTokens-below_0.5-seed0"),  # of the page on losses
        (["--a.b.c=1", "--a.d.c=2"], "quickstart-b_c_1-d_c_2-seed0"),
        ([f"--a.k{i}={i}" for i in range(6)], 
         "quickstart-k0_0-k1_1-k2_2-k3_3-and-2-more-1247-seed0"),
        (["--a.k=x y/../z:*?" + "long" * 20], "quickstart-k_z_longlonglonglongl-c1de-seed0"),
        (["--trainer.max_epochs=3", "--trainer.callbacks+", "EntropyLaw", "--run.wandb=off",
          "--trainer.callbacks.every=2", "--model.evaluation.samples=4"], "quickstart-seed0"),
        ([*LOSS, "--run.name=mine"], "quickstart-seed0"),  # what the parser has read
    ],
)  # fmt: skip
def test_a_name_says_what_was_changed(words: list[str], name: str) -> None:
    assert named(*QUICKSTART, *words) == name


def test_a_file_may_name_the_run_lie_over_it_or_set_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quickstart = ["--config", str(CONFIGS / "quickstart.yaml")]
    over, seeds = Path("over.yaml"), Path("seeds.yaml")
    over.write_text("fit:\n  model: {temperature: 0.9}\n")
    seeds.write_text("seed_everything: 3\n")
    files = ["--config", str(over), "--config", str(seeds)]
    assert named(*quickstart, *files, name="quickstart-seed3", seed=3) == "quickstart-over-seed3"
    assert named(*files, name="mine", seed=3) == "mine-over-seed3"
    over.write_text("run: {name: mine, changes: {model.loss: KLCov}}\n")
    again = ["--data.group_size=2", "--config", str(over), "--model.loss=ClipCov"]
    assert named(*quickstart, *again, name="mine-KLCov") == "mine-ClipCov"


def test_what_lies_under_the_file_that_names_the_run_is_named() -> None:
    """But for the first: of a run of a base, a model and an algorithm the model is to be told."""
    place = "configs/experiment/paper"
    files = [f"{place}/section2.yaml", f"{place}/models/qwen2.5-3b.yaml"]
    files.append(f"{place}/algorithms/rloo.yaml")
    words = [word for file in files for word in ("--config", file)]
    assert named(*words, name="section2_rloo-seed0") == "section2_rloo-models_qwen2.5-3b-93e6-seed0"


@pytest.mark.parametrize(
    "option, first, second, names",
    [
        ("--model.loss", "a/loss.yaml", "b/loss.yaml", ("a_loss", "b_loss")),
        ("--model.loss", "x/a/loss.yaml", "y/a/loss.yaml", ("a_loss-", "a_loss-")),
        ("--config", "a/over.yaml", "b/over.yaml", ("a_over", "b_over")),
        ("--data.task.train", "a/t.jsonl", "b/t.jsonl", ("train_a_t.jsonl", "train_b_t.jsonl")),
        ("--data.task.train", "a/x.jsonl", "/b/a/x.jsonl", ("train_a_x.jsonl", "train_a_x.jsonl-")),
        ("--data.task.train", "[a/x, c/y]", "[b/x, c/y]", ("train_x_c_y-", "train_x_c_y-")),
        ("--model.policy.model", "org-of-one/Qwen2.5-Math-7B", "org-of-two/Qwen2.5-Math-7B",
         ("model_Qwen2.5-Math-7B-", "model_Qwen2.5-Math-7B-")),
        ("--data.task.reward", "a/r.py:exact", "b/r.py:exact", ("reward_a_", "reward_b_")),
        ("--model.loss", "KLCov", "my.KLCov", ("KLCov", "my.KLCov")),
        ("--model.loss", f"{'my' * 17}.a.KLCov", f"{'my' * 17}.b.KLCov", ("KLCov-", "KLCov-")),
        ("--model.temperature", ".5", "5", ("temperature_.5", "temperature_5")),
    ],
)  # fmt: skip
def test_different_values_have_different_names(
    option: str, first: str, second: str, names: tuple[str, str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate((first, second)):
        if file.endswith(".yaml"):
            Path(file).parent.mkdir(parents=True)
            Path(file).write_text(f"model: {{temperature: 0.{number + 1}}}\n")
    found = [named("--config", "quickstart", option, value) for value in (first, second)]
    assert found[0] != found[1]
    for name, start in zip(found, names, strict=True):
        assert name.startswith(f"quickstart-{start}")


def test_two_files_of_one_name_are_both_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in "ab":
        Path(folder).mkdir()
        Path(folder, "over.yaml").write_text("model: {temperature: 0.9}\n")
    files = ["--config", "a/over.yaml", "--config", "b/over.yaml"]
    assert named("--config", str(CONFIGS / "quickstart.yaml"), *files) == (
        "quickstart-a_over-b_over-seed0"
    )


def test_runs_that_differ_in_what_is_not_spelt_have_two_names() -> None:
    spelt = ["--a.k1=1", "--a.k2=2", "--a.k3=3", "--a.k4=4"]
    names = {named(*QUICKSTART, *spelt, f"--data.task.train={file}") for file in ("a", "b", "a")}
    assert len(names) == 2 and all("-and-1-more-" in name for name in names)
    long = {named(*QUICKSTART, f"--data.task.train={'x' * 24}{end}.jsonl") for end in "ab"}
    assert len(long) == 2
    changes = {f"a.k{i}": str(i) for i in range(6)}
    name = run_name("quickstart-seed0", {}, changes, 0, False)
    assert run_name(name, changes, {"a.k5": "7"}, 0, False) == (
        run_name("quickstart-seed0", {}, changes | {"a.k5": "7"}, 0, False)
    )


def test_the_seed_is_that_of_the_run() -> None:
    assert named(*QUICKSTART, "--seed_everything=3", name="quickstart-seed3", seed=3) == (
        "quickstart-seed3"
    )
    assert run_name("quickstart-seed0-2", {}, {}, 1, True) == "quickstart-seed1"
    assert run_name("quickstart-seed0-2", {}, {}, 0, True) == "quickstart-seed0-2"  # to resume it
    assert run_name("mine", {}, {}, 4, True) == "mine-seed4"
    assert run_name("mine", {}, {}, 4, False) == "mine"
    assert named(*LOSS, name="run") == "run-KLCov"


def test_a_run_of_a_saved_configuration_is_named_after_its_own_changes() -> None:
    before = {"model.loss": "KLCov", "model.loss.fraction": "0.02"}
    name = run_name("quickstart-seed0", {}, before, 0, False)
    assert name == "quickstart-KLCov-fraction_0.02-seed0"
    assert run_name(f"{name}-2", before, {"model.loss": "ClipCov"}, 1, True) == (
        "quickstart-ClipCov-seed1"
    )
    assert run_name(name, before, {"model.loss.fraction": "0.05"}, 0, False) == (
        "quickstart-KLCov-fraction_0.05-seed0"
    )
    assert changed(before, {"data.group_size": "4"}) == {**before, "data.group_size": "4"}


def test_classes_of_the_module_and_the_data() -> None:
    found = named(*QUICKSTART, "--model.temperature=0.9", model="my.SubModule")
    assert found == "quickstart-my.SubModule-temperature_0.9-seed0"


def test_a_copy_of_a_shipped_file_is_called_as_it_is(tmp_path: Path) -> None:
    copy = tmp_path / "mine" / "loss" / "kl_cov.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((CONFIGS / "loss" / "kl_cov.yaml").read_bytes())
    for value in ("loss/kl_cov", str(CONFIGS / "loss" / "kl_cov.yaml"), str(copy)):
        assert short_name(value) == "kl_cov.yaml"
    assert short_name("experiment/discovery/grpo") == "discovery/grpo.yaml"
    copy.write_text("class_path: KLCov\n")
    assert short_name(str(copy)) == str(copy)
    assert [short_name(text) for text in ("1e-6", "a/b", "[a, b]")] == ["1e-6", "a/b", "[a, b]"]


def test_words_that_are_no_classes() -> None:
    values = ("None", "true", "1e-6", "Adam", "torch.optim.Adam", "my.Adam")
    assert [part("a.b", value) for value in values] == [
        "b_None", "b_true", "b_1e-6", "Adam", "Adam", "my.Adam",
    ]  # fmt: skip
    assert part("a.b", "../..") == "b_other"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tags": ["x" * 65]}, r"run.tags=.*65 characters.*1 to 64"),
        ({"tags": [""]}, r"run.tags=.*1 to 64"),
        ({"group": "g" * 129}, r"run.group=.*1 to 128"),
        ({"project": "team/entropy"}, r"run.project='team/entropy': .*--run.entity TEAM"),
        ({"project": "50 %"}, r"run.project='50 %': "),
        ({"project": "p" * 129}, r"run.project='p+': W&B takes at most 128 characters"),
    ],
)
def test_what_wandb_would_refuse_is_refused_at_setup(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunOptions(**options)
