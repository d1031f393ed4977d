"""Finished predictions of other programs, taken into a run so that they are scored beside our own."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.config import Workspace
from orchestrator.datasets import Dataset
from orchestrator.datasets.literals import read_texts
from orchestrator.datasets.table import SUFFIXES, label, open_table
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.files import check_space
from orchestrator.identity import canonical
from orchestrator.metrics.tidy import tidy
from orchestrator.names import RULE, is_plain_name
from orchestrator.prompt import Prompt
from orchestrator.prompt.content import digest
from orchestrator.results.expected import Expected, iter_expected
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import PLAN_NAME, journal_folder
from orchestrator.results.plan import Cell, read_plan
from orchestrator.results.view import compact
from orchestrator.running.lock import holding
from orchestrator.running.missing import Task
from orchestrator.running.planning import freeze, record_answers
from orchestrator.running.rows import Row, status_row

RUNNER = "imported"
_IDS = ("sample_id", "index", "id", "doc_id")
_TEXTS = ("filtered_resps", "resps", "prediction", "model_answer", "output", "answer_text", "response")
_GIVEN_UP = ("Failed to obtain answer via API", "[LMMS_EVAL_REQUEST_FAILED")
_ROWS_A_WRITE = 512


class Prediction(NamedTuple):
    """One answer of another program; `place` counts the samples from 0 where it has no id that is ours."""

    where: str
    id: str | None
    place: int | None
    text: str
    target: str | None


@dataclass(slots=True)
class Taken:
    """What an import brought: how many answers, and the predictions that belong to no sample."""

    run: Path
    answers: int = 0
    total: int = 0
    strangers: list[str] = field(default_factory=list)


def import_predictions(
    workspace: Workspace,
    source: Path,
    dataset: Dataset,
    model: str,
    *,
    run: str | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Taken:
    """Take the predictions in `source` into the run as those of `model`, under the prompt `imported`.

    `source` is a file of lmms-eval (`samples_*.jsonl`) or VLMEvalKit (xlsx, tsv, json), or any table with sample_id
    and prediction. They are matched by the sample's id, lmms-eval's by their number; where the target of one is none
    of its sample's references, nothing is taken. Raises BakeoffError then, UsageError for an unfit or taken name.
    """
    name = run or dataset.name
    for what, given in (("run", name), ("model", model)):
        if not is_plain_name(given):
            raise UsageError(f"'{given}' cannot name a {what}: {RULE}")
    folder = workspace.results / name
    predictions = list(_read(source))
    if not predictions:
        raise BakeoffError(f"{source}: holds no predictions")
    text = "{question}"
    prompt = Prompt(RUNNER, text, None, digest(text, None))
    cell = Cell(
        model=model,
        runner=RUNNER,
        runner_digest=hashlib.sha256(source.read_bytes()).hexdigest(),
        params={},
        overrides={},
        prompt=RUNNER,
        prompt_sha256=prompt.sha256,
    )
    with holding(folder):
        check_space(folder)
        _refuse_ours(folder, model)
        before = (folder / PLAN_NAME).read_bytes() if (folder / PLAN_NAME).is_file() else None
        freeze(workspace, folder, dataset, (cell,), (prompt,), notify)
        try:
            taken = _match(folder, source, cell, predictions)
        except BakeoffError:
            if before is not None:
                (folder / PLAN_NAME).write_bytes(before)
            raise
        compact(folder, model)
        record_answers(folder)
    return taken


def _refuse_ours(run: Path, model: str) -> None:
    """Refuse a name under which a runner of ours has answered."""
    if (run / PLAN_NAME).is_file():
        for cell in read_plan(run).cells:
            if cell.model == model and cell.runner != RUNNER:
                raise UsageError(f"'{model}' is a model that was asked in this run; give another name with --model")


def _match(run: Path, source: Path, cell: Cell, predictions: list[Prediction]) -> Taken:
    """Write an answer for each sample that has a prediction, in the order of samples."""
    by_id = {p.id: p for p in predictions if p.id is not None}
    by_place = {p.place: p for p in predictions if p.place is not None}
    taken = Taken(run)
    used: set[str] = set()
    pairs: list[tuple[Expected, Prediction]] = []
    place = itertools.count()
    for expected in itertools.chain.from_iterable(iter_expected(run, cell)):
        number = next(place)
        found = by_id.get(expected.sample_id) or by_place.get(number)
        taken.total += 1
        if found is not None:
            _check_target(source, expected, found)
            used.add(found.where)
            pairs.append((expected, found))
    taken.strangers = [p.where for p in predictions if p.where not in used]
    if not pairs:
        first = predictions[0]
        told = f"'{first.id}'" if first.id is not None else f"number {first.place}"
        raise BakeoffError(f"{source}: none of its predictions is of a sample of the dataset; the first is of {told}")
    columns = [CellColumns(cell.model, cell.runner, canonical(cell.params), cell.prompt)]
    with Journal(journal_folder(run, cell.model), columns) as journal:
        for start in range(0, len(pairs), _ROWS_A_WRITE):
            journal.append([_row(*pair) for pair in pairs[start : start + _ROWS_A_WRITE]])
    taken.answers = len(pairs)
    return taken


def _row(expected: Expected, prediction: Prediction) -> Row:
    task = Task(0, expected)
    if prediction.text.startswith(_GIVEN_UP):
        return {**status_row(task, "error", prediction.text[:300]), "error_kind": "transient"}
    row = status_row(task, "ok", "")
    del row["error_message"]
    return {**row, "text": prediction.text, "stop_reason": "stop"}


def _check_target(source: Path, expected: Expected, prediction: Prediction) -> None:
    """Refuse a prediction whose own target is none of the references: it is of another dataset, or another order."""
    if prediction.target is None or not expected.references:
        return
    targets = {tidy(text).casefold() for text in (prediction.target, *(read_texts(prediction.target) or ()))}
    references = {tidy(text).casefold() for text in expected.references}
    if not targets & references:
        raise BakeoffError(
            f"{source}, {prediction.where}: its target '{prediction.target[:60]}' is not the answer of sample "
            f"'{expected.sample_id}', '{expected.references[0][:60]}'; is it of another dataset, split or order?"
        )


def _read(source: Path) -> Iterator[Prediction]:
    """Yield the predictions of a file by its suffix; raise BakeoffError naming what cannot be read."""
    suffix = source.suffix.lower()
    if not source.is_file():
        raise UsageError(f"{source}: there is no such file")
    if suffix in SUFFIXES:
        table = open_table(source)
        names = [label(table.columns, number) for number in range(len(table.columns))]
        rows: Iterator[tuple[str, Mapping[str, Any]]] = (
            (f"line {row.line}", dict(zip(names, row.cells, strict=True))) for row in table.rows()
        )
    elif suffix == ".json":
        rows = _json_rows(source)
    elif suffix in {".jsonl", ".ndjson"}:
        rows = _jsonl_rows(source)
    else:
        raise UsageError(f"{source}: should be a .jsonl, .json, .csv, .tsv or .xlsx file")
    seen: dict[str, str] = {}
    for where, row in rows:
        prediction = _prediction(source, where, row)
        name = prediction.id if prediction.id is not None else f"#{prediction.place}"
        if name in seen:
            raise BakeoffError(f"{source}, {where}: sample '{name}' was there before, in {seen[name]}")
        seen[name] = where
        yield prediction


def _jsonl_rows(source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"line {number}", _parse(source, f"line {number}", line)


def _json_rows(source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    data = _parse(source, "the file", source.read_bytes())
    for number, row in enumerate(data if isinstance(data, list) else [data], start=1):
        yield f"entry {number}", row


def _parse(source: Path, where: str, data: bytes) -> Any:
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BakeoffError(f"{source}, {where}: is not JSON in UTF-8") from error


def _prediction(source: Path, where: str, row: Any) -> Prediction:
    if not isinstance(row, dict):
        raise BakeoffError(f"{source}, {where}: is not an object")
    column = next((name for name in _TEXTS if row.get(name) not in (None, [])), None)
    if column is None and not any(name in row for name in _TEXTS):
        raise BakeoffError(f"{source}, {where}: has no prediction (there are: {', '.join(row)}); call it 'prediction'")
    known = next((name for name in _IDS if row.get(name) not in (None, "")), None)
    if known is None:
        raise BakeoffError(f"{source}, {where}: names no sample; it should have one of {', '.join(_IDS)}")
    is_place = known == "doc_id"
    target = row.get("target") if is_place else row.get("answer")
    try:
        place = int(row[known]) if is_place else None
    except (TypeError, ValueError):
        raise BakeoffError(f"{source}, {where}: doc_id should be a number") from None
    return Prediction(
        where,
        None if is_place else str(row[known]),
        place,
        _text(row[column]) if column else "",
        None if target in (None, "") else _text(target),
    )


def _text(value: Any) -> str:
    """Return an answer as text: of nested lists the first, as lmms-eval keeps its responses."""
    while isinstance(value, list) and value and not all(isinstance(item, str) for item in value[1:]):
        value = value[0]
    if isinstance(value, list) and len(value) == 1:
        return _text(value[0])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
