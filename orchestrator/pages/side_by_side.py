"""Pages of runs about different samples in one file: the first is there, the others wait in templates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_START, _END = '<div id="part">\n', "</div><!-- end of part -->\n"


@dataclass(frozen=True, slots=True)
class Tabs:
    """The runs that a file has a page for each of, and why they stand `apart`; one label where it has one page."""

    labels: tuple[str, ...]
    apart: str = ""


def put_together(pages: Sequence[str]) -> Iterator[str]:
    """Yield the parts of one page that holds `pages`: the first, and what the script puts in its place when asked.

    The marks cannot come from what a page shows: there each `<` is escaped.
    """
    first, *others = pages
    _, end = _inside(first)
    yield first[:end]
    yield _END
    for number, other in enumerate(others, 2):
        begin, stop = _inside(other)
        yield f'<template id="part-{number}">\n'
        yield other[begin:stop]
        yield "</template>\n"
    yield first[end + len(_END) :]


def _inside(page: str) -> tuple[int, int]:
    return page.index(_START) + len(_START), page.rindex(_END)
