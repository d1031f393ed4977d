"""Read what an Arkindex server sends, in the shapes of its newer and older versions."""

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import BakeoffError
from orchestrator.importing.arkindex_element import Element, Entity, Iiif, Maker, Named, Text

_REJECTED = "rejected"


def read_element(data: Mapping[str, Any], set_name: str | None = None) -> Element:
    """Return an element of ListElementChildren, RetrieveElement or ListDatasetElements; raise BakeoffError."""
    try:
        zone = data.get("zone") or {}
        return Element(
            id=data["id"],
            name=data.get("name") or "",
            type=data["type"],
            image=_image(zone["image"]) if zone.get("image") else None,
            polygon=tuple((float(x), float(y)) for x, y in zone.get("polygon") or ()),
            rotation=int(data.get("rotation_angle") or 0),
            is_mirrored=bool(data.get("mirrored")),
            set_name=set_name,
            classes=tuple(_class(each) for each in _classes(data) if each.get("state") != _REJECTED),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BakeoffError(f"arkindex: the server sent an element in a shape that is not known: {error!r}") from error


def read_text(data: Mapping[str, Any]) -> Text:
    """Return a transcription."""
    return Text(data["id"], data["text"], data.get("confidence"), read_maker(data))


def read_entity(data: Mapping[str, Any]) -> Entity:
    """Return an entity of a transcription: newer servers say its type at once, older ones within it."""
    kind = data.get("type") or data["entity"]["type"]
    return Entity(kind["name"] if isinstance(kind, dict) else kind, data["offset"], data["length"], read_maker(data))


def read_metadata(data: Mapping[str, Any]) -> Named:
    """Return a metadata; numbers as they are written."""
    return Named(data["name"], str(data["value"]), None, read_maker(data))


def read_maker(data: Mapping[str, Any]) -> Maker:
    """Return who made an annotation; older servers name a worker's version where newer ones name a run."""
    run, version = data.get("worker_run"), data.get("worker_version") or data.get("worker_version_id")
    if isinstance(run, dict):
        version = version or run.get("worker_version")
        run = run["id"]
    return Maker(run or data.get("worker_run_id"), version["id"] if isinstance(version, dict) else version)


def _classes(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return data.get("classes") or data.get("classifications") or []


def _class(data: Mapping[str, Any]) -> Named:
    return Named(data["ml_class"]["name"], "", data.get("confidence"), read_maker(data))


def _image(data: Mapping[str, Any]) -> Iiif:
    server = data.get("server") or {}
    return Iiif(
        id=data["id"],
        url=data["url"],
        width=data["width"] or 0,
        height=data["height"] or 0,
        version=server.get("version") or 2,
        max_width=server.get("max_width"),
        max_height=server.get("max_height"),
    )
