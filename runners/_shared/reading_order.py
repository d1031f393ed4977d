"""Put the boxes that a text detector found into the order in which a person reads them.

Lines come top to bottom, and the boxes of a line left to right. The page's slope is taken out first, so that a
page scanned a little askew still gives whole lines. Columns are not told apart: what stands side by side is one line.
"""

import math
from dataclasses import dataclass
from statistics import fmean, median

_SAME_LINE = 0.5  # two boxes are on one line when they share this part of the lower one's height ...
_STACKED = 0.5  # ... unless they share this part of the narrower one's width: then one is above the other
_LONG = 3.0  # the slope is measured on boxes at least this many times as wide as high


@dataclass(frozen=True, slots=True)
class _Span:
    """A box with the page's slope taken out."""

    index: int
    left: float
    right: float
    top: float
    bottom: float

    @property
    def middle(self):
        return (self.top + self.bottom) / 2


def group_lines(quads):
    """Return lines, top to bottom, each a list of indices into `quads`, left to right.

    A quad is four points (x, y) in pixels: top left, top right, bottom right, bottom left.
    """
    slope = _measure_slope(quads)
    spans = sorted((_level(i, quad, slope) for i, quad in enumerate(quads)), key=lambda span: span.middle)
    lines = []
    for span in spans:
        _place(span, lines)
    lines.sort(key=lambda line: fmean(span.middle for span in line))
    return [[span.index for span in sorted(line, key=lambda span: span.left)] for line in lines]


def bounds(quad):
    """Return the upright rectangle [x1, y1, x2, y2] around `quad`, in whole pixels."""
    xs, ys = [point[0] for point in quad], [point[1] for point in quad]
    return [math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))]


def _measure_slope(quads):
    """Return dy/dx of the text's direction: the median over long boxes, 0 where there are none."""
    edges = [(math.dist(q[0], q[1]), math.dist(q[0], q[3]), q) for q in quads]
    slopes = [(q[1][1] - q[0][1]) / (q[1][0] - q[0][0]) for w, h, q in edges if w >= _LONG * h and q[1][0] > q[0][0]]
    return median(slopes) if slopes else 0.0


def _level(index, quad, slope):
    xs = [point[0] for point in quad]
    ys = [y - slope * x for x, y in quad]
    # The mean of two corners, not the outermost: a box more askew than its page does not grow.
    return _Span(index, min(xs), max(xs), fmean(sorted(ys)[:2]), fmean(sorted(ys)[2:]))


def _place(span, lines):
    """Add `span` to the line it shares most height with, or begin a new one."""
    shared = [(_shared_height(span, line), i) for i, line in enumerate(lines)]
    most, i = max(shared, default=(0.0, -1))
    if most >= _SAME_LINE:
        lines[i].append(span)
    else:
        lines.append([span])


def _shared_height(span, line):
    """Return the part of height that `span` shares with its nearest neighbour in `line`; 0 when they are stacked."""
    if any(_overlap(span.left, span.right, other.left, other.right) > _STACKED for other in line):
        return 0.0
    nearest = min(line, key=lambda other: max(other.left - span.right, span.left - other.right))
    return _overlap(span.top, span.bottom, nearest.top, nearest.bottom)


def _overlap(low, high, other_low, other_high):
    """Return how much two intervals share, as a part of the shorter."""
    shared = min(high, other_high) - max(low, other_low)
    return shared / max(min(high - low, other_high - other_low), 1e-9)
