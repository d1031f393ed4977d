"""The leaderboard: one row for each cell of several runs, ranked apart only where the test says so."""

import csv
import json

import numpy as np
import pytest

import orchestrator
from orchestrator.cli import cli
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.pages.sources import open_runs
from orchestrator.pages.standing import find_standing
from orchestrator.reporting.leaderboard import leaderboard_csv, leaderboard_table
from orchestrator.results.plan import now, read_plan, write_plan
from orchestrator.scoring import read_summary, score_run
from orchestrator.scoring.leaderboard import make_leaderboard, prompts_that_differ
from orchestrator.scoring.several import open_several
from tests.pages_run import make_pages_run, sample


def run_of(folder, name, answer, samples=24, metrics=("exact", "cer"), **more):
    """Write a scored run; `answer(number, model)` says whether the model is right, or what it says."""

    def say(sample_id, model, *_):
        found = answer(int(sample_id[1:]), model)
        return (f"answer {sample_id[1:]}" if found else "zzz") if isinstance(found, bool) else found

    run = make_pages_run(folder, [sample(n) for n in range(samples)], say, name=name, **more)
    score_run(run, metrics)
    return run


def right(share):
    """Return an answer that is right on the first `share` samples."""
    return lambda number, _: number < share


def ranks(board):
    return [(place.rank, place.run, place.model, place.standing) for place in board.places]


def test_cells_of_two_runs_are_ranked_together_with_the_figures_of_their_runs(tmp_path):
    good = run_of(tmp_path, "a", right(24), models=("good",), repeats=2)
    poor = run_of(tmp_path, "b", right(2), models=("poor",))
    board = make_leaderboard([poor, good])
    assert (board.metric, board.n_samples, board.claims, board.needs_run) == ("exact", 24, 1, False)
    assert ranks(board) == [(1, "a", "good", "best"), (2, "b", "poor", "")]
    first, second = board.places
    assert (first.n_scored, first.n_total, first.n_answers, first.time_s) == (48, 48, 48, 24.0)
    assert (first.against_best, second.against_best.verdict, second.against_best.n_worse) == (None, "worse", 22)
    for place, run in ((first, good), (second, poor)):
        figure = read_summary(run).figures[0]
        for name in ("mean", "standard_error", "low", "high", "worst_case", "n_scored", "n_total", "n_documents"):
            assert getattr(place, name) == pytest.approx(getattr(figure, name)), name


def test_what_the_test_does_not_tell_apart_shares_a_rank(tmp_path):
    def answer(number, model):
        return number < {"one": 23, "two": 22, "three": 4, "four": 3}[model]

    run = run_of(tmp_path, "a", answer, models=("four", "three", "two", "one"))
    board = make_leaderboard([run], "exact")
    assert [(p.rank, p.model, p.standing) for p in board.places] == [
        (1, "one", "best mean"),
        (1, "two", "not told apart"),
        (3, "three", ""),
        (3, "four", ""),
    ]
    assert board.claims == 6


def test_a_lower_mean_never_stands_above_a_higher_one(tmp_path):
    right = {"best": set(range(50)), "steady": set(range(42)), "erratic": {*range(20, 60)}}
    run = run_of(tmp_path, "a", lambda n, model: n in right[model], 60, ["exact"], models=tuple(right))
    board = make_leaderboard([run])
    assert [(p.rank, p.model, p.standing, p.against_best and p.against_best.verdict) for p in board.places] == [
        (1, "best", "best mean", None),
        (1, "steady", "", "worse"),
        (1, "erratic", "not told apart", "no difference seen"),
    ]
    means = [place.mean for place in board.places]
    assert means == sorted(means, reverse=True)
    content = open_runs([run, run_of(tmp_path, "b", lambda n, _: n < 3, 60, ["exact"], models=("poor",))])
    assert list(content.ranks["exact"].values()) == [1, 1, 1, 4]
    assert [cell[0] for cell in content.ranks["exact"]] == [*right, "poor"]
    assert [cell[0] for cell in find_standing(content.summary, "exact")] == ["best", "erratic"]


def test_refusing_does_not_pay_where_less_is_better(tmp_path):
    careful = run_of(tmp_path, "a", lambda n, _: n < 8 or "<error>", models=("careful",))
    brave = run_of(tmp_path, "b", right(20), models=("brave",))
    board = make_leaderboard([careful, brave], "cer")
    assert ranks(board) == [(1, "b", "brave", "best"), (2, "a", "careful", "")]
    assert (board.places[1].mean, board.places[1].worst_case) == (0.0, pytest.approx(2 / 3))
    assert board.places[1].against_best.second_mean == pytest.approx(2 / 3)


def test_every_cell_more_makes_a_claim_harder(tmp_path):
    def answer(number, model):
        return number < (24 if model == "one" else 18)

    run = run_of(tmp_path, "a", answer, models=("one", "two", "three"))
    board = make_leaderboard([run], "exact")
    second = board.places[1].against_best
    assert (second.p, second.p_holm) == (pytest.approx(2**-5), pytest.approx(3 * 2**-5))
    assert [place.rank for place in board.places] == [1, 1, 1]


def test_of_more_than_ten_cells_the_rest_goes_by_means_and_the_notes_say_so(tmp_path):
    names = [f"m{n:02}" for n in range(11)]

    def answer(number, model):
        return number < (24 if model in names[:2] else 12 - names.index(model))

    board = make_leaderboard([run_of(tmp_path, "a", answer, models=tuple(names))], "exact")
    assert [place.rank for place in board.places] == [1, 1, *range(3, 12)]
    assert (board.which, board.claims) == ("each with the best", 55)
    assert "ranks go by the means alone" in leaderboard_table(board).notes[0]


def test_a_cell_of_two_runs_has_two_rows_with_the_runs_names(tmp_path):
    runs = [run_of(tmp_path, name, right(n), models=("same",)) for name, n in (("old", 3), ("new", 24))]
    board = make_leaderboard(runs)
    assert ranks(board) == [(1, "new", "same", "best"), (2, "old", "same", "")]
    assert leaderboard_table(board).header[:4] == ("rank", "run", "model", "prompt")
    assert leaderboard_table(make_leaderboard(runs[:1])).header[:3] == ("rank", "model", "prompt")


def test_refusing_does_not_pay(tmp_path):
    careful = run_of(tmp_path, "a", lambda n, _: n < 8 or "<error>", models=("careful",))
    brave = run_of(tmp_path, "b", right(20), models=("brave",))
    board = make_leaderboard([careful, brave])
    assert ranks(board) == [(1, "b", "brave", "best"), (2, "a", "careful", "")]
    assert (board.places[1].mean, board.places[1].worst_case, board.places[1].n_scored) == (
        1.0,
        pytest.approx(1 / 3),
        8,
    )
    table = leaderboard_table(board)
    assert "missing = wrong" in table.header
    assert any("An answer without a score counts as wrong in ranks" in note for note in table.notes)
    left_out = make_leaderboard([careful, brave], missing="left out")
    assert [place.rank for place in left_out.places] == [1, 1]
    assert left_out.places[1].against_best.n_samples == 8


def test_runs_of_other_samples_are_refused_with_what_to_do(tmp_path):
    big = run_of(tmp_path, "big", right(20), models=("one",))
    small = run_of(tmp_path, "small", right(9), samples=10, models=("two",))
    with pytest.raises(BakeoffError, match=r"big has 24, small has 10; all of them have 10; ask small .*--shared"):
        make_leaderboard([big, small])
    board = make_leaderboard([big, small], shared=True)
    assert [(p.model, p.mean, p.n_total, p.n_answers) for p in board.places] == [
        ("one", 1, 10, 10),
        ("two", 0.9, 10, 10),
    ]
    table = leaderboard_table(board)
    assert table.title.endswith("10 of 24 samples")
    assert table.notes[0].startswith("Only the 10 samples that all were asked about count here; 14 ")


def test_a_cell_asked_a_few_samples_is_named(tmp_path):
    run = run_of(tmp_path, "a", right(20), models=("one", "two"))
    plan = read_plan(run)
    cells = (plan.cells[0], plan.cells[1].model_copy(update={"limit": 5}))
    write_plan(run, plan.model_copy(update={"cells": cells}))
    score_run(run, ["exact"])
    with pytest.raises(BakeoffError, match=r"a: one / read has 24, a: two / read has 5; .* ask a: two / read for the"):
        make_leaderboard([run])


def test_runs_about_something_else_are_refused(tmp_path):
    one = run_of(tmp_path, "a", right(3), samples=4)
    other = make_pages_run(tmp_path, [sample(n, question="?") for n in range(4)], lambda *_: "x", name="b")
    score_run(other, ["exact", "cer"])
    with pytest.raises(BakeoffError, match=r"4 samples, such as 's[0-3]', have another question, image or reference"):
        make_leaderboard([one, other])


def test_scores_that_are_missing_old_or_made_otherwise_name_the_run_and_the_command(tmp_path):
    one = run_of(tmp_path, "a", right(3), samples=4)
    other = make_pages_run(tmp_path, [sample(n) for n in range(4)], lambda *_: "x", name="b")
    with pytest.raises(BakeoffError, match=r"b: has no summary\.json; run `bakeoff score b` first"):
        make_leaderboard([one, other])
    score_run(other, ["exact"])
    with pytest.raises(
        UsageError, match=r"b: was not scored by 'cer'; `bakeoff score b --metric exact --metric cer` adds"
    ):
        make_leaderboard([one, other], "cer")
    score_run(other, ["ned"])
    with pytest.raises(BakeoffError, match="a, b have no main metric in common"):
        make_leaderboard([one, other])
    path = other / "summary.json"
    score_run(other, ["cer"])
    text = path.read_text()
    path.write_text(text.replace('"version": 1', '"version": 9'))
    with pytest.raises(BakeoffError, match="cer was not measured alike: its version is 1 in a and 9 in b"):
        make_leaderboard([one, other], "cer")
    path.write_text(text)
    write_plan(other, read_plan(other).model_copy(update={"updated": now()}))
    with pytest.raises(BakeoffError, match="b: went on after it was scored; run `bakeoff score b` again"):
        make_leaderboard([one, other], "cer")


def test_a_run_counts_once(tmp_path):
    run = run_of(tmp_path, "a", right(3), samples=4)
    with pytest.raises(UsageError, match="run 'a' is named twice"):
        make_leaderboard([run, run])


def test_prompts_of_one_name_and_two_texts_are_told(tmp_path):
    runs = [run_of(tmp_path, name, right(3), samples=4, models=(name,)) for name in "ab"]
    plan = read_plan(runs[1])
    cell = plan.cells[0].model_copy(update={"prompt_sha256": "f" * 64})
    board = make_leaderboard(runs)
    assert board.prompts == ()
    write_plan(runs[1], plan.model_copy(update={"cells": (plan.cells[0], cell)}))
    assert prompts_that_differ(open_several(runs)) == ("read",)


@pytest.mark.slow
def test_equal_cells_share_the_first_rank_as_often_as_the_test_promises(tmp_path):
    draw = np.random.default_rng(7)
    told = 0
    for number in range(20):
        is_right = draw.random((3, 24)) < 0.6

        def answer(place, model, is_right=is_right):
            return bool(is_right[int(model[1:]), place])

        run = run_of(tmp_path, f"r{number}", answer, models=("m0", "m1", "m2"), metrics=("exact",))
        told += any(place.rank != 1 for place in make_leaderboard([run]).places)
    assert told <= 4  # 20 times 5 %: more than 4 has a chance of 0.3 %


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", " =1"])
def test_a_name_that_is_a_formula_is_a_text_in_the_csv(tmp_path, name):
    run = run_of(tmp_path, "a", right(3), samples=4, prompts=(name,))
    (row,) = csv.DictReader(leaderboard_csv(make_leaderboard([run])).splitlines())
    assert (row["prompt"], row["model"], row["params"]) == (f"'{name}", "echo", "{}")


def test_the_note_says_by_which_means_rows_go(tmp_path):
    answers = {"shy": lambda n: n < 8 or "<error>", "brave": lambda n: n < 20}
    run = run_of(
        tmp_path, "a", lambda n, model: answers[model](n), models=tuple(answers), metrics=("exact", "generation_time")
    )
    board = make_leaderboard([run], "exact")
    assert [place.mean for place in board.places] == [pytest.approx(20 / 24), 1]
    assert leaderboard_table(board).notes[0].startswith("Rows go by means in which missing answers count as wrong.")
    seconds = leaderboard_table(make_leaderboard([run], "generation_time"))
    assert seconds.notes[0].startswith("Rows go by means. Cells")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Stand in a workspace with two runs and return what calls the command."""
    (tmp_path / "bakeoff.toml").touch()
    for name, n in (("a", 24), ("b", 4)):
        run_of(tmp_path / "results", name, right(n), models=("same",))
    monkeypatch.chdir(tmp_path)

    def say(*words):
        try:
            cli.main(["leaderboard", *words], standalone_mode=False)
        except BakeoffError as error:
            return str(error)
        return ""

    return say


def test_the_command_prints_and_writes_the_same_board(call, tmp_path, capsys):
    assert call("a", "b", "--output", "board.json") == ""
    out, err = capsys.readouterr()
    assert "Leaderboard by exact: runs a, b, 24 samples" in out
    assert "the leaderboard is in board.json" in err
    found = json.loads((tmp_path / "board.json").read_text())
    assert [(place["rank"], place["run"]) for place in found["places"]] == [(1, "a"), (2, "b")]
    assert call("a", "b", "--metric", "cer", "--output", "board.csv") == ""
    rows = list(csv.DictReader((tmp_path / "board.csv").read_text().splitlines()))
    assert [(row["rank"], row["metric"], row["run"], row["against_best_verdict"]) for row in rows] == [
        ("1", "cer", "a", ""),
        ("2", "cer", "b", "worse"),
    ]
    assert leaderboard_csv(orchestrator.leaderboard(["a", "b"], "cer")) == (tmp_path / "board.csv").read_text()
    assert call("a", "b", "--output", "board.md") == ""
    assert (tmp_path / "board.md").read_text().startswith("## Leaderboard by exact: runs a, b, 24 samples\n\n| rank |")


def test_a_file_of_no_known_form_is_refused_before_anything_is_read(call):
    assert call("nothing", "--output", "board.xls") == "--output board.xls: give a file that ends in .csv, .json or .md"
    assert "there is no folder no" in call("a", "--output", "no/board.md")
    assert "there is no run 'c'" in call("c")
