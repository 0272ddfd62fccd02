"""Every configuration of the paper: a dry run on its own number of GPUs, and its values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from paper_files import PAPER, parser_of_plan

from lit_entropy.losses import ClipCov, KLCov, PPOClip
from lit_entropy.planning.experiment import Built, Parsed, build
from lit_entropy.planning.hardware import GB, HARDWARE, Rates
from lit_entropy.planning.plan import make_plan
from lit_entropy.planning.reading import workload
from lit_entropy.policy.published import published_models

SECTION4 = [(PAPER / "section4.yaml", path) for path in sorted(PAPER.glob("qwen*.yaml"))]
PRIME = "algorithms/prime.yaml"
MODELS = sorted((PAPER / "models").glob("*.yaml"))
ALGORITHMS = sorted((PAPER / "algorithms").glob("*.yaml"))
SECTION2 = [(PAPER / "section2.yaml", path) for path in MODELS] + [
    (PAPER / "section2.yaml", PAPER / "models" / "qwen2.5-7b.yaml", path) for path in ALGORITHMS
]


@pytest.fixture(scope="module")
def parse() -> Iterator[Callable[..., Parsed]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield parser_of_plan(monkeypatch)


@pytest.fixture(scope="module")
def build_once(parse: Callable[..., Parsed]) -> Callable[..., tuple[Parsed, Built]]:
    """Parse and build, once for each set of files."""

    @cache
    def build_files(*files: Path) -> tuple[Parsed, Built]:
        experiment = parse(*files)
        return experiment, build(experiment)

    return build_files


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would ask the hub fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run must not use the network")

    monkeypatch.setattr("socket.socket.connect", refuse)


def names(files: tuple[Path, ...]) -> str:
    return "-".join(path.stem for path in files)


def test_no_run_is_missing() -> None:
    methods = ("clip_cov", "clip_higher", "grpo", "kl_cov")
    expected = [f"qwen{size}_{method}" for size in ("32b", "7b") for method in methods]
    assert [path.stem for _, path in SECTION4] == expected
    assert len(MODELS) == 11
    assert [path.stem for path in ALGORITHMS] == ["grpo", "prime", "reinforce_pp", "rloo"]


@pytest.mark.parametrize("files", SECTION4 + SECTION2, ids=names)
def test_it_builds_without_weights_and_divides(
    files: tuple[Path, ...], build_once: Callable[..., tuple[Parsed, Built]]
) -> None:
    experiment, built = build_once(*files)
    devices, data = built.devices, built.data
    plan = data.plan_with(built.trainer.accumulate_grad_batches)
    assert devices == experiment.config.trainer.devices * experiment.config.trainer.num_nodes
    assert plan.prompts_per_step % devices == 0
    assert plan.microbatches == experiment.config.trainer.accumulate_grad_batches
    assert plan.minibatch_size % (devices * plan.microbatches) == 0
    policy = built.module.policy
    assert all(parameter.is_meta for parameter in policy.parameters())
    longest = data.max_prompt_tokens + built.module.max_new_tokens
    assert longest <= built.module.policy.context
    assert built.engine is not None
    engines = built.engine.init_args.get("max_model_len", built.module.policy.context)
    assert longest <= engines <= built.module.policy.context  # vLLM refuses more
    name = experiment.config.model.policy.init_args.model
    work = workload(built)
    assert work.shape.parameters == published_models()[name].parameters
    assert work.shape.heads % (work.shape.heads * work.shape.keys // work.shape.queries) == 0
    # PRIME's reward model is whole on every GPU: 122 GB at 7B
    fits = make_plan(work, devices, HARDWARE["h100"], Rates()).fits
    assert fits == (files[-1].stem != "prime")


@pytest.mark.parametrize("files", SECTION4, ids=names)
def test_section_4_has_the_paper_s_values(
    files: tuple[Path, ...], build_once: Callable[..., tuple[Parsed, Built]]
) -> None:
    built = build_once(*files)[1]
    module = built.module
    plan = built.data.plan_with(built.trainer.accumulate_grad_batches)
    assert (plan.prompts_per_step, plan.group_size, plan.minibatch_size) == (256, 8, 256)
    assert plan.updates_per_step == 8
    assert (module.temperature, module.max_new_tokens) == (1.0, 8192)
    optimizer = module.optimizer(list(module.policy.parameters()))
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (5e-7, 0.0)
    assert built.trainer.gradient_clip_val == 1.0
    assert (plan.group_filter, plan.draws) == ("resample", 10)
    size, _, method = files[1].stem.removeprefix("qwen").partition("_")
    loss = module.loss
    if method in ("grpo", "clip_higher"):
        assert isinstance(loss, PPOClip)
        assert (loss.clip_low, loss.clip_high) == (0.2, 0.28 if method == "clip_higher" else 0.2)
    elif method == "clip_cov":
        assert isinstance(loss, ClipCov)
        assert (loss.fraction, tuple(loss.bounds)) == (2e-4, (1.0, 5.0))
    else:
        assert isinstance(loss, KLCov)
        assert (loss.fraction, loss.kl_coef) == (2e-3 if size == "7b" else 2e-4, 1.0)


@pytest.mark.parametrize(
    ("model", "share", "fits"),
    [("qwen2.5-1.5b", 0.5, True), ("qwen2.5-3b", 0.5, False), ("qwen2.5-3b", 0.25, True),
     ("llama-3.2-3b", 0.25, True)],
)  # fmt: skip
def test_models_that_prime_leaves_room_for(
    model: str, share: float, fits: bool, parse: Callable[..., Parsed]
) -> None:
    files = (PAPER / "section2.yaml", PAPER / "models" / f"{model}.yaml", PAPER / PRIME)
    built = build(parse(*files, f"--model.engine.memory_fraction={share}"))
    assert make_plan(workload(built), built.devices, HARDWARE["h100"], Rates()).fits == fits


def test_the_documented_figures(build_once: Callable[..., tuple[Parsed, Built]]) -> None:
    built = build_once(PAPER / "section4.yaml", PAPER / "qwen7b_kl_cov.yaml")[1]
    plan = make_plan(workload(built), 8, HARDWARE["h100"], Rates())
    text = (PAPER.parents[2] / "docs" / "how-to" / "plan.md").read_text()
    memory = f"{plan.memory.peak / GB:.2f} GB of {plan.hardware.memory / GB:.0f}"
    assert f"| peak of memory per GPU | {memory} |" in text
    assert f"| an RL step | {plan.seconds.total:.0f} s |" in text
    assert f"| the whole run, without evaluations | {plan.device_hours:.0f} GPU-hours |" in text


def test_section_2_makes_2400_updates(
    build_once: Callable[..., tuple[Parsed, Built]],
) -> None:
    built = build_once(*SECTION2[0])[1]
    updates = built.data.plan_with(built.trainer.accumulate_grad_batches).updates_per_step
    assert updates == 16
    assert built.trainer.max_epochs is not None
    assert updates * built.trainer.max_epochs == 2400


@pytest.mark.parametrize("name", ["section4.yaml", "section2.yaml"])
def test_each_number_says_where_it_is_from(name: str) -> None:
    lines = (PAPER / name).read_text().splitlines()
    start = lines.index("data:")
    end = next(index for index, line in enumerate(lines) if line.startswith("  callbacks:"))
    source = re.compile(r"#.*(section \d|script|2\.\d|[Ff]ig\. \d|appendix A|ours|max_prompt)")
    numbers = re.compile(r"^  \w+: (\d|resample)")
    settled = {"num_nodes", "devices"}  # the overlays say theirs
    for line in lines[start:end]:
        if numbers.match(line) and line.split(":")[0].strip() not in settled:
            assert source.search(line), line
