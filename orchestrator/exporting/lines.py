"""Rows as JSON, which keeps every text as it is, and in the shape that lmms-eval writes its samples in."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str).encode


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write an object a line; return how many."""
    return _write(path, rows, "", "", "\n")


def write_json(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one array of objects, a line each; return how many."""
    return _write(path, rows, "[\n", "\n]", ",\n")


def write_lmms_eval(folder: Path, rows: Iterable[Mapping[str, Any]], task: str, metrics: Sequence[str]) -> int:
    """Write `<model>/samples_<task>_<prompt>.jsonl` files as lmms-eval (v0.7) names their fields; return how many rows.

    `doc_id` counts the samples, `target` is the first reference, `resps` and `filtered_resps` hold the answer, each
    metric has a key of its own. Answers that never came are left out there: its readers have no place for them.
    """
    count, files = 0, {}
    numbers: dict[str, int] = {}
    try:
        for row in rows:
            doc_id = numbers.setdefault(row["sample_id"], len(numbers))
            if row["answer"] is None:
                continue
            name = _file_name(row, task)
            if name not in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                files[name] = (folder / name).open("w", encoding="utf-8", newline="\n")
            files[name].write(_dumps(_to_lmms_eval(row, doc_id, metrics)) + "\n")
            count += 1
    finally:
        for file in files.values():
            file.close()
    return count


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


def _file_name(row: Mapping[str, Any], task: str) -> str:
    prompt = "".join(c if c.isalnum() or c in "-_" else "_" for c in row["prompt"])
    again = f"_repeat{row['repeat']}" if row["repeat"] > 1 else ""
    params = "" if row["params"] == "{}" else f"_{_short(row['params'])}"
    return f"{row['model']}/samples_{task}_{prompt}{params}{again}.jsonl"


def _short(params: str) -> str:
    return "".join(c if c.isalnum() or c in "-." else "_" for c in params.strip("{}"))[:60]


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
