"""The campaigns of tests/faults find nothing, and the runner that they use does what its script says."""

import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from orchestrator.protocol import Failure, Response
from orchestrator.results.layout import predictions_path
from orchestrator.session import Gone, Session
from tests.faults.__main__ import main
from tests.faults.harness import (
    CAMPAIGNS,
    Verdict,
    carry_out,
    read_oracle,
    running_elsewhere,
    trial,
    workspace_at,
)
from tests.faults.ledger import Ledger
from tests.workers import ask, load, spec_of

SEED = 20260729
QUICK: set[str] = set()  # make test has no time for any


@pytest.fixture
def chaos(workspace, tmp_path):
    """Return what asks the chaos runner, with batches of `batch_max`."""
    params = {"oracle": str(tmp_path / "oracle")}

    def chaos(*questions, batch_max=1, **changes):
        with Session(spec_of(workspace, "chaos", params, batch_max=batch_max, **changes)) as session:
            load(session)
            return ask(session, *questions)

    return chaos


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CAMPAIGNS])
def test_a_campaign_finds_nothing(name, tmp_path):
    verdict = carry_out(name, SEED, None, tmp_path)
    assert verdict.defects == ()


def find_two_defects(seed, count, folder):
    with trial(folder, "broken") as found:
        found.expect(that=False, otherwise="an answer is lost")
        raise RuntimeError("and then this")
    return Verdict("wire", seed, count, {"answers": 3}, tuple(found.defects))


def test_defects_are_shown_with_the_seed_kept_and_are_a_failure(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tests.faults.wire", SimpleNamespace(run=find_two_defects))
    result = CliRunner().invoke(main, ["--campaign", "wire", "--seed", "7", "--keep", str(tmp_path)])
    place = tmp_path / "wire" / "broken"
    assert result.exit_code == 1
    assert f"DEFECT {place}: an answer is lost" in result.output
    assert f"DEFECT {place}: RuntimeError: and then this" in result.output
    assert f"wire: 2 defects, count {CAMPAIGNS['wire'].few}, seed 7" in result.output
    assert "RuntimeError" in (place / "traceback").read_text()


@pytest.mark.slow
def test_an_answer_that_was_seen_and_is_gone_is_a_defect(tmp_path, built_envs):
    with trial(tmp_path, "one") as found:
        workspace = workspace_at(found.folder / "workspace", built_envs, ["w1", "w2;sleep=0.01"])
        oracle = found.folder / "oracle"
        with running_elsewhere(workspace, ["chaos"], found.folder / "told", params={"oracle": str(oracle)}) as run:
            assert run.process.wait(30) == 0
        ledger = Ledger(found, workspace.results / "words", ("chaos",))
        ledger.look()
        assert found.defects == []
        assert {ack.text for ack in ledger.seen.values()} == {"answer w1", "answer w2"}
        assert ledger.find_repeated(read_oracle(oracle)) == []
        later = read_oracle(oracle)[0]._replace(time_ns=ledger.seen["chaos", "w1"].time_ns + 1)
        assert ledger.find_repeated([later]) == [later]
        predictions_path(workspace.results / "words", "chaos").unlink()
        ledger.look()
    assert [defect.split(": ", 1)[1] for defect in found.defects] == [
        "chaos: answers were seen and are gone or others: ['w1', 'w2']",
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("exit0", "exited with status 0"), ("kill", "SIGKILL")],
)
def test_the_chaos_runner_dies_as_it_is_told(chaos, word, reason):
    gone = chaos(f"w1;{word}")["gone"]
    assert reason in gone.reason
    assert gone.suspects == (f"w1;{word}",)


@pytest.mark.slow
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
