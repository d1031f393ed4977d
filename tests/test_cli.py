"""What a person sees when something is wrong: one clear sentence and the right exit code."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator.cli.running import _pace
from orchestrator.running.events import Advance
from orchestrator.scaffold import init_workspace

ECHO = """
def load(params):
    return params

def generate(state, request):
    return {"text": request["prompt"]}
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    root = init_workspace(tmp_path / "ws")
    monkeypatch.chdir(root)
    return root


def make_dataset(root: Path, name: str, table: str) -> Path:
    folder = root / "datasets" / name
    folder.mkdir()
    (folder / "annotation.csv").write_text(table, encoding="utf-8")
    Image.new("RGB", (40, 20), "white").save(folder / "good.png")
    return folder


def predictions(root, run, model="echo"):
    return pq.read_table(root / "results" / run / "predictions" / f"{model}.parquet").to_pylist()


def test_run_score_and_report_go_the_whole_way(workspace, bakeoff):
    assert bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "9")[0] == 0
    assert bakeoff("score", "tiny-docs")[0] == 0
    code, out, _ = bakeoff("report", "tiny-docs", "--worst", "2")
    assert code == 0
    assert "9/9" in out
    assert (workspace / "results/tiny-docs/summary.csv").is_file()


def test_the_same_command_again_asks_nothing(workspace, bakeoff):
    bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "5")
    before = predictions(workspace, "tiny-docs")
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "5")
    assert code == 0
    assert "5 of 5 answered" in err
    assert predictions(workspace, "tiny-docs") == before


def test_more_prompts_repeats_and_params_gather_in_the_run(workspace, bakeoff):
    common = ("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "3")
    bakeoff(*common)
    bakeoff(*common, "--prompt", "question", "--prompt", "short", "--repeat", "2")
    bakeoff(*common, "--param", "prefix=> ")
    rows = predictions(workspace, "tiny-docs")
    assert len(rows) == 3 * 2 * 2 + 3
    assert len({row["key"] for row in rows}) == len(rows)
    assert sum(row["text"].startswith("> ") for row in rows) == 3


def test_an_unknown_model_is_named_with_the_nearest(workspace, bakeoff):
    code, _, err = bakeoff("run", "--model", "ehco", "--dataset", "tiny-docs")
    assert code == 2
    assert "there is no model 'ehco'; did you mean 'echo'?" in err


def test_an_unknown_dataset_is_named_with_the_nearest(workspace, bakeoff):
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "tiny-doc")
    assert code == 2
    assert "did you mean 'tiny-docs'?" in err


def test_a_path_that_leads_nowhere_is_said_to(workspace, bakeoff):
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "/nope/x")
    assert (code, err) == (2, "error: there is no folder and no file /nope/x\n")


def test_the_beginning_of_several_names_brings_all_of_them(workspace, bakeoff):
    code, _, err = bakeoff("run", "--model", "qwen2-vl", "--dataset", "tiny-docs")
    assert code == 2
    assert "did you mean 'qwen2-vl-2b', 'qwen2-vl-72b' or 'qwen2-vl-7b'?" in err


def test_a_misspelt_parameter_is_one_sentence_with_the_nearest(workspace, bakeoff):
    few = ("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "1")
    code, _, err = bakeoff(*few, "--param", "prefxi=>")
    assert code == 2
    assert err.startswith("error: --param prefxi: model 'echo' has no parameter 'prefxi'; did you mean 'prefix'? (")
    assert err.count("\n") == 1


def test_a_required_parameter_is_asked_for_before_anything_is_built(workspace, bakeoff):
    sentence = "error: model 'vllm' needs a checkpoint: say --param checkpoint=…, or give it to a model of your own"
    image = next((workspace / "datasets/tiny-docs/images").iterdir())
    for command in (("run", "--dataset", "tiny-docs", "--model", "vllm"), ("try", "vllm", image, "?")):
        code, _, err = bakeoff(*command)
        assert code == 2
        assert err.startswith(sentence)
        assert "building" not in err


def test_an_unknown_command_and_option_are_usage_errors(workspace, bakeoff):
    assert bakeoff("rnu")[0] == 2
    assert bakeoff("run", "--modle", "echo")[0] == 2


def test_a_missing_column_is_named_with_those_that_came(workspace, bakeoff):
    make_dataset(workspace, "d", "image_path,qestion,answer\ngood.png,What?,x\n")
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "d")
    assert code == 1
    assert "annotation.csv" in err
    assert "question" in err
    assert "qestion" in err
    assert err.strip().count("\n") == 0


def test_an_empty_dataset_is_one_sentence(workspace, bakeoff):
    make_dataset(workspace, "d", "image_path,question,answer\n")
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "d")
    assert code == 1
    assert "empty" in err


def test_missing_and_unreadable_images_are_rows_and_the_rest_is_answered(workspace, bakeoff):
    folder = make_dataset(
        workspace,
        "d",
        "image_path,question,answer\ngood.png,A?,a\nmissing.png,B?,b\ntext.png,C?,c\nempty.png,D?,d\n",
    )
    (folder / "text.png").write_text("not an image")
    (folder / "empty.png").touch()
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "d")
    assert code == 0
    assert "1 of 4 answered" in err
    assert "3 bad_input" in err
    rows = {Path(row["sample_id"]).name: row for row in predictions(workspace, "d")}
    assert sorted(row["status"] for row in rows.values()) == ["bad_input"] * 3 + ["ok"]
    messages = " | ".join(row["error_message"] or "" for row in rows.values())
    assert "missing.png: there is no such image" in messages
    assert "text.png: is not an image" in messages
    assert "empty.png: the image is empty" in messages
    bakeoff("score", "d")
    report = bakeoff("report", "d")[1]
    assert "3 bad_input" in report
    assert "missing.png: there is no such image" in report


def test_what_was_given_up_before_is_told_with_what_asks_it_again(workspace, bakeoff):
    make_dataset(workspace, "d", "image_path,question,answer\ngood.png,A?,a\nmissing.png,B?,b\n")
    command = ("run", "--model", "echo", "--dataset", "d")
    assert "--retry-failed" not in bakeoff(*command)[2]
    assert "1 bad_input; 1 given up before (--retry-failed asks them again)\n" in bakeoff(*command)[2]
    assert "--retry-failed" not in bakeoff(*command, "--retry-failed")[2]


def test_a_mended_image_is_asked_on_the_next_run(workspace, bakeoff):
    folder = make_dataset(workspace, "d", "image_path,question,answer\nlate.png,A?,a\n")
    bakeoff("run", "--model", "echo", "--dataset", "d")
    bakeoff("score", "d")
    assert "late.png: there is no such image" in bakeoff("report", "d")[1]
    Image.new("RGB", (9, 9)).save(folder / "late.png")
    assert "1 of 1 answered" in bakeoff("run", "--model", "echo", "--dataset", "d")[2]
    bakeoff("score", "d")
    assert "there is no such image" not in bakeoff("report", "d")[1]


def test_a_prompt_with_an_unknown_field_is_one_sentence(workspace, bakeoff):
    (workspace / "prompts" / "bad.txt").write_text("Read {questoin}")
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--prompt", "bad")
    assert code == 1
    assert "bad.txt: unknown field '{questoin}'; did you mean 'question'?" in err


def test_a_model_that_cannot_load_does_not_stop_the_next_and_the_exit_code_says_so(workspace, bakeoff):
    broken = workspace / "runners" / "broken"
    broken.mkdir()
    (broken / "runner.toml").touch()
    (broken / "requirements.txt").touch()
    (broken / "runner.py").write_text(ECHO.replace("return params", "raise OSError('no weights at /models/x')"))
    code, _, err = bakeoff("run", "--model", "broken", "--model", "echo", "--dataset", "tiny-docs", "--limit", "3")
    assert code == 3
    assert "no weights at /models/x" in err
    assert "echo: 3 of 3 answered" in err


def test_requirements_without_a_network_are_one_sentence(workspace, bakeoff, monkeypatch, tmp_path):
    lonely = workspace / "runners" / "lonely"
    lonely.mkdir()
    (lonely / "runner.toml").touch()
    (lonely / "requirements.txt").write_text("torch==2.6.0\n")
    (lonely / "runner.py").write_text(ECHO)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    code, _, err = bakeoff("run", "--model", "lonely", "--dataset", "tiny-docs", "--limit", "1")
    assert code == 3
    assert "lonely" in err
    assert "network" in err


@pytest.mark.slow
def test_a_full_disk_stops_with_12_and_the_same_command_goes_on(workspace):
    table = "question,answer\n" + "".join(f"{'long ' * 40}{i},x\n" for i in range(2000))
    (workspace / "datasets" / "wide.csv").write_text(table)
    command = [sys.executable, "-m", "orchestrator", "run", "--model", "echo", "--dataset", "wide"]
    subprocess.run([*command, "--limit", "1"], cwd=workspace, check=True, capture_output=True)

    def shrink():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    full = subprocess.run(command, cwd=workspace, capture_output=True, text=True, preexec_fn=shrink, check=False)
    assert full.returncode == 12, full.stderr
    assert "the disk is full" in full.stderr
    assert "Traceback" not in full.stderr
    again = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len(predictions(workspace, "wide")) == 2000


def test_a_read_only_results_folder_is_one_sentence(workspace, bakeoff):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (workspace / "results").mkdir()
    (workspace / "results").chmod(0o500)
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "tiny-docs")
    assert code == 12
    assert "cannot be written" in err


def test_a_run_that_does_not_exist_is_named_with_the_nearest(workspace, bakeoff):
    bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "1")
    code, _, err = bakeoff("score", "tiny-dosc")
    assert code == 2
    assert "did you mean 'tiny-docs'?" in err


def test_a_report_of_an_unscored_run_says_what_to_do(workspace, bakeoff):
    bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "1")
    code, _, err = bakeoff("report", "tiny-docs")
    assert code == 1
    assert "bakeoff score tiny-docs" in err


def test_another_dataset_under_the_same_run_name_is_refused(workspace, bakeoff):
    make_dataset(workspace, "d", "image_path,question,answer\ngood.png,A?,a\n")
    bakeoff("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "1", "--run", "r")
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "d", "--run", "r")
    assert code == 2
    assert "--run" in err


def test_a_folder_that_is_no_workspace_says_what_to_do(tmp_path, monkeypatch, bakeoff):
    monkeypatch.chdir(tmp_path)
    code, _, err = bakeoff("list", "models")
    assert code == 2
    assert "bakeoff init" in err


def test_a_misspelt_key_in_the_settings_is_named_with_the_nearest(workspace, bakeoff):
    (workspace / "bakeoff.toml").write_text("[settings]\nitem_timeot_s = 3\n")
    code, _, err = bakeoff("list", "models")
    assert code == 1
    assert "did you mean 'item_timeout_s'?" in err


def test_a_broken_runner_is_told_and_the_others_are_listed(workspace, bakeoff):
    (workspace / "runners" / "half").mkdir()
    code, out, err = bakeoff("list", "models")
    assert code == 0
    assert "echo" in out
    assert "runner.toml" in err


@pytest.mark.parametrize("kind", ["models", "runners", "datasets", "prompts", "metrics", "runs"])
def test_everything_that_can_be_named_is_listed(workspace, bakeoff, kind):
    assert bakeoff("list", kind)[0] == 0


def test_a_new_runner_passes_its_check_and_runs(workspace, bakeoff):
    assert bakeoff("runner", "new", "mine")[0] == 0
    code, out, _ = bakeoff("runner", "check", "mine")
    assert code == 0, out
    assert "!!" not in out
    assert bakeoff("run", "--model", "mine", "--dataset", "tiny-docs", "--limit", "2")[0] == 0
    assert bakeoff("runner", "new", "mine")[0] == 2


def test_a_check_of_a_program_that_dies_shows_the_end_of_its_log(workspace, bakeoff):
    folder = workspace / "runners" / "gone"
    folder.mkdir()
    script = "import sys; print('first: no such file\\nError 7', file=sys.stderr); sys.exit(7)"
    (folder / "requirements.txt").touch()
    (folder / "runner.toml").write_text(f"command = {json.dumps(['python', '-c', script])}\n")
    code, out, _ = bakeoff("runner", "check", "gone")
    assert code == 3
    assert "it exited with status 7" in out
    assert "      | first: no such file\n      | Error 7\n" in out


def test_a_first_look_prints_the_answer_alone_on_stdout(workspace, bakeoff):
    image = next((workspace / "datasets/tiny-docs/images").iterdir())
    code, out, _ = bakeoff("try", "echo", image, "What is this?")
    assert code == 0
    assert out == "What is this?\n"


def test_a_first_look_at_something_broken_is_one_sentence(workspace, bakeoff, tmp_path):
    (tmp_path / "x.png").write_text("<html>")
    assert "x.png" in bakeoff("try", "echo", tmp_path / "x.png", "What?")[2]
    code, _, err = bakeoff("try", "echo", tmp_path / "none.png", "What?")
    assert code == 1
    assert "none.png: there is no such image" in err


def test_doctor_says_what_is_missing(workspace, bakeoff):
    needy = workspace / "runners" / "needy"
    needy.mkdir()
    (needy / "requirements.txt").touch()
    (needy / "runner.py").write_text(ECHO)
    need = 'what = "a tool"\nprogram = "no-such-program-here"\nremedy = "install it"\n'
    (needy / "runner.toml").write_text(f"[[needs]]\n{need}")
    code, out, _ = bakeoff("doctor")
    assert code == 1
    assert "lacks a tool" in out
    assert "install it" in out


def test_doctor_tells_of_the_gpu_and_of_the_build_of_torch(workspace, bakeoff, monkeypatch):
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    assert "; torch_backend is not set" in bakeoff("doctor")[1]
    (workspace / "bakeoff.toml").write_text('[settings]\ntorch_backend = "cpu"\n')
    (line,) = (line for line in bakeoff("doctor")[1].splitlines() if "gpu:" in line)
    assert line.startswith("ok  gpu: ")
    assert "NVIDIA driver" in line
    assert line.endswith('; torch_backend = "cpu"')


def test_doctor_tells_which_keys_are_not_set_and_shows_none(workspace, bakeoff, monkeypatch):
    models = "".join(f'[models.{name}]\nrunner = "echo"\napi_key_env = "{name.upper()}_KEY"\n' for name in ("a", "b"))
    (workspace / "bakeoff.toml").write_text(models)
    (workspace / ".env").write_text("A_KEY=sk-of-the-file\n")
    monkeypatch.delenv("B_KEY", raising=False)
    code, out, err = bakeoff("doctor")
    assert code == 1
    assert "model a: A_KEY is set" in out
    assert "model b: B_KEY is not set" in out
    assert "write B_KEY=… into" in out
    assert "sk-of-the-file" not in out + err


def test_doctor_does_not_show_a_key_in_place_of_its_variables_name(workspace, bakeoff):
    (workspace / "bakeoff.toml").write_text('[models.a]\nrunner = "echo"\napi_key_env = "sk-abcdefgh1234567890"\n')
    code, out, err = bakeoff("doctor")
    assert code == 1
    assert "'api_key_env' is no variable's name: name the variable" in " ".join(out.split())
    assert "sk-abc" not in out + err


def test_params_are_json_where_they_can_be(workspace, bakeoff):
    (workspace / "bakeoff.toml").write_text('[models.echo]\nrunner = "echo"\na = 1\nb = ""\nc = []\n')
    bakeoff(
        *("run", "--model", "echo", "--dataset", "tiny-docs", "--limit", "1"),
        *("--param", "a=0.2", "--param", "b=text", "--param", "c=[1]"),
    )
    assert json.loads(predictions(workspace, "tiny-docs")[0]["params"]) == {
        "a": 0.2,
        "b": "text",
        "c": [1],
        "prefix": "",
    }


def test_why_several_requests_have_no_answer_is_said_where_to_read(workspace, bakeoff):
    folder = make_dataset(
        workspace, "bad", "image_path,question\n" + "".join(f"{n}.png,q\n" for n in "abc") + "good.png,q\n"
    )
    (folder / "a.png").write_text("no image")
    (folder / "b.png").touch()
    code, _, err = bakeoff("run", "--model", "echo", "--dataset", "bad")
    assert code == 0
    assert "what has no answer, and why: bakeoff runs show bad --all\n" in err
    out = bakeoff("runs", "show", "bad", "--all")[1]
    for reason in ("is not an image", "the image is empty (0 bytes)", "c.png: there is no such image"):
        assert out.count(reason) == 1


def test_a_slow_model_has_seconds_an_answer_for_its_pace():
    for ok, pace in ((0, "0.0/s"), (6, "0.1/s"), (200, "2.0/s")):
        advance = Advance("slow", total=400, before=0, ok=ok, failed=0, elapsed_s=100.0)
        assert _pace(advance).startswith("0 failed, 16.7 s each, " if ok == 6 else f"0 failed, {pace}")
