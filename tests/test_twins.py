"""Cells of a model that ignores the prompt share all answers: one of them stands for the others."""

import pytest

from orchestrator.pages.report import write_report
from orchestrator.pages.sources import open_run, open_runs
from orchestrator.reporting import summary_tables
from orchestrator.reporting.compared import compared_tables
from orchestrator.reporting.leaderboard import leaderboard_table
from orchestrator.results.expected import iter_expected
from orchestrator.results.plan import Cell, read_plan, write_plan
from orchestrator.scoring import read_summary, score_run
from orchestrator.scoring.compare import compare_cells, compare_runs
from orchestrator.scoring.leaderboard import make_leaderboard
from orchestrator.scoring.matching import find_cell
from orchestrator.scoring.twins import find_twins
from tests.pages_run import make_pages_run, sample
from tests.scored_run import make_plan, prediction, write_predictions

PROMPTS = ("question", "terse")
SAMPLES = 12


def deaf_run(folder, right, *, deaf=(), name="run", prompts=PROMPTS, changes=lambda _: {}, metrics=("exact", "cer")):
    """Write a scored run of the models of `right`, each right on so many samples; with None it says nothing.

    Those that are `deaf` ignore the prompt. `changes(cell)` are changes of the plan's cells.
    """
    images = [[{"path": f"/data/{n}.png", "sha256": f"{n:064}"}] for n in range(SAMPLES)]
    samples = [sample(n, images=images[n]) for n in range(SAMPLES)]
    run = make_pages_run(folder, samples, lambda *_: None, models=tuple(right), prompts=prompts, name=name)
    plan = read_plan(run)
    cells = [c.model_copy(update={"ignores_prompt": c.model in deaf, **changes(c)}) for c in plan.cells]
    write_plan(run, plan.model_copy(update={"cells": tuple(cells)}))
    for model, n in right.items():
        expected = [row for c in cells if c.model == model for batch in iter_expected(run, c) for row in batch]
        rows = {row.key: row for row in expected if n is not None}.values()
        text = {f"s{i}": f"answer {i}" if i < (n or 0) else "zzz" for i in range(SAMPLES)}
        write_predictions(
            run, model, [prediction(r.key, r.sample_id, r.repeat, text[r.sample_id], model) for r in rows]
        )
    score_run(run, metrics)
    return run


def cells(figures):
    return list(dict.fromkeys((each.model, each.prompt) for each in figures))


def told(notes):
    return " ".join(note for note in notes if "the prompt" in note)


def test_one_of_the_cells_that_share_all_answers_has_figures_and_is_compared(tmp_path):
    summary = read_summary(deaf_run(tmp_path, {"ocr": 12, "scan": 2, "vlm": 9}, deaf=("ocr", "scan")))
    assert cells(summary.figures) == [
        ("ocr", "question"),
        ("scan", "question"),
        ("vlm", "question"),
        ("vlm", "terse"),
    ]
    assert (len(summary.compared.comparisons), summary.compared.claims) == (12, 12)
    assert [(t.cell.text, t.kept.text) for t in summary.twins] == [
        ("ocr / terse", "ocr / question"),
        ("scan / terse", "scan / question"),
    ]
    assert "terse" not in {row.split(",")[2] for row in _csv(tmp_path) if row.startswith("ocr")}


def _csv(folder):
    return (folder / "run" / "summary.csv").read_text().splitlines()


def test_a_cell_without_a_score_is_no_part_of_what_is_corrected_for(tmp_path):
    summary = read_summary(deaf_run(tmp_path, {"ocr": 12, "scan": 2, "gone": None}, deaf=("ocr", "scan")))
    assert ("gone", "terse") in cells(summary.figures)
    compared = summary.compared
    assert (len(compared.comparisons), compared.claims) == (2, 2)
    assert compared.comparisons[0].p_holm == pytest.approx(2 * 2**-9)
    board = make_leaderboard([tmp_path / "run"], "exact")
    assert (board.claims, [place.rank for place in board.places]) == (1, [1, 2, None, None])
    assert board.places[1].against_best.p_holm == pytest.approx(2**-9)


def test_of_eleven_cells_of_which_one_has_no_score_all_pairs_are_compared(tmp_path):
    right = {f"m{n}": n for n in range(10)} | {"gone": None}
    run = deaf_run(tmp_path, right, prompts=("read",), metrics=["exact"])
    for compared in (read_summary(run).compared, open_runs([run]).summary.compared):
        assert (compared.which, compared.claims, len(compared.comparisons)) == ("all pairs", 45, 45)


def test_reports_show_twins_once_and_say_for_which_prompts_the_row_stands(tmp_path):
    run = deaf_run(tmp_path, {"ocr": 12, "scan": 2, "vlm": 9}, deaf=("ocr", "scan"))
    tables = summary_tables(read_summary(run))
    assert [row[:2] for row in tables[0].rows] == cells(read_summary(run).figures)
    sentence = (
        "ocr, scan ignore the prompt: asked once an image, the answer counts for all its questions; "
        "here `question` stands for `terse` too."
    )
    assert sentence in tables[-1].notes
    board = make_leaderboard([run])
    assert [(place.model, place.prompt) for place in board.places if place.model != "vlm"] == [
        ("ocr", "question"),
        ("scan", "question"),
    ]
    assert sentence in leaderboard_table(board).notes
    content = open_run(run)
    assert {(row["model"], row["prompt"]) for row in content.rows()} == {*cells(content.summary.figures)}
    page = write_report(run, tmp_path / "page.html").path.read_text()
    assert sentence in page
    assert sentence.replace("`", "\\`") in (run / "summary.md").read_text()


def test_models_of_several_runs_are_named_as_the_page_names_them(tmp_path):
    runs = [deaf_run(tmp_path, {"ocr": n}, deaf=("ocr",), name=name) for name, n in (("old", 3), ("new", 12))]
    board = make_leaderboard(runs)
    assert [(place.run, place.prompt) for place in board.places] == [("new", "question"), ("old", "question")]
    assert told(leaderboard_table(board).notes).startswith("ocr @ old, ocr @ new ignore the prompt")
    content = open_runs(runs)
    assert len(list(content.rows())) == 2 * SAMPLES
    assert [cell for source in content.sources for cell, _ in source.cells] == [
        ("ocr @ old", "{}", "question"),
        ("ocr @ new", "{}", "question"),
    ]
    assert [twin.cell.text for twin in content.summary.twins] == ["ocr @ old / terse", "ocr @ new / terse"]


def test_models_of_one_runner_and_models_that_read_the_prompt_are_no_twins(tmp_path):
    run = deaf_run(tmp_path, {"one": 3, "two": 3}, deaf=("one",), prompts=("read",), changes=lambda _: {"runner": "x"})
    assert read_summary(run).twins == ()
    run = deaf_run(tmp_path, {"one": 3}, name="hears")
    assert (read_summary(run).twins, len(cells(read_summary(run).figures))) == ((), 2)
    assert told(summary_tables(read_summary(run))[-1].notes) == ""


def plan_of(*changes, samples=12):
    """Return a plan of one deaf model's cells."""
    base = {"model": "ocr", "runner": "ocr", "runner_digest": "0", "prompt_sha256": "0", "ignores_prompt": True}
    plan = make_plan(samples, [])
    made = [type_cell({"params": {}, "overrides": {}, **base, **change}) for change in changes]
    return plan.model_copy(update={"cells": tuple(made)})


def type_cell(values):
    return Cell.model_validate(values)


def stands(*changes):
    return [(twin.cell.text, twin.kept.text) for twin in find_twins(plan_of(*changes))]


def test_the_cell_that_was_asked_about_the_most_samples_stands_for_the_others():
    assert stands({"prompt": "a", "limit": 5}, {"prompt": "b"}, {"prompt": "c", "limit": 12}) == [
        ("ocr / a", "ocr / b"),
        ("ocr / c", "ocr / b"),
    ]
    assert stands({"prompt": "a", "limit": 99}, {"prompt": "b"}) == [("ocr / b", "ocr / a")]


def test_what_makes_a_difference_to_answers_makes_cells_of_their_own():
    big = {"params": {"side": 2}, "overrides": {"side": 2}}
    assert stands({"prompt": "a"}, {"prompt": "a", **big}) == []
    assert stands({"prompt": "a"}, {"prompt": "b", "runner_digest": "1"}) == []
    assert stands({"prompt": "a"}, {"prompt": "b", "repeats": 3, "limit": 2}) == []
    same = {"prompt": "a", "params": {"side": 1}}
    assert stands(same, {**same, "overrides": {"side": 1}}) == [("ocr / side=1 / a", "ocr / a")]


def test_twins_are_compared_by_name_and_once_where_nobody_names_cells(tmp_path):
    run = deaf_run(tmp_path, {"ocr": 12, "vlm": 3}, deaf=("ocr",))
    named = compare_cells((run, find_cell(run, "ocr / terse")), (run, find_cell(run, "vlm / terse")))
    assert (named[0].first.prompt, named[0].first_mean, named[0].second_mean) == ("terse", 1, 0.25)
    assert find_cell(run, "ocr").text == "ocr / question"
    assert len(compare_runs(run, run, metrics=["exact"]).comparisons) == 3
    other = deaf_run(tmp_path, {"ocr": 3, "vlm": 3}, deaf=("ocr",), name="other")
    found = compare_runs(run, other, metrics=["exact"])
    assert [each.first.text for each in found.comparisons] == ["ocr / question", "vlm / question", "vlm / terse"]
    assert found.unmatched == ()


def test_a_twin_is_compared_where_the_other_run_lacks_the_cell_that_stands_for_it(tmp_path):
    run = deaf_run(tmp_path, {"ocr": 12}, deaf=("ocr",))
    other = deaf_run(tmp_path, {"ocr": 3}, deaf=("ocr",), prompts=("terse",), name="other")
    for first, second in ((run, other), (other, run)):
        found = compare_runs(first, second, metrics=["exact"])
        assert [(each.first.text, each.second.text) for each in found.comparisons] == [("ocr / terse", "ocr / terse")]
        assert found.unmatched == ()


def test_pairs_without_a_sample_to_compare_are_no_part_of_the_correction(tmp_path):
    right = {"ocr": 12, "gone": None}
    run = deaf_run(tmp_path, right, deaf=("ocr",), metrics=["exact"])
    other = deaf_run(tmp_path, {**right, "ocr": 3}, deaf=("ocr",), name="other", metrics=["exact"])
    found = compare_runs(run, other)
    (each,) = found.comparisons
    assert (each.p, each.p_holm) == (pytest.approx(2**-8), pytest.approx(2**-8))
    assert {(one.cell.text, one.reason) for one in found.unmatched} == {
        ("gone / question", "no sample has a score in both runs"),
        ("gone / terse", "no sample has a score in both runs"),
    }
    notes = " ".join(note for table in compared_tables(found) for note in table.notes)
    assert "how often chance alone does as much (signs flipped by document). No difference" in notes
