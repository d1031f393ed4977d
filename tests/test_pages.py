"""The report before a browser sees it: what it counts, chooses, embeds and writes."""

import csv
import itertools
import json
import math
import xml.etree.ElementTree as ET
from array import array

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from orchestrator.cli import cli
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.pages import against, boards, breakdowns, chosen, matrix, overview, pictures, plots, write_report
from orchestrator.pages import report as report_module
from orchestrator.pages.axes import scale_for
from orchestrator.pages.block import to_block
from orchestrator.pages.markdown import to_markdown
from orchestrator.pages.plots import make_plots
from orchestrator.pages.shapes import Dot, Line, fitted, to_svg
from orchestrator.pages.sources import open_run, open_runs, prompts_of
from orchestrator.pages.standing import find_standing
from orchestrator.pages.totals import Totals
from orchestrator.reporting.tabular import Table
from orchestrator.results.parquet import read_rows, write_table
from orchestrator.results.schema import PROMPTS
from orchestrator.scoring import read_summary, score_run
from tests.pages_run import make_image, make_pages_run, sample
from tests.payloads import PAYLOADS

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def data_of(path):
    """Return the page's data as the browser reads it."""
    text = path.read_text(encoding="utf-8")
    block = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    images = text.split('<script type="application/json" id="pictures">')[1].split("</script>")[0]
    return json.loads(block), json.loads(images)


def two_models(tmp_path, right=30, **more):
    """Write a run in which `good` is right and `poor` is wrong, and score it."""
    run = make_pages_run(
        tmp_path,
        [sample(n) for n in range(right)],
        lambda s, model, *_: f"answer {s[1:]}" if model == "good" else "zzz",
        models=("good", "poor"),
        **more,
    )
    return run, score_run(run, ["exact", "cer"])


@given(ANY_TEXT)
def test_any_text_comes_back_out_of_a_block_and_none_ends_it(text):
    block = to_block([text])
    assert json.loads(block) == [text]
    assert not set(block) & set("<>&\u2028\u2029")
    block.encode("utf-8")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_can_end_a_block(payload):
    assert "<" not in to_block({payload: [payload]})


def test_the_best_is_marked_where_every_other_one_was_found_worse(tmp_path):
    _, summary = two_models(tmp_path)
    assert find_standing(summary, "exact") == {("good", "{}", "read"): "best"}


def test_nobody_is_best_where_the_data_do_not_tell_cells_apart(tmp_path):
    _, summary = two_models(tmp_path, right=3)
    assert find_standing(summary, "exact") == {
        ("good", "{}", "read"): "best mean",
        ("poor", "{}", "read"): "not told apart",
    }


def test_cells_of_the_same_mean_have_the_same_mark(tmp_path):
    run = make_pages_run(tmp_path, [sample(n) for n in range(3)], lambda *_: "x", models=("one", "two"))
    assert set(find_standing(score_run(run, ["exact"]), "exact").values()) == {"best mean"}


def test_means_that_differ_as_floats_add_up_are_the_same(tmp_path):
    run = make_pages_run(tmp_path, [sample(n) for n in range(3)], lambda *_: "x", models=("one", "two"))
    summary = score_run(run, ["cer"])
    first, second = (each for each in summary.figures if each.group == "all")
    figures = (first, second.model_copy(update={"mean": second.mean - 1e-16}))
    assert figures[0].mean != figures[1].mean
    found = find_standing(summary.model_copy(update={"figures": figures}), "cer")
    assert set(found.values()) == {"best mean"}


def test_a_cell_alone_has_no_standing(tmp_path):
    run = make_pages_run(tmp_path, [sample(0)], lambda *_: "answer 0")
    assert find_standing(score_run(run, ["exact"]), "exact") == {}


def row(key, **more):
    plain = {"sample_id": key, "status": "ok", "answer": "a", "repeat": 1, "cer": None}
    spent = {"latency_s": 2.0, "cost": None, "input_tokens": 10, "output_tokens": None}
    return {"key": (key * 64)[:64], **plain, **spent, **more}


def test_an_answer_that_counts_for_many_samples_is_paid_for_once():
    totals = Totals(["cer"])
    for sample_id in "abc":
        totals.add(row("a", sample_id=sample_id, cost=0.5))
    totals.add(row("b"))
    totals.finish()
    assert (totals.answers, totals.asked) == (4, 2)
    assert (totals.spent("latency_s").total, totals.spent("latency_s").mean) == (4.0, 2.0)
    assert (totals.spent("cost").total, totals.spent("cost").known) == (0.5, 1)
    assert totals.spent("output_tokens").mean is None


def test_repeats_are_compared_within_their_sample():
    totals = Totals(["cer"], 2)
    for sample_id, scores, texts in (("a", (0.0, 0.2), "xy"), ("b", (0.4, 0.4), "zz")):
        for repeat, (score, text) in enumerate(zip(scores, texts, strict=True), 1):
            totals.add(row(f"{sample_id}{repeat}", sample_id=sample_id, repeat=repeat, cer=score, answer=text))
    totals.finish()
    assert (totals.several, totals.alike) == (2, 1)
    assert totals.repeats["cer"].deviation == pytest.approx(math.sqrt(0.02) / 2)
    assert totals.repeats["cer"].means == pytest.approx([0.2, 0.3])
    assert totals.scores["cer"] == array("d", [0.0, 0.2, 0.4, 0.4])


def test_of_many_samples_the_worst_are_shown_and_some_by_chance(tmp_path, monkeypatch):
    monkeypatch.setattr(chosen, "SAMPLES_MIN", 10)
    monkeypatch.setattr(chosen, "ANSWERS_MAX", 10)
    wrong = {f"s{n}" for n in (3, 50, 51, 99)}
    run = make_pages_run(
        tmp_path, [sample(n) for n in range(100)], lambda s, *_: "zzz" if s in wrong else f"answer {s[1:]}"
    )
    score_run(run, ["exact", "cer"])
    choice = chosen.choose(open_run(run))
    assert (len(choice.ids), choice.total, choice.worst, choice.is_all) == (10, 100, 5, False)
    assert wrong <= set(choice.ids)
    assert list(choice.ids) == sorted(choice.ids, key=lambda each: int(each[1:]))
    assert chosen.choose(open_run(run)) == choice
    report = write_report(run)
    assert (report.shown, report.samples) == (10, 100)
    assert "10 of 100 samples</b> are shown here: the 5 with the worst mean" in report.path.read_text()
    assert [each["id"] for each in data_of(report.path)[0]["samples"]] == list(choice.ids)


def test_long_texts_are_cut_and_the_page_says_so(tmp_path, monkeypatch):
    texts = matrix.Texts()
    assert [texts.add("a" * 5000), texts.add("a" * 5000), texts.add("a" * 5001), texts.add("b")] == [0, 0, 1, 2]
    assert texts.more == {0: 1000, 1: 1001}
    monkeypatch.setattr(matrix, "TEXT_BUDGET", 1500)
    assert texts.fit() == 500
    assert ([len(each) for each in texts.values], texts.more) == ([500, 500, 1], {0: 4500, 1: 4501})


def test_a_score_that_is_nearly_full_stays_so_in_the_data():
    assert [matrix._rounded(score) for score in (0.9999999, 1.0, 1 / 3)] == [0.9999999, 1.0, 0.33333]


def shown_picture(tmp_path, change=None, kind="thumb", box=(30, 50, 200, 120)):
    image = make_image(tmp_path / "images" / "a.png")
    run = make_pages_run(tmp_path, [sample(0, images=[image], answer_bbox=box)], lambda *_: "x")
    score_run(run, ["exact"])
    if change:
        change(tmp_path / "images" / "a.png")
    data, images = data_of(write_report(run, pictures=kind).path)
    return data["samples"][0], images


def test_an_image_comes_with_its_box_in_hundredths_and_cut_out(tmp_path):
    found, images = shown_picture(tmp_path)
    assert (found["names"], found["pictures"], found["crop"], found["box"]) == (
        ["a.png"],
        [0],
        1,
        [10.0, 12.5, 56.67, 17.5],
    )
    assert [sorted(each) for each in images] == [["height", "source", "width"]] * 2


def test_a_page_without_images_names_them(tmp_path):
    found, images = shown_picture(tmp_path, kind="none")
    assert (found["names"], images, "pictures" in found) == (["a.png"], [], False)


def test_an_image_that_changed_since_is_not_shown(tmp_path):
    _, images = shown_picture(tmp_path, lambda path: make_image(path, "other"))
    assert images == [{"defect": "the file has changed since it was asked about"}]


def test_an_image_that_is_gone_says_so(tmp_path):
    _, images = shown_picture(tmp_path, lambda path: path.unlink())
    assert images == [{"defect": "there is no such image"}]


def test_pictures_end_with_their_budget(tmp_path, monkeypatch):
    monkeypatch.setitem(pictures.BUDGET, "thumb", 1)
    image = make_image(tmp_path / "images" / "a.png")
    other = make_image(tmp_path / "images" / "b.png", "other")
    run = make_pages_run(tmp_path, [sample(0, images=[image, other])], lambda *_: "x")
    score_run(run, ["exact"])
    report = write_report(run)
    assert report.left_out == 1
    assert "1 picture is left out" in report.path.read_text()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_ticks_are_round_within_the_scale_and_say_their_value(values):
    scale = scale_for(values, 0, 100)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(scale.low - 1e-9 <= value <= scale.high + 1e-9 for value, _ in ticks)
    step = ticks[1][0] - ticks[0][0]
    assert all(abs(float(text) - value) <= step * 1e-6 for value, text in ticks)


@pytest.mark.slow
def test_plots_are_files_for_papers(tmp_path):
    run, _ = two_models(tmp_path)
    report = write_report(run, plots=tmp_path / "figures")
    names = {path.name for path in report.plots}
    assert {"scores-cer.svg", "scores-cer.png", "differences-exact.svg", "cer-distribution.png"} <= names
    for path in report.plots:
        if path.suffix == ".svg":
            root = ET.parse(path).getroot()
            assert root.find("{http://www.w3.org/2000/svg}desc").text
        else:
            with Image.open(path) as image:
                image.load()
                assert image.width == 1440


def test_names_of_any_letters_make_sound_plots(tmp_path):
    run, _ = two_models(tmp_path, prompts=("<b>&\x01\ufffe\u202e", "Ж"))
    totals, _ = report_module._gather(open_run(run))
    drawings = make_plots(read_summary(run), totals)
    assert len(drawings) > 5
    for drawing in drawings:
        ET.fromstring(to_svg(drawing, standalone=True))


def test_the_summary_is_markdown_in_which_nothing_else_is(tmp_path):
    table = Table("A <b>", ("model", "x|y"), (("a|b\nc", "*1*"),), 1, ("_note_",))
    lines = ["## A \\<b\\>", "", "| model | x\\|y |", "| --- | ---: |", "| a\\|b c | \\*1\\* |", "", "- \\_note\\_"]
    assert to_markdown([table]).splitlines() == lines
    run, _ = two_models(tmp_path)
    write_report(run)
    assert (run / "summary.md").read_text().startswith("## Run run, dataset toy\n")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("see www.evil.example", "see www&#8203;.evil.example"),
        ("https://evil.example", "https:&#8203;//evil.example"),
        ("me@evil.example, @me", "me@&#8203;evil.example, @&#8203;me"),
        ("a\u202eb\u200b", "a⟨U+202E⟩b⟨U+200B⟩"),
        ("1:2, e.g. Ж, cer@ci, same @ a", "1:2, e.g. Ж, cer@ci, same @ a"),
    ],
)
def test_markdown_makes_no_links_by_itself_and_names_what_nobody_sees(text, plain):
    assert to_markdown([Table(text, ("model",), (), 1)]).splitlines()[0] == f"## {plain}"


def test_a_run_is_called_as_its_folder(tmp_path):
    run, _ = two_models(tmp_path, right=3)
    report = write_report(run.rename(tmp_path / "renamed"))
    page = report.path.read_text()
    assert "<title>renamed: report</title>" in page
    assert "<h1><bdi>renamed</bdi></h1>" in page
    assert (tmp_path / "renamed" / "summary.md").read_text().startswith("## Run renamed, dataset toy\n")


def test_what_all_cells_got_wrong_is_not_drawn_against_anything(tmp_path):
    samples = [sample(n, references=["y" * 9**n]) for n in range(3)]
    run = make_pages_run(tmp_path, samples, lambda s, *_: "yy" if s == "s0" else "zzz", models=("one", "two"))
    summary = score_run(run, ["exact", "ned"])
    names = {drawing.name for drawing in make_plots(summary, report_module._gather(open_run(run))[0])}
    assert {"scores-exact", "ned-time", "ned-length"} <= names
    assert not {"exact-time", "exact-length"} & names
    note = "exact has the same value for all answers, so it has no plots against cost, time and length."
    assert plots.unplotted_notes(summary) == [note]
    assert note in write_report(run).path.read_text()


def test_a_plot_by_length_has_no_room_for_intervals_that_it_does_not_draw(tmp_path):
    def tops(count):
        answer = lambda s, *_: "y" if int(s[1:]) < 25 else "z"  # noqa: E731
        samples = [sample(n, references=["y" * (1 + 9 * (n % 2))]) for n in range(30)]
        folder = tmp_path / f"{count}"
        run = make_pages_run(folder, samples, answer, models=[f"m{n}" for n in range(count)])
        summary = score_run(run, ["cer"])
        drawings = {each.name: each for each in make_plots(summary, report_module._gather(open_run(run))[0])}
        dots = [shape.y for shape in drawings["cer-length"].shapes if isinstance(shape, Dot)]
        return max(dots) - min(dots)

    assert tops(5) > tops(4)


def test_ahead_of_the_next_is_explained_where_it_stands(tmp_path):
    run, _ = two_models(tmp_path, right=3)
    assert "Beside <i>ahead of the next</i>" in write_report(run).path.read_text()
    run = make_pages_run(tmp_path, [sample(n) for n in range(3)], lambda *_: "x", models=("one", "two"), name="tied")
    score_run(run, ["exact"])
    assert "ahead of the next" not in write_report(run).path.read_text()


def test_a_run_that_was_not_scored_has_no_page(tmp_path):
    run = make_pages_run(tmp_path, [sample(0)], lambda *_: "x")
    with pytest.raises(BakeoffError, match="bakeoff score run"):
        write_report(run)


def test_a_page_is_a_file(tmp_path):
    run, _ = two_models(tmp_path, right=2)
    with pytest.raises(UsageError, match="is a folder"):
        write_report(run, tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        write_report(run, tmp_path / "no" / "page.html")


def test_no_name_in_a_plot_is_wider_than_the_plot():
    for letters in ("apiA", "W", "漢", "quantised-", "Ж"):
        name = letters * (200 // len(letters))
        for bold in (False, True):
            cut = fitted(name, 480, 14, bold=bold)
            assert cut.startswith(letters[0]), cut
            assert cut.endswith(letters[-1]), cut
            assert "…" in cut
            assert 15 < len(cut) < 90
        assert len(fitted(name, 480, bold=True)) < len(fitted(name, 480))
    assert fitted("short", 480) == "short"


def test_numbers_in_a_plot_stay_within_it_and_apart():
    corners = [(against.WIDTH, against.TOP), (against.LEFT, against.TOP + against.PLOT)]
    taken = []
    for place in corners * 5:
        taken.append(against._beside(place, taken))
    assert all(x + 15 <= against.WIDTH and against.TOP <= y <= against.TOP + against.PLOT for x, y in taken)
    pairs = itertools.combinations(taken, 2)
    assert all(max(abs(a[0] - b[0]), abs(a[1] - b[1])) >= 15 for a, b in pairs)


def test_the_frontier_ends_at_its_last_point(tmp_path):
    def answer(s, model, *_):
        return {
            "text": "zzz" if model == "cheap" else f"answer {s[1:]}",
            "cost": {"cheap": 1, "right": 2, "dear": 3}[model],
        }

    run = make_pages_run(tmp_path, [sample(n) for n in range(4)], answer, models=("cheap", "right", "dear"))
    drawings = make_plots(score_run(run, ["exact"]), report_module._gather(open_run(run))[0])
    shapes = next(drawing for drawing in drawings if drawing.name == "exact-cost").shapes
    dots = sorted(shape.x for shape in shapes if isinstance(shape, Dot) and shape.hint)
    dotted = [x for shape in shapes if isinstance(shape, Line) and shape.dash for x in (shape.x1, shape.x2)]
    assert (min(dotted), max(dotted)) == (dots[0], dots[1])


def test_a_plot_of_differences_names_what_they_are_from(tmp_path):
    run, summary = two_models(tmp_path, right=3)
    drawing = next(
        d for d in make_plots(summary, report_module._gather(open_run(run))[0]) if d.name == "differences-exact"
    )
    assert drawing.title == "exact: difference from the best mean"
    assert drawing.description.startswith("good: the best mean, 1.000; poor: -1.000")


def test_what_missing_answers_cost_stands_beside_their_number(tmp_path):
    answer = lambda s, model, *_: "<refused>" if (s, model) == ("s0", "poor") else f"answer {s[1:]}"  # noqa: E731
    run = make_pages_run(tmp_path, [sample(n) for n in range(4)], answer, models=("good", "poor"))
    main = overview.main_grid(score_run(run, ["exact", "cer"]), report_module._gather(open_run(run))[0])
    scored = {row[0].text: (row[4].text, row[4].small) for row in main.rows}
    assert scored == {"good": ("4 / 4", ""), "poor": ("3 / 4", "counted as wrong\nexact 0.750\ncer 0.250")}


def test_a_class_that_is_a_formula_is_a_text_in_summary_csv(tmp_path):
    samples = [sample(n, doc_class=["=1+1", "plain"][n]) for n in range(2)]
    run = make_pages_run(tmp_path, samples, lambda *_: "x")
    score_run(run, ["exact"])
    with (run / "summary.csv").open(newline="") as file:
        assert {row["doc_class"] for row in csv.DictReader(file)} == {"", "'=1+1", "plain"}


@pytest.mark.parametrize(("name", "shown"), [("", "(none)"), (" \u200b\u3000", "(blank)"), ("a b", "a b")])
def test_a_group_that_nobody_could_see_has_a_name(name, shown):
    assert breakdowns.group_name(name) == shown


def test_the_tables_of_the_page(tmp_path):
    def answer(sample_id, model, prompt, repeat):
        if sample_id == "s1":
            return "<refused>" if model == "poor" else "<error>"
        return f"answer {sample_id[1:]}" if model == "good" or repeat == 1 else "zzz"

    samples = [sample(n, doc_class="ab"[n % 2]) for n in range(6)]
    run = make_pages_run(tmp_path, samples, answer, models=("good", "poor"), repeats=2)
    summary = score_run(run, ["exact", "cer"])
    report = write_report(run)
    totals, _ = report_module._gather(open_run(run))
    main = overview.main_grid(summary, totals)
    assert [item.text for item in main.rows[0]][:5] == ["good", "read", "1.000", "0.000", "10 / 12"]
    (repeats,) = [grid for grid in [breakdowns.repeats_grid(summary, totals)] if grid]
    assert [rows[2].text for rows in repeats.rows] == ["100 %", "17 %"]
    statuses = breakdowns.status_grid(summary, totals)
    assert statuses.header == ("model", "prompt", "ok", "error", "refused")
    assert [[item.text for item in each[2:]] for each in statuses.rows] == [["10", "2", "-"], ["10", "-", "2"]]
    heats = breakdowns.heat_grids(summary)
    assert [grid.title for grid in heats] == ["exact ↑ by doc_class", "cer ↓ by doc_class"]
    assert [item.heat for item in heats[1].rows[0]][1:] == [0, 4]
    page = report.path.read_text()
    assert '<th scope="row">' in page
    assert "style=" not in page.split("<main>")[1].split("<script")[0]


@pytest.fixture
def in_workspace(tmp_path, monkeypatch):
    """Stand in a workspace with one scored run, and return what calls the command."""
    (tmp_path / "bakeoff.toml").touch()
    run, _ = two_models(tmp_path / "results", right=3)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            cli.main(["report", *words], standalone_mode=False)
        except BakeoffError as error:
            return str(error)
        return ""

    return call, run


@pytest.mark.slow
def test_the_command_writes_the_page_and_keeps_the_tables(in_workspace, capsys):
    call, run = in_workspace
    assert call("run", "--plots", "figures") == ""
    out, err = capsys.readouterr()
    assert "Run run, dataset toy" in out
    assert "results/run/report.html: the page, 0." in err
    assert "files of plots are in figures" in err
    assert (run / "report.html").is_file()


def test_a_terminal_is_enough_where_it_is_asked_for(in_workspace, capsys):
    call, run = in_workspace
    assert call("run", "--terminal") == ""
    assert "Run run" in capsys.readouterr().out
    assert not (run / "report.html").exists()
    assert "--terminal writes no files" in call("run", "--terminal", "--plots", "x")


def two_runs(tmp_path, answers=("answer", "zzz"), sizes=(30, 30), names=("a", "b"), models=("same", "same")):
    """Write two scored runs; each says one word before the sample's number."""
    runs = []
    for word, size, name, model in zip(answers, sizes, names, models, strict=True):
        run = make_pages_run(
            tmp_path,
            [sample(n) for n in range(size)],
            lambda s, *_, word=word: f"{word} {s[1:]}",
            name=name,
            models=(model,),
        )
        score_run(run, ["exact", "cer"])
        runs.append(run)
    return runs


def test_runs_of_the_same_samples_share_a_page_with_a_leaderboard(tmp_path):
    runs = two_runs(tmp_path)
    report = write_report(list(reversed(runs)))
    assert (report.path, report.samples, report.shown, report.apart) == (tmp_path / "report.html", 30, 30, "")
    data, _ = data_of(report.path)
    assert [column["model"] for column in data["columns"]] == ["same @ a", "same @ b"]
    said = [[data["texts"][answers[0]["t"]] for answers in cells] for cells in data["cells"]]
    assert said[:2] == [["answer 0", "zzz 0"], ["answer 1", "zzz 1"]]
    page = report.path.read_text()
    assert "<h3>Leaderboard</h3>" in page
    assert "Cells share a rank" in page
    tables = (tmp_path / "report-summary.md").read_text()
    assert tables.startswith("## Leaderboard\n")
    assert "| 1; 1 by cer | same @ a | read | 1.000; \\[0.886, 1.000\\]; best |" in tables
    assert "| 2; 2 by cer | same @ b |" in tables
    assert not (runs[0] / "report.html").exists()


def test_models_of_two_runs_need_no_run_in_their_names_where_they_differ(tmp_path):
    content = open_runs(two_runs(tmp_path, models=("one", "two")))
    totals, shown = report_module._gather(content)
    assert list(totals) == [("one", "{}", "read"), ("two", "{}", "read")]
    assert [totals[name].answers for name in totals] == [30, 30]
    assert all(cell and len(cell) == 1 for cells in shown.cells for cell in cells)
    (first, second), table = content.summary.compared.comparisons, overview.main_grid(content.summary, totals)
    assert (first.metric, first.verdict, second.metric, second.verdict) == ("exact", "worse", "cer", "worse")
    assert [row[0].text for row in boards.with_ranks(content, table).rows] == ["1", "2"]


def test_one_run_has_no_ranks(tmp_path):
    run, _ = two_models(tmp_path, right=3)
    assert "Leaderboard" not in write_report(run).path.read_text()
    assert not (run / "summary.md").read_text().startswith("## Leaderboard")


def test_runs_of_other_samples_stand_apart_on_one_page_which_says_why(tmp_path):
    end = "</div><!-- end of part --></template>"
    report = write_report(two_runs(tmp_path, answers=(end, "answer"), sizes=(30, 9), models=("one", "<b>")))
    assert report.apart.startswith("not all were asked about the same samples: a has 30, b has 9;")
    assert (report.samples, report.shown) == (39, 39)
    page = report.path.read_text()
    assert page.count("each by itself and without a leaderboard") == 2
    assert "<title>a, b: report</title>" in page
    assert (page.count("<template"), page.count("</template>"), page.count(end)) == (1, 1, 0)
    assert page.index('<template id="part-2">') < page.index("</template>") < page.index("<script>")
    first, second = (
        json.loads(part.split("</script>")[0]) for part in page.split('<script type="application/json" id="data">')[1:]
    )
    assert (len(first["samples"]), len(second["samples"])) == (30, 9)
    assert [column["model"] for column in first["columns"] + second["columns"]] == ["one", "<b>"]
    assert (tmp_path / "report-summary.md").read_text().count("## Run ") == 2


def test_pages_of_one_file_share_its_room(tmp_path, monkeypatch):
    monkeypatch.setattr(chosen, "SAMPLES_MIN", 4)
    monkeypatch.setattr(chosen, "ANSWERS_MAX", 16)
    report = write_report(two_runs(tmp_path, sizes=(30, 20)))
    assert (report.shown, report.samples) == (16, 50)
    assert len(chosen.choose(open_run(tmp_path / "a")).ids) == 16
    assert len(chosen.choose(open_runs([two_runs(tmp_path / "more")[0]])).ids) == 16
    assert len(chosen.choose(open_runs(two_runs(tmp_path / "other"))).ids) == 8


def test_scores_made_otherwise_keep_runs_apart_and_a_run_without_scores_is_named(tmp_path):
    runs = two_runs(tmp_path)
    score_run(runs[1], ["ned"])
    assert "have no main metric in common" in write_report(runs).apart
    score_run(runs[1], ["cer"])
    report = write_report(runs)
    assert report.apart == ""
    assert "measured in several ways: exact." in report.path.read_text()
    (runs[1] / "summary.json").unlink()
    with pytest.raises(BakeoffError, match="run `bakeoff score b` first"):
        write_report(runs)
    with pytest.raises(UsageError, match="named twice"):
        write_report([runs[0], runs[0]])


def test_prompts_of_one_name_and_two_texts_are_both_shown(tmp_path):
    runs = two_runs(tmp_path, sizes=(2, 2))
    path = runs[1] / "prompts.parquet"
    (row,) = read_rows(path, PROMPTS)
    write_table(path, PROMPTS, [pa.RecordBatch.from_pylist([{**row, "sha256": "f" * 64, "text": "other"}], PROMPTS)])
    assert [each["id"] for each in prompts_of(open_runs(runs))] == ["read @ a", "read @ b"]


def test_the_command_writes_one_page_for_several_runs(in_workspace, tmp_path, capsys):
    call, _ = in_workspace
    two_runs(tmp_path / "results")
    assert call("a", "b", "--images", "none", "--output", "both.html") == ""
    out, err = capsys.readouterr()
    assert ("Run a, dataset toy" in out, "Run b, dataset toy" in out) == (True, True)
    assert "both.html: the page, 0." in err
    assert call("run", "a") == ""
    assert "no leaderboard, each run by itself: not all were asked" in capsys.readouterr().err
    assert (tmp_path / "results" / "report.html").is_file()
