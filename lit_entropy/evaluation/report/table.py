"""A validation report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

from lit_entropy.figures.as_text import markdown, show, show_percent

Report = Mapping[str, Any]

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
    prompts = report["prompts"]
    parts = [
        "# Validation",
        f"{prompts['count']} problems, hash `{prompts['hash']}`, lit_entropy "
        f"{report['lit_entropy']}. Scores and shares in percent ± half the width of the 95 % t "
        "interval over problems.",
        "\n".join(_plan_line(name, plan) for name, plan in report["sampling"].items()),
    ]
    names = list(report["policies"][0]["sets"])
    if len(names) > 1:
        parts += ["## Sets", _headlines(report, names)]
    for name in names:
        parts += [f"## {_cell(name)}", _scores(report, name), _rates(report, name)]
    if report["differences"]:
        parts += ["## Paired differences", _differences(report["differences"])]
    if report.get("checking"):
        parts += ["## Checking of answers", _checking(report["checking"])]
    notes = [
        "Cover@tau is the share of problems with an observed success rate of tau or more; it is "
        "biased at few samples (`surely` and `possibly` in the JSON bound it)."
    ]
    notes += report.get("notes", [])
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _checking(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        mean = 1000 * row["seconds"] / max(row["responses"], 1)
        lines.append([_cell(row["policy"]), str(row["responses"]), f"{row['seconds']:.3g}",
                      f"{mean:.3g}"])  # fmt: skip
    return markdown(["policy", "responses", "seconds", "milliseconds a response"], lines)


def _plan_line(source: str, plan: Mapping[str, Any]) -> str:
    sampled = f"n = {plan['samples']} at temperature {plan['temperature']:g}"
    ways = [sampled] if plan["samples"] else []
    ways += ["greedy"] if plan["greedy"] else []
    name = f"{_cell(source)}: " if source else ""
    return f"- {name}{', '.join(ways)}, at most {plan['max_new_tokens']} new tokens"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _columns(report: Report, name: str, part: str) -> list[str]:
    seen = [key for policy in report["policies"] for key in policy["sets"][name][part]]
    return list(dict.fromkeys(seen))


def _scores(report: Report, name: str) -> str:
    columns = _columns(report, name, "scores")
    rows = []
    for policy in report["policies"]:
        scores = policy["sets"][name]["scores"]
        rows.append([_cell(policy["name"]), *(percent(scores.get(column)) for column in columns)])
    return markdown(["policy", *columns], rows)


def _headlines(report: Report, names: Sequence[str]) -> str:
    """The headline score of every set and their plain mean, as Table 2 of the paper."""
    first = report["policies"][0]
    heads = []
    for name in names:
        n = first["sets"][name]["samples"]
        heads.append(f"avg@{n}" if n else "accuracy")
    rows = []
    for policy in report["policies"]:
        pairs = zip(names, heads, strict=True)
        row = [percent(policy["sets"][name]["scores"].get(head)) for name, head in pairs]
        mean = show_percent(_estimate(policy["metrics"], "mean_of_sets"))
        rows.append([_cell(policy["name"]), *row, mean])
    pairs = zip(names, heads, strict=True)
    return markdown(["policy", *(f"{name}, {head}" for name, head in pairs), "mean"], rows)


def percent(score: Mapping[str, Any] | None) -> str:
    """A score with its 95 % t interval over problems."""
    if score is None or score["mean"] is None:
        return "n/a"
    width = None
    if score["se"]:  # no interval from no spread
        width = score["se"] * float(stats.t.ppf(0.975, score["problems"] - 1))
    return show_percent({"mean": score["mean"], "half_width": width})


def _rates(report: Report, name: str) -> str:
    present = _columns(report, name, "rates")
    rows = []
    for policy in report["policies"]:
        rates = policy["sets"][name]["rates"]
        row = [show(_estimate(rates, key), 2) for key in RATES if key in present]
        row += [
            show_percent(_estimate(rates, key)) if key in rates else "n/a"
            for key in SHARES
            if key in present
        ]
        rows.append([_cell(policy["name"]), *row])
    head = [label for key, label in (RATES | SHARES).items() if key in present]
    return markdown(["policy", *head], rows)


def _estimate(rates: Mapping[str, float], key: str) -> dict[str, Any] | None:
    return {"mean": rates[key], "half_width": None} if key in rates else None


def _differences(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        interval = "n/a"
        if row["se"] == 0.0 and row["difference"] == 0.0:
            interval = "equal on each"  # an interval of no width would claim too much
        elif row["low"] is not None:
            interval = f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        lines.append([
            _cell(row["policy"]), _cell(row["against"]), row["set"], row["score"],
            f"{100 * row['difference']:+.1f}", interval, str(row["problems"]),
        ])  # fmt: skip
    head = ["policy", "against", "set", "score", "points", "95 % interval", "problems"]
    return markdown(head, lines)
