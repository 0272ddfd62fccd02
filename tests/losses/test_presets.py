"""Component files of losses, advantages and regularizers: they parse and hold the values."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from lit_entropy.advantages import AdvantageEstimator
from lit_entropy.functional.quota import quota_count
from lit_entropy.losses import ClipCov, KLCov, PolicyLoss, PPOClip
from lit_entropy.regularizers import Regularizer

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = [
    (base, path)
    for base, folder in (
        (PolicyLoss, "loss"),
        (AdvantageEstimator, "advantage"),
        (Regularizer, "regularizer"),
    )
    for path in sorted((CONFIGS / folder).glob("*.yaml"))
]


def build(base: type, path: Path) -> object:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--component", type=base)
    config = parser.parse_object({"component": yaml.safe_load(path.read_text())})
    return parser.instantiate(config).component


def loss(name: str) -> PolicyLoss:
    component = build(PolicyLoss, CONFIGS / "loss" / f"{name}.yaml")
    assert isinstance(component, PolicyLoss)
    return component


@pytest.mark.parametrize(("base", "path"), FILES, ids=lambda item: getattr(item, "stem", None))
def test_builds_and_states_every_argument(base: type, path: Path) -> None:
    component = build(base, path)
    assert isinstance(component, base)
    stated = yaml.safe_load(path.read_text())["init_args"]
    if "__init__" in vars(type(component)):
        assert set(stated) == set(inspect.signature(type(component)).parameters)
    assert type(component).__module__.startswith(f"lit_entropy.{base.__module__.split('.')[1]}")


def test_all_presets_exist() -> None:
    names = {path.stem for base, path in FILES if base is PolicyLoss}
    presets = ("", "_paper_7b", "_paper_32b", "_official", "_tiny")
    assert names >= {f"{m}_cov{p}" for m in ("clip", "kl") for p in presets}
    assert names >= {"policy_gradient", "ppo_clip", "clip_higher"}


def test_values_of_the_paper() -> None:
    for name, fraction in (("", 2e-3), ("_paper_7b", 2e-3), ("_paper_32b", 2e-4)):
        kl = loss(f"kl_cov{name}")
        assert isinstance(kl, KLCov)
        assert (kl.fraction, kl.kl_coef, kl.kl_estimator) == (fraction, 1.0, "abs")
        assert (kl.scope, kl.quota) == ("minibatch", "floor")
        clip = loss(f"clip_cov{name}")
        assert isinstance(clip, ClipCov)
        assert (clip.fraction, clip.bounds) == (2e-4, (1.0, 5.0))
        assert (clip.clip_low, clip.clip_high, clip.scope) == (1.0, 1.0, "minibatch")
    higher = loss("clip_higher")
    assert isinstance(higher, PPOClip) and (higher.clip_low, higher.clip_high) == (0.2, 0.28)


def test_official_presets_select_within_the_microbatch() -> None:
    for name in ("clip_cov_official", "kl_cov_official"):
        component = loss(name)
        assert not component.selects_tokens
        assert component.quota == "official"


def test_plain_files_are_the_defaults() -> None:
    for name, component in (("clip_cov", ClipCov()), ("kl_cov", KLCov()), ("ppo_clip", PPOClip())):
        stated = yaml.safe_load((CONFIGS / "loss" / f"{name}.yaml").read_text())["init_args"]
        for field, value in stated.items():
            default = getattr(component, field)
            assert (list(default) if isinstance(default, tuple) else default) == value, field


@pytest.mark.parametrize(("name", "quota"), [("clip_cov", 3), ("kl_cov", 9)])
def test_tiny_presets_select_tokens_of_a_minibatch_of_450(name: str, quota: int) -> None:
    assert quota_count(loss(f"{name}_tiny").fraction, 450) == quota  # 3.15 and 9 tokens
    assert quota_count(loss(f"{name}_paper_32b").fraction, 450) == 0  # what the paper's would do


@pytest.mark.parametrize("wrong", [{"scope": "global"}, {"fractions": 0.1}, {"kl_estimator": "k9"}])
def test_wrong_arguments_fail_at_parse_time(wrong: dict[str, object]) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--component", type=PolicyLoss)
    config = {"component": {"class_path": "lit_entropy.losses.KLCov", "init_args": wrong}}
    with pytest.raises(Exception, match=next(iter(wrong))):
        parser.parse_object(config)
