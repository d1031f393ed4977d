"""The runner `openai` keeps to the limits of its account: what the endpoint says of one request holds for all."""

import os
import subprocess
import sys

import pytest

from tests.endpoints import ask_all, make_repository, said_to, worker
from tests.servers.chat import chat_server
from tests.test_engines import ROOT
from tests.workers import load

pytestmark = pytest.mark.slow  # for the package registry; the tests themselves take seconds
QUESTIONS = [f"question {n}" for n in range(60)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("workspace"))


def converse(repository, server, prompts, **params):
    """Ask `prompts` all at once of a worker of its own; return the answers and the requests that came."""
    with worker(repository, server.url, **params) as session:
        load(session)
        return ask_all(session, prompts), server.requests()


def test_a_429_pauses_all_others_for_as_long_as_it_says(repository):
    with chat_server(latency_ms=50) as server:
        answers, requests = converse(repository, server, ["fault=429-ms:600", *QUESTIONS], concurrency_max=4)
        refused, again = (request["time"] + 0.05 for request in said_to(server, "fault=429-ms:600"))
    assert {answer.info["attempts"] for answer in answers} == {1, 2}
    gone = [request["time"] - refused for request in requests]
    assert max(at for at in gone if at < 0.1) < 0.03
    assert 0.6 <= min(at for at in gone if at > 0.1) < 0.6 * 1.15 + 0.2
    assert again - refused > 0.6


@pytest.mark.parametrize(
    ("fault", "most", "above"), [("529", 16, 10), ("503", 20, 16), ("close", 20, 16), ("429-ms:100", 16, 5)]
)
def test_an_overloaded_endpoint_has_fewer_at_a_time_and_one_with_other_trouble_has_not(repository, fault, most, above):
    """After a 429 requests are spaced, too; a busy machine has a few less under way than it may."""
    with chat_server(latency_ms=50) as server:
        _, requests = converse(repository, server, [f"fault={fault}", *QUESTIONS * 2], concurrency_max=20)
    (first,) = [request["time"] for request in requests if request["fault"]]
    later = [request["under_way"] + 1 for request in requests if request["time"] > first + 0.2]
    assert above < max(later) <= most


def test_there_is_no_growth_while_the_endpoint_has_trouble(repository):
    prompts = [f"fault=503 {n}" if n % 10 == 9 else f"question {n}" for n in range(200)]
    with chat_server(latency_ms=50) as server:
        _, requests = converse(repository, server, prompts)
    assert max(request["under_way"] + 1 for request in requests[:180]) <= 20


def test_a_request_that_is_tried_again_keeps_its_place(repository):
    with chat_server(latency_ms=50) as server:
        answers, requests = converse(repository, server, ["fault=503*2", *QUESTIONS], concurrency_max=1)
    places = [n for n, request in enumerate(requests) if "fault=503*2" in str(request["body"])]
    assert answers[0].info["attempts"] == 3
    assert places[-1] <= 8


def test_waiting_for_a_turn_is_not_counted_against_a_request(repository):
    with chat_server() as server:
        answers, _ = converse(repository, server, ["fault=503*2", "other"], rpm=60, timeouts={"item": 0.5})
    assert answers[0].text == "fault=503*2"


def test_requests_are_as_far_apart_as_their_tokens_a_minute_ask(repository):
    words = ["word " * 500 + str(n) for n in range(6)]
    with chat_server(tpm=60_000, latency_ms=10) as server:
        _, requests = converse(repository, server, words, tpm=60_000, max_new_tokens=375)
    times = [request["time"] for request in requests]
    assert len(times) == 6
    assert times[-1] - times[0] > 4  # 1,000 tokens each, of 1,000 a second


def test_what_a_request_really_took_is_waited_for(repository):
    with chat_server(answer="word " * 500) as server:
        params = {"tpm": 60_000, "max_new_tokens": 1, "concurrency_max": 1}
        _, requests = converse(repository, server, QUESTIONS[:6], **params)
    times = [request["time"] for request in requests]
    assert times[-1] - times[0] > 2  # 500 tokens each, though two were thought of


@pytest.mark.parametrize("rpm", [6000, 0])
def test_two_models_in_two_runs_use_the_limit_of_their_key_and_respect_its_pauses(repository, tmp_path, rpm):
    """600 a minute of 6 seconds, over more than two of them."""
    table = 'runner = "openai"\nbase_url = "{url}"\nmodel = "{name}"\napi_key_env = "SHARED_KEY"\nrpm = {rpm}\n'
    rows = "".join(f"question {n},x\n" for n in range(750))
    (repository.root / "datasets" / "many.csv").write_text("question,answer\n" + rows)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "SHARED_KEY": "of-two-models"}
    environment.pop("XDG_RUNTIME_DIR", None)
    with chat_server(rpm=600, minute_s=6, latency_ms=50, retry_form="ms") as server:
        models = [f"[models.m{n}]\n{table.format(url=server.url, name=n, rpm=rpm)}" for n in (1, 2)]
        (repository.root / "bakeoff.toml").write_text("".join(models))
        runs = []
        for name in ("m1", "m2"):
            argv = [sys.executable, "-m", "orchestrator", "run", "--model", name, "--dataset", "many"]
            argv += ["--run", f"{name}-{rpm}"]
            runs.append(subprocess.Popen(argv, cwd=repository.root, env=environment, stderr=subprocess.PIPE, text=True))
        told = [run.communicate()[1] for run in runs]
        (quota,) = server.state()["quotas"].values()
    print({name: round(value, 3) for name, value in quota.items()}, *told)
    assert [run.returncode for run in runs] == [0, 0], told
    assert quota["admitted"] == 1500
    assert quota["during_pause"] == 0
    assert quota["steady_share"] >= 0.8
    assert quota["limited"] <= (6 if rpm else 400), "but for the first moments, in which two begin at once"
