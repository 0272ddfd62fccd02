"""The program of the jailed process, with a checker that is loaded at once: fractions.

Everything but the checker is the package's own program.
"""

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[2] / "lit_entropy" / "verify" / "child.py"


def load_fractions() -> Any:
    """Compares fractions; the answer ``tower`` is a number of a billion bits, in one operation."""

    def check(request: dict[str, Any]) -> dict[str, Any]:
        answer = 9 ** (9**9) if request["answer"] == "tower" else Fraction(request["answer"])
        return {"verdict": answer == Fraction(request["gold"])}

    return check


if __name__ == "__main__":
    specification = importlib.util.spec_from_file_location("child", PROGRAM)
    assert specification is not None and specification.loader is not None
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    program.LOADERS["fractions"] = load_fractions
    program.main()
