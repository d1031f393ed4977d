"""`bakeoff compare`: what it shows of two runs, what it writes, and its exit codes."""

import json

import pytest

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.reporting.compared import compared_tables
from orchestrator.results.plan import EnvRecord, now, read_plan, write_plan
from orchestrator.scoring import score_run
from tests.compared_runs import BAD, GOOD, add_model, change_cell, run_of


@pytest.fixture
def runs(tmp_path):
    return run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", BAD)


def test_the_command_shows_what_changed_and_without_a_gate_always_succeeds(bakeoff, runs):
    code, out, err = bakeoff("compare", *runs)
    assert (code, err) == (0, "")
    assert "A: before, B: after" in out
    assert "exact ↑  echo / read  1.000  0.250  -0.750 [-0.958, -0.542]  20  <0.001  worse" in out
    assert "cer ↓    echo / read  0.000  0.375  +0.375" in out
    assert "echo / read: the same runner, environment, parameters and prompt in both." in out
    assert "right -> wrong" in out
    assert "s0      0.000  0.500      +0.500" in out
    assert "Gate" not in out


def test_the_gate_ends_with_exit_code_4_for_a_regression_and_0_for_none(bakeoff, runs, tmp_path):
    code, out, err = bakeoff("compare", *runs, "--max-regression", "0.1")
    assert code == 4
    assert "Gate: failed. More than allowed (0.100 in exact, 0.100 in cer) was lost in 2 of 2 comparisons" in out
    assert err.startswith("error: after: lost more than allowed in 2 of 2 comparisons: exact of echo / read lost 0.750")
    assert "; cer lost 0.375" in err
    code, out, err = bakeoff("compare", *reversed(runs), "--max-regression", "0", "--strict")
    assert (code, err) == (0, "")
    assert "at most" not in out
    assert "Gate: passed. A loss of more than 0.000 in exact, 0.000 in cer is ruled out in 2 comparisons." in out


def test_what_cannot_be_told_passes_with_a_sentence_and_fails_when_strict(bakeoff, tmp_path):
    before, after = run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", ["abxy", *GOOD[1:]])
    code, out, _ = bakeoff("compare", before, after, "--max-regression", "exact=0.02")
    assert code == 0
    told = "exact of echo / read lost 0.050 (0.249 at most: 1 of 20 documents changed much)."
    assert f"Gate: not failed; undecided in 1 of 1 comparison: {told}" in " ".join(out.split())
    assert "it takes 183 of them without a loss" in " ".join(out.split())
    why = "fewer than 10 documents changed much, no interval tells what a rarer change is worth. So the loss at most"
    assert why in out
    assert "passed" not in out
    assert "cer" not in out.replace("certain", "")
    code, out, err = bakeoff("compare", before, after, "--max-regression", "exact=0.02", "--strict")
    assert code == 4
    assert "Gate: failed, as --strict asks for more" in out
    assert err.startswith("error: after: no regression was found, but --strict asks to rule one out; not ruled out in")


def test_a_gate_by_which_nothing_could_be_lost_has_not_passed_and_fails_when_strict(bakeoff, tmp_path):
    bad = ["wxyz"] * 20
    before, after = run_of(tmp_path, "before", bad), run_of(tmp_path, "after", ["abxy", *bad[1:]])
    code, out, err = bakeoff("compare", before, after, "--max-regression", "0.1")
    out = " ".join(out.split())
    assert (code, err) == (0, "")
    assert "Gate: not failed; nothing to lose. Gate: nothing to lose in 2 of 2 comparisons: exact of echo / read" in out
    assert "(A's mean is 0.000, and 0.000 the worst there is); cer" in out
    assert "(A's mean is 1.000, and 1.000 the worst there is). Whatever B does there, no loss is more than" in out
    assert "passed" not in out
    assert "More documents" not in out
    code, _, err = bakeoff("compare", before, after, "--max-regression", "0.1", "--strict")
    assert code == 4
    assert (
        "no regression was found, but --strict asks to rule one out; nothing to lose in 2 of 2 comparisons: ex" in err
    )
    assert "not ruled out" not in err


def test_what_was_asked_and_scored_in_part_is_told(bakeoff, tmp_path):
    before, after = run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", GOOD[:12], metrics=["exact"])
    code, out, err = bakeoff("compare", before, after, "--max-regression", "0.3")
    assert (code, out) == (2, "")
    assert "after: was asked 12 of the 20 samples of echo / read, so that the gate would judge a part" in err
    code, out, err = bakeoff("compare", before, after, "--max-regression", "0.3", "--shared", "--strict")
    out = " ".join(out.split())
    assert code == 4
    assert "Gate: failed, as --strict asks for more, on 12 of A's 20 samples; not all was judged." in out
    assert "Gate: not judged: cer, 8 of 20 samples of echo / read, as the other run was not asked the rest." in out
    assert "Not compared, of A: cer: the other run has no scores by it; `bakeoff score after --metric exact" in out
    assert "not judged: cer, 8 of 20 samples" in err


def test_of_few_documents_it_says_what_decided_and_promises_nothing(bakeoff, tmp_path):
    before, after = run_of(tmp_path, "before", GOOD[:4]), run_of(tmp_path, "after", ["abxy", *GOOD[1:4]])
    code, out, err = bakeoff("compare", before, after, "--max-regression", "exact=0.1")
    assert code == 4
    assert "lost 0.250 in 4 documents, too few for a test, so that the loss which is seen decides" in err
    assert "is found in 80 % of cases" not in out
    assert (
        "Of 4 documents no difference can be shown among 1 comparison, however great; it takes 6 or more."
        in " ".join(out.split())
    )


def test_one_run_has_no_a_and_b(bakeoff, tmp_path):
    run = run_of(tmp_path, "a", GOOD)
    add_model(run, "other", BAD)
    score_run(run)
    assert "a: A is each row's first cell, B its second" in " ".join(bakeoff("compare", run, run)[1].split())


def test_a_failed_gate_tells_how_many_answers_are_lacking(bakeoff, tmp_path):
    before = run_of(tmp_path, "before", GOOD, metrics=["exact"])
    after = run_of(tmp_path, "after", ["<refused>"] * 12 + ["abcd"] * 8, metrics=["exact"])
    code, out, err = bakeoff("compare", before, after, "--max-regression", "0.1")
    assert code == 4
    assert "count as the worst: of 0 samples in A and 12 in B" in out
    assert "12 of its samples lacking an answer" in err
    code, out, _ = bakeoff("compare", before, after, "--max-regression", "0.1", "--missing", "left-out")
    assert code == 0
    assert "Left out are samples with a score in one run alone: 12 of A and 0 of B" in out


def test_json_and_files_hold_all_of_it(bakeoff, runs, tmp_path):
    code, out, _ = bakeoff("compare", *runs, "--max-regression", "0.1", "--json", "--output", tmp_path / "x.md")
    found = json.loads(out)
    assert code == 4
    assert [each["outcome"] for each in found["gate"]["findings"]] == ["regression", "regression"]
    assert [each["n_broken"] for each in found["changes"]] == [15, 15]
    assert (found["gate"]["passed"], found["gate"]["failed"], found["gate"]["failed_strict"]) == (False, True, True)
    names = ("cannot tell", "passed", "unchanged", "nothing to lose", "unjudged")
    assert found["gate"]["counts"] == {"regression": 2, **dict.fromkeys(names, 0)}
    assert "| exact ↑ | echo / read | 1.000 | 0.250 |" in (tmp_path / "x.md").read_text()
    bakeoff("compare", *runs, "--max-regression", "0.1", "--output", tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == found


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--strict"], "--strict is about a gate; say with --max-regression what may be lost"),
        (["--output", "x.txt"], "--output x.txt: give a file that ends in .json or .md"),
        (["--max-regression", "cer"], "--max-regression cer: write it as a number, or as METRIC=0.01"),
        (["--max-regression", "0.1", "--max-regression", "cer=0.1"], "cer=0.1: give one for all metrics, or one of"),
        (
            ["--max-regression", "cer=0.1", "--max-regression", "cer=0.1"],
            "cer=0.1: give one for all metrics, or one of",
        ),
        (["--metric", "ccer"], "before: was not scored by 'ccer'; did you mean 'cer'?"),
        (["--cells", "echo", "ecko"], "after: has no cell 'ecko'; known: echo / read"),
    ],
)
def test_bad_input_is_one_sentence(bakeoff, runs, options, told):
    code, out, err = bakeoff("compare", *runs, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_scores_of_a_run_that_went_on_are_refused(runs):
    write_plan(runs[1], read_plan(runs[1]).model_copy(update={"updated": now()}))
    with pytest.raises(BakeoffError, match="after: the run went on since it was scored; run `bakeoff score after` aga"):
        api.compare(*runs)


def env(torch, fingerprint):
    return EnvRecord(fingerprint=fingerprint, python="3.11.9", locked=True, packages={"torch": torch, "pillow": "11"})


def test_what_differs_between_two_runs_of_a_model_is_told(runs):
    for run, torch in zip(runs, ("2.1", "2.2"), strict=True):
        change_cell(run, params={"checkpoint": f"org/model-{torch}", "temperature": 0.0})
        write_plan(
            run, read_plan(run).model_copy(update={"envs": {"echo": env(torch, torch)}, "git_commit": "ab" * 20})
        )
    change_cell(runs[1], runner_digest="1" * 64, prompt_sha256="2" * 64, repeats=3)
    write_plan(runs[1], read_plan(runs[1]).model_copy(update={"bakeoff_version": "9"}))
    of_runs, of_cell = api.compare(*runs).origins
    commit = "(workspace commit ababababab)"
    assert of_runs == f"The runs were begun by bakeoff 0 {commit} and 9 {commit}."
    assert of_cell == (
        "echo / read: the runner's code or lock changed; checkpoint org/model-2.1 -> org/model-2.2; "
        "another environment: torch 2.1 -> 2.2; the prompt read has another text; asked 1 and 3 times."
    )


def test_cells_without_a_counterpart_are_named(runs):
    add_model(runs[0], "other", GOOD)
    score_run(runs[0])
    notes = "\n".join(compared_tables(api.compare(*runs))[0].notes)
    assert "Not compared, of A: other / read: the other run has no cell of that name." in notes
    notes = "\n".join(compared_tables(api.compare(*reversed(runs)))[0].notes)
    assert "Not compared, of B: other / read" in notes


def test_runs_of_two_models_are_compared_prompt_by_prompt_and_named_cells_as_named(tmp_path):
    before, after = run_of(tmp_path, "before", GOOD), run_of(tmp_path, "after", BAD, model="other")
    found = api.compare(before, after, metrics=["exact"])
    assert compared_tables(found)[0].rows[0][1] == "echo / read -> other / read"
    assert found.origins == ()
    add_model(before, "third", BAD)
    score_run(before)
    with pytest.raises(
        UsageError,
        match="no cell of before has the name of one of after; name two with --cells A B, of echo / read, third",
    ):
        api.compare(before, after)
    cells = [("echo", "other"), ("third", "other / read")]
    verdicts = [each.verdict for each in api.compare(before, after, cells=cells, metrics=["exact"]).comparisons]
    assert verdicts == ["worse", "no difference seen"]


LONG = "a-model-of-a-very-long-name"


def test_a_long_name_of_the_only_two_cells_is_said_once_in_the_title(tmp_path):
    before, after = run_of(tmp_path, "before", GOOD, model=LONG), run_of(tmp_path, "after", BAD, model=f"{LONG}-2")
    first, *others = compared_tables(api.compare(before, after, max_regression=0.1))
    assert first.title == f"A: before, B: after; {LONG} / read -> {LONG}-2 / read"
    assert (first.header[:2], first.rows[0][:2], first.labels) == (("metric", "A"), ("exact ↑", "1.000"), 1)
    assert all("cell" not in each.header and LONG not in str(each.rows) for each in others)
    assert str(first.notes).count(LONG) == 1


def test_long_names_of_several_cells_are_numbered_and_explained(tmp_path):
    before, after = run_of(tmp_path, "before", GOOD, model=LONG), run_of(tmp_path, "after", BAD, model=f"{LONG}-2")
    add_model(after, "third", BAD)
    score_run(after)
    found = api.compare(before, after, cells=[(LONG, f"{LONG}-2"), (LONG, "third")])
    tables = compared_tables(found)
    assert [row[1] for row in tables[0].rows] == ["c1", "c1", "c2", "c2"]
    assert tables[0].notes[:2] == (f"c1: {LONG} / read -> {LONG}-2 / read", f"c2: {LONG} / read -> third / read")
    assert {row[1] for each in tables[1:] for row in each.rows} == {"c1", "c2"}


def test_no_interval_of_a_fraction_reaches_beyond_what_these_can_differ_by(tmp_path):
    before = run_of(tmp_path, "before", ["abcd"] * 7, metrics=["exact"])
    after = run_of(tmp_path, "after", ["abxy"] * 6 + ["abcd"], metrics=["exact"])
    found = api.compare(before, after)
    assert found.comparisons[0].low < -1
    assert compared_tables(found)[0].rows[0][4].startswith("-0.857 [-1.000, ")


def test_a_group_that_alone_changed_is_told_and_few_documents_are_not_compared(tmp_path):
    types = {"question_type": ["total"] * 20 + ["date"] * 20 + ["rare"] * 5}
    good = ["abcd"] * 45
    before = run_of(tmp_path, "before", good, metrics=["exact"], **types)
    after = run_of(tmp_path, "after", ["abxy"] * 12 + good[12:], metrics=["exact"], **types)
    found = api.compare(before, after)
    assert found.n_groups == 2
    (group,) = found.groups
    assert (group.division, group.group, group.comparison.difference) == ("question_type", "total", -0.6)
    tables = {table.title: table for table in compared_tables(found)}
    assert tables["By doc_class and question_type"].rows[0][:2] == ("question_type", "total")


def test_the_samples_that_changed_most_are_named_worst_first_then_best(tmp_path):
    before = run_of(tmp_path, "before", ["abcd", "abcd", "abcd", "wxyz", "abxx"], metrics=["cer"])
    after = run_of(tmp_path, "after", ["abcx", "wxyz", "abcd", "abcd", "abcx"], metrics=["cer"])
    (change,) = api.compare(before, after, samples=1).changes
    assert [(each.sample_id, each.first, each.second) for each in change.samples] == [
        ("s1", 0.0, 1.0),
        ("s3", 1.0, 0.0),
    ]
    (change,) = api.compare(before, after).changes
    assert [each.sample_id for each in change.samples] == ["s1", "s0", "s3", "s4"]
    assert (change.n_broken, change.n_mended) == (2, 1)
