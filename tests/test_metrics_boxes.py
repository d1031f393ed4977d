"""Boxes: read out of what models write, by the convention of each family, against a sample's own box."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from orchestrator.errors import UsageError
from orchestrator.metrics import get_metric
from orchestrator.metrics.box_text import find_box
from orchestrator.metrics.boxes import centre_in_box, coverage, image_size, iou, qwen_size, to_pixels
from orchestrator.results.expected import iter_expected
from orchestrator.results.layout import SAMPLES_NAME, predictions_path
from orchestrator.results.plan import read_plan
from orchestrator.results.schema import PREDICTIONS, SAMPLES
from orchestrator.scoring import score_run
from tests.scored_run import Asked, by_metric, make_run

FIELD = (100.0, 100.0, 300.0, 130.0)
SIDE = st.integers(0, 60)


@pytest.mark.parametrize(
    "text",
    [
        "[100, 200, 300, 400]",
        "(100,200),(300,400)",
        "100, 200, 300, 400",
        "100 200 300 400",
        "The total is at [100, 200, 300, 400].",
        "<|box_start|>(100,200),(300,400)<|box_end|>",
        "<|object_ref_start|>the total<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|><|im_end|>",
        "<box>[[100, 200, 300, 400]]</box>",
        "<box>100 200 300 400</box>",
        '{"bbox_2d": [100, 200, 300, 400], "label": "total"}',
        '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "total"}]\n```',
        '[{"label": "total", "bbox_2d": [100, 200, 300, 400]}, {"bbox_2d": [1, 2, 3, 4]}]',
        '{"label": [1, 2, 3, 4], "bbox": [[100, 200], [300, 400]]}',
        '{"x1": 100, "y1": 200, "x2": 300, "y2": 400}',
        '{"answer": {"box": {"xmin": 100, "ymin": 200, "xmax": 300, "ymax": 400}}}',
        "[[100, 200], [300, 400]]",
        "[[100.0, 200.0, 300.0, 400.0], [1, 2, 3, 4]]",
    ],
)
def test_a_box_is_found_however_it_is_written(text):
    assert find_box(text) == (100, 200, 300, 400)


@pytest.mark.parametrize(
    "text",
    [
        *("", "none", "[1, 2, 3]", "[1,2,3,4,5]", "12.50", "{}", "[[1,2,3,4],"[:5], '{"bbox": "no"}'),
        *("[NaN, 1, 2, 3]", '{"bbox": [0, 0, Infinity, 10]}', "[0, 0, 1e999, 10]", f"[0, 0, 1{'0' * 400}, 10]"),
    ],
)
def test_what_holds_no_box_has_none(text):
    assert find_box(text) is None


def test_a_hostile_answer_costs_no_time():
    for text in ("[" * 100_000, "(1," * 50_000, "1 " * 100_000, "[1, " * 50_000, " " * 200_000 + "[1"):
        assert find_box(text) is None


@settings(deadline=None)
@given(st.tuples(SIDE, SIDE, SIDE, SIDE), st.tuples(SIDE, SIDE, SIDE, SIDE))
def test_overlaps_are_what_counting_pixels_gives(one, other):
    (box, inside), (right, wanted) = pixels(*one), pixels(*other)
    both, together = len(inside & wanted), len(inside | wanted)
    assert iou(box, right) == pytest.approx(both / together if together else 0.0)
    assert coverage(box, right) == pytest.approx(both / len(wanted) if wanted else 0.0)


def pixels(x, y, width, height):
    return (x, y, x + width, y + height), {(i, j) for i in range(x, x + width) for j in range(y, y + height)}


@pytest.mark.parametrize(("slip", "right"), [(0, 1.0), (5, 25 / 35), (10, 0.5), (15, 1 / 3), (30, 0.0)])
def test_a_slip_of_some_pixels_costs_a_field_much(slip, right):
    assert iou((100, 100 + slip, 300, 130 + slip), FIELD) == pytest.approx(right)


@pytest.mark.parametrize(
    ("box", "is_in"),
    [((0, 0, 400, 230), 1.0), ((0, 0, 10, 10), 0.0), ((300, 130, 300, 130), 1.0), ((0, 0, 1e6, 1e6), 0.0)],
)
def test_the_pointing_game_looks_at_the_centre(box, is_in):
    assert centre_in_box(box, FIELD) == is_in


def test_a_box_turned_inside_out_covers_nothing():
    assert iou((300, 130, 100, 100), FIELD) == coverage((300, 130, 100, 100), FIELD) == 0.0


@pytest.mark.parametrize("box", [(300, 130, 100, 100), (100, 130, 300, 100), (300, 100, 100, 130)])
def test_corners_may_come_in_any_order(box):
    for answer, right in ((box, FIELD), (FIELD, box)):
        for name in ("iou", "coverage", "centre_in_box"):
            sample = {"answer_bbox": right, "images": [], "info": {}}
            assert get_metric(name).measure(json.dumps(answer), (), sample).score == 1.0


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.png"
    Image.new("L", (2000, 500)).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("convention", "numbers", "info"),
    [
        ("px", (100, 50, 300, 150), {}),
        ("qwen2-vl", (50, 100, 150, 300), {}),
        ("qwen3-vl", (50, 100, 150, 300), {}),
        ("gemini", (100, 50, 300, 150), {}),
        ("unit", (0.05, 0.1, 0.15, 0.3), {}),
        ("qwen2.5-vl", (50, 28, 150, 84), {"images": [{"width": 1000, "height": 280, "tokens": 1}]}),
        ("qwen2.5-vl", (99.4, 50.4, 298.2, 151.2), {}),
    ],
)
def test_every_family_has_its_convention(page, convention, numbers, info):
    box = to_pixels(numbers, convention, {"images": [(page, "")], "info": info})
    assert box == pytest.approx((100, 50, 300, 150))


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((2000, 500), (1988, 504)),
        ((640, 640), (644, 644)),
        ((10, 10), (56, 56)),
        ((10000, 8000), (4004, 3192)),
        ((5, 900), (28, 896)),
    ],
)
def test_the_resized_size_is_that_of_qwens_processor(size, resized):
    """Worked by hand from `smart_resize` of qwen-vl-utils with sides of 28 and 3136 to 12845056 pixels."""
    assert qwen_size(*size) == resized


def test_the_size_of_an_image_that_changed_is_not_known(page, tmp_path):
    assert image_size(page, "") == (2000, 500)
    assert image_size(page, "0" * 64) is None
    assert image_size(str(tmp_path / "gone.png"), "") is None


@pytest.mark.parametrize("name", ["iou@qwen", "centre_in_box@pixels", "coverage@ci"])
def test_an_unknown_convention_names_the_nearest(name):
    with pytest.raises(UsageError, match=f"there is no metric '{name}'"):
        get_metric(name)


def fill(run, samples, predictions):
    """Write further columns into the samples and the predictions of a run, whose keys then are of these samples."""
    rows = pq.read_table(run / SAMPLES_NAME).to_pylist()
    pq.write_table(pa.Table.from_pylist(changed(rows, samples), SAMPLES), run / SAMPLES_NAME)
    (cell,) = read_plan(run).cells
    keys = [row.key for batch in iter_expected(run, cell) for row in batch]
    path = predictions_path(run, "echo")
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist(changed(rows, {**predictions, "key": keys}), PREDICTIONS), path)


def changed(rows, columns):
    return [{**row, **{name: values[n] for name, values in columns.items()}} for n, row in enumerate(rows)]


def test_boxes_are_scored_from_a_run_and_each_lack_has_its_reason(tmp_path, page):
    answers = ["[100, 50, 300, 150]", "[50, 28, 150, 84]", "the left half", "[1, 2, 3, 4]", "[100, 50, 300, 150]"]
    run = make_run(tmp_path, [Asked([], [answer]) for answer in answers])
    image, box = [{"path": page, "sha256": ""}], [100.0, 50.0, 300.0, 150.0]
    shown = json.dumps({"images": [{"width": 1000, "height": 280}]})
    samples = {"images": [image, image, image, image, []], "answer_bbox": [box, box, box, None, box]}
    fill(run, samples, {"info": [None, shown, None, None, None]})
    figures = by_metric(score_run(run, ["iou", "iou@qwen2.5-vl", "centre_in_box", "coverage@gemini"]))
    assert figures["iou"].mean == pytest.approx((1 + iou((50, 28, 150, 84), (100, 50, 300, 150)) + 1) / 3)
    assert figures["iou"].reasons == {"no_box": 1, "no_reference": 1}
    assert figures["iou@qwen2.5-vl"].reasons == {"no_box": 1, "no_reference": 1, "unknown_size": 1}
    assert figures["iou@qwen2.5-vl"].mean == pytest.approx(
        (1 + iou((100.6, 49.6, 301.8, 148.8), (100, 50, 300, 150))) / 2, abs=0.01
    )
    assert figures["centre_in_box"].mean == 1.0
