"""What runs hold can be told at any time: how far they came, what is missing and why, what is damaged or useless."""

import errno
import json
import os
import platform
import shutil
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator.cli import main
from orchestrator.config import open_workspace
from orchestrator.errors import UsageError
from orchestrator.identity import canonical
from orchestrator.inspection import clean_run, drop_cells, find_run, list_runs, show_run, verify_run
from orchestrator.inspection.holder import find_holder
from orchestrator.inspection.sound_plan import check_plan
from orchestrator.inspection.sound_rows import check_predictions
from orchestrator.inspection.tables import runs_table, state_tables
from orchestrator.results.expected import iter_expected
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import journal_folder, predictions_path, set_aside_path
from orchestrator.results.parquet import write_table
from orchestrator.results.plan import read_plan, write_plan
from orchestrator.results.schema import PREDICTIONS, PROMPTS, SAMPLES, SCORES
from orchestrator.running.lock import holding

MANIFEST = f'python = "{".".join(platform.python_version_tuple()[:2])}"\n[defaults]\nstyle = "plain"\n'
MOODY = """
def load(params):
    return params

def generate(params, request):
    question = request["prompt"].split()[-1]
    if question.startswith("fail"):
        raise ValueError("cannot read " + question[:5])
    if question.startswith("refuse"):
        return {"text": "no", "stop_reason": "content_filter"}
    return {"text": question}
"""
# Two samples ask the same, two fail alike and one otherwise, one is refused, one has a damaged image.
QUESTIONS = ["a", "a", "b", "fail1", "fail1-again", "fail2", "refuse", "gone", "c"]


def make_workspace(root):
    for folder in ("runners/moody", "prompts", "datasets/toy"):
        (root / folder).mkdir(parents=True)
    (root / "bakeoff.toml").touch()
    (root / "runners/moody/runner.toml").write_text(MANIFEST)
    (root / "runners/moody/requirements.txt").touch()
    (root / "runners/moody/runner.py").write_text(MOODY)
    (root / "prompts/question.txt").write_text("{question}\n")
    Image.new("RGB", (40, 20), "white").save(root / "datasets/toy/page.png")
    (root / "datasets/toy/no.png").write_text("no image")
    write_samples(root, QUESTIONS)
    return root


def write_samples(root, questions):
    rows = [f"s{n},{'no' if q == 'gone' else 'page'}.png,{q},{q}\n" for n, q in enumerate(questions)]
    (root / "datasets/toy/annotation.csv").write_text("id,image,question,answer\n" + "".join(rows))


def call(*arguments):
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    return leaving.value.code


ASK = ("run", "--model", "moody", "--dataset", "toy")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Make a workspace where everything was asked and scored once, by real workers."""
    root = make_workspace(tmp_path_factory.mktemp("runs") / "ws")
    assert call("--workspace", root, *ASK) == 0
    assert call("--workspace", root, "score", root / "results/toy") == 0
    return root


@pytest.fixture
def root(asked, tmp_path, monkeypatch):
    shutil.copytree(asked, tmp_path / "ws", symlinks=True)
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


@pytest.fixture
def run(root):
    return root / "results/toy"


@pytest.fixture
def bakeoff(capsys):
    def use(*arguments):
        capsys.readouterr()
        code = call(*arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "bug" not in captured.err
        return code, captured.out, captured.err

    return use


def table(path):
    return pq.ParquetFile(path).read()


def rewrite(path, schema, rows):
    write_table(path, schema, iter([pa.RecordBatch.from_pylist(rows, schema)]))


def flip(path, place=0.4):
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def gaps(state):
    return {gap.status: gap for cell in state.cells for gap in cell.gaps}


def other_cell(plan, model):
    return plan.cells[0].model_copy(update={"model": model})


def open_journal(run, statuses):
    """Write a journal as a killed run leaves it, with a row of each status for the first requests in turn."""
    (cell,) = read_plan(run).cells
    expected = [row for batch in iter_expected(run, cell) for row in batch]
    columns = [CellColumns(cell.model, cell.runner, canonical(cell.params), cell.prompt)]
    with Journal(journal_folder(run, cell.model), columns) as journal:
        for row, status in zip(expected, statuses, strict=False):
            told = {"text": "x"} if status == "ok" else {"error_message": f"it was {status}"}
            shared = {"cell": 0, "repeat": 1, "attempts": 1, "time": 1_700_000_000_000_000}
            journal.append([{**shared, "key": row.key, "sample_id": row.sample_id, "status": status, **told}])
    return journal.path


# list


def test_a_run_is_a_line_with_what_it_answered(root):
    (line,) = list_runs(open_workspace(root))
    assert (line.name, line.dataset, line.samples, line.models) == ("toy", "toy", 9, ("moody",))
    assert (line.answered, line.expected) == (4, 8)
    assert (line.holder, line.damage, line.is_unfolded) == (None, None, False)
    assert line.size_bytes == sum(path.stat().st_size for path in line.folder.rglob("*") if path.is_file())


def test_a_damaged_run_is_a_line_that_says_so_and_the_others_stay(root, bakeoff):
    damages = ("bent", lambda path: flip(path, 0)), ("empty", lambda path: path.write_text("")), ("lost", Path.unlink)
    for name, damage in damages:
        shutil.copytree(root / "results/toy", root / "results" / name)
        damage(root / "results" / name / "run.json")
    shutil.copytree(root / "results/toy", root / "results/unreadable")
    os.truncate(root / "results/unreadable/predictions/moody.parquet", 2000)
    (root / "results/notes").mkdir()
    lines = {line.name: line.damage for line in list_runs(open_workspace(root))}
    assert [name for name, damage in lines.items() if damage is None] == ["toy"]
    assert "notes" not in lines
    code, out, _ = bakeoff("runs", "list")
    assert code == 0
    assert "damaged: run.json: is not valid JSON" in out
    assert "4 of 8" in out


def test_who_works_on_a_run_is_told_and_not_disturbed(root, run, bakeoff):
    with holding(run):
        assert find_holder(run) == f"process {os.getpid()} on {platform.node()}"
        assert f"process {os.getpid()}" in bakeoff("runs", "list")[1]
    assert find_holder(run) is None


def test_a_holder_that_was_killed_holds_nothing(run):
    (run / ".holder").write_text('{"pid": 1, "host": "elsewhere"}')
    assert find_holder(run) is None
    with holding(run):
        (run / ".holder").write_text("nonsense")
        assert find_holder(run) == "another process"


def test_a_run_too_large_to_compare_is_told_in_rows(root, monkeypatch, bakeoff):
    monkeypatch.setattr("orchestrator.inspection.overview.COUNTED_MAX", 3)
    open_journal(root / "results/toy", ["lost"])
    _, out, _ = bakeoff("runs", "list")
    assert "9 rows" in out
    assert "bakeoff runs show RUN" in out


def test_where_nothing_was_run_that_is_said(root, bakeoff):
    shutil.rmtree(root / "results")
    for command in (("list",), ("verify",), ("gc",)):
        code, out, err = bakeoff("runs", *command)
        assert (code, out) == (0, "")
        assert "there are no runs" in err
    assert bakeoff("runs", "list", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("given", "told"),
    [("toi", "there is no run 'toi'; did you mean 'toy'?"), ("datasets", "datasets: is a folder but no run")],
)
@pytest.mark.parametrize("command", ["show", "verify", "gc"])
def test_what_is_no_run_is_named(root, bakeoff, command, given, told):
    code, out, err = bakeoff("runs", command, given)
    assert (code, out) == (2, "")
    assert told in err


def test_a_run_is_found_by_name_and_by_path(root, run):
    results = root / "results"
    assert find_run("toy", results) == find_run(run, results) == find_run("results/toy", results) == run.resolve()
    with pytest.raises(UsageError):
        find_run("results", results)


# show


def test_what_is_missing_is_told_with_its_reason(run):
    (cell,) = (state := show_run(run)).cells
    assert (cell.answers, cell.requests, cell.ok, cell.refused) == (9, 8, 3, 1)
    found = {status: (gap.requests, gap.is_final, gap.sample_ids) for status, gap in gaps(state).items()}
    assert found == {"error": (3, False, ("s3", "s4", "s5")), "bad_input": (1, True, ("s7",))}
    assert gaps(state)["error"].message == "ValueError: cannot read fail1"
    assert gaps(state)["error"].messages == 2
    assert (state.stale, state.defects, state.journals) == ((), {}, ())


def test_what_is_missing_is_shown_with_what_becomes_of_it(root, bakeoff):
    code, out, _ = bakeoff("runs", "show", "toy")
    assert code == 0
    assert "error: asked again by the same command" in out
    assert "bad_input: final; mend the image or setting that is named, and run again with --retry-failed" in out
    assert "ValueError: cannot read fail1 (and 1 other message)" in out
    assert "samples ask the very same thing" in out


def test_more_samples_of_a_kind_are_named_on_demand(root, bakeoff):
    write_samples(root, [f"fail{n}" for n in range(6)])
    bakeoff(*ASK, "--run", "failing")
    assert "s0, s1, s2, …" in bakeoff("runs", "show", "failing")[1]
    assert "s0, s1, s2, s3, s4, s5" in bakeoff("runs", "show", "failing", "--all")[1]


def test_json_holds_the_same(root, bakeoff):
    (line,) = json.loads(bakeoff("runs", "list", "--json")[1])
    state = json.loads(bakeoff("runs", "show", "toy", "--json")[1])
    (cell,) = state["cells"]
    assert line["answered"] == cell["ok"] + cell["refused"] == 4
    assert [gap["status"] for gap in cell["gaps"]] == ["error", "bad_input"]
    assert state["plan"]["envs"]["moody"]["packages"] == {}


def test_the_commit_is_called_that_of_the_workspace(run, bakeoff):
    write_plan(run, read_plan(run).model_copy(update={"git_commit": "ab" * 20}))
    assert ", workspace commit ababababab\n" in bakeoff("runs", "show", run)[1]


def test_an_interrupted_run_shows_what_its_journal_holds(run, bakeoff):
    shutil.rmtree(run / "predictions")
    path = open_journal(run, ["ok", "ok", "lost", "crashed", "quarantined"])
    path.write_bytes(path.read_bytes()[:-9])
    state = show_run(run)
    found = {status: (gap.requests, gap.sample_ids) for status, gap in gaps(state).items()}
    assert found == {"missing": (5, ("s4", "s5", "s6")), "lost": (1, ("s2",)), "crashed": (1, ("s3",))}
    assert state.cells[0].ok == 1
    _, out, _ = bakeoff("runs", "show", "toy")
    assert "1 journal not folded into Parquet yet" in out
    assert "not asked yet, crashed, lost: asked again by the same command" in out
    assert "interrupted" in bakeoff("runs", "list")[1]


def test_a_run_that_is_going_on_is_shown(run, bakeoff):
    with holding(run):
        _, out, _ = bakeoff("runs", "show", "toy")
        assert f"process {os.getpid()} on {platform.node()} works on it now" in out


def test_repeats_name_a_sample_once(run):
    plan = read_plan(run)
    write_plan(run, plan.model_copy(update={"cells": (plan.cells[0].model_copy(update={"repeats": 3}),)}))
    gap = gaps(show_run(run))["missing"]
    assert (gap.requests, gap.sample_ids) == (16, ("s0", "s2", "s3"))


def test_a_model_that_cannot_be_read_is_told_and_the_others_are_shown(run, bakeoff):
    plan = read_plan(run)
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, other_cell(plan, "other"))}))
    shutil.copy(predictions_path(run, "moody"), predictions_path(run, "other"))
    os.truncate(predictions_path(run, "moody"), 2000)
    state = show_run(run)
    assert list(state.defects) == ["moody"]
    assert [cell.ok for cell in state.cells] == [None, 0]
    code, out, _ = bakeoff("runs", "show", "toy")
    assert code == 0
    assert "damaged: " in out
    assert "moody.parquet: is not a readable Parquet file" in out


@pytest.mark.parametrize("name", ["run.json", "samples.parquet", "prompts.parquet"])
def test_without_plan_samples_or_prompts_there_is_one_sentence(run, bakeoff, name):
    (run / name).write_bytes(b"nonsense")
    code, _, err = bakeoff("runs", "show", "toy")
    assert code == 1
    assert name in err


def test_messages_are_shown_whole_and_held_in_bounds(run, monkeypatch, bakeoff):
    rows = table(run / P).to_pylist()
    long = "cannot read: " + "x" * 300 + "; write image_folders"
    for n, row in enumerate(row for row in rows if row["status"] == "error"):
        row["error_message"] = long if n else "y" * 5000
    rewrite(run / P, PREDICTIONS, rows)
    assert (gaps(show_run(run))["error"].message, gaps(show_run(run))["error"].messages) == (long, 2)
    assert f"error: {long} (and 1 other message)\n" in bakeoff("runs", "show", "toy")[1]
    monkeypatch.setattr("orchestrator.inspection.completeness.MESSAGES_MAX", 1)
    monkeypatch.setattr("orchestrator.inspection.tables.MESSAGES_MAX", 1)
    gap = gaps(show_run(run))["error"]
    assert (gap.message, gap.messages) == ("y" * 999 + "…", 2)
    assert "(and 1 other messages or more)" in bakeoff("runs", "show", "toy")[1]


def test_a_message_is_that_of_its_cell(run):
    plan = read_plan(run)
    (cell,) = plan.cells
    limited = [cell.model_copy(update={"limit": 4, "overrides": {"n": n}}) for n in range(2)]
    write_plan(run, plan.model_copy(update={"cells": (cell, *limited)}))
    assert [len(state.gaps) for state in show_run(run).cells] == [2, 1, 1]
    assert [state.gaps[0].messages for state in show_run(run).cells] == [2, 1, 1]


def test_a_copied_run_is_called_as_its_folder(root, run, bakeoff):
    shutil.copytree(run, root / "results/copy")
    assert bakeoff("runs", "show", "copy")[1].startswith("Run copy: 9 samples of toy\n")


# stale


def edit_prompt(root, run):
    (root / "prompts/question.txt").write_text("Say: {question}\n")


def edit_parameter(root, run):
    (root / "runners/moody/runner.toml").write_text(MANIFEST.replace("plain", "fancy"))


def edit_code(root, run):
    (root / "runners/moody/runner.py").write_text(MOODY + "\n# edited\n")


def edit_image(root, run):
    Image.new("RGB", (50, 20), "white").save(root / "datasets/toy/page.png")


def drop_samples(root, run):
    write_samples(root, QUESTIONS[:1])


@pytest.mark.parametrize(
    ("edit", "why", "rows"),
    [
        (edit_prompt, {"prompt_text"}, 8),
        (edit_parameter, {"params"}, 8),
        (edit_code, {"content"}, 8),
        (edit_image, {"content"}, 7),  # one sample has another image
        (drop_samples, {"sample"}, 7),
    ],
)
def test_what_an_edit_leaves_behind_is_stale_and_counts_nowhere(root, run, bakeoff, edit, why, rows):
    edit(root, run)
    assert bakeoff(*ASK)[0] == 0
    state = show_run(run)
    assert {each.why for each in state.stale} == why
    assert sum(each.rows for each in state.stale) == rows
    (cell,) = state.cells
    requests = 1 if edit is drop_samples else 8
    assert cell.requests == requests
    assert cell.ok + cell.refused + sum(gap.requests for gap in cell.gaps) == requests
    assert "they stay in the file and count nowhere" in bakeoff("runs", "show", "toy")[1]
    assert [check.damage for check in verify_run(run) if check.damage] == []


def test_a_model_and_a_prompt_that_left_the_plan_are_stale(run):
    plan = read_plan(run)
    (cell,) = plan.cells
    prompts = table(run / "prompts.parquet").to_pylist()
    rewrite(run / "prompts.parquet", PROMPTS, [*prompts, {**prompts[0], "id": "other"}])
    for change, why in (({"model": "other"}, "model"), ({"prompt": "other", "params": {}}, "prompt")):
        write_plan(run, plan.model_copy(update={"cells": (cell.model_copy(update=change),)}))
        assert [(each.why, each.rows) for each in show_run(run).stale] == [(why, 8)]


# verify


def test_a_sound_run_is_one_line(root, run, bakeoff):
    before = snapshot(run)
    assert bakeoff("runs", "verify") == (0, "ok  toy: 6 files sound\n", "")
    assert snapshot(run) == before


def spoil(name, schema, change):
    """Return what rewrites the rows of a file of the run, whole and with checksums, as `change` says."""

    def use(run):
        rewrite(run / name, schema, change(table(run / name).to_pylist()))

    return use


def changed(**columns):
    """Return what changes a row, that of an answer where it is about predictions."""
    return lambda rows: [{**row, **columns} if row is _answer(rows) else row for row in rows]


def _answer(rows):
    return next(row for row in rows if row.get("status", "ok") == "ok")


def as_other(path, name, change):
    """Rewrite a column as another program might, without our checksums."""
    frame = table(path)
    column = pa.array([change(value) for value in frame[name].to_pylist()])
    pq.write_table(frame.set_column(frame.column_names.index(name), name, column), path)


P, S = "predictions/moody.parquet", "scores/moody.parquet"
DAMAGES = {
    "bent predictions": (lambda run: flip(run / P), P, "is not a readable Parquet file"),
    "bent scores": (lambda run: flip(run / S, 0.3), S, "is not a readable Parquet file"),
    "bent samples": (lambda run: flip(run / "samples.parquet", 0.02), "samples.parquet", "is not a readable"),
    "bent prompts": (lambda run: flip(run / "prompts.parquet", 0.06), "prompts.parquet", "is not a readable"),
    "half a file": (lambda run: os.truncate(run / P, 2000), P, "is not a readable"),
    "doubled key": (spoil(P, PREDICTIONS, lambda rows: [*rows, rows[0]]), P, "1 of 9 rows have a key that is there"),
    "short key": (spoil(P, PREDICTIONS, changed(key="ab")), P, "1 rows have no key of 64 hex digits"),
    "no key": (spoil(P, PREDICTIONS, changed(key=None)), P, "1 rows have no key of 64 hex digits"),
    "strange status": (spoil(P, PREDICTIONS, changed(status="fine")), P, "has rows of the unknown status 'fine'"),
    "lost text": (spoil(P, PREDICTIONS, changed(text=None)), P, "answers without a text"),
    "other model": (spoil(P, PREDICTIONS, changed(model="x")), P, "has rows of the model 'x'"),
    "column of words": (lambda run: as_other(run / P, "attempts", lambda _: "many"), P, "is not a readable Parquet"),
    "lost predictions": (lambda run: (run / P).unlink() or _shrink(run), S, "have a key that the run does not know"),
    "score and reason": (spoil(S, SCORES, changed(score=None, reason=None)), S, "with neither a score nor a reason"),
    "lost sample": (spoil("samples.parquet", SAMPLES, lambda rows: rows[1:]), "samples.parquet", "the plan says 9"),
    "doubled sample": (spoil("samples.parquet", SAMPLES, changed(id="s1")), "samples.parquet", "has 1 samples twice"),
    "other prompt": (spoil("prompts.parquet", PROMPTS, changed(text="x")), "prompts.parquet", "its digest"),
    "lost prompt": (spoil("prompts.parquet", PROMPTS, lambda _: []), "prompts.parquet", "lacks the prompt 'question'"),
    "bent plan": (lambda run: flip(run / "run.json", 0), "run.json", "is not valid JSON"),
    "lost samples": (lambda run: (run / "samples.parquet").unlink(), "samples.parquet", "is not there; give the same"),
    "lost prompts": (lambda run: (run / "prompts.parquet").unlink(), "prompts.parquet", "is not there; restore it"),
    "lost plan": (lambda run: (run / "run.json").unlink(), "run.json", "is not there"),
    "bent summary": (lambda run: flip(run / "summary.json", 0), "summary.json", "is not valid JSON"),
}


def _shrink(run):
    """Let the plan ask one sample only, without a word to the scores."""
    plan = read_plan(run)
    write_plan(run, plan.model_copy(update={"cells": (plan.cells[0].model_copy(update={"limit": 1}),)}))


@pytest.mark.parametrize(("damage", "name", "told"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_named_with_its_file_and_nothing_is_written(root, run, bakeoff, damage, name, told):
    damage(run)
    before = snapshot(run)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert code == 1
    assert out.startswith("!!  toy: 1 of ")
    (line,) = [line for line in out.splitlines() if line.startswith(f"      damaged: {name}: ")]
    assert told in line
    assert snapshot(run) == before


@pytest.mark.parametrize("damage", [damage for damage, _, _ in DAMAGES.values()], ids=DAMAGES)
def test_whatever_is_damaged_the_other_commands_answer_in_a_sentence(root, run, bakeoff, damage):
    damage(run)
    assert bakeoff("runs", "list")[0] == 0
    code, _, err = bakeoff("runs", "show", "toy")
    assert (code, err.count("error: ")) in {(0, 0), (1, 1)}
    assert bakeoff("runs", "gc")[0] == 0


def test_one_damaged_file_hides_no_other(run):
    for path in run.rglob("*.parquet"):
        path.write_bytes(b"PAR1")
    (run / "run.json").write_text("{}")
    assert len([check for check in verify_run(run) if check.damage]) == 5


def test_a_torn_journal_is_harmless_and_a_bent_one_is_damage(root, run, bakeoff):
    path = open_journal(run, ["ok", "ok"])
    path.write_bytes(path.read_bytes()[:-9])
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert code == 0
    assert "1 rows are not in Parquet yet, the next run folds them in, and its last line is torn, which is harm" in out
    flip(path, path.read_bytes().index(b'"result"') / path.stat().st_size)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert code == 1
    assert "1 of its records are damaged; what they answered is asked again by the next run" in out


def test_a_journal_of_something_else_is_damage(run):
    path = open_journal(run, ["ok"])
    body = b'{"t":"result","key":7,"cell":40}'
    path.write_bytes(path.read_bytes() + b"%08x %b\n" % (zlib.crc32(body), body))
    (damaged,) = [check for check in verify_run(run) if check.damage]
    assert damaged.path == path


def test_leftovers_are_no_damage(root, run, bakeoff):
    leave(run)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert code == 0
    assert out.count("note: ") == 4
    assert "journal/moody/1-ab.damaged: put aside" in out


def test_scores_older_than_the_run_are_no_damage(root, run, bakeoff):
    shutil.copy(run / S, run / "kept")
    edit_prompt(root, run)
    bakeoff(*ASK)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert code == 0
    assert "summary.json: the run went on after it was scored; run `bakeoff score toy` again" in out


@pytest.mark.slow
def test_a_bent_bit_hides_no_row_of_a_file_without_a_seal(tmp_path):
    """A bit in a page's header can end a column early without an error."""
    path = tmp_path / "predictions/moody.parquet"
    path.parent.mkdir()
    row = dict.fromkeys(PREDICTIONS.names)
    rows = [{**row, "key": f"{n:064x}", "sample_id": "s", "model": "moody", "status": "error"} for n in range(10)]
    pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), path, write_page_checksum=True)
    whole = path.read_bytes()
    for place in range(0, len(whole) // 2, 5):
        bent = bytearray(whole)
        bent[place] ^= 1 << place % 8
        path.write_bytes(bent)
        check = check_predictions(path)
        assert check.damage or check.state == "10 rows"


def test_a_run_that_is_going_on_is_sound(run):
    open_journal(run, ["ok"])
    with holding(run):
        write_plan(run, read_plan(run).model_copy(update={"samples": 5}))  # samples are replaced before the plan
        assert [check for check in verify_run(run) if check.damage or check.note] == []


def test_a_run_that_is_extended_meanwhile_is_sound(run, monkeypatch):
    def check_and_extend(folder):
        monkeypatch.setattr("orchestrator.inspection.verify.check_plan", check_plan)
        found = check_plan(folder)
        rows = table(run / "samples.parquet").to_pylist()
        rewrite(run / "samples.parquet", SAMPLES, [*rows, {**rows[0], "id": "s9"}])
        write_plan(run, read_plan(run).model_copy(update={"samples": 10}))
        return found

    monkeypatch.setattr("orchestrator.inspection.verify.check_plan", check_and_extend)
    assert [check.damage for check in verify_run(run) if check.damage] == []


OTHERS = {
    "large texts": ("text", lambda column: column.cast(pa.large_string())),
    "views of texts": ("text", lambda column: column.cast(pa.string_view())),
    "nanoseconds": ("time", lambda column: column.cast(pa.timestamp("ns", tz="UTC"))),
    "figures with gaps": ("input_tokens", lambda column: column.cast(pa.float64())),
    "a column more": ("more", None),
}


@pytest.mark.parametrize(("name", "change"), OTHERS.values(), ids=OTHERS)
def test_a_file_that_another_program_rewrote_is_sound_and_a_note(root, run, bakeoff, name, change):
    rows = table(run / P)
    if change is None:
        rows = rows.append_column(name, pa.array(range(len(rows))))
    else:
        rows = rows.set_column(rows.column_names.index(name), name, change(rows[name]))
    before = bakeoff("runs", "show", "toy")
    pq.write_table(rows, run / P)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert (code, out.splitlines()[0]) == (0, "ok  toy: 6 files sound")
    assert f"note: {P}: rewritten by another program" in out
    assert f"column '{name}'" in out
    assert bakeoff("runs", "show", "toy") == before


def test_what_a_newer_bakeoff_wrote_is_no_damage(root, run, bakeoff):
    (run / "run.json").write_text('{"schema_version": 99, "colour": 1}')
    pq.write_table(table(run / P).replace_schema_metadata({"bakeoff_schema": "99"}), run / P)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert (code, out.splitlines()[0]) == (0, "ok  toy: 3 of 5 files sound, 2 of a newer bakeoff")
    assert out.count("was written by a newer bakeoff (schema 99); upgrade to read it") == 2
    listed = bakeoff("runs", "list")[1]
    assert "run.json: was written by a newer bakeoff (schema 99)" in listed
    assert "damaged" not in listed


# gc


def leave(run, age_s=7200.0):
    """Leave everything that nobody needs; return it by kind."""
    left = {
        "temporary files": [run / "predictions/.moody.parquet.0123abcd.tmp", run / "scores/.x.parquet.0123abcd.tmp"],
        "spilled texts": [run / "spill/w/1.txt"],
        "old logs": [run / "logs/moody.old.log"],
        "damaged journals": [run / "journal/moody/1-ab.damaged"],
        "set-aside predictions": [run / "old/moody-1-0123abcd.parquet"],
    }
    for paths in left.values():
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"0123456789")
            os.utime(path, (time.time() - age_s,) * 2)
    shutil.copy(run / P, left["set-aside predictions"][0])
    return left


RESULTS = ("damaged journals", "set-aside predictions")


@pytest.mark.parametrize("everything", [False, True])
def test_what_nobody_needs_is_deleted_and_nothing_else(run, everything):
    open_journal(run, ["ok"])
    before = snapshot(run)
    left = leave(run)
    done = clean_run(run, everything=everything)
    kept = {} if everything else {kind: sum(p.stat().st_size for p in left[kind]) for kind in RESULTS}
    assert (done.kept, done.skipped) == (kept, None)
    assert set(done.deleted) == set(left) - set(kept)
    assert done.deleted["temporary files"] == 20
    assert set(snapshot(run)) == set(before) | {path for kind in kept for path in left[kind]}
    assert {path: content for path, content in snapshot(run).items() if path in before} == before
    assert clean_run(run, everything=everything).deleted == {}


def test_a_dry_run_deletes_nothing(root, run, bakeoff):
    leave(run)
    before = snapshot(run)
    code, out, err = bakeoff("runs", "gc", "--dry-run")
    assert (code, out) == (0, "toy: would delete temporary files 20 B, spilled texts 10 B, old logs 10 B\n")
    assert "kept damaged journals 10 B, set-aside predictions" in err
    assert snapshot(run) == before


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_run_being_worked_on_is_left_alone(root, run, bakeoff, option):
    leave(run)
    with holding(run):
        before = snapshot(run)
        code, out, err = bakeoff("runs", "gc", "--all", *option)
        assert (code, out) == (0, "")
        assert f"is being worked on by process {os.getpid()}" in err
        assert snapshot(run) == before


def test_a_young_file_of_a_scoring_that_goes_on_stays(run):
    leave(run, age_s=0)
    clean_run(run)
    assert [path.parent.name for path in run.rglob("*.tmp")] == ["scores"]


def test_a_link_is_not_followed(run, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis").write_text("years of work")
    (run / "spill").mkdir(exist_ok=True)
    (run / "spill/link").symlink_to(outside)
    shutil.rmtree(run / "old", ignore_errors=True)
    (run / "old").symlink_to(outside)
    (outside / "moody-1-0123abcd.parquet").touch()
    clean_run(run, everything=True)
    assert sorted(path.name for path in outside.iterdir()) == ["moody-1-0123abcd.parquet", "thesis"]
    assert (run / "old").is_symlink()


def test_what_is_not_ours_in_old_stays(run):
    mine = run / "old/mine.txt"
    mine.parent.mkdir()
    for path in (mine, mine.with_name("table.parquet"), set_aside_path(run, "moody"), set_aside_path(run, "m-1.x")):
        path.touch()
    clean_run(run, everything=True)
    assert [path.name for path in sorted(mine.parent.iterdir())] == ["mine.txt", "table.parquet"]
    for path in mine.parent.iterdir():
        path.unlink()
    clean_run(run, everything=True)
    assert not mine.parent.exists()


def test_a_folder_of_somebody_elses_is_no_run(root, bakeoff):
    notes = root / "results/notes"
    for name in ("predictions", "journal", "old", "spill"):
        (notes / name).mkdir(parents=True)
    for name in ("old/mine.txt", "spill/mine.txt"):
        (notes / name).touch()
    assert "notes" not in bakeoff("runs", "gc", "--all")[1]
    assert bakeoff("runs", "gc", "--all", "notes")[0] == 2
    assert sorted(path.name for path in notes.rglob("*.txt")) == ["mine.txt"] * 2


@pytest.mark.parametrize("is_in_plan", [True, False])
def test_the_log_of_a_model_that_is_called_old_stays(run, is_in_plan):
    if is_in_plan:
        plan = read_plan(run)
        write_plan(run, plan.model_copy(update={"cells": (*plan.cells, other_cell(plan, "moody.old"))}))
    else:
        shutil.copy(run / P, run / "predictions/moody.old.parquet")
    logs = {name: run / "logs" / name for name in ("moody.old.log", "moody.old.old.log", "nobody.old.log")}
    for path in logs.values():
        path.write_text("words")
    assert clean_run(run).deleted == {"old logs": 5}
    assert [name for name, path in logs.items() if path.exists()] == ["moody.old.log", "nobody.old.log"]


def test_no_log_goes_while_the_models_are_not_known(run):
    leave(run)
    flip(run / "run.json", 0)
    assert "old logs" not in clean_run(run).deleted


def test_a_dry_run_sees_a_lock_whose_holder_is_not_named_yet(run):
    leave(run)
    with holding(run):
        (run / ".holder").unlink()
        assert "is being worked on by another process" in clean_run(run, dry_run=True).skipped


@pytest.mark.parametrize(("number", "holder"), [(errno.ENOLCK, None), (errno.EWOULDBLOCK, "process 1 on elsewhere")])
def test_only_a_lock_that_is_held_has_a_holder(run, monkeypatch, number, holder):
    def refuse(*_):
        raise OSError(number, "no")

    (run / ".lock").touch()
    (run / ".holder").write_text('{"pid": 1, "host": "elsewhere"}')
    monkeypatch.setattr("fcntl.flock", refuse)
    assert find_holder(run) == holder


def test_tables_fit_a_narrow_terminal(root, bakeoff):
    (root / "runners/moody/runner.toml").write_text(MANIFEST + 'a_long_parameter = ""\n')
    bakeoff(*ASK, "--param", 'a_long_parameter="a long value"')
    state, lines = show_run(root / "results/toy"), list_runs(open_workspace(root))
    wide, narrow = state_tables(state, 200)[0], state_tables(state, 90)[0]
    assert set(wide.header) - set(narrow.header) == {"samples", "repeats"}
    assert set(runs_table(lines, 100).header) - set(runs_table(lines, 60).header) == {"samples", "models", "size"}
    cramped = state_tables(state, 40)[0]
    assert cramped.labels == len(cramped.header)  # every column may be folded


def test_what_may_have_to_be_put_back_is_kept(run):
    awaited, other = set_aside_path(run, "moody"), set_aside_path(run, "moody")
    awaited.parent.mkdir(exist_ok=True)
    (run / ".fresh").mkdir()
    for path in (awaited, other):
        path.write_bytes(b"x")
    (run / ".fresh" / "moody.json").write_text(json.dumps(["0" * 64, awaited.name]))
    clean_run(run, everything=True)
    assert (awaited.exists(), other.exists()) == (True, False)


def test_a_file_without_our_checksums_is_sound_and_a_note(run, bakeoff):
    assert "none of our checksums" not in bakeoff("runs", "verify", "toy")[1]
    pq.write_table(pq.read_table(run / P), run / P)
    code, out, _ = bakeoff("runs", "verify", "toy")
    assert code == 0
    assert f"note: {P}: has none of our checksums over its footer" in out


def test_cells_are_taken_out_by_name_or_model_and_their_answers_stay(run):
    plan = read_plan(run)
    write_plan(
        run, plan.model_copy(update={"cells": (*plan.cells, other_cell(plan, "typo"), other_cell(plan, "slip"))})
    )
    names = [cell.name for cell in plan.cells]
    files = sorted(run.rglob("*.parquet"))
    with pytest.raises(UsageError, match=r"has no cell 'tyop'; did you mean 'typo'\?; its cells are moody"):
        drop_cells(run, ["tyop"])
    assert len(drop_cells(run, ["typo"], dry_run=True)) == 1
    assert len(read_plan(run).cells) == len(names) + 2
    assert drop_cells(run, ["typo", f"slip / {plan.cells[0].prompt}"]) == tuple(
        f"{model} / {plan.cells[0].prompt}" for model in ("typo", "slip")
    )
    after = read_plan(run)
    assert [cell.name for cell in after.cells] == names
    assert after.updated > plan.updated, "scores made before are out of date"
    assert sorted(run.rglob("*.parquet")) == files
    with pytest.raises(UsageError, match="no cell would be left"):
        drop_cells(run, [model for model, *_ in names])


def test_a_cell_that_is_taken_out_needs_no_parameters_where_its_name_is_plain_without(run):
    plan = read_plan(run)
    cell = other_cell(plan, "typo").model_copy(update={"overrides": {"size": 480}})
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, cell, other_cell(plan, "slip"))}))
    prompt = plan.cells[0].prompt
    assert drop_cells(run, [f"typo / {prompt}"]) == (f"typo / size=480 / {prompt}",)
    sizes = [cell.model_copy(update={"overrides": {"size": size}}) for size in (1, 2)]
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, *sizes)}))
    with pytest.raises(
        UsageError, match=f"'typo / {prompt}' has several cells; .*: typo / size=1 / {prompt}, typo / size=2"
    ):
        drop_cells(run, [f"typo / {prompt}"])
    assert len(drop_cells(run, ["typo"])) == 2
