"""A worker that gets the wire wrong holds nobody up, and nothing that it did not answer becomes an answer."""

import json
import time

import pytest

from orchestrator import api
from orchestrator.session import Gone, Response, Session
from tests.faults.harness import read_final
from tests.runners.chaos_wire.lines import REFUSED
from tests.runners.chaos_wire.transcript import Transcript, read_answer, read_transcript
from tests.workers import ask, load, receive, send, spec_of

pytestmark = pytest.mark.slow  # each starts processes of its own, for seconds

PATIENCE_S = 2.0


@pytest.fixture
def misbehave(workspace, tmp_path):
    """Return what starts a worker that does one deed to every request, and asks it `prompts`."""

    def misbehave(deed, *prompts, **timeouts):
        given = params(tmp_path, deed=deed, flood_bytes=1 << 20)
        with Session(spec_of(workspace, "chaos_wire", given, **timeouts)) as session:
            load(session)
            return ask(session, *prompts)

    return misbehave


def params(folder, **control):
    (folder / "control.json").write_text(json.dumps({"seed": 1, "kinds": {"right": 1}, **control}))
    return {"transcripts": str(folder)}


def test_ten_megabytes_of_stderr_hold_nobody_up(misbehave):
    start = time.monotonic()
    found = misbehave("stderr burst", "1", item_timeout_s=10)
    assert isinstance(found["1"], Response)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("deed", ["pong flood", "log flood"])
def test_a_flood_before_the_answer_is_read_to_its_end(misbehave, deed):
    assert misbehave(deed, "1", item_timeout_s=20)["1"].text == "answer 1"


@pytest.mark.parametrize("deed", ["pongs, nothing begun", "pongs", "progress for ever", "started for ever"])
def test_a_chatterer_is_given_up_when_its_time_is_over(workspace, tmp_path, deed):
    spec = spec_of(workspace, "chaos_wire", params(tmp_path, deed=deed), item_timeout_s=0.3)
    with Session(spec) as session:
        load(session)
        send(session, "1", "2")
        start = time.monotonic()
        found = []
        while not found and time.monotonic() - start < 0.3 + PATIENCE_S:
            found = [event for event in session.poll(0.1) if isinstance(event, Gone)]
    assert found
    assert found[0].cause == "timeout"


def test_half_an_answer_is_none(misbehave):
    gone = misbehave("half then exit", "1")["gone"]
    assert (gone.cause, gone.suspects) == ("crashed", ("1",))
    gone = misbehave("half then silence", "1", item_timeout_s=0.3)["gone"]
    assert (gone.cause, gone.timed_out) == ("timeout", ("1",))


def test_an_answer_that_comes_byte_by_byte_or_late_is_one(misbehave):
    assert misbehave("byte by byte", "1")["1"].text == "answer 1"
    found = misbehave("reordered", "1", "2", "3")
    assert {event.text for event in found.values()} == {"answer 1", "answer 2", "answer 3"}


def test_a_line_that_never_ends_is_cut_off_long_before_it_is_read(misbehave):
    start = time.monotonic()
    gone = misbehave("endless line", "1")["gone"]
    assert "a line is longer than" in gone.reason
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("deed", REFUSED)
def test_what_is_no_message_ends_the_worker_and_its_request_comes_back(misbehave, deed):
    found = misbehave(deed, "1", item_timeout_s=5)
    gone = found["gone"]
    assert gone.cause == "protocol"
    assert ("1" in found) != (gone.suspects == ("1",)), "it is answered, or it comes back"


def test_a_worker_that_says_too_much_before_it_is_loaded_goes_on(workspace, tmp_path):
    for stage in ("answer first", "started first", "bye first", "loaded twice"):
        with Session(spec_of(workspace, "chaos_wire", params(tmp_path, stage=stage))) as session:
            load(session)
            assert ask(session, "1")["1"].text == "answer 1"


def test_a_line_that_is_no_message_ends_a_worker_that_is_loading(workspace, tmp_path):
    with Session(spec_of(workspace, "chaos_wire", params(tmp_path, stage="no JSON"))) as session:
        (gone,) = receive(session)
    assert gone.cause == "protocol"


@pytest.mark.parametrize("how", ["none", "other", "folder", "outside", "pipe"])
def test_a_spilled_text_that_is_not_what_its_digest_says_is_no_answer(workspace, tmp_path, how):
    outcome = api.run(
        models="chaos_wire",
        dataset="words",
        workspace=workspace,
        params=params(tmp_path, deed="spilled wrongly", spills=[how]),
    )
    assert {row["status"] for row in read_final(outcome.folder, "chaos_wire")} == {"lost"}


def test_the_judge_knows_which_answers_may_count(tmp_path):
    said = Transcript(prompts={"1": "w"})
    for text in ("first", "second"):
        said.add(json.dumps({"type": "response", "id": "1", "text": text}).encode())
    said.add(b'{"type":"response","id":"2","text":"too early"}')
    said.add(b'{"type":"response","id":"2","text":"cut o')
    assert said.texts("1") == {"first"}
    assert said.texts("2") == {"too early"}
    assert read_answer(b"[]") is None
    notes = tmp_path / "notes.jsonl"
    notes.write_text('["fault", "twice"]\n["in", "1", "w"]\n["out", "{\\"type\\":\\"pong\\"}\\n"]\n["out", "{')
    assert read_transcript(notes).faults == ["twice"]
