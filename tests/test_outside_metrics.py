"""Metrics with an environment of their own: asked on the wire of the runners; what goes wrong is a reason."""

import json

import pytest

from orchestrator import api
from orchestrator.errors import UsageError
from orchestrator.metrics.outside import Reply, measure_all
from tests.scored_run import Asked, by_metric, make_run
from tests.workers import OURS

MANIFEST = f"""\
description = "share of the reference's words in the answer"
python = "{OURS}"

[metric]
direction = "higher"
"""
JUDGE = """\
import json
import os
import time


def load(params):
    return None


def generate(state, request):
    asked = json.loads(request["prompt"])
    answer = asked["answer"]
    with open("asked.txt", "a") as file:
        file.write(answer + "\\n")
    if answer == "die":
        os._exit(9)
    if answer == "sleep":
        time.sleep(60)
    if answer == "raise":
        raise ValueError("cannot be judged")
    if answer == "babble":
        return {"text": "0.5"}
    if answer == "abstain":
        return {"text": json.dumps({"score": None, "reason": "too_short"})}
    return {"text": json.dumps({"score": float(answer in asked["references"])})}
"""


@pytest.fixture
def root(tmp_path, built_envs):
    """Make a workspace with the metric `judge`, whose environment is shared between tests."""
    (tmp_path / "bakeoff.toml").touch()
    (tmp_path / "envs").symlink_to(built_envs)
    (tmp_path / "results").mkdir()
    write(tmp_path)
    return tmp_path


def write(root, code=JUDGE, manifest=MANIFEST):
    folder = root / "metrics" / "judge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runner.toml").write_text(manifest)
    (folder / "requirements.txt").touch()
    (folder / "runner.py").write_text(code)


def score(root, *answers, notify=None, extra=()):
    run = make_run(root / "results", [Asked(["good"], [answer]) for answer in answers])
    summary = api.score(run, metrics=["judge", *extra], workspace=root, notify=notify)
    return by_metric(summary)["judge"]


def asked(root):
    path = root / "asked.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_a_folder_is_a_metric_and_only_new_answers_are_measured(root):
    figure = score(root, "good", "bad", "good", "<refused>")
    assert (figure.mean, figure.n_scored, figure.reasons) == (pytest.approx(2 / 3), 3, {"refused": 1})
    assert sorted(asked(root)) == ["bad", "good", "good"]
    before = asked(root)
    assert score(root, "good", "bad", "good", "<refused>").mean == figure.mean
    assert asked(root) == before
    write(root, JUDGE.replace("float(", "0.5 * float("))
    assert score(root, "good").mean == 0.5


@pytest.mark.slow
def test_what_goes_wrong_with_an_answer_is_its_reason_and_the_others_are_scored(root):
    write(root, manifest="item_timeout_s = 1.0\n" + MANIFEST)
    told = []
    figure = score(root, "good", "die", "raise", "babble", "sleep", "abstain", "bad", notify=told.append)
    assert (figure.mean, figure.n_scored) == (0.5, 2)
    reasons = ["metric_crashed", "metric_error", "bad_score", "metric_timeout", "too_short"]
    assert figure.reasons == dict.fromkeys(reasons, 1)
    assert any(line.startswith("metric judge: ") for line in told)
    assert asked(root).count("die") == 2
    again = score(root, "good", "die", "raise")
    assert again.reasons == {"metric_crashed": 1, "metric_error": 1}
    assert asked(root).count("good") == 1


@pytest.mark.parametrize(
    "code",
    [
        JUDGE.replace("return None\n", "raise OSError('no such weights')\n", 1),
        JUDGE.replace('if answer == "die":', "if True:"),
        "import no_such_library\n" + JUDGE,
    ],
)
def test_a_metric_that_never_works_is_a_reason_and_no_stop(root, code):
    write(root, code)
    told = []
    answers = [f"answer {number}" for number in range(20)]
    figure = score(root, *answers, notify=told.append, extra=["exact"])
    assert (figure.mean, sum(figure.reasons.values())) == (None, 20)
    assert set(figure.reasons) <= {"metric_unusable", "metric_crashed"}
    assert len([line for line in told if line.startswith("metric judge: ")]) == 1
    assert len(asked(root)) <= 6


def test_a_folder_that_is_no_metric_says_why(root):
    (root / "metrics" / "judge" / "runner.toml").write_text("[metric]\ndirection = 'up'\n")
    with pytest.raises(UsageError, match=r"judge/runner.toml: .*metric.direction"):
        score(root, "good")
    metrics, defects = api.list_metrics(root)
    assert ("judge" in metrics, list(defects)) == (False, ["judge"])


def test_a_question_tells_the_sample_and_what_is_the_same_is_asked_once():
    seen = []

    def ask(questions):
        seen.extend(questions)
        return [Reply('{"score": 1}', None) for _ in questions]

    sample = dict.fromkeys(("question", "doc_class", "question_type", "document", "answer_bbox"), "x")
    sample |= {"metadata": {"n": 1}, "images": (("/a.png", "00"),)}
    measures = measure_all(["a", "b", "a"], [("r",)] * 3, [sample] * 3, ask=ask)
    assert [measure.score for measure in measures] == [1.0, 1.0, 1.0]
    assert [json.loads(question.prompt)["answer"] for question in seen] == ["a", "b"]
    prompt = json.loads(seen[0].prompt)
    assert (prompt["references"], prompt["metadata"], seen[0].images) == (["r"], {"n": 1}, (("/a.png", "00"),))


@pytest.mark.parametrize(
    "text",
    ["", "0.5", "[1]", '{"score": "1"}', '{"score": true}', '{"score": NaN}', '{"reason": "a b"}', "{}", "[" * 99999],
)
def test_a_reply_that_is_no_score_is_none(text):
    sample = dict.fromkeys(("question", "doc_class", "question_type", "document", "answer_bbox", "metadata"))
    sample["images"] = ()
    assert measure_all(["a"], [()], [sample], ask=lambda asked: [Reply(text, None)]) == ["bad_score"]


@pytest.mark.slow
def test_a_metric_brings_its_own_pinned_requirements(root):
    write(
        root,
        "from importlib.metadata import version\n"
        + JUDGE.replace('float(answer in asked["references"])', 'float(version("six") == answer)'),
    )
    (root / "metrics" / "judge" / "requirements.txt").write_text("six==1.17.0\n")
    assert score(root, "1.17.0", "1.16.0").mean == 0.5
