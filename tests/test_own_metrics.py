"""A user's own metrics in files of the workspace: how they are found, called, and told of when they are wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.metrics import METRICS
from orchestrator.metrics.own import load_own_metrics
from tests.scored_run import Asked, by_metric, make_run

DIGITS = '''\
from orchestrator.metrics import metric


@metric
def digit_share(answer, references):
    """Share of the reference's digits that the answer has.

    And more about it.
    """
    return sum(digit in answer for digit in references[0]) / len(references[0])
'''
SAMPLE = """\
from orchestrator.metrics import metric


@metric(name="longer", unit="characters", direction="lower", needs_reference=False, version=3)
def anything(answer, references, sample):
    assert references == []
    assert set(sample) == {
        *("id", "question", "doc_class", "question_type", "answer_bbox", "metadata", "images", "document", "info")
    }
    assert sample["images"] == []
    return len(answer) - len(sample["question"]) if answer else None
"""


ODD = """

class Odd:
    def __getattr__(self, name):
        raise ValueError("odd")


x = Odd()
"""


@pytest.fixture
def root(tmp_path):
    """Make a workspace with a folder `metrics`, in which a run lies."""
    (tmp_path / "bakeoff.toml").touch()
    (tmp_path / "metrics").mkdir()
    (tmp_path / "results").mkdir()
    return tmp_path


def load(root, code, name="mine"):
    (root / "metrics" / f"{name}.py").write_text(code)
    return load_own_metrics(root / "metrics", METRICS)


def score(root, asked, *names):
    summary = api.score(make_run(root / "results", asked), metrics=names, workspace=root)
    return by_metric(summary)


def test_a_decorated_function_is_a_metric_that_can_be_named(root):
    load(root, DIGITS)
    figures = score(root, [Asked(["12"], ["1"]), Asked(["12"], ["21"])], "digit_share", "exact")
    assert (figures["digit_share"].mean, figures["exact"].mean) == (0.75, 0.0)
    metrics, defects = api.list_metrics(root)
    assert metrics["digit_share"].description == "Share of the reference's digits that the answer has."
    assert defects == {}


def test_it_is_not_computed_unless_it_is_named(root):
    load(root, DIGITS)
    assert "digit_share" not in score(root, [Asked(["12"], ["1"])])


def test_a_third_argument_gets_the_sample_and_none_is_no_score(root):
    load(root, SAMPLE)
    figures = score(root, [Asked([], ["question 0 and"]), Asked([], [""])], "longer")
    assert (figures["longer"].mean, figures["longer"].reasons) == (4.0, {"no_score": 1})
    metric = api.list_metrics(root)[0]["longer"]
    assert (metric.unit, metric.direction, metric.version) == ("characters", "lower", 3)


def test_a_declared_normaliser_comes_first_and_more_can_be_added_by_name(root):
    code = "from orchestrator.metrics import metric\n\n@metric(normaliser='norm')\ndef same(a, r):\n    return a in r\n"
    load(root, code)
    figures = score(root, [Asked(["IVANOV"], [" ivanov. "])], "same", "same@ci")
    assert (figures["same"].mean, figures["same@ci"].mean) == (0.0, 1.0)


def test_the_function_stays_as_it_is(root):
    namespace = {}
    exec(DIGITS, namespace)
    assert namespace["digit_share"]("12", ["12"]) == 1.0


def test_an_error_while_scoring_names_file_line_and_sample(root):
    code = DIGITS.replace("/ len(references[0])", "/ (len(references[0]) - 2)")
    load(root, code)
    with pytest.raises(BakeoffError) as caught:
        score(root, [Asked(["1"], ["1"]), Asked(["12"], ["1"])], "digit_share")
    assert str(caught.value) == (
        "metrics/mine.py, line 10, in digit_share: ZeroDivisionError: division by zero, of sample 's1'"
    )


def test_an_error_within_a_library_names_the_line_that_called_it(root):
    load(root, "import json\n" + DIGITS.replace("return", "json.loads(answer)\n    return"))
    with pytest.raises(
        BakeoffError, match=r"^metrics/mine.py, line 11, in digit_share: JSONDecodeError: .*sample 's0'"
    ):
        score(root, [Asked(["1"], ["no JSON"])], "digit_share")


@pytest.mark.parametrize("value", ["'good'", "float('nan')", "[1]", "answer"])
def test_what_is_no_number_is_told_with_its_sample(root, value):
    load(
        root, f"from orchestrator.metrics import metric\n\n@metric\ndef odd(answer, references):\n    return {value}\n"
    )
    with pytest.raises(
        BakeoffError, match=r"metrics/mine.py, line 3: odd returned .* for sample 's0'; it should return"
    ):
        score(root, [Asked(["a"], ["a"])], "odd")


@pytest.mark.parametrize(
    ("code", "defect"),
    [
        (
            "import no_such_library\n",
            r"metrics/mine.py, line 1: ModuleNotFoundError: .*; install it beside bakeoff, or",
        ),
        ("x = 1\n\ndef f(:\n", r"metrics/mine.py, line 3: SyntaxError: "),
        ("x = 1\n", r"metrics/mine.py: holds no metric; put `@metric`"),
        ("raise SystemExit(3)\n", r"metrics/mine.py, line 1: SystemExit: 3"),
        ("\udc80", r"metrics/mine.py, line 1: SyntaxError: .*utf-8"),
        (DIGITS.replace("answer, references", "answer"), r"line 4: digit_share should take \(answer, references\) or"),
        (DIGITS.replace("digit_share", "cer"), r"there is a metric 'cer' already; give it another name"),
        (DIGITS.replace("@metric\n", "@metric(name='a b')\n"), r"a metric's name is made of .* not 'a b'"),
        (DIGITS.replace("@metric\n", "@metric(direction='up')\n"), r"direction is 'higher' or 'lower'.* not 'up'"),
        (DIGITS.replace("@metric\n", "@metric(normaliser='lower')\n"), r"line 4: there is no normaliser 'lower'"),
        (DIGITS.replace("@metric\n", "@metric(units='x')\n"), r"line 4: TypeError: .*units"),
        (DIGITS.replace("@metric\n", "@metric(name=5)\n"), r"line 4: @metric\(name=5\) should be a text or None"),
        (DIGITS.replace("@metric\n", "@metric(normaliser=5)\n"), r"@metric\(normaliser=5\) should be a text or None"),
        (DIGITS.replace("@metric\n", "@metric(unit=None)\n"), r"@metric\(unit=None\) should be a text$"),
        (DIGITS.replace("@metric\n", "@metric(version='2')\n"), r"@metric\(version='2'\) should be a whole number"),
        (DIGITS.replace("@metric\n", "@metric('share')\n"), r"above a function, not above str 'share'.*name="),
        (DIGITS + "\n\n@metric\nclass A:\n    pass\n", r"line 13: @metric stands above a function, not above type"),
        (DIGITS.replace("def ", "async def "), r"line 4.*: @metric: digit_share should be a plain function"),
        (DIGITS.replace("return", "yield"), r"line 4.*: @metric: digit_share should be a plain function"),
        (DIGITS + ODD, r"metrics/mine.py, line 15, in __getattr__: ValueError: odd"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(root, code, defect):
    (root / "metrics" / "mine.py").write_bytes(code.encode("utf-8", "surrogateescape"))
    found = load_own_metrics(root / "metrics", METRICS)
    assert found.metrics == {}
    assert re.search(defect, found.defects["mine"]), found.defects


def test_a_defective_file_is_told_of_only_where_its_metric_is_asked_for(root):
    load(root, "x = 1\n", "broken")
    load(root, DIGITS)
    assert score(root, [Asked(["1"], ["1"])], "digit_share")["digit_share"].mean == 1.0
    with pytest.raises(UsageError, match=r"metrics/broken.py: holds no metric"):
        score(root, [Asked(["1"], ["1"])], "broken")
    with pytest.raises(UsageError, match=r"no metric 'nosuch', unless here: metrics/broken.py: holds no metric"):
        score(root, [Asked(["1"], ["1"])], "nosuch")
    (root / "metrics" / "broken.py").unlink()
    with pytest.raises(UsageError, match=r"no metric 'digit_shares'; did you mean 'digit_share'"):
        score(root, [Asked(["1"], ["1"])], "digit_shares")


def test_a_wrapped_function_is_a_metric_and_an_odd_file_leaves_the_others(root):
    load(root, "from orchestrator.metrics import metric\n\n@metric(name=5)\ndef f(a, r):\n    return 1\n", "odd")
    code = DIGITS.replace("@metric\n", "@metric\n@lru_cache\n").replace("answer, references", "answer, references=1")
    found = load(root, f"from functools import lru_cache\n{code}")
    assert (list(found.metrics), list(found.defects)) == (["digit_share"], ["odd"])
    with pytest.raises(BakeoffError, match=r"metrics/mine.py: TypeError: unhashable .*, of sample 's0'"):
        score(root, [Asked(["1"], ["1"])], "digit_share")


def test_the_worst_answers_are_those_by_its_direction_and_in_its_unit(root):
    load(root, SAMPLE)
    score(root, [Asked([], ["x" * 20]), Asked([], ["x" * 30])], "longer")
    table = api.report(root / "results" / "run", worst=1, metric="longer", workspace=root)[-1]
    assert (table.title, table.rows[0][:2]) == ("Worst answers of echo by longer (characters)", ("20.000", "s1"))
    with pytest.raises(UsageError, match=r"was not scored by longr; did you mean 'longer'\? run `bakeoff score run"):
        api.report(root / "results" / "run", worst=1, metric="longr", workspace=root)
    with pytest.raises(UsageError, match=r"was not scored by cer; run `bakeoff score run --metric cer`"):
        api.report(root / "results" / "run", worst=1, workspace=root)
    score(root, [Asked(["ab"], ["AB"]), Asked(["ab"], ["AX"])], "cer@ci")
    table = api.report(root / "results" / "run", worst=1, metric="cer@ci", workspace=root)[-1]
    assert (table.title, table.rows[0][:2]) == ("Worst answers of echo by cer@ci (fraction)", ("0.500", "s1"))


def test_what_a_metric_writes_to_its_sample_no_other_sees(root):
    code = """\
from orchestrator.metrics import metric


@metric
def {name}(answer, references, sample):
    sample["metadata"]["seen"] = sample["metadata"].get("seen", 0) + 1
    return sample["metadata"]["seen"]
"""
    metrics = [load(root, code.format(name=name), name).metrics[name] for name in ("one", "two")]
    sample = {"id": "s0", "metadata": {}, "images": [("a.png", "")], "info": {}}
    assert [metric.measure("1", ("1",), sample).score for metric in metrics] == [1.0, 1.0]
    assert sample["metadata"] == {}


def test_what_a_metric_prints_goes_to_standard_error(root, capsys):
    load(root, "print('loaded')\n" + DIGITS.replace("return", "print('called')\n    return"))
    score(root, [Asked(["1"], ["1"])], "digit_share")
    out, err = capsys.readouterr()
    assert (out, "loaded" in err, "called" in err) == ("", True, True)


def test_a_file_imports_the_helpers_beside_it_and_nothing_stays(root):
    for answer in ("1", "2"):
        load(root, f"VALUE = {answer}\n", "_helper_of_test")
        found = load(root, "from _helper_of_test import VALUE\n" + DIGITS.replace("return", "return VALUE +"))
        assert found.metrics["digit_share"].measure("1", ("1",), {"id": "s0"}).score == float(answer) + 1
    assert "_helper_of_test" not in sys.modules
    assert not (root / "metrics" / "__pycache__").exists()
    assert "ModuleNotFoundError" in load(root, "import digits_beside\n" + DIGITS).defects["mine"]


def test_files_beginning_with_an_underscore_are_passed_over_and_nothing_is_written(root):
    load(root, "raise RuntimeError", "_helpers")
    found = load(root, DIGITS)
    assert (list(found.metrics), found.defects) == (["digit_share"], {})
    assert not (root / "metrics" / "__pycache__").exists()


@pytest.mark.slow
def test_the_command_line_lists_and_uses_it(root):
    load(root, DIGITS)
    load(root, "x = 1\n", "broken")
    make_run(root / "results", [Asked(["12"], ["1"])])

    def bakeoff(*words):
        command = [sys.executable, "-m", "orchestrator", *words]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)

    listed = bakeoff("list", "metrics")
    assert "digit_share" in listed.stdout
    assert "metric broken cannot be used: metrics/broken.py: holds no metric" in listed.stderr
    assert bakeoff("score", "run", "--metric", "digit_share").returncode == 0
    assert "digit_share" in (root / "results" / "run" / "summary.csv").read_text()
    failed = bakeoff("score", "run", "--metric", "cer", "--extract", "tink")
    assert (failed.returncode, "there is no extraction 'tink'" in failed.stderr) == (2, True)


def write_examples(root):
    text = (Path(__file__).parent.parent / "docs" / "own-metrics.md").read_text()
    for name, content in re.findall(r"^`(metrics/[\w./]+)`\n\n```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)


def test_the_functions_of_the_docs_score_as_written(root):
    write_examples(root)
    figures = score(
        root, [Asked(["12.50"], ["1 2"]), Asked(["none"], [" " * 99 + "x " * 12])], "digit_share", "words_over"
    )
    assert (figures["digit_share"].mean, figures["digit_share"].reasons) == (0.5, {"no_score": 1})
    assert figures["words_over"].mean == 1.0
    metrics, defects = api.list_metrics(root)
    assert (metrics["rouge_l"].direction, defects) == ("higher", {})


@pytest.mark.slow
def test_the_folder_of_the_docs_scores_as_written(root, built_envs):
    (root / "envs").symlink_to(built_envs)
    write_examples(root)
    figures = score(root, [Asked(["the total is 12"], ["total is 12"]), Asked(["a"], ["b"])], "rouge_l")
    assert (figures["rouge_l"].mean, figures["rouge_l"].reasons) == (pytest.approx((6 / 7) / 2), {})
