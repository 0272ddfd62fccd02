"""``lit-entropy compare``: paired differences between validations that were made separately."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lit_entropy.evaluation.report.records import Report


def compare(reports: list[str], output: str = "") -> "Report":
    """Compare validations of the same problems: paired differences against the first.

    Args:
        reports: Files validation.json, or the folders that hold them; every policy in them is
            compared with the first policy of the first file.
        output: Folder to write comparison.json, a table and a plot to; without it the table is
            printed alone.

    Returns:
        The joint report.

    Raises:
        ValueError: less than two policies, reports of different problems, or an ``output`` that is
            no folder.
        FileNotFoundError: no such report.
    """
    from lit_entropy.evaluation.report.compare import join  # with torch, which --help needs not
    from lit_entropy.evaluation.report.files import read_report, write_report
    from lit_entropy.evaluation.report.table import table
    from lit_entropy.jobs.output import check_output

    if output:
        check_output(Path(output))
    joint = join([read_report(path) for path in reports], reports)
    print(table(joint), flush=True)
    if output:
        print(f"written: {write_report(joint, Path(output), 'comparison')}", flush=True)
    return joint
