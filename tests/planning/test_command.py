"""``lit-entropy plan``: from the command line to numbers, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from other_models import save_model
from paper_files import CONFIGS, parser_of_plan

from lit_entropy.cli.main import main
from lit_entropy.errors import DryRunError
from lit_entropy.planning.command import plan
from lit_entropy.planning.experiment import Parsed, build
from lit_entropy.planning.reading import workload

HALF = "--trainer.precision=16-mixed"
QUICK = CONFIGS / "quickstart.yaml"


@pytest.fixture(scope="module")
def parse() -> Iterator[Callable[..., Parsed]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield parser_of_plan(monkeypatch)


def test_the_command_prints_and_writes_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    main(["plan", "--config", str(QUICK), "--gpus", "2", "--gpu", "cpu", "--json", str(file)])
    text = capsys.readouterr().out
    record = json.loads(file.read_text())
    assert record["devices"] == 2
    assert record["workload"]["shape"]["hidden"] == 64
    assert record["workload"]["trainable"] == 96_256
    assert record["memory"]["update"]["weights"] == 4 * 96_256
    assert record["memory"]["update"]["gradient_buckets"] == 4 * 96_256  # ddp on two devices
    assert record["fits"] and record["remedies"] == []
    assert record["workload"]["rl_steps"] == 100
    assert record["device_hours"] == pytest.approx(2 * 100 * record["seconds"]["total"] / 3600)
    assert "96,256 parameters; 2 x cpu, strategy ddp" in text
    assert "responses up to 160 tokens" in text and "Assumed: mean prompt" in text
    assert "fits: the peak is" in text
    assert "as the models load: 0.77 MB, 0.39 MB for each of 2 ranks" in " ".join(text.split())
    assert record["host_memory"] == 2 * 4 * 96_256


def test_flags_change_the_experiment_and_the_hardware(parse: Callable[..., Parsed]) -> None:
    experiment = parse(QUICK, "--model.max_new_tokens=40", "--trainer.accumulate_grad_batches=4")
    made = plan(
        experiment, gpus=1, gpu="h100", memory_gb=1.0, tflops=2.0, bandwidth=3.0,
        response_tokens=30.0, prompt_tokens=12.0, draws=1.5, validation_responses=7,
    )  # fmt: skip
    work, hardware = made.work, made.hardware
    assert (work.max_new_tokens, work.accumulation, work.rows(1)) == (40, 4, 8)
    assert (hardware.memory, hardware.flops, hardware.bandwidth) == (1e9, 2e12, 3e9)
    assert (work.response_tokens, work.prompt_tokens, work.draws) == (30.0, 12.0, 1.5)
    assert (work.validation, work.validate_every) == (7, 20)
    # float32 rollouts of the policy itself: the first of 8 minibatches alone is scored again
    assert (work.engine, work.scored, work.selects) == ("policy", 1 / 8, False)


def test_parts_of_the_experiment_are_read(parse: Callable[..., Parsed]) -> None:
    experiment = parse(
        QUICK,
        "--model.loss=KLCov", "--model.loss.fraction=0.02", "--trainer.precision=bf16-mixed",
        "--trainer.accumulate_grad_batches=2", "--model.policy.gradient_checkpointing=true",
        "--model.engine=LocalEngine", "--model.engine.max_rows=48",
        "--model.regularizers+=ReferenceKL", "--data.group_filter=resample",
    )  # fmt: skip
    work = workload(build(experiment))
    assert (work.numbers, work.weight_bytes, work.compute_bytes) == ("autocast", 4, 2)
    assert work.selects and work.checkpointing and work.reference
    assert (work.engine_rows, work.draws, work.scored) == (48, 2.0, 1.0)
    assert work.optimizer_states == 2
    low = workload(build(parse(QUICK, "--trainer.precision=bf16-true")))
    assert (low.numbers, low.weight_bytes) == ("low", 2)
    plain = parse(QUICK, "--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=0.1")
    assert workload(build(plain)).optimizer_states == 0


def test_engines_that_are_not_built_are_read(parse: Callable[..., Parsed]) -> None:
    own = parse(
        QUICK, "--model.engine=VLLMEngine", "--model.engine.memory_fraction=0.3",
        "--model.engine.dtype=bfloat16", "--model.engine.sleep=false",
        "--model.engine.max_sequences=99",
    )  # fmt: skip
    work = workload(build(own))
    assert (work.engine, work.engine_memory, work.sampling_bytes) == ("own", 0.3, 2)
    assert (work.engine_sleeps, work.engine_rows, work.scored) == (False, 99, 1.0)
    assert work.engine_cache is None
    cached = parse(QUICK, "--model.engine=VLLMEngine", "--model.engine.kv_cache_gb=0.5")
    assert workload(build(cached)).engine_cache == 2**29
    served = workload(build(parse(QUICK, "--model.engine=VLLMServerEngine")))
    assert (served.engine, served.sampling_bytes, served.engine_rows) == ("elsewhere", 2, 256)


@pytest.mark.parametrize(
    ("flags", "gpus", "message"),
    [
        ((), 3, r"prompts_per_step=32 does not divide over 3 ranks"),
        (("--trainer.accumulate_grad_batches=16",), 4, r"minibatch_size=32.*=16 microbatches on 4"),
        ((), 0, r"gpus=0 must be at least 1"),
        (("--data.minibatch_size=48",), 1, r"minibatch_size=48 does not divide the 256"),
        (("--model.max_new_tokens=256",), 1, r"max_new_tokens=256 leaves no room.*256 tokens"),
        (("--model.policy.model=acme/gpt-9",), 1, r"acme/gpt-9"),
        (("--model.engine=VLLMEngine", "--model.engine.max_model_len=999"), 1, r"len=999 .*256"),
        (("--model.engine=VLLMEngine", "--model.engine.max_model_len=80"), 1, r"len=80 .*=80 "),
        (("--trainer.precision=64-true",), 1, r"trainer.precision=64-true"),
        (("--trainer.strategy=fsdp",), 2, r"trainer.strategy='fsdp'"),
        # what fit refuses of the trainer at its start
        (("--trainer.gradient_clip_val=-1",), 1, r"gradient_clip_val=-1.* finite number >= 0"),
        (("--trainer.check_val_every_n_epoch=0",), 1, r"check_val_every_n_epoch=0 must be at"),
        (("--trainer.max_steps=81",), 1, r"max_steps=81 ends within an RL step of 8 updates"),
        (("--trainer.limit_train_batches=3",), 1, r"limit_train_batches or overfit_batches cuts"),
        (("--trainer.val_check_interval=2",), 1, r"val_check_interval=2 validates within"),
        (("--trainer.max_time=00:01:00:00",), 1, r"trainer.max_time=1:00:00 may end within"),
        (("--trainer.fast_dev_run=1",), 1, r"trainer.fast_dev_run cuts RL steps"),
        ((HALF, "--trainer.accelerator=auto"), 1, r"precision=16-mixed overflows: set it to bf16"),
        (("--trainer.precision=16-true",), 1, r"trainer.precision=16-true overflows"),
    ],
)
def test_an_experiment_that_cannot_start_is_refused(
    flags: tuple[str, ...], gpus: int, message: str, parse: Callable[..., Parsed]
) -> None:
    with pytest.raises(ValueError, match=message):
        plan(parse(QUICK, *flags), gpus=gpus)


@pytest.mark.parametrize(
    "flags",
    [
        ("--model.policy.model=softmax_table",),
        ("--trainer.precision=64-true",),
        ("--trainer.strategy=fsdp",),
    ],
)
def test_what_the_formulas_do_not_know_is_told_from_what_fit_refuses(
    flags: tuple[str, ...], parse: Callable[..., Parsed], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    save_model(model, "gpt2")
    flags = tuple(flag.replace("softmax_table", str(model)) for flag in flags)
    with pytest.raises(DryRunError):
        plan(parse(QUICK, *flags))


def test_devices_and_rl_steps_are_counted_as_the_trainer_does(parse: Callable[..., Parsed]) -> None:
    def read(*flags: str) -> tuple[int, int]:
        built = build(parse(QUICK, *flags))
        return built.devices, workload(built).rl_steps

    for devices, count in {"0,1,2,3": 4, "[1, 3]": 2, "2": 2, "1,": 1, "auto": 1, "-1": 1}.items():
        assert read(f"--trainer.devices={devices}") == (count, 100)
    assert read("--trainer.devices=0,1", "--trainer.num_nodes=2")[0] == 4
    with pytest.raises(ValueError, match="prompts_per_step=32 does not divide over 3 ranks"):
        read("--trainer.devices=0,1,2")
    # 8 updates per RL step
    assert read("--trainer.max_steps=80") == (1, 10)
    assert read("--trainer.max_steps=80", "--trainer.max_epochs=-1") == (1, 10)
    assert read("--trainer.max_steps=1600") == (1, 100)


def test_half_precision_on_a_cpu_is_bfloat16(parse: Callable[..., Parsed]) -> None:
    assert workload(build(parse(QUICK, HALF, "--trainer.accelerator=cpu"))).numbers == "autocast"


def test_adapters_beside_a_reference_are_refused(parse: Callable[..., Parsed]) -> None:
    pytest.importorskip("peft")
    lora = parse(QUICK, "--model.policy.lora.rank=2", "--model.regularizers+=ReferenceKL")
    with pytest.raises(ValueError, match="lora is set, but ReferenceKL"):
        plan(lora)


@pytest.mark.parametrize(
    "assumption",
    [
        {"response_tokens": 0.0},
        {"prompt_tokens": -1.0},
        {"draws": 0.5},
        {"validation_responses": -1},
        {"memory_gb": 0.0},
        {"utilisation": 1.5},
    ],
)
def test_an_assumption_out_of_range_is_named(
    assumption: dict[str, float], parse: Callable[..., Parsed]
) -> None:
    with pytest.raises(ValueError, match=next(iter(assumption))):
        plan(parse(QUICK), **assumption)  # type: ignore[arg-type]


def test_an_engine_that_cannot_sample_has_no_hours(
    parse: Callable[..., Parsed], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = parse(QUICK, "--model.engine=VLLMEngine", "--model.engine.memory_fraction=1e-6")
    plan(small, json=str(tmp_path / "plan.json"))
    text = " ".join(capsys.readouterr().out.split())
    assert "does not hold its weights" in text and "the run: no hours" in text
    record = json.loads((tmp_path / "plan.json").read_text())
    assert record["device_hours"] is None and not record["fits"]


def test_evaluations_are_counted_or_said_not_to_be(
    parse: Callable[..., Parsed], capsys: pytest.CaptureFixture[str]
) -> None:
    plan(parse(QUICK))
    text = " ".join(capsys.readouterr().out.split())
    assert "evaluation not counted" in text and "--validation_responses counts them" in text
    plan(parse(QUICK), gpus=2, validation_responses=1000)
    text = " ".join(capsys.readouterr().out.split())
    assert "evaluation, a step's share" in text and "--validation_responses" not in text
    assert "450 GB/s between 2 GPUs; evaluations 1,000 responses" in text
    assert "is hidden behind the updates" in text


def test_remedies_can_be_typed(parse: Callable[..., Parsed], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan(parse(QUICK), gpus=1, memory_gb=0.05, json=str(file))
    record = json.loads(file.read_text())
    advice = [f"--{item.removeprefix('--')}" for item in record["remedies"]]
    (rows,) = (item for item in advice if "max_rows" in item)
    assert rows.startswith("--model.engine=LocalEngine --model.engine.max_rows=")
    assert record["fits_with_remedies"]
    made = plan(parse(QUICK, *" ".join(advice).split()), gpus=1, memory_gb=0.05)
    assert made.fits and made.work.engine_rows == int(rows.rpartition("=")[2])


def test_rows_at_once_are_those_of_the_hardware(parse: Callable[..., Parsed]) -> None:
    many = parse(QUICK, "--data.prompts_per_step=128")
    # a small Llama or Qwen2 in float32 decodes as many on a CPU as elsewhere
    assert plan(many, gpus=1, gpu="cpu").work.engine_rows == 1024
    low = parse(QUICK, "--data.prompts_per_step=128", "--model.policy.dtype=bfloat16")
    assert plan(low, gpus=1, gpu="cpu").work.engine_rows == 256
    mixed = parse(QUICK, "--data.prompts_per_step=128", "--trainer.precision=bf16-mixed")
    assert plan(mixed, gpus=1, gpu="cpu").work.engine_rows == 256
    assert plan(many, gpus=1, gpu="h100").work.engine_rows == 1024
    given = parse(QUICK, "--model.engine=LocalEngine", "--model.engine.max_rows=48")
    assert plan(given, gpus=1, gpu="cpu").work.engine_rows == 48


def test_what_does_not_fit_says_what_mends_it(
    parse: Callable[..., Parsed], capsys: pytest.CaptureFixture[str]
) -> None:
    plan(parse(QUICK, "--data.minibatch_size=256"), gpus=1, memory_gb=0.15)
    text = " ".join(capsys.readouterr().out.split())
    assert "does not fit into 0.15 GB: training on a microbatch" in text
    assert "It fits, at" in text and "model.policy.gradient_checkpointing=true" in text
