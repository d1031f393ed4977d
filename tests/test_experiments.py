"""A set is expanded as it says, told before anything is asked, and asked once: what was added later is all that is."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import api
from orchestrator.cli import _call
from orchestrator.errors import BakeoffError, LockedError, UsageError
from orchestrator.experiments import evalap
from orchestrator.experiments.expand import expand
from orchestrator.experiments.merging import merge_deep, merge_shallow, read_range
from orchestrator.experiments.reading import read_data
from orchestrator.experiments.schema import EvalapFile, SetFile, read_seconds
from orchestrator.running.events import ModelOutcome
from orchestrator.running.lock import holding
from orchestrator.scaffold import init_workspace
from tests.workers import OURS, make_workspace, write_words

COUNTS = """
from pathlib import Path

def load(params):
    if params["broken"] == params["size"]:
        raise ValueError("this size does not load")
    return params

def generate(state, request):
    with Path(state["oracle"]).open("a") as file:
        file.write(f"{request['prompt']}:{state['size']}:{request['repeat']}\\n")
    return {"text": f"{state['seed']}/{request['repeat']}", "info": {"cost": state["cost"]} if state["cost"] else {}}
"""


@pytest.fixture
def counting(workspace, tmp_path):
    """Make a workspace with the models `counts` and `other`, which note in a file what they are asked."""
    folder = workspace.root / "runners" / "counts"
    folder.mkdir()
    (folder / "requirements.txt").touch()
    oracle = tmp_path / "asked.txt"
    oracle.touch()
    defaults = f'oracle = "{oracle}"\nsize = 1\nbroken = 0\nseed = -1\ncost = 0.0\n'
    tables = "[models.counts]\n[models.other]\n"
    (folder / "runner.toml").write_text(f'python = "{OURS}"\n[defaults]\n{defaults}{tables}')
    (folder / "runner.py").write_text(COUNTS)
    (workspace.root / "prompts" / "short.txt").write_text("Briefly: {question}\n")
    return Counting(workspace.root, oracle)


class Counting:
    """The workspace, and what was asked in it."""

    def __init__(self, root, oracle):
        self.root, self.oracle = root, oracle

    def write(self, text, name="set.yaml"):
        folder = self.root / "experiments"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def run(self, **options):
        return api.run_set("set", workspace=self.root, **options)

    def plan(self, **options):
        return api.plan_set("set", workspace=self.root, **options)

    def asked(self):
        return Counter(self.oracle.read_text().split("\n")[:-1])

    def texts(self, run, model):
        return [row["text"] for row in pq.read_table(run / f"predictions/{model}.parquet").to_pylist()]


def cells_of(tmp_path, **keys):
    expanded = expand(SetFile.model_validate(keys), tmp_path / "set.yaml")
    return expanded.experiments


def short(cells, *params):
    return [(cell.model, *(cell.params.get(name) for name in params), cell.prompt) for cell in cells]


def test_a_grid_is_a_product_whose_last_key_varies_fastest_and_prompts_after_it(tmp_path):
    cells = cells_of(
        tmp_path,
        common={"dataset": "d", "prompts": ["short", "long"]},
        grid={"model": ["a", "b"], "params.n": [1, 2]},
    )
    assert short(cells, "n") == [(m, n, p) for m in "ab" for n in (1, 2) for p in ("short", "long")]


def test_a_grid_and_a_list_stand_together_and_both_lie_over_common(tmp_path):
    cells = cells_of(
        tmp_path,
        common={"dataset": "d", "params": {"t": 0.2}, "repeat": 2},
        grid={"model": ["a"], "params.n": [1]},
        experiments=({"model": "b"}, {"model": {"name": "c", "params": {"t": 0.9}}, "dataset": "e", "repeat": 5}),
    )
    assert [(c.model, c.dataset, c.params, c.own_params, c.repeat) for c in cells] == [
        ("a", "d", {"t": 0.2, "n": 1}, {}, 2),
        ("b", "d", {"t": 0.2}, {}, 2),
        ("c", "e", {"t": 0.2}, {"t": 0.9}, 5),
    ]


def test_tables_merge_deeply_or_one_level_deep(tmp_path):
    keys = {
        "common": {"dataset": "d", "model": {"name": "a", "params": {"t": 0.2, "top_p": 0.9}}},
        "grid": {"model": [{"params": {"t": 0.9}}]},
    }
    (deep,) = cells_of(tmp_path, **keys)
    (shallow,) = cells_of(tmp_path, **keys, merge="shallow")
    assert deep.own_params == {"t": 0.9, "top_p": 0.9}
    assert (shallow.model, shallow.own_params) == ("a", {"t": 0.9}), "which loses what is deeper"


def test_a_parameter_can_be_laid_over_a_model_that_is_a_name(tmp_path):
    (cell,) = cells_of(tmp_path, common={"dataset": "d", "model": "a"}, grid={"model.params.t": [1]})
    assert (cell.model, cell.own_params) == ("a", {"t": 1})


tables = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
).filter(lambda value: isinstance(value, dict))


@given(tables, tables)
def test_both_merges_are_alike_where_no_table_holds_tables(base, over):
    for merge in (merge_deep, merge_shallow):
        assert merge(base, {}) == base
        assert merge({}, over) == over
        merged = merge(base, over)
        assert merged.keys() == base.keys() | over.keys()
        assert all(merged[key] == base[key] for key in base.keys() - over.keys())
    flat = {key: value for key, value in over.items() if not isinstance(value, dict)}
    assert merge_deep(base, flat) == merge_shallow(base, flat)
    assert merge_deep(merge_deep(base, over), over) == merge_deep(base, over)


def test_what_is_excluded_leaves_the_grid_and_a_rule_about_nothing_is_told(tmp_path):
    keys = {
        "common": {"dataset": "d", "prompts": ["short", "long"]},
        "grid": {"model": ["a", "b"], "params.n": [1, 2]},
        "experiments": ({"model": "b", "params": {"n": 2}, "prompt": "long", "prompts": None},),
        "exclude": ({"model": "b", "params.n": 2}, {"prompt": "long", "params": {"n": [1, 3]}}, {"model": "z"}),
    }
    del keys["experiments"][0]["prompts"]
    keys["common"] = {"dataset": "d"}
    keys["grid"] |= {"prompt": ["short", "long"]}
    expanded = expand(SetFile.model_validate(keys), tmp_path / "set.yaml")
    assert short(expanded.experiments, "n") == [
        *(("a", 1, "short"), ("a", 2, "short"), ("a", 2, "long"), ("b", 1, "short")),
        ("b", 2, "long"),
    ], "the list is not touched"
    assert [note[:10] for note in expanded.notes] == ["exclude[2]"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"from": 64, "to": 256, "step": 64}, [64, 128, 192, 256]),
        ({"from": 0, "to": 0.3, "step": 0.1}, [0, 0.1, 0.2, 0.3]),
        ({"from": 1, "to": 3}, [1, 2, 3]),
        ({"from": 3, "to": 1, "step": -1}, [3, 2, 1]),
        ({"from": 64, "to": 600, "times": 2}, [64, 128, 256, 512]),
        ({"from": 0, "to": 1, "count": 5}, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_ranges_end_where_they_should(given, expected):
    assert read_range(given) == expected


@pytest.mark.parametrize(
    "given",
    [{"from": 1, "to": 2, "step": 0}, {"from": 2, "to": 1, "step": 1}, {"from": 1, "to": 9, "times": 1}, {"from": 1},
     {"from": 1, "to": 9, "step": 1, "count": 3}, {"from": "a", "to": "b"}, {"from": 1, "to": 2, "count": 1}],
)  # fmt: skip
def test_a_range_that_never_ends_is_refused(given):
    with pytest.raises(ValueError, match="range"):
        read_range(given)


@pytest.mark.parametrize(
    ("given", "seconds"), [(90, 90), ("90s", 90), ("1h30m", 5400), ("1.5 h", 5400), ("2d", 172800)]
)
def test_times_are_read(given, seconds):
    assert read_seconds(given) == seconds


@pytest.mark.parametrize("given", ["", "soon", "5", "-1s", "1h x", True, 0, None])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(ValueError, match="time"):
        read_seconds(given)


def test_yaml_json_and_toml_say_the_same(counting):
    data = {
        "name": "n",
        "common": {"dataset": "words", "model": "counts"},
        "grid": {"params.size": [1, 2]},
        "max_cost": 2.5,
    }
    counting.write(json.dumps(data), "a.json")
    counting.write(
        'name = "n"\nmax_cost = 2.5\n[common]\ndataset = "words"\nmodel = "counts"\n[grid]\n"params.size" = [1, 2]\n',
        "b.toml",
    )
    counting.write(
        "name: n\nmax_cost: 2.5\ncommon: {dataset: words, model: counts}\ngrid:\n  params.size: [1, 2]\n", "c.yml"
    )
    a, b, c = (api.open_set(name, workspace=counting.root) for name in "abc")
    assert a.cells == b.cells == c.cells
    assert [cell.name for cell in a.cells] == ["size=1", "size=2"]
    assert a.max_cost == b.max_cost == c.max_cost == 2.5


GOOD = {"common": {"dataset": "words", "model": "counts"}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gird": {}}, "set.json: unknown key 'gird'; did you mean 'grid'?"),
        ({"common": {"dataset": "words", "modell": "counts"}}, "set.json: common: unknown key 'modell'; did y"),
        ({"grid": {"models": ["counts"]}}, "set.json: grid.models[0]: unknown key 'models'; did you mean 'model'?"),
        ({"grid": {"model": []}}, "set.json: grid.model: is empty, so that there is no cell; give it a value"),
        ({"common": {"dataset": "words"}}, "set.json: common: says no model; say it there, or in a grid"),
        ({"grid": {"model": "counts"}}, "set.json: grid.model: should be a list of values, or a range"),
        ({"grid": {"params.size": {"from": 2, "to": 1}}}, "set.json: grid.params.size: a range from 2 never co"),
        ({"experiments": [{"model": "counts"}, {"promt": "x"}]}, "set.json: experiments[1]: unknown key 'promt'; did"),
        ({"experiments": [{"model": {"nam": "x"}}]}, "set.json: experiments[0].model: unknown key 'nam'"),
        ({"exclude": [{"modle": "x"}]}, "set.json: exclude[0]: unknown key 'modle'; did you mean 'model'?"),
        ({"exclude": [{}]}, "set.json: exclude[0]: is empty"),
        ({"repeat": 0}, "set.json: key 'repeat' should be greater than or equal to 1, got 0"),
        ({"max_time": "soon"}, "set.json: key 'max_time': should be a time such as 90s"),
        ({"grid": {"model": ["counts", "countz"]}}, "set.json: grid: model 'countz': there is no model 'countz'"),
        ({"common": {"model": "counts"}}, "set.json: common: says no dataset"),
        ({"common": {"dataset": "wrods", "model": "counts"}}, "common: dataset 'wrods': there is no dataset 'wrods'"),
        ({"experiments": [{"prompts": ["shrt"]}]}, "experiments[0]: prompt 'shrt': there is no prompt 'shrt'; did"),
        ({"experiments": [{"metrics": ["cer", "wr"]}]}, "experiments[0]: metrics 'wr': there is no metric 'wr'; did"),
        ({"experiments": [{"metrics": ["cer@cu"]}]}, "experiments[0]: metrics 'cer@cu': there is no normaliser 'cu'"),
        ({"grid": {"params.sise": [1]}}, "set.json: grid: params.sise: no model of this set has the parameter 'sise'"),
        ({"experiments": [{"prompt": "a", "prompts": ["b"]}]}, "experiments[0]: says both prompt and prompts"),
        ({"common": {**GOOD["common"], "prompt": "shrt"}, "grid": {"params.size": [1]}}, "common: prompt 'shrt'"),
        ({"common": {**GOOD["common"], "metrics": ["wr"]}, "experiments": [{"limit": 1}]}, "common: metrics 'wr'"),
        ({"run": "a/b"}, "set.json: common: 'a/b' cannot name a run"),
        ({"common": {**GOOD["common"], "params": {"api_key": "sk-0123456789abcdef"}}}, "'api_key' would land in every"),
        ({"grid": {"params.size": list(range(200)), "params.seed": list(range(200))}}, "makes 40,000 cells"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_key_before_anything_is_asked(counting, change, told):
    counting.write(json.dumps({**GOOD, **change}), "set.json")
    with pytest.raises(BakeoffError) as raised:
        counting.run()
    assert told in str(raised.value)
    assert not (counting.root / "results").exists()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("set.yaml", "grid: {a: [1]\n", "set.yaml: is not valid YAML:"),
        ("set.yaml", "name: a\nname: b\n", "set.yaml: says 'name' twice (line 1)"),
        ("set.json", '{"name": 1,}', "set.json: is not valid JSON:"),
        ("set.json", '{"grid": {"a": 1, "a": 2}}', "set.json: says 'a' twice"),
        ("set.toml", "a = \n", "set.toml: is not valid TOML:"),
        ("set.yaml", "- a\n", "set.yaml: is no table; it should have keys"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(BakeoffError) as raised:
        read_data(tmp_path / name)
    assert told in str(raised.value)


def test_an_unknown_set_is_told_with_those_there_are(counting):
    counting.write(json.dumps(GOOD), "set.json")
    with pytest.raises(UsageError, match=r"no experiment set 'sett'; did you mean 'set'\?"):
        api.open_set("sett", workspace=counting.root)


def test_cells_are_named_by_what_differs(counting):
    counting.write("""
        common: {dataset: words, params: {cost: 0.5}}
        grid:
          model: [counts, {name: other, params: {seed: 4}}]
          params.size: [1, 2]
        experiments:
          - {name: mine, model: counts, params: {size: 3}}
    """)
    names = [cell.name for cell in api.open_set("set", workspace=counting.root).cells]
    assert names == ["counts / size=1", "counts / size=2", "other / size=1", "other / size=2", "mine"]


def test_what_a_model_has_no_parameter_for_is_left_out_and_told_and_cells_alike_are_one(counting):
    (counting.root / "runners" / "echo" / "runner.toml").write_text(f'python = "{OURS}"\n[defaults]\noracle = ""\n')
    counting.write("common: {dataset: words}\ngrid: {model: [echo, counts], params.size: [1, 2]}\n")
    wanted = api.open_set("set", workspace=counting.root)
    assert [cell.name for cell in wanted.cells] == ["echo", "counts / size=1", "counts / size=2"]
    assert wanted.notes == ("echo has no parameter size: left out for it",)


def test_the_parameters_of_a_model_go_before_those_of_all(counting):
    counting.write("""
        common: {dataset: words, params: {size: 2, cost: 0.5}}
        grid: {model: [counts, {name: other, params: {size: 7}}]}
    """)
    assert [cell.overrides for cell in api.open_set("set", workspace=counting.root).cells] == [
        {"size": 2, "cost": 0.5},
        {"size": 7, "cost": 0.5},
    ]


@pytest.mark.slow
def test_a_run_is_about_one_dataset_and_each_dataset_has_its_own(counting):
    (counting.root / "datasets" / "more.csv").write_text("question,answer\nfour,\n")
    counting.write("common: {model: counts}\ngrid: {dataset: [words, more]}\n")
    outcome = counting.run()
    assert [run.folder.name for run in outcome.runs] == ["words", "more"]
    assert outcome.is_complete
    assert counting.asked().total() == 4
    counting.write("run: both\ncommon: {model: counts}\ngrid: {dataset: [words, more]}\n")
    with pytest.raises(UsageError, match="run 'both' would be about two datasets, words and more"):
        counting.plan()


@pytest.mark.slow
def test_what_is_added_later_is_all_that_is_asked(counting):
    text = "common: {dataset: words}\ngrid: {model: [counts], params.size: [1, 2]}\nrepeat: 1\n"
    counting.write(text)
    first = counting.run()
    assert first.is_complete
    assert counting.asked() == {f"{word}:{size}:1": 1 for word in ("one", "two", "three") for size in (1, 2)}
    plan = counting.plan()
    assert [(cell.total, cell.there, cell.to_ask) for cell in plan.cells] == [(3, 3, 0), (3, 3, 0)]
    counting.write(text.replace("[counts]", "[counts, other]").replace("repeat: 1", "repeat: 2"))
    plan = counting.plan()
    assert [(cell.total, cell.there, cell.to_ask) for cell in plan.cells] == [(6, 3, 3)] * 2 + [(6, 0, 6)] * 2
    counting.oracle.write_text("")
    assert counting.run().is_complete
    assert counting.asked().total() == plan.to_ask == 18
    assert counting.plan().to_ask == 0
    assert [run.folder for run in first.runs] == [counting.root / "results" / "words"]


@pytest.mark.slow
def test_one_failed_cell_is_shown_as_failed_and_the_rest_finishes(counting):
    counting.write(
        "common: {dataset: words, params: {broken: 2}}\ngrid: {model: [counts, other], params.size: [1, 2, 3]}\n"
    )
    events = []
    outcome = counting.run(notify=events.append)
    (run,) = outcome.runs
    assert [(m.label, m.ok, m.error is None) for m in run.models] == [
        (f"{model} size={size}", 3 if size != 2 else 0, size != 2)
        for model in ("counts", "other")
        for size in (1, 2, 3)
    ]
    told = [event for event in events if isinstance(event, ModelOutcome)]
    assert sorted(told, key=lambda m: m.label) == sorted(run.models, key=lambda m: m.label)
    assert "this size does not load" in run.models[1].error
    assert (outcome.is_complete, outcome.stopped) == (False, None)
    failures = json.loads((run.folder / "run.json").read_text())["failures"]
    assert failures.keys() == {"counts", "other"}
    assert failures["counts"].startswith("size=2: ")
    assert _call(["--workspace", str(counting.root), "run", "set"]) == 3


def test_a_seed_is_one_of_each_repeat_and_repeats_are_told_apart(counting):
    counting.write("common: {dataset: words, model: counts, limit: 1}\nrepeat: 3\nseed: 7\n")
    (run,) = counting.run().runs
    assert sorted(counting.texts(run.folder, "counts")) == ["7/1", "7/2", "7/3"]


@pytest.mark.slow
def test_at_the_cost_limit_all_stops_and_a_higher_one_goes_on(counting):
    slow = COUNTS.replace("    return {", "    import time\n    time.sleep(0.1)\n    return {")
    (counting.root / "runners" / "counts" / "runner.py").write_text(slow)
    write_words(counting.root, [f"w{n}" for n in range(12)])
    counting.write("common: {dataset: words, params: {cost: 1.0}}\ngrid: {model: [counts, other]}\nmax_cost: 3\n")
    outcome = counting.run()
    before = counting.asked().total()
    assert outcome.stopped.startswith(f"max_cost is reached: ${before} of $3 are spent"), "all that was paid for"
    (run,) = outcome.runs
    assert not any(model.error for model in run.models)
    assert any(model.stopped for model in run.models)
    assert sum(model.ok for model in run.models) == before, "what was under way was waited for"
    assert 3 <= before < 12
    assert counting.run().stopped, "what was spent before counts"
    assert counting.asked().total() == before
    assert _call(["--workspace", str(counting.root), "run", "set"]) == 75
    assert counting.run(max_cost=100).is_complete
    assert set(counting.asked().values()) == {2}, "once of each model"
    assert counting.plan().spent == 24.0


@pytest.mark.slow
def test_at_the_time_limit_all_stops_and_the_same_call_goes_on(counting):
    (counting.root / "runners" / "counts" / "runner.py").write_text(
        COUNTS.replace("    return {", "    import time\n    time.sleep(0.4)\n    return {")
    )
    counting.write("common: {dataset: words}\ngrid: {model: [counts, other]}\nmax_time: 0.5s\n")
    outcome = counting.run()
    assert outcome.stopped.startswith("max_time is reached")
    assert not outcome.is_complete
    assert not any(model.error for model in outcome.runs[0].models)
    assert counting.run(max_time="60s").is_complete
    assert set(counting.texts(outcome.runs[0].folder, "counts")) == {"-1/1"}


def test_a_limit_holds_for_a_run_without_a_set_too(counting):
    asked = {"models": "counts", "dataset": "words", "params": {"cost": 1.0}, "workspace": counting.root}
    assert api.run(**asked, limit=1, max_cost=1).stopped is None, "it was reached by the last answer"
    outcome = api.run(**asked, max_cost=1)
    assert outcome.stopped == "max_cost is reached: $1 of $1 are spent, what was under way at the limit included"
    assert not outcome.is_complete
    assert counting.asked().total() == 1


def test_a_dry_run_asks_nothing_and_estimates_from_what_was_asked_before(counting, capsys):
    counting.write("common: {dataset: words, params: {cost: 0.5}}\ngrid: {model: [counts, other]}\nrepeat: 4\n")
    assert [(cell.seconds, cell.cost) for cell in counting.plan().cells] == [(None, None)] * 2
    assert not list((counting.root / "results").glob("*/run.json"))
    api.run(models="counts", dataset="words", params={"cost": 0.5}, workspace=counting.root)
    first, second = counting.plan().cells
    assert (first.there, first.to_ask, first.cost, first.spent) == (3, 9, 4.5, 1.5)
    assert 0 < first.seconds < 9
    assert (second.there, second.to_ask, second.seconds, second.cost) == (0, 12, None, None)
    before = counting.oracle.read_text()
    assert _call(["--workspace", str(counting.root), "run", "set", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "set: 2 cells in words (words)" in shown
    assert "unknown" in shown
    assert "$4.50 (without" not in shown, "other is not known to cost anything"
    assert counting.oracle.read_text() == before


def test_prices_of_the_configuration_stand_for_costs_that_rows_lack(counting):
    runner = counting.root / "runners" / "counts"
    prices = "price_input = 1000.0\nprice_output = 0.0\n[models.counts]"
    (runner / "runner.toml").write_text((runner / "runner.toml").read_text().replace("[models.counts]", prices))
    (runner / "runner.py").write_text(COUNTS.replace('"info"', '"input_tokens": 100, "output_tokens": 1, "info"'))
    counting.write("common: {dataset: words}\ngrid: {model: [counts, other]}\nrepeat: 2\n")
    api.run(models="counts", dataset="words", workspace=counting.root)
    first, second = counting.plan().cells
    assert first.cost == pytest.approx(3 * 0.1)
    assert (second.cost, second.is_priced) == (None, True)


def test_a_plan_counts_the_requests_that_a_run_makes(counting):
    """Two prompts alike for a sample are one request; so are two cells whose parameters come to the same."""
    (counting.root / "prompts" / "same.txt").write_text("{question}\n")
    counting.write("""
        common: {dataset: words, prompts: [question, same, short]}
        grid: {model: [counts]}
        experiments: [{model: {name: counts, params: {size: 1}}}]
    """)
    plan = counting.plan()
    counting.run()
    assert plan.to_ask == counting.asked().total() == 6
    assert [cell.to_ask for cell in plan.cells] == [3, 0, 3, 0, 0, 0]


def test_fresh_asks_every_setting_once_more(counting):
    counting.write("common: {dataset: words}\ngrid: {model: [counts], params.size: [1, 2]}\n")
    counting.run()
    assert counting.run(fresh=True).is_complete
    assert set(counting.asked().values()) == {2}


def test_what_of_a_set_was_not_asked_yet_is_told_and_the_rest_is_scored(counting):
    (counting.root / "datasets" / "more.csv").write_text("question,answer\nfour,\n")
    counting.write("common: {model: counts}\ngrid: {dataset: [words, more]}\n")
    with pytest.raises(
        UsageError, match="'set' was not asked yet, there is no run words, more; `bakeoff run set` does"
    ):
        api.score_set("set", workspace=counting.root)
    api.run(models="counts", dataset="more", workspace=counting.root)
    notes = []
    scored = api.score_set("set", workspace=counting.root, notify=notes.append)
    assert [folder.name for folder in scored] == ["more"]
    assert "'set': its run words was not asked yet" in notes


def test_what_left_a_set_is_told_when_it_is_scored(counting):
    counting.write("common: {dataset: words, model: counts}\ngrid: {params.size: [1, 2, 3]}\n")
    counting.run()
    notes = []
    api.score_set("set", workspace=counting.root, notify=notes.append)
    assert "scoring counts, size=2, prompt question" in notes
    assert "not in the set" not in "".join(notes)
    counting.write("common: {dataset: words, model: counts}\ngrid: {params.size: [1]}\n")
    api.score_set("set", workspace=counting.root, notify=notes.append)
    (told,) = [note for note in notes if "not in the set" in note]
    named = "counts / size=2 / question, counts / size=3 / question;"
    start = "2 cells of run words are not in the set (any more), but in its scores, report and comparisons: "
    assert told.startswith(start + named)
    assert _call(["--workspace", str(counting.root), "experiments", "score", "set", "--drop-others"]) == 0
    (summary,) = api.score_set("set", workspace=counting.root, notify=notes.append).values()
    assert {figure.params for figure in summary.figures} == {'{"size":1}'}
    asked = counting.asked().total()
    counting.write("common: {dataset: words, model: counts}\ngrid: {params.size: [1, 2, 3]}\n")
    assert counting.run().is_complete
    assert counting.asked().total() == asked, "the answers were there still"


def test_a_plan_tells_which_variables_are_not_set(counting, monkeypatch):
    monkeypatch.delenv("KEY_OF_NOBODY", raising=False)
    monkeypatch.setenv("KEY_OF_SOME", "x")
    own = "{name: counts, params: {api_key_env: KEY_OF_NOBODY, other_key_env: KEY_OF_SOME}}"
    counting.write(f"common: {{dataset: words, model: {own}}}\n")
    told = "the variable KEY_OF_NOBODY of counts (api_key_env) is not set, neither here nor in the workspace's .env"
    assert [note for note in counting.plan().notes if "variable" in note] == [told]
    (counting.root / ".env").write_text("KEY_OF_NOBODY=x\n")
    assert not [note for note in counting.plan().notes if "variable" in note]


def test_metrics_of_a_set_are_those_it_is_scored_by(counting):
    counting.write("common: {dataset: words, model: counts, metrics: [wer, generation_time]}\n")
    counting.run()
    (summary,) = api.score_set("set", workspace=counting.root).values()
    assert summary.metrics == ("wer", "generation_time")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "set", "--model", "echo", "--param", "a=1"], "the set says that itself: leave out --model, --param"),
        (
            ["run", "--dataset", "words"],
            "say what to ask: an experiment set, or --model and --dataset; --model is missing",
        ),
        (["run", "set", "--max-time", "soon"], "max_time: should be a time such as 90s"),
    ],
)
def test_what_does_not_go_together_is_told(counting, capsys, words, told):
    counting.write(json.dumps(GOOD), "set.json")
    assert _call(["--workspace", str(counting.root), *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


ROOT = Path(__file__).parent.parent


def test_the_sets_of_the_docs_and_the_example_can_be_opened(tmp_path):
    root = init_workspace(tmp_path / "ws")
    shutil.copytree(root / "datasets" / "tiny-docs", root / "datasets" / "receipts")
    (root / "prompts" / "verbatim.txt").write_text("{question}\n")
    fences = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs" / "experiments.md").read_text(), re.MULTILINE | re.DOTALL
    )
    sizes = []
    examples = [path.read_text() for path in sorted((ROOT / "experiments").glob("*.yaml"))]
    for number, text in enumerate([*fences, *examples]):
        (root / "experiments" / f"{number}.yaml").write_text(text)
        sizes.append(len(api.open_set(str(number), workspace=root).cells))
    assert sizes == [10, 8, 2, 7, 5]


def test_a_new_workspace_has_the_examples_and_can_plan_them_at_once(tmp_path, capsys):
    root = init_workspace(tmp_path / "ws")
    for name in ("smoke", "model_comparison"):
        assert _call(["--workspace", str(root), "run", name, "--dry-run"]) == 0
    assert "smoke: 5 cells in smoke-set (tiny-docs)" in capsys.readouterr().out


# EvalAP, by what was seen of its server: api/schemas.py, ExperimentSetCreate.to_table_init.

MODELS = [{"name": "counts", "base_url": "http://127.0.0.1:1/v1", "api_key": "EMPTY"}, {"name": "other"}]
COMMON = {"dataset": "words", "metrics": ["cer"], "judge_model": None}


def payload(**cv):
    return EvalapFile.model_validate({"name": "P", "readme": "r", "cv": cv})


def test_evalap_takes_the_product_in_the_order_of_keys_and_repeats_on_the_spot():
    made = evalap.expand_payload(
        payload(common_params=COMMON, grid_params={"model": MODELS, "sample": [[0], [0, 1]]}, repeat=2), "P"
    )
    assert [(one["name"], one["model"]["name"], one["sample"]) for one in made] == [
        ("P__0", "counts", [0]),
        ("P__1", "counts", [0]),
        ("P__2", "counts", [0, 1]),
        ("P__3", "counts", [0, 1]),
        ("P__4", "other", [0]),
        ("P__5", "other", [0]),
        ("P__6", "other", [0, 1]),
        ("P__7", "other", [0, 1]),
    ]


def test_evalap_merges_one_level_deep_and_loses_what_is_deeper():
    common = {"model": {"name": "m", "sampling_params": {"temperature": 0.2, "top_p": 0.9}}, "metrics": ["cer"]}
    grid = {"model": [{"sampling_params": {"temperature": 0.9}}, "plain"], "metrics": [["wer"]]}
    made = evalap.expand_payload(payload(common_params=common, grid_params=grid), "P")
    assert [one["model"] for one in made] == [{"name": "m", "sampling_params": {"temperature": 0.9}}, "plain"]
    assert [one["metrics"] for one in made] == [["wer"], ["wer"]], "a list is replaced"


def test_evalap_overwrites_names_and_counts_them_over_the_whole_set():
    grid = {"model": ["a", "b"], "name": ["mine"]}
    made = evalap.expand_payload(payload(common_params={"name": "theirs"}, grid_params=grid, repeat=2), "P")
    assert [one["name"] for one in made] == ["P__0", "P__1", "P__2", "P__3"]


def test_evalap_takes_a_list_as_it_is_and_both_or_neither_as_its_server_does():
    listed = EvalapFile.model_validate({"name": "P", "experiments": [{"name": "x", "model": "a"}]})
    assert evalap.expand_payload(listed, "P") == [{"name": "x", "model": "a"}]
    assert evalap.expand_payload(EvalapFile(name="P"), "P") == []
    both = EvalapFile.model_validate({"name": "P", "cv": {"grid_params": {}}, "experiments": []})
    with pytest.raises(UsageError, match="either experiments or cv"):
        evalap.expand_payload(both, "P")


def test_evalap_without_axes_makes_one_experiment_and_an_empty_axis_none():
    assert len(evalap.expand_payload(payload(common_params=COMMON, grid_params={}), "P")) == 1
    assert evalap.expand_payload(payload(common_params=COMMON, grid_params={"model": []}), "P") == []


def test_an_evalap_payload_is_carried_out_and_its_repeats_are_ours(counting):
    cv = {"common_params": COMMON, "grid_params": {"model": MODELS}, "repeat": 3}
    counting.write(json.dumps({"name": "P", "readme": "r", "cv": cv}), "set.json")
    wanted = api.open_set("set", workspace=counting.root)
    assert [(cell.model.name, cell.repeats, cell.aliases) for cell in wanted.cells] == [
        ("counts", 3, ("P__0", "P__1", "P__2")),
        ("other", 3, ("P__3", "P__4", "P__5")),
    ]
    assert [cell.metrics for cell in wanted.cells] == [("cer",), ("cer",)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "nobody"}, "set.json: cv (experiment 0): model 'nobody': there is no model 'nobody'"),
        ({"dataste": "x"}, "set.json: cv (experiment 0): unknown key 'dataste'; did you mean 'dataset'?"),
        ({"metrics": ["judge_precision"]}, "metrics 'judge_precision': there is no metric 'judge_precision'"),
        ({"model": {"name": "m", "base_url": "http://h/v1", "api_key": "sk-0123456789"}}, "model.api_key holds a key"),
        ({"model": {"name": "m", "aliased_name": "m", "output": ["x"]}}, "bakeoff predictions import"),
        ({"sample": [5, 9]}, "sample: takes single rows"),
    ],
)
def test_what_an_evalap_payload_says_that_cannot_be_is_told(counting, change, told):
    cv = {"common_params": {**COMMON, "model": "counts", **change}, "grid_params": {}}
    counting.write(json.dumps({"name": "P", "readme": "r", "cv": cv}), "set.json")
    with pytest.raises(BakeoffError) as raised:
        counting.run()
    assert told in str(raised.value)
    assert "sk-01" not in str(raised.value)


def test_a_model_that_only_evalap_knows_is_asked_at_its_address(tmp_path, built_envs):
    workspace = make_workspace(tmp_path / "ws", built_envs)
    model = {
        "name": "org/m-7b",
        "base_url": "http://127.0.0.1:1/v1",
        "api_key": "${MY_KEY}",
        "system_prompt": "Be brief.",
        "prelude_prompt": "Read {this}.",
        "sampling_params": {"temperature": 0.2, "max_tokens": 9},
        "extra_params": {"rag": True},
    }
    listed = [{"name": "x", "dataset": "words", "model": model, "metrics": ["cer"], "with_vision": True, "sample": [0]}]
    (workspace.root / "experiments").mkdir()
    (workspace.root / "experiments" / "set.json").write_text(json.dumps({"name": "P", "experiments": listed}))
    wanted = api.open_set("set", workspace=workspace.root)
    (cell,) = wanted.cells
    assert (cell.name, cell.model.name, cell.model.runner.name, cell.limit) == ("x", "org-m-7b", "openai", 1)
    assert cell.overrides == {"temperature": 0.2, "max_new_tokens": 9, "extra_params": {"rag": True}}
    own = {name: cell.model.params[name] for name in ("base_url", "model", "api_key_env")}
    assert own == {"base_url": "http://127.0.0.1:1/v1", "model": "org/m-7b", "api_key_env": "MY_KEY"}
    assert (cell.prompt.text, cell.prompt.system) == ("Read {{this}}.\n\n{question}", "Be brief.")
    assert wanted.notes == ()


@pytest.mark.slow
def test_replicas_and_settings_share_what_a_limit_of_two_answers_leaves(counting):
    """Of a first call a few answers find out what one costs; a later one knows it from the first request on."""
    slow = COUNTS.replace("    return {", "    import time\n    time.sleep(0.2)\n    return {")
    (counting.root / "runners" / "counts" / "runner.py").write_text(slow)
    write_words(counting.root, [f"w{n}" for n in range(40)])
    counting.write("common: {dataset: words, model: counts, params: {cost: 1.0}}\ngrid: {params.size: [1, 2]}\n")
    assert counting.run(max_cost=2, replicas=8).stopped
    before = counting.asked().total()
    assert 2 <= before <= 4
    assert counting.run(max_cost=before + 2, replicas=8).stopped
    assert counting.asked().total() == before + 2


THREE_RUNS = """
    common: {model: counts, dataset: words}
    experiments: [{run: first}, {run: second}, {run: third}]
"""


def test_all_runs_of_a_set_are_checked_before_the_first_is_asked(counting):
    (counting.root / "datasets" / "more.csv").write_text("question,answer\nfour,\n")
    api.run(models="other", dataset="more", name="third", workspace=counting.root)
    before = counting.asked()
    counting.write(THREE_RUNS)
    with pytest.raises(UsageError, match="run 'third' is about the dataset at"):
        counting.run()
    assert counting.asked() == before


def test_a_run_that_another_process_holds_is_told_and_the_others_are_asked(counting, capsys):
    counting.write(THREE_RUNS)
    with holding(counting.root / "results" / "second"):
        outcome = counting.run()
        assert [run.is_complete for run in outcome.runs] == [True, False, True]
        assert isinstance(outcome.runs[1].problem, LockedError)
        assert not outcome.is_complete
        assert _call(["--workspace", str(counting.root), "run", "set"]) == LockedError.exit_code
        told = " ".join(capsys.readouterr().err.split())
        assert "error: " in told
        assert told.count("is being worked on by") == 2, "at once and at the end"
        assert "answers are in" in told
        with pytest.raises(LockedError):
            counting.run(name="second")
    assert counting.run().is_complete
    assert set(counting.asked().values()) == {3}, "once in each run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ("{run: first}, {run: second}", "the same command goes on from here; not begun yet: second"),
        ("{limit: 3}", "the same command goes on from here"),
        ("{run: first}", "nothing is missing; next: bakeoff experiments score set && bakeoff report first"),
    ],
)
def test_an_interrupted_set_says_what_is_left(counting, capsys, runs, told):
    slow = COUNTS.replace("    return {", "    import time\n    time.sleep(1)\n    return {")
    (counting.root / "runners" / "counts" / "runner.py").write_text(slow)
    counting.write(f"common: {{model: counts, dataset: words, limit: 1}}\nexperiments: [{runs}]\n")

    def interrupt():
        while not counting.asked():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert _call(["--workspace", str(counting.root), "run", "set"]) == 130
    thread.join()
    assert f"interrupted; {told}\n" in capsys.readouterr().err


def test_a_plan_knows_that_all_is_asked_afresh_and_the_limits_of_the_options(counting, capsys):
    counting.write("common: {dataset: words, params: {cost: 1.0}}\ngrid: {model: [counts]}\nmax_cost: 9\n")
    counting.run()
    assert [(cell.there, cell.to_ask, cell.spent) for cell in counting.plan(fresh=True).cells] == [(0, 3, 0.0)]
    words = ["--fresh", "--dry-run", "--max-cost", "7", "--max-time", "1h"]
    assert _call(["--workspace", str(counting.root), "run", "set", *words]) == 0
    shown = capsys.readouterr().out
    assert "to ask: 3 requests" in shown
    assert "max_cost: $7.00" in shown
    assert "max_time: 1 h 00 min" in shown
    assert _call(["--workspace", str(counting.root), "run", "--model", "counts", "--dataset", "words", *words]) == 0
    assert "max_cost: $7.00" in capsys.readouterr().out
    assert counting.asked().total() == 3


@pytest.mark.parametrize("is_set", [True, False])
def test_what_fresh_sets_aside_does_not_count_and_what_it_asked_does(counting, is_set):
    counting.write("common: {dataset: words, params: {cost: 1.0}}\ngrid: {model: [counts]}\n")
    asked = {"models": "counts", "dataset": "words", "params": {"cost": 1.0}, "workspace": counting.root}

    def run(**options):
        return counting.run(**options) if is_set else api.run(**asked, **options)

    run()
    for _ in range(2):
        outcome = run(fresh=True, max_cost=2)
        assert outcome.stopped.startswith("max_cost is reached: $2 of $2 are spent")
        assert counting.asked().total() == 3 + 2
    plan = counting.plan(fresh=True) if is_set else api.plan_run(**asked, fresh=True)
    assert [(cell.there, cell.to_ask, cell.spent) for cell in plan.cells] == [(2, 1, 2.0)]
    assert run(fresh=True, max_cost=3).is_complete


def test_a_plan_that_is_ended_says_so_and_leaves_nothing_behind(counting, tmp_path):
    write_words(counting.root, [f"w{n}" for n in range(200_000)])
    counting.write("common: {dataset: words, model: counts}\n")
    (scratch := tmp_path / "scratch").mkdir()
    script = "from orchestrator.cli import main; main()"
    planning = subprocess.Popen(
        [sys.executable, "-c", script, "--workspace", str(counting.root), "run", "set", "--dry-run"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(scratch.glob("bakeoff-plan-*/*")):
        assert planning.poll() is None
        time.sleep(0.01)
    planning.send_signal(signal.SIGTERM)
    assert "interrupted" in planning.communicate()[1]
    assert planning.returncode == 130
    assert not list(scratch.iterdir())
