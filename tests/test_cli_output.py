"""What the commands that show results write where: files first, and a stdout that nobody reads loses nothing."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from orchestrator import cli
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.scoring import read_summary, score_run
from orchestrator.scoring.matching import list_cells
from tests.compared_runs import BAD, GOOD, add_model, run_of


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Stand in a workspace with two scored runs."""
    (tmp_path / "bakeoff.toml").touch()
    for name, answers in (("before", GOOD), ("after", BAD)):
        run_of(tmp_path, name, answers).rename(tmp_path / f"{name}.run")
        (tmp_path / name).rmdir()
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / f"{name}.run").rename(tmp_path / "results" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("is_buffered", [True, False])
@pytest.mark.parametrize(
    "words", [("list", "models"), ("runs", "list"), ("runs", "list", "--json"), ("runs", "verify")]
)
def test_a_command_ends_as_ever_where_nobody_reads(workspace, words, is_buffered, monkeypatch, bakeoff):
    code, _, err = bakeoff(*words)
    monkeypatch.setenv("PYTHONUNBUFFERED", "" if is_buffered else "1")
    assert with_stdout_closed(*words) == (code, err)


def with_stdout_closed(*words):
    """Call the command with a stdout that nobody reads; return its exit code and what it said on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_a_closed_stdout_loses_no_file_and_no_exit_code(workspace, monkeypatch):
    code, err = with_stdout_closed("report", "before", "--images", "none")
    assert (code, "Broken" in err, err.count("\n")) == (0, False, 1)
    assert (workspace / "results" / "before" / "report.html").is_file()
    assert with_stdout_closed("leaderboard", "before", "after", "--output", "board.md")[0] == 0
    assert (workspace / "board.md").is_file()
    gate = ("compare", "before", "after", "--max-regression", "0.1", "--output", "found.JSON")
    for form in ((), ("--json",)):
        monkeypatch.setenv("PYTHONUNBUFFERED", "1" if form else "")
        code, err = with_stdout_closed(*gate, *form)
        assert code == 4
        assert err.splitlines()[-1].startswith("error: after: lost more than allowed")
    assert json.loads((workspace / "found.JSON").read_text())["first"] == "before"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["report", "before", "--output", "results"], "--output results: is a folder; give a file's name"),
        (["report", "before", "--output", "no/x.html"], "--output no/x.html: there is no folder no"),
        (["report", "before", "--plots", "bakeoff.toml"], "--plots bakeoff.toml: bakeoff.toml is a file; give a"),
        (["report", "before", "--plots", "bakeoff.toml/x"], "bakeoff.toml is a file; give a folder's name"),
        (["report", "before", "before"], "run 'before' is named twice; name each run once"),
        (["compare", "before", "after", "--output", "no/x.md"], "--output no/x.md: there is no folder no"),
        (["leaderboard", "before", "--output", "results/x.xls"], "give a file that ends in .csv, .json or .md"),
        (["export", "before", "--output", "results"], "--output results: is a folder; give a file's name"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_told_before_anything_else(workspace, words, told, capsys):
    with pytest.raises(UsageError) as caught:
        cli.cli.main(words, standalone_mode=False)
    assert told in str(caught.value)
    assert capsys.readouterr() == ("", "")
    assert not list(workspace.glob("results/*/report.html"))


def test_a_page_that_cannot_be_made_shows_no_table(workspace, capsys):
    with pytest.raises(BakeoffError, match="nope"):
        cli.cli.main(["report", "before", "--worst", "3", "--metric", "nope"], standalone_mode=False)
    assert capsys.readouterr().out == ""
    assert not (workspace / "results" / "before" / "report.html").exists()


def test_a_report_of_several_runs_begins_with_the_ranks_of_its_page(workspace, bakeoff):
    code, out, err = bakeoff("report", "before", "after", "--images", "none", "--output", "both.html")
    assert (code, "no leaderboard" in err) == (0, False)
    titles = [line for line in out.splitlines() if line.startswith(("Leaderboard by", "Run "))]
    assert [title.partition(":")[0].partition(",")[0] for title in titles] == [
        "Leaderboard by exact",
        "Leaderboard by cer",
        "Run before",
        "Run after",
    ]
    ranks = [row.split(" | ")[:2] for row in (workspace / "both-summary.md").read_text().splitlines()[4:6]]
    assert [rank.strip("| ") for rank, _ in ranks] == ["1; 1 by cer", "2; 2 by cer"]
    assert "Leaderboard by exact" in bakeoff("report", "before", "after", "--terminal")[1]
    assert "Leaderboard" not in bakeoff("report", "before", "--terminal")[1]


def test_runs_that_cannot_be_ranked_together_are_told_once(workspace, bakeoff):
    run_of(workspace, "few", GOOD[:3]).rename(workspace / "results/few.run")
    (workspace / "results/few.run").rename(workspace / "results/few")
    for options in (["--terminal"], ["--images", "none"]):
        code, out, err = bakeoff("report", "before", "few", *options)
        assert (code, "Leaderboard" in out, err.count("no leaderboard, each run by itself: not all")) == (0, False, 1)


def test_a_renamed_run_is_called_as_its_folder_everywhere(workspace, bakeoff):
    shutil.copytree(workspace / "results/before", workspace / "results/copy")
    out = bakeoff("report", "copy", "--terminal")[1]
    assert "Run copy, dataset toy" in out
    assert "before" not in out
    assert json.loads(bakeoff("runs", "show", "copy", "--json")[1])["plan"]["name"] == "copy"
    found = read_summary(workspace / "results/copy")
    assert found.run == "copy"
    assert bakeoff("score", "copy")[0] == 0
    assert json.loads((workspace / "results/copy/summary.json").read_text())["run"] == "copy"
    assert bakeoff("compare", "before", "copy")[1].startswith("A: before, B: copy")


def test_the_cells_of_a_renamed_run_are_those_of_its_comparisons(workspace):
    run = workspace / "results/before"
    add_model(run, "other", BAD)
    score_run(run, ["exact"])
    found = read_summary(run.rename(run.with_name("renamed")))
    (each,) = found.compared.comparisons
    assert {each.first.run, each.second.run, *(cell.run for cell in list_cells(run.with_name("renamed")))} == {
        "renamed"
    }


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_run_that_lost_its_samples_is_one_sentence(workspace, lost, bakeoff):
    path = workspace / "results" / lost / "samples.parquet"
    path.unlink()
    for words in (["compare", "before", "after"], ["leaderboard", "before", "after"], ["report", "before", "after"]):
        assert bakeoff(*words) == (1, "", f"error: {path}: is not there; run the same command again\n")
