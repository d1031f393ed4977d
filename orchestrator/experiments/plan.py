"""What a set would ask: its cells, what of them is there already, and what the rest may take; nothing is asked."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from orchestrator.config import Workspace, refuse_gaps
from orchestrator.experiments.estimate import Past
from orchestrator.experiments.resolve import ExperimentSet, SetCell, params_of
from orchestrator.identity import canonical
from orchestrator.images import DigestCache
from orchestrator.results import keysets
from orchestrator.results.expected import iter_keys
from orchestrator.results.layout import PLAN_NAME
from orchestrator.results.plan import Cell
from orchestrator.results.schema import FINAL_STATUSES
from orchestrator.results.view import read_predictions
from orchestrator.running.fitting import check_sets, refuse_chats
from orchestrator.running.fresh import goes_on
from orchestrator.running.interrupt import catching_interrupts
from orchestrator.running.parameters import find_unset
from orchestrator.running.planning import Item, make_cells, refuse_other_dataset
from orchestrator.running.settings import find_settings
from orchestrator.running.snapshot import write_prompts, write_samples
from orchestrator.variables import read_variables


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell of a set with its distinct requests: `there` have a final prediction, `to_ask` have none.

    A request that several cells of a model share is in the `total` of each, and to be asked by the first. `spent` are
    the US dollars of what is there. `seconds` and `cost` are estimates for what is to be asked, None where nothing
    tells; `is_priced` tells whether the model's answers cost money, `lacks` why it cannot be asked as things are.
    """

    cell: SetCell
    total: int
    there: int
    to_ask: int
    spent: float
    seconds: float | None
    cost: float | None
    is_priced: bool
    lacks: str | None = None

    @property
    def shared(self) -> int:
        """How many of its requests another cell makes."""
        return self.total - self.there - self.to_ask


@dataclass(frozen=True, slots=True)
class SetPlan:
    """What carrying `set` out would ask; nothing of it was asked."""

    set: ExperimentSet
    cells: tuple[PlannedCell, ...]
    notes: tuple[str, ...]

    @property
    def to_ask(self) -> int:
        """How many requests would be made."""
        return sum(cell.to_ask for cell in self.cells)

    @property
    def model_seconds(self) -> dict[str, float]:
        """How long each model would answer in all, loading not counted; of those alone of which something is known."""
        known = [
            (cell.cell.model.name, cell.seconds) for cell in self.cells if cell.to_ask and cell.seconds is not None
        ]
        return {
            name: sum(each for other, each in known if other == name) for name in dict.fromkeys(n for n, _ in known)
        }

    @property
    def means(self) -> dict[tuple[str, str], float]:
        """What an answer is thought to cost, in US dollars, by model and parameters; of those that are known."""
        return {
            (cell.cell.model.name, canonical(params_of(cell.cell))): cell.cost / cell.to_ask
            for cell in self.cells
            if cell.to_ask and cell.cost is not None
        }

    @property
    def spent(self) -> float:
        """What the answers that are there cost, in US dollars."""
        return sum(cell.spent for cell in self.cells)


@dataclass(slots=True)
class _Told:
    """The keys of a model's predictions in one run that are final, in order, and what each cost.

    `taken` are those that a cell asks already, by the parameters that are in keys: other cells share none of them.
    """

    keys: keysets.Keys
    costs: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    taken: dict[str, keysets.Keys]


def plan_set(
    workspace: Workspace, wanted: ExperimentSet, *, retry_failed: bool = False, fresh: bool = False
) -> SetPlan:
    """Return what carrying out `wanted` would ask, to the request; the results are left as they are.

    Every image is digested, as for asking, which is quick where that was done before. Raises BakeoffError as the run
    would: for a prompt that does not fit, or a run about another dataset. With `fresh` nothing is there but what was
    asked afresh already. Leaves nothing behind on SIGTERM either, which raises KeyboardInterrupt.
    """
    plan = None
    with catching_interrupts(lambda _event: None) as interrupt, ExitStack() as stack:
        with interrupt.deferred():  # else a signal could come when the folder is there and nobody knows it yet
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bakeoff-plan-")))
        if not interrupt.level:
            plan = _plan_set(workspace, wanted, scratch, retry_failed=retry_failed, fresh=fresh)
    if plan is None:
        raise KeyboardInterrupt
    return plan


def _plan_set(
    workspace: Workspace, wanted: ExperimentSet, scratch: Path, *, retry_failed: bool, fresh: bool
) -> SetPlan:
    past = Past(workspace)
    notes = [*wanted.notes, *_unset_variables(workspace, wanted.cells)]
    found: dict[tuple[str, str, str, str], PlannedCell] = {}
    for run, cells in wanted.runs.items():
        _check(workspace, run, cells, notes.append)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            snapshot = Path(folder)
            limits = [cell.limit for cell in cells]
            widest = None if None in limits else max(n for n in limits if n is not None)
            with DigestCache(workspace.results / ".images.sqlite") as cache:
                write_samples(snapshot, cells[0].dataset, widest, cache, workspace.image_folders, notify=notes.append)
            write_prompts(snapshot, list({cell.prompt.sha256: cell.prompt for cell in cells}.values()))
            told: dict[str, _Told] = {}
            for cell in cells:
                if (model := cell.model.name) not in told:
                    is_aside = fresh and not goes_on(workspace.results / run, model, _cells_of(model, cells))
                    told[model] = _read(workspace.results / run, model, retry_failed=retry_failed, is_aside=is_aside)
                planned = _plan(cell, snapshot, told[model], past)
                lacks = find_unset(workspace, cell.model, params_of(cell)) if planned.to_ask else None
                found[cell.identity] = replace(planned, lacks=lacks)
    return SetPlan(wanted, tuple(found[cell.identity] for cell in wanted.cells), tuple(dict.fromkeys(notes)))


def _unset_variables(workspace: Workspace, cells: Sequence[SetCell]) -> Iterator[str]:
    """Yield a sentence for each variable that a parameter such as `api_key_env` names, and that nobody has set."""
    named: dict[str, dict[str, None]] = {}
    for cell in cells:
        for key, variable in params_of(cell).items():
            if key.endswith("_env") and isinstance(variable, str) and variable:
                named.setdefault(variable, {})[f"{cell.model.name} ({key})"] = None
    are_set = read_variables(workspace.root, named)
    for variable, users in named.items():
        if not are_set.get(variable):
            yield f"the variable {variable} of {', '.join(users)} is not set, neither here nor in the workspace's .env"


def check_runs(workspace: Workspace, wanted: ExperimentSet) -> None:
    """Raise BakeoffError for what of `wanted` does not fit, whichever of its runs it is in; nothing is told."""
    for run, cells in wanted.runs.items():
        _check(workspace, run, cells, lambda _text: None)


def _check(workspace: Workspace, run: str, cells: Sequence[SetCell], note: Callable[[str], None]) -> None:
    """Raise what `carry_out` would raise before it asks."""
    refuse_other_dataset(workspace, workspace.results / run, cells[0].dataset)
    for cell in cells:
        refuse_gaps(cell.model, params_of(cell))
        refuse_chats([cell.model], [cell.prompt])
        check_sets([cell.prompt], cell.dataset, cell.limit, note)


def items_of(cells: Sequence[SetCell]) -> tuple[Item, ...]:
    """Return the items of one run: what differs in its prompt alone is asked together."""
    groups: dict[tuple[str, str, int, int | None], list[SetCell]] = {}
    for cell in cells:
        groups.setdefault((cell.model.name, canonical(cell.overrides), cell.repeats, cell.limit), []).append(cell)
    return tuple(
        Item(one[0].model, one[0].overrides, tuple(cell.prompt for cell in one), one[0].repeats, one[0].limit)
        for one in groups.values()
    )


def _cells_of(model: str, cells: Sequence[SetCell]) -> tuple[Cell, ...]:
    """Return what `model` is asked in one run, in the order in which it is."""
    asked = (cell for item in items_of(cells) if item.model.name == model for cell in make_cells(item))
    return tuple(cell for setting in find_settings(asked) for cell in setting.cells)


def _read(run: Path, model: str, *, retry_failed: bool, is_aside: bool) -> _Told:
    """Return what is final of a model's predictions, nothing where they are to be set aside."""
    keys, costs = [], [np.zeros(0)]
    final = {"ok", "refused"} if retry_failed else set(FINAL_STATUSES)
    if (run / PLAN_NAME).is_file() and not is_aside:
        for batch in read_predictions(run, model, ("key", "status", "cost")):
            is_final = np.isin(batch["status"].to_numpy(zero_copy_only=False), sorted(final))
            keys.append(keysets.from_arrow(batch["key"])[is_final])
            costs.append(pc.fill_null(batch["cost"], 0.0).to_numpy(zero_copy_only=False)[is_final])
    every, paid = keysets.joined(keys), np.concatenate(costs)
    order = np.argsort(every, kind="stable")
    return _Told(every[order], paid[order], {})


def _plan(cell: SetCell, snapshot: Path, told: _Told, past: Past) -> PlannedCell:
    item = Item(cell.model, cell.overrides, (cell.prompt,), cell.repeats, cell.limit)
    (asked,) = make_cells(item)
    keys = np.unique(keysets.joined(keysets.from_texts(batch) for batch in iter_keys(snapshot, asked)))
    first, after = (np.searchsorted(told.keys, keys, side) for side in ("left", "right"))
    is_there = after > first
    kind = canonical(asked.key_params)
    before = told.taken.get(kind, keys[:0])
    is_mine = ~np.isin(keys, before)
    told.taken[kind] = keysets.joined([before, keys[is_mine]])
    to_ask = int((~is_there & is_mine).sum())
    until = np.concatenate([[0.0], np.cumsum(told.costs)])
    spent = float((until[after] - until[first])[is_mine].sum())
    pace = past.find_pace(cell.model.name, params_of(cell))
    return PlannedCell(
        cell=cell,
        total=len(keys),
        there=int(is_there.sum()),
        to_ask=to_ask,
        spent=spent,
        seconds=0.0 if not to_ask else None if pace.seconds is None else pace.seconds * to_ask,
        cost=0.0 if not to_ask else None if pace.cost is None else pace.cost * to_ask,
        is_priced=pace.is_priced,
    )
