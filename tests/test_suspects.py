"""Who is suspected is tried in ever smaller company; what no request explains has a budget."""

import random

import pytest

from orchestrator.results.expected import Expected
from orchestrator.running import budget as budgets
from orchestrator.running.budget import Budget
from orchestrator.running.missing import Task
from orchestrator.running.suspects import SINGLES_MAX, Suspects
from orchestrator.running.work import Work


def task(name):
    return Task(0, Expected(name, name, 1, name, (), None, None, None, None, ()))


def names(tasks):
    return [each.expected.key for each in tasks]


def hold_trials(suspects, is_poison):
    """Hold every trial as a supervisor does; return how often workers died, who was found guilty, and group sizes."""
    deaths, guilty, sizes = 0, [], []
    while suspects.trials:
        tasks = suspects.begin()
        bad = [each for each in tasks if is_poison(each.expected.key, len(tasks))]
        if not bad:
            sizes.append(suspects.clear())
        elif len(tasks) > 1:
            deaths += 1
            suspects.accuse(tasks)
        elif bad[0].crashes:
            deaths += 1
            guilty.append(bad[0].expected.key)
            suspects.condemn(bad[0])
        else:
            deaths += 1
            suspects.strike(bad[0]._replace(crashes=1))
        suspects.end()
    return deaths, guilty, [size for size in sizes if size]


def test_few_suspects_are_tried_alone():
    suspects = Suspects()
    suspects.accuse([task(name) for name in "abcd"])
    assert [names(trial.tasks) for trial in suspects.trials] == [["a"], ["b"], ["c"], ["d"]]


def test_many_suspects_are_halved_until_they_are_few():
    suspects = Suspects()
    suspects.accuse([task(str(n)) for n in range(4 * SINGLES_MAX)])
    assert [len(trial.tasks) for trial in suspects.trials] == [2 * SINGLES_MAX, 2 * SINGLES_MAX]
    deaths, guilty, sizes = hold_trials(suspects, lambda key, _: key == "70")
    assert (guilty, sizes) == (["70"], [])
    assert deaths == 4, "two halves and two deaths alone"


@pytest.mark.parametrize("seed", range(20))
def test_exactly_the_poison_is_found_guilty(seed):
    chance = random.Random(seed)
    size = chance.randrange(2, 200)
    poison = {str(n) for n in chance.sample(range(size), chance.randrange(1, min(size, 6)))}
    suspects = Suspects()
    suspects.accuse([task(str(n)) for n in range(size)])
    _, guilty, sizes = hold_trials(suspects, lambda key, _: key in poison)
    assert (sorted(guilty), sizes) == (sorted(poison), [])


def test_a_group_of_whom_all_come_through_alone_was_too_large():
    suspects = Suspects()
    suspects.accuse([task(name) for name in "abcdefgh"])
    assert hold_trials(suspects, lambda *_: False) == (0, [], [8])


def test_of_many_too_large_the_smallest_group_that_did_harm_counts():
    suspects = Suspects()
    suspects.accuse([task(str(n)) for n in range(64)])
    assert hold_trials(suspects, lambda _, together: together > SINGLES_MAX // 2)[2] == [32, 32]


def test_those_of_a_trial_whom_the_worker_did_not_begin_are_tried_again():
    suspects = Suspects()
    suspects.accuse([task(str(n)) for n in range(SINGLES_MAX + 2)])
    half = suspects.begin()
    assert suspects.put_back(half[1:])
    suspects.end()
    assert names(suspects.trials[-1].tasks) == names(half[1:])
    assert not suspects.put_back([task("other")]), "outside a trial they are just asked again"


def test_three_losses_in_a_row_are_too_many():
    budget = Budget(1000)
    assert [budget.spend("unexplained", n) for n in (0, 5)] == [None, None]
    assert "3 times in a row" in budget.spend("unexplained", 9)


def test_ten_finished_requests_end_a_row_but_six_losses_in_three_minutes_are_too_many():
    budget = Budget(1000)
    assert [budget.spend("unexplained", 20 * n) for n in range(5)] == [None] * 5
    assert "6 times in 180 s" in budget.spend("unexplained", 200)


def test_a_batch_lost_before_the_first_answer_makes_no_row():
    budget = Budget(1000)
    assert [budget.spend("batch", 0) for _ in range(3)] == [None] * 3
    assert [budget.spend("unexplained", 0) for _ in range(2)] == [None] * 2
    assert "6 times in 180 s" in budget.spend("batch", 0)


def test_old_losses_are_forgotten(monkeypatch):
    budget = Budget(1000)
    now = iter(range(0, 10_000, 60))
    monkeypatch.setattr(budgets.time, "monotonic", lambda: next(now))
    assert [budget.spend("unexplained", 20 * n) for n in range(20)] == [None] * 20


def test_what_requests_explain_is_a_share_of_them():
    budget = Budget(1000)
    assert not any(budget.spend("explained", 0) for _ in range(100))
    assert budget.spend("explained", 0) == "its requests ended 101 workers"
    assert (Budget(1000).judge(20), Budget(1000).judge(21)) == (None, "21 requests ended its worker")


@pytest.fixture
def work():
    notes = []
    found = Work(None, None, None, 0, {}, notes.append)
    return found, notes


def test_one_loss_that_nobody_of_the_batch_explains_may_come_from_outside(work):
    work, notes = work
    for answered in range(0, 100_000, 1000):
        work.answered = answered
        work.note_harmless(16)
    assert (work.batch_limit, notes) == (None, [])


def test_a_batch_size_that_does_harm_again_soon_is_halved_and_never_rises(work):
    work, notes = work
    work.note_harmless(16)
    work.note_harmless(16)
    assert work.batch_limit == 8
    work.note_harmless(64)
    work.note_harmless(8)
    assert (work.batch_limit, len(notes)) == (4, 2)
