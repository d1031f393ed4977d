"""The gate: what it promises, in simulation and over whole run folders."""

import math
from dataclasses import replace

import numpy as np
import pytest

from orchestrator import api
from orchestrator.errors import UsageError
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.comparison import Pair, compare
from orchestrator.scoring.gate import Gate, judge
from tests.compared_runs import GOOD, add_model, run_of

PAIRS, DOCUMENTS, EACH = 200, 40, 8
BEFORE, AFTER = (CellName(run=run, model="echo", params="{}", prompt="read") for run in ("before", "after"))
SLOW = pytest.mark.slow


def at_most(n, p):
    """Return the number that a binomial count of `n` exceeds in one of ten thousand cases."""
    tail = 1.0
    for k in range(n + 1):
        tail -= math.comb(n, k) * p**k * (1 - p) ** (n - k)
        if tail < 1e-4:
            return k
    return n


def simulate(random, loss, metric="exact", churn=0.15):
    """Return scores of a model before and after an update: `churn` of its answers are new, `loss` is lost."""
    documents = np.repeat(np.arange(DOCUMENTS), EACH)
    chance = 1 / (1 + np.exp(-1 - random.normal(0, 1.6, DOCUMENTS)))[documents]
    first, anew = (random.random(len(documents)) < chance for _ in range(2))
    second = np.where(random.random(len(documents)) < churn, anew, first)
    if metric == "cer":
        length = random.beta(1.2, 2.5, len(documents))
        scores = [np.where(is_right, 0.0, length) for is_right in (first, second)]
        return Pair("cer", "lower", (BEFORE, AFTER), scores[0], scores[1] + loss, documents)
    second &= random.random(len(documents)) >= loss / chance.mean()
    return Pair("exact", "higher", (BEFORE, AFTER), first.astype(float), second.astype(float), documents)


def gate(pairs, limit):
    """Return each pair's comparison and what the gate says, as the command would of runs that hold nothing else."""
    for pair in pairs:
        comparisons = compare([pair])
        yield comparisons[0], judge([pair], comparisons, {pair.metric: limit})[0].outcome


@pytest.mark.parametrize(
    ("metric", "limit"),
    [("exact", 0.0), ("exact", 0.03), pytest.param("cer", 0.0, marks=SLOW), pytest.param("cer", 0.03, marks=SLOW)],
)
def test_no_loss_beyond_the_limit_is_taken_for_a_regression_in_at_most_the_stated_rate(metric, limit):
    random = np.random.default_rng(1)
    pairs = [simulate(random, limit, metric) for _ in range(PAIRS)]
    found = [outcome for _, outcome in gate(pairs, limit)]
    alarms, undecided = found.count("regression"), found.count("cannot tell")
    print(f"{metric}, loss = limit = {limit}: {alarms} alarms of {PAIRS}, {undecided} cannot tell")
    assert alarms <= at_most(PAIRS, 0.025)
    assert undecided > 0.85 * PAIRS


@pytest.mark.parametrize("metric", ["exact", pytest.param("cer", marks=SLOW)])
def test_a_planted_no_change_is_called_a_difference_in_at_most_five_percent(metric):
    random = np.random.default_rng(2)
    verdicts = [compare([simulate(random, 0.0, metric)])[0].verdict for _ in range(PAIRS)]
    claims = PAIRS - verdicts.count("no difference seen")
    print(f"{metric}, no change: {claims} of {PAIRS} called a difference")
    assert claims <= at_most(PAIRS, 0.05)


@pytest.mark.parametrize(
    ("metric", "limit", "size"),
    [("exact", 0.03, 0.057), ("cer", 0.0, 0.0129), pytest.param("exact", 0.0, 0.048, marks=SLOW)],
)
def test_a_planted_regression_of_the_detectable_size_is_caught_in_about_eighty_percent(metric, limit, size):
    random = np.random.default_rng(3)
    found = list(gate([simulate(random, limit + size, metric) for _ in range(PAIRS)], limit))
    assert np.median([each.detectable for each, _ in found]) == pytest.approx(size, rel=0.1)
    outcomes = [outcome for _, outcome in found]
    caught = outcomes.count("regression")
    print(f"{metric}, limit {limit}, planted {limit + size:.4f}: {caught} of {PAIRS} caught")
    assert PAIRS - at_most(PAIRS, 0.2) <= caught
    assert "passed" not in outcomes


@pytest.mark.slow
def test_many_comparisons_raise_no_more_false_alarms_than_one():
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(60):
        pairs = [simulate(random, 0.03) for _ in range(8)]
        alarms += any(each.outcome == "regression" for each in judge(pairs, compare(pairs), {"exact": 0.03}))
    print(f"{alarms} of 60 gates over 8 comparisons each failed")
    assert alarms <= at_most(60, 0.025)


def test_a_loss_that_is_one_of_many_comparisons_has_to_be_clearer():
    half = np.zeros(20), np.r_[np.full(12, 0.1), np.full(2, -0.1), np.zeros(6)]
    alone, many = ([Pair("cer", "lower", (BEFORE, AFTER), *half, np.arange(20))] * n for n in (1, 10))
    for pairs, outcome, limit in (
        (alone, "regression", 0.001),
        (many, "cannot tell", 0.001),
        (many, "cannot tell", 0.0),
    ):
        assert {each.outcome for each in judge(pairs, compare(pairs), {"cer": limit})} == {outcome}


def mended(random, docs, each, share, limit):
    """Return a comparison in which a `share` of documents gains 0.85 and all others lose a little, `limit` in all."""
    documents = np.repeat(np.arange(docs), each)
    is_mended = (random.random(docs) < share)[documents]
    loss = np.where(is_mended, -0.85, (limit + share * 0.85) / (1 - share)) + random.normal(0, 0.014, len(documents))
    first = np.full(len(documents), 0.9)
    return Pair("cer", "lower", (BEFORE, AFTER), first, first + loss, documents)


@pytest.mark.parametrize(
    ("docs", "share", "stated"),  # in docs/compare.md
    [
        (12, 0.05, 0.54),
        (30, 0.05, 0.22),
        pytest.param(60, 0.05, 0.19, marks=SLOW),
        pytest.param(30, 0.1, 0.19, marks=SLOW),
        pytest.param(200, 0.1, 0.05, marks=SLOW),
    ],
)
def test_a_few_documents_that_gain_much_raise_more_false_alarms_than_the_rate_as_the_docs_say(docs, share, stated):
    random = np.random.default_rng(8)
    found = [outcome for _, outcome in gate([mended(random, docs, 4, share, 0.01) for _ in range(PAIRS)], 0.01)]
    alarms = found.count("regression")
    print(f"{docs} documents, {share:.0%} gain much: {alarms} alarms of {PAIRS}")
    assert PAIRS - at_most(PAIRS, 1 - stated) <= alarms <= at_most(PAIRS, stated)


def rare(random, docs, loss):
    """Return a comparison in which a share `loss` of documents fall from right to wrong, and none rises."""
    first = np.ones(docs)
    return Pair("exact", "higher", (BEFORE, AFTER), first, (random.random(docs) >= loss).astype(float), np.arange(docs))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("docs", "limit"),
    [(30, 0.02), (12, 0.05), *(pytest.param(docs, 0.02, marks=SLOW) for docs in (100, 400, 1000))],
)
def test_a_rare_loss_of_just_the_limit_is_ruled_out_in_at_most_a_few_percent(docs, limit):
    random = np.random.default_rng(9)
    pairs = [rare(random, docs, limit) for _ in range(2 * PAIRS)]
    found = [judge([pair], compare([pair]), {"exact": limit})[0] for pair in pairs]
    passed = sum(each.is_ruled_out for each in found)
    print(f"{docs} documents, a rare loss of just {limit}: {passed} of {2 * PAIRS} pass --strict")
    assert passed <= at_most(2 * PAIRS, 0.04)


def test_no_change_is_ruled_to_be_no_loss_only_of_documents_enough():
    def found(docs, limit=0.01):
        return one([1.0] * docs, [1.0] * docs, limit, "higher")

    assert [found(docs).outcome for docs in (1, 367, 368)] == ["unchanged"] * 3
    assert [found(docs).is_ruled_out for docs in (1, 367, 368)] == [False, False, True]
    assert not found(10_000, 0.0).is_ruled_out


def test_few_documents_that_gained_do_not_rule_out_that_others_lose():
    few = one([0.5] * 30, [1.0] * 5 + [0.5] * 25, 0.05, "higher")
    assert (few.outcome, few.n_changed, round(few.at_most, 3)) == ("cannot tell", 5, 0.116)
    many = one([0.5] * 30, [1.0] * 12 + [0.5] * 18, 0.05, "higher")
    assert (many.outcome, many.n_changed, many.at_most) == ("passed", None, many.high)


def test_of_five_documents_or_fewer_the_loss_that_is_seen_decides():
    for docs in range(1, 6):
        found = one([1.0] * docs, [0.0] + [1.0] * (docs - 1), 0.1, "higher")
        assert (found.outcome, found.p_holm) == ("regression", None)
        assert one([1.0] * docs, [0.95] * docs, 0.1, "higher").outcome == "cannot tell"
        assert one([1.0] * docs, [0.9] * docs, 0.1, "higher").outcome == "cannot tell"
    assert one([1.0] * 6, [0.0] + [1.0] * 5, 0.1, "higher").outcome == "cannot tell"
    assert one([1.0] * 6, [0.0] * 6, 0.1, "higher").p_holm == 2**-5


def test_a_gate_that_could_not_fail_is_refused_with_what_would_do():
    def judged(n, docs):
        pairs = [Pair("exact", "higher", (BEFORE, AFTER), np.ones(docs), np.zeros(docs), np.arange(docs))] * n
        return {each.outcome for each in judge(pairs, compare(pairs), {"exact": 0.01})}

    assert judged(6, 8) == {"regression"}
    with pytest.raises(
        UsageError, match=r"exact of echo / read has 8 documents: as one of 7 .* at most 6 .* use 9 doc"
    ):
        judged(7, 8)
    assert judged(20, 5) == {"regression"}


def test_with_nothing_allowed_a_regression_is_what_the_verdict_calls_worse():
    random = np.random.default_rng(5)
    pairs = [simulate(random, loss) for loss in np.linspace(0, 0.1, 16)]
    pairs += [replace(pair, first=pair.second, second=pair.first) for pair in pairs]
    comparisons = compare(pairs)
    found = judge(pairs, comparisons, {"exact": 0.0})
    assert [each.outcome == "regression" for each in found] == [each.verdict == "worse" for each in comparisons]
    assert [each.p_holm for each in found] == [each.p_holm for each in comparisons]
    assert {each.outcome for each in found} == {"regression", "cannot tell", "passed"}


def one(first, second, limit, direction="lower", documents=None):
    """Return the gate's finding about a few scores."""
    documents = np.arange(len(first)) if documents is None else np.array(documents)
    pair = Pair("m", direction, (BEFORE, AFTER), np.array(first, float), np.array(second, float), documents)
    return judge([pair], compare([pair]), {"m": limit})[0]


def test_the_direction_of_the_metric_decides_what_a_loss_is():
    up, down = [0.1] * 20 + [0.2] * 20, [0.4] * 20 + [0.6] * 20
    assert one(up, down, 0.05).outcome == "regression"
    assert one(up, down, 0.05, "higher").outcome == "passed"
    assert one(down, up, 0.05).outcome == "passed"
    lost = one(down, up, 0.05, "higher")
    assert (lost.outcome, round(lost.loss, 3)) == ("regression", 0.35)
    assert lost.low < 0.35 < lost.high


def test_a_clear_loss_within_the_limit_passes_and_one_near_it_cannot_be_told():
    random = np.random.default_rng(6)
    first = random.random(200)
    second = first + random.normal(0.03, 0.05, 200)
    assert [one(first, second, limit).outcome for limit in (0.0, 0.03, 0.06)] == ["regression", "cannot tell", "passed"]


def test_the_same_score_on_every_sample_is_unchanged_and_one_document_cannot_tell():
    assert one([0.5, 0.2, 0.0], [0.5, 0.2, 0.0], 0.0).outcome == "unchanged"
    assert one([0.5, 0.2], [0.5, 0.2], 0.0, documents=[0, 0]).outcome == "unchanged"
    assert one([0.5, 0.2], [0.6, 0.2], 0.2, documents=[0, 0]).outcome == "cannot tell"


def test_a_loss_that_is_the_same_everywhere_is_no_more_and_no_less_than_it_is():
    first, second = [0.2] * 12, [0.3] * 12
    assert [one(first, second, limit).outcome for limit in (0.05, 0.1, 0.15)] == ["regression", "passed", "passed"]


@pytest.mark.parametrize(
    ("first", "second", "limit", "direction", "outcome"),
    [
        ([0.0] * 40, [0.0] * 40, 0.1, "higher", "nothing to lose"),
        ([1.0] * 40, [1.0] * 40, 0.0, "lower", "nothing to lose"),
        ([0.95] * 40, [1.0] * 40, 0.1, "lower", "nothing to lose"),
        ([0.95] * 40, [1.0] * 40, 0.04, "lower", "regression"),
        ([0.0] * 40, [0.0] * 35 + [1.0] * 5, 0.1, "higher", "nothing to lose"),
        ([0.0] * 40, [0.0] * 20 + [1.0] * 20, 0.1, "higher", "passed"),
        ([0.0] * 3, [0.0] * 3, 0.1, "higher", "nothing to lose"),
        ([2.0] * 40, [2.0] * 40, 0.1, "lower", "unchanged"),
    ],
)
def test_who_is_near_the_worst_score_has_nothing_to_lose_unless_the_other_is_better(
    first, second, limit, direction, outcome
):
    found = one(first, second, limit, direction)
    assert found.outcome == outcome
    is_ruled_out = outcome in {"passed", "unchanged"}
    assert found.is_ruled_out == is_ruled_out
    gate = Gate(findings=(found,))
    is_regression = outcome == "regression"
    assert (gate.passed, gate.failed, gate.failed_strict) == (is_ruled_out, is_regression, not is_ruled_out)


def test_no_loss_of_a_fraction_is_said_to_be_more_than_all_of_it():
    found = one([1.0] * 7, [0.0] * 6 + [0.3], 0.1, "higher")
    assert (found.outcome, found.high) == ("regression", 1.0)
    assert found.low < found.loss < 1
    gained = one([0.0] * 7, [1.0] * 6 + [0.3], 0.1, "higher")
    assert (gained.outcome, gained.low) == ("passed", -1.0)
    undecided = one([1.0] * 7 + [0.9], [0.0, 1.0] * 4, 0.1, "higher")
    assert (undecided.outcome, undecided.at_most) == ("cannot tell", undecided.high)
    assert one([30.0] * 7, [0.0] * 6 + [9.0], 0.1, "higher").high > 30


def spoiled(random, share):
    return ["abxy" if random.random() < share else text for text in GOOD * 3]


def test_planted_regressions_in_whole_runs_are_caught_and_planted_noise_is_not(tmp_path):
    random = np.random.default_rng(7)
    before = run_of(tmp_path, "before", spoiled(random, 0.2), metrics=["exact"])
    for number, share in enumerate((0.7, 0.8, 0.9)):
        after = run_of(tmp_path, f"worse{number}", spoiled(random, share), metrics=["exact"])
        assert [each.outcome for each in api.compare(before, after, max_regression=0.05).gate.findings] == [
            "regression"
        ]
    for number in range(3):
        after = run_of(tmp_path, f"noise{number}", spoiled(random, 0.2), metrics=["exact"])
        gate = api.compare(before, after, max_regression=0.05).gate
        assert (gate.passed, gate.failed, gate.failed_strict) == (False, False, True)


def test_refusals_count_as_wrong_at_the_gate_unless_left_out(tmp_path):
    before = run_of(tmp_path, "before", GOOD, metrics=["exact"])
    after = run_of(tmp_path, "after", ["<refused>"] * 12 + ["abcd"] * 8, metrics=["exact"])
    found = api.compare(before, after, max_regression=0.05)
    assert (found.missing, found.gate.has_failed(), found.changes[0].n_missing_second) == ("worst", True, 12)
    found = api.compare(before, after, max_regression=0.05, missing="left out")
    assert (found.gate.has_failed(), found.changes[0].n_only_first) == (False, 12)
    assert api.compare(before, after).missing == "left out"


def test_a_cell_that_only_the_first_run_has_is_not_judged_and_strict_fails(tmp_path):
    before, after = run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", GOOD)
    add_model(before, "other", GOOD)
    api.score(before)
    gate = api.compare(before, after, max_regression=0.2).gate
    assert [each.cell.text for each in gate.unjudged] == ["other / read"]
    assert (gate.passed, gate.failed, gate.failed_strict) == (False, False, True)
    gate = api.compare(after, before, max_regression=0.2).gate
    assert (gate.passed, gate.failed_strict) == (True, False)


def test_a_cell_without_a_score_in_common_is_not_judged(tmp_path):
    before, after = run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", GOOD)
    for run, answers in ((before, GOOD), (after, ["<error>"] * 20)):
        add_model(run, "other", answers)
        api.score(run)
    gate = api.compare(before, after, max_regression=0.0, missing="left out").gate
    assert [(each.metric, each.cell.model) for each in gate.unjudged] == [("exact", "other"), ("cer", "other")]
    assert api.compare(before, after, max_regression=0.0).gate.regressions


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (-0.1, "a regression of -0.1 in exact cannot be a limit"),
        (math.nan, "a regression of nan in exact cannot be a limit"),
        (5, r"exact lies between 0 and 1, so that no loss is more than 5; 1 % is 0.01"),
        ({"wer": 0.1}, "there is a limit for 'wer', which is not compared; compared: exact, cer"),
    ],
)
def test_limits_that_make_no_sense_are_refused(tmp_path, limits, told):
    before, after = run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", GOOD)
    with pytest.raises(UsageError, match=told):
        api.compare(before, after, max_regression=limits)


def test_metrics_of_several_units_want_a_limit_each(tmp_path):
    runs = [run_of(tmp_path, name, GOOD, metrics=["exact", "output_length"]) for name in ("before", "after")]
    metrics = ["exact", "output_length"]
    with pytest.raises(UsageError, match="are measured in characters and fraction, for which one limit makes no sense"):
        api.compare(*runs, metrics=metrics, max_regression=0.1)
    gate = api.compare(*runs, metrics=metrics, max_regression={"output_length": 3}).gate
    assert [(each.metric, each.outcome) for each in gate.findings] == [("output_length", "unchanged")]


def test_the_cells_of_one_run_have_to_be_named_for_a_gate(tmp_path):
    run = run_of(tmp_path, "a", GOOD)
    add_model(run, "other", GOOD)
    api.score(run)
    with pytest.raises(UsageError, match="a: the cells of one run have no before and after; name two with --cells A B"):
        api.compare(run, max_regression=0.0)
    found = api.compare(run, cells=[("echo", "other")] * 2, metrics=["exact"], max_regression=0.0)
    assert [each.outcome for each in found.gate.findings] == ["unchanged"]


def test_samples_that_the_second_run_was_not_asked_are_not_judged(tmp_path):
    before = run_of(tmp_path, "before", GOOD, metrics=["exact"])
    after = run_of(tmp_path, "after", GOOD[:12], metrics=["exact"])
    with pytest.raises(UsageError, match="asked 12 of the 20 samples of echo / read"):
        api.compare(before, after, max_regression=0.3)
    gate = api.compare(before, after, max_regression=0.3, shared=True).gate
    assert [(each.cell.text, each.samples) for each in gate.unjudged] == [("echo / read", (12, 20))]
    assert (gate.passed, gate.failed, gate.failed_strict) == (False, False, True)
    assert api.compare(after, before, max_regression=0.3).gate.passed


def test_a_metric_that_one_run_lacks_is_named_and_not_judged(tmp_path):
    before = run_of(tmp_path, "before", GOOD)
    after = run_of(tmp_path, "after", GOOD, metrics=["exact"])
    found = api.compare(before, after, max_regression=0.2)
    assert [(each.of, each.metric, each.cell) for each in found.unmatched] == [("first", "cer", None)]
    assert "`bakeoff score after --metric exact --metric cer` adds it" in found.unmatched[0].reason
    assert (found.gate.unjudged, found.gate.passed) == (found.unmatched, False)
    assert not api.compare(before, after, metrics=["exact"], max_regression=0.2).gate.unjudged
    assert not api.compare(before, after, max_regression={"exact": 0.2}).gate.unjudged
    assert not api.compare(after, before, max_regression=0.2).gate.unjudged
    with pytest.raises(UsageError, match="'cer'; `bakeoff score after --metric exact --metric cer` adds it"):
        api.compare(before, after, metrics=["cer"])
