"""A session reads everything, tells who was suspect when a worker dies, and ends every worker for sure."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import session as module
from orchestrator import stderr_log
from orchestrator.config import open_workspace
from orchestrator.errors import BakeoffError
from orchestrator.intake import MESSAGE_CHARS
from orchestrator.session import Gone, Response, Session, describe_exit
from orchestrator.worker_life import Begun, TimedOut
from tests.workers import ask, close, load, receive, send, spec_of, wait_until_gone

ROOT = Path(__file__).parent.parent


def garbage(workspace, **script):
    """Return the specification of a worker that says what `script` says."""
    spec = spec_of(workspace, "garbage")
    return replace(spec, argv=(*spec.argv, json.dumps(script)))


def open_descriptors():
    return sorted(path.name for path in Path("/dev/fd").iterdir())


def test_what_is_printed_before_the_hello_is_noise_for_the_log(workspace):
    banners = ["srun: job queued", '{"type":"hello","protocol":1,"nonce":"guessed"}', '{"type":"bye"}', ""]
    spec = garbage(workspace, before=banners, answers=['{"type":"response","id":"ID","text":"x","latency_s":0}'])
    with Session(spec) as session:
        load(session)
        assert ask(session, "a")["a"].text == "x"
    assert "srun: job queued" in spec.log.read_text()


def test_endless_noise_before_the_hello_is_given_up(workspace):
    with Session(garbage(workspace, before=["noise"] * 1000)) as session:
        (gone,) = receive(session)
    assert gone.cause == "protocol"
    assert gone.reason.startswith("it broke the protocol: it printed much, but never the hello of a worker")


def test_another_version_of_the_protocol_is_refused_with_both_named(workspace):
    with Session(garbage(workspace, protocol=2)) as session:
        (gone,) = receive(session)
    assert gone.reason.startswith("it broke the protocol: it speaks protocol 2, we speak 1")


def test_a_worker_that_never_says_hello_is_given_up(workspace):
    with Session(replace(garbage(workspace, mute=True), hello_timeout_s=0.3)) as session:
        (gone,) = receive(session)
    assert gone.cause == "load_timeout"


def test_a_program_that_is_not_there_is_one_sentence_and_leaks_nothing(workspace):
    spec = replace(spec_of(workspace, "echo"), argv=("/nowhere/python",))
    before = open_descriptors()
    with pytest.raises(BakeoffError, match=r"^/nowhere/python: cannot be started: No such file"), Session(spec):
        pass
    assert open_descriptors() == before


def test_sessions_leak_no_descriptors(workspace):
    before = open_descriptors()
    for name in ("echo", "load_fails", "garbage"):
        with Session(spec_of(workspace, name)) as session:
            receive(session)
    assert open_descriptors() == before


@pytest.mark.slow
def test_fifty_workers_and_their_various_ends_leak_no_descriptors(workspace):
    ends = 8 * ["exit 0", "exit 3", "kill -9 $$", "yes | head -c 300000", "cat"]
    ends += 2 * ["exec sleep 60", "sleep 60 & exit 1", "exec <&-; sleep 60", "trap '' TERM; yes >&2", "sleep 60 | cat"]
    before = open_descriptors()
    for end in ends:
        spec = spec_of(workspace, "garbage", argv=("/bin/sh", "-c", end), hello_timeout_s=0.05)
        with Session(spec) as session:
            while not session.is_gone:
                session.poll(0.05)
    assert open_descriptors() == before
    assert len(ends) == 50


def test_a_load_that_fails_is_told_in_the_runners_words(workspace):
    spec = spec_of(workspace, "load_fails")
    with Session(spec) as session:
        (gone,) = receive(session)
        assert session.poll(0.1) == []
    assert (gone.cause, gone.reason) == ("load_failed", "there are no weights at /nowhere")
    assert gone.error.kind == "bad_params"
    assert "WeightsMissingError" in spec.log.read_text()


def test_a_worker_that_dies_while_loading_is_told_by_status_and_last_words(workspace):
    with Session(spec_of(workspace, "load_fails", {"how": "exit"})) as session:
        (gone,) = receive(session)
    assert gone.cause == "load_failed"
    assert gone.reason == "it exited with status 3; its last words: libcuda.so.1: not found"


def test_loading_that_takes_too_long_is_given_up(workspace):
    spec = spec_of(workspace, "load_fails", {"how": "hang"}, load_timeout_s=0.5)
    with Session(spec) as session:
        (gone,) = receive(session)
    assert (gone.cause, gone.reason) == ("load_timeout", "it was not loaded within 0.5 s")


NEWS = """
import json, sys, time
say = lambda **message: print(json.dumps(message), flush=True)
say(type="hello", protocol=1, nonce=json.loads(sys.stdin.readline())["nonce"])
for _ in range(int(sys.argv[1])):
    time.sleep(0.2)
    say(**json.loads(sys.argv[2]))
say(type="loaded")
for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "request":
        say(type="started", ids=[request["id"]])
        while True:
            time.sleep(0.05)
            say(**json.loads(sys.argv[2]))
"""
PROGRESS = '{"type":"progress","phase":"download"}'
SIGNS_OF_LIFE = (PROGRESS, '{"type":"log","message":"x"}', '{"type":"pong","seq":1}')


def telling(workspace, times, news, **changes):
    """Return the specification of a worker that tells `news` while it loads, `times`, and while it answers."""
    return spec_of(workspace, "garbage", argv=(sys.executable, "-c", NEWS, str(times), news), **changes)


@pytest.mark.slow
def test_news_of_progress_puts_off_the_end_of_loading(workspace):
    with Session(telling(workspace, 6, PROGRESS, load_timeout_s=0.7)) as session:
        assert load(session).load_s > 1.2


@pytest.mark.slow
def test_other_signs_of_life_do_not(workspace):
    for news in SIGNS_OF_LIFE[1:]:
        with Session(telling(workspace, 6, news, load_timeout_s=0.7)) as session:
            (gone,) = receive(session)
        assert (gone.cause, gone.reason) == ("load_timeout", "it was not loaded within 0.7 s")


@pytest.mark.slow
def test_progress_does_not_put_it_off_for_ever(workspace, monkeypatch):
    monkeypatch.setattr(module, "LOAD_HARD_S", 1.0)
    began = time.monotonic()
    with Session(telling(workspace, 1000, PROGRESS, load_timeout_s=0.7)) as session:
        (gone,) = receive(session)
    assert (gone.cause, gone.reason) == ("load_timeout", "it was still loading after 1 s, though it told of progress")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("news", SIGNS_OF_LIFE)
def test_no_sign_of_life_puts_off_the_deadline_of_a_request(workspace, news):
    with Session(telling(workspace, 0, news, item_timeout_s=0.5)) as session:
        load(session)
        send(session, "a")
        (gone,) = receive(session)
    assert (gone.cause, gone.timed_out) == ("timeout", ("a",))


def test_an_answer_after_the_failure_of_loading_is_not_listened_to(workspace):
    error = '{"type":"error","id":null,"kind":"bug","message":"no"}'
    with Session(garbage(workspace, loaded=[error + '\n{"type":"loaded"}\n{'])) as session:
        events = receive(session, 2)
    assert [event.cause for event in events] == ["load_failed"]


def test_being_loaded_twice_changes_nothing(workspace):
    again = '{"type":"loaded","batch_max":4000}'
    with Session(garbage(workspace, loaded=['{"type":"loaded"}', again])) as session:
        load(session)
        assert session.window == module.WINDOW_MIN
        assert session.poll(0.2) == []


def test_a_request_that_takes_too_long_ends_the_worker_and_is_named(workspace):
    spec = spec_of(workspace, "slow", {"seconds": 60, "only": "hang"}, item_timeout_s=0.5)
    with Session(spec) as session:
        load(session)
        send(session, "a", "hang", "b", "c")
        answer, gone = receive(session, 4)
        assert answer.id == "a"
    assert (gone.cause, gone.reason) == ("timeout", "no answer within 0.5 s")
    assert (gone.suspects, gone.timed_out, gone.waiting) == (("hang",), ("hang",), ("b", "c"))


@pytest.mark.slow
def test_a_batch_has_the_time_of_all_its_items(workspace):
    started = '{"type":"started","ids":["a","b","c","d"]}'
    with Session(replace(garbage(workspace, answers=[started]), item_timeout_s=0.3)) as session:
        load(session)
        send(session, *"abcd")
        (gone,) = receive(session)
        assert set(gone.timed_out) == set("abcd")
        assert session._clock - session._born > 1.2


def begin(session, *prompts):
    """Send `prompts` and wait until the worker has said of each that it is at work on it."""
    send(session, *prompts)
    while any(session._flights.deadlines[prompt] is None for prompt in prompts):
        assert all(isinstance(event, Begun) for event in session.poll(0.1))


def receive_all_but_begun(session, count):
    """Collect `count` events that end a request or the worker; a `Gone` is the last in any case."""
    events = []
    while len(events) < count and not session.is_gone:
        events += [event for event in session.poll(0.5) if not isinstance(event, Begun)]
    return events


def test_one_of_several_at_a_time_times_out_alone(workspace):
    spec = spec_of(workspace, "hanging", {"long_s": 0.5}, item_timeout_s=1.0)
    with Session(spec, is_supervised=True) as session:
        load(session)
        begin(session, "hang")
        time.sleep(0.7)
        send(session, "long", "a")
        answers = receive_all_but_begun(session, 3)
        send(session, "b")
        assert receive_all_but_begun(session, 1)[0].id == "b", "the worker lives"
        assert session.poll(0.1) == []
        assert (session._flights.cancelled, session._unknown) == ({}, 0)
    assert {event.id for event in answers} == {"a", "hang", "long"}
    assert TimedOut("hang", "no answer within 1 s") in answers


@pytest.mark.slow
def test_an_answer_after_the_time_out_is_dropped_and_no_offence(workspace, monkeypatch):
    monkeypatch.setattr(module, "UNKNOWN_IDS_MAX", 1)
    spec = spec_of(workspace, "hanging", {"late_s": 0.3}, item_timeout_s=0.4)
    late = ["late1", "late2", "late3", "late4"]
    with Session(spec, is_supervised=True) as session:
        load(session)
        send(session, *late)
        timed_out = receive_all_but_begun(session, len(late))
        send(session, "a")
        assert receive_all_but_begun(session, 1)[0].id == "a"
        assert session.poll(0.5) == []
        assert session._unknown == 0
    assert sorted(event.id for event in timed_out) == sorted(late)
    assert all(isinstance(event, TimedOut) for event in timed_out)


@pytest.mark.slow
def test_a_worker_that_will_not_end_what_timed_out_is_killed_and_the_others_come_back(workspace, monkeypatch):
    monkeypatch.setattr(module, "CANCEL_S", 0.1)
    spec = spec_of(workspace, "hanging", {"long_s": 60}, item_timeout_s=1.5)
    with Session(spec, is_supervised=True) as session:
        load(session)
        begin(session, "deaf1", "deaf2", "deaf3")
        time.sleep(1.0)
        send(session, "long", "long2", "long3")
        *timed_out, gone = receive_all_but_begun(session, 4)
    assert {event.id for event in timed_out} == {"deaf1", "deaf2", "deaf3"}
    assert gone.cause == "timeout"
    assert gone.reason == "no answer within 1.5 s, and 0.1 s after it was cancelled it went on"
    assert set(gone.timed_out) == {"deaf1", "deaf2", "deaf3"}
    assert (gone.suspects, gone.waiting) == (("long",), ("long2", "long3"))


@pytest.mark.slow
def test_a_worker_that_only_hangs_is_given_time_to_end_what_timed_out(workspace, monkeypatch):
    """Those that wait meanwhile are not stalled: they are begun once there is room."""
    monkeypatch.setattr(module, "CANCEL_S", 3.0)
    spec = spec_of(workspace, "hanging", {"late_s": 0.8}, item_timeout_s=0.4)
    with Session(spec, is_supervised=True) as session:
        load(session)
        send(session, "late1", "late2", "late3", "late4", "a")
        events = receive_all_but_begun(session, 5)
    assert [type(event) for event in events] == [TimedOut] * 4 + [Response]


def test_whoever_talks_about_one_request_sees_its_worker_end(workspace):
    with Session(spec_of(workspace, "hanging", item_timeout_s=0.4)) as session:
        load(session)
        send(session, "hang", "a")
        _, gone = receive(session, 2)
    assert (gone.reason, gone.timed_out) == ("no answer within 0.4 s", ("hang",))


def test_a_worker_that_begins_nothing_is_given_up_and_nobody_is_suspect(workspace):
    with Session(replace(garbage(workspace, answers=[]), item_timeout_s=0.4)) as session:
        load(session)
        send(session, "a", "b")
        (gone,) = receive(session)
    assert (gone.cause, gone.reason) == ("timeout", "it began none of 2 requests within 0.4 s")
    assert (gone.suspects, gone.timed_out, gone.waiting) == ((), (), ("a", "b"))


STARTED, ANSWER = '{"type":"started","ids":["ID"]}', '{"type":"response","id":"ID","text":"x","latency_s":0}'


def test_what_is_begun_and_not_answered_is_told_once(workspace):
    spec = spec_of(workspace, "slow", {"seconds": 0.5, "only": "long"})
    with Session(spec, is_supervised=True) as session:
        load(session)
        send(session, "long", "a")
        begun, long, *_ = receive(session, 3)
    assert begun == Begun(("long",))
    assert long.id == "long"


def test_what_is_begun_and_answered_at_once_is_no_news(workspace):
    with Session(garbage(workspace, answers=[f"{STARTED}\n{ANSWER}"]), is_supervised=True) as session:
        load(session)
        assert [event.id for event in ask(session, *"abc").values()] == ["a", "b", "c"]


def test_a_batch_is_told_as_begun_together(workspace):
    started = '{"type":"started","ids":["a","b","c"]}'
    with Session(garbage(workspace, answers=[started]), is_supervised=True) as session:
        load(session)
        send(session, *"abc")
        assert receive(session) == [Begun(("a", "b", "c"))]
        assert session.poll(0.1) == [], "the worker says again what it has begun"


def test_a_worker_that_dies_of_what_it_just_began_tells_so_first(workspace):
    spec = garbage(workspace, answers=[f"{STARTED}\nno JSON"])
    with Session(spec, is_supervised=True) as session:
        load(session)
        send(session, "a", "b")
        begun, gone = receive(session, 2)
    assert begun == Begun(("a",))
    assert (gone.suspects, gone.waiting) == (("a",), ("b",))


def test_saying_again_that_a_request_is_begun_does_not_put_off_its_deadline(workspace):
    spec = replace(garbage(workspace, answers=['{"type":"started","ids":["a"]}']), item_timeout_s=0.6)
    with Session(spec) as session:
        load(session)
        send(session, "a")
        began = time.monotonic()
        while not session.is_gone and time.monotonic() - began < 5:
            session.send({"type": "request", "id": str(time.monotonic_ns()), "prompt": ""})
            events = session.poll(0.1)
            time.sleep(0.05)
    assert events[-1].timed_out == ("a",)


def test_a_worker_that_batches_is_told_the_limit(workspace):
    with Session(garbage(workspace, loaded=['{"type":"loaded","batch_max":9}'])) as session:
        session.limit(8)
        load(session)
        assert b'{"type":"limit","batch_max":8}\n' in session._outgoing
        session.limit(4)
        assert session._outgoing.endswith(b'{"type":"limit","batch_max":4}\n')
        assert session.window == module.WINDOW_MIN


def test_a_worker_of_several_at_a_time_gets_no_more_than_the_limit(workspace):
    with Session(spec_of(workspace, "asynchronous")) as session:
        load(session)
        session.limit(2)
        assert (session.window, session.free, bytes(session._outgoing)) == (2, 2, b"")
        assert ask(session, "a", "b")["b"].info["most"] <= 2


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("abort", "it crashed with SIGABRT"),
        ("segv", "it crashed with SIGSEGV"),
        ("exit0", "it exited with status 0"),
    ],
)
def test_a_crash_tells_whom_it_was_working_on_and_who_waited(workspace, word, reason):
    with Session(spec_of(workspace, "crashing")) as session:
        load(session)
        send(session, "a", word, "b", "c")
        *answers, gone = receive(session, 4)
    assert [answer.id for answer in answers] == ["a"]
    assert gone.cause == "crashed"
    assert gone.reason.startswith(reason)
    assert (gone.suspects, gone.timed_out, gone.waiting) == ((word,), (), ("b", "c"))


def test_all_of_a_batch_are_suspects_of_its_crash(workspace):
    with Session(spec_of(workspace, "batch_poison")) as session:
        load(session)
        session.flush()
        send(session, "kill", "a", "b", "c", "d")
        (gone,) = receive(session)
    assert "kill" in gone.suspects
    assert set(gone.suspects) | set(gone.waiting) == {"kill", "a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("this is no JSON", "it broke the protocol: not a JSON object"),
        ("[1, 2]", "it broke the protocol: message"),
        ('{"type":"response","id":"ID","latency_s":0}', "it broke the protocol: response.text: Field required"),
        ('{"type":"response","id":"ID","text":"x","latency_s":NaN}', "it broke the protocol: "),
        ('{"type":"unheard_of"}', "it broke the protocol: message: Input tag 'unheard_of'"),
    ],
)
def test_garbage_on_the_wire_ends_the_worker(workspace, answer, reason):
    good = '{"type":"response","id":"ID","text":"x","latency_s":0}'
    with Session(garbage(workspace, answers=[f"{good}\n{answer}\n{good}"])) as session:
        load(session)
        send(session, "a", "b")
        first, gone = receive(session, 3)
        assert first.text == "x"
        assert session.poll(0.1) == []
    assert gone.cause == "protocol"
    assert gone.reason.startswith(reason)
    assert gone.waiting == ("b",)


def test_what_any_worker_says_of_an_error_is_cut(workspace):
    error = json.dumps({"type": "error", "id": "ID", "kind": "bug", "message": "x" * 100_000})
    with Session(garbage(workspace, answers=[error])) as session:
        load(session)
        assert ask(session, "a")["a"].message == "x" * (MESSAGE_CHARS - 1) + "…"


def test_a_line_without_end_is_given_up(workspace):
    with Session(garbage(workspace, answers=["LONG"])) as session:
        load(session)
        send(session, "a")
        (gone,) = receive(session)
    assert gone.reason.startswith("it broke the protocol: a line is longer than")


def test_answers_to_unknown_requests_are_dropped_and_too_many_end_the_worker(workspace):
    with Session(spec_of(workspace, "wrong_id")) as session:
        load(session)
        prompts = [str(number) for number in range(20)]
        send(session, *prompts)
        (gone,) = receive(session)
    assert gone.reason.startswith("it broke the protocol: it answered 11 requests that were not asked")
    assert gone.waiting == tuple(prompts)


def answered_twice(*texts):
    return [f'{{"type":"response","id":"ID","text":"{text}","latency_s":0}}' for text in texts]


def test_a_second_answer_that_is_equal_is_dropped(workspace):
    with Session(garbage(workspace, answers=answered_twice("one", "one"))) as session:
        load(session)
        assert ask(session, "a")["a"].text == "one"
        assert session.poll(0.1) == []


def test_of_two_different_answers_the_first_counts_and_the_worker_is_ended(workspace):
    with Session(garbage(workspace, answers=answered_twice("one", "two"))) as session:
        load(session)
        send(session, "a")
        answer, gone = receive(session, 2)
        assert (answer.text, gone.cause) == ("one", "protocol")
        assert "it answered request a twice, differently" in gone.reason


def test_unknown_and_repeated_ids_give_a_request_no_more_time(workspace):
    many = ",".join([*(f'"x{n}"' for n in range(1000)), *['"ID"'] * 1000])
    spec = garbage(workspace, answers=[f'{{"type":"started","ids":[{many}]}}'])
    with Session(replace(spec, item_timeout_s=0.3)) as session:
        load(session)
        start = time.monotonic()
        assert ask(session, "a")["gone"].cause == "timeout"
        assert time.monotonic() - start < 5


def test_the_window_follows_the_workers_batch_and_concurrency(workspace):
    with Session(spec_of(workspace, "echo")) as session:
        assert session.free == 0
        load(session)
        assert session.free == session.window == module.WINDOW_MIN
        send(session, "a", "b")
        assert (session.free, session.in_flight) == (module.WINDOW_MIN - 2, 2)
        receive(session, 2)
        assert session.free == module.WINDOW_MIN
    with Session(garbage(workspace, loaded=['{"type":"loaded","batch_max":9,"concurrency":50}'])) as session:
        load(session)
        assert session.window == 900


def test_requests_larger_than_the_pipe_do_not_deadlock_with_large_answers(workspace):
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        prompts = {str(number): f"{number}" * 400_000 for number in range(40)}
        for identity, prompt in prompts.items():
            session.send({"type": "request", "id": identity, "prompt": prompt})
        answers = {event.id: event.text for event in receive(session, 40)}
    assert answers == prompts


def test_a_worker_ends_by_itself_when_told(workspace):
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        assert close(session) == [Gone("it was shut down", "closed")]
        assert session._child.wait(0) == 0


def test_closing_while_loading_does_not_wait_for_the_model(workspace):
    with Session(spec_of(workspace, "load_fails", {"how": "hang"})) as session:
        session.poll(0.3)
        assert [event.cause for event in close(session)] == ["closed"]
        assert session._child.wait(0) is not None


def test_a_worker_that_ignores_everything_is_killed(workspace, monkeypatch):
    monkeypatch.setattr(module, "TERM_S", 0.3)
    with Session(spec_of(workspace, "ignores_sigterm")) as session:
        load(session)
        send(session, "a", "hang", "b")
        receive(session)
        *_, gone = (event for events in session.close(0.3) for event in events)
        assert (gone.cause, gone.reason) == ("closed", "it would not end and was killed")
        assert (gone.suspects, gone.waiting) == (("hang",), ("b",))
        assert session._child.wait(0) == -signal.SIGKILL


def test_a_worker_that_cannot_be_killed_is_told(workspace, monkeypatch):
    monkeypatch.setattr(module, "KILL_S", 0.1)
    monkeypatch.setattr("orchestrator.process._find_left", lambda *_: [2**22 + 1])  # one that never ends
    spec = spec_of(workspace, "echo")
    with Session(spec) as session:
        load(session)
        gone = session.abandon("it is of no use")
    assert gone.reason.endswith("; what it started could not be killed within 0.1 s")
    assert "[bakeoff] what it started could not be killed within 0.1 s\n" in spec.log.read_text()


def test_a_stuck_worker_is_told(workspace, monkeypatch):
    monkeypatch.setattr(module.Child, "kill", lambda *_: False)
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        gone = session.abandon("it is of no use")
        assert gone.reason.endswith("it is of no use; it could not be killed within 2 s")
        monkeypatch.undo()


def test_closing_twice_does_nothing(workspace):
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        close(session)
        assert close(session) == []
        assert session.is_gone


def test_leaving_the_block_kills_a_busy_worker(workspace):
    with Session(spec_of(workspace, "slow", {"seconds": 60})) as session:
        load(session)
        send(session, "a")
        session.poll(0.2)
        pid = session._child._process.pid
    assert wait_until_gone(pid, 0)


@pytest.mark.slow
def test_a_worker_that_closes_its_output_and_lives_on_is_ended(workspace):
    started = '{"type":"started","ids":["ID"]}'
    with Session(garbage(workspace, answers=[started], close_stdout=True)) as session:
        load(session)
        send(session, "a")
        (gone,) = receive(session)
        assert session._child.wait(0) is not None
    assert gone.reason.startswith("it closed its output and would not end")
    assert gone.suspects == ("a",)


def test_a_worker_that_ended_is_noticed_though_a_grandchild_holds_its_pipes(workspace):
    with Session(spec_of(workspace, "grandchild")) as session:
        load(session)
        send(session, "a", "b")
        answer, gone = receive(session, 2)
    assert isinstance(answer, Response)
    assert gone.reason == "it exited with status 5"
    assert gone.waiting == ("b",)
    assert wait_until_gone(int(answer.text), 3)


def members_of_group(leader):
    """Return the processes of a group that live, which those that nobody has reaped do not."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return [int(pid) for pid, group, state in rows if int(group) == leader and not state.startswith("Z")]


def wait_until_group_is_empty(leader, timeout_s):
    deadline = time.monotonic() + timeout_s
    while members_of_group(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not members_of_group(leader)


ORPHANING = """
import sys, time
from tests.workers import load, send, spec_of
from orchestrator.config import open_workspace
from orchestrator.session import Session
from pathlib import Path
params = {"seconds": 60, "hold_lock": sys.argv[2] == "1", "child": True}
spec = spec_of(open_workspace(Path(sys.argv[1])), "slow", params)
with Session(spec) as session:
    load(session)
    send(session, "a")
    while not session._flights.deadlines["a"]:
        session.poll(0.1)
    print(session._child._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("hold_lock", ["0", "1"])
def test_neither_worker_nor_grandchild_outlives_a_parent_that_is_killed(workspace, hold_lock):
    if hold_lock == "1" and sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death")
    argv = [sys.executable, "-c", ORPHANING, str(workspace.root), hold_lock]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert len(members_of_group(pid)) == 3  # the worker, what guards its group, the grandchild
        parent.kill()
    assert wait_until_group_is_empty(pid, 3)


def test_nothing_of_a_worker_is_left_when_it_was_shut_down(workspace):
    with Session(spec_of(workspace, "slow", {"seconds": 0, "child": True})) as session:
        load(session)
        assert ask(session, "a")["a"].text == "a"
        assert close(session) == [Gone("it was shut down", "closed")]
        assert session._child.wait(0) == 0
    assert wait_until_group_is_empty(session._child._process.pid, 1)


@pytest.mark.parametrize(("leads", "status"), [(True, -signal.SIGKILL), (False, 3)])
def test_a_worker_whose_input_ends_without_shutdown_kills_its_group_if_it_leads_one(workspace, leads, status):
    spec = spec_of(workspace, "slow")
    hello = {"type": "hello", "protocol": 1, "nonce": "n", "parent_pid": 1, "spill_folder": "."}
    lines = [hello, {"type": "load", "params": {"child": leads}}]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(spec.argv, **pipes, start_new_session=leads) as worker:
        worker.stdin.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        worker.stdin.flush()
        assert [json.loads(worker.stdout.readline())["type"] for _ in range(2)] == ["hello", "loaded"]
        worker.stdin.close()
        assert worker.wait(3) == status
    assert wait_until_group_is_empty(worker.pid, 3)


def test_what_a_launcher_prints_before_it_becomes_the_worker_is_noise(workspace):
    launcher = workspace.root / "launcher.sh"
    launcher.write_text('#!/bin/sh\necho "launcher: 1 node allocated"\nexec "$@"\n')
    launcher.chmod(0o755)
    (workspace.root / "bakeoff.toml").write_text(f'[settings]\nlauncher = ["{launcher}"]\nload_timeout_s = 50.0\n')
    spec = spec_of(open_workspace(workspace.root), "echo")
    assert spec.argv[0] == str(launcher)
    assert spec.hello_timeout_s == 50
    with Session(spec) as session:
        load(session)
        assert ask(session, "a")["a"].text == "a"
        assert close(session) == [Gone("it was shut down", "closed")]
    assert spec.log.read_text().endswith("launcher: 1 node allocated\n")


def test_the_log_stops_at_its_cap_and_still_knows_the_last_words(workspace, monkeypatch):
    monkeypatch.setattr(stderr_log, "CAP_BYTES", 2000)
    spec = spec_of(workspace, "noisy")
    for _ in range(2):
        with Session(spec) as session:
            load(session)
            ask(session, *"abcdefgh")
            close(session)
            assert session._log.last_line() == "sys.__stdout__ thread"
    assert spec.log.stat().st_size < 2100
    assert spec.log.read_text().endswith("\n[the log is full; the rest was dropped]\n")


def test_a_worker_sees_the_allowed_variables_and_those_its_manifest_names(workspace, monkeypatch):
    monkeypatch.setenv("NAMED_TOKEN", "1")
    monkeypatch.setenv("OTHER_TOKEN", "1")
    with Session(spec_of(workspace, "tells_env")) as session:
        load(session)
        answer = ask(session, "a")["a"]
    seen = answer.text.split()
    assert "NAMED_TOKEN" in seen
    assert "PATH" in seen
    assert "OTHER_TOKEN" not in seen
    assert answer.info["path"] == str(workspace.root), "a runner that writes beside itself would change its own code"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_runner_may_be_a_node_program(workspace):
    with Session(spec_of(workspace, "node")) as session:
        load(session)
        answers = ask(session, "straße", "\u2028 \U0001f600")
        assert answers["straße"].text == "STRASSE"
        assert answers["\u2028 \U0001f600"].text == "\u2028 \U0001f600"
        assert [event.cause for event in close(session)] == ["closed"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "it exited with status 0"), (-11, "SIGSEGV"), (-9, "memory"), (137, "memory"), (None, "would not end")],
)
def test_the_end_of_a_process_is_told_in_words(status, words):
    assert words in describe_exit(status)


def test_a_full_disk_does_not_end_a_session(workspace):
    spec = spec_of(workspace, "noisy")
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    spec.log.symlink_to("/dev/full")
    with Session(spec) as session:
        load(session)
        assert ask(session, "a")["a"].text == "a"
