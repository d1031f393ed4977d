"""Workbooks as datasets: what a person sees in a cell is the text."""

from datetime import UTC, date, datetime

import pytest
from openpyxl import Workbook

from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError


@pytest.fixture
def sheet(tmp_path):
    """Write a sheet of rows; give the path."""

    def write(rows, formats=None):
        book = Workbook()
        for row in rows:
            book.active.append(row)
        for place, form in (formats or {}).items():
            book.active[place].number_format = form
        book.save(tmp_path / "benchmark.xlsx")
        return tmp_path / "benchmark.xlsx"

    return write


def test_a_workbook_of_questions_is_a_dataset(sheet, workspace):
    rows = [
        ["question", "answer", "level"],
        ["Сколько?", "00123", "easy"],
        [None, None, None],
        ["Number?", 7, 0.5],
        ["Code?", 42, True],
        ["Day?", date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, tzinfo=UTC).replace(tzinfo=None)],
        ["Short?", "NA"],
    ]
    path = sheet(rows, {"B5": "00000"})
    samples = list(open_dataset(workspace, str(path)))
    assert [(s.id, s.references[0]) for s in samples] == [
        ("row-000001", "00123"),
        ("row-000002", "7"),
        ("row-000003", "00042"),
        ("row-000004", "2024-01-02"),
        ("row-000005", "NA"),
    ]
    assert [s.metadata["level"] for s in samples] == ["easy", "0.5", "TRUE", "2024-01-02 03:04:00", ""]


def test_a_wrong_column_is_told_with_its_row(sheet, workspace):
    with pytest.raises(BakeoffError, match="there is no column 'question'"):
        open_dataset(workspace, str(sheet([["frage", "answer"], ["x", "y"]])))
    with pytest.raises(BakeoffError, match=r"line 3: has 3 cells, the header has 2"):
        list(open_dataset(workspace, str(sheet([["question", "answer"], ["x", "y"], ["x", "y", "z"]]))))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 broken", b"question,answer\n1,2\n"])
def test_what_is_no_workbook_is_one_sentence(tmp_path, workspace, data):
    (tmp_path / "x.xlsx").write_bytes(data)
    with pytest.raises(BakeoffError, match=r"x\.xlsx: is not a readable xlsx workbook"):
        open_dataset(workspace, str(tmp_path / "x.xlsx"))


def test_an_empty_workbook_says_so(sheet, workspace):
    with pytest.raises(BakeoffError, match="is empty"):
        open_dataset(workspace, str(sheet([])))
