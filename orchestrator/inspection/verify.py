"""Whether a run is sound: read every byte of it, believe nothing, and write nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.errors import BakeoffError
from orchestrator.inspection.completeness import read_wanted
from orchestrator.inspection.folders import list_bent_journals, list_journals, list_set_aside
from orchestrator.inspection.garbage import find_leftovers
from orchestrator.inspection.holder import find_holder
from orchestrator.inspection.sound_plan import check_plan, check_prompts, check_samples
from orchestrator.inspection.sound_rows import Check, check_journal, check_predictions, check_scores
from orchestrator.results import keysets
from orchestrator.results.plan import RunPlan
from orchestrator.scoring.summary import SUMMARY_NAME, read_summary


def verify_run(run: Path) -> list[Check]:
    """Return what was looked at in the run directory `run`, a file each.

    Every page of every Parquet file and every line of every journal is read and its checksum tried. A run that is
    being worked on can be verified as well.
    """
    holder = find_holder(run)  # asked before anything is read: what changes from then on is no damage
    plan, of_plan = check_plan(run)
    of_rows = [check_journal(path, is_growing=holder is not None) for path in list_journals(run)]
    of_rows += [check_predictions(path) for path in sorted(run.glob("predictions/*.parquet"))]
    checks = [of_plan, check_samples(run, None if holder else plan), check_prompts(run, plan), *of_rows]
    checks += [check_predictions(path) for path in list_set_aside(run) if path.suffix == ".parquet"]
    checks += _check_scores(run, plan, of_rows)
    return [check for check in checks if check is not None] + ([] if holder else list(_remains(run)))


def _check_scores(run: Path, plan: RunPlan | None, of_rows: Sequence[Check]) -> Iterator[Check]:
    """Check the scores; their keys only where the run did not go on since, and what it holds can be read."""
    path, remedy = run / SUMMARY_NAME, f"run `bakeoff score {run.name}` again"
    known = None
    if path.is_file() and plan is not None:
        try:
            if read_summary(run).is_outdated:
                yield Check(path, "outdated", note=f"the run went on after it was scored; {remedy}")
            else:
                known = _known_keys(run, plan, of_rows)
                yield Check(path, "up to date")
        except BakeoffError as error:
            yield Check(path, "unreadable", damage=f"{error}; {remedy}")
    for scores in sorted(run.glob("scores/*.parquet")):
        yield check_scores(scores, known, remedy)


def _known_keys(run: Path, plan: RunPlan, of_rows: Sequence[Check]) -> keysets.Keys | None:
    """Return every key that the plan expects or a prediction has; None where they cannot all be told."""
    if any(check.damage for check in of_rows):
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
