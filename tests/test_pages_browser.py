"""The report in a real browser: filters, order, differences, links, keys, and that nothing in it ever runs."""

import http.server
import shutil
import threading
from contextlib import contextmanager

import pytest

from orchestrator.pages import write_report
from orchestrator.scoring import score_run
from tests.pages_run import make_image, make_pages_run, sample
from tests.payloads import PAYLOADS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

REFERENCES = ["86.00", "ACME", "12/03/2018", "Selangor", "", "KL 53300"]
ANSWERS = {
    "good": ["86.00", "ACME", "12/03/2018", "Selangor", "", "KL 53300"],
    "poor": ["86.08", "ACME", "12/03/18", "<refused>", "something", "KL\u200b 53300"],
}
CLASSES = ["receipt", "receipt", "receipt", "form", "form", "form"]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the page of a run in which two models answer six questions."""
    folder = tmp_path_factory.mktemp("pages")
    image = make_image(folder / "images" / "receipt.png")
    samples = [
        sample(n, references=[text], doc_class=CLASSES[n], images=[image], answer_bbox=[30, 50, 200, 120])
        for n, text in enumerate(REFERENCES)
    ]
    run = make_pages_run(folder, samples, lambda s, model, *_: ANSWERS[model][int(s[1:])], models=("good", "poor"))
    score_run(run, ["exact", "cer"])
    return write_report(run).path


@contextmanager
def opened(browser, path, address="", **options):
    """Open the page; whatever it logs, asks for or pops up fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    page = context.new_page()
    told = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: (told.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request", lambda request: told.append(request.url) if not request.url.startswith(("file:", "data:")) else 0
    )
    page.goto(f"{path.as_uri()}{address}")
    yield page
    assert told == []
    context.close()


def shown(page):
    """Return the ids of the samples shown, in order."""
    return page.locator("#body .id").all_inner_texts()


def answer(page, row, column):
    return page.locator(f'#body td[data-row="{row}"][data-column="{column}"] .answer')


def test_a_filter_leaves_what_is_wrong_somewhere(browser, report):
    with opened(browser, report) as page:
        assert page.inner_text("#count") == "6 of 6 samples"
        page.select_option("#show", "wrong")
        assert shown(page) == ["s0", "s2", "s3", "s4"]
        assert page.inner_text("#count") == "4 of 6 samples"
        page.select_option("#show", "everywhere")
        assert shown(page) == []
        page.select_option("#show", "failed")
        assert shown(page) == ["s3"]


def test_a_filter_shows_where_models_disagree(browser, report):
    with opened(browser, report) as page:
        page.select_option("#show", "disagree")
        assert shown(page) == ["s0", "s2", "s3", "s4", "s5"]
        page.select_option("#show", "split")
        assert shown(page) == ["s0", "s2", "s3", "s4"]


def test_filters_add_up_with_a_search_in_answers_and_questions(browser, report):
    with opened(browser, report) as page:
        page.select_option("#doc_class", label="form")
        assert shown(page) == ["s3", "s4", "s5"]
        page.fill("#search", "SOMETHING")
        page.get_by_text("1 of 6 samples").wait_for()
        assert shown(page) == ["s4"]
        page.fill("#search", "question 0")
        page.get_by_text("0 of 6 samples").wait_for()


def test_a_filter_forgets_columns_that_are_not_shown(browser, report):
    with opened(browser, report) as page:
        page.select_option("#show", "wrong")
        page.click(".menu summary")
        page.get_by_label("poor / read").uncheck()
        assert shown(page) == []
        assert page.locator("#head th").count() == 2


def test_samples_are_sorted_by_what_went_worst(browser, report):
    with opened(browser, report) as page:
        page.select_option("#metric", label="cer")
        page.select_option("#sort", "worst")
        assert shown(page)[:2] == ["s3", "s4"]
        page.select_option("#sort", "long")
        assert shown(page)[0] == "s2"
        page.click("#head th:nth-child(3) button")
        assert page.get_attribute("#head th:nth-child(3)", "aria-sort") == "descending"
        assert shown(page) == ["s3", "s4", "s0", "s2", "s1", "s5"]
        page.click("#head th:nth-child(3) button")
        assert shown(page) == ["s2", "s3", "s5", "s0", "s1", "s4"]


def test_a_difference_is_shown_by_letter_on_both_sides(browser, report):
    with opened(browser, report) as page:
        assert answer(page, 0, 0).locator("ins").count() == 0
        assert answer(page, 0, 1).locator("ins").all_inner_texts() == ["8"]
        answer(page, 2, 1).click()
        assert page.locator("#detail .side del").all_inner_texts() == ["20"]
        assert page.locator("#detail .side").nth(1).inner_text() == "12/03/18"


def test_what_nobody_sees_is_named(browser, report):
    with opened(browser, report) as page:
        assert answer(page, 5, 1).locator("ins").all_inner_texts() == ["⟨U+200B⟩"]
        assert answer(page, 4, 1).locator("ins").all_inner_texts() == ["something"]


def test_a_link_leads_to_one_cell(browser, report):
    with opened(browser, report, "#s2/poor~read") as page:
        assert page.inner_text("#detail-title") == "s2 · poor / read"
        assert page.get_attribute("#detail a", "href") == "#s2/poor~read"
        page.keyboard.press("Escape")
        page.wait_for_url(lambda url: "#" not in url)
        page.evaluate("location.hash = '#s0/good~read'")
        page.wait_for_selector("#detail[open]")
        assert page.inner_text("#detail-title") == "s0 · good / read"


def test_a_link_to_nothing_says_so(browser, report):
    with opened(browser, report, "#nobody/poor~read") as page:
        assert "not among those" in page.inner_text("#count")
        assert not page.locator("#detail[open]").count()


def test_filters_order_and_columns_are_in_the_address_and_come_back(browser, report):
    with opened(browser, report) as page:
        page.select_option("#doc_class", label="receipt")
        page.select_option("#metric", label="cer")
        page.select_option("#show", "wrong")
        page.select_option("#sort", "long")
        page.fill("#search", "question")
        page.wait_for_url("**search=question**")
        page.click(".menu summary")
        page.get_by_label("good / read").uncheck()
        before, address = shown(page), page.url.partition("#")[2]
        assert before == ["s2", "s0"]
    with opened(browser, report, f"#{address}") as page:
        assert shown(page) == before
        assert page.input_value("#search") == "question"
        assert page.locator("#head th").count() == 2
        page.click("#reset")
        assert page.evaluate("document.activeElement.dataset.row") == "0"
        assert page.inner_text("#count") == "6 of 6 samples"
        assert page.locator("#head th").count() == 3
        assert "#" not in page.url


def test_a_link_to_a_cell_keeps_the_order_by_a_column(browser, report):
    with opened(browser, report) as page:
        page.click("#head th:nth-child(3) button")
        before = shown(page)
        answer(page, 0, 1).click()
        address = page.get_attribute("#detail a", "href")
        assert page.url.endswith(address)
    with opened(browser, report, address) as page:
        assert page.inner_text("#detail-title") == f"{before[0]} · poor / read"
        page.keyboard.press("Escape")
        assert shown(page) == before
        assert page.input_value("#sort") == "column"


def test_what_an_address_names_in_vain_is_told(browser, report):
    with opened(browser, report, "#?metric=bleu&show=wrong&hide=nobody~read&doc_class=%3Cb%3E") as page:
        told, unknown = page.inner_text("#count").split(": ")
        assert told == "4 of 6 samples; the address names what this page does not have"
        assert unknown == "metric bleu, doc_class <b>, hide nobody~read"


def test_a_head_counts_what_is_wrong_among_those_shown(browser, report):
    with opened(browser, report) as page:
        assert page.locator("#head .tally").all_inner_texts() == ["✗ 0 of 6", "✗ 4 of 6"]
        page.select_option("#doc_class", label="receipt")
        assert page.locator("#head .tally").all_inner_texts() == ["✗ 0 of 3", "✗ 2 of 3"]


def test_a_cell_that_is_opened_shows_the_other_columns_too(browser, report):
    with opened(browser, report, "#s2/poor~read") as page:
        rows = page.locator("#detail .siblings tr").all_inner_texts()
        assert [row.split() for row in rows] == [
            ["good", "✓", "1.000", "12/03/2018"],
            ["poor", "✗", "0.000", "12/03/2018"],
        ]
        assert page.locator("#detail .siblings .current del").all_inner_texts() == ["20"]
        page.click("#detail .siblings button >> nth=0")
        assert page.inner_text("#detail-title") == "s2 · good / read"


def test_the_verdict_is_on_the_first_screen(browser, report):
    with opened(browser, report) as page:
        for each in page.locator(".verdict").all():
            assert each.bounding_box()["y"] + each.bounding_box()["height"] < 900
            assert "good" in each.inner_text()


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color, under) => {
    canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (v) => (v /= 255, v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (color) => color.reduce((sum, v, n) => sum + linear(v) * [0.2126, 0.7152, 0.0722][n], 0);
  const back = (element) => {
    const own = element ? getComputedStyle(element).backgroundColor : "white";
    return own === "rgba(0, 0, 0, 0)" ? back(element.parentElement) : own;
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const has = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!has || !element.checkVisibility() || element.closest("svg, script")) continue;
    const under = back(element), over = getComputedStyle(element).color;
    const pair = [light(rgb(over, under)), light(rgb(under, under))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 30)} ${ratio}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_that_wcag_asks_for(browser, report, scheme):
    with opened(browser, report, color_scheme=scheme) as page:
        assert page.evaluate(CONTRASTS) == []
        answer(page, 3, 1).click()
        assert page.evaluate(CONTRASTS) == []


def test_paper_gets_the_tables_unfolded_and_in_light_colours(browser, report):
    with opened(browser, report, color_scheme="dark") as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("main details:not(.menu):not([open])").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("#closer").is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("main details:not(.menu):not([open])").count() == 2


def test_keys_move_open_and_close(browser, report):
    with opened(browser, report) as page:
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert page.inner_text("#detail-title") == "s1 · poor / read"
        page.keyboard.press("k")
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#detail-title") == "s0 · good / read"
        page.keyboard.press("Escape")
        focused = page.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.column]")
        assert focused == ["0", "0"]
        page.keyboard.press("?")
        assert page.locator("#help[open]").count() == 1


def test_a_cell_shows_the_image_the_box_and_every_score(browser, report):
    with opened(browser, report, "#s0/poor~read") as page:
        assert page.locator("#detail .page img").evaluate("e => e.naturalWidth") == 300
        box = page.locator("#detail .mark-box").evaluate("e => [e.style.left, e.style.top]")
        assert box == ["10%", "12.5%"]
        rows = page.locator("#detail .values tbody tr").all_inner_texts()
        assert [row.split() for row in rows] == [["exact", "↑", "0.000"], ["cer", "↓", "0.200"], ["latency_s", "0.5"]]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_makes_the_page_scroll_sideways(browser, report, width, scheme):
    with opened(browser, report, color_scheme=scheme) as page:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_difference_between_columns_puts_a_sample_first(browser, tmp_path):
    said = {"even": "zzz", "some": "answer 1!", "most": "zzz"}
    samples = [sample(n, id=name, references=["answer 1"]) for n, name in enumerate(said)]
    answer = lambda s, model, *_: said[s] if model == "poor" or s == "even" else "answer 1"  # noqa: E731
    run = make_pages_run(tmp_path, samples, answer, models=("good", "poor"))
    score_run(run, ["cer"])
    with opened(browser, write_report(run).path) as page:
        page.select_option("#sort", "spread")
        assert shown(page) == ["most", "some", "even"]
        page.select_option("#sort", "worst")
        assert shown(page) == ["even", "most", "some"]


HEAD_LINES = """all => all.map(th => {
  const style = getComputedStyle(th), padding = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
  const range = document.createRange();
  range.selectNodeContents(th);
  return range.getBoundingClientRect().height / parseFloat(style.lineHeight);
})"""


def test_heads_are_words_on_a_phone(browser, tmp_path):
    names = ("Qwen3-VL-235B-A22B-Instruct-quantised", "a")
    run = make_pages_run(tmp_path, [sample(0), sample(1)], lambda *_: "x", models=names)
    score_run(run)
    with opened(browser, write_report(run).path) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        page.locator("details:not(.menu) > summary").evaluate_all(
            "all => all.forEach(e => { e.parentNode.open = true; })"
        )
        lines = page.locator(".wide thead th").evaluate_all(HEAD_LINES)
        assert len(lines) > 20
        assert 0.5 < min(lines) <= max(lines) < 5


NUMBERS_APART = """all => all.flatMap((head) => {
  const range = document.createRange(), nodes = document.createTreeWalker(head, NodeFilter.SHOW_TEXT), apart = [];
  for (let node = nodes.nextNode(); node; node = nodes.nextNode())
    for (const number of node.data.matchAll(/[0-9]+/g)) {
      range.setStart(node, number.index);
      range.setEnd(node, number.index + number[0].length);
      if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) apart.push(head.textContent);
    }
  return apart;
})"""


@pytest.mark.parametrize("width", [390, 1280])
def test_a_name_goes_on_in_another_line_where_its_parts_end(browser, tmp_path, width):
    samples = [sample(n, doc_class="ab"[n % 2]) for n in range(4)]
    names = [f"reader_with_limit_side_len=100{n}736" for n in range(3)]
    run = make_pages_run(tmp_path, samples, lambda *_: "x", models=names)
    score_run(run, ["exact", "cer"])
    with opened(browser, write_report(run).path) as page:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.locator("#groups .wide thead th").count() == 8
        assert page.locator("#groups .wide thead th").evaluate_all(NUMBERS_APART) == []


def test_a_phone_shows_all_parts_and_a_score_before_anything_scrolls(browser, report):
    with opened(browser, report) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        right = page.locator("nav a").evaluate_all("all => all.map((a) => a.getBoundingClientRect().right)")
        assert len(right) == 6
        assert max(right) <= 390
        score = page.locator("#summary .wide td").first.bounding_box()
        assert score["x"] + score["width"] <= 390
        shades = page.locator("#summary .wide").evaluate("e => getComputedStyle(e).backgroundAttachment")
        assert shades == "local, local, scroll, scroll"


def test_a_long_name_leaves_the_matrix_its_room(browser, tmp_path):
    name = "a-model-of-a-long-name-" * 8
    run = make_pages_run(tmp_path, [sample(0)], lambda *_: "x", models=(name, "short"))
    score_run(run, ["exact"])
    with opened(browser, write_report(run).path) as page:
        assert page.locator("#head th").nth(1).bounding_box()["height"] < 130
        assert name in page.locator("#head button").first.get_attribute("title")


def test_a_price_has_the_digits_that_matter_in_an_opened_cell(browser, tmp_path):
    run = make_pages_run(tmp_path, [sample(0)], lambda *_: {"text": "x", "cost": 0.0007493235855794324})
    score_run(run, ["exact"])
    with opened(browser, write_report(run).path) as page:
        answer(page, 0, 0).click()
        assert "cost ($)\t0.000749" in page.inner_text("#detail .values").replace("\n", "\t")
        assert "0.0007493" not in page.inner_text("#detail")


def test_why_an_image_is_not_shown_can_be_read(browser, tmp_path):
    image = make_image(tmp_path / "images" / "a.png")
    run = make_pages_run(tmp_path, [sample(0, images=[image])], lambda *_: "x")
    score_run(run, ["exact"])
    (tmp_path / "images" / "a.png").unlink()
    with opened(browser, write_report(run).path, color_scheme="dark") as page:
        told = page.locator("#body .status")
        assert told.inner_text() == "there is no such image"
        lines = told.evaluate("e => [e.getClientRects().length, parseFloat(getComputedStyle(e).lineHeight)]")
        assert lines[1] > 15
        assert told.bounding_box()["height"] >= 12 + (lines[0] - 1) * 15
        assert page.evaluate(CONTRASTS) == []


def test_what_cannot_be_scored_is_not_counted_as_right(browser, tmp_path):
    samples = [sample(0, references=[]), sample(1, references=[])]
    run = make_pages_run(tmp_path, samples, lambda s, m, *_: "<refused>" if (s, m) == ("s0", "b") else "x", models="ab")
    score_run(run, ["exact"])
    with opened(browser, write_report(run).path) as page:
        assert page.locator("#head .tally").all_inner_texts() == ["not scored", "✗ 1 of 1"]


def test_a_score_below_the_full_one_does_not_look_like_it(browser, tmp_path):
    run = make_pages_run(tmp_path, [sample(0, references=["x" * 2500])], lambda *_: "x" * 2499 + "y")
    score_run(run, ["anls", "exact"])
    with opened(browser, write_report(run).path, "#s0/echo~read") as page:
        rows = page.locator("#detail .values tbody tr").all_inner_texts()
        assert {row.split()[0]: row.split()[-1] for row in rows[:2]} == {"exact": "0.000", "anls": "0.999"}
        page.keyboard.press("Escape")
        assert page.locator(".verdict", has_text="anls").locator(".score b").inner_text() == "0.999"


CLIPPED = """() => [...document.querySelectorAll(".plots svg")].flatMap((svg) => {
  const view = svg.viewBox.baseVal;
  return [...svg.querySelectorAll("text")].filter((text) => {
    const box = text.getBBox();
    return box.x < -1 || box.y < -1 || box.x + box.width > view.width + 1 || box.y + box.height > view.height + 1;
  }).map((text) => text.textContent);
})"""


def test_no_text_leaves_its_plot(browser, tmp_path):
    names = (
        "Qwen3-VL-235B-A22B-Instruct-quantised-to-four-bits-by-somebody-W8A8-again",
        "M" * 70,
        "漢字" * 20,
        "small",
    )
    answer = lambda s, model, *_: {"text": "y" * (1 + len(model) % 7), "cost": 0.001 * len(model)}  # noqa: E731
    samples = [sample(n, references=["y" * 4 ** (n % 4)]) for n in range(8)]
    run = make_pages_run(tmp_path, samples, answer, models=names, prompts=("read what is written", "other"))
    score_run(run, ["exact", "cer"])
    with opened(browser, write_report(run).path) as page:
        assert page.locator(".plots svg").count() > 6
        assert page.evaluate(CLIPPED) == []


WORK = """
  window.work = 0; window.idle = [];
  window.requestIdleCallback = (call) => idle.push(call);
  window.Uint8Array = new Proxy(Uint8Array, { construct(of, args) { work += args[0]; return new of(...args); } });
  window.jump = (top) => new Promise((done) => {
    work = 0;
    document.querySelector("#box").scrollTop = top;
    requestAnimationFrame(() => requestAnimationFrame(() => done(work)));
  });
  window.rest = () => { while (idle.length) idle.shift()({ timeRemaining: () => 9 }); };
"""


def test_a_jump_aligns_little_before_it_is_shown_and_nothing_twice(browser, tmp_path):
    words = [f"word{n * 7919 % 1000}" for n in range(400)]
    texts = [" ".join(words[n : n + 40]) for n in range(300)]
    samples = [sample(n, references=[text]) for n, text in enumerate(texts)]
    models = tuple("abcdefgh")
    answer = lambda s, model, *_: texts[int(s[1:])][::-1] + model  # noqa: E731
    run = make_pages_run(tmp_path, samples, answer, models=models)
    score_run(run, ["exact"])
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WORK)
    page.goto(write_report(run).path.as_uri())
    page.evaluate("rest()")
    assert page.evaluate("jump(9000)") < 400_000
    marked = page.locator("#body .answer:has(ins)").count
    few, every = marked(), page.locator("#body .answer").count()
    page.evaluate("rest()")
    assert (few < every / 2, marked()) == (True, every)
    assert page.evaluate("work") > 2_000_000
    assert page.evaluate("jump(0)") < 400_000
    assert page.evaluate("jump(9000)") == 0
    assert marked() == every
    context.close()


def test_one_sample_takes_no_more_room_than_it_needs(browser, tmp_path):
    run = make_pages_run(tmp_path, [sample(0)], lambda *_: "x")
    score_run(run, ["exact"])
    with opened(browser, write_report(run).path) as page:
        assert page.inner_text("#count") == "1 of 1 sample"
        assert "1 sample," in page.inner_text("header")
        box, row = page.locator("#box").bounding_box(), page.locator("#body tr:has(td.inner, th)").bounding_box()
        assert abs(box["y"] + box["height"] - row["y"] - row["height"]) < 3


def test_an_opened_cell_on_a_phone_has_its_buttons_in_one_line(browser, report):
    with opened(browser, report, "#s0/poor~read") as page:
        page.set_viewport_size({"width": 390, "height": 844})
        tops = page.locator("#detail .moves button").evaluate_all("all => all.map(e => e.getBoundingClientRect().top)")
        assert (len(tops), len(set(tops))) == (4, 1)
        close, title = page.locator("#detail .close").bounding_box(), page.locator("#detail-title").bounding_box()
        assert close["y"] < title["y"] + title["height"]
        assert close["x"] > 300


def test_only_the_rows_in_sight_are_in_the_document(browser, tmp_path):
    run = make_pages_run(tmp_path, [sample(n) for n in range(1000)], lambda s, *_: f"answer {s[1:]}")
    score_run(run, ["exact"])
    with opened(browser, write_report(run).path) as page:
        assert 0 < page.locator("#body th").count() < 30
        page.evaluate("document.querySelector('#box').scrollTop = 1e9")
        page.get_by_text("s999", exact=True).wait_for()
        assert page.locator("#body th").count() < 30


class _Trap(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.hits.append(self.path)
        self.send_response(404)
        self.end_headers()

    do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def trap():
    """Serve on loopback, and remember whoever asks."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Trap) as server:
        server.hits = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def hostile_run(folder, trap, payloads, **names):
    """Write and score a run in which each payload is answer, reference, question, id, class, error and file name."""
    url = f"127.0.0.1:{trap.server_port}"
    texts = [payload.replace("HOST", url) for payload in payloads]
    files = [text.replace("/", "\u2215").replace("\0", "")[:60] + f"{n}.png" for n, text in enumerate(texts)]
    samples = [
        sample(
            f"{n}{text}",
            question=text,
            references=[text, f"x{text}"],
            doc_class=text,
            question_type=text,
            images=[make_image(folder / "images" / file)],
            document=text,
        )
        for n, (text, file) in enumerate(zip(texts, files, strict=True))
    ]
    by_id = {each["id"]: each["question"] for each in samples}
    refused = set(list(by_id)[::5])

    def answer(sample_id, *_):
        text = by_id[sample_id]
        status = "refused" if sample_id in refused else "ok"
        return {"text": text, "status": status, "error_message": text, "stop_reason": text}

    run = make_pages_run(folder, samples, answer, **names)
    score_run(run, ["exact", "cer"])
    return run


def look_everywhere(page, samples):
    """Scroll through the matrix, open a cell of every sample, sort, search and hover."""
    for top in range(0, 200 * samples, 700):
        page.evaluate(f"document.querySelector('#box').scrollTop = {top}")
    page.keyboard.press("j")
    page.evaluate("document.querySelector('#box').scrollTop = 0")
    page.keyboard.press("Enter")
    for _ in range(samples):
        page.keyboard.press("j")
    assert page.locator("#detail[open]").count() == 1
    page.keyboard.press("Escape")
    page.select_option("#sort", "worst")
    page.select_option("#show", "disagree")
    page.fill("#search", "script")
    page.locator("details:not(.menu) > summary").evaluate_all("all => all.forEach(e => e.click())")
    page.wait_for_timeout(300)


OURS = {
    *("HTML", "HEAD", "META", "TITLE", "STYLE", "BODY", "HEADER", "MAIN", "SECTION", "NAV", "FORM", "LABEL", "INPUT"),
    *("SELECT", "OPTION", "BUTTON", "DETAILS", "SUMMARY", "DIALOG", "SCRIPT", "TABLE", "THEAD", "TBODY", "TR", "TH"),
    *("TD", "COL", "COLGROUP", "DIV", "SPAN", "P", "A", "B", "BDI", "SMALL", "PRE", "UL", "LI", "DL", "DT", "DD", "H1"),
    *(
        "H2",
        "H3",
        "I",
        "IMG",
        "WBR",
        "ARTICLE",
        "INS",
        "DEL",
        "KBD",
        "FIGURE",
        "NOSCRIPT",
        "svg",
        "title",
        "desc",
        "line",
        "rect",
        "circle",
    ),
    *("text",),
}


def cases():
    """Return what each case names by payloads, and how many samples have their texts from payloads."""
    names = dict.fromkeys(payload.replace("HOST", "x").replace("\0", "")[:60] for payload in PAYLOADS)
    files = dict.fromkeys(name.replace("/", "\u2215") for name in names)
    return {
        "samples": ({}, len(PAYLOADS)),
        "models": ({"models": tuple(files)}, 3),
        "prompts": ({"prompts": tuple(names)}, 3),
    }


@pytest.mark.parametrize(
    "case", ["samples", *(pytest.param(name, marks=pytest.mark.slow) for name in ("models", "prompts"))]
)
def test_no_payload_runs_or_fetches_anything(browser, trap, tmp_path, case):
    named, count = cases()[case]
    run = hostile_run(tmp_path, trap, PAYLOADS[:count], **named)
    with opened(browser, write_report(run).path) as page:
        look_everywhere(page, count)
        assert page.evaluate("window.pwned ?? null") is None
        assert page.locator("script").count() == 3
        assert set(page.evaluate("[...document.querySelectorAll('*')].map(e => e.tagName)")) <= OURS
        on = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on'))"
        assert page.evaluate(f"{on}.length") == 0
        links = page.evaluate(
            "[...document.querySelectorAll('[href],[src]')].map(e => e.getAttribute('href') ?? e.src)"
        )
        assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert trap.hits == []


def test_the_policy_alone_would_stop_them(browser, trap, report):
    """Because escaping may be broken one day: the browser runs and fetches nothing that is not ours."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    spoilt = report.read_text().replace(
        "<main>",
        f"<main><script>pwned = 1</script><img src=x onerror='pwned = 2'><img src=http://127.0.0.1:{trap.server_port}/>",
    )
    path = report.with_name("spoilt.html")
    path.write_text(spoilt)
    page.goto(path.as_uri())
    page.wait_for_timeout(200)
    assert page.evaluate("window.pwned ?? null") is None
    assert trap.hits == []
    context.close()
