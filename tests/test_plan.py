"""A plan grows with what is asked later, and forgets what has changed."""

import json

import pytest

from orchestrator.errors import BakeoffError
from orchestrator.results.plan import Cell, RunPlan, merge_cells, now, read_plan, widest, write_plan
from orchestrator.results.schema import SCHEMA_VERSION


def cell(**changes):
    fields = {
        "model": "m",
        "runner": "r",
        "runner_digest": "d",
        "params": {"a": 1},
        "overrides": {},
        "prompt": "p",
        "prompt_sha256": "s",
        "limit": 10,
        "repeats": 1,
    }
    return Cell(**{**fields, **changes})


def plan(*cells):
    time = now()
    return RunPlan(
        name="n",
        created=time,
        updated=time,
        bakeoff_version="0",
        git_commit=None,
        dataset="d",
        dataset_path="datasets/d",
        samples=3,
        cells=cells,
        envs={},
    )


@pytest.mark.parametrize(
    "change", [{"model": "n"}, {"prompt": "q"}, {"overrides": {"a": 1}}, {"overrides": {"a": None}}]
)
def test_another_model_prompt_or_override_is_a_cell_of_its_own(change):
    assert merge_cells((cell(),), (cell(**change),)) == (cell(), cell(**change))


@pytest.mark.parametrize(
    "change", [{"runner_digest": "e"}, {"params": {"a": 2}}, {"prompt_sha256": "t"}, {"runner": "s"}]
)
def test_a_cell_whose_content_changed_is_replaced_whatever_it_covered(change):
    after = cell(**change, limit=5)
    assert merge_cells((cell(limit=None, repeats=3),), (after,)) == (after,)


@pytest.mark.parametrize(
    ("before", "after", "merged"), [(10, 5, 10), (5, 10, 10), (None, 5, None), (5, None, None), (None, None, None)]
)
def test_the_same_cell_asked_again_grows_and_never_shrinks(before, after, merged):
    (result,) = merge_cells((cell(limit=before, repeats=2),), (cell(limit=after, repeats=1),))
    assert (result.limit, result.repeats) == (merged, 2)


def test_cells_keep_their_order_and_others_stay():
    a, b, c = cell(prompt="a"), cell(prompt="b"), cell(prompt="c")
    grown = cell(prompt="a", limit=20)
    assert merge_cells((a, b), (c, grown)) == (grown, b, c)


def test_merging_nothing_changes_nothing():
    assert merge_cells((), ()) == ()
    assert merge_cells((cell(),), ()) == (cell(),)
    assert merge_cells((cell(),), (cell(),)) == (cell(),)


def test_overrides_are_the_same_whatever_their_order():
    one, other = cell(overrides={"a": 1, "b": 2}), cell(overrides={"b": 2, "a": 1})
    assert len(merge_cells((one,), (other,))) == 1


@pytest.mark.parametrize(("limits", "most"), [([3, 7], 7), ([3, None], None), ([2], 2), ([], 0)])
def test_a_run_holds_the_samples_of_its_widest_cell(limits, most):
    assert widest([cell(limit=limit) for limit in limits], None) == most


@pytest.mark.parametrize(("limit", "most"), [(2, 3), (5, 5), (None, None)])
def test_a_narrower_cell_takes_no_samples_from_a_run(limit, most):
    before = plan(cell(limit=None))  # of 3 samples
    cells = merge_cells(before.cells, (cell(limit=limit, prompt_sha256="edited"),))
    assert widest(cells, before) == most


def test_a_plan_is_read_as_it_was_written_but_for_its_name_which_is_the_folders(tmp_path):
    written = plan(cell(), cell(prompt="q", limit=None))
    write_plan(tmp_path, written)
    assert read_plan(tmp_path) == written.model_copy(update={"name": tmp_path.name})


def test_a_folder_without_a_plan_is_no_run(tmp_path):
    with pytest.raises(BakeoffError, match=r"is not a run, it has no run\.json; `bakeoff list runs` shows"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is not valid JSON"), ('{"nam": "n"}', "key 'name' is missing"), ("[]", "key 'the file' should be")],
)
def test_a_damaged_plan_is_a_sentence(tmp_path, text, sentence):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(BakeoffError) as caught:
        read_plan(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'run.json'}: {sentence}")


def test_a_plan_of_a_newer_bakeoff_is_not_misread(tmp_path):
    write_plan(tmp_path, plan(cell()))
    data = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**data, "of_the_future": 1}))
    with pytest.raises(BakeoffError, match="unknown key 'of_the_future'"):
        read_plan(tmp_path)


def test_a_plan_of_a_newer_bakeoff_is_refused_and_an_older_one_is_read(tmp_path):
    write_plan(tmp_path, plan(cell()).model_copy(update={"schema_version": 1}))
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["schema_version"] == SCHEMA_VERSION
    (tmp_path / "run.json").write_text(json.dumps({**content, "schema_version": 99, "mood": "new"}))
    with pytest.raises(BakeoffError, match=r"run\.json: was written by a newer bakeoff \(schema 99\); upgrade to read"):
        read_plan(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**content, "schema_version": 1}))
    assert read_plan(tmp_path).cells == (cell(),)
