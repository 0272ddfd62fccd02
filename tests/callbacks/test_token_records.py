"""The records of a page against slow loops over the rollout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest
from experiences import rollout_of

from lit_entropy.callbacks import CovarianceMonitor
from lit_entropy.callbacks.token_records import PageOptions, token_page_record
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.attribution import QUADRANTS
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Experience


def test_against_a_slow_loop(make_experience: Callable[..., Experience]) -> None:
    experience = make_experience(P=6, G=4, T=15, seed=2, filter_groups=True)
    tokenizer = Policy("chain-s").tokenizer
    options = PageOptions(responses=5, max_tokens=8, top_tokens=3, high_probability=0.5)
    record = token_page_record(rollout_of(experience, 4, 7), tokenizer, "name", options)
    assert record is not None
    assert experience.tokens_BT is not None and experience.response_mask_BT is not None
    assert experience.entropies_BT is not None
    tokens = [
        (
            int(experience.tokens_BT[b, t]),
            float(experience.old_logprobs_BT[b, t]),
            float(experience.advantages_BT[b, t]),
            float(experience.entropies_BT[b, t]),
        )
        for b in range(24)
        for t in range(15)
        if experience.response_mask_BT[b, t]
    ]
    total = len(tokens)
    mean_x, mean_y, entropy = (sum(token[k] for token in tokens) / total for k in (1, 2, 3))
    values = [(x - mean_x) * (y - mean_y) for _, x, y, _ in tokens]
    assert (record.run, record.rl_step, record.responses_total) == ("name", 7, 24)
    assert record.tokens_total == total
    assert record.entropy == pytest.approx(entropy, rel=1e-12)
    assert record.covariance == pytest.approx(sum(values) / total, rel=1e-5)
    assert record.table1[1.0] == pytest.approx(record.covariance, rel=1e-12)
    assert record.table1[2e-4] == pytest.approx(max(values), rel=1e-6)
    # parts add up
    assert abs(sum(row.part for row in record.quadrants) - record.covariance) < 1e-12
    assert sum(row.share for row in record.quadrants) == pytest.approx(1, abs=1e-15)
    share = sum(y > 0 and x >= -0.6931472 for _, x, y, _ in tokens) / total
    assert record.quadrants[0].share == pytest.approx(share, rel=1e-15)
    # the vocabulary entries with the largest parts, both ways
    changes: dict[int, float] = defaultdict(float)
    for (token, *_), value in zip(tokens, values, strict=True):
        changes[token] -= value / total
    ordered = sorted(changes, key=lambda token: changes[token])
    assert [row.text for row in record.lowering] == [
        tokenizer.decode([token]) for token in ordered[:3]
    ]
    assert [row.text for row in record.raising] == [
        tokenizer.decode([token]) for token in ordered[:-4:-1]
    ]
    assert record.lowering[0].change == pytest.approx(changes[ordered[0]], rel=1e-5)
    assert record.raising[0].change == pytest.approx(changes[ordered[-1]], rel=1e-5)
    assert len(record.responses) == 5 and max(len(row.tokens) for row in record.responses) == 8
    # 98 % of the tokens lie within the scale
    within = sum(abs(value) <= record.covariance_limit * (1 + 1e-6) for value in values)
    assert within == round(0.98 * total)
    assert sum(token[3] <= record.entropy_limit for token in tokens) == round(0.98 * total)
    assert record.profile.positions == list(range(1, 16))
    firsts = experience.entropies_BT[:, 0].double().mean()
    assert record.profile.entropy[0] == pytest.approx(float(firsts), rel=1e-12)
    assert record.profile.share[0] == 1


def test_groups_with_an_unchecked_response_are_left_out_as_of_the_metrics(
    make_experience: Callable[..., Experience],
) -> None:
    """Their advantages are 0 by decree: they would move both centres."""
    experience = make_experience(P=3, G=4, T=15, seed=2)
    experience.checked_B[5] = False
    experience.advantages_BT[4:8] = 0
    rollout = rollout_of(experience, 4, 7)
    tokenizer = Policy("chain-s").tokenizer
    options = PageOptions(responses=5, max_tokens=8, top_tokens=3, high_probability=0.5)
    record = token_page_record(rollout, tokenizer, "name", options)
    assert record is not None and record.responses_total == 8
    logged = CovarianceMonitor().on_rollout(rollout, Ranks())
    assert record.covariance == pytest.approx(logged["cov/mean"], rel=1e-9)
    for row, name in zip(record.quadrants, QUADRANTS, strict=True):
        assert row.part == pytest.approx(logged[f"cov/quadrant/{name}"], rel=1e-9)
        assert row.share == pytest.approx(logged[f"cov/quadrant/{name}_share"], rel=1e-9)
    experience.checked_B[::4] = False
    assert token_page_record(rollout, tokenizer, "name", options) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("responses", 0), ("max_tokens", 0), ("top_tokens", -1), ("high_probability", 1.0)],
)
def test_bad_options_are_refused(name: str, value: float) -> None:
    good = {"responses": 1, "max_tokens": 1, "top_tokens": 1, "high_probability": 0.5}
    with pytest.raises(ValueError, match=f"{name} must be"):
        PageOptions(**(good | {name: value}))  # type: ignore[arg-type]
