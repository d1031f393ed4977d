"""A person who waits is told what goes on: loading, the first fault, what is waited for at the end, what it took."""

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from orchestrator import api, console
from orchestrator.cli.running import describe_spent
from orchestrator.protocol import Failure, Progress, Response
from orchestrator.results.layout import predictions_path
from orchestrator.running import loading
from orchestrator.running.events import Advance, Note
from orchestrator.running.spent import Spent
from orchestrator.session import Session
from tests.workers import close, load, send, spec_of, write_words

ROOT = Path(__file__).parent.parent


def test_a_worker_that_winds_down_answers_what_it_sent_and_cancels_the_rest(workspace):
    words = [f"w{number}" for number in range(12)]  # two are sent, six wait in the runner, four in the worker
    with Session(spec_of(workspace, "queueing", {"seconds": 0.6})) as session:
        load(session)
        send(session, *words)
        session.flush()
        time.sleep(0.2)
        began = time.monotonic()
        events = close(session)
    assert time.monotonic() - began < 2
    assert {event.id for event in events if isinstance(event, Response)} == {"w0", "w1"}
    cancelled = [event for event in events if isinstance(event, Failure)]
    assert {event.id for event in cancelled} == {f"w{number}" for number in range(2, 8)}
    assert {(event.kind, event.message) for event in cancelled} == {("transient", "cancelled")}


def run_in_the_background(workspace, *more):
    command = [sys.executable, "-m", "orchestrator", "--workspace", str(workspace.root), "run", "--dataset", "words"]
    return subprocess.Popen([*command, *more], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait_for_answers(workspace, model, n):
    """Wait until the journal of `model` holds `n` answers."""
    journals = workspace.results / "words" / "journal" / model
    deadline = time.monotonic() + 20
    while sum(path.read_bytes().count(b'"ok"') for path in journals.glob("*")) < n:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_after_ctrl_c_nothing_is_sent_any_more_and_the_wait_is_told(workspace):
    words = [f"w{number}" for number in range(20)]
    write_words(workspace.root, words)
    with run_in_the_background(workspace, "--model", "queueing", "--param", "seconds=1.5") as process:
        wait_for_answers(workspace, "queueing", 2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert time.monotonic() - began < 15, "18 more would take 13 s, after the start of a busy machine"
    assert re.search(r"^queueing: waiting for 2 answers, (29|30) s at most$", told, re.MULTILINE)
    assert "queueing: 4 of 20 answered" in told
    assert told.endswith("interrupted; the same command goes on from here\n")
    rows = pq.read_table(predictions_path(workspace.results / "words", "queueing")).to_pylist()
    assert [row["status"] for row in rows] == ["ok"] * 4  # the others count as not asked


@pytest.mark.slow
def test_ctrl_c_at_the_end_does_not_promise_to_go_on(workspace):
    write_words(workspace.root, ["a", "b"])
    with run_in_the_background(workspace, "--model", "slow", "--param", "seconds=1", "--param", "only=b") as process:
        wait_for_answers(workspace, "slow", 1)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert told.endswith("interrupted; nothing is missing; next: bakeoff score words\n")


@pytest.mark.slow
def test_the_end_of_a_run_says_what_its_answers_took(workspace):
    write_words(workspace.root, ["a", "b", "raise"])
    with run_in_the_background(workspace, "--model", "queueing", "--param", "seconds=0") as process:
        told = process.stderr.read()
    assert re.search(r"2 of 3 answered, 1 error, [\d.]+ s, 200 \+ 14 tokens, \$0\.0020, served by m-1\n", told)


def test_what_only_a_part_of_the_answers_told_is_said_to_be_of_a_part():
    spent = Spent()
    for row in ({"output_tokens": 1200, "cost": 2.5}, {"served_model": "m"}, {}):
        spent.add({"text": "x", **row})
    spent.add({"status": "error"})
    assert describe_spent(spent) == ["1,200 tokens (of 1 of 3 answers)", "$2.50 (of 1 of 3 answers)", "served by m"]
    assert describe_spent(Spent(answers=1, cost=0.00003, with_cost=1)) == ["$3e-05"]
    assert describe_spent(Spent()) == []


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(loading, "FIRST_S", 0.3)
    monkeypatch.setattr(loading, "EVERY_S", 0.3)


@pytest.mark.usefixtures("quick")
def test_a_model_that_takes_its_time_to_load_is_told_with_its_log(workspace, monkeypatch):
    monkeypatch.chdir(workspace.root)
    events = []
    params = {"load_seconds": 1.2, "checkpoint": "some/name"}
    api.run(models="slow", dataset="words", workspace=workspace, params={**params, "seconds": 0}, notify=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    fetched = "weights that are not in the cache are downloaded first"
    assert notes.count(f"slow: loading; {fetched}; follow it in results/words/logs/slow.log") == 1
    assert any(event.stage.startswith("loading for 1 s") for event in events if isinstance(event, Advance))


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_a_check_and_a_first_look_tell_of_loading_again_and_again(workspace, tmp_path):
    notes = []
    runner = workspace.root / "runners" / "slow" / "runner.py"
    text = runner.read_text().replace('params.get("load_seconds", 0)', "1.5")
    runner.write_text(text.replace("def load(params):", 'def load(params):\n    print("half of it")'))
    list(api.check_runner("slow", workspace, notes.append))
    Image.new("RGB", (40, 20)).save(tmp_path / "page.png")
    api.try_model("slow", tmp_path / "page.png", "?", params={"seconds": 0}, workspace=workspace, notify=notes.append)
    assert notes.count("slow: loading") == 2
    assert notes.count("slow: loading for 1 s: half of it") >= 2


def test_news_of_progress_name_bytes_as_people_do():
    def words(**fields):
        return Progress(type="progress", **fields).words()

    assert words(phase="weights", done=1.23e9, total=4.4e9) == "weights, 1.2 GB of 4.4 GB"
    assert words(done=3, total=12) == "3 of 12"
    assert words(phase="tokenizer") == "tokenizer"


@pytest.mark.slow
def test_the_first_fault_is_told_when_it_happens(workspace):
    write_words(workspace.root, ["raise", *(f"w{number}" for number in range(8))])
    events = []
    api.run(models="queueing", dataset="words", workspace=workspace, params={"seconds": 0.2}, notify=events.append)
    note = Note("queueing: the first error: ValueError: no such thing")
    assert events.count(note) == 1
    assert events.index(note) < max(n for n, event in enumerate(events) if isinstance(event, Advance) and event.ok < 8)


def test_a_bar_shows_the_stage_without_what_could_drive_a_terminal(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(console, "_err", Console(file=shown, force_terminal=True, width=100, markup=False, emoji=False))
    with console.RunDisplay() as display:
        display.advance("m", 2, 0, "loading for 3 s: a\x07b")
    assert "loading for 3 s: a\\x07b" in shown.getvalue()
