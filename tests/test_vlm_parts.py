"""What the runners of Hugging Face models share and what needs no torch: parameters, checkpoints, halved batches."""

import gc
import importlib
import re
import tomllib
import weakref
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

RUNNERS = Path(__file__).resolve().parent.parent / "runners"
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


def shared(name):
    """Import a helper module of the runners as a worker does, by its plain name."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("_shared", "_vlm"):
            patch.syspath_prepend(RUNNERS / folder)
        return importlib.import_module(name)


checkpoints, memory, vlm_params = shared("vlm_checkpoint"), shared("vlm_memory"), shared("vlm_params")
PIXELS = shared("vlm_grid").PARAM_TYPES


class Full(Exception):  # noqa: N818
    """Stands for torch's OutOfMemoryError."""


class Gone(Exception):  # noqa: N818
    """Stands for torch's AcceleratorError."""


@pytest.fixture(autouse=True)
def _quick_collections():
    """Leave what is there already out of collections: each halving makes one, which takes long in a large process."""
    gc.freeze()
    yield
    gc.unfreeze()


def device(free=lambda: None):
    return memory.Device(lambda error: isinstance(error, Full), lambda error: isinstance(error, Gone), free)


def manifest(runner):
    return tomllib.loads((RUNNERS / runner / "runner.toml").read_text())


@pytest.mark.parametrize("runner", FAMILIES)
def test_every_model_has_parameters_that_its_runner_takes_and_a_pinned_commit(runner):
    told = manifest(runner)
    assert told["models"]
    for model in told["models"].values():
        vlm_params.read_vlm_params({**told["defaults"], **model}, PIXELS)
        assert re.fullmatch("[0-9a-f]{40}", model["revision"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dtype": "fp32"}, "dtype = 'fp32': expected one of auto, float32, bfloat16, float16"),
        ({"temperature": -1}, "temperature = -1.0: expected 0 (greedy) or more"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0: expected at least 1"),
        ({"checkpoint": ""}, "checkpoint is empty: name a model of the Hugging Face hub or a local folder"),
        ({"top_p": 1.5}, "top_p = 1.5: expected more than 0 and at most 1"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError) as caught:
        vlm_params.read_vlm_params({**manifest("qwen2_vl")["defaults"], "checkpoint": "x", **changes}, PIXELS)
    assert (str(caught.value), caught.value.kind) == (sentence, "bad_params")


def test_only_what_has_equal_parameters_shares_a_batch():
    rows = [{"a": 1, "b": 2}, {"a": 2, "b": 2}, {"b": 2, "a": 1}]
    assert vlm_params.group_alike(rows, lambda row: row) == [[0, 2], [1]]


@settings(max_examples=20)
@given(items=st.integers(1, 40), room=st.integers(1, 40))
def test_a_batch_is_halved_until_it_fits_and_answers_stay_in_order(items, room):
    def ask(part):
        if len(part) > room:
            raise Full
        return [-item for item in part]

    answers = memory.ask_in_parts(ask, list(range(items)), device(), memory.Portion())
    assert [answer for answer, _ in answers] == [-item for item in range(items)]
    assert bool(answers[0][1]) == (items > room)


def test_what_once_did_not_fit_is_not_tried_again_at_once():
    sizes, portion = [], memory.Portion()

    def ask(part):
        sizes.append(len(part))
        if len(part) > 4:
            raise Full
        return part

    for _ in range(3):
        memory.ask_in_parts(ask, list(range(8)), device(), portion)
    assert sizes == [8, 4, 4, 4, 4, 5, 2, 2, 2, 2]  # 4 held, so 5 is tried


def test_memory_is_given_back_when_nothing_holds_the_failed_call_any_more():
    class Tensor:
        pass

    held, alive = [], []

    def ask(part):
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        if len(part) > 1:
            raise Full
        return part

    memory.ask_in_parts(ask, [1, 2], device(lambda: alive.append(held[-1]() is not None)), memory.Portion())
    assert alive == [False]


@settings(max_examples=20)
@given(items=st.lists(st.booleans(), min_size=1, max_size=20))
def test_one_request_that_does_not_fit_is_out_of_memory_and_the_others_are_answered(items):
    """Those after it are asked together, as many as before."""

    def ask(part):
        if any(part):
            raise Full
        return part

    portion = memory.Portion()
    answers = memory.ask_in_parts(ask, items, device(), portion)
    kinds = [getattr(answer, "kind", None) for answer, _ in answers]
    assert kinds == ["oom" if is_large else None for is_large in items]
    if items[-1]:
        assert portion.most is None


def test_how_often_the_memory_ran_out_for_a_request_is_told(capsys):
    def ask(part):
        if len(part) > 2 or 5 in part:
            raise Full
        return [len(part)] * len(part)

    answers = memory.ask_in_parts(ask, list(range(8)), device(), memory.Portion())
    assert [times for _, times in answers] == [2, 2, 2, 2, 2, 3, 1, 1]
    assert [size for size, _ in answers[:5] + answers[6:]] == [2, 2, 2, 2, 1, 2, 2]
    assert "out of memory with 8 requests together: trying 4" in capsys.readouterr().out


def test_what_was_answered_before_the_device_was_lost_is_kept():
    def ask(part):
        if len(part) > 2:
            raise Full
        if 2 in part:
            raise Gone("illegal access")
        return part

    answers = [answer for answer, _ in memory.ask_in_parts(ask, [1, 0, 2, 3, 4], device(), memory.Portion())]
    assert answers[:2] == [1, 0]
    assert [str(answer) for answer in answers[2:]] == ["the device is lost: Gone: illegal access"] * 3
    assert {answer.kind for answer in answers[2:]} == {"device_lost"}


def test_other_errors_pass():
    def ask(part):
        raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        memory.ask_in_parts(ask, [1, 2], device(), memory.Portion())
    assert not hasattr(caught.value, "kind")


def test_a_local_folder_is_taken_from_home_or_from_the_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"model_type": "qwen2_vl"}')
    for given_as in ("mine", "./mine", "~/mine", str(tmp_path / "mine")):
        found = checkpoints.find_checkpoint(given_as, "main", ("qwen2_vl",))
        assert (found.folder, found.name) == (str(tmp_path / "mine"), "mine")


@pytest.mark.parametrize(
    ("checkpoint", "config", "sentence"),
    [
        ("./gone", None, "checkpoint = './gone': there is no folder {here}/gone"),
        ("a/b/c", None, "checkpoint = 'a/b/c': there is no folder {here}/a/b/c"),
        ("mine", None, "the checkpoint in {here}/mine has no readable config.json: No such file or directory"),
        ("mine", "[]", "the checkpoint in {here}/mine has no readable config.json: it is no JSON object"),
        (
            "mine",
            '{"model_type": "llava"}',
            "the checkpoint 'mine' is of type 'llava', and this runner loads qwen2_vl",
        ),
    ],
)
def test_a_folder_that_is_no_checkpoint_of_the_family_is_one_sentence(
    tmp_path, monkeypatch, checkpoint, config, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    if config is not None:
        (tmp_path / "mine" / "config.json").write_text(config)
    with pytest.raises(checkpoints.CheckpointError) as caught:
        checkpoints.find_checkpoint(checkpoint, "main", ("qwen2_vl",))
    assert (str(caught.value), caught.value.kind) == (sentence.format(here=tmp_path), "bad_params")
