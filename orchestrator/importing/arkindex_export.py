"""Elements and annotations from the SQLite export of an Arkindex project (format up to version 11)."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.arkindex_element import Element, Entity, Iiif, Maker, Named, Options, Text

# An element may have several parents: it has the first of its places. The depth ends what goes round in a circle.
_BELOW = """WITH RECURSIVE below (id, place, depth) AS (
    SELECT child_id, printf('%09d', ordering), 1 FROM temp.path WHERE parent_id = :root
    UNION SELECT child_id, place || printf('.%09d', ordering), depth + 1
    FROM temp.path JOIN below ON parent_id = below.id WHERE depth < 20)
SELECT element.*, min(place) FROM element JOIN below ON below.id = element.id
WHERE element.type = :type GROUP BY element.id ORDER BY min(place), element.id"""
# An export may have no index, and cannot be given one: it is somebody's file.
_PATH = """CREATE TEMP TABLE path AS SELECT parent_id, child_id, ordering FROM element_path;
CREATE INDEX temp.path_parent ON path (parent_id)"""
_ENTITIES = """SELECT transcription_entity.*, entity_type.name AS type_name
FROM temp.transcription_entity_place AS place JOIN transcription_entity ON transcription_entity.rowid = place.number {}
WHERE place.owner = ? ORDER BY place.number"""
_IMAGE = """SELECT image.id AS id, image.url AS url, width, height, image_server.* FROM image
LEFT JOIN image_server ON image_server.id = image.server_id WHERE image.id = ?"""

_PLACES = """CREATE TEMP TABLE {table}_place AS SELECT {owner} AS owner, rowid AS number FROM {table};
CREATE INDEX temp.{table}_owner ON {table}_place (owner)"""
_OWNED = {
    "transcription": "element_id",
    "classification": "element_id",
    "metadata": "element_id",
    "transcription_entity": "transcription_id",
}


class ExportStore:
    """A store that reads an export; `name` is what people call it."""

    def __init__(self, database: sqlite3.Connection, name: str, options: Options) -> None:
        """Take an open export, and what is wanted."""
        database.row_factory = sqlite3.Row
        self._database, self._name, self._options = database, name, options
        self._columns: dict[str, frozenset[str]] = {}
        database.executescript(_PATH)
        for table, owner in _OWNED.items():
            if self._has(table, owner):
                database.executescript(_PLACES.format(table=table, owner=owner))
        runs = self._select("worker_run", "SELECT id, worker_version_id FROM worker_run")
        self._versions: dict[str, str | None] = {row[0]: row[1] for row in runs}

    def elements(self, given: str) -> Iterator[Element]:
        """Yield the elements of the type: of a folder, an element or a dataset, or all where `given` is empty."""
        kind = self._options.element_type
        count = 0
        for element in self._roots(given) if given else self._all(kind):
            count += 1
            yield element
        if not count:
            types = [row[0] for row in self._database.execute("SELECT DISTINCT type FROM element ORDER BY type")]
            raise BakeoffError(
                f"{given or self._name}: has no {kind}; the export has {', '.join(types) or 'no element'}, "
                "choose with --element-type"
            )

    def texts(self, element: Element) -> list[Text]:
        """Return the transcriptions of an element."""
        rows = self._of("transcription", element.id)
        return [Text(row["id"], row["text"], row["confidence"], self._maker(row)) for row in rows]

    def children(self, element: Element, kind: str) -> list[Element]:
        """Return the elements of a type anywhere below an element, in their order."""
        return [self._element(row) for row in self._database.execute(_BELOW, {"root": element.id, "type": kind})]

    def entities(self, text: Text) -> list[Entity]:
        """Return what is marked in a transcription; before version 11 the type stood with the entity."""
        if self._has("transcription_entity", "type_id"):
            join = "JOIN entity_type ON entity_type.id = transcription_entity.type_id"
        else:
            join = "JOIN entity ON entity.id = entity_id JOIN entity_type ON entity_type.id = entity.type_id"
        rows = self._select("transcription_entity", _ENTITIES.format(join), text.id)
        return [Entity(row["type_name"], row["offset"], row["length"], self._maker(row)) for row in rows]

    def metadata(self, element: Element) -> list[Named]:
        """Return the metadata of an element."""
        rows = self._of("metadata", element.id)
        return [Named(row["name"], row["value"], None, self._maker(row)) for row in rows]

    def link(self, element: Element) -> str | None:  # noqa: ARG002 - a store's signature
        """Return None: an export does not say which server it is of."""
        return None

    def _all(self, kind: str) -> Iterator[Element]:
        if self._options.set:
            raise UsageError("--set chooses within a dataset; name the dataset with --element")
        for row in self._database.execute("SELECT * FROM element WHERE type = ? ORDER BY rowid", (kind,)):
            yield self._element(row)

    def _roots(self, given: str) -> Iterator[Element]:
        row = self._database.execute("SELECT * FROM element WHERE id = ?", (given,)).fetchone()
        if row is not None:
            if self._options.set:
                raise UsageError(f"{given}: is a {row['type']}, not a dataset; leave --set out")
            yield from self._below(row, None)
            return
        query = "SELECT element_id, set_name FROM dataset_element WHERE dataset_id = ? ORDER BY rowid"
        sets = self._select("dataset_element", query, given)
        if not sets:
            raise UsageError(f"{given}: the export has no such element, nor a dataset with elements")
        names = {name for _, name in sets}
        if unknown := [name for name in self._options.set if name not in names]:
            raise UsageError(f"{given}: has no set '{unknown[0]}'; there are {', '.join(sorted(names))}")
        for element_id, name in sets:
            if not self._options.set or name in self._options.set:
                row = self._database.execute("SELECT * FROM element WHERE id = ?", (element_id,)).fetchone()
                yield from self._below(row, name) if row is not None else ()

    def _below(self, row: sqlite3.Row, set_name: str | None) -> Iterator[Element]:
        kind = self._options.element_type
        if row["type"] == kind:
            yield self._element(row)._replace(set_name=set_name)
        for child in self._database.execute(_BELOW, {"root": row["id"], "type": kind}):
            yield self._element(child)._replace(set_name=set_name)

    def _element(self, row: sqlite3.Row) -> Element:
        image = self._image(row["image_id"]) if row["image_id"] else None
        try:
            polygon = tuple((float(x), float(y)) for x, y in json.loads(row["polygon"] or "[]"))
        except (ValueError, TypeError) as error:
            raise BakeoffError(f"{self._name}: the polygon of element {row['id']} is not a list of points") from error
        return Element(
            id=row["id"],
            name=row["name"] or "",
            type=row["type"],
            image=image,
            polygon=polygon,
            rotation=int(_value(row, "rotation_angle") or 0),
            is_mirrored=bool(_value(row, "mirrored")),
            classes=tuple(self._classes(row["id"])),
        )

    def _image(self, image_id: str) -> Iiif | None:
        row = self._database.execute(_IMAGE, (image_id,)).fetchone()
        if row is None:
            return None
        return Iiif(
            id=row["id"],
            url=row["url"],
            width=row["width"] or 0,
            height=row["height"] or 0,
            version=int(_value(row, "version") or 2),
            max_width=_value(row, "max_width"),
            max_height=_value(row, "max_height"),
        )

    def _classes(self, element_id: str) -> list[Named]:
        rows = self._of("classification", element_id)
        kept = [row for row in rows if _value(row, "state") != "rejected"]
        return [Named(row["class_name"], "", row["confidence"], self._maker(row)) for row in kept]

    def _maker(self, row: sqlite3.Row) -> Maker:
        run = _value(row, "worker_run_id")
        return Maker(run, self._versions.get(run) if run else _value(row, "worker_version_id"))

    def _of(self, table: str, element_id: str) -> list[sqlite3.Row]:
        query = f"SELECT {table}.* FROM temp.{table}_place AS place JOIN {table} ON {table}.rowid = place.number"  # noqa: S608 - ours
        return self._select(table, f"{query} WHERE place.owner = ? ORDER BY place.number", element_id)

    def _select(self, table: str, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows; none where an older export has no such table."""
        return self._database.execute(query, values).fetchall() if self._has(table) else []

    def _has(self, table: str, column: str | None = None) -> bool:
        """Tell whether the export has a table, and a column in it."""
        if table not in self._columns:
            rows = self._database.execute(f"PRAGMA table_info({table})")
            self._columns[table] = frozenset(row[1] for row in rows)
        return bool(self._columns[table]) if column is None else column in self._columns[table]


def _value(row: sqlite3.Row, column: str) -> Any:
    """Return what an older export may not have."""
    return row[column] if column in row.keys() else None  # noqa: SIM118 - a row's `in` looks at values
