"""Statistics: each function against hand-worked cases, an independent library, and what it promises in simulation."""

import doctest
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from orchestrator.statistics import (
    clustered_means,
    compare_pairs,
    detectable,
    flips_for,
    holm,
    join_clusters,
    mcnemar,
    sign_flip,
    t_quantile,
)
from orchestrator.statistics.permutation import EXACT_DOCUMENTS, NORMAL_DOCUMENTS

SAMPLES_A_DOCUMENT = 8


def mean_of(scores, documents, *, is_fraction=False):
    scores = np.asarray(scores, float)
    return clustered_means(scores, np.zeros(len(scores), np.int64), np.asarray(documents), 1, is_fraction=is_fraction)


def documents_of(n_documents, each=SAMPLES_A_DOCUMENT):
    return np.repeat(np.arange(n_documents), each)


@pytest.mark.parametrize(
    ("freedom", "table"),
    [(1, 12.70620), (2, 4.30265), (3, 3.18245), (10, 2.22814), (60, 2.00030), (61, 1.99962), (1000, 1.96234)],
)
def test_quantiles_of_t_are_those_of_the_tables(freedom, table):
    assert t_quantile(freedom) == pytest.approx(table, abs=6e-6)


def test_quantiles_of_t_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 2, 5, 7, 30, 60, 61, 200, 10_000):
        for confidence in (0.6, 0.95, 0.99):
            expected = stats.t.ppf((1 + confidence) / 2, freedom)
            assert t_quantile(freedom, confidence) == pytest.approx(expected, rel=3e-6)


def test_a_clustered_interval_of_single_samples_is_the_usual_one():
    stats = pytest.importorskip("scipy.stats")
    values = np.array([0.1, 0.4, 0.4, 0.9])
    found = mean_of(values, range(4))
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (found.low[0], found.high[0]) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_clustered_interval_is_that_of_a_regression_with_clustered_errors():
    sm = pytest.importorskip("statsmodels.api")
    random = np.random.default_rng(3)
    documents = np.sort(random.integers(0, 20, 150))
    documents = np.unique(documents, return_inverse=True)[1]
    scores = random.normal(size=150) + random.normal(size=20)[documents]
    fit = sm.OLS(scores, np.ones(150)).fit(cov_type="cluster", cov_kwds={"groups": documents}, use_t=True)
    found = mean_of(scores, documents)
    # With one regressor its correction D/(D-1) (n-1)/(n-1) is ours.
    assert found.error[0] == pytest.approx(fit.bse[0])
    low, high = fit.conf_int()[0]
    assert found.low[0] <= low + 1e-5
    assert found.high[0] >= high - 1e-5
    assert found.high[0] - found.low[0] == pytest.approx(high - low, rel=0.1)


def test_an_interval_worked_by_hand():
    # Residuals sum to 0, 1 and -1: SE^2 = 2 / 36 * 3 / 2 = 1 / 12.
    found = mean_of([0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2])
    assert found.error[0] == pytest.approx(12**-0.5)
    assert found.high[0] - 0.5 == pytest.approx(4.302653 / 12**0.5)


def test_errors_that_few_documents_hold_make_a_wider_interval():
    stats = pytest.importorskip("scipy.stats")
    even, uneven = np.tile([0.0, 1.0], 10), np.array([0.0] * 19 + [1.0])
    assert mean_of(even, range(20)).high[0] == pytest.approx(0.5 + stats.t.ppf(0.975, 19) * stats.sem(even))
    kurtosis = stats.kurtosis(uneven, fisher=False)
    freedom = 40 / (kurtosis - 17 / 19)
    t = (mean_of(uneven, range(20)).high[0] - 0.05) / stats.sem(uneven)
    assert 2 < freedom < 3
    assert stats.t.ppf(0.975, freedom) < t < stats.t.ppf(0.975, 2)


def test_the_interval_of_a_fraction_is_wilsons_with_the_samples_that_the_error_is_worth():
    stats = pytest.importorskip("scipy.stats")
    values = np.array([1] * 7_000 + [0] * 3_000)
    found = mean_of(values, range(10_000), is_fraction=True)
    expected = stats.binomtest(7_000, 10_000).proportion_ci(method="wilson")
    assert (found.low[0], found.high[0]) == pytest.approx((expected.low, expected.high), abs=4e-6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 1.0]), st.integers(0, 4)), min_size=1, max_size=30),
)
def test_an_interval_of_fractions_stays_within_0_and_1_and_holds_the_mean(rows):
    documents = np.unique([document for _, document in rows], return_inverse=True)[1]
    found = mean_of([score for score, _ in rows], documents, is_fraction=True)
    if documents.max() == 0:
        assert np.isnan(found.low[0])
        return
    assert 0 <= found.low[0] <= found.mean[0] <= found.high[0] <= 1


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_an_interval_holds_the_mean_where_all_answers_are_right_or_all_wrong(score):
    for n_documents in range(2, 400):
        found = mean_of(np.full(n_documents, score), range(n_documents), is_fraction=True)
        assert found.low[0] <= found.mean[0] == score <= found.high[0]


def test_no_error_in_ten_documents_is_no_proof_of_none():
    found = mean_of(np.zeros(80), documents_of(10), is_fraction=True)
    assert (found.mean[0], found.low[0]) == (0, 0)
    assert found.high[0] == pytest.approx(1.96**2 / (10 + 1.96**2), rel=1e-4)


def test_one_right_answer_of_many_says_no_less_than_wilsons_interval():
    stats = pytest.importorskip("scipy.stats")
    found = mean_of([1.0] + [0.0] * 30, range(31), is_fraction=True)
    expected = stats.binomtest(1, 31).proportion_ci(method="wilson")
    assert found.high[0] == pytest.approx(expected.high)
    assert expected.low - 1e-9 <= found.low[0] < found.mean[0]


def test_a_sign_flip_of_few_documents_is_exact_and_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    sums = np.array([0.3, -0.1, 0.4, 0.2, 0.05, 0.6, -0.2, 0.1])
    expected = stats.permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=np.inf)
    found = sign_flip(sums)
    assert (found.p, found.method) == (pytest.approx(expected.pvalue), "exact")


def test_a_sign_flip_worked_by_hand():
    assert sign_flip(np.array([1.0, 2.0, 3.0])).p == 2 / 8
    assert sign_flip(np.array([1.0, 2.0, -3.0])).p == 1
    assert sign_flip(np.array([0.0, 0.0])).p == 1
    assert sign_flip(np.array([0.1 + 0.2, 0.3, -0.3, -0.3])).p == 1, "sums equal but for rounding are equal"


def test_random_signs_come_near_all_signs():
    random = np.random.default_rng(5)
    for shift in (0.0, 0.15, 0.4):
        sums = random.normal(shift, 1, EXACT_DOCUMENTS + 4)
        signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
        rest = sums[4:] * (2 * ((np.arange(2**EXACT_DOCUMENTS)[:, None] >> np.arange(EXACT_DOCUMENTS)) & 1) - 1)
        every = np.abs(rest.sum(axis=1)[:, None] + signs @ sums[:4])
        exact = float((every >= abs(sums.sum()) - 1e-9).mean())
        found = sign_flip(sums)
        assert found.method == "monte_carlo"
        assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 500) * math.sqrt(exact) + 2e-3)


def test_the_least_p_of_random_signs_is_one_in_all_tried():
    assert sign_flip(np.ones(40), flips=999).p == 1 / 1000
    assert sign_flip(np.ones(40), flips=flips_for(1000)).p * 1000 < 0.05


def test_very_many_documents_have_the_limit_of_the_same_distribution():
    random = np.random.default_rng(6)
    sums = random.normal(0.006, 1, NORMAL_DOCUMENTS + 1)
    limit, sampled = sign_flip(sums), sign_flip(sums[:-1])
    assert (limit.method, sampled.method) == ("normal", "monte_carlo")
    assert limit.p == pytest.approx(sampled.p, abs=0.02)


def test_a_sign_flip_is_the_same_every_time():
    sums = np.random.default_rng(8).normal(0.2, 1, 100)
    assert sign_flip(sums).p == sign_flip(sums).p


def test_mcnemar_is_that_of_scipy_and_statsmodels():
    stats = pytest.importorskip("scipy.stats")
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for b, c in [(0, 0), (0, 5), (2, 6), (6, 2), (7, 7), (40, 70), (3000, 3200)]:
        if b + c:
            assert mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue, rel=1e-8)
        expected = tables.mcnemar([[10, b], [c, 10]], exact=True).pvalue if b + c else 1.0
        assert mcnemar(b, c) == pytest.approx(min(1.0, expected), rel=1e-8)


def test_mcnemar_of_a_million_flips_is_quick_and_finite():
    assert 0 < mcnemar(499_000, 501_000) < 0.05


def test_a_sign_flip_of_single_right_or_wrong_answers_is_mcnemar():
    sums = np.array([1.0] * 9 + [-1.0] * 3 + [0.0] * 20)
    assert sign_flip(sums).p == pytest.approx(mcnemar(9, 3))


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    values = [0.001, 0.2, 0.04, 0.03, 0.012, 0.9, 0.012]
    assert holm(values) == pytest.approx(multitest.multipletests(values, method="holm")[1].tolist())
    assert holm([]) == []


def test_claims_that_were_not_tested_count_as_not_significant():
    assert holm([0.01, 0.02], claims=10) == pytest.approx([0.1, 0.18])
    assert holm([0.01, 0.02], claims=10) == pytest.approx(holm([0.01, 0.02] + [1.0] * 8)[:2])


def test_what_is_detectable_is_what_statsmodels_solves_for():
    power = pytest.importorskip("statsmodels.stats.power")
    for n in (20, 100, 400):
        expected = power.TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * 0.23
        assert detectable(0.23 / math.sqrt(n), n) == pytest.approx(expected, rel=0.02)


def test_nothing_is_said_to_be_detectable_without_a_spread():
    assert detectable(0.0, 10) is None
    assert detectable(math.nan, 10) is None
    assert detectable(0.1, 1) is None


def test_a_comparison_worked_by_hand():
    first, second = np.array([0.5, 0.5, 0.2, 0.0]), np.array([0.25, 0.5, 0.1, 0.1])
    found = compare_pairs(first, second, np.array([0, 0, 1, 2]))
    assert found is not None
    assert (found.first, found.second, found.difference) == pytest.approx((0.3, 0.2375, -0.0625))
    assert (found.n_higher, found.n_equal, found.n_lower) == (1, 1, 2)
    # Document sums -0.25, -0.1 and 0.1: six of the eight ways to sign them reach 0.25 (all but ±(0.25 - 0.1 - 0.1)).
    assert (found.p, found.test, found.p_mcnemar) == (0.75, "sign_flip_exact", None)
    assert (found.n_samples, found.n_documents) == (4, 3)
    assert found.low < found.difference < found.high


def test_right_or_wrong_answers_of_one_document_each_are_compared_by_mcnemar():
    first, second = np.array([1.0] * 8 + [0.0] * 4), np.array([0.0] * 7 + [1.0] * 5)
    found = compare_pairs(first, second, np.arange(12))
    assert (found.test, found.p) == ("mcnemar", mcnemar(4, 7))
    clustered = compare_pairs(first, second, np.repeat(np.arange(4), 3))
    assert clustered.test == "sign_flip_exact"
    assert clustered.p_mcnemar == found.p


def test_the_same_answers_are_no_difference_and_claim_no_interval():
    found = compare_pairs(np.array([0.1, 0.2]), np.array([0.1, 0.2]), np.array([0, 1]))
    assert (found.difference, found.low, found.high, found.p, found.detectable) == (0, None, None, 1, None)
    assert compare_pairs(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)) is None


def test_means_that_differ_by_rounding_alone_are_equal():
    first, second = np.array([0.1 + 0.2, 0.3, 0.3]), np.array([0.3, 0.3, 0.1 + 0.2 - 2e-16])
    assert (second - first).mean() != 0
    found = compare_pairs(first, second, np.arange(3))
    assert (found.difference, found.n_equal, found.low, found.p) == (0, 3, None, 1)
    turned = compare_pairs(np.array([0.1, 0.2, 0.6]), np.array([0.6, 0.1, 0.2]), np.arange(3))
    assert (turned.difference, turned.n_higher, turned.n_lower) == (0, 1, 2)


def answers(random, effects, documents):
    """Return scores of one cell: right with the odds of its samples, document by document alike, else a CER."""
    own = random.normal(0, 0.6, len(documents))
    is_right = random.random(len(documents)) < 1 / (1 + np.exp(-(effects + own)))
    return is_right.astype(float), np.where(is_right, 0.0, random.beta(1.2, 2.5, len(documents)))


def draw(random, n_documents, level, each=SAMPLES_A_DOCUMENT):
    documents = documents_of(n_documents, each)
    effects = level + random.normal(0, 1.6, n_documents)[documents]
    return documents, effects


@pytest.mark.slow
@pytest.mark.parametrize("n_documents", [8, 12, 25, 60])
@pytest.mark.parametrize("level", [0.0, 2.0, 3.0, 4.0])
def test_intervals_with_eight_questions_a_document_cover_at_least_93_percent(n_documents, level):
    random = np.random.default_rng(int(n_documents * 10 + level))
    _, effects = draw(random, 100_000, level)
    truth = [scores.mean() for scores in answers(random, effects, documents_of(100_000))]
    covered, repetitions = np.zeros(2), 4000
    for _ in range(repetitions):
        documents, effects = draw(random, n_documents, level)
        for place, scores in enumerate(answers(random, effects, documents)):
            found = mean_of(scores, documents, is_fraction=True)
            covered[place] += found.low[0] <= truth[place] <= found.high[0]
    covered /= repetitions
    print(f"D={n_documents}: exact of {truth[0]:.2f} {covered[0]:.3f}, cer of {truth[1]:.3f} {covered[1]:.3f}")
    assert covered.min() >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "least"), [([2] * 10 + [30] * 2, 0.92), ([1] * 28 + [40] * 2, 0.90)])
def test_intervals_of_documents_of_very_different_sizes_are_the_wider_for_it(sizes, least):
    random = np.random.default_rng(len(sizes))
    documents = np.repeat(np.arange(len(sizes)), sizes)

    def right(documents):
        effects = 1.0 + random.normal(0, 1.6, int(documents.max()) + 1)[documents]
        return answers(random, effects, documents)[0]

    truth = right(np.arange(400_000)).mean()
    found = (mean_of(right(documents), documents, is_fraction=True) for _ in range(2000))
    covered = sum(each.low[0] <= truth <= each.high[0] for each in found) / 2000
    print(f"{len(sizes)} documents of {min(sizes)} to {max(sizes)}: {covered:.3f}")
    assert covered >= least


@pytest.mark.slow
@pytest.mark.parametrize("n_documents", [10, 40])
def test_equal_cells_are_told_apart_in_five_percent_and_after_holm_no_oftener(n_documents):
    random = np.random.default_rng(n_documents)
    repetitions, cells, alone, after_holm = 600, 4, 0, 0
    for _ in range(repetitions):
        documents, effects = draw(random, n_documents, 1.0)
        of_cells = [
            answers(random, effects + random.normal(0, 0.5, n_documents)[documents], documents)[1] for _ in range(cells)
        ]
        p_values = [
            compare_pairs(of_cells[a], of_cells[b], documents).p for a in range(cells) for b in range(a + 1, cells)
        ]
        alone += p_values[0] <= 0.05
        after_holm += min(holm(p_values)) <= 0.05
    print(f"D={n_documents}: one pair {alone / repetitions:.3f}, any of six after Holm {after_holm / repetitions:.3f}")
    assert 0.03 <= alone / repetitions <= 0.07
    assert after_holm / repetitions <= 0.065


@pytest.mark.slow
def test_a_difference_as_large_as_detectable_is_found_in_about_80_percent():
    random = np.random.default_rng(4)
    n_documents, repetitions = 40, 800
    sizes = [compare_pairs(*pair(random, n_documents, 0.0)).detectable for _ in range(100)]
    shift = float(np.median(sizes))
    found = sum(compare_pairs(*pair(random, n_documents, shift)).p <= 0.05 for _ in range(repetitions))
    print(f"a difference of {shift:.4f} was found in {found / repetitions:.3f}")
    assert 0.75 <= found / repetitions <= 0.86


def pair(random, n_documents, shift):
    documents, effects = draw(random, n_documents, 1.0)
    first, second = (answers(random, effects, documents)[1] for _ in range(2))
    return first, second + shift, documents


def test_the_example_of_the_docs_is_true():
    page = Path(__file__).parent.parent / "docs" / "statistics.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert (found.attempted > 5, found.failed) == (True, 0)


def test_samples_that_share_a_label_in_any_run_are_of_one_cluster():
    one = np.array(["a", "a", "b", "c", "d", "e"])
    other = np.array([1, 2, 2, 3, 4, 4])
    assert join_clusters(one, other).tolist() == [0, 0, 0, 1, 2, 2]
    assert join_clusters(one).tolist() == [0, 0, 1, 2, 3, 4]
    assert join_clusters(np.array([], dtype=str)).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_joined_clusters_are_connected_components(rows):
    graph = coo_matrix(np.array([[any(a == b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]))
    _, expected = connected_components(graph)
    _, first = np.unique(expected, return_index=True)
    found = join_clusters(*np.array(rows).T)
    assert len(set(zip(found, expected, strict=True))) == len(first) == found.max() + 1


def test_a_long_chain_of_samples_is_one_cluster_after_few_rounds(monkeypatch):
    rounds = []
    same = np.array_equal
    monkeypatch.setattr(np, "array_equal", lambda *both: rounds.append(1) or same(*both))
    order = np.random.default_rng(1).permutation(20_000)
    for chain in (np.arange(20_000), order):
        rounds.clear()
        assert join_clusters(chain // 2, (chain + 1) // 2).tolist() == [0] * 20_000
        assert len(rounds) < 100
