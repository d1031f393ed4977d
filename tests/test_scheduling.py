"""Models side by side: who waits for whom, several workers of one model, and what is left when one of them fails."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.config import Settings, get_model, open_workspace
from orchestrator.env.locks import building
from orchestrator.errors import BakeoffError
from orchestrator.results.plan import read_plan
from orchestrator.running.crew import Crew
from orchestrator.running.events import Note
from orchestrator.running.machine import Device, Machine, Need, look_around, need_of
from orchestrator.running.planning import record_failure
from orchestrator.running.pool import Pool
from tests.workers import OURS, make_workspace, write_words

FOUR = Machine(cores=(0, 1, 2, 3))
SPANS = """
import json, os, time

class Trouble(Exception):
    pass

def cores():
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

def note(params, *facts):
    device = os.environ.get("CUDA_VISIBLE_DEVICES")
    with open(params["spans"], "a") as file:
        file.write(json.dumps([facts[0], params["name"], os.getpid(), device, *facts[1:]]) + chr(10))

def load(params):
    params = params | json.loads(params.get("by_device", "{}")).get(os.environ.get("CUDA_VISIBLE_DEVICES"), {})
    note(params, "load", time.time(), cores(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_DEVICE_ORDER"))
    time.sleep(params.get("load_s", 0.0))
    if params.get("broken"):
        raise RuntimeError("no weights here")
    return params

def generate(params, request):
    prompt, start = request["prompt"].strip(), time.time()
    if params.get("dies_at") == prompt:
        os.abort()
    if params.get("fails"):
        raise ValueError("never")
    time.sleep(params["item_s"])
    if kind := params.get("trouble"):
        error = Trouble("trouble with the device")
        error.kind, error.final = kind, params.get("is_final", False)
        raise error
    note(params, "item", start, time.time(), prompt)
    if prompt in params.get("bad", []):
        error = Trouble("this one is bad")
        error.kind = "bad_input"
        raise error
    return {"text": params["name"]}
"""


@pytest.fixture
def bench(tmp_path, built_envs):
    """Make a workspace with a runner that notes when it does what; return what adds models and what runs them."""
    workspace = make_workspace(tmp_path / "ws", built_envs, [f"w{n}" for n in range(6)])
    spans = tmp_path / "spans.jsonl"
    config = workspace.root / "bakeoff.toml"

    def add(name, manifest="", settings="", **params):
        folder = workspace.root / "runners" / f"r-{name}"
        folder.mkdir()
        (folder / "runner.py").write_text(SPANS)
        (folder / "requirements.txt").touch()
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in params.items())
        (folder / "runner.toml").write_text(
            f'python = "{OURS}"\n{manifest}\n[defaults]\nspans = "{spans}"\nname = "{name}"\nitem_s = 0.1\n'
            f"[models.{name}]\n{lines}"
        )
        if settings:
            config.write_text(f"[settings]\n{settings}\n")

    def run(*names, **options):
        outcome = api.run(models=names, dataset="words", workspace=open_workspace(workspace.root), **options)
        found = [json.loads(line) for line in spans.read_text().splitlines()]
        return outcome, found

    add.root = workspace.root
    return add, run


def busy(spans, name):
    """Return when the items of a model were worked on, from the first to the last."""
    items = [span for span in spans if span[0] == "item" and span[1] == name]
    return min(span[4] for span in items), max(span[5] for span in items)


def overlap(one, other):
    return min(one[1], other[1]) - max(one[0], other[0])


def test_two_models_with_one_declared_device_never_overlap(bench):
    add, run = bench
    for name in "ab":
        add(name, 'accelerator = "cuda"', 'devices = ["7"]', item_s=0.2)
    start = time.monotonic()
    outcome, spans = run("a", "b")
    took = time.monotonic() - start
    assert outcome.is_complete
    assert {span[3] for span in spans} == {"7"}, "each saw the one device"
    items = [span for span in spans if span[0] == "item"]
    for one, other in itertools.combinations(items, 2):
        if one[1] != other[1]:
            assert overlap(one[4:6], other[4:6]) <= 0
    first, second = sorted("ab", key=lambda name: busy(spans, name))
    assert sum(model.elapsed_s for model in outcome.models) < 1.3 * took, "waiting is nobody's own time"
    (loaded,) = (span[4] for span in spans if span[:2] == ["load", second])
    assert loaded >= busy(spans, first)[1], "not even loaded while the other works"


@pytest.mark.slow
def test_two_models_with_two_devices_have_one_each_at_the_same_time(bench):
    add, run = bench
    for name in "ab":
        add(name, 'accelerator = "cuda"', 'devices = ["0", "GPU-5e"]', load_s=0.5, item_s=0.8)
    outcome, spans = run("a", "b")
    assert outcome.is_complete
    assert len({(span[1], span[3]) for span in spans}) == len({span[3] for span in spans}) == 2
    assert overlap(busy(spans, "a"), busy(spans, "b")) > 0


@pytest.mark.slow
def test_models_that_take_no_core_all_work_at_the_same_time(bench):
    add, run = bench
    names = ("a", "b", "c", "d")
    for name in names:
        add(name, "cores = 0", load_s=0.6, item_s=0.15)
    start = time.monotonic()
    outcome, spans = run(*names)
    assert outcome.is_complete
    assert [model.model for model in outcome.models] == list(names), "told in the order that they were named"
    latest, first = max(busy(spans, name)[0] for name in names), min(busy(spans, name)[1] for name in names)
    assert latest < first, "there is a time at which all four are at work"
    assert time.monotonic() - start < 4 * (0.6 + 6 * 0.15)


@pytest.mark.slow
def test_a_model_that_waits_for_a_device_does_not_hold_up_one_that_needs_none(bench):
    add, run = bench
    for name in "ab":
        add(name, 'accelerator = "cuda"', 'devices = ["0"]', item_s=0.4)
    add("c", "cores = 0", item_s=0.01)
    outcome, spans = run("a", "b", "c")
    assert outcome.is_complete
    assert busy(spans, "c")[1] < max(busy(spans, "a")[0], busy(spans, "b")[0])


@pytest.mark.slow
def test_models_that_say_nothing_of_cores_run_one_after_the_other(bench):
    add, run = bench
    add("a")
    add("b")
    _, spans = run("a", "b")
    assert overlap(busy(spans, "a"), busy(spans, "b")) <= 0


@pytest.mark.slow
def test_at_most_max_parallel_models_work_at_a_time(bench):
    add, run = bench
    for name in "abc":
        add(name, "cores = 0", load_s=0.3)
    _, spans = run("a", "b", "c", max_parallel=1)
    turns = [busy(spans, name) for name in "abc"]
    assert all(overlap(one, other) <= 0 for one, other in itertools.pairwise(turns))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="takes two cores")
def test_models_of_one_core_have_each_its_own(bench):
    add, run = bench
    for name in "ab":
        add(name, "cores = 1", "cores = 2", load_s=1.0)
    _, spans = run("a", "b")
    lent = {span[1]: span[5] for span in spans if span[0] == "load"}
    assert [len(cores) for cores in lent.values()] == [1, 1]
    assert lent["a"] != lent["b"]
    assert {span[6] for span in spans if span[0] == "load"} == {"1"}, "and computes with as many threads"


def test_replicas_draw_from_one_queue_and_ask_everything_once(bench):
    add, run = bench
    write_words(add.root, [f"w{n}" for n in range(40)])
    add("a", "cores = 0\nbatch_max = 1", load_s=0.2, item_s=0.05)
    outcome, spans = run("a", replicas=3)
    assert outcome.is_complete
    items = [span for span in spans if span[0] == "item"]
    assert sorted(span[6] for span in items) == sorted(f"w{n}" for n in range(40)), "each asked once"
    shares = Counter(span[2] for span in items)
    assert len(shares) == 3
    assert min(shares.values()) >= 40 / 3 / 3, shares
    (model,) = outcome.models
    assert model.statuses == {"ok": 40}
    table = pq.read_table(outcome.folder / "predictions" / "a.parquet")
    assert table.num_rows == 40
    assert len(list((outcome.folder / "logs").iterdir())) == 3


@pytest.mark.slow
def test_replicas_have_a_device_each(bench):
    add, run = bench
    write_words(add.root, [f"w{n}" for n in range(12)])
    add("a", 'accelerator = "cuda"', 'devices = ["0", "1"]', load_s=0.3)
    outcome, spans = run("a", replicas=5)
    assert outcome.is_complete
    assert {span[3] for span in spans if span[0] == "load"} == {"0", "1"}
    assert len({span[2] for span in spans}) == 2, "there is room for two of five, and no third was begun later"


@pytest.mark.slow
def test_a_replica_that_dies_is_nothing_to_the_others(bench):
    add, run = bench
    write_words(add.root, [f"w{n}" for n in range(30)])
    add("a", "cores = 0", load_s=0.1, item_s=0.02, dies_at="w7")
    outcome, _ = run("a", replicas=2)
    (model,) = outcome.models
    assert model.statuses == {"ok": 29, "quarantined": 1}
    assert model.error is None


def test_a_model_that_cannot_be_loaded_fails_once_and_the_others_finish(bench):
    add, run = bench
    add("a", "cores = 1", broken=True)
    add("b", "cores = 1")
    outcome, spans = run("a", "b", replicas=9)
    failed, fine = outcome.models
    assert "no weights here" in failed.error
    assert fine.error is None
    assert fine.statuses == {"ok": 6}
    assert len([span for span in spans if span[:2] == ["load", "a"]]) <= len(
        look_around(Settings(), with_devices=False).cores
    )


def by_device(**changes):
    """Return what the parameter `by_device` takes: other parameters on some devices."""
    return json.dumps({name.removeprefix("on"): value for name, value in changes.items()})


TWO = 'devices = ["0", "1"]'


def test_a_replica_that_loads_for_long_holds_up_nobody(bench):
    add, run = bench
    add("a", 'accelerator = "cuda"', TWO, item_s=0.05, by_device=by_device(on1={"load_s": 30.0}))
    start = time.monotonic()
    outcome, _ = run("a", replicas=2)
    assert time.monotonic() - start < 15
    assert outcome.is_complete
    assert outcome.models[0].statuses == {"ok": 6}


@pytest.mark.slow
def test_what_a_replica_leaves_that_cannot_be_loaded_is_done_by_the_other(bench):
    add, run = bench
    write_words(add.root, [f"w{n}" for n in range(20)])
    add("a", 'accelerator = "cuda"', TWO, by_device=by_device(on1={"load_s": 0.5, "broken": True}))
    outcome, _ = run("a", replicas=2)
    assert outcome.is_complete
    assert outcome.models[0].error is None
    assert outcome.models[0].statuses == {"ok": 20}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [{"trouble": "rate_limited", "is_final": True}, {"trouble": "device_lost"}])
def test_what_a_replica_leaves_that_is_given_up_is_asked_by_the_other_and_counted_once(bench, trouble):
    add, run = bench
    write_words(add.root, [f"w{n}" for n in range(24)])
    bad = [f"w{n}" for n in range(0, 24, 2)]
    add("a", 'accelerator = "cuda"', TWO, item_s=0.1, bad=bad, by_device=by_device(on1={"item_s": 0.2, **trouble}))
    outcome, spans = run("a", replicas=2)
    (model,) = outcome.models
    assert (model.error, outcome.is_complete) == (None, True)
    assert model.statuses == {"ok": 12, "bad_input": 12}
    assert sum(span[0] == "item" for span in spans) == 24
    _, later = run("a", replicas=2)
    assert len(later) == len(spans), "nothing is asked again"


@pytest.mark.slow
def test_who_waits_for_the_same_is_served_in_the_order_of_the_command(bench):
    add, run = bench
    names = ("c", "a", "b")
    for name in names:
        add(name, "cores = 2", "cores = 2", item_s=0.05)
    run(*names, limit=1)
    _, spans = run(*names, repeat=4)
    last = [span[1] for span in spans if span[0] == "load"][3:]
    assert [name for name in last if name in last[1:]] == sorted(last[1:], key=names.index), "of those that had to wait"


@pytest.mark.slow
def test_a_time_limit_ends_the_wait_for_an_environment_and_is_no_failure(bench):
    add, run = bench
    add("a", "cores = 0")
    run("a", limit=1)
    (built,) = (path for path in (add.root / "envs").iterdir() if path.name.startswith("r-a-"))
    aside = built.rename(built.with_name(f"aside-{built.name}"))
    try:
        with building(built, lambda: None):
            outcome, _ = run("a", max_time=1)
    finally:
        aside.rename(built)
    (model,) = outcome.models
    assert (model.error, outcome.stopped[:8]) == (None, "max_time")
    assert read_plan(outcome.folder).failures == {}


@pytest.mark.slow
def test_a_time_limit_that_the_last_answer_reached_is_told_of_nobody(bench):
    add, run = bench
    add("a", item_s=6)
    notes = []
    outcome, _ = run("a", limit=1, max_time=5, notify=notes.append)
    assert outcome.is_complete
    assert not [note for note in notes if isinstance(note, Note) and "given up" in note.text]


def test_ctrl_c_before_anything_is_asked_is_no_bug(bench):
    add, _ = bench
    add("a", own=1)
    add("b")

    def interrupt(event):
        assert "own" in event.text, "that b has no such parameter, the first that is told"
        raise KeyboardInterrupt

    asked = {"models": ["a", "b"], "dataset": "words", "params": {"own": 2}, "workspace": add.root}
    outcome = api.run(**asked, notify=interrupt)
    assert (outcome.interrupted, outcome.is_complete, outcome.models) == (True, False, ())


def test_models_that_end_at_the_same_time_all_write_to_the_plan(bench):
    add, run = bench
    add("a", "cores = 0")
    outcome, _ = run("a", limit=1)
    names = [f"model-{n}" for n in range(8)]

    def note(name):
        for n in range(10):
            record_failure(outcome.folder, name, f"{n}")

    threads = [threading.Thread(target=note, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_plan(outcome.folder).failures == dict.fromkeys(names, "9")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="takes two cores")
def test_all_keep_to_the_cores_that_the_workspace_has(bench):
    add, run = bench
    add("a", "", "cores = 1")
    _, spans = run("a")
    assert [(len(span[5]), span[6]) for span in spans if span[0] == "load"] == [(1, "1")]


@pytest.mark.parametrize(("devices", "seen"), [("[]", ("", None)), ('["1"]', ("1", "PCI_BUS_ID"))])
def test_a_worker_sees_the_devices_that_it_was_lent_and_no_other(bench, monkeypatch, devices, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    add, run = bench
    add("a", 'accelerator = "cuda"', f"devices = {devices}")
    _, spans = run("a", limit=1)
    assert [(span[3], span[7]) for span in spans if span[0] == "load"] == [seen]


def test_max_failures_counts_what_all_replicas_failed(bench):
    add, run = bench
    write_words(add.root, [f"w{n}" for n in range(200)])
    add("a", "cores = 0", load_s=0.1, fails=True)
    outcome, _ = run("a", replicas=3, max_failures=10)
    (model,) = outcome.models
    assert 10 <= model.failed <= 10 + 3 * 2
    assert "--max-failures 10" in model.error


@pytest.mark.slow
def test_more_devices_than_there_are_is_one_sentence(bench):
    add, run = bench
    add("a", 'accelerator = "cuda"', 'devices = ["0"]', devices=4)
    add("b", "cores = 0")
    outcome, _ = run("a", "b")
    assert outcome.models[0].error.startswith("it takes 4 devices, and there are 1 (0)")
    assert outcome.models[1].statuses == {"ok": 6}


def test_hints_are_no_parameters_and_are_checked(bench):
    add, _ = bench
    add("a", devices=2, memory_gb=40)
    model = get_model(open_workspace(add.root), "a")
    assert (model.hints.devices, model.hints.memory_gb) == (2, 40)
    assert not {"devices", "memory_gb"} & set(model.params)
    (add.root / "bakeoff.toml").write_text('[models.mine]\nrunner = "r-a"\ndevices = 0\n')
    with pytest.raises(BakeoffError, match="devices should be greater than or equal to 1, got 0"):
        open_workspace(add.root)


STOPPABLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from orchestrator import api
outcome = api.run(models=["a", "b", "c"], dataset="words", workspace=sys.argv[1])
print(outcome.interrupted, sum(model.ok for model in outcome.models))
"""


@pytest.mark.slow
def test_ctrl_c_ends_all_models(bench):
    add, _ = bench
    write_words(add.root, [f"w{n}" for n in range(500)])
    for name in "abc":
        add(name, "cores = 0", item_s=0.2)
    spans = add.root.parent / "spans.jsonl"
    command = [sys.executable, "-c", STOPPABLE, str(add.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not (spans.is_file() and all(f'["item", "{name}"' in spans.read_text() for name in "abc")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().startswith("True ")
    found = [json.loads(line) for line in spans.read_text().splitlines()]
    assert not [span[2] for span in found if Path(f"/proc/{span[2]}").exists()]
    kept = sum(pq.read_metadata(path).num_rows for path in (add.root / "results/words/predictions").iterdir())
    assert kept == sum(span[0] == "item" for span in found), "what was begun is kept"


def queue_up(pool, needs, held):
    """Claim `needs` one after the other, from 1 up; return the threads and who was served, a list that grows.

    Each gives back at once what it was lent, but for number 2, which keeps it until `held` is set.
    """
    served, waiting = [], set()

    def claim(need, number):
        with pool.lend(need, (1, number), lambda: False, lambda _: waiting.add(number)):
            served.append(number)
            if number == 2:
                held.wait(10)

    threads = [threading.Thread(target=claim, args=(need, number)) for number, need in enumerate(needs, 1)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        while number not in waiting and number not in served:
            time.sleep(0.01)
    return threads, served


def test_a_large_claim_is_not_overtaken_by_small_ones_of_its_kind():
    pool, held = Pool(FOUR), threading.Event()
    held.set()
    with pool.lend(Need(cores=3), (1, 0), lambda: False, lambda _: None):
        threads, served = queue_up(pool, [Need(cores=4), Need(cores=1), Need()], held)
        threads[2].join(10)
        assert served == [3], "one core is free, but the large claim was there before"
    for thread in threads:
        thread.join(10)
    assert served == [3, 1, 2]


def test_a_claim_that_waits_for_a_device_keeps_it_but_no_cores_from_others():
    pool, held = Pool(Machine((0, 1, 2, 3), (Device("0"),), None, pinnable=4)), threading.Event()
    with pool.lend(Need(cores=1, devices=1), (1, 0), lambda: False, lambda _: None):
        threads, served = queue_up(pool, [Need(cores=3, devices=1), Need(cores=2), Need(devices=1)], held)
        assert served == [2], "cores are free and the first waits for a device"
    time.sleep(0.3)
    assert served == [2], "the device is free, but kept for the first, which waits for cores now"
    held.set()
    for thread in threads:
        thread.join(10)
    assert served == [2, 1, 3]


def test_what_was_lent_is_free_again_and_nobody_has_it_twice():
    machine = Machine((0, 1, 2), (Device("0", 24.0), Device("1", 80.0)), 64.0, pinnable=3)
    pool, held, worst = Pool(machine), Counter(), Counter()
    lock = threading.Lock()
    needs = [Need(cores=1), Need(cores=2, memory_gb=40.0), Need(devices=1), Need(devices=1, memory_gb=60.0), Need(0, 2)]

    def work(number):
        with pool.lend(needs[number % 5], (1, number), lambda: False, lambda _: None) as grant:
            with lock:
                held.update([*(grant.cores or ()), *grant.devices])
                for name, n in held.items():
                    worst[name] = max(worst[name], n)
            time.sleep(0.002)
            with lock:
                held.subtract([*(grant.cores or ()), *grant.devices])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert set(worst.values()) == {1}
    assert set(worst) == {0, 1, 2, "0", "1"}


def test_the_smallest_device_that_has_the_memory_is_lent():
    pool = Pool(Machine((0,), (Device("big", 80.0), Device("small", 24.0))))
    with pool.lend(Need(devices=1, memory_gb=16), (1, 0), lambda: False, lambda _: None) as grant:
        assert grant.devices == ("small",)
    with pool.lend(Need(devices=1, memory_gb=60), (1, 0), lambda: False, lambda _: None) as grant:
        assert grant.devices == ("big",)


def test_memory_is_lent_as_far_as_it_goes_and_one_that_needs_more_has_all():
    pool = Pool(Machine((0, 1, 2), memory_gb=64.0))
    with pool.lend(Need(cores=1, memory_gb=40.0), (1, 0), lambda: False, lambda _: None):
        with pool.lend(Need(cores=1, memory_gb=40.0), (1, 1), lambda: True, lambda _: None) as grant:
            assert grant is None
        with pool.lend(Need(cores=1, memory_gb=20.0), (1, 1), lambda: False, lambda _: None) as grant:
            assert grant is not None
    with pool.lend(Need(cores=1, memory_gb=400.0), (1, 0), lambda: False, lambda _: None) as grant:
        assert grant is not None


def test_who_is_not_needed_any_more_stops_waiting():
    pool = Pool(FOUR)
    waits = []
    patient, impatient = lambda: False, lambda: len(waits) > 1
    with (
        pool.lend(Need(cores=4), (1, 0), patient, waits.append),
        pool.lend(Need(cores=2), (1, 1), impatient, waits.append) as grant,
    ):
        assert grant is None
    assert set(waits) == {"waiting for 2 free cores"}
    with pool.lend(Need(cores=4), (1, 0), lambda: False, waits.append) as grant:
        assert grant is not None, "the one that gave up holds nothing"


def test_without_a_known_device_who_wants_one_has_all_cores(bench):
    add, _ = bench
    add("a", 'accelerator = "cuda"')
    model = get_model(open_workspace(add.root), "a")
    assert need_of(model, FOUR) == Need(cores=4)
    assert need_of(model, Machine((0, 1), (Device("0"),))) == Need(devices=1)


def test_too_little_memory_on_every_device_is_a_sentence(bench):
    add, _ = bench
    add("a", 'accelerator = "cuda"', memory_gb=40)
    model = get_model(open_workspace(add.root), "a")
    with pytest.raises(BakeoffError, match="1 devices of 40 GB, and the largest here has 24 GB"):
        need_of(model, Machine((0,), (Device("0", 24.0),)))


@pytest.mark.parametrize(("visible", "names"), [("2,3", ["2", "3"]), ("", []), ("-1", []), ("GPU-ab", ["GPU-ab"])])
def test_devices_are_those_that_the_environment_shows(bench, monkeypatch, visible, names):
    add, _ = bench
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    settings = open_workspace(add.root).settings
    assert [device.name for device in look_around(settings, with_devices=True).devices] == names
    assert look_around(settings, with_devices=False).devices == ()


def test_the_problem_of_a_job_reaches_who_started_it_and_stops_what_was_not_begun():
    done, stopped = [], []

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Crew().work([fail, lambda: done.append(1)], 1, lambda: None, lambda: stopped.append(1))
    assert (done, stopped) == ([], [1])


def test_errands_are_done_by_the_thread_that_waits():
    crew, seen = Crew(), []
    jobs = [lambda: seen.append(crew.call(threading.current_thread)) for _ in range(5)]
    crew.work(jobs, 3, lambda: None, lambda: None)
    assert set(seen) == {threading.current_thread()}
