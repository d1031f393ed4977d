"""Scoring: what is scored, what is not and why, and what the summary makes of it."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.results.schema import SCORES
from orchestrator.scoring import read_summary, score_run
from orchestrator.scoring.intervals import t_quantile
from tests.scored_run import Asked, make_run, prediction, write_predictions


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
