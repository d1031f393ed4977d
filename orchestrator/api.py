"""The functions behind the commands, for notebooks and scripts; `orchestrator` hands them on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import config, doctor, experiments, inspection, scaffold, tending
from orchestrator.config import Model, Workspace, find_workspace, get_model, get_runner, open_workspace
from orchestrator.datasets import open_dataset
from orchestrator.errors import UsageError, nearest
from orchestrator.experiments import ExperimentSet, SetOutcome, SetPlan
from orchestrator.experiments.carrying import make_ceiling, make_stops
from orchestrator.experiments.resolve import asked_runs, metrics_of, set_of_order
from orchestrator.exporting import Export, Form, export_run
from orchestrator.findings import Finding
from orchestrator.importing import Outcome as ImportOutcome
from orchestrator.importing import import_dataset as import_source
from orchestrator.importing.predictions import Taken
from orchestrator.importing.predictions import import_predictions as take_predictions
from orchestrator.inspection import Check, Cleaning, RunLine, RunState
from orchestrator.judging import workspace_metrics
from orchestrator.manifest import Runner
from orchestrator.metrics import METRICS, Metric
from orchestrator.metrics.extract import make_extractor
from orchestrator.pages import Pictures, Report, write_report
from orchestrator.prompt_files import load_prompt, load_prompts
from orchestrator.reporting.failures import failure_table
from orchestrator.reporting.spent import spent_table
from orchestrator.reporting.table import summary_tables
from orchestrator.reporting.tabular import Table
from orchestrator.reporting.worst import worst as worst_answers
from orchestrator.reporting.worst import worst_table
from orchestrator.results.layout import PLAN_NAME
from orchestrator.running import runner_check
from orchestrator.running.events import Notify
from orchestrator.running.experiment import RunOutcome, carry_out
from orchestrator.running.first_look import Answer, ask_once
from orchestrator.running.planning import Order, run_folder
from orchestrator.scoring.compare import Missing, RunComparison, compare_runs
from orchestrator.scoring.gate import Limits
from orchestrator.scoring.leaderboard import Leaderboard, make_leaderboard
from orchestrator.scoring.matching import Cells
from orchestrator.scoring.score import score_run
from orchestrator.scoring.summary import Summary, read_summary

__all__ = [
    "check_dataset",
    "check_runner",
    "clean_run",
    "compare",
    "examine",
    "export",
    "find_workspace",
    "fix_paths",
    "import_dataset",
    "import_predictions",
    "init_workspace",
    "leaderboard",
    "list_metrics",
    "list_models",
    "list_runs",
    "new_runner",
    "open_set",
    "open_workspace",
    "plan_run",
    "plan_set",
    "report",
    "report_page",
    "run",
    "run_path",
    "run_set",
    "sample_dataset",
    "score",
    "score_set",
    "show_dataset",
    "show_run",
    "split_dataset",
    "try_model",
    "verify_run",
]

Place = Workspace | Path | str | None
"""A workspace or its folder; None: the nearest one upwards from here."""


def run(
    *,
    models: Sequence[str] | str,
    dataset: str | Path,
    prompts: Sequence[str] | str = ("question",),
    repeat: int = 1,
    params: Mapping[str, Any] | None = None,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    max_failures: int | None = None,
    max_cost: float | None = None,
    max_time: float | str | None = None,
    max_parallel: int | None = None,
    replicas: int = 1,
    workspace: Place = None,
    notify: Notify | None = None,
) -> RunOutcome:
    """Ask `models` every question of `dataset` that they have not answered yet, with each of `prompts`.

    With `retry_failed` also what finally failed before, with `fresh` everything anew (earlier predictions are set aside
    in the run's folder `old`). A model is given up with `max_failures` failed requests; all stop where their answers,
    earlier ones included, cost `max_cost` US dollars, or after `max_time` (seconds, or a text such as "2h").
    Models run side by side as far as the machine has room, at most `max_parallel` at a time, each with up to `replicas`
    workers.
    A model that fails is told in the outcome; raises BakeoffError for what does not exist or does not fit.
    """
    opened, tell = _open(workspace), notify or _ignore
    stops = make_stops(max_cost, max_time, max_failures)
    order = _order(opened, models, dataset, prompts, repeat, params, limit, name)
    ceiling = make_ceiling(opened, set_of_order(order, run_folder(opened, order).name), stops, tell)
    changes: dict[str, Any] = {
        "retry_failed": retry_failed,
        "fresh": fresh,
        "max_failures": max_failures,
        "max_parallel": max_parallel,
        "replicas": replicas,
        "ceiling": ceiling,
    }
    return carry_out(opened, replace(order, **changes), tell)


def plan_run(
    *,
    models: Sequence[str] | str,
    dataset: str | Path,
    prompts: Sequence[str] | str = ("question",),
    repeat: int = 1,
    params: Mapping[str, Any] | None = None,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    workspace: Place = None,
) -> SetPlan:
    """Return what `run` would ask with the same arguments, what is there, and what the rest may take; ask nothing."""
    opened = _open(workspace)
    order = _order(opened, models, dataset, prompts, repeat, params, limit, name)
    wanted = set_of_order(order, run_folder(opened, order).name)
    return experiments.plan_set(opened, wanted, retry_failed=retry_failed)


def _order(
    workspace: Workspace,
    models: Sequence[str] | str,
    dataset: str | Path,
    prompts: Sequence[str] | str,
    repeat: int,
    params: Mapping[str, Any] | None,
    limit: int | None,
    name: str | None,
) -> Order:
    return Order(
        models=tuple(get_model(workspace, model) for model in dict.fromkeys(_listed(models))),
        dataset=open_dataset(workspace, str(dataset)),
        prompts=load_prompts(workspace, dict.fromkeys(map(str, _listed(prompts)))),
        overrides=dict(params or {}),
        repeats=repeat,
        limit=limit,
        run=name,
    )


def open_set(
    given: str | Path, *, limit: int | None = None, name: str | None = None, workspace: Place = None
) -> ExperimentSet:
    """Read an experiment set, a name below `experiments/` or a path; see `orchestrator.experiments.resolve`.

    With `limit` and `name` all its cells are over the first `limit` samples, in the run `name`.
    """
    return experiments.open_set(_open(workspace), str(given), limit=limit, run=name)


def plan_set(
    given: str | Path,
    *,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    workspace: Place = None,
) -> SetPlan:
    """Return what `run_set` would ask, what is there already, and what the rest may take; nothing is asked."""
    opened = _open(workspace)
    wanted = experiments.open_set(opened, str(given), limit=limit, run=name)
    return experiments.plan_set(opened, wanted, retry_failed=retry_failed)


def run_set(
    given: str | Path,
    *,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    max_failures: int | None = None,
    max_cost: float | None = None,
    max_time: float | str | None = None,
    max_parallel: int | None = None,
    replicas: int = 1,
    workspace: Place = None,
    notify: Notify | None = None,
) -> SetOutcome:
    """Carry an experiment set out: ask what is missing of its cells. The arguments are those of `run` and `open_set`.

    Raises BakeoffError with file and key for what is misspelt, unknown or does not fit, before anything is asked.
    """
    opened = _open(workspace)
    stops = make_stops(max_cost, max_time, max_failures)
    wanted = experiments.open_set(opened, str(given), limit=limit, run=name)
    changes = {"retry_failed": retry_failed, "fresh": fresh, "max_parallel": max_parallel, "replicas": replicas}
    return experiments.run_set(opened, wanted, notify or _ignore, stops=stops, changes=changes)


def score_set(
    given: str | Path, *, workspace: Place = None, notify: Callable[[str], None] | None = None
) -> dict[Path, Summary]:
    """Score each run of an experiment set by the metrics that its cells name (none: the default ones); by folder."""
    opened = _open(workspace)
    wanted = experiments.open_set(opened, str(given))
    asked = asked_runs(opened, wanted, notify or _ignore)
    folders = {run_path(run, lambda: opened): metrics_of(cells) for run, cells in asked.items()}
    return {folder: score(folder, metrics=names, workspace=opened, notify=notify) for folder, names in folders.items()}


def import_dataset(
    kind: str,
    source: str,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    replace: bool = False,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> ImportOutcome:
    """Make the dataset `name` of `source`, which is of `kind`; see `orchestrator.importing`."""
    opened = _open(workspace)
    return import_source(opened, kind, source, name, dict(options or {}), replace=replace, notify=notify or _ignore)


def import_predictions(
    source: Path | str,
    *,
    model: str,
    dataset: str | Path,
    run: str | None = None,
    replace: bool = False,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> Taken:
    """Take finished predictions of another program into a run; see `orchestrator.importing.predictions`."""
    opened = _open(workspace)
    found = open_dataset(opened, str(dataset))
    path = Path(source).expanduser()
    return take_predictions(opened, path, found, model, run=run, replace=replace, notify=notify or _ignore)


def check_dataset(
    name: str | Path, *, decode: bool = True, workspace: Place = None, notify: Callable[[str], None] | None = None
) -> tending.Check:
    """Look at every sample of a dataset before a model does; see `orchestrator.tending.check`."""
    opened = _open(workspace)
    dataset = open_dataset(opened, str(name))
    return tending.check_dataset(dataset, opened.image_folders, decode=decode, notify=notify or _ignore)


def fix_paths(name: str | Path, root: Path | str, *, dry_run: bool = False, workspace: Place = None) -> tending.Mended:
    """Rewrite a dataset's image paths that lead nowhere to files below `root`; see `orchestrator.tending.paths`."""
    return tending.fix_paths(open_dataset(_open(workspace), str(name)), Path(root), dry_run=dry_run)


def split_dataset(
    name: str | Path, shares: Mapping[str, float], *, seed: int = 0, workspace: Place = None
) -> list[tending.Part]:
    """Divide a dataset by document into parts of these shares; see `orchestrator.tending.split`."""
    return tending.split_dataset(open_dataset(_open(workspace), str(name)), shares, seed=seed)


def sample_dataset(
    name: str | Path,
    count: int,
    part: str = "sample",
    *,
    seed: int = 0,
    per: str | None = None,
    workspace: Place = None,
) -> tending.Part:
    """Draw `count` samples of a dataset (with `per` so many of each doc_class or question_type) as a part of it."""
    return tending.sample_dataset(open_dataset(_open(workspace), str(name)), count, part, seed=seed, per=per)


def show_dataset(
    name: str | Path, output: Path | str | None = None, *, limit: int = 60, start: int = 0, workspace: Place = None
) -> tuple[Path, int]:
    """Write a page with samples of a dataset (default: `<name>.html` here); return its path and their number."""
    opened = _open(workspace)
    dataset = open_dataset(opened, str(name))
    path = Path(output) if output else Path(f"{dataset.name}.html")
    return path, tending.write_sheet(dataset, path, opened.image_folders, limit=limit, start=start)


def try_model(
    model: str,
    images: Sequence[Path | str] | Path | str,
    question: str,
    *,
    prompt: str | None = None,
    params: Mapping[str, Any] | None = None,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> Answer:
    """Ask one model one question about `images`, put into `prompt` if one is given, and keep nothing."""
    opened = _open(workspace)
    found = get_model(opened, model)
    chosen = type(found)(found.name, found.runner, {**found.params, **(params or {})})
    filled = load_prompt(opened, prompt) if prompt else None
    return ask_once(opened, chosen, [Path(image) for image in _listed(images)], question, notify or _ignore, filled)


def score(
    run: Path | str,
    *,
    metrics: Sequence[str] | None = None,
    extract: Sequence[str] | str = (),
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> Summary:
    """Score the answers of `run` (a name or a path) by `metrics` (default: the default ones), and write what comes out.

    `extract` names what is taken out of each answer before, in order. Metrics of the workspace are known as well.
    """
    folder = run_path(run, lambda: _open(workspace))
    names = [extract] if isinstance(extract, str) else extract
    extractor = make_extractor(names) if names else None
    with workspace_metrics(_of_run(folder, workspace), folder, notify or _ignore) as own:
        own.refuse_unusable(metrics or ())
        return score_run(folder, metrics, notify or _ignore, extractor=extractor, own=own.metrics)


def list_metrics(workspace: Place = None) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return every metric by name, and by name of file or folder why one of the workspace cannot be used."""
    with workspace_metrics(_open(workspace), None, _ignore) as own:
        return {**METRICS, **own.metrics}, own.defects


def _of_run(folder: Path, workspace: Place) -> Workspace | None:
    """Return the workspace that was given, or the one that a run lies in; None where it lies in none."""
    try:
        return _open(workspace) if workspace else find_workspace(folder)
    except UsageError:
        return None


def report(
    run: Path | str,
    *,
    worst: int | None = None,
    metric: str = "cer",
    width: int = 100,
    workspace: Place = None,
) -> list[Table]:
    """Return the scores of `run` as tables of text, at most `width` characters wide where one metric fits.

    With `worst`, also that many answers of each model, those with the worst `metric`.
    """
    folder = run_path(run, lambda: _open(workspace))
    summary = read_summary(folder)
    models = tuple(dict.fromkeys(figure.model for figure in summary.figures))
    tables = summary_tables(summary, width)
    further = (spent_table(folder, models), failure_table(folder, models))
    tables += [table for table in further if table is not None]
    if worst:
        for model in models:
            answers = worst_answers(folder, model, metric, worst)
            tables.append(worst_table(model, metric, answers, unit=summary.metric_notes[metric].unit))
    return tables


def report_page(
    run: Path | str | Sequence[Path | str],
    output: Path | str | None = None,
    *,
    pictures: Pictures = "thumb",
    plots: Path | str | None = None,
    workspace: Place = None,
) -> Report:
    """Write the page of `run` (default: `report.html` in it), and with `plots` every plot into that folder.

    Of several runs it is one page (default: `report.html` beside the first), with a leaderboard where they are about
    the same samples. See `orchestrator.pages`.
    """
    folders = [run_path(each, lambda: _open(workspace)) for each in _listed(run)]
    return write_report(
        folders, Path(output) if output else None, pictures=pictures, plots=Path(plots) if plots else None
    )


def compare(
    first: Path | str,
    second: Path | str | None = None,
    *,
    cells: Cells | None = None,
    metrics: Sequence[str] | None = None,
    missing: Missing | None = None,
    max_regression: Limits | None = None,
    samples: int = 3,
    workspace: Place = None,
) -> RunComparison:
    """Compare cells of two runs, or of one, sample by sample: the second is better, worse, or no difference is seen.

    Cells of one name are compared, of one run all pairs, or those named by `cells`, a pair such as
    `("rapidocr / question", "tesseract")` or several. With `max_regression`, a loss or one by metric, the result's
    `gate` says whether more was lost; answers without a score then count as the worst unless `missing` says
    "left out", which else is the default. `samples` are named that lost most, and as many that gained most.
    See `orchestrator.scoring.compare`.
    """
    folders = [run_path(run, lambda: _open(workspace)) for run in (first, first if second is None else second)]
    return compare_runs(
        folders[0], folders[1], cells, metrics, missing=missing, max_regression=max_regression, samples=samples
    )


def leaderboard(
    runs: Sequence[Path | str] | Path | str,
    metric: str | None = None,
    *,
    shared: bool = False,
    missing: Missing = "worst",
    workspace: Place = None,
) -> Leaderboard:
    """Rank the cells of `runs` by `metric` (default: the first main one); refuse runs whose samples differ.

    With `shared`, rank on the samples that all have. See `orchestrator.scoring.leaderboard`.
    """
    folders = [run_path(run, lambda: _open(workspace)) for run in _listed(runs)]
    return make_leaderboard(folders, metric, shared=shared, missing=missing)


def export(run: Path | str, to: Form, output: Path | str | None = None, *, workspace: Place = None) -> Export:
    """Write every answer of `run` with its scores to a file of the form `to`; see `orchestrator.exporting`."""
    return export_run(run_path(run, lambda: _open(workspace)), to, Path(output) if output else None)


def run_path(run: Path | str, workspace: Callable[[], Workspace]) -> Path:
    """Return the directory of a run given by path or by name; raise UsageError with the nearest name."""
    as_path = Path(run)
    if (as_path / PLAN_NAME).is_file():
        return as_path.resolve()
    results = workspace().results
    if (results / as_path / PLAN_NAME).is_file():
        return results / as_path
    known = [path.parent.name for path in results.glob(f"*/{PLAN_NAME}")]
    raise UsageError(f"there is no run '{run}'{nearest(str(run), known)} (`bakeoff list runs` shows all)")


def list_runs(workspace: Place = None) -> list[RunLine]:
    """Return every run in short; a damaged one says so."""
    return inspection.list_runs(_open(workspace))


def show_run(run: Path | str, *, samples_max: int | None = 3, workspace: Place = None) -> RunState:
    """Return what `run` was asked, what is stale, what is missing and why, with `samples_max` samples a reason."""
    return inspection.show_run(inspection.find_run(run, _open(workspace).results), samples_max)


def verify_run(run: Path | str, workspace: Place = None) -> list[Check]:
    """Read every byte of `run` and return what was looked at; those with a `damage` are damaged."""
    return inspection.verify_run(inspection.find_run(run, _open(workspace).results))


def clean_run(run: Path | str, *, everything: bool = False, dry_run: bool = False, workspace: Place = None) -> Cleaning:
    """Delete what nobody needs of `run`; with `everything`, what was set aside as well."""
    found = inspection.find_run(run, _open(workspace).results)
    return inspection.clean_run(found, everything=everything, dry_run=dry_run)


def init_workspace(folder: Path | str = ".") -> Path:
    """Make `folder` a workspace with the built-in prompts and the tiny dataset; return its path."""
    return scaffold.init_workspace(Path(folder))


def list_models(workspace: Place = None) -> dict[str, Model]:
    """Return every usable model by name."""
    return config.list_models(_open(workspace))


def examine(workspace: Place = None) -> list[Finding]:
    """Return what `bakeoff doctor` finds."""
    return list(doctor.examine(_open(workspace)))


def new_runner(name: str, workspace: Place = None) -> Runner:
    """Write a runner folder that works as it is."""
    return scaffold.new_runner(_open(workspace), name)


def check_runner(name: str, workspace: Place = None, notify: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Prove the runner or model called `name` against the contract, finding by finding."""
    opened = _open(workspace)
    models = config.list_models(opened)
    found = models.get(name)
    if found is None:
        runner = get_runner(opened, name)
        found = next(model for model in models.values() if model.runner.name == runner.name)
    return runner_check.check_runner(opened, found, notify or _ignore)


def _listed(given: Sequence[Any] | Path | str) -> Sequence[Any]:
    """Take one thing for a list of it."""
    return [given] if isinstance(given, (str, Path)) else given


def _open(workspace: Place) -> Workspace:
    if isinstance(workspace, Workspace):
        return workspace
    return open_workspace(Path(workspace)) if workspace else find_workspace()


def _ignore(_: object) -> None:
    pass
