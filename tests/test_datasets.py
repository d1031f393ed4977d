"""Datasets: what people's tables look like, and the one sentence for each thing that is wrong with them."""

import csv
import io
import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Workspace, open_workspace
from orchestrator.datasets import KINDS, Sample, list_datasets, open_dataset, text
from orchestrator.datasets import table as tables
from orchestrator.errors import BakeoffError, UsageError

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"
HEADER = "image_path,question,answer,doc_class,question_type,answer_bbox"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "bakeoff.toml").write_text("")
    (tmp_path / "datasets").mkdir()
    return open_workspace(tmp_path)


def _samples(workspace: Workspace, content: str | bytes, name: str = "annotation.csv") -> list[Sample]:
    folder = workspace.root / "datasets" / "d"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(open_dataset(workspace, "d"))


def _defect(workspace: Workspace, content: str | bytes, name: str = "annotation.csv") -> str:
    with pytest.raises(BakeoffError) as caught:
        _samples(workspace, content, name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(workspace.root) in sentence
    return sentence


# What a sample holds


def test_a_row_becomes_a_sample(workspace):
    (sample,) = _samples(workspace, f'{HEADER}\nimages/a.jpg,What?,42,receipt,total,"[1, 2, 3.5, 4]"\n')
    assert sample == Sample(
        id="a-1",
        question="What?",
        images=(workspace.root / "datasets/d/images/a.jpg",),
        references=("42",),
        doc_class="receipt",
        question_type="total",
        answer_bbox=(1, 2, 3.5, 4),
    )


@pytest.mark.parametrize(
    "header",
    [
        "image_path,question,answer,doc_class,question_type,answer_bbox",
        "image_path, question, answer, doc class, question type, answer bbox",
        "Image Path,Question,ANSWER,Doc-Class,Question-Type,answear bbox",
        "image,question,answer,doc type,questiontype,bbox",
        "img_path,Questions,answers,document_class,Question type,Answer_BBox",
        "images,question,ground_truth,DocClass,QuestionType,bounding box",
        "filename,question,answear,doc_type,question_type,answear_bbox",
    ],
)
def test_columns_are_known_by_many_spellings(workspace, header):
    (sample,) = _samples(workspace, f'{header}\na.png,Q,A,c,t,"[1,2,3,4]"\n')
    assert (sample.images[0].name, sample.question, sample.references) == ("a.png", "Q", ("A",))
    assert (sample.doc_class, sample.question_type, sample.answer_bbox) == ("c", "t", (1, 2, 3, 4))
    assert sample.metadata == {}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separator_quoting_newlines_and_byte_order_mark_do_not_matter(workspace, separator, quoting, newline, mark):
    out, lines = io.StringIO(newline=""), f"two{newline}lines"
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=newline)
    writer.writerows([["image_path", "question", "answer"], ["a.png", "Q, really;\t?", lines]])
    (sample,) = _samples(workspace, mark + out.getvalue())
    assert (sample.images[0].name, sample.question, sample.references) == (
        "a.png",
        "Q, really;\t?",
        (lines,),
    )


@pytest.mark.parametrize(
    "text", ["00123", "NA", "None", "null", "nan", "", "1e5", " padded ", "TRUE", "1,000", '"q"', "=1+1"]
)
def test_strings_stay_strings(workspace, text):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(
        [["image_path", "question", "answer", "doc_class", "extra"], ["a.png", text, text, text, text]]
    )
    (sample,) = _samples(workspace, out.getvalue())
    assert (sample.question, sample.references, sample.doc_class) == (text, (text,), text or None)
    assert sample.metadata == {"extra": text}


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_any_text_that_csv_can_write_comes_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question", "answer"], *(["q", text] for text in texts)])
    assert [s.references for s in KINDS["text"].load(path)] == [(text,) for text in texts]


@pytest.mark.parametrize(
    ("cell", "box"),
    [
        ('"[10,20,30,40]"', (10, 20, 30, 40)),
        ('"“[10,20,30,40]”"', (10, 20, 30, 40)),
        ("“[10,20,30,40]”", (10, 20, 30, 40)),
        ("[10, 20, 30, 40]", (10, 20, 30, 40)),
        ('"""[10, 20, 30, 40]"""', (10, 20, 30, 40)),
        ("10 20 30.5 40", (10, 20, 30.5, 40)),
        ('"(1.0, 2.0, 3.0, 4.0)"', (1, 2, 3, 4)),
        ("", None),
        ("[]", None),
        ("“”", None),
        ("None", None),
    ],
)
def test_a_box_is_read_in_whatever_quotes_it_stands(workspace, cell, box):
    (sample,) = _samples(workspace, f"{HEADER}\na.png,Q,A,c,t,{cell}\n")
    assert sample.answer_bbox == box


def test_an_image_cell_may_list_several_or_none(workspace):
    one, two, none = _samples(workspace, 'image,question\nscans\\a.png,q\n"[""a.png"", ""../b.png""]",q\n[],q\n')
    root = workspace.root / "datasets"
    assert one.images == (root / "d/scans/a.png",)
    assert two.images == (root / "d/a.png", root / "b.png")
    assert (none.images, none.id) == ((), "row-000003")


def test_an_absolute_image_path_stays_and_its_folders_stay_out_of_the_id(workspace):
    (sample,) = _samples(workspace, "image,question\n/somewhere/else/a.png,q\n")
    assert (sample.images, sample.id) == ((Path("/somewhere/else/a.png"),), "a-1")


def test_without_an_answer_column_there_are_no_references(workspace):
    (sample,) = _samples(workspace, "image,question\na.png,q\n")
    assert sample.references == ()


def test_other_columns_become_metadata(workspace):
    (sample,) = _samples(workspace, ",image,question,Page No,,,\n0,a.png,q,007,,,\n")
    assert sample.metadata == {"column_1": "0", "Page No": "007"}


def test_ids_are_readable_unique_and_stable(workspace):
    paths = [
        "images/a.jpg",
        "images/b.jpg",
        "a.png",
        "images/a.jpg",
        "a-1.png",
        "images/x/a.jpg",
        "../images/a.jpg",
    ]
    samples = _samples(workspace, "image,question\n" + "".join(f"{path},q\n" for path in paths))
    assert [s.id for s in samples] == ["a-1", "b-1", "a-2", "a-3", "a-1-1", "x/a-1", "a-4"]


def test_an_id_column_is_used_as_it_is(workspace):
    assert [s.id for s in _samples(workspace, "id,image,question\n007,a.png,q\n7,a.png,q\n")] == ["007", "7"]


def test_blank_lines_and_rows_of_empty_cells_are_passed_over(workspace):
    assert len(_samples(workspace, "image,question\n\na.png,q\n,\n\nb.png,q\n,\n")) == 2


# Text only, and how kinds are told apart


def test_a_folder_with_any_one_csv_of_questions_is_text_only(workspace):
    first, second = _samples(workspace, "question,answer,level\nq1,a1,5\nq2,,6\n", "benchmark.csv")
    assert first == Sample("row-000001", "q1", (), ("a1",), metadata={"level": "5"})
    assert second.references == ("",)


def test_questions_without_images_in_an_annotation_csv_say_where_they_belong(workspace):
    with pytest.raises(BakeoffError) as caught:
        _samples(workspace, "question,answer\nq1,a1\n")
    told = (
        "annotation.csv: there is no column 'image_path' (there are: question, answer); questions without images are "
    )
    assert str(caught.value).endswith(told + "a .csv file of any other name, not annotation.csv")


def test_a_csv_file_beside_others_is_opened_by_its_path(workspace):
    for name in ("one.csv", "two.csv"):
        (workspace.root / "datasets" / name).write_text(f"question\n{name}\n")
    dataset = open_dataset(workspace, str(workspace.root / "datasets/two.csv"))
    assert (dataset.name, dataset.kind, [s.question for s in dataset]) == ("two", "text", ["two.csv"])
    assert open_dataset(workspace, "one").name == "one"


def test_a_dataset_is_named_by_its_folder(workspace):
    _samples(workspace, "image,question\na.png,q\n")
    by_file = open_dataset(workspace, str(workspace.root / "datasets/d/annotation.csv"))
    by_folder = open_dataset(workspace, str(workspace.root / "datasets/d"))
    assert (by_file.name, by_folder.name, by_folder.kind) == ("d", "d", "annotation")
    assert list(by_file) == list(by_folder)


def test_a_table_with_images_is_known_by_its_columns_under_any_name(workspace):
    _samples(workspace, "image,question\na.png,q\n", "labels.csv")
    assert open_dataset(workspace, "d").kind == "annotation"


def test_datasets_are_listed(workspace):
    for name in ("b", "a", ".hidden", "_draft"):
        (workspace.root / "datasets" / name).mkdir()
    (workspace.root / "datasets" / "c.csv").touch()
    (workspace.root / "datasets" / "README.md").touch()
    assert list_datasets(workspace) == ("a", "b", "c.csv")


def test_samples_are_read_lazily(workspace):
    path = workspace.root / "datasets" / "long.csv"
    with path.open("w") as file:
        file.write("question,answer\n")
        file.writelines(f"q{n},a\n" for n in range(200_000))
        file.write("one,cell,too many\n")
    assert len(list(itertools.islice(open_dataset(workspace, "long"), 1000))) == 1000


# Defects: one clear sentence each


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "imge_path,question,answer",
            ["no column 'image_path'", "imge_path, question, answer", "is it 'imge_path'?"],
        ),
        ("image_path,qestion,answer", ["no column 'question'", "is it 'qestion'?"]),
        ("image_path|question|answer", ["no column 'image_path'", "image_path|question|answer"]),
        ("a,b,c", ["no column 'image_path'", "there are: a, b, c"]),
    ],
)
def test_a_missing_column_is_named_with_what_came_and_the_nearest(workspace, header, words):
    sentence = _defect(workspace, f"{header}\n1,2,3\n")
    assert all(word in sentence for word in ["annotation.csv", *words])


def test_a_misspelt_image_column_is_not_taken_for_a_text_only_dataset(workspace):
    assert "is it 'imagepth'?" in _defect(workspace, "imagepth,question\na.png,q\n", "labels.csv")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a.png,q,a\nb.png,q,a,x\n", "line 3: has 4 cells, the header has 3"),
        ("a.png,q\n", "line 2: has 2 cells, the header has 3"),
        ('a.png,"q\n\n",a\nb.png,q\n', "line 5: has 2 cells"),
        ('a.png,q,a\nb.png,"q" x,a\n', "line 3: the quoting is broken"),
        ('a.png,q,a\nb.png,"never closed\nc.png,q,a\n', "line 3: the quoting is broken"),
        ("a.png,q,a\n,q,a\n", "line 3: image_path is empty"),
        ("[1],q,a\n", "line 2: image_path [1] should be one path, or a JSON list"),
        ("a.png,q,a\nb.png,q,\0\n", "line 3: holds NUL bytes"),
        ("", "the dataset is empty"),
    ],
)
def test_a_bad_row_is_named_by_its_line(workspace, rows, words):
    assert words in _defect(workspace, "image_path,question,answer\n" + rows)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ('"[1,2,3]"', "should be four numbers"),
        ('"[1,2,3,x]"', "should be four numbers"),
        ('"[1,2,3,inf]"', "should be four numbers"),
        ('"[100,200,30,40]"', "x1 <= x2 and y1 <= y2; is it x, y, width, height?"),
    ],
)
def test_a_bad_box_is_named_by_its_line(workspace, box, words):
    sentence = _defect(workspace, f"{HEADER}\na.png,Q,A,c,t,\na.png,Q,A,c,t,{box}\n")
    assert "annotation.csv, line 3: answer_bbox " in sentence
    assert words in sentence


def test_an_id_used_twice_is_named_with_both_lines(workspace):
    sentence = _defect(workspace, "id,image,question\nx,a.png,q\ny,a.png,q\nx,b.png,q\n")
    assert "line 4: the id 'x' was used before, on line 2" in sentence


def test_an_empty_id_is_refused(workspace):
    assert "line 3: the id is empty" in _defect(workspace, "id,image,question\nx,a.png,q\n,a.png,q\n")


@pytest.mark.parametrize("header", ["image,question,question", "image,question,Question"])
def test_a_column_that_is_there_twice_is_refused(workspace, header):
    assert "column 'question' is there twice" in _defect(workspace, f"{header}\na.png,q,q\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("image,question\na.png,Привет\n".encode("cp1251"), 2),
        ("image,question\na.png,q\nb.png,café\n".encode("latin-1"), 3),
        ("image,question\na.png,q\n".encode("utf-16"), 1),
        (b"image,question\n" + b"a.png,q\n" * 5000 + b"b.png,\xff\n", 5002),
    ],
)
def test_text_that_is_not_utf8_is_named_by_its_line(workspace, content, line):
    assert f"line {line}: is not UTF-8 text; save it as 'CSV UTF-8'" in _defect(workspace, content)


def test_utf16_without_a_mark_is_told_by_its_nul_bytes(workspace):
    assert "line 1: holds NUL bytes" in _defect(workspace, "image,question\na.png,q\n".encode("utf-16-le"))


def test_an_empty_file_is_said_to_be_empty(workspace):
    assert "is empty; its first line should name the columns" in _defect(workspace, "")


def test_a_table_without_rows_is_an_empty_dataset(workspace):
    assert "the dataset is empty" in _defect(workspace, "question,answer\n", "benchmark.csv")


def test_an_unknown_dataset_is_a_usage_error_with_the_nearest_name(workspace):
    shutil.copytree(REPOSITORY / "datasets" / "tiny-docs", workspace.root / "datasets" / "tiny-docs")
    with pytest.raises(UsageError, match=r"there is no dataset 'tiny-doc'; did you mean 'tiny-docs'\?"):
        open_dataset(workspace, "tiny-doc")


def test_a_folder_without_a_table_is_no_dataset(workspace):
    (workspace.root / "datasets" / "d").mkdir()
    with pytest.raises(
        BakeoffError, match=r"is not a dataset; it should be a csv file, or a folder with annotation\.csv"
    ):
        open_dataset(workspace, "d")


def test_a_folder_with_several_tables_names_them(workspace):
    (workspace.root / "datasets" / "d").mkdir()
    (workspace.root / "datasets" / "d" / "train.csv").write_text("question\nq\n")
    assert "holds 2 tables (test.csv, train.csv)" in _defect(workspace, "question\nq\n", "test.csv")


def test_a_table_that_vanishes_is_one_sentence(tmp_path):
    with pytest.raises(BakeoffError, match=r"gone.csv: cannot be read: No such file"):
        tables.open_table(tmp_path / "gone.csv")


# Real ones


def test_tiny_docs_has_every_image_and_a_box_for_every_field():
    samples = list(open_dataset(open_workspace(REPOSITORY), "tiny-docs"))
    images = {image for sample in samples for image in sample.images}
    assert (len(samples), len(images)) == (88, 12)
    assert all(image.is_file() for image in images)
    assert sum(image.stat().st_size for image in images) < 3_000_000
    assert {s.doc_class for s in samples} == {"receipt", "id en", "form", "id ru"}
    assert len({s.id for s in samples}) == len(samples)
    assert all((s.answer_bbox is None) == (s.question_type == "transcription") for s in samples)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(("name", "rows", "images"), [("receipts", 239, 60), ("letters", 60, 60)])
def test_real_annotations_are_read_whole(name, rows, images):
    samples = list(open_dataset(open_workspace(REPOSITORY), str(SHARED / name)))
    assert (len(samples), len({s.images for s in samples})) == (rows, images)
    assert all(image.is_file() for sample in samples for image in sample.images)
    with (SHARED / name / "annotation.csv").open(encoding="utf-8", newline="") as file:
        assert [s.references[0] for s in samples] == [row["answer"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", ["type", "answered", "answer_id", "references_url", "class"])
def test_a_column_that_is_only_distantly_alike_is_metadata(tmp_path, name):
    (tmp_path / "q.csv").write_text(f"question,{name}\nWhat?,x\n")
    (sample,) = text.load(tmp_path / "q.csv")
    assert sample.metadata == {name: "x"}


@pytest.mark.parametrize("name", ["anwser", "aswer", "Answr", "doc_clas", "question_tpye"])
def test_a_misspelt_optional_column_is_refused_rather_than_dropped(tmp_path, name):
    (tmp_path / "q.csv").write_text(f"question,{name}\nWhat?,x\n")
    with pytest.raises(BakeoffError, match=f"but '{name}'; rename it"):
        list(text.load(tmp_path / "q.csv"))
