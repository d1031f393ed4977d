"""The metrics of a workspace: those in its files, and those that run in an environment of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.errors import UsageError, nearest
from orchestrator.manifest import Runner, discover
from orchestrator.metrics import METRICS, Metric
from orchestrator.metrics.outside import Ask, Question, Reply, make_outside_metric
from orchestrator.metrics.own import load_own_metrics
from orchestrator.running.measuring import Measurer

FOLDER = "metrics"


@dataclass(frozen=True, slots=True)
class WorkspaceMetrics:
    """Metrics by name; `defects` say by the name of a file or folder why what is there cannot be used."""

    metrics: dict[str, Metric]
    defects: dict[str, str]

    def refuse_unusable(self, names: Sequence[str]) -> None:
        """Raise UsageError where one of `names` is unknown, and something in the folder cannot be used."""
        for name in names:
            plain = name.partition("@")[0]
            if plain in METRICS or plain in self.metrics or not self.defects:
                continue
            if plain in self.defects:
                raise UsageError(self.defects[plain])
            known = nearest(plain, {**METRICS, **self.metrics})
            raise UsageError(f"there is no metric '{plain}'{known}, unless here: {next(iter(self.defects.values()))}")


@contextmanager
def workspace_metrics(
    workspace: Workspace | None, run: Path | None, notify: Callable[[str], None]
) -> Iterator[WorkspaceMetrics]:
    """Give the metrics of `workspace` (None: none) for scoring `run`, and end their workers in the end.

    Their files are run; a worker is started when something is asked of it. Without a run nothing can be asked.
    """
    if workspace is None or not (workspace.root / FOLDER).is_dir():
        yield WorkspaceMetrics({}, {})
        return
    own = load_own_metrics(workspace.root / FOLDER, METRICS)
    found = discover((workspace.root / FOLDER,))
    metrics, defects = dict(own.metrics), {**own.defects, **found.defects}
    with ExitStack() as stack:
        for name, runner in found.runners.items():
            if name in METRICS or name in metrics:
                defects[name] = f"{FOLDER}/{name}: there is a metric '{name}' already; rename the folder"
                continue
            metrics[name] = _outside(runner, _asker(workspace, runner, run, notify, stack))
        yield WorkspaceMetrics(metrics, defects)


def _outside(runner: Runner, ask: Ask) -> Metric:
    table = runner.manifest.metric
    return make_outside_metric(
        runner.name,
        ask,
        description=runner.manifest.description or f"metric of the folder {FOLDER}/{runner.name}",
        unit=table.unit,
        direction=table.direction,
        needs_reference=table.needs_reference,
    )


def _asker(
    workspace: Workspace, runner: Runner, run: Path | None, notify: Callable[[str], None], stack: ExitStack
) -> Ask:
    """Return what asks the worker of `runner`, opened with the first question and closed with `stack`."""
    opened: list[Measurer] = []

    def ask(questions: Sequence[Question]) -> list[Reply]:
        if not opened:
            assert run is not None
            opened.append(stack.enter_context(Measurer(workspace, runner, run, notify)))
        return [Reply(*reply) for reply in opened[0].ask(questions)]

    return ask
