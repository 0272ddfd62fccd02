"""Groups by the value of a knob: none is lost to rounding."""

import pytest
from method_runs import flat_run

from lit_entropy.figures.knobs import by_knob


def test_small_values_of_a_knob_are_told_apart():
    runs = [flat_run("KL-Cov", 0, 0.1, 0.5, x=x) for x in (1.0, 4e-7, 0.0, 5e-7)]
    groups = by_knob(runs, "KL-Cov")
    assert list(groups) == [0.0, 4e-7, 5e-7, 1.0]
    assert [len(group) for group in groups.values()] == [1, 1, 1, 1]


def test_values_that_differ_by_the_rounding_of_a_quotient_are_one():
    values = {0: 0.1, 1: 0.3, 2: 0.1 + 0.2}  # the last two differ in the last bit
    runs = [flat_run("Clip-Cov", seed, 0.1, 0.5, x=x) for seed, x in values.items()]
    groups = by_knob(runs, "Clip-Cov")
    assert {knob: [run.seed for run in group] for knob, group in groups.items()} == {
        1.0: [0],
        3.0: [1, 2],
    }
    with pytest.raises(ValueError, match="add other values"):
        by_knob(runs[1:], "Clip-Cov")
