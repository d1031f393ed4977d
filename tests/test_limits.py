"""Limits of an account: concurrency, buckets and pauses, in virtual time unless real time is the point."""

import asyncio
import math
import random
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.virtual_time import run_virtually

sys.path.append(str(Path(__file__).parents[1] / "runners" / "openai"))
import account_file
import limits
import pace
from aimd import Aimd  # noqa: F401 - for the other tests of limits
from spacing import Spacing  # noqa: F401

EPOCH = 1.7e9


def make_account(loop, folder, most=64, *, rpm=None, tpm=None):
    """Make an account on the loop's time."""

    def wall():
        return EPOCH + loop.time()

    file = account_file.AccountFile(folder / "state" / "a", wall)
    return limits.Account(file, pace.Rates(rpm, tpm), most, monotonic=loop.time, wall=wall)


class Endpoint:
    """An endpoint with so many requests a minute, and every account's client at it."""

    def __init__(self, loop, rpm, *, window="sliding", tells=True, latency_s=0.5):
        self.loop, self.rpm, self.window, self.tells, self.latency_s = loop, rpm, window, tells, latency_s
        self.admitted, self.refused, self.pauses, self.sent = [], [], [], []

    def admit(self):
        now = self.loop.time()
        begin = now - 60 if self.window == "sliding" else now // 60 * 60
        inside = [at for at in self.admitted if at > begin]
        if len(inside) < self.rpm:
            self.admitted.append(now)
            return None
        self.refused.append(now)
        if not inside:
            return 60.0
        return max(inside[0] + 60 - now, 0.01) if self.window == "sliding" else begin + 60 - now

    async def ask(self, account, tokens=0):
        is_retry = False
        while True:
            async with account.slot(tokens, retry=is_retry) as slot:
                self.sent.append(self.loop.time())
                await asyncio.sleep(self.latency_s / 2)
                retry_after_s = self.admit()
                await asyncio.sleep(self.latency_s / 2)
                if retry_after_s is None:
                    return slot.ok()
                is_retry = True
                now = self.loop.time()
                if self.tells:
                    self.pauses.append((now, now + retry_after_s))
                slot.limited(retry_after_s if self.tells else None)

    def sent_in_pauses(self):
        return [at for at in self.sent for begin, end in self.pauses if begin < at < end]

    def share(self, minutes):
        return len(self.admitted) / (self.rpm * minutes)


async def ask_for(loop, seconds, endpoint, accounts, **request):
    """Keep every account busy for so long."""

    async def go_on(account):
        while True:
            await endpoint.ask(account, **request)

    tasks = [asyncio.ensure_future(go_on(account)) for account in accounts for _ in range(100)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("end", ["retried", "failed", "nothing", "ok"])
def test_only_a_success_at_the_first_attempt_counts(tmp_path, end):
    async def use(account):
        async with account.slot(0, retry=end == "retried") as slot:
            await asyncio.sleep(1)
            if end == "failed":
                slot.failed()
            if end != "nothing":
                slot.ok()

    async def run(loop):
        account = make_account(loop, tmp_path)
        await asyncio.gather(*(use(account) for _ in range(20)))
        return account.aimd.limit

    assert run_virtually(run) == (40 if end == "ok" else 20)


def test_an_overloaded_endpoint_gets_fewer_at_a_time_and_no_pause(tmp_path):
    async def run(loop):
        account = make_account(loop, tmp_path)
        async with account.slot(0) as slot:
            slot.overloaded()
        return account.aimd.limit, account.paused_s

    assert run_virtually(run) == (16, 0.0)


def test_what_one_process_is_told_cuts_the_others_once_and_is_where_a_later_one_begins(tmp_path):
    async def run(loop):
        one, other = (make_account(loop, tmp_path) for _ in "ab")
        for account in (one, other, one):
            async with account.slot(0) as slot:
                slot.overloaded()
        found = [one.aimd.limit, other.aimd.limit, make_account(loop, tmp_path).aimd.limit]
        await asyncio.sleep(601)
        return [*found, make_account(loop, tmp_path).aimd.limit]

    assert run_virtually(run) == [16, 16, 16, 20]


def test_a_cut_of_another_process_is_learnt_before_the_next_request(tmp_path):
    async def run(loop):
        one, other = (make_account(loop, tmp_path) for _ in "ab")
        async with one.slot(0) as slot:
            slot.overloaded()
        async with other.slot(0):
            return other.aimd.limit

    assert run_virtually(run) == 16


def test_256_in_flight_are_reached_in_less_than_a_second(tmp_path):
    async def run(loop):
        account, begin = make_account(loop, tmp_path, 256), loop.time()
        endpoint = Endpoint(loop, math.inf, latency_s=0.05)
        tasks = [asyncio.ensure_future(endpoint.ask(account)) for _ in range(2000)]
        while account.aimd.limit < 256:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        return loop.time() - begin

    assert run_virtually(run) < 0.75


@given(st.lists(st.sampled_from(["enter", "leave", "cancel", "limited", "wait"]), max_size=80))
@settings(deadline=None, max_examples=60)
def test_no_more_than_the_limit_are_under_way_in_order_and_all_comes_back(tmp_path_factory, deeds):  # noqa: C901
    folder = tmp_path_factory.mktemp("x")

    async def run(loop):
        account, began, inside, tasks = make_account(loop, folder, 3, rpm=6000), [], {}, []

        async def use(number):
            async with account.slot(0) as slot:
                began.append(number)
                inside[number] = (slot, done := asyncio.Event())
                assert len(inside) <= 3
                try:
                    await done.wait()
                finally:
                    del inside[number]

        for deed in deeds:
            if deed == "enter":
                tasks.append(asyncio.ensure_future(use(len(tasks))))
            elif deed == "cancel" and tasks:
                random.Random(len(tasks)).choice(tasks).cancel()
            elif deed == "wait":
                await asyncio.sleep(0.3)
            elif inside and deed == "limited":
                next(iter(inside.values()))[0].limited(0.1)
            elif inside:
                next(iter(inside.values()))[1].set()
            await asyncio.sleep(0)
        while not all(task.done() for task in tasks):
            for _, done in list(inside.values()):
                done.set()
            await asyncio.sleep(0.05)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        assert began == sorted(began)
        assert (account._in_flight, account._turn, len(account._queue)) == (0, None, 0)

    run_virtually(run)


@pytest.mark.slow
@pytest.mark.parametrize("window", ["sliding", "fixed"])
@pytest.mark.parametrize("rpm", [3, 40, 3000])
def test_two_models_that_know_the_limit_use_it_and_are_never_refused(tmp_path, rpm, window):
    async def run(loop):
        endpoint = Endpoint(loop, rpm, window=window)
        await ask_for(loop, 600 if rpm < 100 else 61, endpoint, [make_account(loop, tmp_path, rpm=rpm) for _ in "ab"])
        return endpoint

    endpoint = run_virtually(run)
    assert endpoint.refused == []
    assert endpoint.share(minutes=10 if rpm < 100 else 61 / 60) >= 0.94


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("window", ["sliding", "fixed"])
def test_two_models_that_have_to_find_out_use_most_of_it_and_keep_the_pauses(tmp_path, window, tells):
    async def run(loop):
        endpoint = Endpoint(loop, 40, window=window, tells=tells)
        await ask_for(loop, 900, endpoint, [make_account(loop, tmp_path) for _ in "ab"])
        return endpoint

    endpoint = run_virtually(run)
    print(window, tells, round(endpoint.share(15), 3), len(endpoint.refused), len(endpoint.pauses))
    assert endpoint.share(15) >= (0.8 if tells else 0.6)
    assert len(endpoint.refused) < 1.5 * len(endpoint.admitted)
    assert endpoint.sent_in_pauses() == []


@pytest.mark.parametrize(("rpm", "most"), [(120, 400), (1200, 1100), pytest.param(6000, 1500, marks=pytest.mark.slow)])
def test_an_endpoint_that_asks_for_short_waits_refuses_few(tmp_path, rpm, most):
    """Its sliding minute is full of requests evenly apart, so that one more may pass every `60 / rpm` seconds."""

    async def run(loop):
        endpoint = Endpoint(loop, rpm)
        endpoint.admitted = [loop.time() - 60 + 60 / rpm * n for n in range(rpm)]
        await ask_for(loop, 120, endpoint, [make_account(loop, tmp_path) for _ in "ab"])
        return endpoint

    endpoint = run_virtually(run)
    admitted = len(endpoint.admitted) - rpm
    print(rpm, admitted / (2 * rpm), len(endpoint.refused))
    assert admitted > 0.9 * 2 * rpm
    assert len(endpoint.refused) < most  # without spacing 1,600, 1,400 and 3,000; with it 180, 720 and 850


def test_tokens_a_minute_are_used_and_not_exceeded(tmp_path):
    async def run(loop):
        endpoint = Endpoint(loop, math.inf)
        accounts = [make_account(loop, tmp_path, tpm=30_000) for _ in "ab"]
        await ask_for(loop, 600, endpoint, accounts, tokens=1500)
        return endpoint.sent

    sent = run_virtually(run)
    assert 0.85 * 200 <= len(sent) <= 200
    assert all(later - first > 60 for first, later in zip(sent, sent[20:], strict=False))


def test_two_models_at_the_same_time_get_the_same_share(tmp_path):
    async def run(loop):
        mine, other = Endpoint(loop, math.inf), Endpoint(loop, math.inf)
        accounts = [make_account(loop, tmp_path, rpm=40) for _ in "ab"]
        await asyncio.gather(*(ask_for(loop, 300, end, [it]) for end, it in zip((mine, other), accounts, strict=True)))
        return len(mine.sent), len(other.sent)

    mine, other = run_virtually(run)
    assert abs(mine - other) <= 2


@pytest.mark.parametrize("next_tokens", [None, 10, 5000])
def test_a_cancelled_waiter_leaves_its_turn_to_the_next_of_any_process(tmp_path, next_tokens):
    async def run(loop):
        account, other = (make_account(loop, tmp_path, rpm=60, tpm=60_000) for _ in "ab")
        endpoint, begin = Endpoint(loop, math.inf), loop.time()
        await endpoint.ask(account, 1000)
        tasks = [asyncio.ensure_future(endpoint.ask(account, 5000)) for _ in range(3)]
        tasks += [asyncio.ensure_future(endpoint.ask(account, next_tokens)) for _ in range(next_tokens is not None)]
        await asyncio.sleep(0.1)
        for task in tasks[:3]:
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.gather(*tasks[3:])
        await endpoint.ask(other, 10)
        return [at - begin for at in endpoint.sent[1:]]

    sent = run_virtually(run)
    assert len(sent) == (1 if next_tokens is None else 2)
    assert sent[0] < (6 if next_tokens == 5000 else 1.3)
    assert sent[-1] < (12.5 if next_tokens == 5000 else 2.4)


def test_after_two_pauses_in_a_row_one_request_at_a_time_finds_out_and_then_all_go(tmp_path):
    async def run(loop):
        account, endpoint = make_account(loop, tmp_path), Endpoint(loop, 0, tells=False)
        tasks = [asyncio.ensure_future(endpoint.ask(account)) for _ in range(100)]
        await asyncio.sleep(200)
        refused, endpoint.rpm = len(endpoint.refused), math.inf
        await asyncio.sleep(80)
        return refused, [task.done() for task in tasks]

    refused, done = run_virtually(run)
    assert 20 < refused < 20 + 16 + 25
    assert all(done)


def test_turns_missed_in_a_pause_are_not_made_up_for_after_it(tmp_path):
    async def run(loop):
        accounts = [make_account(loop, tmp_path, rpm=6) for _ in "ab"]
        endpoint = Endpoint(loop, math.inf)
        async with accounts[0].slot(0) as slot:
            tasks = [asyncio.ensure_future(endpoint.ask(account)) for account in accounts * 3]
            await asyncio.sleep(1)
            slot.limited(60.0)
        await asyncio.gather(*tasks)
        return endpoint.sent

    sent = run_virtually(run)
    assert all(later - first > 9.9 for first, later in pairwise(sent))


@pytest.mark.parametrize("useless", [None, 0, 0.0, -5.0, math.inf, math.nan])
def test_a_retry_after_that_is_none_is_backed_off_from(tmp_path, useless):
    async def run(loop):
        account = make_account(loop, tmp_path)
        async with account.slot(0) as slot:
            slot.limited(useless)
        return account.paused_s

    assert 0 < run_virtually(run) <= 1


def test_who_waits_already_waits_for_a_pause_of_another_process_too(tmp_path):
    """Waiters for a place, for a turn and for the end of a shorter pause: none of them sends."""

    async def run(loop):
        one, full, metered = (make_account(loop, tmp_path, most) for most in (5, 1, 5))
        metered._rates = pace.Rates(6)
        endpoint = Endpoint(loop, math.inf, latency_s=2.0)
        tasks = [asyncio.ensure_future(endpoint.ask(it)) for it in (full, full, metered, metered)]
        await asyncio.sleep(1)
        begin = loop.time()
        async with one.slot(0) as slot:
            slot.limited(3.0)
            slot.limited(30.0)
        tasks.append(asyncio.ensure_future(endpoint.ask(one)))
        await asyncio.gather(*tasks)
        return [at - begin for at in endpoint.sent]

    sent = run_virtually(run)
    assert sent[:2] == [-1, -1]
    assert len(sent) == 5
    assert all(at >= 30 for at in sent[2:])
    assert min(sent[2:]) <= 33.001


def test_a_pause_that_begins_after_a_waiter_was_admitted_still_holds_it_and_its_order(tmp_path):
    async def run(loop):
        account, order = make_account(loop, tmp_path, 2), []

        async def use(number):
            async with account.slot(0):
                order.append((number, loop.time()))

        async with account.slot(0) as first, account.slot(0):
            tasks = [asyncio.ensure_future(use(number)) for number in range(4)]
            await asyncio.sleep(1)
        first.limited(10.0)  # in the same instant in which the places came free
        begin = loop.time()
        await asyncio.gather(*tasks)
        return [(number, at - begin) for number, at in order]

    order = run_virtually(run)
    assert [number for number, _ in order] == [0, 1, 2, 3]
    assert all(at >= 10 for _, at in order)


def test_a_pause_learnt_outlasts_a_jump_of_the_wall_clock(tmp_path):
    async def run(loop):
        jump = [0.0]

        def wall():
            return EPOCH + loop.time() + jump[0]

        file = account_file.AccountFile(tmp_path / "state" / "a", wall)
        account = limits.Account(file, pace.Rates(600), 5, monotonic=loop.time, wall=wall)
        async with account.slot(0) as slot:
            slot.limited(100.0)
        for jump[0] in (3600.0, -3600.0):
            assert 100 <= account.paused_s <= 110
        begin = loop.time()
        async with account.slot(0):
            return loop.time() - begin

    assert 100 <= run_virtually(run) <= 110.1


def test_a_pause_of_hours_holds_here_and_a_quarter_of_an_hour_elsewhere(tmp_path):
    async def run(loop):
        mine, other = make_account(loop, tmp_path), make_account(loop, tmp_path)
        async with mine.slot(0) as slot:
            slot.limited(7200.0)
        return mine.paused_s, other.paused_s

    mine_s, other_s = run_virtually(run)
    assert mine_s >= 7200
    assert 890 < other_s <= 900


def test_a_slot_costs_next_to_nothing_where_there_is_no_limit(tmp_path):
    async def run():
        account = limits.open_account("http://x/v1", "k", rpm=None, tpm=None, concurrency_max=64, folder=tmp_path)
        best = math.inf
        for _ in range(20):
            begin = time.process_time()
            for _ in range(500):
                async with account.slot(100) as slot:
                    slot.ok()
            best = min(best, (time.process_time() - begin) / 500)
        return best

    assert asyncio.run(run()) < 30e-6


def test_the_key_is_in_no_name_and_no_file(tmp_path):
    async def run():
        account = limits.open_account("https://h/v1", "sk-canary", rpm=60, tpm=60, concurrency_max=4, folder=tmp_path)
        async with account.slot(10) as slot:
            slot.limited(1.0)

    asyncio.run(run())
    [file] = tmp_path.iterdir()
    assert b"canary" not in file.read_bytes() + file.name.encode()
    assert file.name == account_file.account_path("https://H/other/path", "sk-canary", tmp_path).name
    assert file.name != account_file.account_path("https://h/v1", "sk-other", tmp_path).name
