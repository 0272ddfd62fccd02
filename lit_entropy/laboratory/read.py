"""What an anatomy measured, read from its JSON for other reports."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_entropy.figures.estimates import Estimate

LAW = ("a", "b", "r2", "positive", "foretold")
ROW = ("r2", "slope", "sign", "step_r2", "step_slope", "step_sign")


@dataclass(frozen=True)
class Anatomy:
    """The numbers of ``anatomy.json``.

    Attributes:
        digest: of the rules.
        rows: estimates by name of what is compared, and by name of the number.
        law: estimates of the law on the table; None where its runs are not finished.
    """

    digest: str
    rows: Mapping[str, Mapping[str, Estimate]]
    law: Mapping[str, Estimate] | None


def read_anatomy(folder: Path) -> Anatomy:
    """The numbers that ``lit-entropy anatomy`` left in its folder.

    Raises:
        FileNotFoundError: the folder has no ``anatomy.json``.
        ValueError: the file is not what the command writes.
    """
    path = folder / "anatomy.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: make it with lit-entropy anatomy --output {folder}"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        law = record["law"]
        return Anatomy(
            str(record["rules"]),
            {str(row["row"]["label"]): _estimates(row, ROW) for row in record["rows"]},
            None if law is None else _estimates(law, LAW),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no output of this version's lit-entropy anatomy "
            f"({type(error).__name__}: {error}): run it again"
        ) from error


def _estimates(record: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Estimate]:
    return {
        name: Estimate(
            [float(value) for value in record[name]["values"]],
            float(record[name]["mean"]),
            None if (half := record[name]["half_width"]) is None else float(half),
        )
        for name in names
    }
