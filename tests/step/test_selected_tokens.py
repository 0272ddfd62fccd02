"""What docs/pitfalls.md says of the tokens that are selected in each precision."""

from __future__ import annotations

import pytest
from selected_tokens import LOSSES, changed

#: Responses; the page has 256 of three seeds.
FEW = 64


@pytest.mark.parametrize("loss", LOSSES)
def test_in_float32_no_selection_depends_on_the_microbatches(loss: str) -> None:
    missing, total = changed(loss, "32-true", 8, range(1), FEW)
    assert missing == 0 and total > 20


@pytest.mark.slow
def test_in_bfloat16_one_of_a_hundred_does() -> None:
    missing, total = changed("RecordingKLCov", "bf16-mixed", 8, range(2), FEW)
    assert 0 < missing < total / 20
