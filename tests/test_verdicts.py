"""What the page says first: who is best, how sure that is, and what it takes; and the short names of cells."""

from pathlib import Path

import pytest

from orchestrator.pages.amounts import dollars_text, spent_texts
from orchestrator.pages.overview import main_grid
from orchestrator.pages.report import _gather
from orchestrator.pages.short_names import short_parts
from orchestrator.pages.sources import open_run
from orchestrator.pages.telling import card_metrics, column_metrics
from orchestrator.pages.totals import Totals
from orchestrator.pages.verdicts import make_verdicts
from orchestrator.reporting.comparisons import comparison_table
from orchestrator.reporting.notes import make_notes
from orchestrator.reporting.numbers import number_text
from orchestrator.scoring import score_run
from tests.pages_run import make_pages_run, sample


def verdicts_of(folder: Path, answer, *, models=("good", "poor"), count=30, metrics=("exact", "cer")):
    run = make_pages_run(folder, [sample(n) for n in range(count)], answer, models=models)
    summary = score_run(run, list(metrics))
    totals, _ = _gather(open_run(run))
    return {verdict.metric: verdict for verdict in make_verdicts(summary, totals)}


def test_the_best_is_named_with_its_lead_and_that_it_is_certain(tmp_path):
    found = verdicts_of(tmp_path, lambda s, model, *_: f"answer {s[1:]}" if model == "good" else "zzz")
    best = found["exact"]
    assert (best.name, best.is_sure, best.score) == ("good", True, "1.000")
    assert best.standing == "best: all others are worse"
    assert dict(best.facts)["ahead of the next"] == "poor, by 1.000: certain, p < 0.001"
    assert found["cer"].direction == "lower is better"
    assert found["cer"].name == "good"


def test_a_lead_by_chance_is_not_certain(tmp_path):
    answer = lambda s, model, *_: f"answer {s[1:]}" if model == "good" or s != "s1" else "zzz"  # noqa: E731
    best = verdicts_of(tmp_path, answer)["exact"]
    assert (best.name, best.is_sure) == ("good", False)
    assert best.standing == "best mean, but one other is not told apart from it"
    assert dict(best.facts)["ahead of the next"].startswith("poor, by 0.033 [-0.1")
    assert dict(best.facts)["ahead of the next"].endswith("not certain, p = 1.000")


def test_too_few_documents_are_named_where_no_test_could_tell_cells_apart(tmp_path):
    answer = lambda s, model, *_: f"answer {s[1:]}" if model == "good" else "zzz"  # noqa: E731
    best = verdicts_of(tmp_path / "6", answer, count=6)["exact"]
    assert (best.name, best.is_sure) == ("good", False)
    assert best.standing == "best mean; 6 documents are too few to tell any cells apart; it takes 7"
    sure = verdicts_of(tmp_path / "7", answer, count=7)["exact"]
    assert (sure.is_sure, sure.standing) == (True, "best: all others are worse")


def test_no_size_is_said_to_be_seen_where_none_is(tmp_path):
    def notes_of(count):
        answer = lambda s, model, *_: f"answer {s[1:]}" if model == "good" or s == "s1" else "zzz"  # noqa: E731
        run = make_pages_run(tmp_path / f"{count}", [sample(n) for n in range(count)], answer, models=("good", "poor"))
        return " ".join(make_notes(score_run(run, ["exact", "cer"])))

    few, enough = notes_of(6), notes_of(7)
    assert "6 documents are too few for any certainty between these cells: among 2 comparisons no difference" in few
    assert "It takes 7 documents, or fewer comparisons" in few
    assert ("smallest difference" in few, "smallest difference" in enough) == (False, True)
    assert "too few" not in enough


def test_cells_that_miss_answers_for_the_same_reasons_share_a_note(tmp_path):
    answer = lambda s, model, *_: "<refused>" if s == "s0" else "zzz" if model == "poor" else f"answer {s[1:]}"  # noqa: E731
    run = make_pages_run(tmp_path, [sample(n) for n in range(4)], answer, models=("good", "poor"))
    assert make_notes(score_run(run, ["exact"]))[0] == (
        "each of 2 cells, 1 of 4 not scored: 1 refused; counted as wrong the means are: "
        "good / read (exact 0.750), poor / read (the same)"
    )


def test_a_reason_that_all_cells_have_is_told_without_their_names(tmp_path):
    run = make_pages_run(tmp_path, [sample(0, references=[])], lambda *_: "x", models=("one", "two"))
    assert make_notes(score_run(run, ["exact"]))[0] == "all 2 cells, each: 1 of 1 not scored: 1 no_reference"


def test_a_score_says_what_it_is_from(tmp_path):
    answer = lambda s, *_: "<refused>" if s == "s0" else f"answer {s[1:]}"  # noqa: E731
    many = verdicts_of(tmp_path / "many", answer, models=("only",))["exact"]
    assert (many.counted, many.interval[:13]) == ("from 29 of 30 answers, 29 documents", "95 % interval")
    one = verdicts_of(tmp_path / "one", lambda *_: "x", models=("only",), count=1)["exact"]
    assert (one.counted, one.interval) == ("from 1 of 1 answer, 1 document", "no interval: one document")


@pytest.mark.parametrize(("value", "text"), [(0.9996, "0.999"), (1.0, "1.000"), (0.9985, "0.999"), (0.0004, "0.000")])
def test_less_than_all_is_never_shown_as_all(value, text):
    assert number_text(value, "fraction") == text


def test_the_lead_is_positive_where_lower_is_better(tmp_path):
    answer = lambda s, model, *_: f"answer {s[1:]}" if model == "good" or s != "s1" else f"answer {s[1:]}!"  # noqa: E731
    facts = dict(verdicts_of(tmp_path, answer)["cer"].facts)
    assert facts["ahead of the next"].startswith("poor, by 0.004 [-0.0")


def test_who_is_not_told_apart_and_much_cheaper_is_named(tmp_path):
    def answer(s, model, *_):
        text = "zzz" if (s, model) == ("s0", "cheap") else f"answer {s[1:]}"
        return {"text": text, "cost": 2.0 if model == "dear" else 0.0001}

    facts = dict(verdicts_of(tmp_path, answer, models=("dear", "cheap"))["exact"].facts)
    assert facts["takes"].startswith("$2,000 per 1,000 answers, 0.50 s an answer")
    assert facts["cheaper, not told apart"].startswith("cheap: 20,000 times less, $0.10 per 1,000 answers")


def test_what_takes_next_to_no_time_is_not_so_many_times_faster(tmp_path):
    def answer(s, model, *_):
        text = "zzz" if (s, model) == ("s0", "quick") else f"answer {s[1:]}"
        return {"text": text, "latency_s": 2.0 if model == "slow" else 2e-6}

    facts = dict(verdicts_of(tmp_path, answer, models=("slow", "quick"))["exact"].facts)
    assert facts["faster, not told apart"] == "quick: under 0.01 s an answer"


def test_nobody_is_named_where_all_have_the_same_mean(tmp_path):
    def answer(s, model, *_):
        return {"text": f"answer {s[1:]}" if s != "s0" else "zzz", "latency_s": 12.0 if model == "slow" else 1.8}

    best = verdicts_of(tmp_path, answer, models=("slow", "quick", "slow again"))["exact"]
    assert (best.name, best.score, best.is_sure) == ("all 3 have the same mean", "0.967", False)
    assert (best.standing, best.warning) == ("nobody is best", "")
    assert best.counted == "each from 30 of 30 answers, 30 documents"
    assert dict(best.facts) == {"fastest of them": "quick: 1.80 s an answer; others up to 12 s an answer"}


def test_cells_that_share_the_best_mean_are_listed_and_compared_with_the_next(tmp_path):
    answer = lambda s, model, *_: "zzz" if model == "poor" else f"answer {s[1:]}"  # noqa: E731
    best = verdicts_of(tmp_path, answer, models=("good", "as good", "poor"))["exact"]
    assert (best.name, best.standing) == ("2 of 3 share the best mean", "nobody is best; all others are worse")
    facts = dict(best.facts)
    assert facts["they are"] == "good, as good"
    assert facts["ahead of the next"] == "poor, by 1.000: certain, p < 0.001"


def test_cells_that_share_the_best_mean_are_not_told_apart_from_others(tmp_path):
    answer = lambda s, model, *_: "zzz" if (s, model) == ("s0", "poor") else f"answer {s[1:]}"  # noqa: E731
    best = verdicts_of(tmp_path, answer, models=("good", "as good", "poor"))["exact"]
    assert best.standing == "nobody is best; one other is not told apart from them"


def test_a_missing_answer_parts_cells_of_the_same_mean(tmp_path):
    answer = lambda s, model, *_: "<refused>" if (s, model) == ("s0", "poor") else f"answer {s[1:]}"  # noqa: E731
    best = verdicts_of(tmp_path, answer)["exact"]
    assert (best.name, dict(best.facts)["beside it"]) == ("good", "poor does as well where both have a score")


def long_answers(s, model, *_):
    return {"text": f"{'page after page ' * 9} answer {s[1:]} {'z' * 9}", "latency_s": 0.1 if model == "good" else 9.0}


def test_answers_far_too_long_are_named_with_the_metric_that_finds_what_is_in_them(tmp_path):
    found = verdicts_of(tmp_path, long_answers, metrics=("exact", "cer", "cer_span", "wer"))
    for metric, score in (("exact", "0.000"), ("cer", "1.000")):
        best = found[metric]
        assert (best.name, best.score) == ("both have the same mean", score)
        assert best.warning.startswith("The worst score there is: answers are far longer than the references (about ")
        assert best.warning.endswith(
            f"so {metric} tells little here. Look at cer_span (the reference within the answer): best mean 0.000, good."
        )
        assert not any("times less" in text for _, text in best.facts)


def test_a_right_word_here_and_there_does_not_hide_that_answers_are_too_long(tmp_path):
    answer = lambda s, model, *_: f"answer {s[1:]}" if s in {"s0", "s1", "s2"} else long_answers(s, model)  # noqa: E731
    best = verdicts_of(tmp_path, answer, metrics=("exact", "cer", "cer_span", "wer"))["cer"]
    assert best.warning.startswith("Near the worst score there is: answers are far longer than the references")
    wrong = lambda s, *_: f"answer {s[1:]}" if s in {"s0", "s1", "s2"} else "zzz"  # noqa: E731
    assert verdicts_of(tmp_path / "short", wrong)["exact"].warning == ""


def test_one_cell_that_says_too_much_does_not_speak_for_all(tmp_path):
    answer = lambda s, model, *_: long_answers(s, model) if model == "long" else f"answer {s[1:]}x"  # noqa: E731
    best = verdicts_of(tmp_path, answer, models=("one", "two", "long"))["exact"]
    assert best.warning == "The worst score there is."


def test_where_nothing_else_was_scored_the_metric_that_would_tell_is_named(tmp_path):
    best = verdicts_of(tmp_path, long_answers)["cer"]
    assert best.warning.endswith("The metric cer_span finds the reference within longer answers.")
    wrong = verdicts_of(tmp_path / "short", lambda *_: "zzz")["exact"]
    assert wrong.warning == "The worst score there is."


def test_metrics_that_were_chosen_have_a_card_and_a_column(tmp_path):
    answer = lambda s, model, *_: f"answer {s[1:]}" if model == "good" else "zzz"  # noqa: E731
    names = ("exact", "cer", "cer_span", "output_length", "generation_time")
    run = make_pages_run(tmp_path, [sample(n) for n in range(30)], answer, models=("good", "poor"))
    summary = score_run(run, names)
    totals, _ = _gather(open_run(run))
    cards = make_verdicts(summary, totals)
    assert [(card.metric, card.name) for card in cards] == [("exact", "good"), ("cer", "good"), ("cer_span", "good")]
    assert (cards[2].standing, cards[2].is_sure) == ("best mean; no test is made by this metric", False)
    assert column_metrics(summary) == ["exact", "cer", "cer_span", "output_length"]
    header = main_grid(summary, totals, column_metrics(summary)).header
    assert header[:7] == ("model", "prompt", "exact ↑", "cer ↓", "cer_span ↓", "output_length ↓", "scored")
    default = score_run(run)
    assert (card_metrics(default), column_metrics(default)) == (["exact", "cer"], ["exact", "cer"])


def test_a_metric_that_tells_more_has_a_column_where_the_main_ones_tell_nothing(tmp_path):
    run = make_pages_run(tmp_path, [sample(n) for n in range(9)], long_answers, models=("good", "poor"))
    summary = score_run(run)
    assert column_metrics(summary) == ["exact", "cer", "cer_span"]
    grid = main_grid(summary, _gather(open_run(run))[0], column_metrics(summary))
    assert {item.mark for row in grid.rows for item in row} == {""}


def test_cells_that_have_no_score_at_all_are_named(tmp_path):
    found = verdicts_of(tmp_path, lambda s, model, *_: "<error>" if model == "poor" else "x", metrics=("exact",))
    assert dict(found["exact"].facts)["without any score"] == "poor"
    assert verdicts_of(tmp_path / "none", lambda *_: "<error>") == {}


def test_answers_without_a_score_are_counted_as_wrong_too(tmp_path):
    answer = lambda s, *_: "<refused>" if s in {"s0", "s1", "s2"} else f"answer {s[1:]}"  # noqa: E731
    best = verdicts_of(tmp_path, answer, models=("only",))["exact"]
    assert best.standing == "nothing to compare with"
    assert dict(best.facts)["no score"] == "3 of 30 answers (3 refused); counted as wrong: 0.900"


@pytest.mark.parametrize(
    ("dollars", "text"),
    [(0.0, "$0.00"), (0.000023, "$0.000023"), (0.0999999, "$0.10"), (2.2, "$2.20"), (1234.5, "$1,234")],
)
def test_prices_have_the_digits_that_matter(dollars, text):
    assert dollars_text(dollars) == text


def test_how_many_answers_told_what_they_took_is_said_once():
    totals = Totals([])
    for key, cost in (("a", 0.5), ("b", None), ("c", None)):
        known = {"latency_s": None if key == "c" else 2.0, "cost": cost, "input_tokens": 10, "output_tokens": None}
        totals.add({"key": key * 64, "sample_id": key, "status": "ok", "answer": "x", "repeat": 1, **known})
    totals.finish()
    assert list(spent_texts(totals)) == [
        ("$500", "$0.5000 in all\nknown of 1/3"),
        ("2.00 s", "4.0 s in all\nknown of 2/3"),
        ("10", "30 in all"),
        ("-", ""),
    ]


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ([("a", "{}", "p"), ("b", "{}", "p")], [("a",), ("b",)]),
        ([("a", "{}", "p"), ("b", "{}", "q")], [("a", "p"), ("b", "q")]),
        ([("a", '{"t":1}', "p"), ("b", "{}", "p")], [("a",), ("b",)]),
        ([("a", '{"s":2,"t":1}', "p"), ("a", '{"s":3,"t":1}', "p")], [("a", "s=2"), ("a", "s=3")]),
        ([("a", '{"t":1}', "p"), ("a", "{}", "p")], [("a", "t=1"), ("a",)]),
    ],
)
def test_a_short_name_says_what_differs_and_no_more(cells, parts):
    assert list(short_parts(cells).values()) == parts


@pytest.mark.parametrize(("count", "marks"), [(6, ["best mean", "too few documents"]), (7, ["best", "worse"])])
def test_the_table_of_differences_finds_nothing_where_nothing_could_be_found(tmp_path, count, marks):
    answer = lambda s, model, *_: f"answer {s[1:]}" if model == "good" else "zzz"  # noqa: E731
    run = make_pages_run(tmp_path, [sample(n) for n in range(count)], answer, models=("good", "poor"))
    table = comparison_table(score_run(run, ["exact", "cer"]))
    assert [row[-1] for row in table.rows] == marks * 2
