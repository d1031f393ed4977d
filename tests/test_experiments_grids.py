"""What a grid says is what it makes: an exclusion is of the very value, a range tells its end, a name is one cell's."""

import json

import pytest

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.experiments.expand import expand
from orchestrator.experiments.schema import SetFile
from orchestrator.scaffold import init_workspace


def expand_grid(tmp_path, values, exclude):
    """Expand a grid of the parameter `p` with `values`."""
    keys = {"common": {"dataset": "d", "model": "m"}, "grid": {"params.p": values}, "exclude": exclude}
    return expand(SetFile.model_validate(keys), tmp_path / "set.yaml")


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (True, [1, 0, False, "1", [1, 2], {}, {"a": 1.0}]),
        (1, [True, 0, False, "1", [1, 2], {}, {"a": 1.0}]),
        (1.0, [True, 0, False, "1", [1, 2], {}, {"a": 1.0}]),
        (False, [True, 1, 0, "1", [1, 2], {}, {"a": 1.0}]),
        ("1", [True, 1, 0, False, [1, 2], {}, {"a": 1.0}]),
        ([1, 2], [True, 0, False, "1", {}, {"a": 1.0}]),
        ([[1, 2]], [True, 1, 0, False, "1", {}, {"a": 1.0}]),
        ({}, [True, 1, 0, False, "1", [1, 2], {"a": 1.0}]),
        ({"a": 1}, [True, 1, 0, False, "1", [1, 2], {}]),
    ],
)
def test_what_is_excluded_is_the_value_and_nothing_like_it(tmp_path, rule, left):
    values = [True, 1, 0, False, "1", [1, 2], {}, {"a": 1.0}]
    found = [one.params["p"] for one in expand_grid(tmp_path, values, [{"params.p": rule}]).experiments]
    assert json.dumps(found) == json.dumps(left)


@pytest.mark.parametrize("rule", [{"params": {}}, {"model": {"params": {}}}, {"model": {}}])
def test_an_exclusion_of_an_empty_table_is_refused(tmp_path, rule):
    with pytest.raises(BakeoffError, match=r"exclude\[0\]: has an empty table"):
        expand_grid(tmp_path, [1, 2], [rule])


def test_a_range_that_does_not_meet_its_end_is_told(tmp_path):
    assert expand_grid(tmp_path, {"from": 0, "to": 1, "step": 0.25}, []).notes == ()
    assert expand_grid(tmp_path, {"from": 0, "to": 1, "step": 0.3}, []).notes == (
        "grid.params.p: the range ends at 0.9, its next value is beyond 1",
    )


def test_a_range_of_too_many_values_is_no_number_of_cells(tmp_path):
    with pytest.raises(BakeoffError, match=r"grid.params.p: a range makes at most 10,000 values, and this one goes on"):
        expand_grid(tmp_path, {"from": 1, "to": 1e300}, [])
    with pytest.raises(BakeoffError, match=r"the count of a range is a whole number from 2 to 10,000"):
        expand_grid(tmp_path, {"from": 1, "to": 2, "count": 10_001}, [])
    (one,) = expand_grid(tmp_path, {"from": 1, "to": 1, "step": -1}, []).experiments
    assert one.params == {"p": 1}


def test_a_name_that_another_cell_has_by_what_it_asks_is_refused(tmp_path):
    root = init_workspace(tmp_path / "ws")
    path = root / "experiments" / "set.json"

    def names(*listed):
        path.write_text(json.dumps({"common": {"dataset": "tiny-docs"}, "experiments": listed}))
        return [cell.name for cell in api.open_set("set", workspace=root).cells]

    with pytest.raises(
        UsageError, match="the name 'echo', given to a cell of model 'tesseract', is what another"
    ) as told:
        names({"name": "echo", "model": "tesseract"}, {"model": "echo"})
    assert str(told.value).startswith(f"{path}: ")
    assert names({"name": "echo", "model": "tesseract"}, {"name": "tesseract", "model": "echo"}) == [
        "echo",
        "tesseract",
    ]
    assert names({"name": "echo", "model": "echo"}, {"model": "tesseract"}) == ["echo", "tesseract"]
