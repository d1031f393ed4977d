"""Tending datasets: each kind of defect is found and named, paths are mended, parts hold whole documents."""

import csv
import io
import re
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator import api
from orchestrator.cli import cli
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, UsageError


def picture(path, size=(200, 100), colour=(255, 255, 255), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


@pytest.fixture
def make(workspace):
    """Write a dataset `made` of rows of image, question, answer, box, document, after pictures are there."""

    def write(rows, header=("image_path", "question", "answer", "answer_bbox", "document")):
        folder = workspace.root / "datasets" / "made"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "annotation.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([header, *(row + [""] * (len(header) - len(row)) for row in rows)])
        return folder

    return write


@pytest.fixture
def folder(workspace):
    return workspace.root / "datasets" / "made"


def test_every_defect_is_found_and_the_sound_sample_is_none_of_them(make, folder, workspace, tmp_path):
    for number, name in enumerate(("good", "box", "flat", "low", "cut", "twin")):
        picture(folder / f"{name}.png", colour=(number, 0, 0))
    shutil.copy(folder / "twin.png", folder / "twin2.png")
    data = (folder / "cut.png").read_bytes()
    file = io.BytesIO()
    Image.effect_noise((300, 300), 80).convert("RGB").save(file, "JPEG")
    (folder / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (folder / "text.png").write_text("<html>")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(folder / "turned.jpg", colour=(0, 9, 0), exif=exif)
    picture(folder / "speck.png", (8, 8))
    picture(folder / "thread.png", (2000, 20), (3, 3, 3))
    picture(tmp_path / "outside.png")
    rows = [
        ["good.png", "q", "a", "[10, 10, 100, 40]"],
        ["box.png", "q", "a", "[10, 10, 300, 40]"],
        ["flat.png", "q", "a", "[10, 10, 10, 40]"],
        ["low.png", "q", "a", "[10, 10, 100, 15]"],
        ["cut.jpg", "q", "a"],
        ["text.png", "q", "a"],
        ["none.png", "q", "a"],
        [str(tmp_path / "outside.png"), "q", "a"],
        ["turned.jpg", "q", "a", "[0, 0, 90, 190]"],
        ["speck.png", "q", ""],
        ["thread.png", "q", " a"],
        ["twin.png", "q", "a"],
        ["twin2.png", "q", "b"],
        ["good.png", "q", "a"],
    ]
    make(rows)
    assert data
    found = api.check_dataset("made", workspace=workspace)
    told = {kind: [complaint.sample for complaint in those] for kind, those in found.complaints.items()}
    assert told == {
        "box outside": ["box-1"],
        "box empty": ["flat-1"],
        "tiny text": ["low-1"],
        "unreadable": ["cut-1", "text-1"],
        "missing": ["none-1"],
        "outside folder": ["outside-1"],
        "rotated by EXIF": ["turned-1"],
        "tiny image": ["speck-1"],
        "empty answer": ["speck-1"],
        "long image": ["thread-1"],
        "spaces around answer": ["thread-1"],
        "contradiction": ["twin2-1"],
        "same question": ["good-2"],
        "same image": ["twin.png"],
    }
    assert (found.samples, found.images, found.errors) == (14, 13, 7)
    assert "half of it" in next(c.sentence for c in found.complaints["unreadable"] if c.sample == "cut-1")
    assert not api.check_dataset("made", decode=False, workspace=workspace).complaints["unreadable"][1:]


def test_the_exit_code_tells_errors_from_warnings(make, folder, workspace):
    picture(folder / "a.png")
    make([["a.png", "q", ""]])
    argv = ["--workspace", str(workspace.root), "dataset", "check", "made"]
    result = CliRunner().invoke(cli, argv)
    assert "empty answer: 1" in result.output
    assert "0 errors, 1 warnings" in result.output
    assert api.check_dataset("made", workspace=workspace).errors == 0
    make([["b.png", "q", "a"]])
    result = CliRunner().invoke(cli, argv)
    assert "!!  missing: 1" in result.output
    assert "there is no such image" in result.output


class TestPaths:
    def test_moved_images_are_found_by_the_end_of_their_paths(self, make, folder, workspace, tmp_path):
        for name in ("x/1.png", "y/1.png", "y/2.png"):
            picture(tmp_path / "new" / name)
        picture(folder / "here.png")
        rows = [
            ["C:\\old\\x\\1.png", "q", "=1", "", "d, with comma"],
            ["/old/2.png", "q", 'say "hi"\r\nagain'],
            ["here.png", "q", ""],
            ["/old/1.png", "q", "a"],
            ["/old/none.png", "q", "a"],
            ['["/old/y/1.png", "here.png"]', "q", "a"],
        ]
        make(rows)
        before = (folder / "annotation.csv").read_bytes()
        tried = api.fix_paths("made", tmp_path / "new", dry_run=True, workspace=workspace)
        assert ((folder / "annotation.csv").read_bytes(), tried.mended) == (before, 3)
        done = api.fix_paths("made", tmp_path / "new", workspace=workspace)
        assert (done.kept, done.mended) == (2, 3)
        assert done.lost == [
            "line 6: /old/1.png: 2 files below the root are called so",
            "line 7: /old/none.png: no file below the root is called so",
        ]
        samples = list(open_dataset(workspace, "made"))
        assert samples[0].images[0].read_bytes() == (tmp_path / "new" / "x" / "1.png").read_bytes()
        assert [path.name for path in samples[5].images] == ["1.png", "here.png"]
        assert [s.references[0] for s in samples] == [row[2] for row in rows], "all else is as it was"
        assert samples[0].document == "d, with comma"

    def test_two_paths_never_lead_to_one_file(self, make, folder, workspace, tmp_path):
        for name in ("x/1.jpg", "x/2.jpg", "x/3.jpg"):
            picture(tmp_path / "new" / name)
        picture(folder / "a" / "4.jpg")
        names = ["a/1.jpg", "b/1.jpg", "/old/2.jpg", "\\old\\.\\2.jpg", "/old/2.jpg"]
        make([[name, "q", "a"] for name in names])
        done = api.fix_paths("made", tmp_path / "new", workspace=workspace)
        assert (done.kept, done.mended) == (0, 3), "one path twice, or written in another way, is one path"
        target = tmp_path / "new" / "x" / "1.jpg"
        assert done.lost == [
            f"line 2: a/1.jpg: would lead to {target}, and so does b/1.jpg; mend it by hand",
            f"line 3: b/1.jpg: would lead to {target}, and so does a/1.jpg; mend it by hand",
        ]
        make([["a/4.jpg", "q", "a"], ["b/4.jpg", "q", "a"]])
        done = api.fix_paths("made", folder, workspace=workspace)
        assert (done.kept, done.mended, len(done.lost)) == (1, 0, 1), "what is right keeps its file to itself"

    def test_the_table_as_it_first_was_stays(self, make, folder, workspace, tmp_path):
        first = make([["/old/1.jpg", "q", "a"], ["/old/2.jpg", "q", "a"]]) / "annotation.csv"
        before = first.read_bytes()
        for number in (1, 2):
            picture(tmp_path / "new" / f"{number}.jpg")
            assert api.fix_paths("made", tmp_path / "new", workspace=workspace).mended == 1
        assert (folder / "annotation.csv.bak").read_bytes() == before
        assert b"/old/2.jpg" in (folder / "annotation.csv.bak-2").read_bytes()
        assert b"/old/" not in (folder / "annotation.csv").read_bytes()
        assert (folder / "annotation.csv.bak").read_bytes() == before

    def test_parts_are_mended_with_the_whole_and_no_other_way(self, make, folder, workspace, tmp_path):
        picture(tmp_path / "new" / "1.jpg")
        picture(tmp_path / "new" / "2.jpg")
        make([["a/1.jpg", "q", "a"], ["b/1.jpg", "q", "a"], ["/old/2.jpg", "q", "a"]])
        (folder / "one.split.csv").write_text("id,image_path,question,answer\n0,a/1.jpg,q,a\n2,/old/2.jpg,q,a\n")
        done = api.fix_paths("made", tmp_path / "new", workspace=workspace)
        (part,) = done.parts
        assert (done.mended, part.mended, len(part.lost)) == (1, 1, 1), "b/1.jpg would lead to the same file"
        assert str(tmp_path / "new" / "2.jpg") in part.table.read_text()
        assert (folder / "one.split.csv.bak").is_file()
        assert done.outside == {tmp_path / "new"}

    def test_images_left_outside_are_to_be_allowed_which_is_told(self, make, workspace, tmp_path):
        picture(tmp_path / "new" / "1.jpg")
        make([["/old/1.jpg", "q", "a"]])
        argv = ["--workspace", str(workspace.root), "dataset", "fix-paths", "made", "--root", str(tmp_path / "new")]
        told = " ".join(CliRunner().invoke(cli, argv).output.split())
        assert f'say image_folders = ["{tmp_path / "new"}"] under [settings]' in told

    def test_images_moved_into_the_folder_are_named_from_there(self, make, folder, workspace):
        picture(folder / "images" / "1.png")
        make([["/elsewhere/1.png", "q", "a"]])
        api.fix_paths("made", folder, workspace=workspace)
        with (folder / "annotation.csv").open(encoding="utf-8") as file:
            assert next(csv.DictReader(file))["image_path"] == "images/1.png"

    def test_a_wrong_root_is_one_sentence(self, make, workspace, tmp_path):
        make([["a.png", "q", "a"]])
        with pytest.raises(UsageError, match="there is no such folder"):
            api.fix_paths("made", tmp_path / "none", workspace=workspace)


class TestParts:
    @pytest.fixture
    def documents(self, make, workspace):
        make([["[]", f"q{n}", f"a{n}", "", f"d{n // 8}"] for n in range(800)])
        return workspace

    def test_a_document_is_in_one_part_alone_and_all_are_in_some(self, documents):
        parts = api.split_dataset("made", {"search": 25, "select": 50, "confirm": 25}, workspace=documents)
        assert sum(part.documents for part in parts) == 100
        assert sum(part.samples for part in parts) == 800
        assert [round(part.documents / 100, 1) for part in parts] == pytest.approx([0.25, 0.5, 0.25], abs=0.13)
        held = [list(open_dataset(documents, f"made/{part.name}")) for part in parts]
        names = [{sample.document for sample in samples} for samples in held]
        assert sum(map(len, names)) == len(set.union(*names)) == 100
        whole = {sample.id: sample for sample in open_dataset(documents, "made")}
        assert all(whole[sample.id].question == sample.question for samples in held for sample in samples)

    def test_documents_stay_where_they_are_when_others_come(self, documents, make):
        (before, _) = api.split_dataset("made", {"a": 1, "b": 1}, workspace=documents)
        kept = {sample.document for sample in open_dataset(documents, "made/a")}
        make([["[]", f"q{n}", f"a{n}", "", f"d{n // 8}"] for n in range(1600)])
        api.split_dataset("made", {"a": 1, "b": 1}, workspace=documents)
        after = {sample.document for sample in open_dataset(documents, "made/a")}
        assert kept == {name for name in after if int(name[1:]) < 100}
        other = api.split_dataset("made", {"a": 1, "b": 1}, seed=1, workspace=documents)
        assert before.path.exists()
        assert {s.document for s in open_dataset(documents, "made/a")} != after, other

    def test_a_part_is_asked_under_its_own_name(self, documents):
        api.sample_dataset("made", 5, workspace=documents)
        outcome = api.run(models="echo", dataset="made/sample", workspace=documents)
        assert (outcome.folder.name, outcome.models[0].ok) == ("made-sample", 5)

    def test_so_many_of_each_type(self, make, workspace):
        header = ("question", "answer", "question_type")
        make([[f"q{n}", "a", "rare" if n < 2 else "common"] for n in range(40)], header)
        shutil.move(workspace.root / "datasets" / "made" / "annotation.csv", workspace.root / "datasets" / "texts.csv")
        part = api.sample_dataset("texts", 5, per="question_type", workspace=workspace)
        types = [sample.question_type for sample in open_dataset(workspace, str(part.path))]
        assert (types.count("rare"), types.count("common")) == (2, 5)

    @pytest.mark.parametrize("shares", [{}, {"a": 0}, {"a": -1, "b": 2}, {"../a": 1}])
    def test_shares_that_are_none_are_refused(self, documents, shares):
        with pytest.raises(BakeoffError):
            api.split_dataset("made", shares, workspace=documents)


def test_the_sheet_shows_boxes_and_answers_and_runs_nothing(make, folder, workspace, tmp_path):
    picture(folder / "a.png")
    (folder / "b.png").write_bytes(b"")
    hostile = '<script>alert(1)</script><img src=x onerror="alert(1)">'
    make([["a.png", hostile, hostile, "[50, 25, 150, 75]"], ["b.png", "q", ""], ["[]", "only text", "a"]])
    path, count = api.show_dataset("made", tmp_path / "sheet.html", workspace=workspace)
    page = path.read_text(encoding="utf-8")
    assert count == 3
    assert "<script" not in page
    assert "onerror=&#34;" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "left:25.000%;top:25.000%;width:50.000%;height:50.000%" in page
    assert len(re.findall(r'src="data:image/jpeg;base64,', page)) == 2, "the image and what is in its box"
    assert "the image is empty (0 bytes)" in page
    assert "http" not in re.sub(r"data:[^\"]*", "", page).replace("http-equiv", "")
