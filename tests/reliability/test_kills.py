"""SIGKILL at file events of a run, of every kind: what is continued is the run that was not killed.

The long form kills hundreds of processes: ``python tests/reliability/long_form.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from attacked_runs import NAME
from file_events import Fault, kind_of
from killed_runs import attack, reference, spread

pytestmark = pytest.mark.timeout(1200)
#: It writes every kind of file that a run writes.
CONFIGURATION = "samples and token pages"
KILLS = 21


def test_kills_at_every_kind_of_file_event(tmp_path: Path) -> None:
    """Three to a run: of its first process, and of two that continue it."""
    events = reference(CONFIGURATION, tmp_path / "whole")
    chosen = spread(events, KILLS, kind_of)
    killed, at = 0, set[str]()
    for number in range(0, len(chosen), 3):
        # what continues a run starts its events anew, later ones first lest it be over before
        places = sorted(chosen[number : number + 3], reverse=True)
        kills = [Fault(event, torn=index % 2 == 0) for index, event in enumerate(places)]
        outcome = attack(CONFIGURATION, kills, tmp_path / str(number), tmp_path / "whole")
        assert (outcome.mismatches, outcome.lost_rows) == ([], 0), (outcome.at, outcome)
        killed += outcome.kills
        at |= {kind_of(line) for line in outcome.at}
    print(f"{killed} kills at {len(at)} kinds of {len(events)} file events")
    assert killed >= 20 and len(at) >= 15


@pytest.mark.parametrize(
    "configuration",
    [
        pytest.param("ended by max_steps", marks=pytest.mark.slow),
        pytest.param("ended by an early stop", marks=pytest.mark.slow),
        pytest.param("ended by a time limit", marks=pytest.mark.slow),
    ],
)
def test_kills_around_the_last_checkpoint_of_a_run_that_ends_early(
    tmp_path: Path, configuration: str
) -> None:
    """Before the newest of RL step 2, at once behind that of step 3, and in the last figure."""
    reference(configuration, tmp_path / "whole")
    pages = sorted(path.name for path in (tmp_path / "whole/runs" / NAME / "tokens").iterdir())
    assert pages == ["step_00001.html", "step_00003.html"]
    kills = [
        Fault(place="rename run/checkpoints/last.ckpt", nth=2),
        Fault(place="fsync run/checkpoints$", nth=4),  # the fourth checkpoint that it writes
        Fault(place="rename run/figures/summary.pdf"),
    ]
    outcome = attack(configuration, kills, tmp_path / "run", tmp_path / "whole")
    assert (outcome.mismatches, outcome.lost_rows, outcome.kills) == ([], 0, 3), outcome
    assert len(outcome.restarts) == 1  # what was continued behind RL step 3 was over
