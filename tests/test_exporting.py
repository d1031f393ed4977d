"""Exports: every answer and score is there, texts come back as they were or are marked, nothing is a formula."""

import csv
import json
import resource
from pathlib import Path

import pytest
from click.testing import CliRunner
from openpyxl import load_workbook

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.exporting import FORMS, export_run
from orchestrator.exporting.lines import write_lmms_eval
from orchestrator.exporting.sheets import CELL_CHARS, write_csv, write_xlsx
from orchestrator.importing.record import Record
from orchestrator.importing.writer import write_dataset
from tests.nasty import NASTY
from tests.scored_run import Asked, make_run


@pytest.fixture
def scored(tmp_path):
    """Make a run of two repeats, one answer of which is missing and one of which failed."""
    asked = [
        Asked(["10.29", "10,29"], ["10.29", "10.30"], document="d1", question_type="total"),
        Asked([], ["free", None]),
        Asked(["x"], ["<error>", "x"]),
    ]
    run = make_run(tmp_path, asked, repeats=2)
    api.score(run, metrics=["exact", "cer"])
    return run


def test_a_row_has_the_question_the_answer_and_every_score(scored):
    done = export_run(scored, "jsonl")
    rows = [json.loads(line) for line in done.path.read_text(encoding="utf-8").splitlines()]
    assert (done.rows, len(rows), done.metrics) == (6, 6, ("exact", "cer"))
    assert [row["answer"] for row in rows] == ["10.29", "10.30", "free", None, None, "x"]
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "missing", "error", "ok"]
    assert [row["exact"] for row in rows] == [1.0, 0.0, None, None, None, 1.0]
    assert (rows[0]["references"], rows[0]["question_type"], rows[0]["repeat"]) == (["10.29", "10,29"], "total", 1)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_written_whole_and_again(scored, form, tmp_path):
    for _ in range(2):
        done = export_run(scored, form, tmp_path / "out")
        assert done.rows == (4 if form == "lmms-eval" else 6)
    assert not list(tmp_path.glob(".out*"))


def test_a_run_that_was_not_scored_is_exported_without_scores(tmp_path):
    done = export_run(make_run(tmp_path, [Asked(["a"], ["b"])]), "json")
    (row,) = json.loads(done.path.read_text(encoding="utf-8"))
    assert (done.metrics, row["answer"], "exact" in row) == ((), "b", False)


def test_scores_of_another_state_of_the_run_are_refused(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["b"])])
    api.score(run, metrics=["exact"])
    make_run(tmp_path, [Asked(["a"], ["b"]), Asked(["c"], ["d"])])
    with pytest.raises(
        BakeoffError, match=r"^run: went on after it was scored; run `bakeoff score run --metric exact` again$"
    ):
        export_run(run, "csv")
    assert not (run / "export.csv").exists()


def test_a_wrong_form_or_place_is_one_sentence(scored, tmp_path):
    with pytest.raises(UsageError, match="csv, json"):
        export_run(scored, "parquet")
    with pytest.raises(UsageError, match="is a folder"):
        export_run(scored, "csv", tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        export_run(scored, "csv", tmp_path / "none" / "x.csv")


def test_lmms_eval_readers_find_their_fields(scored, tmp_path):
    done = export_run(scored, "lmms-eval", tmp_path / "lmms")
    files = sorted(path.relative_to(done.path).as_posix() for path in done.path.rglob("*.jsonl"))
    assert files == ["echo/samples_toy_read.jsonl", "echo/samples_toy_read_repeat2.jsonl"]
    first = json.loads((done.path / files[0]).read_text(encoding="utf-8").splitlines()[0])
    assert (first["doc_id"], first["target"], first["filtered_resps"], first["exact"]) == (0, "10.29", ["10.29"], 1.0)


@pytest.fixture
def echoed(workspace):
    """Make a run in which every nasty text was imported, asked, answered and scored."""
    records = [Record(text, text, id=f"n{number:02}") for number, text in enumerate(NASTY)]
    outcome = write_dataset(workspace.root / "datasets" / "nasty", iter(records), {"kind": "test"})
    assert outcome.rows == len(NASTY) >= 60
    done = api.run(models="echo", dataset="nasty", workspace=workspace)
    api.score(done.folder)
    return done.folder


def test_nasty_texts_survive_import_run_score_and_export(echoed):
    rows = json.loads(export_run(echoed, "json").path.read_text(encoding="utf-8"))
    assert [row["references"] for row in rows] == [[text] for text in NASTY]
    assert [row["question"] for row in rows] == list(NASTY)
    assert [row["answer"] for row in rows] == list(NASTY)
    assert {row["exact"] for row in rows} == {1.0}


def test_a_spreadsheet_gets_each_nasty_text_as_it_is_or_marked_and_no_formula(echoed):
    path = export_run(echoed, "csv").path
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "by which Excel knows UTF-8"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(NASTY)
    for text, row in zip(NASTY, rows, strict=True):
        assert row["answer"] == text or "answer" in row["changed"].split(), text
        assert row["answer"][:1] not in set("=+-@\t\r＝"), "which a spreadsheet takes for a formula"  # noqa: RUF001
    assert sum(row["changed"] == "" for row in rows) > len(NASTY) / 2, "what is harmless is left alone"
    cyrillic = next(row for text, row in zip(NASTY, rows, strict=True) if text == "Байкал")
    assert (cyrillic["answer"], cyrillic["changed"]) == ("Байкал", "")


def test_a_workbook_holds_each_nasty_text_as_text(echoed):
    sheet = load_workbook(export_run(echoed, "xlsx").path).active
    header, *rows = sheet.iter_rows()
    place = [cell.value for cell in header].index("answer")
    marks = [cell.value for cell in header].index("changed")
    assert len(rows) == len(NASTY)
    for text, row in zip(NASTY, rows, strict=True):
        cell = row[place]
        assert cell.data_type in (("n", "s", "inlineStr") if not text else ("s", "inlineStr")), text
        assert (cell.value or "") == text or "answer" in (row[marks].value or "").split(), text
        assert len(cell.value or "") <= CELL_CHARS


def test_the_command_says_where_the_file_is_and_what_it_lacks(tmp_path, monkeypatch):
    from orchestrator.cli import cli  # noqa: PLC0415 - the command, not its group's module

    run = make_run(tmp_path, [Asked(["a"], ["b"])])
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["export", str(run), "--to", "xlsx"])
    assert result.exit_code == 0, result.output
    assert "run/export.xlsx: 1 rows" in result.output
    assert "bakeoff score" in result.output


def test_the_names_of_columns_are_texts_that_a_workbook_can_hold(tmp_path):
    columns, rows = ["=1+1", "metadata.a\x01b\r"], [["x", "\x02"]]
    write_xlsx(tmp_path / "out.xlsx", columns, iter(rows))
    header, row = load_workbook(tmp_path / "out.xlsx").active.iter_rows()
    assert [cell.value for cell in header] == ["=1+1", "metadata.a␁b␍", "changed"]
    assert header[0].data_type in ("s", "inlineStr")
    assert [cell.value for cell in row] == ["x", "␂", "metadata.a␁b␍"]
    write_xlsx(tmp_path / "none.xlsx", columns, iter([]))
    assert load_workbook(tmp_path / "none.xlsx").active["B1"].value == "metadata.a␁b␍"
    write_csv(tmp_path / "out.csv", columns, iter(rows))
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [*csv.reader(file)][1] == ["x", "␂", "metadata.a␁b\r"]


def test_each_cell_and_repeat_has_a_file_of_its_own_and_few_are_open(tmp_path):
    cells = [("p", params, 1) for params in ('{"stop":"a b"}', '{"stop":"a_b"}', "{}")]
    cells += [("p" * 60 + end, "{}", 1) for end in "xy"] + [("p_repeat2", "{}", 1), ("p", "{}", 2), ("P", "{}", 1)]
    cells += [("many", "{}", repeat) for repeat in range(1, 101)]
    same = {"asked": "", "references": [], "input_tokens": 0, "output_tokens": 0, "key": "", "images": []}
    rows = [
        {**same, "sample_id": sample, "model": "m", "answer": repr(cell)}
        | dict(zip(("prompt", "params", "repeat"), cell, strict=True))
        for cell in cells
        for sample in "ab"
    ]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 80, limits[1]))
    try:
        assert write_lmms_eval(tmp_path, rows, "t", ()) == len(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    answers = [
        [json.loads(line)["resps"] for line in path.read_text().splitlines()] for path in (tmp_path / "m").iterdir()
    ]
    assert sorted(answers) == sorted([[[repr(cell)]]] * 2 for cell in cells)
    assert (tmp_path / "m" / "samples_t_p.jsonl").is_file(), "what is plain is called as before"
