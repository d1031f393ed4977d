"""Comparing cells: of one run while it is scored, and of two from their directories."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.reporting import summary_tables
from orchestrator.results.layout import PROMPTS_NAME
from orchestrator.results.plan import read_plan, write_plan
from orchestrator.results.schema import PROMPTS, SAMPLES
from orchestrator.scoring import read_summary, score_run
from orchestrator.scoring.compare import compare_cells
from orchestrator.scoring.matching import find_cell, list_cells
from orchestrator.scoring.summary import SUMMARY_NAME
from orchestrator.statistics import compare_pairs
from tests.compared_runs import BAD, GOOD, add_model, change_cell, run_of
from tests.scored_run import Asked, make_run


def test_cells_of_a_run_are_compared_in_its_summary_the_better_first(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    add_model(run, "other", GOOD)
    compared = score_run(run).compared
    assert (compared.metrics, compared.which, compared.claims) == (("exact", "cer"), "all pairs", 2)
    exact, cer = compared.comparisons
    assert (exact.first.model, exact.second.model, exact.verdict) == ("other", "echo", "worse")
    assert (exact.difference, exact.n_better, exact.n_equal, exact.n_worse) == (-0.75, 0, 5, 15)
    assert (exact.test, exact.p, exact.p_holm) == ("mcnemar", pytest.approx(2**-14), pytest.approx(2**-13))
    assert (cer.difference, cer.n_better, cer.n_worse) == (0.375, 0, 15)
    assert cer.low < 0.375 < cer.high
    assert read_summary(run).compared == compared


def test_who_answered_little_is_not_the_best(tmp_path):
    run = run_of(tmp_path, "run", ["abcd"] * 15 + ["abxy"] * 5)
    add_model(run, "shy", ["abcd"] * 3 + ["<refused>"] * 17)
    summary = score_run(run, ["exact"])
    means = {f.model: f.mean for f in summary.figures if f.group == "all"}
    assert means == {"echo": 0.75, "shy": 1.0}
    assert [each.first.model for each in summary.compared.comparisons] == ["echo"]


def test_what_the_summary_says_is_what_the_files_say(tmp_path):
    texts = ["abcd", "abcx", "abxx", "axxx"]
    rng = np.random.default_rng(1)
    ours, theirs = ([texts[n] for n in rng.choice(4, 60)] for _ in range(2))
    documents = [f"d{n // 4}" for n in range(60)]
    run = run_of(tmp_path, "a", ours, documents=documents)
    add_model(run, "other", theirs)
    summary = score_run(run)
    (cer,) = [each for each in summary.compared.comparisons if each.metric == "cer"]
    names = {cell.model: cell for cell in list_cells(run)}
    pair = [(run, names[cell.model]) for cell in (cer.first, cer.second)]
    read = compare_cells(*pair, ["exact", "cer"])
    (again,) = [each for each in read if each.metric == "cer"]
    assert (again.difference, again.low, again.p) == pytest.approx((cer.difference, cer.low, cer.p))
    first, second = ([texts.index(text) / 4 for text in each] for each in (ours, theirs))
    if cer.first.model == "other":
        first, second = second, first
    own = compare_pairs(np.array(first), np.array(second), np.repeat(np.arange(15), 4))
    assert (own.difference, own.p, own.n_documents) == pytest.approx((cer.difference, cer.p, 15))


def test_runs_are_joined_on_sample_ids_in_whatever_order(tmp_path):
    one, other = run_of(tmp_path, "a", GOOD), run_of(tmp_path, "b", BAD)
    samples = pq.read_table(other / "samples.parquet").to_pylist()
    pq.write_table(pa.Table.from_pylist(samples[::-1], SAMPLES), other / "samples.parquet")
    score_run(other)
    found = api.compare(one, other)
    assert {each.verdict for each in found.comparisons} == {"worse"}
    assert (found.comparisons[0].n_better, found.comparisons[0].n_worse) == (0, 15)
    assert {each.verdict for each in api.compare(other, one).comparisons} == {"better"}


def test_cells_of_one_run_can_be_named(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    add_model(run, "other", GOOD)
    score_run(run)
    (found,) = api.compare(run, cells=("echo", "other / read"), metrics=["exact"]).comparisons
    assert (found.first.model, found.second.model, found.verdict) == ("echo", "other", "better")
    assert len(api.compare(run).comparisons) == 2
    with pytest.raises(UsageError, match="a: has no cell 'ecko'; known: echo / read, other / read"):
        find_cell(run, "ecko")


def test_a_cell_is_named_as_reports_show_it_without_what_all_cells_share(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    change_cell(run, overrides={"size": 480, "t": 0})
    score_run(run, ["exact"])
    only = find_cell(run, "echo / read")
    assert only.text == "echo / size=480 t=0 / read"
    assert all(find_cell(run, name) == only for name in (only.text, "echo"))
    with pytest.raises(UsageError, match=r"a: has no cell 'tess'; known: echo / read$"):
        find_cell(run, "tess")
    plan = read_plan(run)
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, with_overrides(plan.cells[0], size=960, t=0))}))
    score_run(run, ["exact"])
    found = [find_cell(run, f"echo / {params} / read").params for params in ("size=480", "size=960", "size=960 t=0")]
    assert [json.loads(params)["size"] for params in found] == [480, 960, 960]
    with pytest.raises(
        UsageError, match=r"'echo / read' has several cells; .*: echo / size=480 / read, echo / size=960"
    ):
        find_cell(run, "echo / read")
    with pytest.raises(
        UsageError, match=r"did you mean 'echo / size=960 / read'\?; its cells are echo / size=480 / read"
    ):
        find_cell(run, "echo / size=96 / red")


def test_a_name_that_one_cell_has_in_full_is_of_no_other(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    plan = read_plan(run)
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, with_overrides(plan.cells[0], size=960))}))
    score_run(run, ["exact"])
    assert find_cell(run, "echo / read").params == "{}"


def with_overrides(cell, **overrides):
    return cell.model_copy(update={"overrides": overrides})


def test_samples_that_only_one_has_a_score_for_are_left_out_or_count_as_the_worst(tmp_path):
    one = run_of(tmp_path, "a", GOOD)
    other = run_of(tmp_path, "b", ["<refused>"] * 15 + ["abcd"] * 5)
    exact, _ = api.compare(one, other).comparisons
    assert (exact.n_samples, exact.n_left_out, exact.verdict) == (5, 15, "no difference seen")
    exact, cer = api.compare(one, other, missing="worst").comparisons
    assert (exact.n_samples, exact.difference, exact.verdict) == (20, -0.75, "worse")
    assert (cer.n_left_out, cer.difference) == (0, 0.75)


def test_repeats_are_averaged_before_they_are_compared(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    run = make_run(folder, [Asked(["a"], ["a", "b"], f"d{n}") for n in range(4)], repeats=2)
    score_run(run)
    other = run_of(tmp_path, "b", ["b"] * 4, references="a")
    (exact,) = api.compare(other, run, metrics=["exact"]).comparisons
    assert (exact.first_mean, exact.second_mean, exact.p_mcnemar) == (0.0, 0.5, None)


@pytest.mark.parametrize("field", ["question", "references", "images"])
def test_other_samples_of_the_same_ids_are_refused_by_name(tmp_path, field):
    one, other = run_of(tmp_path, "a", GOOD), run_of(tmp_path, "b", GOOD)
    samples = pq.read_table(other / "samples.parquet").to_pylist()
    other_values = {"question": "another?", "references": ["zzz"], "images": [{"path": "/data/d3.png", "sha256": "0"}]}
    samples[3][field] = other_values[field]
    pq.write_table(pa.Table.from_pylist(samples, SAMPLES), other / "samples.parquet")
    score_run(other)
    with pytest.raises(BakeoffError, match=r"1 samples, such as 's3', have another question, image or reference in a"):
        api.compare(one, other)


def test_runs_without_a_sample_in_common_are_refused(tmp_path):
    one, other = run_of(tmp_path, "a", GOOD), run_of(tmp_path, "b", GOOD)
    samples = pq.read_table(other / "samples.parquet").to_pylist()
    renamed = [{**row, "id": f"x{row['id']}"} for row in samples]
    pq.write_table(pa.Table.from_pylist(renamed, SAMPLES), other / "samples.parquet")
    score_run(other)
    with pytest.raises(BakeoffError, match="a and b have no sample in common"):
        api.compare(one, other)


def test_scores_that_were_not_measured_alike_are_refused(tmp_path):
    one, other = run_of(tmp_path, "a", GOOD), run_of(tmp_path, "b", GOOD)
    text = (other / SUMMARY_NAME).read_text()
    (other / SUMMARY_NAME).write_text(text.replace('"norm_v1"', '"norm_v9"'))
    with pytest.raises(BakeoffError, match="exact was not measured alike: its normaliser is norm_v1 and norm_v9"):
        api.compare(one, other)
    score_run(other, ["wer"])
    with pytest.raises(UsageError, match="b: was not scored by 'cer'"):
        api.compare(one, other, metrics=["cer"])


def test_a_summary_of_an_older_version_asks_for_scoring_again(tmp_path):
    run = run_of(tmp_path, "a", GOOD)
    (run / SUMMARY_NAME).write_text('{"schema_version": 1, "figures": []}')
    with pytest.raises(BakeoffError, match="older bakeoff; run `bakeoff score a` again"):
        read_summary(run)


def test_of_many_cells_each_is_compared_with_the_best(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    for number in range(11):
        add_model(run, f"m{number}", GOOD if number == 4 else BAD)
    compared = score_run(run, ["exact"]).compared
    assert (compared.which, len(compared.comparisons), compared.claims) == ("each with the best", 11, 66)
    assert {each.first.model for each in compared.comparisons} == {"m4"}
    assert {each.verdict for each in compared.comparisons} == {"worse"}
    assert compared.comparisons[0].p_holm == pytest.approx(66 * 2**-14)


def test_a_cell_over_fewer_samples_is_compared_on_those(tmp_path):
    run = run_of(tmp_path, "a", GOOD)
    add_model(run, "other", BAD)
    plan = read_plan(run)
    cells = [cell if cell.model == "echo" else cell.model_copy(update={"limit": 12}) for cell in plan.cells]
    write_plan(run, plan.model_copy(update={"cells": tuple(cells)}))
    exact = score_run(run, ["exact"]).compared.comparisons[0]
    assert (exact.n_samples, exact.n_left_out) == (12, 8)


def test_one_cell_says_at_most_what_the_dataset_can_see(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    compared = score_run(run, ["exact"]).compared
    assert compared.comparisons == ()
    assert 0.3 < compared.detectable["exact"] < 0.5
    shutil.rmtree(run / "scores")
    with pytest.raises(UsageError, match="has one cell, and nothing to compare it with"):
        api.compare(run)


def test_prompts_are_compared_as_models_are(tmp_path):
    run = run_of(tmp_path, "a", GOOD)
    prompts = pq.read_table(run / PROMPTS_NAME).to_pylist()
    digest = "1" * 64
    second = {**prompts[0], "id": "shout", "sha256": digest, "text": "{question}!"}
    pq.write_table(pa.Table.from_pylist([*prompts, second], PROMPTS), run / PROMPTS_NAME)
    plan = read_plan(run)
    cell = plan.cells[0].model_copy(update={"prompt": "shout", "prompt_sha256": digest})
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, cell)}))
    summary = score_run(run, ["exact"])
    assert [each.text for each in list_cells(run)] == ["echo / read", "echo / shout"]
    assert summary.compared.comparisons == ()
    with pytest.raises(UsageError, match="'echo' has several cells; name one of them: echo / read, echo / shout"):
        find_cell(run, "echo")


def test_a_cell_for_which_another_stands_is_named_as_any(tmp_path):
    run = run_of(tmp_path, "a", GOOD)
    prompts = pq.read_table(run / PROMPTS_NAME).to_pylist()
    second = {**prompts[0], "id": "shout", "sha256": "1" * 64, "text": "{question}!"}
    pq.write_table(pa.Table.from_pylist([*prompts, second], PROMPTS), run / PROMPTS_NAME)
    change_cell(run, ignores_prompt=True, overrides={"size": 480})
    plan = read_plan(run)
    cell = plan.cells[0].model_copy(update={"prompt": "shout", "prompt_sha256": "1" * 64})
    write_plan(run, plan.model_copy(update={"cells": (*plan.cells, cell)}))
    assert [twin.cell.prompt for twin in score_run(run, ["exact"]).twins] == ["shout"]
    assert find_cell(run, "echo").prompt == "read"
    assert find_cell(run, "echo / shout").text == "echo / size=480 / shout"
    with pytest.raises(UsageError, match="has no cell 'x'; known: echo / read, echo / shout"):
        find_cell(run, "x")


def test_the_report_shows_who_differs_from_the_best_and_what_can_be_seen_at_all(tmp_path):
    run = run_of(tmp_path, "a", BAD)
    add_model(run, "other", GOOD)
    add_model(run, "third", [*GOOD[:17], "abcx", "<refused>", "<refused>"])
    table = summary_tables(score_run(run))[-1]
    assert table.title == "Against the best of each metric"
    rows = [(row[0], row[1], row[-3], row[-1]) for row in table.rows if row[0] == "exact"]
    assert rows == [
        ("exact", "other", "", "best mean"),
        ("exact", "third", "0/17/1", "no difference seen"),
        ("exact", "echo", "0/5/15", "worse"),
    ]
    notes = "\n".join(table.notes)
    assert "third / read: 2 of 20 not scored: 2 refused; counted as wrong: exact 0.850, cer 0.113" in notes
    assert "The smallest difference that this dataset can see between two cells is about 0." in notes
    assert "leave out samples that only one of the two has a score for, up to 2 of them" in notes
    assert "Holm's correction over 6 comparisons" in notes


def test_a_report_of_one_cell_says_at_most_what_can_be_seen(tmp_path):
    summary = score_run(run_of(tmp_path, "a", BAD))
    tables = summary_tables(summary)
    assert not [table for table in tables if table.title.startswith("Against")]
    assert any("can see is at most about 0." in note for note in tables[-1].notes)


def test_samples_that_share_a_document_in_either_run_count_as_one(tmp_path):
    one, other = run_of(tmp_path, "a", GOOD), run_of(tmp_path, "b", BAD)
    assert api.compare(one, other).comparisons[0].n_documents == 20
    samples = pq.read_table(other / "samples.parquet").to_pylist()
    merged = {sample["document"]: number // 8 for number, sample in enumerate(samples)}
    for sample in samples:
        sample["document"] = f"folder {merged[sample['document']]}"
    pq.write_table(pa.Table.from_pylist(samples, SAMPLES), other / "samples.parquet")
    score_run(other)
    numbers = {api.compare(*runs).comparisons[0].n_documents for runs in ((one, other), (other, one))}
    assert numbers == {len(set(merged.values()))}
    assert numbers != {20}
