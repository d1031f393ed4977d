"""Whatever dies, finished answers stay and the rest is asked again, exactly once."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.errors import LockedError
from orchestrator.results.layout import predictions_path, spill_folder
from orchestrator.results.view import read_predictions
from orchestrator.running import supervise
from orchestrator.running.events import Advance, ModelOutcome, Note
from tests.workers import wait_until_gone, write_words

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    monkeypatch.setattr(supervise, "BACKOFF_S", (0.0,))


@pytest.fixture
def ask(workspace):
    """Return what asks models about `words`; `oracle` notes what was executed."""

    def ask(*models, words=None, oracle=None, **options):
        if words:
            write_words(workspace.root, words)
        params = {**({"oracle": str(oracle)} if oracle else {}), **options.pop("params", {})}
        return api.run(models=models, dataset="words", workspace=workspace, params=params, **options)

    return ask


@pytest.fixture
def oracle(tmp_path):
    """Return the path of a file in which runners note each execution."""
    path = tmp_path / "oracle.txt"
    path.touch()
    return path


def executed(oracle):
    """Count how often each prompt was executed."""
    return Counter(oracle.read_text().split())


def rows(run, model):
    """Return the rows of a model by sample question, which the test runners answer with."""
    samples = {row["id"]: row["question"] for row in pq.read_table(run / "samples.parquet").to_pylist()}
    table = pq.read_table(predictions_path(run, model)).to_pylist()
    found = {samples[row["sample_id"]]: row for row in table}
    assert len(found) == len(table), "one row a key"
    return found


def statuses(run, model):
    return {question: row["status"] for question, row in rows(run, model).items()}


def test_every_sample_is_answered_and_nothing_is_left_lying_about(ask):
    outcome = ask("echo", words=["one", "two", "three"])
    assert outcome.folder.name == "words"
    (model,) = outcome.models
    assert (model.total, model.before, model.ok, model.failed, model.error) == (3, {}, 3, 0, None)
    answers = rows(outcome.folder, "echo")
    assert {question: row["text"] for question, row in answers.items()} == {w: w for w in answers}
    assert answers["one"]["attempts"] == 1
    assert list((outcome.folder / "journal" / "echo").iterdir()) == []
    assert not outcome.interrupted


def test_asking_again_asks_nothing_and_rewrites_nothing(ask, oracle):
    outcome = ask("echo", oracle=oracle)
    content = predictions_path(outcome.folder, "echo").read_bytes()
    again = ask("echo", oracle=oracle)
    assert (again.models[0].before, again.models[0].statuses) == ({"ok": 3}, {})
    assert predictions_path(outcome.folder, "echo").read_bytes() == content
    assert executed(oracle) == {"one": 1, "two": 1, "three": 1}


def test_only_what_is_new_is_asked(ask, oracle):
    ask("echo", oracle=oracle, limit=2)
    ask("echo", oracle=oracle)
    assert executed(oracle) == {"one": 1, "two": 1, "three": 1}
    outcome = ask("echo", oracle=oracle, words=["one", "two", "three", "four"])
    assert (outcome.models[0].before, outcome.models[0].ok) == ({"ok": 3}, 1)
    ask("echo", oracle=oracle, repeat=2)
    assert executed(oracle) == {"one": 2, "two": 2, "three": 2, "four": 2}


def test_a_request_tells_which_repeat_it_is(ask):
    outcome = ask("repeats", words=["one", "two"], repeat=3)
    table = pq.read_table(predictions_path(outcome.folder, "repeats")).to_pylist()
    assert sorted((row["repeat"], row["text"]) for row in table) == [(n, str(n)) for n in (1, 1, 2, 2, 3, 3)]


def test_a_failing_sample_is_a_row_and_is_asked_again(ask, oracle):
    outcome = ask("crashing", words=["one", "sysexit", "two"], oracle=oracle)
    assert statuses(outcome.folder, "crashing") == {"one": "ok", "sysexit": "error", "two": "ok"}
    row = rows(outcome.folder, "crashing")["sysexit"]
    assert (row["text"], row["error_kind"], row["error_message"]) == (None, "bug", "SystemExit")
    assert outcome.models[0].error is None
    again = ask("crashing", oracle=oracle)
    assert rows(again.folder, "crashing")["sysexit"]["attempts"] == 2
    assert executed(oracle) == {"one": 1, "sysexit": 2, "two": 1}


def test_samples_that_crash_their_worker_twice_are_quarantined_and_the_others_are_answered(ask, oracle):
    words = ["segv", "one", "two", "abort", "exit0", "three", "abort2", "four"]
    poison = {"segv", "abort", "exit0", "abort2"}
    outcome = ask("crashing", words=words, oracle=oracle)
    assert outcome.models[0].error is None
    assert statuses(outcome.folder, "crashing") == {w: "quarantined" if w in poison else "ok" for w in words}
    counts = executed(oracle)
    assert {w: counts[w] for w in poison} == dict.fromkeys(poison, 2)
    assert sum(counts.values()) <= 2 * len(poison) + 4 + 2, "of the others few are asked again, as a proof"
    ask("crashing", words=words, oracle=oracle)
    assert executed(oracle) == counts, "what is quarantined is final"
    message = rows(outcome.folder, "crashing")["segv"]["error_message"]
    assert message.startswith("it crashed with SIGSEGV; its last words: ")


def test_of_a_batch_that_crashes_the_innocent_are_answered(ask, oracle):
    words = ["one", "two", "kill", "three", "four", "five"]
    outcome = ask("batch_poison", words=words, oracle=oracle)
    assert statuses(outcome.folder, "batch_poison") == {w: "quarantined" if w == "kill" else "ok" for w in words}
    assert executed(oracle)["kill"] == 3
    assert max(n for word, n in executed(oracle).items() if word != "kill") <= 2


def test_a_sample_that_hangs_twice_is_quarantined_and_the_others_are_answered(ask, workspace, oracle):
    limit_time(workspace, "slow", 0.5)
    words = ["one", "hang", "two"]
    outcome = ask("slow", words=words, oracle=oracle, params={"seconds": 60, "only": "hang"})
    assert statuses(outcome.folder, "slow") == {"one": "ok", "hang": "quarantined", "two": "ok"}
    assert rows(outcome.folder, "slow")["hang"]["error_message"].startswith("no answer within 0.5 s; to give it longer")
    assert executed(oracle)["hang"] == 2


@pytest.mark.slow
def test_of_a_batch_that_hangs_the_innocent_are_answered(ask, workspace, oracle):
    limit_time(workspace, "batch_poison", 0.4)
    words = ["one", "hang", "two", "three"]
    outcome = ask("batch_poison", words=words, oracle=oracle)
    assert statuses(outcome.folder, "batch_poison") == {w: "quarantined" if w == "hang" else "ok" for w in words}


def limit_time(workspace, runner, seconds):
    path = workspace.root / "runners" / runner / "runner.toml"
    path.write_text(f"item_timeout_s = {seconds}\n" + path.read_text())
    workspace.discovery.runners[runner] = api.open_workspace(workspace.root).discovery.runners[runner]


def test_a_model_that_cannot_be_loaded_does_not_stop_the_next(ask):
    outcome = ask("load_fails", "echo", "nan_info")
    failed, fine, last = outcome.models
    assert (failed.error, failed.statuses) == ("there are no weights at /nowhere", {})
    assert (fine.ok, fine.error) == (3, None)
    assert last.statuses == {"error": 3}
    assert last.error.startswith("none of 3 requests was answered, the first because: ValueError: ")


def test_a_model_that_always_dies_is_given_up(ask, oracle):
    outcome = ask("crashing", words=["abort1", "abort2", "abort3", "abort4", "fine"], oracle=oracle)
    assert outcome.models[0].error.startswith("its worker died 3 times in a row: ")
    assert executed(oracle) == {"abort1": 1, "abort2": 1, "abort3": 1}


def test_a_model_that_talks_garbage_is_given_up_and_the_next_is_asked(ask):
    outcome = ask("garbage", "echo")
    assert "it broke the protocol: not a JSON object" in outcome.models[0].error
    assert outcome.models[1].ok == 3


def test_a_spilled_text_is_in_the_table_and_its_file_is_gone(ask):
    outcome = ask("big_text", words=["one", "two"])
    assert {row["text"] for row in rows(outcome.folder, "big_text").values()} == {"ж" * 2_500_000}
    assert [path for path in spill_folder(outcome.folder).rglob("*") if path.is_file()] == []


def test_half_surrogates_come_as_replacement_characters(ask):
    outcome = ask("surrogates", words=["one"])
    row = rows(outcome.folder, "surrogates")["one"]
    assert row["text"].startswith("one\ufffd|\u2028|")
    assert row["info"] == '{"half":"\\ufffd"}'


def test_an_info_that_no_json_writes_is_an_error_of_the_sample(ask, workspace):
    script = workspace.root / "runners" / "garbage" / "garbage.py"
    answer = '{"type":"response","id":"ID","text":"x","latency_s":0,"info":{"a":1e999}}'
    script.write_text(script.read_text().replace('["this is no JSON"]', repr([answer])))
    outcome = ask("garbage", words=["one"])
    assert rows(outcome.folder, "garbage")["one"]["error_message"].startswith("its info cannot be kept")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_models_in_python_and_node_run_in_one_command(ask):
    outcome = ask("node", "asynchronous", "batch", "spawns")
    assert [model.ok for model in outcome.models] == [3, 3, 3, 3]
    assert rows(outcome.folder, "node")["one"]["text"] == "ONE"


def test_what_goes_on_is_told(ask, workspace):
    events = []
    ask("echo", notify=events.append)
    assert isinstance(events[-1], ModelOutcome)
    assert all(isinstance(event, Note | Advance | ModelOutcome) for event in events)


DRIVER = """
import sys
from orchestrator import api
from orchestrator.running.events import Advance
def tell(event):
    if isinstance(event, Advance):
        print(event.ok, flush=True)
outcome = api.run(
    models=["slow"], dataset="words", workspace=sys.argv[1], notify=tell,
    params={"seconds": float(sys.argv[3]), "oracle": sys.argv[2]},
)
print("interrupted" if outcome.interrupted else "complete", flush=True)
"""


@contextmanager
def running_elsewhere(workspace, oracle, seconds):
    """Run the slow model in another process; yield it once its first answers are there."""
    argv = [sys.executable, "-c", DRIVER, str(workspace.root), str(oracle), str(seconds)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            while int(process.stdout.readline()) < 3:
                pass
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_killed_orchestrator_loses_doubles_and_repeats_nothing_acknowledged(ask, workspace, oracle):
    words = [f"w{number}" for number in range(40)]
    write_words(workspace.root, words)
    run = workspace.results / "words"
    kills = 2
    for _ in range(kills):
        with running_elsewhere(workspace, oracle, 0.02) as process:
            process.kill()
            process.wait()
        seen = [row for batch in read_predictions(run, "slow") for row in batch.to_pylist()]
        acknowledged = {row["text"] for row in seen if row["status"] == "ok"}
        assert acknowledged
        before = executed(oracle)
    outcome = ask("slow", oracle=oracle, params={"seconds": 0.02})
    assert statuses(outcome.folder, "slow") == dict.fromkeys(words, "ok")
    assert outcome.models[0].before == {"ok": len(acknowledged)}
    after = executed(oracle)
    assert {word: after[word] for word in acknowledged} == {word: before[word] for word in acknowledged}
    assert sum(after.values()) <= len(words) + 4 * kills  # what was begun or on its way when the kill came


@pytest.mark.slow
def test_the_second_of_two_processes_is_told_who_holds_the_run(ask, workspace, oracle):
    write_words(workspace.root, [f"w{number}" for number in range(200)])
    with running_elsewhere(workspace, oracle, 0.05) as process:
        with pytest.raises(LockedError, match=f"is being worked on by process {process.pid} on "):
            ask("echo")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert ask("echo").models[0].ok == 200


@pytest.mark.slow
def test_ctrl_c_finishes_what_was_begun_and_the_same_call_goes_on(ask, workspace, oracle):
    words = [f"w{number}" for number in range(40)]
    write_words(workspace.root, words)
    with running_elsewhere(workspace, oracle, 0.05) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().split()[-1] == "interrupted"
        assert process.wait() == 0
    done = statuses(workspace.results / "words", "slow")
    assert executed(oracle) == dict.fromkeys(done, 1)
    assert 3 <= len(done) < 40
    outcome = ask("slow", oracle=oracle, params={"seconds": 0.05})
    assert outcome.models[0].before == {"ok": len(done)}
    assert executed(oracle) == dict.fromkeys(words, 1)


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(workspace, oracle):
    write_words(workspace.root, ["one", "two", "three", "hang", "four"])
    argv = [sys.executable, "-c", DRIVER.replace('"seconds"', '"only": "hang", "seconds"')]
    argv += [str(workspace.root), str(oracle), "60"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 3:
            pass
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert wait_until_gone(process.pid, 10)
        assert process.stdout.read().split()[-1] == "interrupted"
    found = statuses(workspace.results / "words", "slow")
    assert found == {"one": "ok", "two": "ok", "three": "ok", "hang": "cancelled"}
