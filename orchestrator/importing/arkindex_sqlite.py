"""The SQLite export of an Arkindex project: a folder, an element or a dataset of it, or all of it. Images come by IIIF.

\b
Example:
  bakeoff dataset import arkindex-sqlite project.sqlite registers --element-type text_line --element 8f8f196f-49bc-…

No server is asked for annotations; images are downloaded from where the export says they are.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.arkindex_element import Options as ElementOptions
from orchestrator.importing.arkindex_export import ExportStore
from orchestrator.importing.arkindex_records import read_elements
from orchestrator.importing.record import Notify, Problem, Record, Source

__all__ = ["Options", "read"]
_TABLES = {"element", "element_path", "image", "image_server", "transcription"}


class Options(ElementOptions):
    """Those of an element's import, and which element."""

    element: str | None = Field(None, description="The id of a folder, an element or a dataset. [default: all]")


def read(source: Source, options: Any, notify: Notify) -> Iterator[Record | Problem]:
    """Yield a question per element, in the order of the export; what has no image or no truth is a Problem."""
    path = Path(source.given).expanduser()
    if not path.is_file():
        raise UsageError(f"{source.given}: there is no such file; give a project's SQLite export")
    try:
        with contextlib.closing(_open(path)) as database:
            _check(database, path)
            store = ExportStore(database, path.name, options)
            given = (options.element or "").strip().lower()
            yield from read_elements(store, source, given, options, notify)
    except sqlite3.Error as error:
        raise BakeoffError(f"{path}: is not a sound SQLite export of Arkindex: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)


def _check(database: sqlite3.Connection, path: Path) -> None:
    names = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    if missing := sorted(_TABLES - names):
        raise BakeoffError(f"{path}: is not an export of Arkindex: it has no table {missing[0]}")
