"""The worker answers in three forms, keeps its wire clean, and survives what runners do."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator import worker
from orchestrator.protocol import Failure, Response
from orchestrator.session import Session
from tests.workers import ask, close, load, receive, send, spec_of, wait_until_gone

WORKER = Path(__file__).parent.parent / "orchestrator" / "worker.py"


def test_a_runner_answers_its_prompts(workspace):
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        answers = ask(session, "a", "b")
        assert [answers["a"].text, answers["b"].text] == ["a", "b"]
        assert answers["a"].batch_size == 1
        assert answers["a"].stop_reason == "unknown"
        assert 0 < answers["a"].latency_s < 1
        assert [event.cause for event in close(session)] == ["closed"]


def test_ten_kinds_of_noise_reach_the_log_and_never_the_wire(workspace):
    spec = spec_of(workspace, "noisy")
    with Session(spec) as session:
        load(session)
        prompts = [str(number) for number in range(20)]
        assert {i: a.text for i, a in ask(session, *prompts).items()} == {p: p for p in prompts}
        assert [event.cause for event in close(session)] == ["closed"]
    log = spec.log.read_text()
    for when, times in (("import", 1), ("load", 1), ("generate", 20), ("thread", 20)):
        for kind in ("print", "sys.stdout", "descriptor1", "descriptor2", "puts", "child", "fork"):
            assert log.count(f"{kind} {when}") == times, (kind, when)
        assert log.count(f"logging {when}") == times
        assert log.count(f"sys.__stdout__ {when}") == times
        assert log.count(f"UserWarning: warnings {when}") >= 1  # Python shows the same one once


def test_up_to_batch_max_waiting_requests_are_answered_together(workspace):
    with Session(spec_of(workspace, "batch")) as session:
        assert load(session).batch_max == 4
        answers = ask(session, "a", "b", "c", "d", "e", "f")
        assert {a.text for a in answers.values()} == set("ABCDEF")
        assert max(a.batch_size for a in answers.values()) == 4


def test_one_bad_item_of_a_batch_fails_alone(workspace):
    with Session(spec_of(workspace, "batch_poison")) as session:
        load(session)
        answers = ask(session, "a", "raise", "b", "c")
        assert {i for i, a in answers.items() if isinstance(a, Response)} == {"a", "b", "c"}
        assert answers["raise"].message == "ValueError: one of these is not readable"
        assert "generate_batch" in answers["raise"].traceback
        assert {answers[i].batch_size for i in "abc"} == {1}


def test_a_malformed_answer_in_a_batch_is_that_items_error(workspace):
    with Session(spec_of(workspace, "batch_poison")) as session:
        load(session)
        answers = ask(session, "a", "odd", "b")
        assert answers["a"].text == "a"
        assert answers["odd"].message == (
            'TypeError: an answer is a dict with "text", a str; got a dict whose text is None'
        )


def test_an_exception_in_an_answers_place_is_the_error_of_that_request_alone(workspace, tmp_path):
    """Nothing is asked a second time: what the others were answered is kept."""
    with Session(spec_of(workspace, "batch_poison", {"oracle": str(tmp_path / "asked")})) as session:
        load(session)
        answers = ask(session, "a", "apart", "b")
    assert {i for i, a in answers.items() if isinstance(a, Response)} == {"a", "b"}
    assert answers["apart"].message == "TimeoutError: only this one is not readable"
    assert answers["apart"].kind == "transient"
    assert sorted((tmp_path / "asked").read_text().split()) == ["a", "apart", "b"]


def test_what_was_answered_before_the_device_was_lost_goes_out_first(tmp_path):
    class Lost(Exception):  # noqa: N818
        kind = "device_lost"

    answers = [Lost("gone"), {"text": "b"}, Lost("gone")]
    module = SimpleNamespace(load=dict, generate_batch=lambda state, requests: answers)
    server = worker.Server(module, {}, str(tmp_path))
    requests = [{"id": identity, "prompt": ""} for identity in "abc"]
    told = [[json.loads(line) for line in lines.splitlines()] for lines in server.answer_batch(requests)]
    assert [[message["id"] for message in lines] for lines in told] == [["b"], ["a", "c"]]
    assert {message["kind"] for message in told[1]} == {"device_lost"}


def test_a_wrong_number_of_answers_is_an_error_of_the_runner(workspace):
    with Session(spec_of(workspace, "batch_poison")) as session:
        load(session)
        answers = ask(session, "a", "short")
        assert answers["a"].text == "a"
        assert answers["short"].message == (
            "TypeError: generate_batch must return a list of 1 answers, got a list of 0"
        )


def test_an_asynchronous_runner_has_up_to_concurrency_requests_at_once(workspace):
    with Session(spec_of(workspace, "asynchronous")) as session:
        assert load(session).concurrency == 8
        prompts = [str(number) for number in range(40)]
        answers = ask(session, *prompts, "raise")
        assert {i for i, a in answers.items() if isinstance(a, Response)} == set(prompts)
        assert max(answers[p].info["most"] for p in prompts) == 8
        assert answers["raise"].kind == "transient"
        assert [event.cause for event in close(session)] == ["closed"]


def test_a_runner_may_use_a_pool_of_spawned_processes(workspace):
    spec = spec_of(workspace, "spawns")
    with Session(spec) as session:
        load(session)
        assert ask(session, "a")["a"].text == "A"
        close(session)
    assert "in the pool" in spec.log.read_text()


def test_a_forked_child_that_does_not_leave_answers_nothing(workspace):
    with Session(spec_of(workspace, "forks")) as session:
        load(session)
        assert [ask(session, prompt)[prompt].text for prompt in ("a", "b")] == ["a 1", "b 1"]


NESTED_FORK = """
import os

def load(params):
    pass

def generate(state, request):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        os._exit(0)
    os.wait()
    return {"text": "x"}
"""


def test_a_child_of_a_forked_child_leaves_without_a_word(workspace):
    (workspace.root / "runners" / "echo" / "runner.py").write_text(NESTED_FORK)
    spec = spec_of(workspace, "echo")
    with Session(spec) as session:
        load(session)
        assert ask(session, "a")["a"].text == "x"
        close(session)
    assert "Exception ignored" not in spec.log.read_text()


def test_half_surrogates_and_odd_line_ends_cross_the_wire(workspace):
    with Session(spec_of(workspace, "surrogates")) as session:
        load(session)
        answer = ask(session, "a")["a"]
        assert answer.text == "a\ufffd|\u2028|\u0085|\x0b|\x00|\u202e|\n|\r\n|\x1b[31m"
        assert answer.info == {"half": "\ufffd"}


def test_numbers_that_are_no_json_become_null_and_foreign_types_plain_ones(workspace):
    with Session(spec_of(workspace, "nan_info")) as session:
        load(session)
        answers = ask(session, "nan", "foreign", "12")
        assert answers["nan"].info == {"score": None, "least": None}
        assert answers["foreign"].info == {"scalar": 7, "path": "a", "set": [1], "tuple": [1, 2]}
        assert answers["12"].input_tokens == 12


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("list", 'TypeError: "info" of an answer is a dict, got a list of 2'),
        ("circular", "ValueError: Circular reference detected"),
        ("-1", 'ValueError: "input_tokens" of an answer is a count, got -1'),
        (str(10**30), f'ValueError: "input_tokens" of an answer is a count, got {10**30}'),
    ],
)
def test_an_answer_that_cannot_be_kept_is_an_error_and_the_worker_lives(workspace, prompt, message):
    with Session(spec_of(workspace, "nan_info")) as session:
        load(session)
        answers = ask(session, prompt, "1")
        assert isinstance(answers[prompt], Failure)
        assert (answers[prompt].kind, answers[prompt].message) == ("bug", message)
        assert answers["1"].input_tokens == 1


def test_a_runner_that_changes_the_params_of_a_request_changes_no_other(workspace):
    with Session(spec_of(workspace, "nan_info", {"given": 1})) as session:
        load(session)
        for own in ({}, {}, {"own": 2}, {}):
            session.send({"type": "request", "id": "1", "prompt": "params", "params": own})
            assert receive(session)[0].info == {"given": 1, **own}


def test_a_text_too_long_for_a_line_lies_in_a_file_of_its_own(workspace):
    spec = spec_of(workspace, "big_text")
    with Session(spec) as session:
        load(session)
        answers = ask(session, "a", "b")
        assert [answers[i].text for i in "ab"] == ["", ""]
        files = {path.name for path in spec.spill.iterdir()}
        assert files == {f"{i}-{answers[i].text_sha256}.txt" for i in "ab"}
        assert all(path.read_text() == "ж" * 2_500_000 for path in spec.spill.iterdir())


def test_sys_exit_is_an_error_of_the_request(workspace):
    with Session(spec_of(workspace, "crashing")) as session:
        load(session)
        answers = ask(session, "sysexit", "b")
        assert answers["sysexit"].message == "SystemExit"
        assert answers["b"].text == "b"


ODD_ERRORS = """
class WordlessError(Exception):
    def __str__(self):
        raise RuntimeError("no words")

class KindlessError(Exception):
    @property
    def kind(self):
        raise SystemExit

ERRORS = {"wordless": WordlessError, "kindless": KindlessError}

def load(params):
    if params.get("fail"):
        raise WordlessError

def generate(state, request):
    raise ERRORS[request["prompt"]]
"""


def test_an_error_that_fails_to_tell_itself_is_still_an_answer(workspace):
    (workspace.root / "runners" / "echo" / "runner.py").write_text(ODD_ERRORS)
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        answers = ask(session, "wordless", "kindless")
    assert answers["wordless"].message.startswith("WordlessError, which raised an error itself")
    assert answers["kindless"].message.startswith("KindlessError, which raised an error itself")
    assert {answer.kind for answer in answers.values()} == {"bug"}
    assert "in generate" in answers["wordless"].traceback
    with Session(spec_of(workspace, "echo", {"fail": True})) as session:
        (gone,) = receive(session)
    assert (gone.cause, gone.error.kind) == ("load_failed", "bug")


@pytest.mark.parametrize("length", [worker.MESSAGE_CHARS, worker.MESSAGE_CHARS + 1, 100_000])
def test_what_an_error_says_is_cut_and_says_so(length):
    text = "x" * (length - len("ValueError: "))
    message = json.loads(worker.error_line("a", ValueError(text)))["message"]
    assert len(message) == worker.MESSAGE_CHARS
    assert message.endswith("…") == (length > worker.MESSAGE_CHARS)


@pytest.mark.parametrize("width", [1, 7, 79, worker.TRACEBACK_CHARS - 1, worker.TRACEBACK_CHARS])
def test_a_long_traceback_has_whole_lines_alone(width):
    text = "".join(f"\n{'y' * width}" for _ in range(40_000 // width))
    told = json.loads(worker.error_line("a", ValueError(text)))["traceback"]
    assert set(told.split("\n")) <= {"y" * width, ""}
    assert worker.TRACEBACK_CHARS - width - 1 <= len(told) <= worker.TRACEBACK_CHARS


def test_a_request_taken_back_in_time_is_answered_at_once_and_not_begun(workspace, tmp_path):
    oracle = tmp_path / "oracle"
    with Session(spec_of(workspace, "slow", {"seconds": 0.3, "only": "first", "oracle": str(oracle)})) as session:
        load(session)
        send(session, "first", "second", "third")
        session.cancel("second")
        second, first, third = receive(session, 3)
        assert (second.id, second.kind, second.message) == ("second", "transient", "cancelled")
        assert [first.id, third.id] == ["first", "third"]
    assert oracle.read_text().split() == ["first", "third"]


PATIENT = """
import asyncio

def load(params):
    return None

async def generate(state, request):
    if request["prompt"].startswith("busy"):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if request["prompt"] == "busy and stubborn":
                return {"text": "all the same"}
            if request["prompt"] == "busy and angry":
                raise RuntimeError("never cancel me") from None
            raise
    return {"text": request["prompt"]}
"""


def test_an_asynchronous_runner_is_stopped_in_the_middle_of_a_request_taken_back(workspace):
    (workspace.root / "runners" / "asynchronous" / "runner.py").write_text(PATIENT)
    busy = ["busy", "busy and angry", "busy and stubborn", *(f"busy {number}" for number in range(5))]
    with Session(spec_of(workspace, "asynchronous")) as session:
        load(session)
        send(session, *busy, "a")  # eight fill every slot
        while None in [session._flights.deadlines[identity] for identity in busy]:
            assert session.poll(0.1) == []
        for identity in busy:
            session.cancel(identity)
        answers = {event.id: event for event in receive(session, 9)}
        assert answers.pop("a").text == "a"
        assert answers.pop("busy and stubborn").text == "all the same"
        assert {(a.kind, a.message) for a in answers.values()} == {("transient", "cancelled")}
        assert len(answers) == 7
        assert [event.cause for event in close(session)] == ["closed"]


def test_a_request_taken_back_before_its_first_step_has_one_answer(workspace):
    with Session(spec_of(workspace, "asynchronous")) as session:
        load(session)
        prompts = [str(number) for number in range(200)]
        for prompt in prompts:
            send(session, prompt)
            session.cancel(prompt)
        answers = [event.id for event in receive(session, 200)]
        assert sorted(answers) == sorted(prompts)
        assert session.poll(0.2) == []
        assert ask(session, "a")["a"].text == "a"


def test_cancels_that_come_too_late_are_not_remembered(workspace):
    (workspace.root / "runners" / "echo" / "runner.py").write_text(COUNTING)
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        before = int(ask(session, "a")["a"].text)
        for number in range(20_000):
            session.cancel(f"{number}" * 20)
        assert int(ask(session, "b")["b"].text) < before + 1000


COUNTING = """
import sys

def load(params):
    return None

def generate(state, request):
    return {"text": str(sys.getallocatedblocks())}
"""


def test_shutdown_lets_an_asynchronous_runner_finish_what_it_began(workspace):
    with Session(spec_of(workspace, "asynchronous")) as session:
        load(session)
        send(session, *(str(number) for number in range(40)))
        while not any(session._flights.deadlines.values()):
            assert session.poll(0.1) == []
        begun = {identity for identity, deadline in session._flights.deadlines.items() if deadline is not None}
        *answers, gone = close(session)
    assert begun <= {answer.id for answer in answers}
    assert (gone.cause, bool(gone.waiting)) == ("closed", True)


@pytest.mark.slow
def test_an_idle_asynchronous_runner_hears_of_each_request(workspace):
    with Session(spec_of(workspace, "asynchronous")) as session:
        load(session)
        for prompt in map(str, range(50)):
            assert ask(session, prompt)[prompt].text == prompt


def test_a_limit_holds_for_the_batches_after_it_and_can_be_lifted(workspace):
    with Session(spec_of(workspace, "batch")) as session:
        load(session)
        sizes = []
        for limit in (2, 1, 100):
            session.limit(limit)
            answers = ask(session, *(f"{limit} {number}" for number in range(9)))
            sizes.append(max(answer.batch_size for answer in answers.values()))
        assert sizes == [2, 1, 4]


def test_shutdown_drops_what_was_not_begun(workspace):
    with Session(spec_of(workspace, "slow", {"seconds": 0.3})) as session:
        load(session)
        send(session, *"abcdefgh")
        assert [event.id for event in receive(session)] == ["a"]  # it comes with the news that b is begun
        answer, gone = close(session)
        assert answer.id == "b"
        assert (gone.cause, gone.suspects, gone.waiting) == ("closed", (), tuple("cdefgh"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "TypeError: runner.py has no load(params)"),
        ("def load(p): ...", "exactly one of generate and generate_batch, it has neither"),
        (
            "def load(p): ...\ndef generate(s, r): ...\ndef generate_batch(s, r): ...",
            "exactly one of generate and generate_batch, it has generate and generate_batch",
        ),
        ("def load(p): ...\nasync def generate_batch(s, r): ...", "generate_batch must not be async"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'; put the package that brings it into"),
        ("def load(p) ...", "SyntaxError: "),
    ],
)
def test_a_runner_that_breaks_the_contract_is_told_so(workspace, code, message):
    (workspace.root / "runners" / "echo" / "runner.py").write_text(code)
    with Session(spec_of(workspace, "echo")) as session:
        (gone,) = receive(session)
        assert gone.cause == "load_failed"
        assert message in gone.reason


WAITING = """
import os

def load(params):
    return None

def generate(state, request):
    if os.fork() == 0:
        os._exit(7)
    status = os.wait()[1]
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        return {"text": f"{status >> 8} and no other"}
"""


def test_a_runner_that_waits_for_its_children_finds_none_of_ours(workspace):
    (workspace.root / "runners" / "echo" / "runner.py").write_text(WAITING)
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        assert ask(session, "a")["a"].text == "7 and no other"


DAEMONISING = """
import os, time

def load(params):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
            time.sleep(60)
        os._exit(0)
    os.wait()
    return os.read(read, 20).decode()

def generate(state, request):
    return {"text": state}
"""


# As before Linux 5.3 and before Python 3.9.
WITHOUT_PIDFD = """
import os, runpy, sys
del os.pidfd_open, sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of other processes")
@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_worker_that_is_killed_takes_with_it_what_left_its_group(workspace, has_pidfd):
    (workspace.root / "runners" / "echo" / "runner.py").write_text(DAEMONISING)
    spec = spec_of(workspace, "echo")
    if not has_pidfd:
        spec = replace(spec, argv=(sys.executable, "-c", WITHOUT_PIDFD, *spec.argv[-2:]))
    with Session(spec) as session:
        load(session)
        daemon = int(ask(session, "a")["a"].text)
        assert os.getsid(daemon) != session._child._process.pid
        session._child._process.send_signal(signal.SIGKILL)
        assert wait_until_gone(daemon, 3)  # without us, who are not told yet
        (gone,) = receive(session)
        assert gone.cause == "crashed"


def find_python(version):
    """Return an interpreter that runs, on the path or among pyenv's; None where there is none."""
    installed = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for path in (*installed, shutil.which(f"python{version}")):
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_the_worker_runs_on_old_and_new_pythons(workspace, version, tmp_path):
    python = find_python(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    messages = [
        {"type": "hello", "protocol": 1, "nonce": "n", "parent_pid": 1, "spill_folder": str(tmp_path)},
        {"type": "load", "params": {}},
        {"type": "shutdown"},
    ]
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    for name in ("echo", "batch", "asynchronous"):
        argv = [python, "-I", "-u", "-X", "utf8", str(WORKER), str(workspace.root / "runners" / name)]
        done = subprocess.run(argv, input=lines, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        said = [json.loads(line)["type"] for line in done.stdout.splitlines()]
        assert said == ["hello", "loaded", "bye"]


def test_a_worker_that_hears_nothing_leaves(workspace):
    argv = [sys.executable, "-I", str(WORKER), str(workspace.root / "runners" / "echo")]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0
