"""What a model or a dataset says is kept to the letter, and never drives the terminal it is shown on."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator import console
from orchestrator.results.layout import SAMPLES_NAME
from orchestrator.results.view import read_predictions
from tests.test_images import _image
from tests.workers import make_workspace

pytestmark = pytest.mark.slow  # each starts processes of its own, for seconds

RUNNERS = Path(__file__).parent / "runners"


def _read_texts():
    spec = importlib.util.spec_from_file_location("texts", RUNNERS / "strings/texts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TEXTS


TEXTS = _read_texts()
# What a table of UTF-8 text can hold; the longest are left out, for time.
WRITABLE = {
    name: text
    for name, text in TEXTS.items()
    if len(text) < 2000 and "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
}


def kept(text):
    """Return `text` as it should come back: halves of surrogate pairs that make no whole one are U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_calm(char):
    """Tell whether `char` may reach a terminal."""
    code = ord(char)
    is_control = (code < 32 and char not in "\n\t") or 0x7F <= code < 0xA0
    return not is_control and char not in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def assert_calm(shown):
    """Fail where `shown` could drive a terminal, or where something went wrong in showing it."""
    text = shown.decode()
    assert not {hex(ord(char)) for char in text if not is_calm(char)}
    assert "Traceback" not in text
    assert "bug in bakeoff" not in text


def bakeoff(workspace, *arguments, status=0):
    """Call the command and return stdout and stderr, both calm."""
    command = [sys.executable, "-m", "orchestrator", "--workspace", str(workspace.root), *arguments]
    process = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert_calm(process.stdout)
    assert_calm(process.stderr)
    assert process.returncode == status, process.stderr.decode()
    return process.stdout.decode(), process.stderr.decode()


def write_dataset(folder, header, rows):
    folder.mkdir(parents=True)
    with (folder / "annotation.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def place(tmp_path_factory, built_envs):
    """Make one workspace for all tests: what is asked of it is in runs of different names."""
    return make_workspace(tmp_path_factory.mktemp("untrusted") / "workspace", built_envs)


@pytest.fixture(scope="module")
def answered(place):
    """Let the model answer with each text, and fail with each."""
    folder = place.root / "datasets/said"
    asked = [f"{what} {name}" for what in ("answer", "fail") for name in TEXTS]
    write_dataset(folder, ["id", "image_path", "question", "answer"], [[each, "[]", each, "x"] for each in asked])
    return bakeoff(place, "run", "--model", "strings", "--dataset", "said")


def rows_of(place, run, model):
    return {row["sample_id"]: row for b in read_predictions(place.results / run, model) for row in b.to_pylist()}


def test_there_are_enough_texts():
    assert len(TEXTS) >= 60
    assert len(WRITABLE) >= 40


@pytest.mark.slow
@pytest.mark.usefixtures("answered")
def test_an_answer_is_kept_to_the_letter(place):
    rows = rows_of(place, "said", "strings")
    for name, text in TEXTS.items():
        assert rows[f"answer {name}"]["status"] == "ok"
        assert rows[f"answer {name}"]["text"] == kept(text), name


@pytest.mark.usefixtures("answered")
def test_an_error_message_is_kept(place):
    rows = rows_of(place, "said", "strings")
    for name in TEXTS:
        row = rows[f"fail {name}"]
        assert (row["status"], row["error_kind"]) == ("error", "bug"), name
    assert "\x1b[31mred" in rows["fail colour"]["error_message"]


def test_what_a_run_says_is_calm(answered):
    assert "answered" in answered[1]


@pytest.mark.usefixtures("answered")
@pytest.mark.slow
def test_scores_and_reports_are_calm(place):
    bakeoff(place, "score", "said")
    bakeoff(place, "report", "said")
    shown, _ = bakeoff(place, "report", "said", "--worst", "1000")
    assert r"\x1b[31mred\x1b[0m" in shown
    assert r"invoice \u202egpj.exe\u202c" in shown
    assert "[bold red]x[/]" in shown
    assert ":smile:" in shown
    assert "👩\u200d👩\u200d👧\u200d👦" in shown


@pytest.mark.slow
def test_a_first_look_is_calm(place, tmp_path):
    image = str(_image(tmp_path / "a.png"))
    shown, _ = bakeoff(place, "try", "strings", image, "answer all")
    assert r"\x1b]52;c;cm0gLXJmIH4=\x07" in shown
    bakeoff(place, "try", "strings", image, "fail all", status=3)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_calm(place):
    for how in ("fails_with", "dies_with"):
        bakeoff(
            place, "run", "--model", "strings", "--dataset", "words", "--param", f"{how}=all", "--run", how, status=3
        )


@pytest.fixture(scope="module")
def valued(place):
    """Ask about samples whose every cell is one of the texts."""
    header = ["id", "image_path", "question", "answer", "doc_class", "question_type", "note"]
    rows = [[text or "-", "[]", text, text, text, text, text] for text in WRITABLE.values()]
    write_dataset(place.root / "datasets/values", header, rows)
    return bakeoff(place, "run", "--model", "echo", "--dataset", "values")


@pytest.mark.usefixtures("valued")
def test_the_cells_of_a_dataset_are_kept_to_the_letter(place):
    samples = pq.read_table(place.results / "values" / SAMPLES_NAME).to_pylist()
    assert [sample["id"] for sample in samples] == [text or "-" for text in WRITABLE.values()]
    for field in ("question", "doc_class", "question_type"):
        assert [sample[field] or "" for sample in samples] == list(WRITABLE.values()), field
    assert [sample["references"] for sample in samples] == [[text] for text in WRITABLE.values()]
    rows = rows_of(place, "values", "echo")
    assert [rows[text or "-"]["text"] for text in WRITABLE.values()] == list(WRITABLE.values())


@pytest.mark.usefixtures("valued")
@pytest.mark.slow
def test_reports_on_such_a_dataset_are_calm(place):
    bakeoff(place, "score", "values", "--metric", "exact")
    bakeoff(place, "report", "values", "--worst", "1000", "--metric", "exact")


@pytest.mark.slow
def test_image_paths_are_told_calmly(place):
    rows = [[name, text.replace("\\", "") or ".", "q"] for name, text in WRITABLE.items() if text.strip()]
    rows = [row for row in rows if not row[1].strip().startswith("[")]
    write_dataset(place.root / "datasets/paths", ["id", "image_path", "question"], rows)
    bakeoff(place, "run", "--model", "echo", "--dataset", "paths", status=3)
    answers = rows_of(place, "paths", "echo")
    assert {row["status"] for row in answers.values()} == {"bad_input"}
    assert len(answers) >= len(rows) - 1, "two of the texts name the same path"
    bakeoff(place, "score", "paths")
    bakeoff(place, "report", "paths", "--worst", "1000", "--metric", "output_length")


@pytest.mark.parametrize("cell", ["a\0b", '["a\\ud800.png"]', '["\x1b[31m", "a\\udfff"]'])
def test_a_defect_of_a_table_is_told_calmly(place, cell):
    folder = place.root / "datasets/defect"
    write_dataset(folder, ["image_path", "question"], [[cell, "q"]])
    try:
        bakeoff(place, "run", "--model", "echo", "--dataset", "defect", status=1)
    finally:
        (folder / "annotation.csv").unlink()
        folder.rmdir()


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_printable_drives_a_terminal(name):
    shown = console.printable(TEXTS[name])
    assert_calm(shown.encode())
    assert console.printable(shown) == shown
    if all(map(is_calm, TEXTS[name])) and TEXTS[name].isprintable():
        assert shown == TEXTS[name]
