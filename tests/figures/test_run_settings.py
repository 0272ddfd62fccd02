"""Settings in which runs of one curve differ: what counts, and what is said."""

from __future__ import annotations

import numpy as np

from lit_entropy.figures.runs import Run
from lit_entropy.figures.settings import differences, settings_of

HISTORY = {"step": np.arange(3.0)}
BONUS = {"class_path": "lit_entropy.regularizers.EntropyBonus", "init_args": {"coef": 0.1}}
KL = {"class_path": "lit_entropy.regularizers.ReferenceKL", "init_args": {"coef": 1}}


def run(name: str, **config: object) -> Run:
    return Run(name, "GRPO", 0, HISTORY, settings=settings_of(config))


def said(*runs: Run) -> str:
    lines = differences(runs)
    assert len(lines) <= 1
    return lines[0] if lines else ""


def test_the_keys_of_a_configuration() -> None:
    config = {
        "seed_everything": 3,
        "run": {"name": "a", "tags": []},
        "checkpoint": {"every_n_epochs": 10},
        "trainer": {"max_epochs": 9, "logger": True, "callbacks": [KL, BONUS, KL]},
        "model": {"loss": {"class_path": "x.KLCov", "init_args": {"coef": 1}}, "betas": [0.9, 1]},
        "runs_of": None,
    }
    path = "lit_entropy.regularizers"
    assert settings_of(config) == {
        "trainer.max_epochs": 9,
        "trainer.callbacks.ReferenceKL.class_path": f"{path}.ReferenceKL",
        "trainer.callbacks.ReferenceKL.coef": 1,
        "trainer.callbacks.EntropyBonus.class_path": f"{path}.EntropyBonus",
        "trainer.callbacks.EntropyBonus.coef": 0.1,
        "trainer.callbacks.ReferenceKL-2.class_path": f"{path}.ReferenceKL",
        "trainer.callbacks.ReferenceKL-2.coef": 1,
        "model.loss.class_path": "x.KLCov",
        "model.loss.coef": 1,
        "model.betas": [0.9, 1],
        "runs_of": None,
    }


def test_the_seed_and_the_name_are_no_difference() -> None:
    one = run("a", seed_everything=1, run={"name": "a"}, ckpt_path=None, model={"lr": 1})
    two = run("b", seed_everything=2, run={"name": "b"}, ckpt_path="last", model={"lr": 1})
    assert said(one, two) == ""


def test_a_setting_that_one_run_lacks_and_many() -> None:
    assert said(run("a", model={"lr": 1}), run("b", model={"lr": 1, "eps": 2})) == (
        "'GRPO' has runs of other settings, averaged as one: model.eps (not given, 2); if they are "
        "not one, give each its label, --labels"
    )
    many = said(run("a", **dict.fromkeys("uvwxyz", 1)), run("b", **dict.fromkeys("uvwxyz", 2)))
    assert "as one: u (1, 2), v (1, 2), w (1, 2), x (1, 2) and 2 more; if" in many


def test_only_runs_that_are_averaged_are_compared() -> None:
    one, two = run("a", lr=1), run("b", lr=2)
    points = [
        Run(r.name, r.label, 0, HISTORY, x, {}, {}, r.settings) for x, r in ((1, one), (2, two))
    ]
    models = [
        Run(r.name, r.label, 0, HISTORY, None, {"model": r.name}, {}, r.settings)
        for r in (one, two)
    ]
    export = Run("c", "GRPO", 0, HISTORY)
    assert differences(points) == differences(models) == differences([one, export]) == []
    assert len(differences([one, two, export])) == 1
