"""Finished predictions of other programs: matched with our samples, scored beside our answers, never misplaced."""

import json

import pytest
from click.testing import CliRunner
from openpyxl import Workbook

from orchestrator import api
from orchestrator.cli import cli
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.results.journal import Journal
from orchestrator.results.view import read_predictions

ROWS = [("a", "Total?", "10.29"), ("b", "Date?", "2024-01-02"), ("c", "Name?", "['Ann', 'ANN']")]


@pytest.fixture
def asked(workspace):
    """Make a dataset of three questions that echo has answered."""
    folder = workspace.root / "datasets" / "three"
    folder.mkdir(parents=True)
    lines = [f'{i},{q},"{a}","{a}"' for i, q, a in ROWS]
    (folder / "questions.csv").write_text("id,question,answer,note\n" + "\n".join(lines) + "\n")
    api.run(models="echo", dataset="three", workspace=workspace)
    return workspace


def texts(workspace, model):
    run = workspace.results / "three"
    return {row["sample_id"]: row["text"] for batch in read_predictions(run, model) for row in batch.to_pylist()}


def lmms(folder, targets=("10.29", "2024-01-02", "['Ann', 'ANN']")):
    rows = [
        {"doc_id": n, "input": "x", "target": target, "filtered_resps": [f"r{n}"], "resps": [[f"raw{n}"]], "anls": 0.5}
        for n, target in enumerate(targets)
    ]
    rows[2] |= {"resps": [["lone"]]}
    del rows[2]["filtered_resps"]
    (folder / "samples_three.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "samples_three.jsonl"


def test_samples_of_lmms_eval_are_matched_by_number(asked, tmp_path):
    taken = api.import_predictions(lmms(tmp_path), model="theirs", dataset="three", workspace=asked)
    assert (taken.answers, taken.total, taken.strangers) == (3, 3, [])
    assert texts(asked, "theirs") == {"a": "r0", "b": "r1", "c": "lone"}


def test_predictions_of_vlmevalkit_are_matched_by_index(asked, tmp_path):
    book = Workbook()
    book.active.append(["index", "question", "answer", "prediction"])
    book.active.append(["b", "Date?", "2024-01-02", "00123"])
    book.active.append(["a", "Total?", "10.29", "Failed to obtain answer via API."])
    book.active.append(["z", "?", "?", "nobody's"])
    book.save(tmp_path / "m_three.xlsx")
    taken = api.import_predictions(tmp_path / "m_three.xlsx", model="theirs", dataset="three", workspace=asked)
    assert (taken.answers, taken.failed, taken.strangers) == (1, 1, ["line 4: there is no sample 'z'"])
    assert texts(asked, "theirs") == {"a": None, "b": "00123"}
    summary = api.score(asked.results / "three", metrics=["exact"])
    figures = {f.model: f for f in summary.figures if f.group == "all"}
    assert (figures["theirs"].n_scored, figures["theirs"].reasons) == (1, {"error": 1, "missing": 1})
    assert figures["echo"].n_scored == 3, "what was here stays"


def test_what_we_export_comes_back(asked, tmp_path):
    api.export(asked.results / "three", "lmms-eval", tmp_path / "out")
    (path,) = (tmp_path / "out" / "echo").glob("*.jsonl")
    api.import_predictions(path, model="again", dataset="three", workspace=asked)
    assert texts(asked, "again") == texts(asked, "echo")


def test_predictions_in_another_order_are_refused_and_nothing_changes(asked, tmp_path):
    before = (asked.results / "three" / "run.json").read_bytes()
    path = lmms(tmp_path, ("2024-01-02", "10.29", "x"))
    with pytest.raises(BakeoffError, match=r"line 1: its target '2024-01-02' is not the answer of sample 'a', '10.29'"):
        api.import_predictions(path, model="theirs", dataset="three", workspace=asked)
    assert (asked.results / "three" / "run.json").read_bytes() == before
    assert not (asked.results / "three" / "predictions" / "theirs.parquet").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.jsonl", "", "holds no predictions"),
        ("x.jsonl", "{", "line 1: is not JSON"),
        ("x.jsonl", '{"doc_id": 0}', "has no prediction"),
        ("x.jsonl", '{"prediction": "a"}', "names no sample"),
        ("x.jsonl", '{"doc_id": 99, "resps": [["a"]]}', "none of its predictions is of a sample"),
        ("x.csv", "id,prediction\na,1\na,2\n", "sample 'a' was there before, in line 2"),
        ("x.jsonl", '{"doc_id": Infinity, "prediction": "a"}', "line 1: doc_id should be a whole number"),
        ("x.jsonl", '{"doc_id": 1.5, "prediction": "a"}', "line 1: doc_id should be a whole number"),
        ("x.parquet", "", "should be a"),
    ],
)
def test_what_is_wrong_is_one_sentence(asked, tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(BakeoffError, match=told):
        api.import_predictions(tmp_path / name, model="theirs", dataset="three", workspace=asked)


def test_the_name_of_a_model_that_answered_here_is_taken(asked, tmp_path):
    with pytest.raises(UsageError, match="give another name with --model"):
        api.import_predictions(lmms(tmp_path), model="echo", dataset="three", workspace=asked)


def test_the_command_counts_and_names_the_next_one(asked, tmp_path):
    (tmp_path / "p.csv").write_text("sample_id,prediction\na,1\nq,2\n")
    argv = ["--workspace", str(asked.root), "predictions", "import", str(tmp_path / "p.csv")]
    result = CliRunner().invoke(cli, [*argv, "--dataset", "three", "--model", "m"])
    assert "m: 1 of 3 samples have an answer" in result.output
    assert "line 3: there is no sample 'q'" in result.output
    assert "bakeoff score three" in result.output


def test_other_predictions_for_the_same_request_are_told(asked, tmp_path):
    folder = asked.root / "datasets" / "twice"
    folder.mkdir()
    (folder / "questions.csv").write_text("id,question,answer\na,Total?,1\nb,Total?,1\nc,Total?,1\nd,Date?,2\n")
    (tmp_path / "p.csv").write_text("sample_id,prediction\na,1\nb,2\nc,1\nd,2\n")
    argv = ["--workspace", str(asked.root), "predictions", "import", str(tmp_path / "p.csv")]
    result = CliRunner().invoke(cli, [*argv, "--dataset", "twice", "--model", "m"])
    assert "m: samples such as 'b' (1) ask the same of the same image as an earlier one" in result.output


def take(workspace, folder, rows, **options):
    """Import `rows`, sample ids with what was predicted, as those of the model `theirs`."""
    path = folder / "theirs.json"
    path.write_text(json.dumps([{"sample_id": id_, "prediction": text} for id_, text in rows.items()]))
    return api.import_predictions(path, model="theirs", dataset="three", workspace=workspace, **options)


def content(run):
    """Return all files of a run but its lock."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and "lock" not in path.name}


class TestASecondImport:
    def test_adds_to_the_first(self, asked, tmp_path):
        take(asked, tmp_path, {"a": "1", "b": "2"})
        taken = take(asked, tmp_path, {"b": "2", "c": "3"})
        assert (taken.answers, taken.replaced) == (2, 0)
        assert texts(asked, "theirs") == {"a": "1", "b": "2", "c": "3"}
        summary = api.score(asked.results / "three", metrics=["exact"])
        assert next(f for f in summary.figures if f.model == "theirs" and f.group == "all").n_scored == 3

    def test_with_other_answers_changes_nothing_unless_it_is_told_to(self, asked, tmp_path):
        run = asked.results / "three"
        take(asked, tmp_path, {"a": "1", "b": "2", "c": "3"})
        before = content(run)
        with pytest.raises(UsageError, match="has other answers to 2 of the samples that 'theirs' has answers to"):
            take(asked, tmp_path, {"a": "other", "b": "Failed to obtain answer via API.", "c": "3"})
        assert content(run) == before
        taken = take(asked, tmp_path, {"a": "other", "b": "Failed to obtain answer via API.", "c": "3"}, replace=True)
        assert taken.replaced == 2
        assert texts(asked, "theirs") == {"a": "other", "b": None, "c": "3"}
        assert len(list((run / "old").glob("theirs-*.parquet"))) == 1, "the older answers are kept"
        assert api.verify_run(run)

    def test_an_answer_takes_the_place_of_an_error(self, asked, tmp_path):
        take(asked, tmp_path, {"a": None})
        assert take(asked, tmp_path, {"a": "1"}).replaced == 0
        assert texts(asked, "theirs") == {"a": "1"}

    def test_of_samples_that_share_a_question_says_nothing_new(self, asked, tmp_path):
        (asked.root / "datasets" / "three" / "questions.csv").write_text("id,question,answer\na,q,1\nb,q,1\n")
        (tmp_path / "p.csv").write_text("id,prediction\na,1\nb,2\n")
        for _ in range(2):
            api.import_predictions(tmp_path / "p.csv", model="twin", dataset="three", workspace=asked)
        assert set(texts(asked, "twin").values()) == {"1"}

    def test_the_command_replaces_when_told_to(self, asked, tmp_path):
        argv = ["--workspace", str(asked.root), "predictions", "import", str(tmp_path / "p.csv")]
        argv += ["--dataset", "three", "--model", "m"]
        for text in "12":
            (tmp_path / "p.csv").write_text(f"sample_id,prediction\na,{text}\n")
            result = CliRunner().invoke(cli, argv)
        assert "say --replace" in str(result.exception)
        result = CliRunner().invoke(cli, [*argv, "--replace"])
        assert "m: 1 older answers gave place and are in" in result.output
        assert texts(asked, "m") == {"a": "2"}


def test_half_a_character_is_replaced_as_in_answers_of_runners(asked, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"sample_id": "a", "prediction": "x\\ud83d", "answer": "10.29"}\n')
    api.import_predictions(tmp_path / "p.jsonl", model="theirs", dataset="three", workspace=asked)
    assert texts(asked, "theirs") == {"a": "x\ufffd"}


def test_no_prediction_is_no_empty_answer_and_of_several_responses_the_first_counts(asked, tmp_path):
    rows = [
        {"doc_id": 0, "filtered_resps": ["first", "second"]},
        {"doc_id": 1, "resps": [[None]]},
        {"doc_id": 2, "filtered_resps": [""]},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    taken = api.import_predictions(tmp_path / "p.jsonl", model="theirs", dataset="three", workspace=asked)
    assert (taken.answers, taken.failed) == (2, 1)
    assert texts(asked, "theirs") == {"a": "first", "b": None, "c": ""}
    summary = api.score(asked.results / "three", metrics=["exact"])
    figure = next(f for f in summary.figures if f.model == "theirs" and f.group == "all")
    assert (figure.n_scored, figure.reasons) == (2, {"error": 1})


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_whatever_fails_leaves_the_run_as_it_was(asked, tmp_path, monkeypatch, error):
    run = asked.results / "three"
    take(asked, tmp_path, {"a": "1"})
    before, append = content(run), Journal.append

    def fail(journal, rows):
        append(journal, rows)
        raise error

    monkeypatch.setattr(Journal, "append", fail)
    with (asked.root / "datasets" / "three" / "questions.csv").open("a") as file:
        file.write("d,More?,1,1\n")
    with pytest.raises(type(error)):
        take(asked, tmp_path, {"a": "other", "d": "2"}, replace=True)
    after = content(run)
    assert texts(asked, "theirs") == {"a": "1"}
    parquet = run / "predictions" / "theirs.parquet"
    assert set(after) == set(before)
    assert all(after[path] == before[path] for path in before if path != parquet)
    with pytest.raises(type(error)):
        take(asked, tmp_path, {"a": "1"}, run="new")
    assert not content(asked.results / "new"), "a run that was new is none"
