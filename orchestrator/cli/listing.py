"""The command `list`: what there is to choose from, one a line."""

import json
from typing import TYPE_CHECKING

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace
from orchestrator.config import Model, Workspace, list_models

if TYPE_CHECKING:
    from orchestrator.metrics import Metric

_NAMES = ("checkpoint", "model")  # parameters in which runners have it
_KINDS = ("models", "runners", "datasets", "prompts", "metrics", "experiments", "runs")


@click.command("list")
@click.argument("kind", type=click.Choice(_KINDS))
def listing(kind: str) -> None:
    """Show the models, runners, datasets, prompts, metrics, experiment sets or runs that can be named elsewhere.

    \b
    Example:
      bakeoff list models
    """
    rows = {
        "models": _models,
        "runners": _runners,
        "datasets": _datasets,
        "prompts": _prompts,
        "metrics": _metrics,
        "experiments": _experiments,
        "runs": _runs,
    }[kind](current_workspace())
    width = max((len(name) for name, _ in rows), default=0)
    for name, about in rows:
        console.say(f"{name:<{width}}  {about}".rstrip())
    if not rows:
        console.status(f"there are no {kind} here yet")


def _models(workspace: Workspace) -> list[tuple[str, str]]:
    _tell_defects(workspace)
    models = list_models(workspace)
    for name, table in workspace.own_models.items():
        if name not in models:
            console.status(f"model {name} cannot be used: there is no usable runner '{table['runner']}'")
    return [(model.name, f"runner {model.runner.name}: {_what(model)}") for model in models.values()]


def _what(model: Model) -> str:
    """Return what tells `model` from others of its runner: what it loads or asks, else its own parameters."""
    from orchestrator.scoring.cell_name import params_text  # noqa: PLC0415 - only for this kind

    defaults = model.runner.manifest.defaults
    own = {name: value for name, value in model.params.items() if value not in ("", defaults.get(name))}
    named = next((str(own[name]) for name in _NAMES if own.get(name)), "")
    return named or params_text(json.dumps(own)) or model.runner.manifest.description


def _runners(workspace: Workspace) -> list[tuple[str, str]]:
    _tell_defects(workspace)
    return [(runner.name, runner.manifest.description) for runner in workspace.discovery.runners.values()]


def _datasets(workspace: Workspace) -> list[tuple[str, str]]:
    from orchestrator.datasets import list_datasets  # noqa: PLC0415 - only for this kind

    return [(name, "") for name in list_datasets(workspace)]


def _prompts(workspace: Workspace) -> list[tuple[str, str]]:
    from orchestrator.errors import BakeoffError  # noqa: PLC0415 - only for this kind
    from orchestrator.prompt import describe  # noqa: PLC0415 - only for this kind
    from orchestrator.prompt_files import list_prompts, read_prompt  # noqa: PLC0415 - only for this kind

    rows = []
    for name, path in list_prompts(workspace).items():
        try:
            rows.append((name, describe(read_prompt(workspace, path, name))))
        except BakeoffError as error:
            rows.append((name, f"unusable: {error}"))
    return rows


def _metrics(workspace: Workspace) -> list[tuple[str, str]]:
    from orchestrator import api  # noqa: PLC0415 - only for this kind
    from orchestrator.metrics.normalise import STEPS  # noqa: PLC0415 - only for this kind

    metrics, defects = api.list_metrics(workspace)
    for name, defect in defects.items():
        console.status(f"metric {name} cannot be used: {defect}")
    steps = ", ".join(STEPS)
    console.status(
        f"those marked default are computed where none is named; NAME@STEP+STEP compares under more of: {steps}"
    )
    return [(metric.name, _about(metric)) for metric in metrics.values()]


def _about(metric: "Metric") -> str:
    default = "; default" if metric.is_default else ""
    return f"{metric.description} ({metric.unit}, {metric.direction} is better, version {metric.version}{default})"


def _experiments(workspace: Workspace) -> list[tuple[str, str]]:
    from orchestrator.errors import BakeoffError  # noqa: PLC0415 - only for this kind
    from orchestrator.experiments.reading import read_data  # noqa: PLC0415 - only for this kind
    from orchestrator.experiments.source import list_sets  # noqa: PLC0415 - only for this kind

    rows = []
    for name, path in list_sets(workspace).items():
        try:
            readme = str(read_data(path).get("readme", "")).strip()
            rows.append((name, readme.partition("\n")[0]))
        except BakeoffError as error:
            rows.append((name, f"unusable: {error}"))
    return rows


def _runs(workspace: Workspace) -> list[tuple[str, str]]:
    from orchestrator.errors import BakeoffError  # noqa: PLC0415 - only for this kind
    from orchestrator.results.layout import PLAN_NAME  # noqa: PLC0415 - only for this kind
    from orchestrator.results.plan import read_plan  # noqa: PLC0415 - only for this kind

    rows = []
    for path in sorted(workspace.results.glob(f"*/{PLAN_NAME}")):
        try:
            plan = read_plan(path.parent)
        except BakeoffError as error:
            rows.append((path.parent.name, f"unusable: {error}"))
            continue
        models = ", ".join(dict.fromkeys(cell.model for cell in plan.cells))
        rows.append(
            (path.parent.name, f"{plan.samples} samples of {plan.dataset}; {models}; {plan.updated:%Y-%m-%d %H:%M}")
        )
    return rows


def _tell_defects(workspace: Workspace) -> None:
    for name, defect in workspace.discovery.defects.items():
        console.status(f"runner {name} cannot be used: {defect}")
