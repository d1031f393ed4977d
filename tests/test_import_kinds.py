"""Importing what other programs and people write: each kind on files of the shapes they have."""

import base64
import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from orchestrator.api import import_dataset
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, UsageError

ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v3#"><Description><MeasurementUnit>mm10</MeasurementUnit>
<sourceImageInformation><fileName>C:\\scans\\page.png</fileName></sourceImageInformation></Description>
<Layout><Page ID="P1" WIDTH="2000" HEIGHT="1000"><PrintSpace><TextBlock ID="b1" HPOS="0" VPOS="0" WIDTH="2000"
HEIGHT="500"><TextLine ID="l1" HPOS="200" VPOS="100" WIDTH="1000" HEIGHT="200"><String CONTENT="Le" /><SP />
<String CONTENT="cœur" /><HYP CONTENT="-" /></TextLine><TextLine ID="l2" HPOS="200" VPOS="300" WIDTH="1000"
HEIGHT="200"><String CONTENT="deux" /><String CONTENT="mots" /></TextLine></TextBlock>
<TextBlock ID="b2" HPOS="0" VPOS="600" WIDTH="10" HEIGHT="1"><TextLine ID="l3" HPOS="0" VPOS="600" WIDTH="10"
HEIGHT="1"><String CONTENT="thin" /></TextLine></TextBlock></PrintSpace></Page></Layout></alto>"""
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"><Page imageFilename="page.png"
imageWidth="200" imageHeight="100"><ReadingOrder><OrderedGroup id="g"><RegionRefIndexed index="0" regionRef="r2"/>
<RegionRefIndexed index="1" regionRef="r1"/></OrderedGroup></ReadingOrder>
<TextRegion id="r1" type="paragraph"><Coords points="0,50 200,50 200,100 0,100"/><TextLine id="r1l1"><Coords
points="10,60 90,60 90,80 10,80"/><TextEquiv index="1"><Unicode>other reading</Unicode></TextEquiv>
<TextEquiv index="0"><Unicode>second</Unicode></TextEquiv></TextLine></TextRegion>
<TextRegion id="r2" type="heading"><Coords points="0,0 200,0 200,50 0,50"/><TextLine id="r2l1"><Coords
points="10,10 90,10 90,30 10,30"/><TextEquiv><Unicode>first</Unicode></TextEquiv></TextLine>
<TextLine id="r2l2"><TextEquiv><Unicode>nowhere</Unicode></TextEquiv></TextLine></TextRegion></Page></PcGts>"""


def png(colour=(255, 0, 0), size=(40, 20)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def decoded(sample):
    with Image.open(sample.images[0]) as image:
        return image.convert("RGB")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def importing(workspace):
    def run(kind, given, **options):
        outcome = import_dataset(kind, str(given), "made", options=options, replace=True, workspace=workspace)
        return list(open_dataset(workspace, "made")), [tuple(problem) for problem in outcome.problems]

    return run


class TestFolder:
    @pytest.mark.parametrize("name", ["a.png", "sub/a.png", "a", "./sub\\a.png"])
    def test_an_image_is_found_by_name_path_or_stem(self, source, importing, name):
        (source / "sub").mkdir()
        (source / "sub" / "a.png").write_bytes(png())
        (source / "truth.json").write_text(json.dumps([{"file_name": name, "text": "00123", "lang": "fr"}]))
        (sample,), problems = importing("folder", source)
        assert (sample.references, sample.metadata, problems) == (("00123",), {"lang": "fr"}, [])

    def test_a_json_object_of_names_is_a_table(self, source, importing):
        for name in "abc":
            (source / f"{name}.png").write_bytes(png((ord(name), 0, 0)))
        truth = {"a.png": "plain", "b.png": {"date": "2024-01-02", "total": 12.50}, "c.png": ["x", "y"]}
        (source / "truth.json").write_text(json.dumps(truth).replace("12.5", "12.50"))
        samples, problems = importing("folder", source)
        assert problems == []
        assert [sample.references[0] for sample in samples[:1]] == ["plain"]
        assert json.loads(samples[1].references[0]) == {"date": "2024-01-02", "total": 12.5}
        assert json.loads(samples[2].references[0]) == ["x", "y"]

    def test_fields_are_asked_one_by_one(self, source, importing):
        (source / "a.png").write_bytes(png())
        (source / "truth.csv").write_text("image,date,total\na.png,01/02/2024,00.50\n")
        samples, _ = importing("folder", source, per_field="What is the {field}?")
        assert [(s.question, s.references, s.question_type) for s in samples] == [
            ("What is the date?", ("01/02/2024",), "date"),
            ("What is the total?", ("00.50",), "total"),
        ]

    def test_what_has_no_partner_is_told_on_either_side(self, source, importing):
        for name in ("a.png", "b.png", "x/same.png", "y/same.png"):
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_bytes(png())
        (source / "truth.csv").write_text("file,answer\na.png,1\nz.png,2\nsame.png,3\n")
        samples, problems = importing("folder", source)
        assert len(samples) == 1
        assert problems == [
            ("line 3, z.png", "there is no such image"),
            ("line 4, same.png", "several images are called so; write its path"),
            ("b.png", "no row of the truth names it"),
            ("x/same.png", "no row of the truth names it"),
            ("y/same.png", "no row of the truth names it"),
        ]

    def test_it_must_be_told_which_file_is_the_truth(self, source, importing, tmp_path):
        (source / "a.png").write_bytes(png())
        with pytest.raises(UsageError, match="--truth FILE"):
            importing("folder", source)
        (tmp_path / "broken.json").write_text('{"a.png": ')
        with pytest.raises(BakeoffError, match=r"broken\.json: is not JSON"):
            importing("folder", source, truth=str(tmp_path / "broken.json"))


class TestLayout:
    @pytest.fixture
    def page(self, source):
        image = Image.new("RGB", (200, 100), "white")
        ImageDraw.Draw(image).rectangle((20, 10, 119, 29), fill="black")  # where ALTO's first line is
        image.save(source / "page.png")
        return source

    def test_alto_lines_are_cut_out_where_their_boxes_are(self, page, importing):
        (page / "page.xml").write_text(ALTO, encoding="utf-8")
        samples, problems = importing("layout", page)
        assert [(s.references, s.document) for s in samples] == [(("Le cœur-",), "page"), (("deux mots",), "page")]
        first = decoded(samples[0])
        assert first.size == (100, 20), "2000 units are 200 pixels"
        assert first.getextrema() == ((0, 0),) * 3, "all of it is the black rectangle"
        assert json.loads(samples[0].metadata["page_bbox"]) == [20, 10, 120, 30]
        assert len(problems) == 1
        assert problems[0][0] == "page.xml, l3"

    def test_page_regions_come_in_reading_order_with_the_best_text(self, page, importing):
        (page / "page.xml").write_text(PAGE, encoding="utf-8")
        lines, problems = importing("layout", page)
        assert [line.references[0] for line in lines] == ["first", "second"]
        assert problems == [("page.xml, r2l2", "has no coordinates")]
        regions, _ = importing("layout", page, level="region", whole_page=True)
        assert [(r.references[0], r.answer_bbox) for r in regions] == [
            ("first\nnowhere", (0.0, 0.0, 200.0, 50.0)),
            ("second", (0.0, 50.0, 200.0, 100.0)),
        ]
        assert regions[0].images == regions[1].images

    def test_hostile_and_broken_files_are_named(self, page, importing):
        (page / "page.xml").write_text(PAGE, encoding="utf-8")
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><alto>&a;</alto>'
        for name, text in (("bomb", bomb), ("cut", ALTO[:400]), ("other", "<html/>"), ("lone", ALTO)):
            (page / f"{name}.xml").write_text(text.replace("page.png", "none.png"), encoding="utf-8")
        _, problems = importing("layout", page)
        told = dict(problems)
        assert "document type declaration" in told["bomb.xml"]
        assert "is not XML" in told["cut.xml"]
        assert "neither ALTO nor PAGE XML" in told["other.xml"]
        assert "--images" in told["lone.xml"]


class TestVlmEvalKit:
    def write(self, path, rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, delimiter="\t", restval="")
            writer.writeheader()
            writer.writerows(rows)

    def test_images_are_decoded_listed_and_referred_to(self, source, importing):
        red, blue = (base64.b64encode(png(colour)).decode() for colour in ((255, 0, 0), (0, 0, 255)))
        rows = [
            {"index": "a", "image": red, "question": "one", "answer": "00123"},
            {"index": "b", "image": "a", "question": "the same", "answer": "['x', 'y']"},
            {"index": "c", "image": f"['{red}', '{blue}']", "question": "two", "answer": "NA"},
            {"index": "d", "image": "e", "question": "ahead", "answer": "[__import__('os')]"},
            {"index": "e", "image": blue, "question": "later", "answer": "None"},
            {"index": "f", "image": "nobody", "question": "lost", "answer": ""},
            {"index": "g", "image": "!" * 100, "question": "broken", "answer": ""},
        ]
        self.write(source / "made.tsv", rows)
        samples, problems = importing("vlmevalkit", source / "made.tsv")
        assert [(s.id, s.references) for s in samples] == [
            ("a", ("00123",)),
            ("b", ("x", "y")),
            ("c", ("NA",)),
            ("d", ("[__import__('os')]",)),
            ("e", ("None",)),
        ]
        content = [[path.read_bytes() for path in sample.images] for sample in samples]
        assert content[0] == content[1]
        assert content[2] == [*content[0], *content[4]]
        assert content[3] == content[4]
        assert problems == [
            ("row f", "its image is that of row nobody, which has none"),
            ("row g", "its image is not base64"),
        ]

    def test_choices_stand_with_the_question(self, source, importing):
        row = {"index": "1", "image": base64.b64encode(png()).decode(), "question": "Which?", "hint": "Look."}
        self.write(source / "mcq.tsv", [{**row, "A": "red", "B": "blue", "answer": "A", "category": "colour"}])
        (sample,), _ = importing("vlmevalkit", source / "mcq.tsv")
        assert sample.question.startswith("Hint: Look.\nQuestion: Which?\nOptions:\nA. red\nB. blue\n")
        assert (sample.question_type, sample.metadata) == ("colour", {})

    def test_another_table_is_refused(self, source, importing):
        (source / "x.tsv").write_text("a\tb\n1\t2\n")
        with pytest.raises(BakeoffError, match="is no benchmark of VLMEvalKit"):
            importing("vlmevalkit", source / "x.tsv")


class TestHuggingFace:
    def test_an_imagefolder(self, source, importing):
        (source / "train").mkdir()
        (source / "train" / "a.png").write_bytes(png())
        lines = [{"file_name": "a.png", "text": "yes", "n": 7}, {"file_name": "b.png", "text": "no"}]
        (source / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
        (sample,), problems = importing("huggingface", source)
        assert (sample.references, sample.metadata) == (("yes",), {"n": "7"})
        assert problems[0][0] == "line 2"
        assert "there is no image" in problems[0][1]

    def test_parquet_with_image_structs(self, source, importing):
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        rows = {
            "image": pa.array([{"bytes": png(), "path": "x.png"}, {"bytes": b"<html>", "path": None}], image),
            "more": pa.array([[{"bytes": png((0, 9, 0)), "path": None}], []], pa.list_(image)),
            "question": ["q1", "q2"],
            "answers": [["one", "1"], ["two"]],
            "score": [1.5, None],
        }
        for split in ("train", "validation"):
            pq.write_table(pa.table(rows), source / f"{split}-00000-of-00001.parquet")
        (sample,), problems = importing("huggingface", source, split="validation")
        assert (sample.question, sample.references, len(sample.images)) == ("q1", ("one", "1"), 2)
        assert sample.metadata == {"score": "1.5"}
        assert problems == [("validation-00000-of-00001.parquet, row 2", "its image is of no known format")]

    def test_a_wrong_folder_split_or_file_is_one_sentence(self, source, importing):
        with pytest.raises(BakeoffError, match="holds neither Parquet files"):
            importing("huggingface", source)
        (source / "train.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1")
        with pytest.raises(BakeoffError, match="is not a readable Parquet file"):
            importing("huggingface", source)
        with pytest.raises(UsageError, match=r"no file is of the split 'test'; there are train\.parquet"):
            importing("huggingface", source, split="test")


class TestPromptfoo:
    def test_tests_with_expectations(self, source, importing):
        (source / "a.png").write_bytes(png())
        (source / "tests.csv").write_text(
            "question,image,lang,__expected,__expected2,__metadata:level\n"
            "Total?,file://a.png,en,10.29,,easy\n"
            "Date?,a.png,en,equals: 2024-01-02,llm-rubric: is polite,hard\n"
            'Ratio?,,en,"note: 3:1 is right",,\n'
            "Lost?,none.png,en,x,,\n"
        )
        samples, problems = importing("promptfoo", source / "tests.csv")
        assert [s.references for s in samples] == [("10.29",), ("2024-01-02",), ("note: 3:1 is right",)]
        assert samples[1].metadata["assertions"] == '["llm-rubric: is polite"]'
        assert samples[0].metadata["level"] == "easy"
        assert problems == [("line 5", "there is no image none.png")]

    def test_a_table_in_which_nothing_is_expected_is_told(self, source, importing, workspace):
        (source / "plain.csv").write_text("question,answer\nTotal?,10.29\n")
        told = []
        import_dataset("promptfoo", str(source / "plain.csv"), "plain", workspace=workspace, notify=told.append)
        assert any("nothing in it is expected" in sentence for sentence in told)

    def test_jsonl_with_variables(self, source, importing):
        test = {"vars": {"query": "q"}, "assert": [{"type": "icontains", "value": "Paris"}]}
        (source / "tests.jsonl").write_text(json.dumps(test))
        (sample,), _ = importing("promptfoo", source / "tests.jsonl")
        assert (sample.question, sample.references) == ("q", ("Paris",))


class TestPages:
    @pytest.fixture
    def documents(self, source):
        pages = [Image.new("RGB", (850, 1100), colour) for colour in ("red", "green", "blue")]
        pages[0].save(source / "a.pdf", save_all=True, append_images=pages[1:], resolution=100)
        first, second = (page.copy() for page in pages[:2])  # a page keeps the settings of the PDF's encoder
        first.save(source / "b.tiff", save_all=True, append_images=[second])
        return source

    def test_pages_are_rendered_at_the_stated_resolution(self, documents, importing):
        samples, problems = importing("pages", documents, dpi=50)
        assert problems == []
        assert [(s.document, s.metadata["page"]) for s in samples] == [
            *(("a.pdf", "1"), ("a.pdf", "2"), ("a.pdf", "3")),
            *(("b.tiff", "1"), ("b.tiff", "2")),
        ]
        sizes = [decoded(sample).size for sample in samples]
        assert sizes == [(425, 550)] * 3 + [(850, 1100)] * 2
        assert decoded(samples[2]).getpixel((200, 200))[2] > 200

    def test_all_pages_of_a_document_in_one_request_with_its_truth(self, documents, importing, tmp_path):
        (tmp_path / "truth.csv").write_text("file,question,answer\na.pdf,How many?,3\nnone.pdf,?,1\n")
        samples, problems = importing("pages", documents, per="document", truth=str(tmp_path / "truth.csv"), dpi=30)
        assert [(s.question, s.references, len(s.images)) for s in samples][:1] == [("How many?", ("3",), 3)]
        assert problems == [
            ("line 3, none.pdf", "there is no such document"),
            ("b.tiff", "it has no answer, which others have"),
        ]

    def test_the_truth_of_a_page_finds_it(self, documents, importing, tmp_path):
        (tmp_path / "truth.csv").write_text("file,page,question,answer\na.pdf,2,Colour?,green\na.pdf,9,Colour?,?\n")
        samples, problems = importing("pages", documents / "a.pdf", truth=str(tmp_path / "truth.csv"), dpi=30)
        assert [(s.references, s.metadata["page"]) for s in samples] == [(("green",), "2")]
        assert problems == [("line 3, a.pdf", "there is no page 9")]

    def test_broken_and_huge_documents_are_named(self, documents, importing):
        (documents / "c.pdf").write_bytes(b"%PDF-1.4 broken")
        (documents / "d.tif").write_bytes(b"II*\x00broken")
        (documents / "e.pdf").write_bytes(b"")
        samples, problems = importing("pages", documents, dpi=1200, pages_max=2)
        told = dict(problems)
        assert "has 3 pages" in told["a.pdf"]
        assert told["c.pdf"] == told["e.pdf"] == "is not a readable PDF"
        assert "is not a readable TIFF" in told["d.tif"]
        assert len(samples) == 2
        with pytest.raises(BakeoffError, match="choose a lower --dpi"):
            importing("pages", documents / "a.pdf", dpi=1200)
