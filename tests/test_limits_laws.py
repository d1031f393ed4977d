"""The laws of concurrency, buckets and pauses, without a clock."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_limits import EPOCH, Aimd, Spacing, pace


def succeed(aimd, count, now=0.0):
    for _ in range(count):
        aimd.began(aimd.limit)
        aimd.succeeded(now, aimd.limit)


def test_the_limit_doubles_with_each_clean_round_up_to_the_most():
    aimd, seen = Aimd(256), []
    for _ in range(5):
        seen.append(aimd.limit)
        succeed(aimd, aimd.limit)
    assert seen == [20, 40, 80, 160, 256]
    assert Aimd(7).limit == 7


def test_after_a_refusal_it_grows_by_a_twentieth_but_at_least_one_and_never_in_the_cooldown():
    aimd = Aimd(1000)
    succeed(aimd, 20 + 40 + 80)
    aimd.cut(sent=1.0, now=2.0)
    assert aimd.limit == 128
    succeed(aimd, 1000, now=16.9)
    assert aimd.limit == 128
    succeed(aimd, 128, now=17.0)
    assert aimd.limit == 134
    small = Aimd(5)
    small.cut(0.0, 0.0)
    succeed(small, 4, now=15.0)
    assert small.limit == 5


def test_an_episode_cuts_once_and_lasts_as_long_as_retry_after():
    aimd = Aimd(100)
    for now in (1.0, 1.5, 14.0):
        aimd.cut(sent=0.5, now=now, retry_after_s=30.0)
    assert aimd.limit == 16
    aimd.cut(sent=43.0, now=43.9)
    assert aimd.limit == 16
    aimd.cut(sent=0.9, now=100.0)  # sent before the first cut: it says nothing new
    assert aimd.limit == 16
    aimd.cut(sent=99.0, now=100.0)
    assert aimd.limit == 12


@pytest.mark.parametrize(("start", "limits"), [(0, [20, 40]), (3, [3, 6]), (40, [40, 42]), (900, [100, 100])])
def test_it_may_begin_with_what_is_known_and_then_doubles_only_below_the_usual_start(start, limits):
    aimd = Aimd(100, start)
    seen = [aimd.limit]
    succeed(aimd, aimd.limit)
    assert [*seen, aimd.limit] == limits


def test_many_episodes_leave_one_place():
    aimd = Aimd(100)
    for episode in range(100):
        aimd.cut(sent=20.0 * episode - 1, now=20.0 * episode)
    assert aimd.limit == 1


def test_an_error_of_the_server_ends_a_round_and_cuts_nothing():
    aimd = Aimd(100)
    succeed(aimd, 19)
    aimd.failed()
    succeed(aimd, 19)
    assert aimd.limit == 20
    succeed(aimd, 1)
    assert aimd.limit == 40


@pytest.mark.parametrize(("in_flight", "limit"), [(15, 20), (16, 40)])
def test_a_limit_that_is_not_used_does_not_grow(in_flight, limit):
    aimd = Aimd(100)
    for _ in range(20):
        aimd.began(in_flight)
        aimd.succeeded(0.0, in_flight)
    assert aimd.limit == limit


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=150)
def test_no_minute_has_more_than_its_limits_even_when_senders_are_late(data):
    rpm, tpm = data.draw(st.integers(1, 200)), data.draw(st.integers(1000, 100_000))
    generator = random.Random(data.draw(st.integers(0, 2**32)))
    rates, record, now, sent = pace.Rates(rpm, tpm), pace.Record(), EPOCH, []
    calm, largest = generator.choice([0.0, 0.5, 20.0]), generator.choice([0.01, 0.1, 0.45])
    for _ in range(400):
        now += generator.expovariate(1 / calm) if calm else 0.0
        tokens = generator.randint(1, int(tpm * largest))
        record, turn = pace.take_turn(record, rates, tokens, now)
        now = max(now, turn.at)
        sent.append((now + generator.uniform(0, rates.slack_s), tokens))
    sent.sort()
    for index, (begin, _) in enumerate(sent):
        minute = [tokens for at, tokens in sent[index : index + rpm + 1] if at < begin + 60]
        assert len(minute) <= rpm
        assert sum(tokens for at, tokens in sent[index:] if at < begin + 60) <= tpm


def test_a_single_request_is_never_waited_for():
    for rates in (pace.Rates(1, 100), pace.Rates(None, 100), pace.Rates(1, None)):
        _, turn = pace.take_turn(pace.Record(), rates, 1_000_000, EPOCH)
        assert turn.at <= EPOCH


def test_what_was_really_used_is_what_counts():
    rates = pace.Rates(None, 6000)
    record, turn = pace.take_turn(pace.Record(), rates, 1000, EPOCH)
    full = record.tokens_free - turn.at
    assert 10 < full < 13
    assert 0.09 < (pace.correct(record, turn, -900).tokens_free - turn.at) / full < 0.11
    assert pace.return_turn(record, turn, 1000) == pace.Record()


def test_a_turn_is_given_back_unless_others_stand_behind_it():
    rates = pace.Rates(60)
    first, turn = pace.take_turn(pace.Record(), rates, 0, EPOCH)
    assert pace.return_turn(first, turn, 0).requests_free == pace.Record().requests_free
    second, _ = pace.take_turn(first, rates, 0, EPOCH)
    assert pace.return_turn(second, turn, 0) == second


def test_tokens_are_given_back_even_behind_others():
    rates = pace.Rates(60, 60_000)
    first, turn = pace.take_turn(pace.Record(), rates, 5000, EPOCH)
    second, _ = pace.take_turn(first, rates, 10, EPOCH)
    back = pace.return_turn(second, turn, 5000)
    assert second.tokens_free - back.tokens_free == pytest.approx(5000 * turn.token_s)
    assert back.requests_free == second.requests_free
    corrected = pace.return_turn(pace.correct(first, turn, 7), turn, 5000)
    assert corrected.requests_free == pace.Record().requests_free


@given(st.floats(0.01, 800), st.integers(0, 10))
@settings(deadline=None, max_examples=100)
def test_a_pause_is_never_shorter_than_asked_and_at_most_a_tenth_longer(asked_s, refusals):
    record, until = pace.pause(pace.Record(), asked_s, EPOCH - 1, EPOCH)
    assert asked_s <= until - EPOCH <= asked_s * 1.1 + 1e-6
    for _ in range(refusals):
        assert pace.pause(record, asked_s, EPOCH - 1, EPOCH) == (record, 0.0)
    assert record.pause_until == until


def test_pauses_of_unknown_length_grow_with_each_episode_in_a_row():
    for row, most in enumerate([1, 2, 4, 8, 16, 32, 60, 60]):
        record = pace.Record(episodes=row)
        lengths = [pace.pause(record, None, EPOCH - 1, EPOCH)[1] - EPOCH for _ in range(300)]
        assert min(lengths) >= 0.09
        assert most * 0.9 < max(lengths) <= most + 1e-6
        assert min(lengths) < max(0.2, most * 0.1)


def test_refusals_of_one_episode_are_one_pause_and_a_success_ends_the_row():
    record, until = pace.pause(pace.Record(), None, EPOCH, EPOCH + 1)
    assert pace.pause(record, None, EPOCH + 0.5, until + 9) == (record, 0.0)  # it was on its way when the pause began
    again, _ = pace.pause(record, None, until + 1, until + 2)
    assert (record.episodes, again.episodes) == (1, 2)
    assert pace.accept(again, until + 1) is again
    assert pace.accept(again, again.pause_until).episodes == 0


def send_evenly(spacing, rate, begin, seconds):
    for n in range(round(rate * seconds)):
        spacing.sent(begin + n / rate)


def test_after_a_pause_requests_are_as_far_apart_as_those_that_were_taken_in_the_time_with_the_pause():
    spacing = Spacing()
    send_evenly(spacing, 50, 0.0, 4.0)
    assert spacing.find_wait(4.0) == 0
    for _ in range(100):
        spacing.refused(3.9)
    spacing.resume(10.0)
    assert spacing.find_wait(10.0) == 0
    spacing.sent(10.0)
    assert spacing.find_wait(10.0) == pytest.approx(1 / 10)
    spacing.sent(12.0)
    assert spacing.find_wait(12.0) == pytest.approx(1 / 20)
    assert spacing.find_wait(13.0) == 0


def test_a_later_pause_leaves_four_fifths_and_one_known_already_or_after_nothing_changes_nothing():
    spacing = Spacing()
    send_evenly(spacing, 100, 0.0, 1.0)
    for end in (1.0, 1.0, 2.0, 3.0):
        spacing.resume(end)
    spacing.sent(3.0)
    assert spacing.find_wait(3.0) == pytest.approx(1 / 100)
    spacing.resume(4.0)
    spacing.sent(4.0)
    assert spacing.find_wait(4.0) == pytest.approx(1 / 80)


def test_requests_are_never_more_than_a_second_apart():
    spacing = Spacing()
    spacing.sent(0.0)
    spacing.resume(600.0)
    spacing.sent(600.0)
    assert spacing.find_wait(600.0) == 1


def test_a_request_refused_after_the_pause_does_not_count_against_what_comes_then():
    spacing = Spacing()
    send_evenly(spacing, 100, 0.0, 1.0)
    spacing.resume(1.0)
    send_evenly(spacing, 100, 1.0, 1.0)
    spacing.refused(0.99)
    spacing.resume(2.0)
    spacing.sent(2.0)
    assert spacing.find_wait(2.0) == pytest.approx(1 / 100)


def test_idle_time_before_a_pause_does_not_count():
    spacing = Spacing()
    send_evenly(spacing, 100, 0.0, 1.0)
    send_evenly(spacing, 100, 600.0, 1.0)
    spacing.resume(601.0)
    spacing.sent(601.0)
    assert 1 / 100 <= spacing.find_wait(601.0) < 1 / 60
