"""Importing what is hostile, cut short, or says two things at once: told as a problem, never taken, never guessed."""

import base64
import csv
import dataclasses
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator.api import import_dataset
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.matching import Matcher

ALTO = """<alto><Description><sourceImageInformation><fileName>page.png</fileName></sourceImageInformation>
</Description><Layout><Page WIDTH="200" HEIGHT="100"><TextBlock>
<TextLine ID="l1" HPOS="10" VPOS="10" WIDTH="50" HEIGHT="20"><String CONTENT="one"/></TextLine>
<TextLine ID="l2" HPOS="10" VPOS="50" WIDTH="50" HEIGHT="20"><String CONTENT="two"/></TextLine>
</TextBlock></Page></Layout></alto>"""


def png(colour=(255, 0, 0), size=(200, 100)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def answers(samples):
    return [sample.references[0] for sample in samples]


@pytest.fixture
def source(tmp_path):
    """Return an empty folder, beside which lie a secret and an image that are nobody's business."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "private.png").write_bytes(png((1, 2, 3)))
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.png").write_bytes(png())
    return folder


@pytest.fixture
def run(workspace):
    def run(kind, given, **options):
        outcome = import_dataset(kind, str(given), "made", options=options, replace=True, workspace=workspace)
        return list(open_dataset(workspace, "made")), [tuple(problem) for problem in outcome.problems]

    run.workspace = workspace
    return run


def write_tsv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


class TestFence:
    """What a source names is copied into the dataset, so it must be an image of the source's."""

    def give(self, kind, source, names):
        """Write a source of `kind` whose rows name these images; return what is imported."""
        rows = [{"file_name": name, "image": name, "question": "q", "text": "t"} for name in names]
        if kind == "imagefolder":
            (source / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
            return "huggingface", source
        if kind == "parquet":
            struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            cells = pa.array([{"bytes": None, "path": name} for name in names], struct)
            pq.write_table(pa.table({"image": cells, "text": ["t"] * len(names)}), source / "train.parquet")
            return "huggingface", source
        if kind == "vlmevalkit":
            tsv = [{"index": n, "image_path": name, "question": "q", "answer": "t"} for n, name in enumerate(names)]
            write_tsv(source / "made.tsv", tsv)
            return kind, source / "made.tsv"
        tests = [
            {"vars": {"question": "q", "image": name}, "assert": [{"type": "equals", "value": "t"}]} for name in names
        ]
        (source / "tests.jsonl").write_text("\n".join(map(json.dumps, tests)))
        return kind, source / "tests.jsonl"

    @pytest.mark.parametrize("kind", ["imagefolder", "parquet", "vlmevalkit", "promptfoo"])
    def test_a_row_reads_images_of_its_source_alone(self, source, run, kind, tmp_path):
        (source / "notes.txt").write_text("no image")
        (source / "link.png").symlink_to(tmp_path / "private.png")
        away = ["../private.png", str(tmp_path / "private.png"), "link.png"]
        names = ["a.png", *away, "../secret.txt", "notes.txt", "x" * 5000, "b\0.png"]
        samples, problems = run(*self.give(kind, source, names))
        assert answers(samples) == ["t"]
        assert samples[0].images[0].read_bytes() == png()
        reasons = [reason for _, reason in problems]
        assert len(reasons) == len(names) - 1
        assert ["outside the source's folder" in reason for reason in reasons[:4]] == [True] * 4
        assert "is not an image" in reasons[4]
        assert "there is no image" in reasons[5]
        assert all(len(reason) < 500 for reason in reasons)
        kept = list((run.workspace.root / "datasets" / "made").rglob("*"))
        assert len([path for path in kept if path.parent.name == "images"]) == 1

    def test_what_the_workspace_allows_is_read(self, source, run, tmp_path):
        names = ["../private.png"]
        settings = run.workspace.settings.model_copy(update={"image_folders": (str(tmp_path),)})
        workspace = dataclasses.replace(run.workspace, settings=settings)
        kind, given = self.give("imagefolder", source, names)
        outcome = import_dataset(kind, str(given), "made", workspace=workspace)
        assert (outcome.rows, outcome.problems) == (1, [])

    @pytest.mark.parametrize("kind", ["folder", "text-pairs", "pages"])
    def test_links_do_not_lead_out_of_a_folder(self, source, run, kind, tmp_path):
        Image.open(tmp_path / "private.png").save(tmp_path / "private.pdf")
        Image.open(tmp_path / "private.png").save(source / "p.pdf")
        (source / "a.txt").write_text("right")
        (source / "b.png").symlink_to(tmp_path / "private.png")
        (source / "b.txt").write_text("of a private image")
        (source / "c.png").write_bytes(png())
        (source / "c.txt").symlink_to(tmp_path / "secret.txt")
        (source / "p.txt").symlink_to(tmp_path / "secret.txt")
        (source / "q.pdf").symlink_to(tmp_path / "private.pdf")
        (source / "r.pdf").write_bytes((source / "p.pdf").read_bytes())
        (source / "truth.csv").write_text("file,answer\na.png,right\nb.png,of a private image\n")
        options = {"per": "document"} if kind == "pages" else {}
        samples, problems = run(kind, source, **options)
        out = sorted(what for what, reason in problems if "outside the source's folder" in reason)
        expected = {"folder": ["line 3, b.png"], "text-pairs": ["b.png", "c.png"], "pages": ["p.pdf", "q.pdf"]}
        assert out == expected[kind]
        assert len(samples) == 1
        assert "secret" not in (run.workspace.root / "datasets" / "made" / "annotation.csv").read_text()

    def test_a_truth_that_leads_out_is_not_found_by_itself(self, source, run, tmp_path):
        (tmp_path / "mine.csv").write_text("file,answer\na.png,x\n")
        (source / "truth.csv").symlink_to(tmp_path / "mine.csv")
        with pytest.raises(BakeoffError, match="outside the source's folder"):
            run("folder", source)
        assert answers(run("folder", source, truth=str(tmp_path / "mine.csv"))[0]) == ["x"]

    def test_a_download_with_links_to_its_blobs_is_read(self, source, run):
        blobs, revision = source / "blobs", source / "snapshots" / "main"
        blobs.mkdir()
        revision.mkdir(parents=True)
        (blobs / "1").write_bytes(png())
        (blobs / "2").write_text('{"file_name": "a.png", "text": "t"}')
        (revision / "a.png").symlink_to("../../blobs/1")
        (revision / "metadata.jsonl").symlink_to("../../blobs/2")
        assert answers(run("huggingface", revision)[0]) == ["t"]


class TestWhichImage:
    @pytest.mark.parametrize(
        ("names", "given", "found"),
        [
            ("test/1.jpg", "train/1.jpg", None),
            ("test/1.jpg", "/data/test/1.jpg", "test/1.jpg"),
            ("1.jpg", "scans/1.jpg", "1.jpg"),
            ("x/a/1.jpg 1.jpg", "a/1.jpg", "x/a/1.jpg"),
            ("a/1.jpg b/1.jpg", "1.jpg", None),
            ("a/1.jpg b/1.jpg", "b/1", "b/1.jpg"),
            ("1.jpg 1.png", "1", None),
            ("ba/1.jpg", "a/1.jpg", None),
            ("1.jpg", "a/" * 100_000 + "1.jpg", None),
        ],
    )
    def test_a_path_fits_part_by_part(self, names, given, found):
        matcher = Matcher(names.split(), "image", [given])
        if found is None:
            with pytest.raises(ValueError, match="image"):
                matcher.find(given)
        else:
            assert matcher.find(given) == found

    def test_two_paths_to_one_image_give_it_to_neither(self, source, run):
        (source / "1.jpg").write_bytes(png())
        (source / "truth.csv").write_text("file,answer\ntrain/1.jpg,x\ntest/1.jpg,y\na.png,z\n./a.png,z2\n")
        samples, problems = run("folder", source)
        assert answers(samples) == ["z", "z2"]
        assert [what for what, _ in problems] == ["line 2, train/1.jpg", "line 3, test/1.jpg"]
        assert "test/1.jpg too" in problems[0][1]

    def test_two_documents_of_one_name_are_not_guessed(self, source, run, tmp_path):
        for folder in ("x", "y"):
            (source / folder).mkdir()
            Image.new("RGB", (50, 50), "red").save(source / folder / "c.pdf")
        (tmp_path / "truth.csv").write_text("file,answer\nc.pdf,1\ny/c.pdf,2\n")
        samples, problems = run("pages", source, truth=str(tmp_path / "truth.csv"), dpi=20)
        assert [(s.document, s.references) for s in samples] == [("y/c.pdf", ("2",))]
        assert ("line 2, c.pdf", "several documents are called so; write its path") in problems

    def test_volumes_with_pages_of_one_name(self, source, run, tmp_path):
        images = tmp_path / "images"
        for folder in ("v1", "v2"):
            (source / folder).mkdir()
            (images / folder).mkdir(parents=True)
            (source / folder / "0001.xml").write_text(ALTO.replace("page.png", "0001.png"))
            (images / folder / "0001.png").write_bytes(png((int(folder[1]), 0, 0)))
        samples, problems = run("layout", source, images=str(images), whole_page=True)
        assert problems == []
        assert [(s.id, s.document) for s in samples][1:3] == [("v1/0001-l2", "v1/0001"), ("v2/0001-l1", "v2/0001")]
        assert samples[2].images[0].read_bytes() == png((2, 0, 0))
        (images / "0001.png").write_bytes(png())
        for folder in ("v1", "v2"):
            (images / folder / "0001.png").unlink()
        (source / "page.xml").write_text(ALTO)
        (source / "page.png").write_bytes(png())
        (images / "page.png").write_bytes(png())
        samples, problems = run("layout", source, images=str(images))
        assert {s.document for s in samples} == {"page"}
        assert [what for what, _ in problems] == ["v1/0001.xml", "v2/0001.xml"]
        assert "0001.png is that of v2/0001.xml too" in problems[0][1]


class TestVlmEvalKit:
    def test_a_repeated_index_gives_its_image_to_nobody(self, source, run):
        red, blue, green = (base64.b64encode(png(c)).decode() for c in ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
        told = [
            ("a", red),
            ("a", blue),
            ("b", green),
            ("c", "a"),
            ("d", "b"),
            ("e", f"[{red}, {'!' * 80}]"),
            ("f", "e"),
        ]
        write_tsv(source / "x.tsv", [{"index": i, "image": m, "question": i, "answer": i} for i, m in told])
        samples, problems = run("vlmevalkit", source / "x.tsv")
        assert answers(samples) == ["a", "b", "d"]
        assert samples[2].images == samples[1].images
        reasons = dict(problems)
        assert "that of several rows" in reasons["row c"]
        assert "is that of row e" in reasons["row f"]

    def test_a_row_with_too_few_cells_is_refused(self, source, run):
        (source / "x.tsv").write_text("index\timage_path\tquestion\tanswer\n1\ta.png\tq\tx\n2\ta.png\tq\n")
        with pytest.raises(BakeoffError, match=r"x\.tsv, line 3: has fewer cells than the header"):
            run("vlmevalkit", source / "x.tsv")

    def test_hint_and_prediction_are_kept(self, source, run):
        row = {"index": "1", "image_path": "a.png", "question": "q", "hint": "Look.", "answer": "x", "prediction": "y"}
        write_tsv(source / "x.tsv", [row])
        (sample,), _ = run("vlmevalkit", source / "x.tsv")
        assert sample.question == "Hint: Look.\nQuestion: q"
        assert "y" in sample.metadata.values()
        (sample,), _ = run("vlmevalkit", source / "x.tsv", choices=False)
        assert (sample.question, sample.metadata["hint"]) == ("q", "Look.")


class TestNumbers:
    @pytest.mark.parametrize("kind", ["folder", "huggingface", "promptfoo"])
    def test_they_stay_as_they_were_written(self, source, run, kind):
        numbers = '{"total": 86.00, "far": [1e5, -0, 12.50], "many": 0.1234567890123456789}'
        if kind == "folder":
            (source / "truth.json").write_text(f'{{"a.png": {numbers}}}')
            samples, _ = run(kind, source)
            assert samples[0].references == (numbers,)
            (source / "truth.json").write_text('{"a.png": 12.50}')
            assert answers(run(kind, source)[0]) == ["12.50"]
        elif kind == "huggingface":
            (source / "metadata.jsonl").write_text(
                f'{{"file_name": "a.png", "text": 12.50, "more": {numbers}, "n": 1.0}}'
            )
            samples, _ = run(kind, source)
            assert samples[0].references == ("12.50",)
            assert (samples[0].metadata["more"], samples[0].metadata["n"]) == (numbers, "1.0")
        else:
            check = f'{{"type": "equals", "value": {numbers}}}'
            test = f'{{"vars": {{"question": "q", "more": {numbers}}}, "assert": [{check}]}}'
            (source / "t.jsonl").write_text(test)
            samples, _ = run(kind, source / "t.jsonl")
            assert (samples[0].references, samples[0].metadata["more"]) == ((numbers,), numbers)

    def test_what_is_nested_too_deep_is_told(self, source, run):
        deep = "[" * 500 + "]" * 500
        (source / "truth.jsonl").write_text(
            f'{{"file": "a.png", "answer": {deep}}}\n{{"file": "a.png", "answer": "x"}}'
        )
        samples, problems = run("folder", source)
        assert answers(samples) == ["x"]
        assert "nested" in problems[0][1]


class TestOneBadFile:
    def test_of_a_layout(self, source, run):
        (source / "page.xml").write_text(ALTO.replace('HPOS="10" VPOS="10"', 'HPOS="nan" VPOS="1e999"'))
        (source / "page.png").write_bytes(png())
        Image.effect_noise((300, 300), 50).convert("RGB").save(source / "cut.jpg")
        (source / "cut.jpg").write_bytes((source / "cut.jpg").read_bytes()[:9000])
        (source / "cut.xml").write_text(ALTO.replace("page.png", "cut.jpg"))
        deep = "<TextLine>" * 5000 + "</TextLine>" * 5000
        (source / "deep.xml").write_text(f"<PcGts><Page><TextRegion>{deep}</TextRegion></Page></PcGts>")
        (source / "deep.png").write_bytes(png())
        (source / "wide.xml").write_text("<!DOCTYPE alto>" + ALTO, encoding="utf-16")
        (source / "long.xml").write_text(ALTO.replace("page.png", "x" * 5000))
        (source / "folder.xml").mkdir()
        samples, problems = run("layout", source)
        assert answers(samples) == ["two"]
        told = dict(problems)
        assert told["page.xml, l1"] == "has no coordinates"
        assert "cut.jpg is damaged" in told["cut.xml"]
        assert "document type declaration" in told["wide.xml"]
        assert told["deep.xml"] == "is nested too deep"
        assert "is not there" in told["long.xml"]

    def test_a_layout_finds_images_above_and_follows_no_link_there(self, source, run, tmp_path):
        (source / "private.xml").write_text(ALTO.replace("page.png", "private.png"))
        (source / "page.xml").write_text(ALTO)
        (source / "page.png").symlink_to(tmp_path / "private.png")
        (tmp_path / "private.png").write_bytes(png())
        samples, problems = run("layout", source)
        assert answers(samples) == ["one", "two"]
        assert "outside the source's folder" in dict(problems)["page.xml"]

    def test_of_text_pairs(self, source, run):
        (source / "a.txt").write_bytes(b"one\r\ntwo\r\n")
        (source / "b.png").symlink_to("nowhere.png")
        (source / "b.txt").write_text("b")
        (source / "d.png").mkdir()
        (source / "e.png").write_bytes(b"")
        (source / "e.txt").write_text("e")
        (source / "f.txt").write_text("alone")
        for name in ("g.png", "g.jpg"):
            (source / name).write_bytes(png())
        (source / "g.txt").write_text("whose?")
        samples, problems = run("text-pairs", source)
        assert answers(samples) == ["one\r\ntwo"]
        assert [what for what, _ in problems] == ["b.png", "e.png", "g.jpg", "g.png", "f.txt"]

    def test_of_documents(self, source, run, tmp_path):
        (source / "b.pdf").mkdir()
        Image.new("RGB", (50, 50), "red").save(source / "c.pdf")
        (tmp_path / "t.csv").write_text("file,page,answer\nc.pdf,inf,1\nc.pdf,1.5,2\nc.pdf,1.0,3\n")
        samples, problems = run("pages", source, truth=str(tmp_path / "t.csv"), dpi=20)
        assert answers(samples) == ["3"]
        assert [what for what, _ in problems] == ["line 2, c.pdf", "line 3, c.pdf"]

    def test_a_key_with_half_a_character_is_told(self, source, run):
        (source / "truth.json").write_text('{"a.png": "x", "\\ud800.png": "y", "z\\u0000.png": "y"}')
        samples, problems = run("folder", source)
        assert answers(samples) == ["x"]
        assert len(problems) == 2

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_truth_that_may_not_be_read(self, source, run):
        (source / "truth.jsonl").write_text("{}")
        (source / "truth.jsonl").chmod(0)
        with pytest.raises(BakeoffError, match="cannot be read"):
            run("folder", source)


class TestPages:
    def form(self):
        """Return a PDF whose only content is a field that was filled in: black all over."""
        parts = [
            "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Annots[4 0 R]>>",
            "<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/F 4/Rect[0 0 72 72]/P 3 0 R/AP<</N 5 0 R>>>>",
            "<</Type/XObject/Subtype/Form/BBox[0 0 72 72]/Length 17>>stream\n0 0 72 72 re f   \nendstream",
        ]
        body, places = b"%PDF-1.7\n", []
        for number, part in enumerate(parts, start=1):
            places.append(len(body))
            body += f"{number} 0 obj{part}endobj\n".encode()
        table = "".join(f"{place:010} 00000 n \n" for place in places)
        end = f"xref\n0 6\n0000000000 65535 f \n{table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
        return body + end.encode()

    def test_what_was_filled_into_a_form_is_shown(self, source, run):
        (source / "form.pdf").write_bytes(self.form())
        (sample,), _ = run("pages", source, dpi=72)
        with Image.open(sample.images[0]) as image:
            assert image.convert("L").getpixel((36, 36)) < 50

    def test_a_text_in_another_encoding_is_a_problem(self, source, run):
        for name in "cd":
            Image.new("RGB", (50, 50), "red").save(source / f"{name}.pdf")
        (source / "c-p001.txt").write_bytes("пример".encode("cp1251"))
        (source / "d-p001.txt").write_text("пример")
        samples, problems = run("pages", source, dpi=20)
        assert answers(samples) == ["пример"]
        assert problems == [("c.pdf", "c-p001.txt is not UTF-8 text")]

    def test_a_document_is_asked_about_with_all_its_pages(self, source, run):
        small, large = Image.new("RGB", (50, 50)), Image.new("RGB", (14000, 14000))
        small.save(source / "c.pdf")
        small.save(source / "d.pdf", save_all=True, append_images=[large], resolution=72)
        samples, problems = run("pages", source, per="document", dpi=72)
        assert [s.document for s in samples] == ["c.pdf"]
        assert [what for what, _ in problems] == ["d.pdf, page 2", "d.pdf"]

    def test_the_columns_of_the_truth_are_kept(self, source, run, tmp_path):
        Image.new("RGB", (50, 50), "red").save(source / "c.pdf")
        row = {"file": "c.pdf", "page": 1, "id": "x1", "answer": "1", "alternatives": ["one", 1.0], "level": "hard"}
        (tmp_path / "t.jsonl").write_text(json.dumps(row))
        (sample,), _ = run("pages", source, truth=str(tmp_path / "t.jsonl"), dpi=20)
        assert (sample.id, sample.references) == ("x1", ("1", "one", "1.0"))
        assert sample.metadata == {"page": "1", "level": "hard"}

    def test_a_folder_without_any_is_refused(self, source, run):
        (source / "b.pdf").mkdir()
        with pytest.raises(UsageError, match="is no PDF or TIFF"):
            run("pages", source)
        with pytest.raises(UsageError, match="has no XML files"):
            run("layout", source)
        with pytest.raises(UsageError, match="has no images"):
            run("text-pairs", source / "b.pdf")
