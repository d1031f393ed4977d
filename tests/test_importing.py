"""Importing: what every kind of source shares, on the simplest of them."""

import csv
import json

import pytest
from PIL import Image

from orchestrator.api import import_dataset
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.record import Picture, Problem, Record
from orchestrator.importing.writer import write_dataset


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f'line "{number}", ю\nfin\n', encoding="utf-8")
    return folder


def test_a_folder_of_pairs_becomes_a_dataset_that_opens(scans, workspace):
    outcome = import_dataset("text-pairs", str(scans), "letters", workspace=workspace)
    assert (outcome.rows, outcome.images, outcome.problems) == (3, 3, [])
    samples = list(open_dataset(workspace, "letters"))
    assert [sample.references for sample in samples] == [(f'line "{n}", ю\nfin',) for n in range(3)]
    assert [sample.images[0].read_bytes() for sample in samples] == [
        (scans / f"{n}.png").read_bytes() for n in range(3)
    ]


def test_what_cannot_be_imported_is_named_and_the_rest_is_there(scans, workspace):
    (scans / "1.txt").unlink()
    (scans / "2.txt").write_bytes(b"\xff\xfe")
    outcome = import_dataset("text-pairs", str(scans), "letters", workspace=workspace)
    assert outcome.rows == 1
    told = [Problem("1.png", "there is no 1.txt beside it"), Problem("2.png", "2.txt is not UTF-8 text")]
    assert outcome.problems == told
    with (outcome.folder / "problems.csv").open(encoding="utf-8") as file:
        assert [tuple(row) for row in csv.reader(file)] == [("what", "reason"), *told]


def test_nothing_is_left_where_nothing_came(scans, workspace):
    for path in scans.glob("*.txt"):
        path.unlink()
    with pytest.raises(BakeoffError, match=r"nothing could be imported; 0\.png: there is no 0\.txt"):
        import_dataset("text-pairs", str(scans), "letters", workspace=workspace)
    assert not [path for path in (workspace.root / "datasets").iterdir() if "letters" in path.name]


def test_a_name_that_is_taken_is_replaced_only_when_told_so(scans, workspace):
    import_dataset("text-pairs", str(scans), "letters", workspace=workspace)
    with pytest.raises(UsageError, match="--replace"):
        import_dataset("text-pairs", str(scans), "letters", workspace=workspace)
    (scans / "0.txt").write_text("new")
    outcome = import_dataset("text-pairs", str(scans), "letters", replace=True, workspace=workspace)
    assert next(iter(open_dataset(workspace, "letters"))).references == ("new",)
    assert not list(outcome.folder.parent.glob(".letters*"))


def test_an_unfit_name_an_unknown_kind_or_option_is_refused(scans, workspace):
    for kind, name, options, told in (
        ("text-pairs", "../x", {}, "cannot name a dataset"),
        ("text-pair", "x", {}, "text-pairs"),
        ("text-pairs", "x", {"questoin": "?"}, "questoin"),
    ):
        with pytest.raises(BakeoffError, match=told):
            import_dataset(kind, str(scans), name, options=options, workspace=workspace)


def test_every_field_of_a_record_comes_back(tmp_path):
    metadata = {"page": 3, "note": "a,b", "Question": "theirs", "answer bbox": "none of ours"}
    record = Record(
        *("q", "a", (Picture("a/b c.png", b"1"), Picture("a/b c.png", b"2")), ("A", "ю"), "id-1", "form", "date"),
        *((1, 2.5, 3, 4), "doc-7", metadata),
    )
    outcome = write_dataset(
        tmp_path / "all", iter([record, Record("only a question", "", id="id-2")]), {"kind": "test"}
    )
    (first, second) = open_dataset_at(outcome.folder)
    assert (first.id, first.question, first.references) == ("id-1", "q", ("a", "A", "ю"))
    assert (first.doc_class, first.question_type, first.answer_bbox, first.document) == (
        *("form", "date", (1.0, 2.5, 3.0, 4.0)),
        "doc-7",
    )
    assert [path.name for path in first.images] == ["b_c.png", "b_c-2.png"] or len(set(first.images)) == 2
    assert [path.read_bytes() for path in first.images] == [b"1", b"2"]
    assert first.metadata == {
        "page": "3",
        "note": "a,b",
        "source_Question": "theirs",
        "source_answer bbox": "none of ours",
    }
    assert (second.images, second.question) == ((), "only a question")


def test_a_question_without_an_answer_is_not_taken_for_one_to_which_nothing_is_right(tmp_path):
    records = [Record("q1", "a"), Record("q2"), Record("q3", "")]
    outcome = write_dataset(tmp_path / "some", iter(records), {})
    assert outcome.problems == [Problem("question 2", "it has no answer, which others have")]
    assert [(s.question, s.references) for s in open_dataset_at(outcome.folder)] == [("q1", ("a",)), ("q3", ("",))]
    outcome = write_dataset(tmp_path / "none", iter([Record("q1"), Record("q2")]), {})
    assert [s.references for s in open_dataset_at(outcome.folder)] == [(), ()]


def test_the_same_bytes_are_kept_once(tmp_path):
    records = [Record(str(n), "", (Picture(f"{n}.png", b"same"),)) for n in range(3)]
    outcome = write_dataset(tmp_path / "same", iter(records), {})
    assert (outcome.rows, outcome.images) == (3, 1)
    assert json.loads((outcome.folder / "dataset.json").read_text())["images"] == 1


def test_a_source_that_fails_in_the_middle_leaves_what_was_there(tmp_path):
    write_dataset(tmp_path / "kept", iter([Record("old", "")]), {})

    def failing():
        yield Record("new", "")
        raise BakeoffError("the source is gone")

    with pytest.raises(BakeoffError, match="the source is gone"):
        write_dataset(tmp_path / "kept", failing(), {})
    assert [sample.question for sample in open_dataset_at(tmp_path / "kept")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def open_dataset_at(folder):
    from orchestrator.datasets import annotation  # noqa: PLC0415 - as a user's own path is read

    return list(annotation.load(folder))
