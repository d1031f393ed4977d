"""The command `predictions import`: what other programs have answered, beside our own."""

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace, shown_path

_TOLD = 5


@click.group()
def predictions() -> None:
    """Take in what other programs have answered."""


@predictions.command("import")
@click.argument("source")
@click.option("--dataset", required=True, metavar="D", help="The dataset that was asked, a name or a path.")
@click.option("--model", required=True, metavar="M", help="What to call the model that answered.")
@click.option("--run", metavar="NAME", help="The run that it goes into; default: the dataset's name.")
@click.option(
    "--replace", is_flag=True, help="Put another answer of M to the same sample in the place of an older one."
)
def import_(source: str, dataset: str, model: str, run: str | None, *, replace: bool) -> int:
    """Take the predictions in SOURCE into a run, to be scored and compared with those made here.

    SOURCE is samples_*.jsonl of lmms-eval, a prediction file of VLMEvalKit (xlsx, tsv, json), or any table with the
    columns sample_id and prediction.

    \b
    Example:
      bakeoff predictions import GPT4o_DocVQA_VAL.xlsx --dataset docvqa --model gpt-4o
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without

    workspace = current_workspace()
    taken = api.import_predictions(
        source, model=model, dataset=dataset, run=run, replace=replace, workspace=workspace, notify=console.status
    )
    name = taken.run.name
    failed = f"; {taken.failed} have none, but the reason why" if taken.failed else ""
    place = shown_path(taken.run)
    console.status(f"{model}: {taken.answers} of {taken.total} samples have an answer in {place}{failed}")
    if taken.differing:
        console.status(
            f"{model}: samples such as '{taken.differing[0]}' ({len(taken.differing)}) ask the same of the same "
            "image as an earlier one but have another prediction; that of the earlier one counts for them, too"
        )
    if taken.replaced:
        console.status(f"{model}: {taken.replaced} older answers gave place and are in {shown_path(taken.run / 'old')}")
    for where in taken.strangers[:_TOLD]:
        console.status(f"not taken: {source}, {where}")
    if len(taken.strangers) > _TOLD:
        console.status(f"not taken: {len(taken.strangers) - _TOLD} more")
    console.status(f"next: bakeoff score {name}")
    return 1 if taken.strangers else 0
