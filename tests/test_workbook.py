"""Workbooks as datasets: what a person sees in a cell is the text."""

import time
import zipfile
from datetime import UTC, date, datetime

import pytest
from openpyxl import Workbook

from orchestrator.datasets import open_dataset, table, workbook
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


def packed(path, sheet, **parts):
    """Write the workbook whose only sheet has this XML, as a hostile program would."""
    book = Workbook()
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    kept["xl/worksheets/sheet1.xml"] = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        f"{sheet}</sheetData></worksheet>"
    ).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**kept, **parts}.items():
            archive.writestr(name, data)
    return path


def row(number, *texts, column="A"):
    cells = "".join(
        f'<c r="{column if len(texts) == 1 else "AB"[at]}{number}" t="inlineStr"><is><t>{text}</t></is></c>'
        for at, text in enumerate(texts)
    )
    return f'<row r="{number}">{cells}</row>'


@pytest.mark.slow
def test_few_bytes_that_name_a_far_row_or_column_are_refused_at_once(tmp_path, workspace, monkeypatch):
    path = packed(tmp_path / "far.xlsx", row(1, "question", "answer") + row(2_000_000_000, "x", "y"))
    began = time.monotonic()
    with pytest.raises(BakeoffError, match=r"far\.xlsx: has a row beyond 1048576, the last of a sheet; save it as CSV"):
        list(open_dataset(workspace, str(path)))
    assert time.monotonic() - began < 20, "two thousand million rows would take an hour"
    monkeypatch.setattr(workbook, "SHEET_CELLS", 100_000)
    header = row(1, "question", "answer").replace("</row>", '<c r="XFD1" t="inlineStr"><is><t>far</t></is></c></row>')
    wide = header + "".join(row(n, "x", column="XFD") for n in range(2, 20))
    path = packed(tmp_path / "wide.xlsx", wide)
    with pytest.raises(BakeoffError, match=r"wide\.xlsx: has more than 0 million cells by row 7, most of them empty"):
        list(open_dataset(workspace, str(path)))


def test_a_gap_of_rows_is_no_reason_to_refuse(tmp_path, workspace):
    path = packed(tmp_path / "gap.xlsx", row(1, "question", "answer") + row(150_000, "x", "y"))
    assert [s.question for s in open_dataset(workspace, str(path))] == ["x"]


@pytest.mark.slow
def test_what_would_be_much_larger_unpacked_is_refused_but_pictures_are_not_unpacked(tmp_path, workspace):
    rows = row(1, "question", "answer") + row(2, "x", "y")
    much = b" " * (workbook.UNPACKED_BYTES + 1)
    path = packed(tmp_path / "bomb.xlsx", rows, **{"xl/sharedStrings.xml": much})
    with pytest.raises(BakeoffError, match=r"bomb\.xlsx: would be 100 MB unpacked; save it as CSV"):
        open_dataset(workspace, str(path))
    path = packed(tmp_path / "pictures.xlsx", rows, **{"xl/media/image1.png": much})
    assert [s.question for s in open_dataset(workspace, str(path))] == ["x"]


def test_a_workbook_is_opened_once_for_its_header(sheet, monkeypatch):
    path, opened = sheet([["question", "answer"], ["x", "y"]]), []
    read = workbook.read_workbook
    monkeypatch.setattr(table, "read_workbook", lambda path: opened.append(path) or read(path))
    assert table.open_table(path).columns == ("question", "answer")
    assert opened == [path]
