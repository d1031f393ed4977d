"""Reports: what the tables and notes say, and how a terminal and a pipe get them."""

import io
import sys

import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator import api, console
from orchestrator.cli import main
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.reporting import summary_tables, worst, worst_table
from orchestrator.reporting.failures import failure_table
from orchestrator.reporting.params import shorten
from orchestrator.reporting.spent import spent_table
from orchestrator.reporting.tabular import Table
from orchestrator.results.plan import merge_cells, now, read_plan, write_plan
from orchestrator.results.view import read_predictions
from orchestrator.scoring import read_summary, score_run
from tests.compared_runs import add_model
from tests.scored_run import Asked, make_run, write_predictions

RECEIPTS = [
    Asked(["12.50"], ["12.50"], "a", "receipt", "total"),
    Asked(["12.50"], ["The total is 12.50 in all"], "b", "receipt", "total"),
    Asked(["ACME"], ["<bad_input>"], "c", "receipt", "seller"),
    Asked(["ACME"], ["<error>"], "d", "form", "seller"),
]


def tables(folder, asked, metrics=None):
    return summary_tables(score_run(make_run(folder, asked), metrics))


def column(table, name):
    return [row[table.header.index(name)] for row in table.rows]


def test_a_cell_shows_mean_interval_and_how_many_were_scored(tmp_path):
    first = tables(tmp_path, RECEIPTS)[0]
    assert first.rows[0][: first.labels] == ("exact ↑", "echo", "read")
    assert set(column(first, "scored")) == {"2/4"}
    means = dict(zip(column(first, "metric"), column(first, "mean"), strict=True))
    assert means["exact ↑"] == "0.500 [0.095, 0.905]"
    assert means["cer_span ↓"] == "0.000 [0.000, 0.658]"


def test_few_metrics_stand_side_by_side_and_many_below_each_other(tmp_path):
    side_by_side = tables(tmp_path, RECEIPTS, ["exact", "cer"])[0]
    assert column(side_by_side, "exact ↑") == ["0.500 [0.095, 0.905]"]
    below = tables(tmp_path, RECEIPTS)
    assert "metric" in below[0].header
    assert [table.title for table in below].count("Run run, dataset toy (continued)") == 0


def test_parameters_leave_room_for_figures():
    long = "/data/models/a-rather-long-name"
    cells = [f'{{"checkpoint":"{long}-{n}","t":0}}' for n in (2, 7)]
    shown = shorten(cells)
    assert [shown.of(cell) for cell in cells] == ["p1", "p2"]
    assert shown.notes == (
        "Parameters of all cells: t=0.",
        f'p1: checkpoint="{long}-2"',
        f'p2: checkpoint="{long}-7"',
    )
    alone = shorten(cells[:1])
    assert (alone.of(cells[0]), alone.notes) == ("", (f'Parameters of all cells: checkpoint="{long}-2" t=0.',))
    short = shorten(['{"t":0}', '{"t":1}', "{}"])
    assert [short.of(cell) for cell in ('{"t":0}', '{"t":1}', "{}")] == ["t=0", "t=1", ""]
    assert short.notes == ()


def test_tokens_and_costs_are_told_with_what_they_are_of(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"]), Asked(["b"], ["b"]), Asked(["c"], ["<error>"])])
    assert spent_table(run, ["echo"]) is None, "echo counts nothing"
    rows = [row for batch in read_predictions(run, "echo") for row in batch.to_pylist()]
    rows[0] |= {"input_tokens": 1500, "output_tokens": 20, "cost": 0.25, "stop_reason": "length", "served_model": "m-1"}
    rows[1] |= {"input_tokens": 500, "output_tokens": 1}
    write_predictions(run, "echo", rows)
    table = spent_table(run, ["echo"])
    assert table.rows == (("echo", "2", "2,000", "21", "0.2500 (1 of 2)", "1", "m-1"),)


def test_a_figure_that_cannot_be_made_is_a_dash(tmp_path):
    first = tables(tmp_path, [Asked(["a"], ["<crashed>"])], ["cer"])[0]
    assert (column(first, "cer ↓"), column(first, "corpus"), column(first, "scored")) == (["-"], ["-"], ["0/1"])


def test_tables_fit_a_terminal_of_100_columns(tmp_path):
    for table in tables(tmp_path, RECEIPTS):
        widths = [max(map(cell_len, cells)) for cells in zip(table.header, *table.rows, strict=True)]
        assert sum(widths) + 2 * len(widths) <= 100


def test_there_is_a_table_for_every_division_of_the_samples(tmp_path):
    shown = tables(tmp_path, RECEIPTS)
    (by_class,) = [table for table in shown if table.title == "By doc_class"]
    assert column(by_class, "doc_class") == ["form", "receipt"]
    assert column(by_class, "scored") == ["0/1", "2/3"]
    assert any(table.title == "By question_type" for table in shown)


def test_a_division_into_one_group_is_no_table(tmp_path):
    shown = tables(tmp_path, [Asked(["a"], ["a"], doc_class="id"), Asked(["a"], ["b"], doc_class="id")])
    assert not [table for table in shown if table.title.startswith("By")]


def test_params_are_shown_where_cells_differ_by_them(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    plan = read_plan(run)
    hot = plan.cells[0].model_copy(update={"params": {"t": 1}, "overrides": {"t": 1}})
    write_plan(run, plan.model_copy(update={"cells": merge_cells(plan.cells, (hot,))}))
    shown = summary_tables(score_run(run, ["exact"]))
    assert column(shown[0], "params") == ["", "t=1"]
    assert "echo / t=1 / read: 1 of 1 not scored: 1 missing; counted as wrong: exact 0.000" in shown[-1].notes


def test_notes_say_what_is_missing_and_why(tmp_path):
    notes = tables(tmp_path, RECEIPTS)[-1].notes
    assert notes[0] == "echo / read: 2 of 4 not scored: 1 bad_input, 1 error; counted as wrong: exact 0.250, cer 0.750"
    assert [note for note in notes if note.startswith("cer_span: cer of the part")]


def test_notes_name_the_metrics_where_only_some_miss_answers(tmp_path):
    notes = tables(tmp_path, [Asked([], ["a"]), Asked(["a"], ["a"])], ["exact", "cer", "output_length"])[-1].notes
    assert notes[0] == "echo / read: 1 of 2 not scored by exact, cer: 1 no_reference"


def test_an_empty_plan_is_a_table_without_rows(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    write_plan(run, read_plan(run).model_copy(update={"cells": ()}))
    assert summary_tables(score_run(run))[0].rows == ()


def test_the_worst_answers_come_first_with_what_is_needed_to_look(tmp_path):
    asked = [
        Asked(["abcd"], ["abcx"], "a"),
        Asked(["abcd"], ["abcd"], "b"),
        Asked(["ab"], ["xy"]),
        Asked(["abcd", "q"], ["wxyz"], "c"),
        Asked(["abcd"], ["<refused>"], "d"),
    ]
    run = make_run(tmp_path, asked)
    score_run(run)
    found = worst(run, "echo", "cer", 3)
    assert [(one.sample_id, one.score) for one in found] == [("s3", 1.0), ("s2", 1.0), ("s0", 0.25)]
    assert (found[0].image, found[0].references, found[0].text) == ("/data/c.png", ("abcd", "q"), "wxyz")
    assert found[1].image is None
    assert [one.sample_id for one in worst(run, "echo", "exact", 1)] == ["s0"]


def test_asking_for_the_worst_of_nothing_is_one_sentence(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    with pytest.raises(BakeoffError, match="run `bakeoff score run` first"):
        worst(run, "echo")
    score_run(run, ["exact"])
    with pytest.raises(BakeoffError, match="bakeoff score run --metric cer"):
        worst(run, "echo", "cer")
    with pytest.raises(UsageError, match="did you mean 'echo'"):
        worst(run, "ecko")


def test_worst_answers_about_samples_that_the_run_no_longer_has_are_refused_in_one_sentence(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"]), Asked(["b"], ["x"])])
    score_run(run)
    samples = pq.read_table(run / "samples.parquet")
    pq.write_table(samples.slice(0, 1), run / "samples.parquet")
    with pytest.raises(BakeoffError, match=r"^run: was scored before the run went on; run `bakeoff score run`$"):
        worst(run, "echo")


def test_damaged_scores_are_named_with_what_to_do(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    score_run(run)
    path = run / "scores" / "echo.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 4) + content[4 + len(content) // 4 :])
    with pytest.raises(BakeoffError, match=r"echo\.parquet: is not a readable .*; run `bakeoff score run` again"):
        worst(run, "echo")


def test_scores_from_before_the_run_went_on_say_so_until_it_is_scored_again(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    score_run(run)
    sentence = "the run went on after these scores were made; `bakeoff score run` brings them up to date"
    assert sentence not in summary_tables(read_summary(run))[-1].notes
    write_plan(run, read_plan(run).model_copy(update={"updated": now()}))
    assert summary_tables(read_summary(run))[-1].notes[0] == sentence
    score_run(run)
    assert sentence not in summary_tables(read_summary(run))[-1].notes


def test_a_sample_is_among_the_worst_once_with_the_number_of_answers_alike(tmp_path):
    repeated = [Asked(["abcd"], ["abcx", "wxyz"]), Asked(["abcd"], ["wxyz", "wxyz"]), Asked(["abcd"], ["abcd", "abcd"])]
    run = make_run(tmp_path, repeated, repeats=2)
    score_run(run)
    found = worst(run, "echo", "cer", 3)
    assert [(one.sample_id, one.score, one.alike) for one in found] == [("s0", 1.0, 0), ("s1", 1.0, 1), ("s2", 0.0, 1)]
    table = worst_table("echo", "cer", found)
    assert [row[1] for row in table.rows] == ["s0", "s1 (+1 alike)", "s2 (+1 alike)"]
    assert len(table.notes) == 1


def test_the_worst_of_many_samples_are_found_where_few_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["orchestrator.reporting.worst"], "_KEPT", 1)
    run = make_run(tmp_path, [Asked(["abcd"], ["abcd"[:kept]]) for kept in (1, 4, 3, 0, 2, 4)])
    score_run(run)
    assert [one.sample_id for one in worst(run, "echo", "cer", 3)] == ["s3", "s0", "s4"]


def test_a_refusal_is_shown_by_what_the_model_said(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["<refused>"]), Asked(["b"], ["<refused>"]), Asked(["c"], ["<error>"])])
    score_run(run)
    rows = failure_table(run, ["echo"]).rows
    assert rows[0] == ("echo", "refused", "2", "the first said: I cannot help with that")
    assert rows[1] == ("echo", "error", "1", "")


def test_on_a_pipe_a_row_of_the_worst_is_no_longer_than_can_be_read(tmp_path, capsys):
    run = make_run(tmp_path, [Asked(["a" * 3000], ["b" * 3000])])
    score_run(run)
    with pytest.raises(SystemExit):
        main(["report", str(run), "--terminal", "--worst", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert any("b… (and 2800 characters more)" in line for line in lines)
    assert max(map(len, lines)) < 900


def test_a_long_answer_says_how_much_is_not_shown(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["x" * 50])])
    score_run(run)
    answers = worst(run, "echo")
    assert worst_table("echo", "cer", answers, 10).rows[0][-1] == "xxxxxxxxxx… (and 40 characters more)"
    assert worst_table("echo", "cer", answers).rows[0][-1] == "x" * 50


def test_a_pipe_gets_every_row_in_full_on_one_line(tmp_path, capsys):
    text = "a long answer\nof two lines " * 20
    run = make_run(tmp_path, [Asked(["a"], [text])])
    score_run(run)
    console.print_table(worst_table("echo", "cer", worst(run, "echo")))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(" 1.000")]
    assert line.count("of two lines") == 20
    assert line == line.rstrip()


def test_a_model_cannot_drive_the_terminal(tmp_path, capsys):
    run = make_run(tmp_path, [Asked(["a"], ["\x1b[2J\x1b]0;owned\x07[bold]b[/bold]\u202egnp\x9b"])])
    score_run(run)
    console.print_table(worst_table("echo", "cer", worst(run, "echo")))
    shown = capsys.readouterr().out
    assert r"\x1b[2J\x1b]0;owned\x07[bold]b[/bold]\u202egnp\x9b" in shown
    assert not [char for char in shown if not char.isprintable() and char != "\n"]


def test_notes_stand_below_the_last_table(tmp_path, capsys):
    for table in tables(tmp_path, RECEIPTS):
        console.print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert "echo / read: 2 of 4 not scored: 1 bad_input, 1 error; counted as wrong: exact 0.250, cer 0.750" in lines
    assert lines[0] == "Run run, dataset toy"


def test_who_is_best_and_what_failed_stand_before_the_groups(tmp_path):
    run = make_run(tmp_path, RECEIPTS)
    add_model(run, "other", ["12.50", "12.50", "ACME", "<error>"])
    score_run(run, ["exact"])
    assert [table.title.partition(",")[0] for table in api.report(run)][:4] == [
        "Run run",
        "Against the best of each metric",
        "What was not answered",
        "By doc_class",
    ]


def test_where_no_answer_has_a_score_the_worst_are_said_to_be_none(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["<error>"])])
    score_run(run)
    table = worst_table("echo", "cer", worst(run, "echo"))
    assert (table.title, table.rows) == ("Worst answers of echo by cer (fraction)", (("none has a score",),))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_on_a_terminal_no_row_loses_its_name_and_no_figure_a_digit(width, monkeypatch):
    header = ("metric", "model", "prompt", "difference", "b/e/w", "p", "verdict", "one more column of figures")
    row = ("exact", "a-model-of-45-letters-which-are-really-a-lot-x", "question", "+0.217 [+0.150, +0.283]")
    row = (*row, "1234/5678/9012", "<0.001", "no difference seen", "0.123 [0.456, 0.789]")
    out = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO(), highlight=False)
    monkeypatch.setattr(console, "Console", lambda **_: out)
    console.print_table(Table("A table", header, (row,), 3))
    shown = out.file.getvalue()
    assert max(cell_len(line.rstrip()) for line in shown.splitlines()) <= width
    for text in (*row[3:], *header[3:]):
        assert text in shown, text
    assert shown.count("exact") == shown.count("A table"), "each part names its rows"
    assert "…" not in shown
