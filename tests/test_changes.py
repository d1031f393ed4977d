"""What changes while a run goes on, or between two: nothing is filed under the wrong name, nothing final by mistake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator import api
from orchestrator.errors import BakeoffError
from orchestrator.results.plan import read_plan
from orchestrator.running import supervise
from tests.workers import OURS, write_words

SAYS = "def load(params):\n    return params\n\ndef generate(state, request):\n    return {'text': request['prompt']}\n"


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    monkeypatch.setattr(supervise, "BACKOFF_S", (0.0,))


def make_runner(workspace, name, code, manifest=""):
    folder = workspace.root / "runners" / name
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").touch()
    (folder / "runner.toml").write_text(f'python = "{OURS}"\n{manifest}')
    (folder / "runner.py").write_text(code)
    return folder


def ask(workspace, model, dataset="words", **options):
    return api.run(models=model, dataset=dataset, workspace=workspace.root, **options)


def texts(outcome, model):
    return [row["text"] for row in pq.read_table(outcome.folder / f"predictions/{model}.parquet").to_pylist()]


def make_pages(workspace, count):
    folder = workspace.root / "datasets" / "pages"
    folder.mkdir()
    lines = ["image_path,question,answer"]
    for number in range(count):
        Image.new("L", (8 + number, 8), 255).save(folder / f"{number}.png")
        lines.append(f"{number}.png,What is on {number}?,x")
    (folder / "annotation.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.slow
def test_a_broken_device_makes_no_verdict_final_and_all_is_asked_once_it_is_mended(workspace):
    write_words(workspace.root, [f"w{n}" for n in range(12)])
    switch = workspace.root / "broken"
    code = SAYS.replace(
        "    return {", f"    import os\n    if os.path.exists({str(switch)!r}):\n        os.abort()\n    return {{"
    )
    make_runner(workspace, "flaky", code)
    write_words(workspace.root, ["w0"])
    assert ask(workspace, "flaky").models[0].ok == 1
    switch.touch()
    write_words(workspace.root, [f"w{n}" for n in range(12)])
    broken = ask(workspace, "flaky").models[0]
    assert broken.error.startswith("a request that it has answered before ends its worker now, too")
    assert broken.statuses == {"crashed": 2}, "and the model, not they, is to blame"
    switch.unlink()
    mended = ask(workspace, "flaky").models[0]
    assert (mended.error, mended.answered, mended.total) == (None, 12, 12)


def test_a_lost_device_ends_the_worker_and_a_new_one_goes_on(workspace):
    code = SAYS.replace(
        "    return {",
        "    state['n'] = state.get('n', 0) + 1\n    if state['n'] > 2:\n        e = RuntimeError('CUDA error')\n"
        "        e.kind = 'device_lost'\n        raise e\n    return {",
    )
    make_runner(workspace, "gpu", code)
    write_words(workspace.root, [f"w{n}" for n in range(7)])
    model = ask(workspace, "gpu").models[0]
    assert model.statuses == {"ok": 5, "error": 2}
    assert "CUDA error" in model.reasons["error"]


def test_code_that_is_edited_while_the_run_goes_on_is_not_filed_under_the_old(workspace):
    second = make_runner(workspace, "second", SAYS)
    edit = f"    open({str(second / 'runner.py')!r}, 'a').write('# edited')\n    return {{"
    make_runner(workspace, "first", SAYS.replace("    return {", edit))
    first, late = ask(workspace, ["first", "second"], max_parallel=1).models
    assert first.error is None
    assert "was edited while the run went on" in late.error
    assert ask(workspace, "second").models[0].ok == 3


def test_what_a_runner_writes_beside_where_it_runs_is_not_its_code(workspace):
    make_runner(
        workspace,
        "writer",
        SAYS.replace("    return params", "    open('cache.txt', 'a').write('x')\n    return params"),
    )
    ask(workspace, "writer")
    assert ask(workspace, "writer").models[0].before == {"ok": 3}


def test_prompts_of_one_file_name_in_two_folders_are_two(workspace):
    for folder in ("a", "b"):
        (workspace.root / folder).mkdir()
        (workspace.root / folder / "x.txt").write_text(f"{folder}: {{question}}")
    prompts = [str(workspace.root / folder / "x.txt") for folder in ("a", "b")]
    outcome = ask(workspace, "echo", prompts=prompts)
    assert sorted({text[:2] for text in texts(outcome, "echo")}) == ["a:", "b:"]
    assert [cell.prompt for cell in read_plan(outcome.folder).cells] == ["a/x", "b/x"]
    figures = api.score(outcome.folder).figures
    assert {f.n_scored for f in figures if f.group == "all" and f.metric == "output_length"} == {3}


@pytest.mark.parametrize("name", ["../escaped", "org/model", ".hidden", "a b"])
def test_a_model_whose_name_cannot_be_a_file_is_refused(workspace, name):
    (workspace.root / "bakeoff.toml").write_text(f'[models."{name}"]\nrunner = "echo"\n')
    with pytest.raises(BakeoffError, match="cannot name a model"):
        ask(workspace, "echo")


def test_an_image_that_changes_during_the_run_is_not_answered_under_its_old_digest(workspace):
    folder = make_pages(workspace, 3)
    change = (
        "    from pathlib import Path\n    import shutil\n    page = Path(request['images'][0])\n"
        "    if page.name == '0.png':\n        shutil.copy(page, page.with_name('400.png'))\n    return {"
    )
    make_runner(workspace, "meddler", SAYS.replace("    return {", change))
    later = time.time() + 60
    Image.new("L", (99, 9), 0).save(folder / "2.png")
    os.utime(folder / "2.png", (later, later))  # younger than the run, though the same bytes as were digested
    outcome = ask(workspace, "meddler", dataset="pages")
    assert outcome.models[0].ok == 3


@pytest.mark.slow
def test_an_image_that_is_gone_or_replaced_since_it_was_digested_is_an_error_that_is_asked_again(workspace):
    folder = make_pages(workspace, 300)
    swap = (
        f"    from pathlib import Path\n    folder = Path({str(folder)!r})\n"
        "    if request['images'][0].endswith('/0.png'):\n"
        "        (folder / '298.png').unlink()\n"
        "        (folder / '299.png').write_bytes((folder / '1.png').read_bytes())\n"
        "    return {"
    )
    make_runner(workspace, "meddler", SAYS.replace("    return {", swap))
    model = ask(workspace, "meddler", dataset="pages").models[0]
    assert model.statuses == {"ok": 298, "error": 2}
    (folder / "298.png").write_bytes((folder / "2.png").read_bytes())
    assert ask(workspace, "meddler", dataset="pages").models[0].failed <= 2


def test_a_model_that_answers_nothing_has_failed_and_says_why(workspace):
    folder = make_pages(workspace, 2)
    for page in folder.glob("*.png"):
        page.unlink()
    first, again = (ask(workspace, "echo", dataset="pages").models[0] for _ in range(2))
    assert "none of 2 requests was answered, the first because: " in first.error
    assert "there is no such image" in first.error
    assert (again.before, again.answered) == ({"bad_input": 2}, 0)
    assert again.error == "none of 2 requests was answered"


def test_a_misspelt_answer_column_is_refused_rather_than_dropped(workspace):
    (workspace.root / "datasets" / "typo.csv").write_text("question,anwser\nWhat?,x\n")
    with pytest.raises(BakeoffError, match="there is no column 'answer', but 'anwser'"):
        ask(workspace, "echo", dataset="typo")


def test_a_parameter_that_the_runner_does_not_know_is_doubted_in_a_set(workspace):
    make_runner(workspace, "choosy", SAYS, '[defaults]\nprefix = ""\n')
    write_words(workspace.root, ["a"])
    notes = []
    own = "{name: choosy, params: {prefx: a}}"
    (workspace.root / "set.yaml").write_text(f"common: {{dataset: words}}\ngrid: {{model: [{own}]}}\n")
    api.run_set(workspace.root / "set.yaml", workspace=workspace.root, notify=notes.append)
    assert any("did you mean 'prefix'?" in getattr(note, "text", "") for note in notes)


@pytest.mark.slow
def test_a_parameter_that_is_not_in_the_key_asks_nothing_again(workspace):
    make_runner(workspace, "paced", SAYS, 'not_in_key = ["rpm"]\n[defaults]\nrpm = 0\nprefix = ""\n')
    assert ask(workspace, "paced").models[0].ok == 3
    again = ask(workspace, "paced", params={"rpm": 10})
    assert (again.models[0].before, again.models[0].statuses) == ({"ok": 3}, {})
    assert len(read_plan(again.folder).cells) == 1
    assert ask(workspace, "paced", params={"prefix": "x"}).models[0].ok == 3


def test_the_snapshot_does_not_shrink_with_a_smaller_limit(workspace):
    ask(workspace, "echo")
    (workspace.root / "prompts" / "question.txt").write_text("now: {question}")
    outcome = ask(workspace, "echo", limit=1)
    assert pq.read_table(outcome.folder / "samples.parquet").num_rows == 3


STUCK = """
import sys
from orchestrator import api
outcome = api.run(models=["stuck"], dataset="words", workspace=sys.argv[1], notify=lambda e: print(e, flush=True))
print("interrupted" if outcome.interrupted else "complete", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_stops_a_build_that_waits_for_the_network(workspace, tmp_path):
    make_runner(workspace, "stuck", SAYS)
    (workspace.root / "runners" / "stuck" / "requirements.txt").write_text("nothing-of-this-name\n")
    silent = (
        "import socket, sys\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", silent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        port = server.stdout.readline().strip()
        environment = {
            **os.environ,
            "UV_DEFAULT_INDEX": f"http://127.0.0.1:{port}/simple",
            "UV_CACHE_DIR": str(tmp_path / "cache"),
        }
        argv = [sys.executable, "-c", STUCK, str(workspace.root)]
        root = Path(__file__).parent.parent
        with subprocess.Popen(argv, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert "building its environment" in process.stdout.readline()
            time.sleep(0.5)  # uv has no way to say that it waits
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            said = process.stdout.read()
            assert said.split()[-1] == "interrupted", said
        server.stdin.close()


@pytest.mark.slow
def test_a_device_that_stays_lost_is_given_up_and_no_other_request_is_blamed(workspace):
    code = SAYS.replace("def generate", "async def generate").replace(
        "    return {",
        "    import asyncio\n    await asyncio.sleep(0.01)\n    if request['prompt'] != 'w0':\n"
        "        e = RuntimeError('CUDA error')\n        e.kind = 'device_lost'\n        raise e\n    return {",
    )
    make_runner(workspace, "gpu", code, "concurrency = 2\n")
    write_words(workspace.root, ["w0"])
    assert ask(workspace, "gpu").models[0].ok == 1
    write_words(workspace.root, [f"w{n}" for n in range(60)])
    model = ask(workspace, "gpu").models[0]
    assert "its device was lost" in model.error or "exited with status 70" in model.error
    assert "quarantined" not in model.statuses
    assert sum(model.statuses.values()) < 20


def test_a_verdict_is_final_once_the_model_has_shown_that_it_still_answers(workspace):
    write_words(workspace.root, ["fine", "poison"])
    make_runner(
        workspace,
        "fragile",
        SAYS.replace("    return {", "    'poison' in request['prompt'] and __import__('os').abort()\n    return {"),
    )
    assert ask(workspace, "fragile").models[0].statuses == {"ok": 1, "quarantined": 1}
