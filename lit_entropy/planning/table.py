"""A plan as text."""

from rich import box
from rich.console import Console
from rich.table import Table

from lit_entropy.planning.hardware import GB
from lit_entropy.planning.memory import Parts, loading
from lit_entropy.planning.plan import Plan

PHASES = {"update": "training on a microbatch", "step": "optimizer step", "rollout": "sampling"}


def show(
    plan: Plan,
    advice: list[str],
    mended: Plan,
    grown: list[tuple[str, Plan]],
    console: Console | None = None,
) -> None:
    """Print a plan.

    Args:
        plan: the estimate.
        advice: settings that make it fit, from :func:`~lit_entropy.planning.plan.remedies`.
        mended: the estimate with those.
        grown: estimates of like runs with their labels.
        console: where to; the terminal by default.
    """
    console = console or Console(highlight=False, width=100)
    console.print(_setting(plan))
    console.print(_memory_table(plan))
    console.print(_host(plan))
    console.print(_verdict(plan, advice, mended))
    console.print(_time_table(plan))
    console.print(_run(plan))
    console.print(_growth_table(plan, grown))
    console.print(_assumptions(plan))


def size(amount: float) -> str:
    """Bytes in decimal gigabytes or megabytes."""
    return f"{amount / GB:,.2f} GB" if amount >= GB / 10 else f"{amount / 1e6:,.2f} MB"


def _setting(plan: Plan) -> str:
    work, hardware = plan.work, plan.hardware
    trained = "" if work.trainable >= work.shape.parameters else f", {work.trainable:,} trained"
    return (
        f"{work.shape.parameters:,} parameters{trained}; {plan.devices} x {hardware.name}"
        f"{' and as many for the rollout server' if work.engine == 'elsewhere' else ''}, "
        f"strategy {work.strategy}; {work.prompts} prompts x {work.samples} responses per RL step, "
        f"{work.updates} updates of {work.minibatch} sequences, {work.rows(plan.devices)} per "
        f"microbatch on each GPU; {work.rl_steps} RL steps"
    )


def _memory_table(plan: Plan) -> Table:
    table = Table(title="memory per GPU", box=box.SIMPLE, title_justify="left")
    table.add_column("")
    phases: dict[str, Parts] = {name: getattr(plan.memory, name) for name in PHASES}
    for title in PHASES.values():
        table.add_column(title, justify="right")
    names = list(dict.fromkeys(part for parts in phases.values() for part in parts))
    for name in names:
        cells = [size(parts[name]) if name in parts else "" for parts in phases.values()]
        table.add_row(name.replace("_", " "), *cells)
    totals = [size(total) for total in plan.memory.phases.values()]
    table.add_row("total", *totals, style="bold")
    return table


def _host(plan: Plan) -> str:
    ranks = min(plan.devices, plan.rates.devices_a_machine)
    each = f", {size(loading(plan.work))} for each of {ranks} ranks" if ranks > 1 else ""
    return f"host memory of a machine as the models load: {size(plan.host_memory)}{each}"


def _verdict(plan: Plan, advice: list[str], mended: Plan) -> str:
    room = size(plan.hardware.memory)
    if plan.fits:
        return f"fits: the peak is {size(plan.memory.peak)} of {room}"
    over = [PHASES[n] for n, total in plan.memory.phases.items() if total > plan.hardware.memory]
    what = f"does not fit into {room}: {', '.join(over)}" if over else (
        "does not fit: the rollout engine's share of the memory does not hold its weights and one "
        "sequence at its limits"
    )  # fmt: skip
    listed = "".join(f"\n  {item}" for item in advice)
    if mended.fits:
        return f"{what}. It fits, at {size(mended.memory.peak)}, with{listed}"
    return f"{what}. No setting that the plan knows makes it fit; these come nearest:{listed}"


def _time_table(plan: Plan) -> Table:
    table = Table(title="an RL step", box=box.SIMPLE, title_justify="left")
    for column in ("", "seconds", "operations"):
        table.add_column(column, justify="right" if column else "left")
    flops, seconds = plan.flops, plan.seconds
    rows: list[tuple[str, float, float | None]] = [
        (f"rollout of {flops.tokens:,.0f} tokens", seconds.rollout, flops.generation),
        ("scoring without gradients", seconds.scoring, flops.scoring),
        (f"update on {flops.trained_tokens:,.0f} tokens", seconds.update, flops.update),
        ("weights to the engine", seconds.sync, None),
    ]
    if plan.work.validation:
        rows.append(("evaluation, a step's share", seconds.validation, None))
    for label, time, operations in rows:
        table.add_row(label, f"{time:,.2f}", "" if operations is None else f"{operations:.3g}")
    if not plan.work.validation:
        table.add_row("evaluation", "not counted", "")
    table.add_row("total", f"{seconds.total:,.2f}", f"{flops.total:.3g}", style="bold")
    return table


def _run(plan: Plan) -> str:
    """What the whole run costs, and what its updates wait for."""
    if not plan.engine_fits:
        return "the run: no hours, the engine cannot sample"
    hours = plan.seconds.total * plan.work.rl_steps / 3600
    lines = [f"the run: {hours:,.4g} hours, {plan.device_hours:,.4g} GPU-hours"]
    if not plan.work.validation:
        lines.append("without evaluations (--validation_responses counts them)")
    traffic = plan.seconds.communication
    computing = plan.flops.update / (plan.devices * plan.hardware.flops * plan.rates.utilisation)
    if traffic > computing:
        lines.append(
            f"updates wait for communication: {traffic:,.2f} s per step, not {computing:,.2f}"
        )
    elif traffic:
        lines.append(f"communication of {traffic:,.2f} s per step is hidden behind the updates")
    return "\n".join(lines)


def _growth_table(plan: Plan, grown: list[tuple[str, Plan]]) -> Table:
    table = Table(title="how it grows", box=box.SIMPLE, title_justify="left")
    for column in ("", "per GPU", "fits", "rollout s", "update s", "step s", "GPU-hours"):
        table.add_column(column, justify="right" if column else "left")
    for label, other in [("this run", plan), *grown]:
        seconds = other.seconds
        numbers = [f"{s:,.1f}" for s in (seconds.rollout, seconds.update, seconds.total)]
        numbers.append(f"{other.device_hours:,.4g}")
        table.add_row(
            label,
            size(other.memory.peak),
            "yes" if other.fits else "no",
            *(numbers if other.engine_fits else [""] * len(numbers)),
        )
    return table


def _assumptions(plan: Plan) -> str:
    work, rates, hardware = plan.work, plan.rates, plan.hardware
    evaluations = f"{work.validation:,} responses" if work.validation else "not counted"
    links = []
    if plan.devices > 1:
        link = rates.link(hardware, plan.devices)
        links.append(f"{link / GB:,.4g} GB/s between {plan.devices} GPUs")
    if work.engine == "elsewhere":
        links.append(f"{rates.folder / GB:,.4g} GB/s to the folder of the weights")
    return (
        f"Assumed: mean prompt {work.prompt_tokens:,.0f} and response {work.response_tokens:,.0f} "
        f"tokens, no padding; {work.draws:g} draws of prompts per RL step, of each one response at "
        f"the limit of {work.max_new_tokens:,}; {hardware.flops / 1e12:,.4g} Tflop/s at "
        f"{rates.utilisation:.0%}, {hardware.bandwidth / GB:,.4g} GB/s at {rates.decode:.0%}; "
        f"{''.join(f'{item}; ' for item in links)}evaluations {evaluations}, checking of answers "
        "and checkpoints not; memory with every sequence at its limits."
    )
