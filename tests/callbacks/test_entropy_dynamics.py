"""EntropyDynamics on real runs: its numbers by a second route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import experience_of, fit, metrics, parts

from lit_entropy.callbacks import EntropyDynamics
from lit_entropy.callbacks.probe import tell_fewer_held_out
from lit_entropy.cli.main import EntropyCLI
from lit_entropy.policy.policy import Policy

QUICK = ["--model.evaluation.samples=0", "--model.evaluation.pass_k=[]"]
DYNAMICS = [
    "--trainer.callbacks+=lit_entropy.callbacks.EntropyDynamics",
    "--trainer.callbacks.every=2",
    "--trainer.callbacks.probe_prompts=5",
    "--trainer.callbacks.rollout_prompts=3",
]


def callback_of(cli: EntropyCLI) -> EntropyDynamics:
    callbacks: list[Any] = cli.trainer.callbacks
    (found,) = (callback for callback in callbacks if isinstance(callback, EntropyDynamics))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[EntropyCLI, dict[str, Any], Path]:
    """Five RL steps, measured at 1, 3 and 5."""
    folder = tmp_path_factory.mktemp("dynamics")
    cli = fit(folder, *QUICK, *DYNAMICS, "--trainer.max_epochs=5")
    return cli, metrics(folder), folder


def test_measured_steps_and_keys(run: tuple[EntropyCLI, dict[str, Any], Path]) -> None:
    _, columns, _ = run
    steps = columns["step"]
    assert steps[~np.isnan(columns["dynamics/fixed/delta"])].tolist() == [1, 3, 5]
    assert steps[~np.isnan(columns["dynamics/bandit_covariance"])].tolist() == [1, 2, 3, 4, 5]
    measured = ("delta", "lemma1", "second_order", "second_order_relative_error")
    statistics = ("slope", "r2", "sign_agreement")
    expected = {f"{s}/{name}" for s in ("fixed", "own") for name in measured}
    expected |= {
        f"{s}/lemma1_{x}" for s in ("fixed", "own") for x in (*statistics, "relative_error")
    }
    expected |= {f"on_policy/{name}" for name in ("delta", "fixed", "shift")}
    theorems = [f"theorem{n}_{centre}" for n in (1, 2) for centre in ("state", "batch")]
    theorems.append("discriminator")
    expected |= {f"own/{name}" for name in theorems}
    expected |= {f"own/{name}_{x}" for name in theorems for x in statistics}
    for realised in ("fixed", "own", "on_policy"):
        expected |= {f"{realised}/{name}_run_{x}" for name in theorems for x in statistics}
        expected |= {f"{realised}/lemma1_run_{x}" for x in (*statistics, "relative_error")}
    sets = ("fixed/", "own/", "on_policy/")
    logged = {key.removeprefix("dynamics/") for key in columns if key.startswith("dynamics/")}
    assert {key for key in logged if key.startswith(sets)} == expected
    last = {key: columns[f"dynamics/{key}"][-1] for key in expected}
    assert all(np.isfinite(value) for value in last.values())


def test_the_split_adds_up(run: tuple[EntropyCLI, dict[str, Any], Path]) -> None:
    _, columns, _ = run
    of = {name: columns[f"dynamics/on_policy/{name}"] for name in ("delta", "fixed", "shift")}
    measured = ~np.isnan(of["delta"])
    np.testing.assert_allclose(
        of["delta"][measured], (of["fixed"] + of["shift"])[measured], rtol=0, atol=1e-15
    )
    assert np.abs(of["shift"][measured]).min() > 0
    # nothing was thinned out: the change at fixed states is that of the own ones
    np.testing.assert_allclose(
        columns["dynamics/own/delta"][measured], of["fixed"][measured], rtol=0, atol=1e-15
    )


def test_run_statistics_are_those_of_the_logged_means(
    run: tuple[EntropyCLI, dict[str, Any], Path],
) -> None:
    _, columns, _ = run
    measured = ~np.isnan(columns["dynamics/own/delta"])
    for realised in ("fixed", "own", "on_policy"):
        y = columns[f"dynamics/{realised}/delta"][measured]
        for name in ("lemma1", "theorem1_state", "theorem2_batch", "discriminator"):
            source = "fixed" if (realised, name) == ("fixed", "lemma1") else "own"
            x = columns[f"dynamics/{source}/{name}"][measured]
            prefix = f"dynamics/{realised}/{name}_run"
            assert columns[f"{prefix}_slope"][-1] == pytest.approx(x @ y / (x @ x), rel=1e-9)
            assert columns[f"{prefix}_r2"][-1] == pytest.approx(
                np.corrcoef(x, y)[0, 1] ** 2, rel=1e-9
            )
            agree = np.mean(np.sign(x) == np.sign(y))
            assert columns[f"{prefix}_sign_agreement"][-1] == pytest.approx(agree)


def test_realised_changes_against_the_policy_itself(tmp_path: Path) -> None:
    """The first RL step by the policy's own scoring path and the engine's own entropies."""
    cli = fit(tmp_path, *QUICK, *DYNAMICS, "--trainer.max_epochs=1")
    columns = metrics(tmp_path)
    module, data = parts(cli)
    own = experience_of(cli).rows(torch.arange(3 * 4))
    start, trained, mask_BT = Policy("chain-s"), module.policy, own.response_mask_BT
    with torch.no_grad():
        before, after = (p(own.sequences, 1.0).entropy_BT[mask_BT].mean() for p in (start, trained))
    realised = float(after - before)
    assert columns["dynamics/own/delta"][-1] == pytest.approx(realised, abs=1e-6)
    rows = zip(own.prompt_tokens_BS, own.prompt_mask_BS, strict=True)
    prompts = [row[mask].tolist() for row, mask in rows]
    completions = {
        name: module.engine.generate(
            policy, prompts, own.prompt_ids_B, own.sample_ids_B,
            max_new_tokens=24, temperature=1.0, keys=(data.plan.seed, "rollout", 1, 0),
        )
        for name, policy in (("start", start), ("trained", trained))
    }  # fmt: skip
    # common random numbers: the start policy gives the rollout itself
    width = completions["start"].tokens_BT.shape[1]
    assert torch.equal(completions["start"].mask_BT, mask_BT[:, :width])
    assert torch.equal(completions["start"].tokens_BT[mask_BT[:, :width]], own.tokens_BT[mask_BT])
    new = completions["trained"]
    assert new.entropies_BT is not None
    change = float(new.entropies_BT[new.mask_BT].mean() - before)
    assert columns["dynamics/on_policy/delta"][-1] == pytest.approx(change, abs=1e-6)


def test_the_probe_is_the_start_policys_and_stays(
    run: tuple[EntropyCLI, dict[str, Any], Path],
) -> None:
    cli, columns, _ = run
    module, data = parts(cli)
    probe = callback_of(cli).state_dict()["probe"]
    problems = [data.validation_problems[index] for index in (0, 2, 4, 6, 8)]  # 5 of 10, spread
    expected = module.engine.generate(
        Policy("chain-s"),
        data.source.encode(problems),
        torch.tensor([problem.id for problem in problems]),
        torch.zeros(5, dtype=torch.int64),
        max_new_tokens=24,
        temperature=1.0,
        keys=(data.plan.seed, "probe"),
    )
    assert torch.equal(probe["tokens_BT"], expected.tokens_BT)
    assert torch.equal(probe["response_mask_BT"], expected.mask_BT)
    assert columns["dynamics/fixed/lemma1_relative_error"][1] < 1  # row 0 validates the base


def test_bad_arguments_are_refused() -> None:
    for name in ("every", "probe_prompts", "rollout_prompts", "max_states"):
        with pytest.raises(ValueError, match=rf"EntropyDynamics.{name}=0 must be at least 1"):
            EntropyDynamics(**{name: 0})
    with pytest.raises(ValueError, match="window=2"):
        EntropyDynamics(window=2)


def test_where_there_are_fewer_prompts_all_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 rows of one's own hold out 2, and a smaller RL step has fewer prompts than 8."""
    said: list[str] = []
    monkeypatch.setattr("lit_entropy.callbacks.probe.rank_zero_info", said.append)
    many = ["--trainer.callbacks.probe_prompts=11", "--trainer.callbacks.rollout_prompts=9"]
    cli = fit(tmp_path, *QUICK, *DYNAMICS, *many, "--trainer.max_epochs=1")
    assert [line for line in said if line.startswith("EntropyDynamics")] == [
        "EntropyDynamics.probe_prompts=11: there are 10 held-out problems (validation size of "
        "data.task), which are all taken",
        "EntropyDynamics.rollout_prompts=9: there are 8 prompts per RL step "
        "(data.prompts_per_step), which are all taken",
    ]
    callback = callback_of(cli)
    assert len(callback._probe["tokens_BT"]) == 10 and len(callback._own) == 32  # of 4 each
    assert np.isfinite(metrics(tmp_path)["dynamics/fixed/delta"][-1])


def test_no_held_out_problem_is_refused() -> None:
    with pytest.raises(ValueError, match=r"EntropyDelta needs held-out problems \(validation size"):
        tell_fewer_held_out("EntropyDelta", 16, 0)


def test_window_and_state_copy() -> None:
    callback = EntropyDynamics()
    state = {"probe": {"tokens_BT": torch.ones(1, 2)}, "history": [{"own/delta": 1.0}], "step": 4}
    callback.load_state_dict(state)
    copy = callback.state_dict()
    copy["history"][0]["own/delta"] = 2.0
    copy["probe"]["tokens_BT"][0] = 5.0
    assert callback.state_dict()["history"] == [{"own/delta": 1.0}]
    assert callback.state_dict()["probe"]["tokens_BT"].tolist() == [[1.0, 1.0]]
