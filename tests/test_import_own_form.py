"""What is a dataset of our own form already keeps all of it when it is imported from its folder."""

import csv

import pytest
from PIL import Image

from orchestrator.datasets import open_dataset
from orchestrator.importing import import_dataset

HEADER = [
    "Image Path",
    "question",
    "answer",
    "alternatives",
    "doc class",
    "question_type",
    "bbox",
    "document",
    "id",
    "lang",
]
ROWS = [
    ["images/a.png", "q1", "00123", '["123"]', "receipt", "total", "[1, 2, 3.5, 4]", "d1", "one", "fr"],
    ['["images/a.png", "images/sub/b.png"]', "q2", "", "", "", "", "", "", "two", ""],
    ["[]", "q3", "x", "", "", "", "“[1,2,3,4]”", "", "three", ""],
]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    for number, name in enumerate(("images/a.png", "images/sub/b.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (number, 0, 0)).save(folder / name)
    return folder


def write(folder, rows, header=HEADER, name="annotation.csv"):
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def facts(sample):
    shared = (sample.id, sample.question, sample.references, sample.doc_class, sample.question_type)
    return (
        *shared,
        sample.answer_bbox,
        sample.document,
        sample.metadata,
        [path.read_bytes() for path in sample.images],
    )


@pytest.mark.parametrize("name", ["annotation.csv", "mine.csv"])
def test_a_dataset_is_the_same_after_it_was_imported(source, workspace, name):
    write(source, ROWS, name=name)
    notes = []
    outcome = import_dataset(workspace, "folder", str(source), "mine", notify=notes.append)
    before, after = list(open_dataset(workspace, str(source))), list(open_dataset(workspace, "mine"))
    assert outcome.problems == []
    assert list(map(facts, after)) == list(map(facts, before))
    assert after[0].answer_bbox == (1, 2, 3.5, 4)
    (told,) = notes
    assert told.startswith(f"{source / name} is of our own form: its folder can be used as it is; its columns ")


def test_images_keep_their_names_and_questions_what_they_are_called(source, workspace):
    write(source, [["images/a.png", "q1"], ["images/a.png", "q2"]], ["image_path", "question"])
    import_dataset(workspace, "folder", str(source), "mine")
    assert [sample.id for sample in open_dataset(workspace, "mine")] == ["a-1", "a-2"]


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("bbox", "[3, 2, 1, 4]", "should have x1 <= x2 and y1 <= y2"),
        ("alternatives", "[1", "should be a JSON list of other right answers"),
        ("Image Path", '["images/a.png", 1]', "should be one path, or a JSON list"),
        ("Image Path", "images/z.png", "there is no such image"),
        ("Image Path", "", "there is no such image"),
        ("id", "one", "its id was used before"),
    ],
)
def test_a_row_that_cannot_be_is_told_and_the_others_are_imported(source, workspace, column, cell, told):
    other = ["images/a.png", "q4", "y", "", "", "", "", "", "four", ""]
    other[HEADER.index(column)] = cell
    write(source, [*ROWS, other])
    outcome = import_dataset(workspace, "folder", str(source), "mine")
    assert outcome.rows == 3
    (problem,) = outcome.problems
    assert told in problem.reason


def test_a_column_that_may_mean_something_else_is_told_by_its_new_name(source, workspace):
    write(source, [["a.png", "x", "1 2 3 4"]], ["file", "answer", "bbox"])
    notes = []
    import_dataset(workspace, "folder", str(source), "mine", notify=notes.append)
    (sample,) = open_dataset(workspace, "mine")
    assert (sample.answer_bbox, sample.metadata) == (None, {"source_bbox": "1 2 3 4"})
    assert "mine: kept as further columns, since theirs may not be our meaning: bbox as source_bbox" in notes
