"""Parts of the long form that are done at once: hostile parts, flipped bits, servers, answers."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attacked_runs import NAME
from flipped_bits import flip_bits
from hostile_parts import SAID
from hostile_runs import PARTS, attack_by_part
from killed_runs import reference
from wandb_runs import SERVERS, beside, whole_run


def hostile_parts(folder: Path) -> list[dict[str, Any]]:
    """Every task, loss and callback that turns against its run."""
    reference(PARTS, folder / "whole")
    made = []
    for number, mode in enumerate(SAID):
        made.append(asdict(attack_by_part(mode, folder / str(number), folder / "whole")))
        print(f"{mode}: {made[-1]['wrong'] or 'as promised'}", flush=True)
    return made


def bits(folder: Path, count: int) -> list[dict[str, Any]]:
    """Bits of the newest checkpoint of a run."""
    reference("GRPO", folder / "whole")
    checkpoint = folder / "whole" / "runs" / NAME / "checkpoints" / "last.ckpt"
    return [asdict(flip_bits(checkpoint, count, folder / "copy.ckpt"))]


def servers(folder: Path) -> list[dict[str, Any]]:
    """Runs beside every server."""
    without, made = whole_run(folder / "whole"), []
    for number, name in enumerate(SERVERS):
        made.append(asdict(beside(name, folder / str(number), folder / "whole", without)))
        print(f"{name}: {made[-1]['seconds']:.1f} s {made[-1]['wrong']}", flush=True)
    return made


def answers(folder: Path, count: int) -> None:
    """Hostile answers through the plain checkers and through the jail."""
    from hostile import attack as attack_checkers
    from test_hostile_answers import PLAIN, in_the_jail

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("plain", "jail"):
        file = folder / f"{name}.json"
        if file.exists() and json.loads(file.read_text())["answers"] >= count:
            continue
        if name == "plain":
            outcome = attack_checkers(PLAIN, count, folder, longest=10.0)
        else:
            outcome = in_the_jail(count, folder)
        print(outcome, flush=True)
        file.write_text(json.dumps(outcome.__dict__))


def once(file: Path, made: Callable[[Path], list[dict[str, Any]]]) -> None:
    """Note what an attack came to in a file, unless it stands there."""
    if file.exists():
        return
    folder = file.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file.write_text(json.dumps(made(folder), indent=1) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text()) if file.exists() else []


def collected(output: Path) -> dict[str, Any]:
    """The numbers of the table, of what was done so far."""
    ended, flipped = read(output / "parts.json"), read(output / "bits.json")
    beside_them = read(output / "wandb.json")
    kinds = Counter(each["mode"].split()[0] for each in ended)
    others = len(ended) - sum(kinds[name] for name in ("task", "loss"))
    return {
        "hostile tasks": kinds["task"],
        "hostile losses": kinds["loss"],
        "hostile callbacks": others,
        "parts with another end or another run": sum(bool(each["wrong"]) for each in ended),
        "most lines of an error": max((len(each["lines"]) for each in ended), default=None),
        "flipped bits": sum(each["flips"] for each in flipped),
        "refused flips": sum(each["refused"] for each in flipped),
        "flips that changed nothing": sum(each["identical"] for each in flipped),
        "accepted flips": sum(len(each["wrong"]) for each in flipped),
        "servers of W&B": len(beside_them),
        "runs that a server changed": sum(bool(each["wrong"]) for each in beside_them),
        "most seconds lost to W&B": max((each["seconds"] for each in beside_them), default=None),
    }
