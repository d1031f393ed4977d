"""Whether a run is sound: read every byte of it, believe nothing, and write nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BakeoffError
from orchestrator.inspection.completeness import read_wanted
from orchestrator.inspection.folders import list_bent_journals, list_journals, list_set_aside
from orchestrator.inspection.garbage import find_leftovers
from orchestrator.inspection.holder import find_holder
from orchestrator.inspection.sound_plan import check_plan, check_prompts, check_samples
from orchestrator.inspection.sound_rows import NEWER, Check, check_journal, check_predictions, check_scores
from orchestrator.results import keysets
from orchestrator.results.layout import PLAN_NAME
from orchestrator.results.plan import RunPlan
from orchestrator.scoring.summary import SUMMARY_NAME, OlderSummaryError, read_summary


def verify_run(run: Path) -> list[Check]:
    """Return what was looked at in the run directory `run`, a file each.

    Every page of every Parquet file and every line of every journal is read and its checksum tried. A run that is
    being worked on can be verified as well.
    """
    before = _moment(run)  # asked before anything is read: what changes from then on is no damage
    checks = _look(run, is_moving=before.holder is not None)
    if any(check.damage for check in checks) and _moment(run) != before:
        return _look(run, is_moving=True)
    return checks


@dataclass(frozen=True, slots=True)
class _Moment:
    """Who works on a run, and which file its plan is: every plan that is written is a new one."""

    holder: str | None
    plan: tuple[int, int] | None


def _moment(run: Path) -> _Moment:
    try:
        status = (run / PLAN_NAME).stat()
    except OSError:
        return _Moment(find_holder(run), None)
    return _Moment(find_holder(run), (status.st_ino, status.st_mtime_ns))


def _look(run: Path, *, is_moving: bool) -> list[Check]:
    """Look at every file; samples and scores are compared with the rest only where nobody works on the run."""
    plan, of_plan = check_plan(run)
    of_rows = [check_journal(path, is_growing=is_moving) for path in list_journals(run)]
    of_rows += [check_predictions(path) for path in sorted(run.glob("predictions/*.parquet"))]
    checks = [of_plan, check_samples(run, None if is_moving else plan), check_prompts(run, plan), *of_rows]
    checks += [check_predictions(path) for path in list_set_aside(run)]
    checks += _check_scores(run, plan, None if is_moving else of_rows)
    return checks + ([] if is_moving else list(_remains(run)))


def _check_scores(run: Path, plan: RunPlan | None, of_rows: Sequence[Check] | None) -> Iterator[Check]:
    """Check the scores; their keys only where the run does not go on and did not since, and `of_rows` can be read."""
    path, remedy = run / SUMMARY_NAME, f"run `bakeoff score {run.name}` again"
    known = None
    if path.is_file() and plan is not None:
        try:
            if read_summary(run).is_outdated:
                yield Check(path, "outdated", note=f"the run went on after it was scored; {remedy}")
            else:
                known = _known_keys(run, plan, of_rows)
                yield Check(path, "up to date")
        except OlderSummaryError as error:
            yield Check(path, "outdated", note=str(error))
        except BakeoffError as error:
            yield Check(path, "unreadable", damage=f"{error}; {remedy}")
    for scores in sorted(run.glob("scores/*.parquet")):
        yield check_scores(scores, known, remedy)


def _known_keys(run: Path, plan: RunPlan, of_rows: Sequence[Check] | None) -> keysets.Keys | None:
    """Return every key that the plan expects or a prediction has; None where they cannot all be told."""
    if of_rows is None or any(check.damage or check.state == NEWER for check in of_rows):
        return None
    try:
        return keysets.joined([*(c.keys for c in of_rows), *(read_wanted(run, cell).keys for cell in plan.cells)])
    except BakeoffError:  # samples or prompts are damaged, which their own check tells
        return None


def _remains(run: Path) -> Iterator[Check]:
    """Tell what killed processes left and what was put aside: no damage."""
    for path in list_bent_journals(run):
        note = "put aside since lines of it were damaged; what they answered is asked again; `bakeoff runs gc --all`"
        yield Check(path, "put aside", note=f"{note} deletes it")
    for kind, path in find_leftovers(run):
        yield Check(
            path, "left over", note=f"one of the {kind} that a killed process left; `bakeoff runs gc` deletes it"
        )
