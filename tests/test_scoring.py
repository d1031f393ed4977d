"""Scoring: what is scored, what is not and why, and what the summary makes of it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.metrics import Measure, Metric
from orchestrator.metrics.extract import make_extractor
from orchestrator.results.layout import predictions_path
from orchestrator.results.plan import merge_cells, read_plan, write_plan
from orchestrator.results.schema import SAMPLES, SCORES
from orchestrator.scoring import read_summary, score_run
from tests.scored_run import Asked, make_run, prediction, write_predictions

ROOT = Path(__file__).parent.parent


def figure(summary, metric, group="all", **names):
    (found,) = [
        one
        for one in summary.figures
        if (one.metric, one.group) == (metric, group) and all(getattr(one, k) == v for k, v in names.items())
    ]
    return found


def scores(run, metric, model="echo"):
    rows = pq.read_table(run / "scores" / f"{model}.parquet").to_pylist()
    return {row["sample_id"]: row for row in rows if row["metric"] == metric}


def test_a_run_is_scored_from_its_directory_alone(tmp_path):
    run = make_run(tmp_path, [Asked(["abcd"], ["abcd"]), Asked(["abcd"], ["abxx"])])
    cer = figure(score_run(run), "cer")
    assert (cer.mean, cer.corpus, cer.n_scored, cer.n_total) == (0.25, 0.25, 2, 2)
    assert figure(read_summary(run), "exact").mean == 0.5
    assert pq.read_schema(run / "scores" / "echo.parquet").equals(SCORES)


def test_every_expected_answer_has_a_row_and_every_missing_score_a_reason(tmp_path):
    answers = ["fine", "<refused>", "<bad_input>", "<timeout>", None]
    run = make_run(tmp_path, [*(Asked(["fine"], [a]) for a in answers), Asked([], ["fine"])])
    summary = score_run(run)
    reasons = [row["reason"] for row in scores(run, "cer").values()]
    assert reasons == [None, "refused", "bad_input", "timeout", "missing", "no_reference"]
    cer = figure(summary, "cer")
    assert (cer.mean, cer.n_scored, cer.n_total) == (0.0, 1, 6)
    assert cer.reasons == dict.fromkeys(["refused", "bad_input", "timeout", "missing", "no_reference"], 1)
    assert figure(summary, "output_length").n_scored == 2


def test_the_same_question_twice_is_scored_twice_from_one_answer(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"], "d"), Asked(["b"], ["b"], "d")])
    samples = pq.read_table(run / "samples.parquet").to_pylist()
    samples[1]["question"] = samples[0]["question"]
    pq.write_table(pa.Table.from_pylist(samples, SAMPLES), run / "samples.parquet")
    summary = score_run(run)
    assert [row["score"] for row in scores(run, "exact").values()] == [1.0, 0.0]
    assert summary.stale == {"echo": 1}


def test_repeats_are_averaged_within_their_sample_first(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a", "x"]), Asked(["a"], ["a", "<error>"])], repeats=2)
    exact = figure(score_run(run), "exact")
    assert (exact.mean, exact.n_samples, exact.n_scored, exact.n_total) == (0.75, 2, 3, 4)
    assert exact.reasons == {"error": 1}


def test_the_mean_is_capped_and_the_corpus_figure_is_not(tmp_path):
    run = make_run(tmp_path, [Asked(["ab"], ["x" * 20]), Asked(["a" * 18], ["a" * 18])])
    cer = figure(score_run(run), "cer")
    assert (cer.mean, cer.corpus) == (0.5, 1.0)
    assert figure(score_run(run), "exact").corpus is None


def test_empty_references_alone_make_no_corpus_figure(tmp_path):
    cer = figure(score_run(make_run(tmp_path, [Asked([""], [""]), Asked([""], ["x"])])), "cer")
    assert (cer.mean, cer.corpus) == (0.5, None)


def test_answers_that_no_cell_expects_are_counted_and_kept_out(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    rows = pq.read_table(predictions_path(run, "echo")).to_pylist()
    write_predictions(run, "echo", [*rows, prediction("f" * 64, "s0", 1, "wrong", "echo")])
    summary = score_run(run)
    assert summary.stale == {"echo": 1}
    assert (figure(summary, "exact").mean, figure(summary, "exact").n_total) == (1.0, 1)


def test_answers_are_found_in_whatever_order_they_arrived(tmp_path):
    run = make_run(tmp_path, [Asked([f"t{n}"], [f"t{n}"]) for n in range(50)])
    rows = pq.read_table(predictions_path(run, "echo")).to_pylist()
    write_predictions(run, "echo", rows[::-1])
    assert figure(score_run(run), "exact").mean == 1.0


def test_a_model_without_predictions_misses_everything(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], [None]), Asked(["b"], [None])])
    predictions_path(run, "echo").unlink()
    exact = figure(score_run(run), "exact")
    assert (exact.mean, exact.low, exact.n_scored, exact.reasons) == (None, None, 0, {"missing": 2})


def test_an_unknown_latency_is_no_time(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    (row,) = pq.read_table(predictions_path(run, "echo")).to_pylist()
    write_predictions(run, "echo", [{**row, "latency_s": None}])
    assert figure(score_run(run), "generation_time").reasons == {"unknown": 1}


def test_figures_are_made_by_doc_class_question_type_and_pair(tmp_path):
    asked = [
        Asked(["a"], ["a"], doc_class="id", question_type="name"),
        Asked(["a"], ["b"], doc_class="id", question_type="date"),
        Asked(["a"], ["b"], doc_class="form", question_type="name"),
        Asked(["a"], ["a"], doc_class=None, question_type="date"),
    ]
    summary = score_run(make_run(tmp_path, asked), ["exact"])
    means = {(f.group, f.doc_class, f.question_type): f.mean for f in summary.figures}
    pair = "doc_class/question_type"
    assert means == {
        ("all", None, None): 0.5,
        ("doc_class", "id", None): 0.5,
        ("doc_class", "form", None): 0.0,
        ("doc_class", None, None): 1.0,
        ("question_type", None, "name"): 0.5,
        ("question_type", None, "date"): 0.5,
        (pair, "id", "name"): 1.0,
        (pair, "id", "date"): 0.0,
        (pair, "form", "name"): 0.0,
        (pair, None, "date"): 1.0,
    }


def test_the_cells_of_a_model_are_kept_apart(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    plan = read_plan(run)
    hot = plan.cells[0].model_copy(update={"params": {"t": 1}, "overrides": {"t": 1}})
    write_plan(run, plan.model_copy(update={"cells": merge_cells(plan.cells, (hot,))}))
    summary = score_run(run, ["exact"])
    assert figure(summary, "exact", params="{}").mean == 1.0
    assert figure(summary, "exact", params='{"t":1}').reasons == {"missing": 1}


def test_an_interval_is_clustered_by_document(tmp_path):
    texts = {"a": "01", "b": "11", "c": "00"}
    asked = [Asked(["1"], [text], document) for document, both in texts.items() for text in both]
    exact = figure(score_run(make_run(tmp_path, asked)), "exact")
    assert (exact.mean, exact.n_samples, exact.n_documents) == (0.5, 6, 3)
    # Residuals sum to 0, 1 and -1: SE^2 = 2 / 36 * 3 / 2 = 1 / 12, worth 3 answers; three documents say no less.
    assert exact.standard_error == pytest.approx(12**-0.5)
    weight = 1.959964**2 / 3
    half = (weight * (0.25 + weight / 4)) ** 0.5 / (1 + weight)
    assert (exact.low, exact.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_the_worst_case_counts_what_is_missing_as_wrong_and_what_the_dataset_lacks_not_at_all(tmp_path):
    asked = [Asked(["a"], ["a", "a"]), Asked(["a"], ["<error>", "a"]), Asked(["a"], ["<refused>"] * 2), Asked([], "aa")]
    summary = score_run(make_run(tmp_path, asked, repeats=2))
    exact, cer = figure(summary, "exact"), figure(summary, "cer")
    assert (exact.mean, exact.worst_case) == (1.0, pytest.approx((1 + 0.5 + 0) / 3))
    assert (cer.mean, cer.worst_case) == (0.0, pytest.approx((0 + 0.5 + 1) / 3))
    assert figure(summary, "output_length").worst_case is None


def test_figures_of_the_main_metrics_are_divided_by_the_length_of_the_reference(tmp_path):
    asked = [Asked(["ab"], ["ab"]), Asked(["abc"], ["abx"]), Asked(["abcde"], ["abcde"]), Asked([], ["a"])]
    summary = score_run(make_run(tmp_path, asked))
    strata = {f.reference_length: f.mean for f in summary.figures if (f.group, f.metric) == ("reference_length", "cer")}
    assert strata == {"1-2": 0.0, "3-5": pytest.approx(1 / 6), None: None}
    assert {f.metric for f in summary.figures if f.group == "reference_length"} == {"exact", "cer"}


def test_one_document_has_no_interval(tmp_path):
    run = make_run(tmp_path, [Asked(["1"], ["1"], "a"), Asked(["1"], ["0"], "a")])
    exact = figure(score_run(run), "exact")
    assert (exact.standard_error, exact.low, exact.high) == (None, None, None)


def test_scoring_again_with_other_metrics_replaces_scores_and_summary(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    score_run(run)
    assert score_run(run, ["exact"]).metrics == ("exact",)
    assert set(pq.read_table(run / "scores" / "echo.parquet")["metric"].to_pylist()) == {"exact"}


def test_scores_name_their_normaliser(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    score_run(run)
    labels = {name: scores(run, name)["s0"]["normaliser"] for name in ("cer", "cer_ci", "output_length")}
    assert labels == {"cer": "norm_v1", "cer_ci": "norm_v1+ci_v1", "output_length": None}


def test_the_summary_is_there_as_csv_and_json(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"], doc_class="id"), Asked(["a"], ["<error>"], doc_class="id")])
    summary = score_run(run)
    with (run / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(summary.figures)
    assert (rows[0]["metric"], rows[0]["mean"], rows[0]["low"]) == ("exact", "1.0", "")
    assert json.loads(rows[0]["reasons"]) == {"error": 1}
    assert read_summary(run) == summary


def test_scoring_leaves_nothing_else_behind(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    before = set(run.rglob("*"))
    score_run(run)
    new = {str(path.relative_to(run)) for path in set(run.rglob("*")) - before}
    assert new == {"scores", "scores/echo.parquet", "summary.csv", "summary.json"}


SCORING = """
import sys
from pathlib import Path
from orchestrator.scoring import score_run
score_run(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_figures_are_the_same_to_the_last_bit_in_every_process(tmp_path):
    lengths = [(number * 7919) % 97 + 3 for number in range(300)]
    asked = [
        Asked(["a" * n], ["a" * (n - number % 3) + "b" * (number % 5)], f"d{number % 101}", f"c{n % 3}", f"t{n % 2}")
        for number, n in enumerate(lengths)
    ]
    run = make_run(tmp_path, asked)
    seen = set()
    for seed in ("1", "2", "3"):
        argv = [sys.executable, "-c", SCORING, str(run)]
        subprocess.run(argv, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        seen.add((run / "summary.csv").read_bytes())
        seen.add(json.dumps(json.loads((run / "summary.json").read_text())["figures"]).encode())
    assert len(seen) == 2


def test_a_bent_page_is_named_and_not_taken_for_the_scores(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    score_run(run)
    for name in ("predictions/echo.parquet", "samples.parquet", "prompts.parquet"):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[:4] + bytes(len(content) // 4) + content[4 + len(content) // 4 :])
        with pytest.raises(BakeoffError, match=rf"{name}: is not a readable Parquet file .*move it away"):
            score_run(run)
        (run / name).write_bytes(content)
    score_run(run)


def test_an_unknown_metric_and_a_folder_that_is_no_run_are_one_sentence(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"])])
    with pytest.raises(UsageError, match="did you mean 'exact'"):
        score_run(run, ["exakt"])
    with pytest.raises(BakeoffError, match="is not a run"):
        score_run(tmp_path)
    with pytest.raises(BakeoffError, match="run `bakeoff score run` first"):
        read_summary(run)


def test_what_is_said_while_scoring_names_model_and_prompt(tmp_path):
    said = []
    score_run(make_run(tmp_path, [Asked(["a"], ["a"])]), notify=said.append)
    assert said == ["scoring echo, prompt read"]


def test_a_row_of_scores_has_what_a_corpus_figure_is_made_of(tmp_path):
    run = make_run(tmp_path, [Asked(["abcd"], ["abxx"]), Asked(["abcd"], ["<error>"])])
    score_run(run)
    rows = scores(run, "cer")
    assert [(rows[name]["errors"], rows[name]["weight"]) for name in ("s0", "s1")] == [(2.0, 4.0), (None, None)]
    assert scores(run, "exact")["s0"]["errors"] is None


def test_a_pooled_f1_is_of_all_words(tmp_path):
    run = make_run(tmp_path, [Asked(["a b c d"], ["a b c d"]), Asked(["e"], ["x"])])
    bow = figure(score_run(run, ["bow_f1"]), "bow_f1")
    assert (bow.mean, bow.corpus) == (0.5, pytest.approx(2 * 4 / 10))


def metric(function, **options):
    return Metric(name="own", description="", unit="fraction", direction="higher", function=function, **options)


def test_a_metric_says_itself_why_there_is_no_score(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"]), Asked(["a"], ["?"]), Asked(["a"], ["<refused>"])])
    own = metric(lambda text, _: "unsure" if text == "?" else Measure(1.0))
    found = figure(score_run(run, ["own", "cer"], own={"own": own}), "own")
    assert (found.mean, found.n_scored, found.reasons) == (1.0, 1, {"unsure": 1, "refused": 1})
    assert [row["reason"] for row in scores(run, "cer").values()] == [None, None, "refused"]


def test_a_metric_sees_of_the_sample_what_it_asks_for(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], ["a"], "d1", "id", "name"), Asked(["a"], ["<error>"]), Asked(["b"], ["b"])])
    samples = pq.read_table(run / "samples.parquet").to_pylist()
    samples[0] |= {"answer_bbox": [1.0, 2.0, 3.0, 4.0], "metadata": '{"page": 2}'}
    pq.write_table(pa.Table.from_pylist(samples, SAMPLES), run / "samples.parquet")
    seen = []

    def look(text, references, sample):
        seen.append((text, references, sample))
        return Measure(1.0)

    score_run(run, ["own"], own={"own": metric(look, about=("question", "answer_bbox", "metadata"))})
    (first, _, of_first), (last, references, of_last) = seen
    assert (first, of_first["question"], of_first["answer_bbox"]) == ("a", "question 0", (1.0, 2.0, 3.0, 4.0))
    assert (of_first["metadata"], of_first["images"][0].sha256, of_first["doc_class"]) == ({"page": 2}, "d1", "id")
    assert (last, references, of_last["answer_bbox"], of_last["metadata"]) == ("b", ("b",), None, {})


def test_a_metric_of_failures_scores_all_that_there_is(tmp_path):
    run = make_run(tmp_path, [Asked(["a"], [a]) for a in ("a", "<refused>", "<error>", None)])
    own = metric(lambda status, _: Measure(float(status == "error")), reads="status", scores_failures=True)
    found = figure(score_run(run, ["own"], own={"own": own}), "own")
    assert (found.mean, found.n_scored, found.reasons) == (pytest.approx(1 / 3), 3, {"missing": 1})


def test_classes_make_a_macro_f1_in_each_group(tmp_path):
    labels = [("cat", "cat"), ("cat", "dog"), ("dog", "dog"), ("dog", "no idea")]
    asked = [Asked([right], [answer], doc_class=right) for right, answer in labels]
    summary = score_run(make_run(tmp_path, asked), ["accuracy"])
    # cat: one hit, one miss, 2 / 3; dog: one hit, one miss, one false alarm, 1 / 2.
    assert figure(summary, "accuracy").corpus == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figure(summary, "accuracy", "doc_class", doc_class="dog").corpus == pytest.approx(2 / 3)


def test_an_extraction_comes_before_and_its_failures_are_counted(tmp_path):
    asked = [Asked(["a"], [" <think>b</think>a"]), Asked(["a"], [" <think>b"]), Asked(["a"], ["<error>"])]
    run = make_run(tmp_path, asked)
    summary = score_run(run, ["exact", "output_length"], extractor=make_extractor(["think"]))
    exact = figure(summary, "exact")
    assert (exact.mean, exact.n_scored, exact.reasons) == (1.0, 1, {"parse_fail": 1, "error": 1})
    assert figure(summary, "output_length").n_scored == 2
    labels = [summary.metric_notes[name].extractor for name in ("exact", "output_length")]
    assert labels == [make_extractor(["think"]).label, None]
    assert scores(run, "exact")["s0"]["extractor"] == labels[0]
    assert scores(run, "output_length")["s0"]["extractor"] is None


def test_metrics_under_more_normalisers_stand_beside_their_own(tmp_path):
    run = make_run(tmp_path, [Asked(["Семен"], ["семён"])])
    summary = score_run(run, ["exact", "exact@ci+yo"])
    assert (figure(summary, "exact").mean, figure(summary, "exact@ci+yo").mean) == (0.0, 1.0)
    assert scores(run, "exact@ci+yo")["s0"]["normaliser"] == "norm_v1+ci_v1+yo_v1"


def test_answers_in_several_batches_are_all_found(tmp_path):
    asked = [Asked([f"t{n}"], [f"t{n}" if n % 3 else None]) for n in range(5000)]
    exact = figure(score_run(make_run(tmp_path, asked), ["exact"]), "exact")
    assert (exact.mean, exact.n_scored, exact.reasons) == (1.0, 3333, {"missing": 1667})
