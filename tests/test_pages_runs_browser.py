"""A page of several runs in a real browser: side by side, or one by one behind a link, and nothing in it runs."""

import shutil

import pytest

from orchestrator.pages import write_report
from orchestrator.scoring import score_run
from tests.pages_run import make_pages_run, sample
from tests.payloads import PAYLOADS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def open_page():
    """Return what opens a page and gives it with the list of all it logged, asked for or popped up."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM)

        def call(path, address=""):
            page, told = browser.new_page(viewport={"width": 1280, "height": 900}), []
            page.on("console", lambda message: told.append(message.text))
            page.on("pageerror", lambda error: told.append(str(error)))
            page.on("dialog", lambda dialog: (told.append(f"dialog {dialog.message}"), dialog.dismiss()))
            page.on("request", lambda one: told.append(one.url) if not one.url.startswith(("file:", "data:")) else 0)
            page.goto(f"{path.as_uri()}{address}")
            return page, told

        yield call
        browser.close()


def write_run(folder, name, texts, samples, model="same"):
    run = make_pages_run(folder, samples, lambda s, *_: texts[int(s[1:])], models=(model,), name=name)
    score_run(run, ["exact", "cer"])
    return run


def test_answers_of_two_runs_stand_beside_each_other(open_page, tmp_path):
    samples = [sample(n) for n in range(6)]
    right = [f"answer {n}" for n in range(6)]
    runs = [write_run(tmp_path, "old", [*right[:4], "x", "y"], samples), write_run(tmp_path, "new", right, samples)]
    page, told = open_page(write_report(runs).path, "#s5/same%20%40%20old~read")
    assert "s5" in page.locator("#detail-title").inner_text()
    page.keyboard.press("Escape")
    heads = page.locator("#head th").all_inner_texts()
    assert ["same @ new" in heads[1], "same @ old" in heads[2]] == [True, True]
    page.select_option("#show", "split")
    assert page.locator("#body .id").all_inner_texts() == ["s4", "s5"]
    assert told == []


def test_runs_apart_are_shown_one_by_one_and_links_to_their_cells_hold(open_page, tmp_path):
    runs = [
        write_run(tmp_path, "big", [f"answer {n}" for n in range(6)], [sample(n) for n in range(6)], "one"),
        write_run(tmp_path, "small", ["a", "b"], [sample(n) for n in range(2)], "two"),
    ]
    path = write_report(runs).path
    page, told = open_page(path)
    assert (page.locator("h1").inner_text(), page.locator("#count").inner_text()) == ("big", "6 of 6 samples")
    page.get_by_role("link", name="small").click()
    page.wait_for_url("**?run=2")
    assert (page.locator("h1").inner_text(), page.locator("#count").inner_text()) == ("small", "2 of 2 samples")
    assert page.locator("[aria-current]").inner_text() == "small"
    page.locator("#body td[data-column]").first.click()
    assert page.url.endswith("?run=2#s0/two~read")
    again, more = open_page(path, "?run=2#s1/two~read")
    assert "s1" in again.locator("#detail-title").inner_text()
    nowhere, last = open_page(path, "?run=9")
    assert nowhere.locator("h1").inner_text() == "big"
    assert told + more + last == []


def test_no_payload_runs_on_a_page_of_several_runs(open_page, tmp_path):
    samples = [sample(n, question=text, references=[text], doc_class=text[:40]) for n, text in enumerate(PAYLOADS)]
    runs = [write_run(tmp_path, name, PAYLOADS, samples[:size]) for name, size in (("a", len(PAYLOADS)), ("b", 9))]
    for page, told in (open_page(write_report(runs).path, address) for address in ("", "?run=2", "?run=<b>")):
        page.locator("#body td[data-column]").first.click()
        page.wait_for_timeout(200)
        assert told == []
        assert page.evaluate("document.querySelectorAll('main script, main iframe, main img[onerror]').length") == 0
