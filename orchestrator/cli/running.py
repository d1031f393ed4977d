"""The commands that ask models: `run` and `try`."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace, parse_params, shown_path
from orchestrator.cli.experiments import show_plan
from orchestrator.errors import ModelFailedError, TryLaterError, UsageError

if TYPE_CHECKING:
    from orchestrator.running.events import Advance, ModelOutcome
    from orchestrator.running.experiment import RunOutcome
    from orchestrator.running.spent import Spent

_INTERRUPTED = 130
_NAMED_MAX = 3
_CENT = 0.01


@click.command()
@click.argument("experiments", metavar="[SET]", required=False)
@click.option("--model", "models", multiple=True, metavar="M", help="A model; may be repeated.")
@click.option("--dataset", metavar="D", help="A dataset's name or path.")
@click.option("--prompt", "prompts", multiple=True, metavar="P", help="Name, path or folder; default: question.")
@click.option("--repeat", type=click.IntRange(min=1), metavar="N", help="Ask everything N times.")
@click.option("--param", "params", multiple=True, metavar="K=V", help="A parameter for every model.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N samples.")
@click.option("--run", "name", metavar="NAME", help="The run's name; default: the dataset's.")
@click.option("--retry-failed", is_flag=True, help="Also ask again what was refused as bad input or quarantined.")
@click.option("--fresh", is_flag=True, help="Ask everything anew; earlier predictions are set aside in the run's old/.")
@click.option(
    "--max-failures", type=click.IntRange(min=1), metavar="N", help="Give a model up after N failed requests."
)
@click.option("--max-parallel", type=click.IntRange(min=1), metavar="N", help="At most N models at a time.")
@click.option("--replicas", type=click.IntRange(1, 64), default=1, metavar="N", help="Up to N workers of each model.")
@click.option("--max-cost", type=click.FloatRange(min=0, min_open=True), metavar="USD", help="Stop when this is spent.")
@click.option("--max-time", metavar="TIME", help="Stop after this time, such as 45m or 2h.")
@click.option("--dry-run", is_flag=True, help="Show what would be asked, and what it may take; ask nothing.")
def run(
    experiments: str | None,
    models: tuple[str, ...],
    dataset: str | None,
    prompts: tuple[str, ...],
    repeat: int | None,
    params: tuple[str, ...],
    limit: int | None,
    name: str | None,
    retry_failed: bool,
    fresh: bool,
    max_failures: int | None,
    max_parallel: int | None,
    replicas: int,
    max_cost: float | None,
    max_time: str | None,
    dry_run: bool,
) -> int:
    """Ask models every question of a dataset that they have not answered yet; or all that SET says.

    SET is an experiment set: a name below experiments/, or a path (see docs/experiments.md).

    The same command again goes on where it was left: what is answered is never asked twice, what failed by an error, a
    crash or a timeout is asked again.

    Models run side by side as far as cores and devices allow (see docs/scheduling.md); --max-parallel 1 runs one after
    the other, which is best for timings.

    \b
    Example:
      bakeoff run --model rapidocr --model tesseract --prompt question --dataset tiny-docs
      bakeoff run experiments/smoke.yaml --dry-run
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without

    said = {"models": models, "dataset": dataset, "prompts": prompts, "repeat": repeat, "params": parse_params(params)}
    _refuse_mixture(experiments, said)
    shared: dict[str, Any] = {
        "limit": limit,
        "name": name,
        "retry_failed": retry_failed,
        "fresh": fresh,
        "max_cost": max_cost,
        "max_time": max_time,
        "workspace": current_workspace(),
    }
    if experiments is None:
        shared |= said | {"prompts": prompts or ("question",), "repeat": repeat or 1}
    if dry_run:
        show_plan(api.plan_set(experiments, **shared) if experiments else api.plan_run(**shared))
        return 0
    shared |= {"max_failures": max_failures, "max_parallel": max_parallel, "replicas": replicas}
    with console.RunDisplay() as display:
        shared |= {"notify": lambda event: _show(display, event)}
        if experiments is None:
            ran = api.run(**shared)
            outcomes, stopped, after, left = [ran], ran.stopped, "bakeoff score ", []
        else:
            done = api.run_set(experiments, **shared)
            outcomes, stopped = [*done.runs], done.stopped
            after = f"bakeoff experiments score {shlex.quote(experiments)} && bakeoff report "
            left = [run for run in done.set.runs if run not in {outcome.folder.name for outcome in outcomes}]
    return _end(outcomes, stopped, after, left)


def _refuse_mixture(experiments: str | None, said: Mapping[str, Any]) -> None:
    """Raise UsageError where a set is given besides what it says itself, or neither is."""
    options = [f"--{name.removesuffix('s')}" for name, value in said.items() if value]
    if experiments is not None and options:
        raise UsageError(f"the set says that itself: leave out {', '.join(options)}, or write it into {experiments}")
    missing = [needed for needed in ("--model", "--dataset") if needed not in options]
    if experiments is None and missing:
        raise UsageError(f"say what to ask: an experiment set, or --model and --dataset; {missing[0]} is missing")


def _end(outcomes: "Sequence[RunOutcome]", stopped: str | None, after: str, left: Sequence[str]) -> int:
    """Tell how a call ended and what comes next, `after` with a run's name; return the exit code.

    The runs in `left` were not begun.
    """
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    for problem in problems:
        console.error(str(problem))
    if outcomes[-1].interrupted:
        console.status(f"interrupted; {_next_step(outcomes, after, left)}")
        return _INTERRUPTED
    failed = _tell_logs(outcomes)
    _tell_gaps(outcomes)
    if stopped:
        how = " with a higher --max-cost" if stopped.startswith("max_cost") else ""
        console.status(f"{stopped}; what was answered is kept, and the same command{how} goes on from here")
    for outcome in outcomes:
        if any(model.answered for model in outcome.models):
            then = "the same command asks for the rest, then" if failed or stopped or problems else "next"
            console.status(f"answers are in {shown_path(outcome.folder)}; {then}: {after}{outcome.folder.name}")
    if stopped:
        return TryLaterError.exit_code
    if problems:
        return problems[0].exit_code
    if not failed:
        return 0
    return (TryLaterError if all(model.is_passing for model in failed) else ModelFailedError).exit_code


def _tell_gaps(outcomes: "Sequence[RunOutcome]") -> None:
    """Tell where it stands why several requests have no answer, of which only the first reason was told."""
    for outcome in outcomes:
        if any(model.failed > 1 for model in outcome.models):
            name = shlex.quote(outcome.folder.name)
            console.status(f"what has no answer, and why: bakeoff runs show {name} --all")


def _tell_logs(outcomes: "Sequence[RunOutcome]") -> "list[ModelOutcome]":
    """Return what failed of models, having told where their workers' last words are."""
    from orchestrator.results.layout import find_logs  # noqa: PLC0415 - see run

    failed = [(outcome.folder, model) for outcome in outcomes for model in outcome.models if model.error]
    for folder, name in dict.fromkeys((folder, model.model) for folder, model in failed):
        if logs := find_logs(folder, name):
            console.status(f"what its worker said is in {', '.join(map(shown_path, logs))}")
    return [model for _, model in failed]


@click.command("try")
@click.argument("model")
@click.argument("images_and_question", nargs=-1, required=True, metavar='IMAGE… "QUESTION"')
@click.option("--prompt", metavar="P", help="Put the question into this prompt; default: ask it as it is.")
@click.option("--param", "params", multiple=True, metavar="K=V", help="A parameter for the model.")
def first_look(model: str, images_and_question: tuple[str, ...], prompt: str | None, params: tuple[str, ...]) -> None:
    """Ask one model one question about one to three images, and keep nothing.

    \b
    Example:
      bakeoff try rapidocr receipt.jpg "What is the total?"
    """
    from orchestrator import api  # noqa: PLC0415 - see run

    *images, question = images_and_question
    if not images or Path(question).is_file():
        raise UsageError('put the question last, in quotes: bakeoff try MODEL IMAGE… "QUESTION"')
    answer = api.try_model(
        model,
        images,
        question,
        prompt=prompt,
        params=parse_params(params),
        workspace=current_workspace(),
        notify=console.status,
    )
    console.say(answer.text)
    parts = [f"loaded in {answer.load_s:.1f} s", f"answered in {answer.latency_s:.2f} s", *describe_spent(answer.spent)]
    console.status(", ".join(parts))


def _show(display: console.RunDisplay, event: object) -> None:
    from orchestrator.running.events import Advance, ModelOutcome, Note  # noqa: PLC0415 - see run

    match event:
        case Note(text):
            display.note(text)
        case Advance():
            done = event.before + event.ok + event.failed
            if event.stage:
                display.advance(event.label, event.total, done, event.stage)
            else:
                display.advance(event.label, event.total, done, _pace(event))
        case ModelOutcome():
            is_new = event.error is not None and display.is_new(f"{event.model}: {event.error}")
            display.finish(event.label, _describe(event, is_new=is_new), is_bad=event.error is not None)


def _pace(event: "Advance") -> str:
    to_go = f", {console.duration(event.eta_s)} to go" if event.eta_s is not None else ""
    pace = f"{event.rate:.1f}/s" if event.rate >= 1 or not event.rate else f"{1 / event.rate:.1f} s each"
    return f"{event.failed} failed, {pace}{to_go}"


def _next_step(outcomes: "Sequence[RunOutcome]", after: str, left: Sequence[str]) -> str:
    if left:
        return f"the same command goes on from here; not begun yet: {', '.join(left)}"
    if not all(outcome.is_complete for outcome in outcomes):
        return "the same command goes on from here"
    return f"nothing is missing; next: {after}{outcomes[-1].folder.name}"


def _describe(outcome: "ModelOutcome", *, is_new: bool = True) -> str:
    """Say in one line how a model's part of a run ended; why it failed where that `is_new`."""
    shared = f" (for {outcome.answers} questions)" if outcome.answers > outcome.total else ""
    parts = [f"{outcome.answered} of {outcome.total} answered{shared}"]
    if outcome.before.get("ok") and outcome.statuses:
        parts.append(f"{outcome.ok} now")
    others = Counter(outcome.before) + Counter(outcome.statuses)
    parts += [f"{n} {status}" for status, n in sorted(others.items()) if status != "ok"]
    if outcome.statuses:
        parts += [f"{outcome.elapsed_s:.1f} s", *describe_spent(outcome.spent)]
    if given_up := sum(outcome.before.get(status, 0) for status in ("bad_input", "quarantined")):
        parts[-1] += f"; {given_up} given up before (--retry-failed asks them again)"
    failed = f"; FAILED: {outcome.error if is_new else 'for the same reason'}"
    ended = failed if outcome.error else "; stopped" if outcome.stopped else ""
    lines = [", ".join(parts) + ended]
    lines += [f"  {status}: {why}" for status, why in outcome.reasons.items() if why not in (outcome.error or "")]
    return "\n".join(lines)


def describe_spent(spent: "Spent") -> list[str]:
    """Say what answers took, of which only a part may have told it: tokens, money and who served them."""
    parts = []
    if spent.with_tokens:
        read = f"{spent.input_tokens:,} + " if spent.input_tokens else ""
        parts.append(f"{read}{spent.output_tokens:,} tokens{_of_part(spent.with_tokens, spent.answers)}")
    if spent.with_cost:
        parts.append(f"{_dollars(spent.cost)}{_of_part(spent.with_cost, spent.answers)}")
    if spent.served:
        names = [name for name, _ in spent.served.most_common(_NAMED_MAX)]
        more = " and others" if len(spent.served) > len(names) else ""
        parts.append(f"served by {', '.join(names)}{more}")
    return parts


def _of_part(part: int, answers: int) -> str:
    return "" if part == answers else f" (of {part} of {answers} answers)"


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.4f}" if cost >= _CENT / 100 or not cost else f"${cost:.2g}"
