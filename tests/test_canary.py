"""A key that a model leaks in every way is in no file of its run, nor in anything that is told of it."""

import base64
import hashlib
import json
from collections import Counter
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from orchestrator import api, console
from orchestrator.config import open_workspace
from orchestrator.results.plan import read_plan
from orchestrator.running import worker_spec
from tests.servers.chat import chat_server
from tests.test_redaction import traces
from tests.workers import write_words

KEY = 'sk-c4n"7/+= &\\Zq%4mK9'
MARK = "[redacted:CANARY_API_KEY]"
MORE = """
import subprocess


def dump():
    print("printed environment", dict(os.environ), flush=True)
    print("as JSON", json.dumps(dict(os.environ)), file=sys.stderr, flush=True)
    subprocess.run(["env"])
    subprocess.run("env >&2", shell=True)


def chained():
    try:
        raising()
    except ValueError as error:
        headers = {"Authorization": f"Bearer {KEY}", "X-Coded": base64.b64encode(KEY.encode())}
        raise RuntimeError(f"401 for {headers} at https://host/?key={quote(KEY, safe='')}") from error


WAYS |= {"dump": dump, "chained": chained}
"""
SAID = ("dump", "print", "write", "puts", "logging", "environ", "crash")
RAISED = ("raise", "chained")
ANSWERED = ("text", "base64", "basic", "bearer", "urlsafe", "quoted", "form", "json", "twice", "repr", "spilled")
SERVED = ("hello", *(f"fault=echo{fault}" for fault in ("-text", ":500*2", ":400", ":422", ":413")))


@pytest.fixture(params=["environment", pytest.param(".env", marks=pytest.mark.slow)])
def keyed(request, workspace, monkeypatch):
    """Return a workspace whose workers get the key, from our environment or from the workspace's `.env`."""
    if request.param == ".env":
        quoted = KEY.replace("\\", "\\\\")
        (workspace.root / ".env").write_text(f"CANARY_API_KEY='{quoted}'\n")
    else:
        monkeypatch.setenv("CANARY_API_KEY", KEY)
    runner = workspace.root / "runners" / "leaky" / "runner.py"
    runner.write_text(runner.read_text().replace("\n\ndef load(", f"\n{MORE}\n\ndef load("))
    write_words(workspace.root, (*SAID, *RAISED, *ANSWERED))
    return workspace


def tell_everything(workspace, models, name="first"):
    """Run, score and report, and show all that there is to show of it; return the run's folder."""
    outcome = api.run(
        models=models, dataset="words", name=name, workspace=workspace, notify=lambda event: print(event, flush=True)
    )
    print(outcome)
    print(api.score(outcome.folder, notify=print))
    for table in api.report(outcome.folder, worst=50):
        console.print_table(table)
    print(api.show_run(outcome.folder, samples_max=None, workspace=workspace))
    print(api.verify_run(outcome.folder, workspace))
    return outcome.folder


def list_leaks(data):
    return [trace for trace in traces(KEY) if trace in data]


def read_all(folder):
    """Return the bytes of every file; of Parquet, which compresses them, its texts as well."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {p: p.read_bytes() + (read_texts(p) if p.suffix == ".parquet" else b"") for p in paths}


def read_texts(path):
    table = pq.read_table(path)
    return "\n".join([str(table.schema), *walk(table.to_pylist())]).encode()


def walk(value):
    """Yield every text in a list of rows."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from walk(inner)


def test_what_a_runner_leaks_is_in_no_file_and_in_nothing_told(keyed, capfd):
    folder = tell_everything(keyed, ["leaky"])
    told, files = capfd.readouterr(), read_all(keyed.results)
    assert {str(path): leaks for path, data in files.items() if (leaks := list_leaks(data))} == {}
    assert [list_leaks(stream.encode()) for stream in told] == [[], []]
    assert told.out.count(MARK) > len(ANSWERED)
    log = files[folder / "logs" / "leaky.log"].decode()
    assert f"\nCANARY_API_KEY={MARK}\n" in log
    assert f'"CANARY_API_KEY": "{MARK}"' in log
    assert f"ValueError: no such key: {MARK}\n" in log
    rows = pq.read_table(folder / "predictions" / "leaky.parquet").to_pylist()
    assert Counter(row["status"] for row in rows) == {"ok": 17, "error": 2, "quarantined": 1}
    assert sum(MARK in (row["text"] or "") for row in rows) == len(ANSWERED)
    assert sum(MARK in (row["error_message"] or "") for row in rows) == len(RAISED)
    assert sum(MARK in (row["info"] or "") for row in rows) >= len(ANSWERED) - 1


@pytest.mark.slow
def test_without_the_redactor_the_same_search_finds_the_key_everywhere(keyed, capfd, monkeypatch):
    """Shows that the test above can fail."""
    monkeypatch.setattr(worker_spec, "_find_secrets", lambda *_: {})
    folder = tell_everything(keyed, ["leaky"])
    told, files = capfd.readouterr(), read_all(keyed.results)
    leaky = {str(path.relative_to(folder)) for path, data in files.items() if list_leaks(data)}
    assert leaky == {"logs/leaky.log", "predictions/leaky.parquet"}
    assert list_leaks(told.out.encode())
    texts = read_texts(folder / "predictions" / "leaky.parquet")
    coded = [base64.b64encode(KEY.encode())[:-2], quote(KEY, safe="").encode(), json.dumps(KEY)[1:-1].encode()]
    assert [form for form in (KEY.encode(), *coded) if form not in texts] == []


@pytest.mark.slow
def test_what_an_endpoint_echoes_of_the_headers_is_in_no_file_and_in_nothing_told(keyed, capfd, tmp_path, monkeypatch):
    (memory := tmp_path / "memory").mkdir()
    monkeypatch.setenv("TMPDIR", str(memory))  # where the runner keeps what it knows of an account
    with chat_server() as server:
        folder = tell_everything(with_endpoint(keyed, server.url, *SERVED), ["api"])
        refused = tell_everything(with_endpoint(keyed, server.url, "fault=echo:401"), ["api"], "second")
        came = {request["authorization"] for request in server.requests()}
    assert came == {hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest()}
    told, files = capfd.readouterr(), read_all(keyed.results) | read_all(memory)
    assert any(path.is_relative_to(memory) for path in files)
    assert {str(path): leaks for path, data in files.items() if (leaks := list_leaks(data))} == {}
    assert [list_leaks(stream.encode()) for stream in told] == [[], []]
    rows, none = (pq.read_table(run / "predictions" / "api.parquet").to_pylist() for run in (folder, refused))
    answers = {row["text"] for row in rows if row["status"] == "ok"}
    assert answers == {"hello", "fault=echo:500*2", f"you sent Bearer {MARK}"}
    errors = [row["error_message"] for row in rows if row["error_message"]]
    errors += read_plan(refused).failures.values()
    assert (len(errors), none) == (4, []), told.out
    assert all("Incorrect API key provided: Bearer [" in error for error in errors)


@pytest.mark.slow
def test_without_the_redactor_the_same_search_finds_the_key_in_an_answer_that_echoes_it(keyed, capfd, monkeypatch):
    monkeypatch.setattr(worker_spec, "_find_secrets", lambda *_: {})
    with chat_server() as server:
        folder = tell_everything(with_endpoint(keyed, server.url, *SERVED), ["api"])
    assert list_leaks(read_texts(folder / "predictions" / "api.parquet"))
    assert list_leaks(capfd.readouterr().out.encode())


def with_endpoint(workspace, url, *questions):
    """Give the workspace a model `api` of the runner `openai` at `url`, and the dataset `questions`."""
    write_words(workspace.root, questions)
    table = f'base_url = "{url}"\nmodel = "m"\napi_key_env = "CANARY_API_KEY"\nbackoff_s = 0.01\n'
    (workspace.root / "bakeoff.toml").write_text(f'[models.api]\nrunner = "openai"\n{table}')
    return open_workspace(workspace.root)
