"""Make questions of Arkindex elements: the image by IIIF, the truth of annotations; for the server and the export."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.importing.arkindex_element import Element, Options, Store
from orchestrator.importing.arkindex_iiif import View, make_view
from orchestrator.importing.arkindex_truth import find_class, find_truth, make_question
from orchestrator.importing.gather import Gatherer, Got
from orchestrator.importing.guard import Guard, bare, make_guard
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_cache import UrlCache


class _Job(NamedTuple):
    """An element that can be asked about, once its image is there."""

    element: Element
    view: View
    answers: tuple[str, ...]
    doc_class: str | None


def read_elements(
    store: Store, source: Source, given: str, options: Options, notify: Notify, *, api_host: str | None = None
) -> Iterator[Record | Problem]:
    """Yield a question per element; what has no image or no truth is a Problem. `api_host` may be private."""
    guard = make_guard(options.allow_host)
    if api_host is not None:
        guard = Guard(guard.allowed | {api_host})
    question = make_question(options)
    jobs = _make_jobs(store, store.elements(given), options)
    with UrlCache(source.cache) as cache, Gatherer(cache, guard, notify, refresh=options.refresh) as gatherer:
        rows = ((job, (job.view.url,) if isinstance(job, _Job) else ()) for job in jobs)
        for got in gatherer.gather(rows):
            if isinstance(got.row, Problem):
                yield got.row
                continue
            last = _again(gatherer, got.row, got)
            if last.refused is not None:
                url, reason = last.refused
                remedy = "; have it scaled down with --max-side 4000" if "megapixels" in reason else ""
                yield Problem(_name(got.row.element), f"its image {bare(url)}: {reason}{remedy}")
            else:
                yield _make_record(store, got.row, last.paths, question)


def _make_jobs(store: Store, elements: Iterable[Element], options: Options) -> Iterator[_Job | Problem]:
    seen: dict[str, Element] = {}
    for element in elements:
        first = seen.setdefault(element.id, element)
        if first is not element:
            sets = f"in the sets {first.set_name} and {element.set_name}" if element.set_name else "there twice"
            yield Problem(_name(element), f"is {sets}; it was imported once")
            continue
        view = make_view(element, whole_image=options.whole_image, max_side=options.max_side)
        if view is None:
            yield Problem(_name(element), "has no image, or its zone lies outside of it")
            continue
        answers, reason = find_truth(store, element, options)
        if reason is not None:
            yield Problem(_name(element), reason)
            continue
        doc_class = find_class(element, options) if options.truth != "classification" else None
        yield _Job(element, view, answers, doc_class)


def _again(gatherer: Gatherer, job: _Job, got: "Got[_Job | Problem]") -> "Got[_Job | Problem]":
    """Ask for an image once more in the words of newer servers, where those of older ones did not do."""
    if got.refused is None or job.view.fallback is None or "the server says 4" not in got.refused[1]:
        return got
    (second,) = gatherer.gather([(job, (job.view.fallback,))])
    return got if second.refused is not None else Got(job, second.paths)


def _make_record(store: Store, job: _Job, paths: tuple[Path, ...], question: str) -> Record:
    element, image = job.element, job.element.image
    metadata = {
        "name": element.name,
        "element_type": element.type,
        "set": element.set_name,
        "link": store.link(element),
    }
    return Record(
        question=question,
        answer=job.answers[0],
        alternatives=job.answers[1:],
        images=(Picture(f"{element.name or element.id}.jpg", paths[0]),),
        id=element.id,
        doc_class=job.doc_class,
        answer_bbox=job.view.box,
        document=image.id if image is not None else None,
        metadata={name: value for name, value in metadata.items() if value is not None},
    )


def _name(element: Element) -> str:
    return f"{element.type} {element.name} ({element.id})"
