"""``lit-entropy plan``: what a run needs, before it is started."""

from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Literal

from lit_entropy.atomic import atomic_write
from lit_entropy.planning.experiment import Parsed, build
from lit_entropy.planning.hardware import HARDWARE, Rates
from lit_entropy.planning.plan import Plan, growth, make_plan, remedies
from lit_entropy.planning.reading import workload
from lit_entropy.planning.shape import Shape, shape_of
from lit_entropy.planning.table import show
from lit_entropy.policy.dry_run import published_config
from lit_entropy.policy.published import published_models

GPU = Literal["h100", "a100-80", "a100-40", "l40s", "rtx4090", "cpu"]
#: Models whose growth is shown.
LADDER = ("qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen2.5-7b", "qwen2.5-32b")


def plan(
    experiment: Parsed,
    gpus: int | None = None,
    gpu: GPU = "h100",
    response_tokens: float | None = None,
    prompt_tokens: float | None = None,
    draws: float | None = None,
    validation_responses: int = 0,
    memory_gb: float | None = None,
    tflops: float | None = None,
    bandwidth: float | None = None,
    utilisation: float = 0.4,
    decode_efficiency: float = 0.6,
    json: str | None = None,
) -> Plan:
    """Estimate memory, time and GPU-hours of a run, without weights, data or GPUs.

    The configuration is parsed, built on the meta device and checked for the number of GPUs, as
    fit would at its start: a plan is also a dry run.

    Args:
        experiment: The configuration, as fit parses it.
        gpus: Number of GPUs; by default those of trainer.devices (auto and -1 count as one) and
            trainer.num_nodes.
        gpu: Their kind.
        response_tokens: Mean length of a response; by default half of model.max_new_tokens.
        prompt_tokens: Mean length of a prompt; by default a quarter of data.max_prompt_tokens.
        draws: Draws of prompts per RL step; by default 2 under data.group_filter=resample, else 1.
        validation_responses: Responses of one evaluation (problems times samples); 0 leaves
            evaluations out of the time.
        memory_gb: Memory of a GPU in decimal gigabytes, in place of the table's.
        tflops: Peak of dense bfloat16 operations, in place of the table's.
        bandwidth: Memory bandwidth in gigabytes a second, in place of the table's.
        utilisation: Share of the peak operations that training and prefill reach.
        decode_efficiency: Share of the memory bandwidth that decoding reaches.
        json: File to write the plan to as JSON.

    Returns:
        The plan, which is also printed.

    Raises:
        ValueError: the configuration is refused, or an assumption is out of its range.
    """
    for name, value in {"response_tokens": response_tokens, "prompt_tokens": prompt_tokens}.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name}={value} must be above 0")
    if draws is not None and draws < 1:
        raise ValueError(f"draws={draws} must be at least 1")
    if validation_responses < 0:
        raise ValueError(f"validation_responses={validation_responses} must not be negative")
    hardware = HARDWARE[gpu].but(memory_gb, tflops, bandwidth)
    built = build(experiment, gpus)
    on_cpu = gpu == "cpu"
    work = workload(built, response_tokens, prompt_tokens, draws, validation_responses, on_cpu)
    made = make_plan(work, built.devices, hardware, Rates(utilisation, decode_efficiency))
    advice, mended = remedies(made)
    grown = growth(made, _ladder())
    show(made, advice, mended, grown)
    if json is not None:
        record = as_record(made) | {"remedies": advice, "fits_with_remedies": mended.fits}
        record["growth"] = {label: as_record(other) for label, other in grown}
        with atomic_write(Path(json)) as file:
            file.write((dumps(record, indent=2) + "\n").encode())
    return made


def as_record(made: Plan) -> dict[str, object]:
    """A plan as plain numbers: bytes, operations, seconds and hours."""
    return {
        "workload": asdict(made.work),
        "devices": made.devices,
        "hardware": asdict(made.hardware),
        "rates": asdict(made.rates),
        "memory": asdict(made.memory) | {"peak": made.memory.peak},
        "host_memory": made.host_memory,
        "fits": made.fits,
        "flops": asdict(made.flops),
        "seconds": asdict(made.seconds) | {"total": made.seconds.total},
        "device_hours": made.device_hours if made.engine_fits else None,
    }


def _ladder() -> dict[str, Shape]:
    return {name: shape_of(published_config(name)) for name in LADDER if name in published_models()}
