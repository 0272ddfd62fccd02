"""The files that the field uses: every form is read, what is refused has its reason, docs agree."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
from data_files import write_jsonl, write_parquet
from data_forms import FORMS

from lit_entropy import verify
from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks.loaded_set import row_of

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "dataset.md"


@pytest.mark.parametrize("name", FORMS)
def test_rows_of_a_form(tmp_path: Path, name: str) -> None:
    form = FORMS[name]
    write = write_parquet if form.suffix == ".parquet" else write_jsonl
    path = write(tmp_path / f"a{form.suffix}", form.rows)
    checker = getattr(verify, form.checker)()
    expected = pytest.warns(match="rows cannot be used") if form.refused else nullcontext()
    with checker, expected:
        task = DatasetTask(checker, None, path, skip_bad_rows=True, **form.options)
        problems = task.validation_problems()
        assert [problem.answer for problem in problems] == form.answers
        refused = set(range(1, len(form.rows) + 1)) - {row_of(problem) for problem in problems}
        assert refused == form.refused.keys()
        if form.refused:
            strict = DatasetTask(checker, None, path, **form.options)
            with pytest.raises(ValueError, match=f"{len(refused)} of {len(form.rows)} rows") as why:
                strict.validation_problems()
            for row, reason in form.refused.items():
                assert re.search(f"row {row}, .*{reason}", str(why.value))


def test_the_page_names_every_form() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip(" `") for cell in row] for row in rows]
    start = cells.index(["File", "Prompt, reference answer", "Checker", "Rows refused"])
    table = {row[0]: row[2] for row in cells[start + 2 :][: len(FORMS)]}
    assert table == {name: form.checker for name, form in FORMS.items()}
