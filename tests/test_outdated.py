"""Scores that are not of the answers that are there: no report is made of them."""

import pytest

from orchestrator import api
from orchestrator.cli import main
from orchestrator.errors import BakeoffError
from orchestrator.results.expected import iter_expected
from orchestrator.results.plan import now, read_plan, write_plan
from orchestrator.running.lock import holding
from orchestrator.scoring import score_run
from tests.scored_run import Asked, make_run, prediction, write_predictions

SAMPLES = [Asked(["a"], ["a"]), Asked(["b"], ["x"]), Asked(["c"], [None]), Asked(["d"], ["<error>"])]
BOTH = [api.report, api.report_page]


def answer_all(run):
    """Have the two answers come that were not there."""
    rows = [row for batch in iter_expected(run, read_plan(run).cells[0]) for row in batch]
    write_predictions(run, "echo", [prediction(row.key, row.sample_id, 1, "late", "echo") for row in rows])


@pytest.fixture
def run(tmp_path):
    made = make_run(tmp_path, SAMPLES)
    score_run(made)
    return made


@pytest.mark.parametrize("report", BOTH)
def test_a_run_that_went_on_is_not_reported(run, report):
    report(run)
    write_plan(run, read_plan(run).model_copy(update={"updated": now()}))
    page = (run / "report.html").read_bytes() if (run / "report.html").exists() else None
    with pytest.raises(BakeoffError, match=r"^run: went on after it was scored; run `bakeoff score run` again$"):
        report(run)
    assert page is None or (run / "report.html").read_bytes() == page


@pytest.mark.parametrize("report", BOTH)
def test_answers_that_a_killed_run_left_after_scoring_are_counted(run, report):
    answer_all(run)
    with pytest.raises(BakeoffError, match=r"^run: 2 answers came after it was scored; run `bakeoff score run` again$"):
        report(run)


def test_a_run_still_going_on_is_reported_with_what_came_since(run):
    told = []
    with holding(run):
        api.report(run, notify=told.append)
        assert told == []
        answer_all(run)
        api.report(run, notify=told.append)
        api.report_page(run, notify=told.append)
    sentence = "run: is still going on, 2 answers came after it was scored, of which the figures say nothing; "
    assert told == [f"{sentence}run `bakeoff score run` again"] * 2


def test_scores_made_while_answers_come_are_as_old_as_their_beginning(run):
    def go_on(_):
        write_plan(run, read_plan(run).model_copy(update={"updated": now()}))

    score_run(run, notify=go_on)
    with pytest.raises(BakeoffError, match="went on after it was scored"):
        api.report(run)


@pytest.mark.parametrize("options", [[], ["--terminal"], ["--worst", "2"]])
def test_nothing_is_shown_where_one_of_several_runs_went_on(tmp_path, run, capsys, options):
    (tmp_path / "more").mkdir()
    stale = make_run(tmp_path / "more", SAMPLES)
    score_run(stale, ["cer"])
    answer_all(stale)
    with pytest.raises(SystemExit) as leaving:
        main(["report", str(run), str(stale), *options])
    shown = capsys.readouterr()
    assert leaving.value.code == 1
    assert shown.out == ""
    assert "run `bakeoff score run --metric cer` again" in shown.err


def test_the_remedy_has_the_metrics_and_extractions_of_before(run):
    api.score(run, metrics=["cer@ci", "exact"], extract=["think", "json:a+b.c"])
    answer_all(run)
    with pytest.raises(BakeoffError) as caught:
        api.report(run)
    options = "--metric exact --metric cer@ci --extract think --extract json:a+b.c"
    assert str(caught.value).endswith(f"run `bakeoff score run {options}` again")
