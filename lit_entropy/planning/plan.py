"""A plan: what fits, how long it takes, what mends it, and how it grows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lit_entropy.planning.compute import StepFlops, step_flops
from lit_entropy.planning.hardware import Hardware, Rates
from lit_entropy.planning.memory import Memory, loading, memory
from lit_entropy.planning.sampling import cache_token, engine_room
from lit_entropy.planning.seconds import StepSeconds, step_seconds
from lit_entropy.planning.shape import Shape
from lit_entropy.planning.workload import Workload

#: Rank of the LoRA adapters that are proposed where nothing else helps.
PROPOSED_RANK = 32
#: Largest number of devices that is proposed.
MOST_DEVICES = 1024


@dataclass(frozen=True)
class Plan:
    """The estimate of one run on some devices.

    Attributes:
        work: the run.
        devices: their number.
        hardware: their kind.
        rates: assumed rates.
        memory: bytes of each phase on a device.
        flops: operations of an RL step.
        seconds: of an RL step.
    """

    work: Workload
    devices: int
    hardware: Hardware
    rates: Rates
    memory: Memory
    flops: StepFlops
    seconds: StepSeconds

    @property
    def fits(self) -> bool:
        """Whether every phase fits into a device, and an engine of its own has room to sample."""
        return self.memory.peak <= self.hardware.memory and self.engine_fits

    @property
    def host_memory(self) -> float:
        """Bytes of a machine's own memory that the models of all its ranks take as they load."""
        return min(self.devices, self.rates.devices_a_machine) * loading(self.work)

    @property
    def engine_fits(self) -> bool:
        """Whether an engine with its own weights can hold one sequence at its limits."""
        if self.work.engine == "policy":
            return True
        length = self.work.max_prompt_tokens + self.work.max_new_tokens
        room = engine_room(self.work, self.hardware.memory)
        return room >= length * cache_token(self.work)

    @property
    def device_hours(self) -> float:
        """Hours of all devices together, over the whole run, those of a rollout server included."""
        devices = self.devices * (2 if self.work.engine == "elsewhere" else 1)
        return devices * self.work.rl_steps * self.seconds.total / 3600


def make_plan(work: Workload, devices: int, hardware: Hardware, rates: Rates) -> Plan:
    """Estimate memory, operations and time of a run."""
    return Plan(
        work,
        devices,
        hardware,
        rates,
        memory(work, devices, hardware.memory),
        step_flops(work),
        step_seconds(work, devices, hardware, rates),
    )


def remedies(plan: Plan) -> tuple[list[str], Plan]:
    """The settings to change, in order, until the run fits, and the plan with them.

    A setting that has helped is kept while the next is tried; one that does not lower what is too
    large is left out.
    """
    said: dict[str, str] = {}
    for advice, change, devices in _knobs(plan.work, plan.devices):
        if plan.fits:
            break
        work = replace(plan.work, **change)  # type: ignore[arg-type]
        if work.minibatch % (work.accumulation * devices):
            work = replace(work, accumulation=max(1, work.minibatch // devices))
        better = make_plan(work, devices, plan.hardware, plan.rates)
        less = better.memory.peak < plan.memory.peak and better.engine_fits == plan.engine_fits
        if less or better.engine_fits > plan.engine_fits:
            if work.accumulation != plan.work.accumulation:
                parts = f"trainer.accumulate_grad_batches={work.accumulation}"
                said[parts.partition("=")[0]] = parts
            plan = better
            said[advice.partition("=")[0]] = advice
    return list(said.values()), plan


def _knobs(work: Workload, devices: int) -> Iterator[tuple[str, dict[str, object], int]]:
    """Settings that spare memory, the cheapest first: advice, changes and devices."""
    yield "model.policy.gradient_checkpointing=true", {"checkpointing": True}, devices
    own = work.minibatch // devices
    for parts in range(work.accumulation + 1, own + 1):
        if own % parts == 0:
            advice = f"trainer.accumulate_grad_batches={parts}"
            yield advice, {"accumulation": parts}, devices
    if devices > 1:
        yield "--config=configs/strategy/fsdp2.yaml", {"strategy": "fsdp2"}, devices
    yield "model.policy.chunk_tokens=256", {"chunk_tokens": min(256, work.chunk_tokens)}, devices
    rows = work.engine_rows if work.engine == "policy" else 0
    while rows > 8:
        rows //= 2
        named = "" if work.engine_named else "model.engine=LocalEngine --"
        yield f"{named}model.engine.max_rows={rows}", {"engine_rows": rows}, devices
    if work.engine == "own" and work.engine_cache is None:
        for share in (0.75, 0.9, work.engine_memory / 2, work.engine_memory / 4):
            advice = f"model.engine.memory_fraction={share:g}"
            yield advice, {"engine_memory": share}, devices
    for part in (2, 4):
        limit = work.max_new_tokens // part
        change: dict[str, object] = {
            "max_new_tokens": limit,
            "response_tokens": min(work.response_tokens, limit),
        }
        yield f"model.max_new_tokens={limit} (another experiment)", change, devices
    if not (work.reference or work.reward_model):  # which need the frozen base
        adapters: dict[str, object] = {"trainable": work.shape.low_rank(PROPOSED_RANK)}
        yield f"LoRA rank={PROPOSED_RANK} (another experiment)", adapters, devices
    while devices * 2 <= MOST_DEVICES and _divides(work, devices * 2):
        devices *= 2
        yield f"devices={devices}, sharded (FSDP2)", {"strategy": "fsdp2"}, devices


def _divides(work: Workload, devices: int) -> bool:
    """Whether each of the devices has as many prompts and as many sequences of a minibatch."""
    return work.prompts % devices == 0 == work.minibatch % devices


def growth(plan: Plan, shapes: dict[str, Shape]) -> list[tuple[str, Plan]]:
    """The same run with other models, response lengths and numbers of devices, one at a time."""
    work, rows = plan.work, []
    for name, shape in shapes.items():
        full = work.trainable >= work.shape.parameters
        trainable = shape.parameters if full else shape.low_rank(PROPOSED_RANK)
        rows.append(
            (f"model {name}", replace(work, shape=shape, trainable=trainable), plan.devices)
        )
    for limit in (work.max_new_tokens // 4, work.max_new_tokens // 2, 2 * work.max_new_tokens):
        mean = work.response_tokens * limit / work.max_new_tokens
        longer = replace(work, max_new_tokens=limit, response_tokens=mean)
        rows.append((f"responses up to {limit} tokens", longer, plan.devices))
    for devices in (plan.devices // 2, 2 * plan.devices, 4 * plan.devices):
        if devices and _divides(work, devices):
            spread = max(1, min(work.accumulation, work.minibatch // devices))
            rows.append((f"{devices} devices", replace(work, accumulation=spread), devices))
    return [
        (label, make_plan(other, devices, plan.hardware, plan.rates))
        for label, other, devices in rows
    ]
