"""Elements and annotations from an Arkindex server, by its API."""

import re
import time
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import urljoin

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.arkindex_client import NOT_FOUND, ArkindexClient, AskError
from orchestrator.importing.arkindex_element import Element, Entity, Maker, Named, Options, Text
from orchestrator.importing.arkindex_shapes import read_element, read_entity, read_metadata, read_text
from orchestrator.importing.record import Notify

_TOLD_EVERY_S = 10.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


_Annotation = TypeVar("_Annotation", Text, Entity, Named)


class ApiStore:
    """A store that asks a server as it is asked; transcriptions of a folder come in one listing."""

    def __init__(self, client: ArkindexClient, api_url: str, options: Options, notify: Notify) -> None:
        """Take a client that was entered, and what is wanted."""
        self._client, self._api_url, self._options, self._notify = client, api_url, options, notify
        self._texts: dict[str, list[Text]] | None = None
        self._versions: dict[str, str | None] = {}
        self._told_s = time.monotonic()

    def elements(self, given: str) -> Iterator[Element]:
        """Yield the element itself if it is of the type, and those of the type below it; or those of a dataset.

        Raises UsageError where the server knows neither, BakeoffError where there are none.
        """
        try:
            root = read_element(self._client.ask("RetrieveElement", {"id": given}))
        except AskError as error:
            if error.status != NOT_FOUND:
                raise
            found = self._dataset(given)
        else:
            if self._options.set:
                raise UsageError(f"{given}: is a {root.type}, not a dataset; leave --set out")
            self._texts = self._all_texts(root)
            found = self._below(root)
        count = 0
        for element in found:
            count += 1
            self._tell(f"{count} elements found")
            yield element
        if not count:
            raise BakeoffError(f"{given}: has no {self._options.element_type}; {self._types(given)}")

    def texts(self, element: Element) -> list[Text]:
        """Return the transcriptions of an element itself."""
        if self._texts is not None:
            return self._texts.get(element.id, [])
        own = self._client.listing("ListTranscriptions", {"id": element.id}, **_person(self._options))
        return [self._resolved(read_text(item)) for item in own if _is_of(item, element.id)]

    def children(self, element: Element, kind: str) -> list[Element]:
        """Return the elements of a type anywhere below an element, in the order of their positions."""
        return list(self._list_children(element.id, kind))

    def entities(self, text: Text) -> list[Entity]:
        """Return what is marked in a transcription."""
        listing = self._client.listing("ListTranscriptionEntities", {"id": text.id})
        return [self._resolved(read_entity(item)) for item in listing]

    def metadata(self, element: Element) -> list[Named]:
        """Return the metadata of an element itself."""
        answer = self._client.ask("ListElementMetaData", {"id": element.id})
        items = answer["results"] if isinstance(answer, dict) else answer
        return [self._resolved(read_metadata(item)) for item in items]

    def link(self, element: Element) -> str | None:
        """Return the element's page on the server."""
        return urljoin(self._api_url, f"/element/{element.id}")

    def _below(self, root: Element) -> Iterator[Element]:
        kind = self._options.element_type
        if root.type == kind:
            yield self._with_classes(root)
        for child in self._list_children(root.id, kind):
            yield child._replace(set_name=root.set_name)

    def _list_children(self, element_id: str, kind: str) -> Iterator[Element]:
        chosen = {"recursive": True, "type": kind, "with_zone": True, "with_classes": True, "order": "position"}
        for item in self._client.listing("ListElementChildren", {"id": element_id}, **chosen):
            yield self._with_classes(read_element(item))

    def _with_classes(self, element: Element) -> Element:
        return element._replace(classes=tuple(map(self._resolved, element.classes)))

    def _dataset(self, given: str) -> Iterator[Element]:
        """Yield the elements of a dataset, each with the name of its set."""
        try:
            dataset = self._client.ask("RetrieveDataset", {"id": given})
        except AskError as error:
            if error.status != NOT_FOUND:
                raise
            raise UsageError(
                f"{given}: {self._api_url} knows no such element or dataset, or your token may not see it"
            ) from None
        sets = {each["name"] if isinstance(each, dict) else each for each in dataset.get("sets") or ()}
        if unknown := [name for name in self._options.set if sets and name not in sets]:
            raise UsageError(f"{given}: has no set '{unknown[0]}'; there are {', '.join(sorted(sets))}")
        for item in self._client.listing("ListDatasetElements", {"id": given}, with_count=True):
            if self._options.set and item["set"] not in self._options.set:
                continue
            data = item["element"]
            if "zone" not in data or not {"classes", "classifications"} & data.keys():
                data = self._client.ask("RetrieveElement", {"id": data["id"]})
            yield from self._below(read_element(data, item["set"]))

    def _all_texts(self, root: Element) -> dict[str, list[Text]] | None:
        """Return all transcriptions of the type below `root` by element; None where the server does not say whose."""
        options = self._options
        if options.truth not in {"transcription", "entities"}:
            return None
        chosen = {"recursive": True, "element_type": options.lines or options.element_type, **_person(options)}
        found: dict[str, list[Text]] = {}
        listing = self._client.listing("ListTranscriptions", {"id": root.id}, **chosen)
        for count, item in enumerate(listing, start=1):
            owner = (item.get("element") or {}).get("id")
            if owner is None:
                return None
            found.setdefault(owner, []).append(self._resolved(read_text(item)))
            self._tell(f"{count} transcriptions read")
        return found

    def _resolved(self, annotation: _Annotation) -> _Annotation:
        """Look up which version of a worker a run was of, if that matters."""
        run = annotation.maker.run
        if self._options.worker_version is None or run is None or annotation.maker.version is not None:
            return annotation
        if run not in self._versions:
            told = self._client.ask("RetrieveWorkerRun", {"id": run})
            self._versions[run] = (told.get("worker_version") or {}).get("id")
        return annotation._replace(maker=Maker(run, self._versions[run]))

    def _types(self, given: str) -> str:
        """Return which types of element there are below, for a sentence; the first page will do."""
        listing = self._client.listing("ListElementChildren", {"id": given}, recursive=True)
        kinds: dict[str, Any] = {}
        try:
            for _, item in zip(range(500), listing, strict=False):
                kinds[item["type"]] = None
        except AskError:
            return "choose another --element-type"
        return f"choose with --element-type: {', '.join(kinds)}" if kinds else "it is empty"

    def _tell(self, line: str) -> None:
        if time.monotonic() - self._told_s >= _TOLD_EVERY_S:
            self._told_s = time.monotonic()
            self._notify(line)


def find_id(given: str) -> str:
    """Return the id in what a user gives: an id, or the address of an element's page."""
    found = _UUID.search(given.strip().lower())
    if found is None or (found[0] != given.strip().lower() and "/" not in given):
        raise UsageError(f"'{given}' is not an Arkindex id; it looks like 8f8f196f-49bc-444e-9cfe-c705c3cd01ae")
    return found[0]


def _person(options: Options) -> dict[str, Any]:
    """Return what has the server leave out what workers wrote, or all but the run's."""
    if options.worker_version is not None:
        return {}
    return {"worker_run": options.worker_run or False}


def _is_of(item: dict[str, Any], element_id: str) -> bool:
    owner = (item.get("element") or {}).get("id")
    return owner is None or owner == element_id
