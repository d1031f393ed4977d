"""Finished predictions of other programs, taken into a run so that they are scored beside our own."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.datasets import Dataset
from orchestrator.datasets.literals import read_texts
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.files import check_space
from orchestrator.identity import canonical
from orchestrator.importing.prediction_files import Prediction, read_predictions_of
from orchestrator.importing.restoring import restoring
from orchestrator.metrics.tidy import tidy
from orchestrator.names import RULE, is_plain_name
from orchestrator.prompt import Prompt
from orchestrator.prompt.content import digest
from orchestrator.results import keysets
from orchestrator.results.expected import Expected, iter_expected
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import PLAN_NAME, PROMPTS_NAME, SAMPLES_NAME, journal_folder
from orchestrator.results.plan import IMPORTED, Cell, read_plan
from orchestrator.results.schema import ANSWER_STATUSES
from orchestrator.results.set_aside import put_back, set_aside
from orchestrator.results.view import compact, read_predictions
from orchestrator.running.lock import holding
from orchestrator.running.missing import Task
from orchestrator.running.planning import freeze, record_answers
from orchestrator.running.rows import Row, status_row

_GIVEN_UP = ("Failed to obtain answer via API", "[LMMS_EVAL_REQUEST_FAILED")
_NOTHING = "the file has no prediction for it"
_ROWS_A_WRITE = 512
# Constant, so that the keys of a model's answers are the same whatever file they came in.
_DIGEST = hashlib.sha256(IMPORTED.encode()).hexdigest()


@dataclass(slots=True)
class Taken:
    """What an import brought: how many answers, and which lines are of no sample.

    `failed` samples have a prediction that says that none came. `replaced` of the predictions took the place of answers
    that an earlier import had brought. `differing` samples ask the same of the same image as an earlier one and have
    another prediction: the answer to the earlier one counts for them.
    """

    run: Path
    answers: int = 0
    failed: int = 0
    total: int = 0
    replaced: int = 0
    differing: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


def import_predictions(
    workspace: Workspace,
    source: Path,
    dataset: Dataset,
    model: str,
    *,
    run: str | None = None,
    replace: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Taken:
    """Take the predictions in `source` into the run as those of `model`, under the prompt `imported`.

    `source` is a file of lmms-eval (`samples_*.jsonl`) or VLMEvalKit (xlsx, tsv, json), or any table with sample_id
    and prediction. They are matched by the sample's id, lmms-eval's by their number; where the target of one is none
    of its sample's references, nothing is taken. What came of this model before stays, and another answer to the same
    sample takes its place only with `replace`; the older ones go to `old/` in the run. Where anything fails, the run is
    as it was. Raises BakeoffError then, UsageError for an unfit or taken name, and for other answers.
    """
    name = run or dataset.name
    for what, given in (("run", name), ("model", model)):
        if not is_plain_name(given):
            raise UsageError(f"'{given}' cannot name a {what}: {RULE}")
    folder = workspace.results / name
    predictions = list(read_predictions_of(source))
    if not predictions:
        raise BakeoffError(f"{source}: holds no predictions")
    prompt = Prompt(IMPORTED, "{question}", None, digest("{question}", None))
    cell = Cell(
        model=model,
        runner=IMPORTED,
        runner_digest=_DIGEST,
        params={},
        overrides={},
        prompt=IMPORTED,
        prompt_sha256=prompt.sha256,
    )
    with holding(folder):
        check_space(folder)
        _refuse_ours(folder, model)
        with restoring(folder, (PLAN_NAME, SAMPLES_NAME, PROMPTS_NAME)):
            freeze(workspace, folder, dataset, (cell,), (prompt,), notify)
            taken, pairs = _match(folder, source, cell, predictions)
            pairs, changed = _compare(folder, cell, pairs)
            taken.replaced = len(changed)
            if changed and not replace:
                raise UsageError(
                    f"{source}: has other answers to {len(changed)} of the samples that '{model}' has answers to "
                    "in this run; give another name with --model, or say --replace"
                )
            rows = [_row(*pair) for pair in pairs]
            _, copy = set_aside(folder, model, [keysets.from_texts(changed)]) if changed else (0, None)
            try:
                _write(folder, cell, rows)
            except BaseException:
                if copy is not None:
                    put_back(folder, model, copy.name)
                raise
        compact(folder, model)
        record_answers(folder)
    return taken


def _refuse_ours(run: Path, model: str) -> None:
    """Refuse a name under which a runner of ours has answered."""
    if (run / PLAN_NAME).is_file():
        for cell in read_plan(run).cells:
            if cell.model == model and cell.runner != IMPORTED:
                raise UsageError(f"'{model}' is a model that was asked in this run; give another name with --model")


def _match(
    run: Path, source: Path, cell: Cell, predictions: list[Prediction]
) -> tuple[Taken, list[tuple[Expected, Prediction]]]:
    """Pair each sample that has a prediction with it, in the order of samples."""
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
    taken.strangers = [f"{p.where}: there is no sample {_told(p)}" for p in predictions if p.where not in used]
    if not pairs:
        first = _told(predictions[0])
        raise BakeoffError(f"{source}: none of its predictions is of a sample of the dataset; the first is of {first}")
    taken.failed = sum(_answer(prediction) is None for _, prediction in pairs)
    taken.answers = len(pairs) - taken.failed
    taken.differing = _find_differing(pairs)
    return taken, pairs


def _told(prediction: Prediction) -> str:
    return f"'{prediction.id}'" if prediction.id is not None else f"number {prediction.place}"


def _find_differing(pairs: list[tuple[Expected, Prediction]]) -> list[str]:
    """Return the samples whose prediction does not count, since an earlier sample asks the same and has another."""
    first: dict[str, str | None] = {}
    return [e.sample_id for e, p in pairs if first.setdefault(e.key, _answer(p)) != _answer(p)]


def _compare(
    run: Path, cell: Cell, pairs: list[tuple[Expected, Prediction]]
) -> tuple[list[tuple[Expected, Prediction]], list[str]]:
    """Return the pairs that are not there yet, and the keys of answers that some of them would take the place of."""
    earlier = {
        row["key"]: row["text"]
        for batch in read_predictions(run, cell.model, ["key", "status", "text"])
        for row in batch.to_pylist()
        if row["status"] in ANSWER_STATUSES
    }
    first: dict[str, tuple[Expected, Prediction]] = {}
    for pair in pairs:
        first.setdefault(pair[0].key, pair)  # samples that ask the same of the same image share an answer
    new = [(e, p) for e, p in first.values() if e.key not in earlier or _answer(p) != earlier[e.key]]
    return new, [expected.key for expected, _ in new if expected.key in earlier]


def _write(run: Path, cell: Cell, rows: list[Row]) -> None:
    """Write the rows, all or none."""
    if not rows:
        return
    columns = [CellColumns(cell.model, cell.runner, canonical(cell.params), cell.prompt)]
    with Journal(journal_folder(run, cell.model), columns) as journal:
        try:
            for start in range(0, len(rows), _ROWS_A_WRITE):
                journal.append(rows[start : start + _ROWS_A_WRITE])
        except BaseException:
            journal.path.unlink()
            raise


def _answer(prediction: Prediction) -> str | None:
    """Return the text where it is an answer, not the sentence that none came."""
    return None if prediction.text is None or prediction.text.startswith(_GIVEN_UP) else prediction.text


def _row(expected: Expected, prediction: Prediction) -> Row:
    task = Task(0, expected)
    text = _answer(prediction)
    if text is None:
        return {**status_row(task, "error", (prediction.text or _NOTHING)[:300]), "error_kind": "transient"}
    row = status_row(task, "ok", "")
    del row["error_message"]
    return {**row, "text": text, "stop_reason": "stop"}


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
