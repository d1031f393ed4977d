"""All workers, settings and runs of a call stop at one limit, which they pass by an answer or a few."""

import itertools

import pytest

from orchestrator.running.ceiling import FIRST_MAX, Ceiling
from orchestrator.running.spent import Spent


def watched(ceiling, *kinds):
    spents = [Spent() for _ in kinds]
    for spent, (model, params) in zip(spents, kinds, strict=True):
        ceiling.watch(spent, model, params)
    return spents


def spend(ceiling, spents, left, window=256):
    """Ask with all of `spents` by turns until the limit is reached, or `left` is over; return what was paid for."""
    under_way = [0] * len(spents)
    while ceiling.find_end() is None:
        for number, spent in enumerate(spents):
            while under_way[number] < window and ceiling.find_room(spent, under_way[number]) != 0:
                under_way[number] += 1
        assert any(under_way), "somebody can always go on"
        for number, spent in enumerate(spents):
            if under_way[number] and (cost := next(left, None)) is None:
                return ceiling.cost
            if under_way[number]:
                spent.add({"text": "", "cost": cost})
                under_way[number] -= 1
    return ceiling.cost + sum(itertools.islice(left, sum(under_way)))


@pytest.mark.parametrize("costs", [[0.004] * 3000, [0.001 + 0.006 * ((7 * n) % 10) / 10 for n in range(3000)]])
@pytest.mark.parametrize("kinds", [[("a", "{}"), ("b", "{}")], [("a", "{}")] * 8, [("a", "{}"), ("b", "{}")] * 4])
def test_what_is_under_way_never_costs_much_more_than_the_money_left(costs, kinds):
    """Two models, or eight workers of one, with 256 requests at a time each stop about an answer past the limit."""
    ceiling = Ceiling(cost_max=5.0)
    paid = spend(ceiling, watched(ceiling, *kinds), iter(costs))
    assert 5.0 <= ceiling.cost <= paid < 5.0 + 8 * max(costs)


def test_what_costs_nothing_does_not_keep_what_costs_from_being_asked():
    ceiling = Ceiling(cost_max=1.0)
    free, dear = watched(ceiling, ("free", "{}"), ("dear", "{}"))
    free.add({"text": ""})
    for _ in range(20):
        dear.add({"text": "", "cost": 1 / 64})
    assert ceiling.find_room(free, 0) is None
    assert ceiling.find_room(free, 1000) is None
    assert ceiling.find_room(dear, 10) == 44 // 2 - 10


def test_where_nothing_tells_a_cost_all_workers_of_a_call_ask_a_few_until_an_answer_comes():
    ceiling = Ceiling(cost_max=2.0)
    workers = watched(ceiling, *[("a", "{}")] * 8)
    sent = dict.fromkeys(range(8), 0)
    for _ in range(20):
        for number, spent in enumerate(workers):
            if ceiling.find_room(spent, sent[number]):
                sent[number] += 1
    assert sum(sent.values()) == FIRST_MAX
    workers[0].add({"text": "", "cost": 1.0})
    sent[0] -= 1
    assert [ceiling.find_room(spent, sent[number]) for number, spent in enumerate(workers)] == [0] * 8


def test_each_model_of_which_nothing_is_known_finds_out_by_itself():
    ceiling = Ceiling(cost_max=2.0)
    models = watched(ceiling, *[(name, "{}") for name in "abcdefgh"])
    assert ceiling.find_room(models[0], 0) == FIRST_MAX
    for sent in range(1, FIRST_MAX):
        assert ceiling.find_room(models[0], sent)
    assert ceiling.find_room(models[0], FIRST_MAX) == 0
    assert [ceiling.find_room(model, 0) for model in models[1:]] == [1] * 7
    assert [ceiling.find_room(model, 1) for model in models[1:]] == [0] * 7


def test_a_second_setting_begins_with_what_the_first_has_told():
    ceiling = Ceiling(cost_max=1.0)
    (first,) = watched(ceiling, ("a", '{"n":1}'))
    assert spend(ceiling, [first], iter([0.3] * 3)) == pytest.approx(0.9)
    ceiling.leave(first)
    (second,) = watched(ceiling, ("a", '{"n":2}'))
    assert ceiling.find_room(second, 0) == 1
    assert ceiling.find_room(second, 1) == 0


def test_a_dearer_second_setting_does_not_spend_by_the_price_of_the_first():
    ceiling = Ceiling(cost_max=10.0)
    (first,) = watched(ceiling, ("a", '{"n":1}'))
    spend(ceiling, [first], iter([0.01] * 100))
    ceiling.leave(first)
    (second,) = watched(ceiling, ("a", '{"n":2}'))
    assert ceiling.find_room(second, 0) == FIRST_MAX
    assert spend(ceiling, [second], iter([1.0] * 100)) < 10.0 + 2.0


def test_what_was_learnt_in_earlier_calls_holds_from_the_first_request_on():
    ceiling = Ceiling(cost_max=2.0, means={("a", "{}"): 1.0})
    workers = watched(ceiling, *[("a", "{}")] * 8)
    assert spend(ceiling, workers, iter([1.0] * 40)) == 2.0


def test_what_a_worker_had_under_way_is_free_once_it_left():
    ceiling = Ceiling(cost_max=2.0, means={("a", "{}"): 1.0})
    lost, other = watched(ceiling, *[("a", "{}")] * 2)
    assert ceiling.find_room(lost, 1) == 1
    assert ceiling.find_room(other, 0) == 0
    ceiling.leave(lost)
    assert ceiling.find_room(other, 0) == 2
