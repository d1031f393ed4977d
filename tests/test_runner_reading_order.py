"""The reading order that runners share: lines from boxes, on straight and on skewed pages."""

import importlib.util
import math
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st


def load_helper(name):
    path = Path(__file__).parents[1] / "runners" / "_shared" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"shared_{name}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reading_order = load_helper("reading_order")
group_lines, bounds = reading_order.group_lines, reading_order.bounds


def quad(x1, y1, x2, y2, degrees=0.0):
    turn = math.radians(degrees)
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return [(x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)) for x, y in corners]


def form(degrees=0.0):
    """Twelve lines of a label, a long value and, far to the right, a short amount; 30 pixels from line to line."""
    columns = ((40, 180), (220, 600), (1000, 1060))
    return [quad(left, 30 * row, right, 30 * row + 22, degrees) for row in range(12) for left, right in columns]


def test_no_boxes_make_no_lines():
    assert group_lines([]) == []


def test_boxes_side_by_side_are_one_line_from_left_to_right():
    assert group_lines([quad(200, 3, 300, 23), quad(0, 0, 100, 20)]) == [[1, 0]]


def test_boxes_one_above_the_other_are_lines_from_top_to_bottom():
    assert group_lines([quad(0, 30, 100, 50), quad(0, 0, 100, 20)]) == [[1], [0]]


def test_a_low_mark_joins_the_line_beside_it():
    assert group_lines([quad(0, 0, 100, 40), quad(110, 28, 120, 38)]) == [[0, 1]]


def test_lines_set_so_tight_that_their_boxes_overlap_stay_apart():
    assert group_lines([quad(0, 0, 100, 30), quad(0, 18, 100, 48), quad(120, 0, 200, 30)]) == [[0, 2], [1]]


def test_a_tall_logo_does_not_glue_the_lines_beside_it_together():
    logo, first, second = quad(0, 0, 80, 80), quad(100, 5, 300, 30), quad(100, 45, 300, 70)
    lines = group_lines([logo, first, second])
    assert sorted(map(sorted, lines)) in ([[0, 1], [2]], [[0, 2], [1]])


@pytest.mark.parametrize("degrees", [-3, -1.5, 0, 1.5, 3])
def test_a_skewed_page_keeps_its_lines(degrees):
    assert group_lines(form(degrees)) == [[3 * row, 3 * row + 1, 3 * row + 2] for row in range(12)]


def test_a_box_without_width_or_height_is_kept():
    assert sorted(i for line in group_lines([quad(5, 5, 5, 5), quad(0, 0, 9, 9)]) for i in line) == [0, 1]


def test_the_rectangle_around_a_quad_is_whole_pixels():
    assert bounds([(1.6, 2.2), (9.1, 1.7), (9.4, 5.5), (1.2, 6.0)]) == [1, 1, 10, 6]


coordinate = st.floats(0, 1000)


@pytest.mark.slow
@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=20))
def test_every_box_is_on_exactly_one_line(corners):
    quads = [quad(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    assert sorted(i for line in group_lines(quads) for i in line) == list(range(len(quads)))


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
def test_the_order_in_which_boxes_were_found_does_not_matter(chance: random.Random):
    quads = form(1.0)
    shuffled = chance.sample(range(len(quads)), len(quads))
    lines = group_lines([quads[i] for i in shuffled])
    assert [[shuffled[i] for i in line] for line in lines] == group_lines(quads)
