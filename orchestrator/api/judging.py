"""Score answers, report on them, compare them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator import experiments
from orchestrator.api.places import Place, ignore, listed, open_place, run_path
from orchestrator.config import Workspace, find_workspace
from orchestrator.errors import UsageError
from orchestrator.experiments.outside import is_outside, tell_outside
from orchestrator.experiments.resolve import asked_runs, metrics_of
from orchestrator.exporting import Export, Form, export_run
from orchestrator.inspection.dropping import drop
from orchestrator.inspection.outdated import check_scores
from orchestrator.judging import workspace_metrics
from orchestrator.metrics import METRICS, Metric
from orchestrator.metrics.extract import make_extractor
from orchestrator.pages import Pictures, Report, write_report
from orchestrator.reporting.failures import failure_table
from orchestrator.reporting.spent import spent_table
from orchestrator.reporting.table import summary_tables
from orchestrator.reporting.tabular import Table
from orchestrator.reporting.worst import worst as worst_answers
from orchestrator.reporting.worst import worst_table
from orchestrator.scoring.compare import Missing, RunComparison, compare_runs
from orchestrator.scoring.gate import Limits
from orchestrator.scoring.leaderboard import Leaderboard, make_leaderboard
from orchestrator.scoring.matching import Cells
from orchestrator.scoring.score import score_run
from orchestrator.scoring.summary import Summary, read_summary


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
    folder = run_path(run, lambda: open_place(workspace))
    names = [extract] if isinstance(extract, str) else extract
    extractor = make_extractor(names) if names else None
    with workspace_metrics(_of_run(folder, workspace), folder, notify or ignore) as own:
        own.refuse_unusable(metrics or ())
        return score_run(folder, metrics, notify or ignore, extractor=extractor, own=own.metrics)


def score_set(
    given: str | Path,
    *,
    drop_others: bool = False,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> dict[Path, Summary]:
    """Score each run of an experiment set by the metrics that its cells name (none: the default ones); by folder.

    A run is scored whole; `notify` hears of its cells that are not in the set, which left it or are of another. With
    `drop_others` they are taken out of the run first; their answers stay.
    """
    opened = open_place(workspace)
    wanted = experiments.open_set(opened, str(given))
    asked = asked_runs(opened, wanted, notify or ignore)
    for run, cells in asked.items():
        folder = run_path(run, lambda: opened)
        if drop_others:
            for name in drop(folder, is_outside(cells)):
                (notify or ignore)(f"took out of run {folder.name}: {name}")
        elif sentence := tell_outside(folder, cells):
            (notify or ignore)(sentence)
    folders = {run_path(run, lambda: opened): metrics_of(cells) for run, cells in asked.items()}
    return {folder: score(folder, metrics=names, workspace=opened, notify=notify) for folder, names in folders.items()}


def list_metrics(workspace: Place = None) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return every metric by name, and by name of file or folder why one of the workspace cannot be used."""
    with workspace_metrics(open_place(workspace), None, ignore) as own:
        return {**METRICS, **own.metrics}, own.defects


def _of_run(folder: Path, workspace: Place) -> Workspace | None:
    """Return the workspace that was given, or the one that a run lies in; None where it lies in none."""
    try:
        return open_place(workspace) if workspace else find_workspace(folder)
    except UsageError:
        return None


def report(
    run: Path | str,
    *,
    worst: int | None = None,
    metric: str = "cer",
    width: int = 100,
    longest: int | None = None,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> list[Table]:
    """Return the scores of `run` as tables of text, at most `width` characters wide where one metric fits.

    With `worst`, also the worst answers of each model by `metric`, about that many samples; of a text of more than
    `longest` characters the beginning. Raises BakeoffError where the run
    went on after it was scored; while it is still going on, `notify` hears how many answers came since.
    """
    folder = run_path(run, lambda: open_place(workspace))
    check_scores(folder, notify or ignore)
    summary = read_summary(folder)
    models = tuple(dict.fromkeys(figure.model for figure in summary.figures))
    tables = summary_tables(summary, width, failure_table(folder, models))
    if (spent := spent_table(folder, models)) is not None:
        tables.append(spent)
    if worst:
        for model in models:
            answers = worst_answers(folder, model, metric, worst)
            tables.append(worst_table(model, metric, answers, longest, unit=summary.metric_notes[metric].unit))
    return tables


def report_page(
    run: Path | str | Sequence[Path | str],
    output: Path | str | None = None,
    *,
    pictures: Pictures = "thumb",
    plots: Path | str | None = None,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> Report:
    """Write the page of `run` (default: `report.html` in it), and with `plots` every plot into that folder.

    Of several runs it is one page (default: `report.html` beside the first), with a leaderboard where they are about
    the same samples. Raises and tells as `report` does before anything is written. See `orchestrator.pages`.
    """
    folders = [run_path(each, lambda: open_place(workspace)) for each in listed(run)]
    for folder in folders:
        check_scores(folder, notify or ignore)
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
    shared: bool = False,
    samples: int = 3,
    workspace: Place = None,
) -> RunComparison:
    """Compare cells of two runs, or of one, sample by sample: the second is better, worse, or no difference is seen.

    Cells of one name are compared, of one run all pairs, or those named by `cells`, a pair such as
    `("rapidocr / question", "tesseract")` or several. With `max_regression`, a loss or one by metric, the result's
    `gate` says whether more was lost; answers without a score then count as the worst unless `missing` says
    "left out", which else is the default; where the second run was asked fewer samples it is refused, unless those of
    both are to be judged (`shared`). `samples` are named that lost most, and as many that gained most.
    See `orchestrator.scoring.compare`.
    """
    folders = [run_path(run, lambda: open_place(workspace)) for run in (first, first if second is None else second)]
    return compare_runs(
        folders[0],
        folders[1],
        cells,
        metrics,
        missing=missing,
        max_regression=max_regression,
        shared=shared,
        samples=samples,
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
    folders = [run_path(run, lambda: open_place(workspace)) for run in listed(runs)]
    return make_leaderboard(folders, metric, shared=shared, missing=missing)


def export(run: Path | str, to: Form, output: Path | str | None = None, *, workspace: Place = None) -> Export:
    """Write every answer of `run` with its scores to a file of the form `to`; see `orchestrator.exporting`."""
    return export_run(run_path(run, lambda: open_place(workspace)), to, Path(output) if output else None)
