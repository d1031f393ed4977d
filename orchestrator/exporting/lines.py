"""Rows as JSON, which keeps every text as it is, and in the shape that lmms-eval writes its samples in."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_NAME_CHARS = 60
_OPEN_FILES = 64
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str).encode


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write an object a line; return how many."""
    return _write(path, rows, "", "", "\n")


def write_json(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one array of objects, a line each; return how many."""
    return _write(path, rows, "[\n", "\n]", ",\n")


def write_lmms_eval(folder: Path, rows: Iterable[Mapping[str, Any]], task: str, metrics: Sequence[str]) -> int:
    """Write `<model>/samples_<task>_<prompt>.jsonl` files as lmms-eval (v0.7) names their fields; return how many rows.

    Each cell and repeat has a file of its own, whose name ends in a digest where prompt or parameters cannot be it.
    `doc_id` counts the samples, `target` is the first reference, `resps` and `filtered_resps` hold the answer, each
    metric has a key of its own. Answers that never came are left out there: its readers have no place for them.
    """
    count = 0
    numbers: dict[str, int] = {}
    names, files = _Names(task), _Files(folder)
    try:
        for row in rows:
            doc_id = numbers.setdefault(row["sample_id"], len(numbers))
            if row["answer"] is None:
                continue
            files.write(names.find(row), _dumps(_to_lmms_eval(row, doc_id, metrics)) + "\n")
            count += 1
    finally:
        files.close()
    return count


class _Files:
    """Appends to files of a new folder, only some of which are open: rows come cell by cell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, IO[str]] = {}

    def write(self, name: str, text: str) -> None:
        if name not in self._open:
            if len(self._open) == _OPEN_FILES:
                self.close()
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            self._open[name] = (self._folder / name).open("a", encoding="utf-8", newline="\n")
        self._open[name].write(text)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


class _Names:
    """Names a file for each cell and repeat, no two the same, not even where case does not matter."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._names: dict[tuple[Any, ...], str] = {}
        self._taken: set[str] = set()

    def find(self, row: Mapping[str, Any]) -> str:
        cell = (row["model"], row["prompt"], row["params"], row["repeat"])
        if cell not in self._names:
            name = self._make(row)
            if name.casefold() in self._taken:
                name = f"{name}-{_digest(repr(cell))}"
            self._taken.add(name.casefold())
            self._names[cell] = f"{name}.jsonl"
        return self._names[cell]

    def _make(self, row: Mapping[str, Any]) -> str:
        prompt, again = _plain(row["prompt"]), f"_repeat{row['repeat']}" if row["repeat"] > 1 else ""
        params = "" if row["params"] == "{}" else f"_{_plain(row['params'].strip('{}'))}"
        return f"{row['model']}/samples_{self._task}_{prompt}{params}{again}"


def _to_lmms_eval(row: Mapping[str, Any], doc_id: int, metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "doc_id": doc_id,
        "input": row["asked"],
        "target": row["references"][0] if row["references"] else "",
        "resps": [[row["answer"]]],
        "filtered_resps": [row["answer"]],
        "token_counts": [{"input_tokens": row["input_tokens"], "output_tokens": row["output_tokens"]}],
        "doc_hash": row["key"],
        "input_media": row["images"],
        "sample_id": row["sample_id"],
        **{name: row[name] for name in metrics if row[name] is not None},
    }


def _plain(text: str) -> str:
    """Return `text` as a file can be called, with a digest where that is not all of it."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in text)[:_NAME_CHARS]
    return plain if plain == text else f"{plain}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _write(path: Path, rows: Iterable[Mapping[str, Any]], before: str, after: str, between: str) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write: Callable[[str], int] = file.write
        write(before)
        for row in rows:
            write(between * bool(count) + _dumps(row))
            count += 1
        write(after + "\n" if count or after else "")
    return count
