"""Importing: what every kind of source shares, on the simplest of them."""

import csv
import json
import time

import pytest
from PIL import Image

from orchestrator.api import import_dataset, split_dataset
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, DiskError, UsageError
from orchestrator.importing import writer
from orchestrator.importing.images import Images
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


def opened(workspace, name, records):
    """Write a dataset of these records and open it as a run would."""
    write_dataset(workspace.root / "datasets" / name, iter(records), {})
    return list(open_dataset(workspace, name))


class TestReplacing:
    @pytest.mark.parametrize("given", ["", "images", "annotation.csv"])
    def test_a_source_in_the_dataset_that_it_would_replace_is_refused(self, scans, workspace, given):
        folder = import_dataset("text-pairs", str(scans), "mine", workspace=workspace).folder
        link = scans.parent / "link"
        link.symlink_to(folder)
        for path in (folder / given, link / given):
            with pytest.raises(UsageError, match="is in the dataset 'mine' that it would replace"):
                import_dataset("folder", str(path), "mine", replace=True, workspace=workspace)
        assert len(list((folder / "images").iterdir())) == 3

    def test_truth_and_images_there_are_refused_too(self, scans, workspace):
        folder = import_dataset("text-pairs", str(scans), "mine", workspace=workspace).folder
        for kind, option in (("folder", "truth"), ("pages", "truth"), ("layout", "images"), ("vlmevalkit", "images")):
            options = {option: str(folder / "annotation.csv")}
            with pytest.raises(UsageError, match=f"--{option} .* is in the dataset 'mine'"):
                import_dataset(kind, str(scans), "mine", options=options, replace=True, workspace=workspace)

    def test_what_was_not_imported_is_not_replaced(self, scans, workspace):
        folder = workspace.root / "datasets" / "mine"
        folder.mkdir(parents=True)
        (folder / "annotation.csv").write_text("image_path,question\n[],by hand\n")
        with pytest.raises(UsageError, match=r"was not imported, it has no dataset\.json; move it away"):
            import_dataset("text-pairs", str(scans), "mine", replace=True, workspace=workspace)
        assert "by hand" in (folder / "annotation.csv").read_text()

    def test_parts_that_go_are_told(self, scans, workspace):
        import_dataset("text-pairs", str(scans), "mine", workspace=workspace)
        split_dataset("mine", {"a": 1, "b": 1}, workspace=workspace)
        told = []
        import_dataset("text-pairs", str(scans), "mine", replace=True, workspace=workspace, notify=told.append)
        assert told[-1] == (
            "mine: its parts (a.split.csv, b.split.csv) were of the older one and are gone; divide it again"
        )


def test_any_names_of_metadata_make_a_dataset_that_opens(workspace):
    names = ["Date", "date", "DATE ", "#", "%", "$", "", "  ", "a;b;c;d;e;f", "x\ty\nz", "source_Question", "Question"]
    names += ["doc_clas", "answe", "questiontyp", "Answers", "imagepath", "date_2", "ю", 'say "hi"', "a,b"]
    metadata = {name: str(number) for number, name in enumerate(names)}
    (sample,) = opened(workspace, "odd", [Record("q", metadata=metadata)])
    assert sorted(sample.metadata.values(), key=int) == [*metadata.values()]
    assert (sample.question, sample.references, sample.images) == ("q", (), ())
    assert [*sample.metadata][:2] == ["Date", "date_2"]
    assert {"source_doc_clas", "source_Answers"} <= {*sample.metadata}
    (sample,) = opened(workspace, "answered", [Record("q", "a", metadata={"answer2": "x", "doc_clas": "y"})])
    assert sample.metadata == {"answer2": "x", "source_doc_clas": "y"}, "with an answer there is no doubt"


def test_a_name_of_metadata_that_no_table_can_hold_is_a_problem(tmp_path):
    records = [Record("q", metadata={"\ud800": "x"}), Record("q", metadata={"a\0": "x"}), Record("sound")]
    assert [p.what for p in write_dataset(tmp_path / "x", iter(records), {}).problems] == ["question 1"] * 2


def test_a_dataset_that_cannot_be_opened_does_not_replace_one_that_can(tmp_path, monkeypatch):
    write_dataset(tmp_path / "kept", iter([Record("old", "")]), {})
    monkeypatch.setattr(writer, "_column_names", lambda names, _: names)
    with pytest.raises(BakeoffError, match=r"kept/annotation\.csv: column 'Date' is there twice"):
        write_dataset(tmp_path / "kept", iter([Record("q", metadata={"Date": 1, "date": 2})]), {})
    assert [sample.question for sample in open_dataset_at(tmp_path / "kept")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_many_images_of_one_name_take_no_longer_each(tmp_path):
    images = Images(tmp_path)
    began = time.monotonic()
    names = [images._free_name(("default.jpg", "DEFAULT.jpg", "default-2.jpg")[n % 3]) for n in range(30_000)]
    assert len({name.casefold() for name in names}) == 30_000
    assert names[:4] == ["default.jpg", "DEFAULT-2.jpg", "default-2-2.jpg", "default-3.jpg"]
    assert time.monotonic() - began < 10


def test_an_image_that_cannot_be_read_is_a_problem_of_its_question_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    pictures = [Picture(name, tmp_path / name) for name in ("a.png", "gone.png", "nul\0.png", ".")]
    records = [Record(str(n), "", pictures[:1] if not n else (picture,)) for n, picture in enumerate(pictures)]
    outcome = write_dataset(tmp_path / "made", iter(records), {})
    assert (outcome.rows, outcome.images) == (1, 1)
    assert [problem.reason.split(": ")[0] for problem in outcome.problems] == [
        f"its image {picture.name} cannot be read" for picture in pictures[1:]
    ]


def test_what_a_source_cannot_read_is_not_told_of_the_dataset(tmp_path):
    def failing():
        yield Record("new", "")
        raise PermissionError(13, "Permission denied", "/scans/x.png")

    with pytest.raises(BakeoffError, match=r"^/scans/x\.png: the source cannot be read on: Permission denied") as error:
        write_dataset(tmp_path / "made", failing(), {})
    assert not isinstance(error.value, DiskError)
    assert not list(tmp_path.iterdir())


def test_images_that_no_question_shows_are_neither_kept_nor_counted(tmp_path):
    shared, own = Picture("shared.png", b"1"), Picture("own.png", b"2")
    lost = Picture("lost.png", tmp_path / "lost.png")
    records = [
        *(Record("q1", "a", (shared,)), Record("q2", None, (shared, own))),
        Record("q3", "a", (Picture("half.png", b"3"), lost)),
    ]
    outcome = write_dataset(tmp_path / "made", iter(records), {})
    assert (outcome.rows, outcome.images, len(outcome.problems)) == (1, 1, 2)
    assert [path.name for path in (tmp_path / "made" / "images").iterdir()] == ["shared.png"]
