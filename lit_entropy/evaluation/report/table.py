"""A validation report as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Literal

from lit_entropy.evaluation.report.records import Checking, Report, Score, ScoreDifference
from lit_entropy.evaluation.sampling import SetSampling
from lit_entropy.figures.as_text import markdown, show, show_percent
from lit_entropy.figures.estimates import Estimate

RATES = {
    "length": "length (tokens)",
    "length_sampled": "length, sampled (tokens)",
    "entropy": "token entropy (nats)",
    "answer_entropy": "answer entropy (nats)",
}
SHARES = {
    "truncated": "truncated",
    "truncated_sampled": "truncated, sampled",
    "format_failure": "format failure",
    "format_failure_sampled": "format failure, sampled",
    "unchecked": "unchecked",
    "unchecked_sampled": "unchecked, sampled",
}


def table(report: Report) -> str:
    """The whole report: settings, scores and rates by set, paired differences."""
    prompts = report.prompts
    parts = [
        "# Validation",
        f"{prompts.count} problems, hash `{prompts.hash}`, lit_entropy {report.lit_entropy}. "
        "Scores and shares in percent ± half the width of the 95 % t interval over problems.",
        "\n".join(_sampling_line(name, own) for name, own in report.sampling.items()),
    ]
    names = list(report.policies[0].sets)
    if len(names) > 1:
        parts += ["## Sets", _headlines(report, names)]
    for name in names:
        parts += [f"## {_cell(name)}", _scores(report, name), _rates(report, name)]
    if report.differences:
        parts += ["## Paired differences", _differences(report.differences)]
    if report.checking:
        parts += ["## Checking of answers", _checking(report.checking)]
    notes = [
        "Cover@tau is the share of problems with an observed success rate of tau or more; it is "
        "biased at few samples (`surely` and `possibly` in the JSON bound it)."
    ]
    notes += report.notes or []
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _checking(rows: Sequence[Checking]) -> str:
    lines = []
    for row in rows:
        mean = 1000 * row.seconds / max(row.responses, 1)
        lines.append([_cell(row.policy), str(row.responses), f"{row.seconds:.3g}", f"{mean:.3g}"])
    return markdown(["policy", "responses", "seconds", "milliseconds per response"], lines)


def _sampling_line(source: str, own: SetSampling) -> str:
    ways = [f"n = {own.samples} at temperature {own.temperature:g}"] if own.samples else []
    ways += ["greedy"] if own.greedy else []
    name = f"{_cell(source)}: " if source else ""
    return f"- {name}{', '.join(ways)}, at most {own.max_new_tokens} new tokens"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _columns(report: Report, name: str, part: Literal["scores", "rates"]) -> list[str]:
    seen = [key for policy in report.policies for key in getattr(policy.sets[name], part)]
    return list(dict.fromkeys(seen))


def _scores(report: Report, name: str) -> str:
    columns = _columns(report, name, "scores")
    rows = []
    for policy in report.policies:
        scores = policy.sets[name].scores
        rows.append([_cell(policy.name), *(percent(scores.get(column)) for column in columns)])
    return markdown(["policy", *columns], rows)


def _headlines(report: Report, names: Sequence[str]) -> str:
    """The headline score of every set and their plain mean, as Table 2 of the paper."""
    heads = {name: report.policies[0].sets[name].headline for name in names}
    rows = []
    for policy in report.policies:
        row = [percent(policy.sets[name].scores.get(head)) for name, head in heads.items()]
        mean = show_percent(_rate(policy.metrics, "mean_of_sets"))
        rows.append([_cell(policy.name), *row, mean])
    return markdown(["policy", *(f"{name}, {head}" for name, head in heads.items()), "mean"], rows)


def percent(score: Score | None) -> str:
    """A score with its 95 % t interval over problems."""
    if score is None or score.mean is None:
        return "n/a"
    return show_percent(_estimate(score.mean, score.half_width))


def _rates(report: Report, name: str) -> str:
    present = _columns(report, name, "rates")
    rows = []
    for policy in report.policies:
        rates = policy.sets[name].rates
        row = [show(_rate(rates, key), 2) for key in RATES if key in present]
        row += [show_percent(_rate(rates, key)) for key in SHARES if key in present]
        rows.append([_cell(policy.name), *row])
    head = [label for key, label in (RATES | SHARES).items() if key in present]
    return markdown(["policy", *head], rows)


def _rate(rates: Mapping[str, float], key: str) -> Estimate | None:
    return _estimate(rates[key]) if key in rates else None


def _estimate(mean: float, half_width: float | None = None) -> Estimate:
    return {"mean": mean, "half_width": half_width}


def _differences(rows: Sequence[ScoreDifference]) -> str:
    lines = []
    for row in rows:
        interval = "n/a"
        if row.se == 0.0 and row.difference == 0.0:
            interval = "equal on each"  # an interval of no width would claim too much
        elif row.low is not None and row.high is not None:
            interval = f"[{100 * row.low:+.1f}, {100 * row.high:+.1f}]"
        points = "n/a" if row.difference is None else f"{100 * row.difference:+.1f}"
        names = [_cell(row.policy), _cell(row.against), row.set, row.score]
        lines.append([*names, points, interval, str(row.problems)])
    head = ["policy", "against", "set", "score", "points", "95 % interval", "problems"]
    return markdown(head, lines)
