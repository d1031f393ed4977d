"""What few cases, or none, say of a share, and how many documents a test takes."""

import pytest

from orchestrator.statistics import cases_needed, claims_at_most, documents_needed, share_at_most


@pytest.mark.parametrize(("count", "total"), [(0, 1), (0, 30), (1, 20), (3, 400), (9, 12), (9, 1_000_000)])
def test_the_upper_limit_of_a_share_is_that_of_clopper_and_pearson(count, total):
    beta = pytest.importorskip("scipy.stats").beta
    assert share_at_most(count, total) == pytest.approx(beta.ppf(0.975, count + 1, total - count), rel=1e-6)


def test_all_of_the_cases_rule_nothing_out():
    assert share_at_most(5, 5) == share_at_most(0, 0) == share_at_most(7, 5) == 1


@pytest.mark.parametrize("share", [0.5, 0.05, 0.01, 0.001])
def test_so_many_cases_are_needed_and_no_fewer(share):
    needed = cases_needed(share)
    assert share_at_most(0, needed) <= share < share_at_most(0, needed - 1)
    assert needed == pytest.approx(3.7 / share, rel=0.4)


def test_no_number_of_cases_rules_out_any_share_at_all():
    assert (cases_needed(0), cases_needed(1)) == (None, 1)


@pytest.mark.parametrize("claims", [1, 2, 6, 7, 20, 150])
def test_a_test_needs_documents_for_its_claims(claims):
    needed = documents_needed(claims)
    assert 2 ** (1 - needed) * claims <= 0.05 < 2 ** (2 - needed) * claims
    assert claims_at_most(needed) >= claims > claims_at_most(needed - 1)
