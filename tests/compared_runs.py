"""Write scored runs to compare, for the tests of compare and its gate."""

from orchestrator.results.expected import iter_expected
from orchestrator.results.plan import merge_cells, read_plan, write_plan
from orchestrator.scoring import score_run
from tests.scored_run import Asked, make_run, prediction, write_predictions

GOOD, BAD = ["abcd"] * 20, ["abxy"] * 15 + ["abcd"] * 5


def asked(answers, references="abcd", documents=None, **fields):
    """Return samples that are answered by `answers`, each of its own document unless said."""
    documents = documents or [f"d{n}" for n in range(len(answers))]
    return [
        Asked([references], [answer], document, **{name: values[place] for name, values in fields.items()})
        for place, (answer, document) in enumerate(zip(answers, documents, strict=True))
    ]


def run_of(folder, name, answers, *, model="echo", metrics=None, **options):
    """Write a run called `name` of one cell and score it."""
    folder.joinpath(name).mkdir()
    run = make_run(folder / name, asked(answers, **options), model=model).rename(folder / name / name)
    write_plan(run, read_plan(run).model_copy(update={"name": name}))
    score_run(run, metrics)
    return run


def add_model(run, model, answers):
    """Ask another model the same; the run has to be scored again."""
    plan = read_plan(run)
    cell = plan.cells[0].model_copy(update={"model": model, "runner": model})
    write_plan(run, plan.model_copy(update={"cells": merge_cells(plan.cells, (cell,))}))
    expected = [row for batch in iter_expected(run, cell) for row in batch]
    rows = [prediction(row.key, row.sample_id, 1, text, model) for row, text in zip(expected, answers, strict=True)]
    write_predictions(run, model, rows)


def change_cell(run, **changes):
    """Change what the plan says of a run's first cell."""
    plan = read_plan(run)
    cells = (plan.cells[0].model_copy(update=changes), *plan.cells[1:])
    write_plan(run, plan.model_copy(update={"cells": cells}))
