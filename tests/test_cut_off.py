"""A model whose worker says that nothing more will be answered is given up; the rest is left to the next run."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.cli import main
from orchestrator.results.journal import Journal
from orchestrator.results.layout import predictions_path
from orchestrator.results.plan import read_plan
from orchestrator.results.view import read_predictions
from tests.test_mutants import CELLS, ROW
from tests.workers import write_words

pytestmark = pytest.mark.slow  # each starts processes of its own, for seconds

WORDS = [f"w{n}" for n in range(100)]


@pytest.fixture
def ask(workspace):
    """Return what asks the runner about `words` until it is cut off at `cut`; gives the outcome and the rows."""

    def ask(words=WORDS, cut="", kind="bad_params", models=("cut_off",), **options):
        write_words(workspace.root, words)
        params = {"cut": cut, "kind": kind}
        outcome = api.run(models=models, dataset="words", workspace=workspace, params=params, **options)
        return outcome.models[0], pq.read_table(predictions_path(outcome.folder, "cut_off")).to_pylist()

    return ask


def test_nothing_that_it_did_not_answer_has_a_row_and_all_is_asked_as_for_the_first_time(ask):
    outcome, rows = ask(cut="w30")
    assert outcome.error == "the key is not taken any more"
    assert not outcome.is_passing
    assert {row["status"] for row in rows} == {"ok"}
    assert 20 <= len(rows) <= 33
    assert outcome.statuses == {"ok": len(rows)}
    outcome, rows = ask()
    assert (outcome.error, len(rows)) == (None, 100)
    assert {(row["status"], row["attempts"], row["losses"]) for row in rows} == {("ok", 1, None)}


def test_one_that_answers_nothing_leaves_no_row_at_all(ask):
    outcome, rows = ask(cut="w0")
    assert (rows, outcome.statuses) == ([], {})
    assert outcome.error == "the key is not taken any more"


@pytest.mark.slow
def test_what_failed_before_keeps_its_counts(ask):
    words = ["bad0", *WORDS]
    _, rows = ask(words)
    assert Counter((row["status"], row["attempts"]) for row in rows) == {("ok", 1): 100, ("error", 1): 1}
    _, rows = ask(words, cut="bad0")
    assert Counter((row["status"], row["attempts"]) for row in rows) == {("ok", 1): 100, ("cancelled", 1): 1}
    assert "it was not asked again: the key is not taken any more" in [row["error_message"] for row in rows]
    _, rows = ask(words)
    assert Counter((row["status"], row["attempts"]) for row in rows) == {("ok", 1): 100, ("error", 2): 1}


@pytest.mark.slow
def test_what_was_sent_already_may_still_be_answered(ask):
    _, rows = ask(["late0", "w0", "w1", *WORDS[10:]], cut="w0")
    assert {(row["text"], row["status"]) for row in rows} == {("late0", "ok")} | {
        ("w1", "ok") for row in rows if row["text"] == "w1"
    }


def test_the_next_model_is_asked_all_the_same(ask, workspace):
    write_words(workspace.root, WORDS)
    outcome = api.run(models=["cut_off", "echo"], dataset="words", workspace=workspace, params={"cut": "w0"})
    assert [model.answered for model in outcome.models] == [0, 100]
    assert read_plan(outcome.folder).failures == {"cut_off": "the key is not taken any more"}


@pytest.mark.parametrize(
    ("models", "kind", "status"),
    [
        (["cut_off"], "bad_params", 3),
        (["cut_off"], "rate_limited", 75),
        (["cut_off", "load_fails"], "rate_limited", 3),
    ],
)
def test_the_exit_status_says_whether_waiting_helps(workspace, capsys, models, kind, status):
    write_words(workspace.root, WORDS)
    options = [word for model in models for word in ("--model", model)]
    options += ["--dataset", "words", "--param", "cut=w50", "--param", f"kind={kind}"]
    with pytest.raises(SystemExit) as leaving:
        main(["--workspace", str(workspace.root), "run", *options])
    told = " ".join(capsys.readouterr().err.split())
    assert leaving.value.code == status
    assert "FAILED: the key is not taken any more" in told
    assert "the same command asks for the rest, then: bakeoff score words" in told
    assert "next: " not in told


def test_a_reader_meanwhile_does_not_see_what_was_withdrawn(tmp_path):
    key = "1" * 64
    with Journal(tmp_path / "journal" / "m1", CELLS) as journal:
        journal.append([ROW, {**ROW, "key": key, "status": "lost"}])
        assert len(read(tmp_path)) == 2
        journal.append([{**ROW, "key": key, "status": "pending"}])
        assert [row["key"] for row in read(tmp_path)] == [ROW["key"]]
        journal.append([{**ROW, "key": key}])
        assert len(read(tmp_path)) == 2


def read(run):
    return [row for batch in read_predictions(run, "m1") for row in batch.to_pylist()]
