"""What is asked again, when, and in whose company; and what it takes to give a request or a model up."""

from collections import Counter

import pytest

from orchestrator import api
from orchestrator.config import open_workspace
from orchestrator.results.view import read_predictions
from orchestrator.running import supervise
from orchestrator.running.events import Note
from orchestrator.running.work import ENDS_MAX
from tests.faults.harness import read_final, read_oracle, read_rows, running_elsewhere, set_manifest
from tests.workers import OURS, write_words

pytestmark = pytest.mark.slow  # each starts processes of its own, for seconds


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    monkeypatch.setattr(supervise, "BACKOFF_S", (0.0,))


@pytest.fixture
def chaos(workspace, tmp_path):
    """Return what asks the chaos runner a script; `manifest` are top-level keys of its manifest."""

    def ask(script, manifest=None, **options):
        write_words(workspace.root, script)
        opened = set_manifest(workspace, "chaos", **(manifest or {}))
        params = {"oracle": str(tmp_path / "oracle"), **options.pop("params", {})}
        return api.run(models=["chaos"], dataset="words", workspace=opened, params=params, **options)

    ask.oracle = tmp_path / "oracle"
    return ask


def executed(oracle):
    return Counter(execution.name for execution in read_oracle(oracle))


def rows(outcome):
    return {row["name"]: row for row in read_final(outcome.folder, "chaos")}


def statuses(outcome):
    return {name: row["status"] for name, row in rows(outcome).items()}


def test_a_batch_that_is_too_large_is_halved_and_nobody_is_blamed(chaos):
    notes = []
    script = ["w0", "w1", *(f"w{n};batchonly" for n in range(2, 10))]
    outcome = chaos(script, {"batch_max": 4}, notify=notes.append)
    assert set(statuses(outcome).values()) == {"ok"}
    told = [note.text for note in notes if isinstance(note, Note)]
    assert any("4 requests at a time ended its worker, each alone does not; going on with 2" in text for text in told)
    assert outcome.models[0].error is None
    sizes = {execution.batch_size for execution in read_oracle(chaos.oracle)}
    assert sizes == {4, 2, 1}, "two at a time were too many as well"


@pytest.mark.slow
def test_poison_side_by_side_is_found_since_the_model_shows_that_it_still_answers(chaos):
    script = [f"w{n};abort" if 5 <= n < 12 else f"w{n}" for n in range(20)]
    outcome = chaos(script)
    assert outcome.models[0].error is None
    assert Counter(statuses(outcome).values()) == {"ok": 13, "quarantined": 7}
    counts = executed(chaos.oracle)
    assert all(counts[f"w{n}"] == 2 for n in range(5, 12))


def test_a_row_tells_how_many_workers_its_request_cost(chaos):
    found = rows(chaos(["w0", "w1;abort", "w2;segv;times=1"]))
    assert [(found[n]["status"], found[n]["crashes"], found[n]["attempts"]) for n in ("w0", "w1", "w2")] == [
        ("ok", None, 1),
        ("quarantined", 2, 2),
        ("ok", 1, 2),
    ]


@pytest.mark.slow
def test_what_is_quarantined_is_asked_again_only_on_demand(chaos):
    script = ["w0", "w1;abort;times=2", "w2;raise"]
    first = chaos(script)
    assert statuses(first) == {"w0": "ok", "w1": "quarantined", "w2": "error"}
    assert statuses(chaos(script))["w1"] == "quarantined"
    again = chaos(script, retry_failed=True)
    assert statuses(again) == {"w0": "ok", "w1": "ok", "w2": "error"}
    assert executed(chaos.oracle)["w0"] <= 2, "an answer is asked again as a proof at most"


def test_a_fresh_run_asks_everything_again_and_keeps_what_was(chaos):
    chaos(["w0", "w1"])
    outcome = chaos(["w0", "w1"], fresh=True)
    assert executed(chaos.oracle) == {"w0": 2, "w1": 2}
    assert len(list((outcome.folder / "old").glob("chaos-*.parquet"))) == 1
    assert statuses(outcome) == {"w0": "ok", "w1": "ok"}


@pytest.mark.slow
def test_a_fresh_run_that_is_cut_short_goes_on_with_the_same_command(chaos):
    script = ["w0", "w1", "w2;raise", *(f"w{n}" for n in range(3, 400))]
    chaos(script)
    cut = chaos(script, fresh=True, max_failures=1).models[0]
    assert "--max-failures 1" in cut.error
    assert 0 < cut.ok < 399
    before = executed(chaos.oracle)
    again = chaos(script, fresh=True).models[0]
    assert (again.before["ok"], again.ok) == (cut.ok, 399 - cut.ok)
    assert sum(executed(chaos.oracle).values()) == sum(before.values()) + 400 - cut.ok


def test_a_fresh_run_of_one_prompt_leaves_the_other_alone(chaos, workspace):
    (workspace.root / "prompts" / "other.txt").write_text("{question};noise\n")
    chaos(["w0", "w1"], prompts=["question", "other"])
    chaos(["w0", "w1"], fresh=True, prompts=["other"])
    assert executed(chaos.oracle) == {"w0": 3, "w1": 3}


def test_a_model_is_given_up_with_as_many_failures_as_allowed(chaos):
    script = [f"w{n};raise" for n in range(400)]
    outcome = chaos(["good", *script], max_failures=3)
    (model,) = outcome.models
    assert "requests failed (--max-failures 3), the first because: ValueError: the script says so" in model.error
    assert 3 <= model.statuses["error"] < 400
    again = chaos(["good", *script], max_failures=1000)
    assert (again.models[0].answered, again.models[0].statuses["error"]) == (1, 400)


@pytest.mark.slow
def test_a_model_whose_server_is_down_is_given_up_and_asked_again_by_the_next_run(chaos):
    script = [f"w{n};offline" for n in range(400)]
    first = chaos(script).models[0]
    assert "requests in a row got no answer, the first error was: ConnectionError: the script says so" in first.error
    assert 20 <= first.statuses["error"] < 400
    again = chaos(["good", *script]).models[0]
    assert again.statuses["ok"] == 1, "which it had not come to"
    assert 100 <= again.statuses["error"] < 400, "one that answers has more credit"


@pytest.mark.slow
def test_an_answer_in_between_shows_that_the_server_is_there(chaos):
    script = [f"w{n};offline" if n % 20 else f"w{n}" for n in range(200)]
    model = chaos(script).models[0]
    assert (model.error, model.statuses) == (None, {"ok": 10, "error": 190})


@pytest.mark.slow
def test_what_kills_us_too_is_asked_alone_then_not_at_all(chaos, workspace, tmp_path):
    """A request that ends bakeoff itself has a bounded number of tries, however often the command is given."""
    write_words(workspace.root, ["w0", "w1;sleep=30", "w2"])
    opened = set_manifest(workspace, "chaos", item_timeout_s=60)
    options = {"params": {"oracle": str(chaos.oracle), "label": "chaos"}}
    for end in range(1, ENDS_MAX + 1):
        with running_elsewhere(opened, ["chaos"], tmp_path / "told", **options) as elsewhere:
            while executed(chaos.oracle)["w1"] < end:
                assert elsewhere.process.poll() is None
            wait_for_row(workspace, end)
            elsewhere.kill()
    with running_elsewhere(opened, ["chaos"], tmp_path / "told", **options) as elsewhere:
        assert elsewhere.process.wait(30) == 0
    found = {row["name"]: row for row in read_final(workspace.results / "words", "chaos")}
    assert {name: row["status"] for name, row in found.items()} == {"w0": "ok", "w1": "quarantined", "w2": "ok"}
    assert found["w1"]["error_message"] == f"bakeoff ended {ENDS_MAX} times while it was under way"
    assert executed(chaos.oracle)["w1"] == ENDS_MAX


def wait_for_row(workspace, losses):
    while not any(row["losses"] == losses for row in read_rows(workspace.results / "words", "chaos")):
        pass


def test_a_worker_that_dies_while_loading_is_started_again_but_not_for_ever(chaos):
    outcome = chaos(["w0"], params={"load": "abort"})
    assert outcome.models[0].error.startswith("its worker died 3 times in a row: it crashed with SIGABRT")


BREAKS = """
import os
from pathlib import Path


def load(params):
    with Path(params["loads"]).open("a") as file:
        file.write("x")
    return params


def generate_batch(params, requests):
    if Path(params["switch"]).exists():
        os.abort()
    return [{"text": request["prompt"]} for request in requests]
"""


@pytest.fixture
def breaks(workspace, tmp_path):
    """Return what asks a model that aborts at everything while the file `switch` is there, and notes its loads."""
    folder = workspace.root / "runners" / "breaks"
    folder.mkdir()
    (folder / "runner.py").write_text(BREAKS)
    (folder / "requirements.txt").touch()
    switch, loads = tmp_path / "switch", tmp_path / "loads"
    params = {"switch": str(switch), "loads": str(loads)}

    def ask(words, batch_max, **options):
        (folder / "runner.toml").write_text(f'python = "{OURS}"\nbatch_max = {batch_max}\n')
        write_words(workspace.root, words)
        loads.write_text("")
        opened = open_workspace(workspace.root)
        outcome = api.run(models="breaks", dataset="words", workspace=opened, params=params, **options)
        return outcome.models[0], len(loads.read_text()), outcome

    ask.switch = switch
    return ask


@pytest.mark.parametrize("batch_max", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (16, 64))])
def test_a_model_that_breaks_is_found_out_with_few_loads_and_nobody_is_struck(breaks, batch_max):
    breaks(["w0", "w1"], batch_max)
    breaks.switch.touch()
    words = [f"w{n}" for n in range(100)]
    broken, loads, outcome = breaks(words, batch_max)
    assert "it has answered before" in broken.error
    assert loads <= 8
    assert set(broken.statuses) <= {"crashed"}
    table = [row for batch in read_predictions(outcome.folder, "breaks") for row in batch.to_pylist()]
    assert {row["status"] for row in table} == {"ok", "crashed"}
    assert not any(row["crashes"] for row in table), "it was the model"
    breaks.switch.unlink()
    mended, _, _ = breaks(words, batch_max)
    assert (mended.error, mended.answered) == (None, 100)


@pytest.mark.slow
def test_two_poisonous_samples_at_the_front_do_not_fail_a_model_that_was_never_asked(chaos):
    outcome = chaos(["w0;abort", "w1;abort", *(f"w{n}" for n in range(2, 30))], {"batch_max": 4})
    assert outcome.models[0].error is None
    assert Counter(statuses(outcome).values()) == {"ok": 28, "quarantined": 2}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refused", "oom"])
def test_a_model_that_refuses_what_it_answered_before_is_alive(workspace, kind):
    code = (
        "import os\n\n\ndef load(params):\n    return {}\n\n\ndef generate(seen, request):\n"
        "    word = request['prompt'].strip()\n    if word.startswith('poison'):\n        os.abort()\n"
        f"    if word == 'w0' and os.path.exists({str(workspace.root / 'moody')!r}):\n"
        f"        error = ValueError('not now')\n        error.kind = {kind!r}\n        raise error\n"
        "    return {'text': word}\n"
    )
    folder = workspace.root / "runners" / "moody"
    folder.mkdir()
    (folder / "runner.py").write_text(code)
    (folder / "requirements.txt").touch()
    (folder / "runner.toml").write_text(f'python = "{OURS}"\n')
    write_words(workspace.root, ["w0"])
    opened = open_workspace(workspace.root)
    api.run(models="moody", dataset="words", workspace=opened)
    (workspace.root / "moody").touch()
    write_words(workspace.root, ["w0", "poison1", "poison2", "w1", "w2"])
    (model,) = api.run(models="moody", dataset="words", workspace=opened).models
    assert (model.error, model.statuses) == (None, {"quarantined": 2, "ok": 2})


SILENT = """
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    kind = message["type"]
    if kind == "hello":
        answer = {"type": "hello", "protocol": 1, "nonce": message["nonce"]}
    elif kind == "load":
        answer = {"type": "loaded"}
    elif kind == "request":
        if "poison" in message["prompt"]:
            os._exit(1)
        answer = {"type": "response", "id": message["id"], "text": message["prompt"], "latency_s": 0.0}
    else:
        break
    print(json.dumps(answer), flush=True)
"""


def test_poison_is_found_in_a_worker_that_never_says_what_it_begins(workspace):
    folder = workspace.root / "runners" / "silent"
    folder.mkdir()
    (folder / "silent.py").write_text(SILENT)
    (folder / "requirements.txt").touch()
    (folder / "runner.toml").write_text(f'python = "{OURS}"\ncommand = ["python", "silent.py"]\n')
    write_words(workspace.root, [f"w{n}" for n in range(20)] + ["poison"] + [f"v{n}" for n in range(20)])
    (model,) = api.run(models="silent", dataset="words", workspace=open_workspace(workspace.root)).models
    assert (model.error, model.statuses) == (None, {"ok": 40, "quarantined": 1})


@pytest.mark.slow
def test_where_a_fresh_run_answers_nothing_what_was_answered_before_is_put_back(breaks):
    breaks(["w0", "w1"], 1)
    breaks.switch.touch()
    notes = []
    broken, _, outcome = breaks(["w0", "w1"], 1, fresh=True, notify=notes.append)
    assert broken.error
    assert any("its 2 earlier predictions were put back" in getattr(note, "text", "") for note in notes)
    table = [row for batch in read_predictions(outcome.folder, "breaks") for row in batch.to_pylist()]
    assert [row["status"] for row in table] == ["ok", "ok"]
    assert not list((outcome.folder / "old").iterdir())
    assert not list((outcome.folder / ".fresh").iterdir())
