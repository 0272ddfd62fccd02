"""A warning for an evaluation whose answers nobody reads: its scores of 0 say nothing."""

import math
from collections.abc import Sequence

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.evaluation.records import Record
from lit_entropy.step.alarm import shown_lines, spoiled_cause, unread_cause
from lit_entropy.tasks.base import Task


def warn_unread(records: Sequence[Record], task: Task) -> None:
    """Warn where no response has an answer that the task reads, with the likely cause.

    Args:
        records: those of an evaluation, over all ranks.
        task: names the answers; of one that does not nothing is said.
    """
    greedy = [record.greedy for record in records if record.greedy]
    sampled = [record.sampled for record in records if record.sampled]
    count = len(greedy) + sum(own.samples for own in sampled)
    unread = [one.malformed for one in greedy] + [own.malformed_count for own in sampled]
    if not count or sum(number or 0 for number in unread) < count:
        return
    checked = sum(one.checked for one in greedy) + sum(own.checked_count for own in sampled)
    cut = sum(one.truncated for one in greedy) + sum(own.truncated_count for own in sampled)
    cause = spoiled_cause(1 - checked / count, cut / count) or unread_cause(task)
    shown = [record.shown for record in (*records[:1], *records[1:][-1:]) if record.shown]
    lines = [
        shown_lines(one.prompt, one.response, math.nan if one.reward is None else one.reward)
        for one in shown
    ]
    title = "Two responses" if len(lines) == 2 else "A response"
    rank_zero_warn(
        f"the evaluation: no response of {count} names an answer. {cause} {title}:\n"
        + "\n".join(lines)
    )
