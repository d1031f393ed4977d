"""Whether what a run was asked is sound: its plan, its samples and its prompts."""

from collections import Counter
from pathlib import Path

from orchestrator.errors import BakeoffError
from orchestrator.inspection.sound_rows import NEWER, Check, find_rewriting, is_newer, unsound
from orchestrator.prompt import digest
from orchestrator.results.layout import PLAN_NAME, PROMPTS_NAME, SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.plan import RunPlan, read_plan
from orchestrator.results.schema import PROMPTS, SAMPLES

_PLAN_REMEDY = "move it away and give the run's commands again: what is answered is not asked again"
_PROMPTS_REMEDY = "move it away and restore it from a copy, or run again, which keeps the answers to the prompts of now"
_SAMPLES_REMEDY = "move it away and give the same `bakeoff run` again, which writes it anew"


def check_plan(run: Path) -> tuple[RunPlan | None, Check]:
    """Read `run.json`, which must be of a version that we know."""
    path = run / PLAN_NAME
    if not path.is_file():
        return None, Check(path, "missing", f"is not there; restore it, or {_PLAN_REMEDY.partition('and ')[2]}")
    try:
        plan = read_plan(run)
    except BakeoffError as error:
        told = str(error).removeprefix(f"{path}: ")
        newer = Check(path, NEWER, note=f"{told}; the rest of the run was tried without it")
        return None, newer if is_newer(told) else Check(path, "unreadable", f"{told}; {_PLAN_REMEDY}")
    return plan, Check(path, f"{len(plan.cells)} cells")


def check_samples(run: Path, plan: RunPlan | None) -> Check:
    """Read all of the samples: each is there once, and as many as `plan` (None: not known) says."""
    path = run / SAMPLES_NAME
    ids: Counter[str | None] = Counter()
    try:
        with ParquetReader(path, SAMPLES, _SAMPLES_REMEDY) as file:
            for batch in file.batches():
                ids.update(batch["id"].to_pylist())
            note = find_rewriting(file)
    except BakeoffError as error:
        return unsound(path, error, _SAMPLES_REMEDY)
    state = f"{ids.total()} samples"
    if None in ids:
        return Check(path, state, f"has samples without an id; {_SAMPLES_REMEDY}")
    if len(ids) < ids.total():
        return Check(path, state, f"has {ids.total() - len(ids)} samples twice; {_SAMPLES_REMEDY}")
    if plan and plan.samples != ids.total():
        return Check(path, state, f"has {ids.total()} samples, the plan says {plan.samples}; {_SAMPLES_REMEDY}")
    return Check(path, state, note=note)


def check_prompts(run: Path, plan: RunPlan | None) -> Check:
    """Read all prompts, digest each again, and look whether those of the plan are there."""
    path = run / PROMPTS_NAME
    try:
        with ParquetReader(path, PROMPTS, _PROMPTS_REMEDY) as file:
            rows = [row for batch in file.batches() for row in batch.to_pylist()]
            note = find_rewriting(file)
    except BakeoffError as error:
        return unsound(path, error, _PROMPTS_REMEDY)
    for row in rows:
        if digest(row["text"], row["system"], row["kind"] or "text") != row["sha256"]:
            return Check(
                path, "damaged", f"the text of prompt '{row['id']}' is not what its digest says; {_PROMPTS_REMEDY}"
            )
    there = {row["sha256"] for row in rows}
    lost = [cell.prompt for cell in plan.cells if cell.prompt_sha256 not in there] if plan else []
    damage = f"lacks the prompt '{lost[0]}' of the plan; {_PROMPTS_REMEDY}" if lost else None
    return Check(path, f"{len(rows)} prompts", damage, note)
