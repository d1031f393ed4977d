"""The campaigns of tests/faults find nothing, and the runner that they use does what its script says."""

import pytest

from orchestrator.protocol import Failure, Response
from orchestrator.session import Gone, Session
from tests.faults.harness import CAMPAIGNS, carry_out, read_oracle
from tests.workers import ask, load, spec_of

SEED = 20260729


@pytest.fixture
def chaos(workspace, tmp_path):
    """Return what asks the chaos runner, with batches of `batch_max`."""
    params = {"oracle": str(tmp_path / "oracle")}

    def chaos(*questions, batch_max=1, **changes):
        with Session(spec_of(workspace, "chaos", params, batch_max=batch_max, **changes)) as session:
            load(session)
            return ask(session, *questions)

    return chaos


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_finds_nothing(name, tmp_path):
    verdict = carry_out(name, SEED, None, tmp_path)
    assert verdict.defects == ()


@pytest.mark.parametrize(
    ("word", "reason"),
    [("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("exit0", "exited with status 0"), ("kill", "SIGKILL")],
)
def test_the_chaos_runner_dies_as_it_is_told(chaos, word, reason):
    gone = chaos(f"w1;{word}")["gone"]
    assert reason in gone.reason
    assert gone.suspects == (f"w1;{word}",)


def test_the_chaos_runner_hangs_with_the_interpreter_lock(chaos):
    assert chaos("w1;gil", item_timeout_s=0.3)["gone"].cause == "timeout"
    assert chaos("w1;hang", item_timeout_s=0.3)["gone"].cause == "timeout"


def test_the_chaos_runner_answers_through_noise_and_grandchildren(chaos):
    questions = ["w1", "w2;noise", "w3;stderr=100000", "w4;fork", "w5;daemon", "w6;sleep=0.01", "w7;big=10"]
    answers = chaos(*questions)
    assert [answers[question].text for question in questions[:6]] == [f"answer w{n}" for n in range(1, 7)]
    assert answers["w7;big=10"].text == "answer w7" + 10 * "x"
    assert isinstance(answers["w1"], Response)


def test_the_chaos_runner_raises_as_it_is_told(chaos):
    answers = chaos("w1;raise", "w2;oom", "w3;what")
    assert [answer.kind for answer in answers.values()] == ["bug", "oom", "bug"]
    assert all(isinstance(answer, Failure) for answer in answers.values())


def test_the_chaos_runner_breaks_the_first_times_only_or_in_a_batch_only(chaos, tmp_path):
    assert isinstance(chaos("w1;segv;times=1")["gone"], Gone)
    assert chaos("w1;segv;times=1")["w1;segv;times=1"].text == "answer w1"
    assert chaos("w2;batchonly", batch_max=4)["w2;batchonly"].text == "answer w2"
    assert isinstance(chaos("w2;batchonly", "w3", batch_max=4)["gone"], Gone)
    assert [line.name for line in read_oracle(tmp_path / "oracle")][:3] == ["w1", "w1", "w2"]
