"""Lists of URLs become datasets: what rows may say, and how downloads go on, are tried again and are kept."""

import contextlib
import csv
import email.utils
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestrator.api import import_dataset
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, LockedError, UsageError
from orchestrator.importing import gather
from orchestrator.importing.asking import Limits
from orchestrator.importing.download import Downloader
from orchestrator.importing.guard import RefusedError, make_guard
from orchestrator.importing.url_cache import UrlCache
from tests.servers.downloads import answer, jpeg, png, redirect, serving

QUICK = Limits(connect_s=10, silence_s=10, total_s=40, attempts=3, backoff_s=0.01)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(gather, "Limits", lambda: QUICK)


@pytest.fixture
def server():
    routes = {"/a.png": png((1, 0, 0)), "/b.png": png((2, 0, 0)), "/c.jpg": jpeg()}
    with serving(routes) as started:
        started.routes = routes
        yield started


def write(tmp_path, name, rows):
    path = tmp_path / name
    if name.endswith(".csv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def bring(workspace, path, server, name="scans", *, replace=False, notify=None, **options):
    options = {"allow_host": (server.host,), **options}
    return import_dataset("urls", str(path), name, options=options, replace=replace, workspace=workspace, notify=notify)


def problems(outcome):
    with (outcome.folder / "problems.csv").open(encoding="utf-8", newline="") as file:
        return {row["what"]: row["reason"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl", "list.json"])
def test_each_form_of_a_list_becomes_a_dataset(name, server, workspace, tmp_path):
    rows = [
        {"id": "n1", "url": f"{server.url}/a.png?sig=s3cr3t", "answer": "00123", "doc_type": "form", "page": "7"},
        {"id": "ю", "url": f"{server.url}/c.jpg", "answer": 'ж, "ё"\nёж', "doc_type": "letter", "page": ""},
    ]
    outcome = bring(workspace, write(tmp_path, name, rows), server)
    assert (outcome.rows, outcome.images, outcome.problems) == (2, 2, [])
    first, second = open_dataset(workspace, "scans")
    assert (first.id, first.references, first.doc_class, first.metadata["page"]) == ("n1", ("00123",), "form", "7")
    assert (second.id, second.references) == ("ю", ('ж, "ё"\nёж',))
    assert first.question == "Transcribe all the text."
    assert first.images[0].read_bytes() == server.routes["/a.png"]
    assert [path.name for sample in (first, second) for path in sample.images] == ["a.png", "c.jpg"]


def test_an_answer_is_a_text_a_list_of_tags_or_an_object_of_fields(server, workspace, tmp_path):
    given = ["text", ["b", "ё"], {"total": 12.50, "date": None}, 12, True, "", 1]
    path = write(
        tmp_path,
        "l.jsonl",
        [{"id": str(n), "url": f"{server.url}/a.png", "tags": tags} for n, tags in enumerate(given)],
    )
    path.write_text(path.read_text(encoding="utf-8").replace('"tags": 1}', '"tags": 12.50}'))
    bring(workspace, path, server)
    samples = list(open_dataset(workspace, "scans"))
    references = [sample.references for sample in samples]
    assert references == [
        *(("text",), ('["b", "ё"]',), ('{"total": 12.5, "date": null}',)),
        *(("12",), ("true",), ("",), ("12.50",)),
    ]
    assert [sample.question for sample in samples[:3]] == [
        "Transcribe all the text.",
        "Which tags fit this image? Answer with a JSON list of texts.",
        "What does the document say? Answer with a JSON object with the keys total, date.",
    ]
    assert server.paths() == ["/a.png"]


def test_columns_can_be_named_and_a_row_may_have_several_images(server, workspace, tmp_path):
    urls = [f"{server.url}/a.png", f"{server.url}/b.png"]
    rows = [{"nr": 1, "pages": urls, "truth": "x", "frage": "Was?", "url": "not this"}]
    chosen = {"url": "pages", "id": "nr", "answer": "truth", "question": "frage"}
    bring(workspace, write(tmp_path, "l.json", {"samples": rows}), server, **chosen)
    (sample,) = open_dataset(workspace, "scans")
    assert (sample.id, sample.question, sample.references, len(sample.images)) == ("1", "Was?", ("x",), 2)
    assert (sample.metadata["url"], json.loads(sample.metadata["pages"])) == ("not this", urls)


def test_a_bad_row_is_named_with_its_reason_and_the_others_are_there(server, workspace, tmp_path):
    server.routes["/page"] = b"<html>please log in</html>"
    good = f"{server.url}/a.png?sig=t0ps3cret"
    rows = [
        {"id": "good", "url": good, "answer": "x"},
        {"id": "gone", "url": f"{server.url}/gone.png?token=t0ps3cret", "answer": "x"},
        {"id": "page", "url": f"{server.url}/page", "answer": "x"},
        {"id": "private", "url": "http://10.0.0.1/x.png?sig=t0ps3cret", "answer": "x"},
        {"id": "credentials", "url": "http://me:t0ps3cret@a.test/x.png", "answer": "x"},
        {"id": "good", "url": good, "answer": "x"},
        {"url": good, "answer": "x"},
        {"id": "none", "answer": "x"},
        {"id": "odd", "url": 5, "answer": "x"},
        {"id": "no-answer", "url": good},
        {"id": "nul", "url": good, "answer": "a\0b"},
        ["a list"],
    ]
    path = write(tmp_path, "list.jsonl", rows)
    with path.open("a") as file:
        file.write('{"id": "half", "url": "' + good + '", "answer": "\\ud800"}\n{"id": "cut\n')
    outcome = bring(workspace, path, server)
    assert outcome.rows == 1
    told = problems(outcome)
    assert told == {
        f"gone: {server.url}/gone.png": "the server says 404: there is no such file",
        f"page: {server.url}/page": "is not an image; it looks like HTML or XML, perhaps an error page saved in "
        "the image's place",
        "private: http://10.0.0.1/x.png": "10.0.0.1 is not a public address; allow it with --allow-host "
        "10.0.0.1 if you trust it",
        "credentials: http://a.test/x.png": "the URL holds a user's name or password; take them out",
        "line 6": "the id 'good' was used before, on line 1; ids are unique",
        "line 7": "has no id",
        "line 8": "has no URL",
        "line 9": "has no URL",
        "line 10": "has no answer; an empty text says that nothing is right",
        "line 11": "it holds a NUL character, which no table can; take it out",
        "line 12": 'is not an object, as {"id": "1", "url": "https://…", "answer": "…"}',
        "line 13": "it holds half a character (\\ud800 to \\udfff); take it out",
        "line 14": "is not JSON: Invalid control character at: line 1 column 12 (char 11)",
    }
    kept = b"".join(p.read_bytes() for p in (workspace.root / "datasets").rglob("*") if p.is_file())
    assert b"t0ps3cret" not in kept


@pytest.mark.parametrize(
    ("name", "text", "options", "told"),
    [
        ("none.csv", None, {}, "there is no such file"),
        ("list.txt", "x", {}, "should be a .json, .jsonl or .csv file"),
        ("list.csv", "link,answer\nhttp://a.test/,x\n", {}, r"there is no column 'url' \(there are: link, answer\)"),
        ("list.csv", "url,answer\nhttp://a.test/,x\n", {"answer": "truth"}, "no column 'truth' for the answer"),
        ("list.csv", "url,answer\n", {}, "has no rows"),
        ("list.json", '{"a": 1}', {}, "should be a list of objects"),
        ("list.json", "[", {}, "is not JSON"),
        ("list.json", "[" * 200_000, {}, "is nested too deep"),
        ("list.jsonl", "\xff", {}, "has no rows"),
        (
            "list.csv",
            "url\nhttp://10.0.0.1/\n",
            {},
            "nothing could be imported; line 2: http://10.0.0.1/: 10.0.0.1 is",
        ),
        ("list.csv", "url\nhttp://10.0.0.1/\n", {"allow_host": ["http://x"]}, "is not a host"),
    ],
)
def test_what_cannot_be_read_at_all_is_one_sentence(name, text, options, told, workspace, tmp_path):
    path = tmp_path / name
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(BakeoffError, match=told):
        import_dataset("urls", str(path), "scans", options=options, workspace=workspace)


def test_a_list_behind_a_url_is_not_fetched(workspace):
    with pytest.raises(UsageError, match=r"https://a\.test/l\.json: is a URL; download that file"):
        import_dataset("urls", "https://a.test/l.json?sig=1", "scans", workspace=workspace)


def test_a_second_import_downloads_only_what_is_missing(server, workspace, tmp_path):
    rows = [{"id": name, "url": f"{server.url}/{name}", "answer": ""} for name in ("a.png", "late.png", "b.png")]
    path = write(tmp_path, "l.json", rows)
    assert bring(workspace, path, server).rows == 2
    assert sorted(server.paths()) == ["/a.png", "/b.png", "/late.png"]
    server.hits.clear()
    server.routes["/late.png"] = png((3, 3, 3))
    assert bring(workspace, path, server, replace=True).rows == 3
    assert server.paths() == ["/late.png"]


def test_refresh_asks_with_validators_and_takes_what_changed(server, workspace, tmp_path):
    version = {"etag": '"1"', "body": png((1, 1, 1))}

    def page(handler):
        if handler.headers["If-None-Match"] == version["etag"]:
            answer(handler, b"", 304, length=-1)
        else:
            answer(handler, version["body"], headers={"ETag": version["etag"]})

    server.routes["/v.png"] = page
    path = write(tmp_path, "l.json", [{"id": str(n), "url": f"{server.url}/v.png", "answer": ""} for n in range(3)])
    bring(workspace, path, server)
    bring(workspace, path, server, replace=True, refresh=True)
    assert [headers.get("if-none-match") for _, headers in server.hits] == [None, '"1"']
    version.update(etag='"2"', body=png((2, 2, 2)))
    bring(workspace, path, server, replace=True)
    outcome = bring(workspace, path, server, "again", refresh=True)
    assert [headers.get("if-none-match") for _, headers in server.hits] == [None, '"1"', '"1"']
    assert (outcome.folder / "images" / "v.png").read_bytes() == version["body"]


def cutting(body, headers, after=None):
    """Return a page that breaks off in the middle, once, and then honours Range and If-Range: it is `after` now."""
    state = {"cuts": 1}
    after, now = after or (headers, body)
    etag = after.get("ETag")

    def page(handler):
        begin = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if state["cuts"]:
            state["cuts"] -= 1
            answer(handler, body[: len(body) // 2], headers=headers, length=len(body))
            handler.connection.close()
        elif begin and handler.headers.get("If-Range", etag) == etag:
            start = int(begin[1])
            answer(handler, now[start:], 206, {"Content-Range": f"bytes {start}-{len(now) - 1}/{len(now)}"})
        else:
            answer(handler, now, headers=after)

    return page


@pytest.mark.parametrize(
    ("headers", "after", "ranges"),
    [
        ({"ETag": '"1"'}, None, True),
        ({"ETag": '"1"'}, ({"ETag": '"2"'}, jpeg((210, 210))), True),
        ({"ETag": 'W/"1"'}, None, False),
        ({}, None, False),
    ],
    ids=["continued", "changed meanwhile", "weak", "no validator"],
)
def test_a_cut_download_goes_on_where_it_can_and_is_whole_in_any_case(headers, after, ranges, server, tmp_path):
    body = jpeg((200, 200))
    server.routes["/x.jpg"] = cutting(body, headers, after)
    part = tmp_path / "part"
    Downloader(make_guard([server.host]), QUICK).fetch(f"{server.url}/x.jpg", part)
    assert part.read_bytes() == (after[1] if after else body)
    asked = [headers.get("range") for _, headers in server.hits]
    assert asked == [None, f"bytes={len(body) // 2}-" if ranges else None]


def test_a_download_that_was_cut_in_another_command_goes_on(server, workspace, tmp_path):
    body = jpeg((200, 200))
    whole = cutting(body, {"ETag": '"1"'})
    state = {"broken": True}

    def page(handler):
        if not state["broken"]:
            whole(handler)
        elif handler.headers.get("Range"):
            answer(handler, b"", 404)
        else:
            answer(handler, body[:1000], headers={"ETag": '"1"'}, length=len(body))

    server.routes["/x.jpg"] = page
    path = write(
        tmp_path, "l.json", [{"id": name, "url": f"{server.url}/{name}", "answer": ""} for name in ("x.jpg", "a.png")]
    )
    assert bring(workspace, path, server).rows == 1
    state["broken"] = False
    outcome = bring(workspace, path, server, replace=True)
    assert (outcome.rows, (outcome.folder / "images" / "x.jpg").read_bytes()) == (2, body)


def failing(times, status, headers=None, body=b""):
    left = [times]

    def page(handler):
        if left[0]:
            left[0] -= 1
            answer(handler, b"", status, headers)
        else:
            answer(handler, body or png())

    return page


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_help_is_tried_again(status, server, tmp_path):
    server.routes["/x"] = failing(2, status)
    Downloader(make_guard([server.host]), QUICK).fetch(f"{server.url}/x", tmp_path / "part")
    assert len(server.hits) == 3
    server.routes["/x"] = failing(3, status)
    with pytest.raises(RefusedError, match=f"the server says {status} .*; tried 3 times"):
        Downloader(make_guard([server.host]), QUICK).fetch(f"{server.url}/x", tmp_path / "part")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_what_does_not_help_is_not_tried_again(status, server, tmp_path):
    server.routes["/x"] = failing(9, status)
    with pytest.raises(RefusedError, match=f"the server says {status}: "):
        Downloader(make_guard([server.host]), QUICK).fetch(f"{server.url}/x", tmp_path / "part")
    assert len(server.hits) == 1


def test_retry_after_is_kept_to_and_pauses_the_host(server, workspace, tmp_path):
    server.routes["/x.png"] = failing(1, 429, {"Retry-After": "1"})
    paused = []
    started = time.monotonic()
    downloader = Downloader(make_guard([server.host]), QUICK, lambda host, wait_s: paused.append((host, wait_s)))
    downloader.fetch(f"{server.url}/x.png", tmp_path / "part")
    assert 1 <= time.monotonic() - started < 2
    assert [host for host, wait_s in paused if 1 <= wait_s <= 1.1] == [server.host]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_long_retry_after_is_told_and_not_waited_for(form, server, tmp_path):
    value = "3600" if form == "seconds" else email.utils.formatdate(time.time() + 3600, usegmt=True)
    server.routes["/x"] = failing(9, 503, {"Retry-After": value})
    with pytest.raises(RefusedError, match=r"asks to wait 3(600|59\d) s; run the same command again"):
        Downloader(make_guard([server.host]), QUICK).fetch(f"{server.url}/x", tmp_path / "part")


def test_a_host_is_asked_for_few_at_once_and_for_no_more_when_it_is_dead(server, workspace, tmp_path):
    state = {"now": 0, "most": 0}
    lock = threading.Lock()

    def page(handler):
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        time.sleep(0.02)
        with lock:
            state["now"] -= 1
        answer(handler, png())

    server.routes.update({f"/{n}.png": page for n in range(24)})
    rows = [{"id": n, "url": f"{server.url}/{n}.png", "answer": ""} for n in range(24)]
    rows += [{"id": f"dead{n}", "url": f"http://127.0.0.1:1/{n}", "answer": ""} for n in range(60)]
    outcome = bring(workspace, write(tmp_path, "l.json", rows), server, allow_host=(server.host, "127.0.0.1:1"))
    assert (outcome.rows, len(outcome.problems)) == (24, 60)
    assert 1 < state["most"] <= 4
    reasons = [problem.reason for problem in outcome.problems]
    assert reasons[0] == "it cannot be reached: Connection refused; tried 3 times"
    assert reasons[-1] == "its host could not be reached 5 times in a row and is not asked again now"


def test_rows_come_in_their_order_whatever_is_slow(server, workspace, tmp_path):
    def slow(handler):
        time.sleep(0.2)
        answer(handler, png())

    server.routes["/slow.png"] = slow
    urls = ["slow.png", *(["a.png", "b.png"] * 5), "slow.png"]
    path = write(
        tmp_path, "l.json", [{"id": f"{n}", "url": f"{server.url}/{u}", "answer": ""} for n, u in enumerate(urls)]
    )
    bring(workspace, path, server)
    assert [sample.id for sample in open_dataset(workspace, "scans")] == [str(n) for n in range(12)]
    assert sorted(server.paths()) == ["/a.png", "/b.png", "/slow.png"]


def test_progress_is_told_now_and_then(server, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "TOLD_EVERY_S", 0.0)
    rows = [{"id": n, "url": f"{server.url}/{n}", "answer": ""} for n in ("a.png", "gone", "b.png")]
    notes = []
    bring(workspace, write(tmp_path, "l.json", rows), server, notify=notes.append)
    assert notes[0] == "l.json: 3 rows; images that were downloaded before are not asked for again"
    assert notes[-1] == "3 of 3 rows have their images, 0.0 MB downloaded, 1 cannot be had"


def test_a_redirect_is_followed_and_a_url_with_spaces_is_asked(server, workspace, tmp_path):
    server.routes["/go"] = redirect("/my%20scan.png")
    server.routes["/my%20scan.png"] = png((7, 7, 7))
    rows = [{"id": n, "url": f"{server.url}/{u}", "answer": ""} for n, u in enumerate(("go", "my scan.png"))]
    outcome = bring(workspace, write(tmp_path, "l.json", rows), server)
    assert (outcome.rows, outcome.images) == (2, 1)


def test_two_imports_do_not_mix(server, workspace, tmp_path):
    path = write(tmp_path, "l.json", [{"id": "1", "url": f"{server.url}/a.png", "answer": ""}])
    with UrlCache(workspace.root / "datasets" / ".cache" / "urls"), pytest.raises(LockedError, match="another import"):
        bring(workspace, path, server)


def test_a_damaged_cache_is_begun_anew(server, workspace, tmp_path):
    path = write(tmp_path, "l.json", [{"id": "1", "url": f"{server.url}/a.png", "answer": ""}])
    bring(workspace, path, server)
    cache = workspace.root / "datasets" / ".cache" / "urls"
    (cache / "index.sqlite").write_bytes(b"noise" * 1000)
    assert bring(workspace, path, server, replace=True).rows == 1
    (image,) = (p for p in (cache / "objects").rglob("*") if p.is_file())
    image.write_bytes(b"short")
    assert bring(workspace, path, server, replace=True).rows == 1
    assert len(server.hits) == 3


@pytest.mark.slow
def test_interrupted_it_ends_at_once_and_goes_on_later(server, workspace, tmp_path):
    release = threading.Event()

    def stuck(handler):
        answer(handler, png()[:20], headers={"ETag": '"1"'}, length=len(png()))
        release.wait(20)

    server.routes["/stuck.png"] = stuck
    rows = [{"id": n, "url": f"{server.url}/{n}", "answer": ""} for n in ("a.png", "stuck.png", "b.png")]
    path = write(tmp_path, "l.json", rows)
    command = [
        *(sys.executable, "-m", "orchestrator", "--workspace", str(workspace.root), "dataset", "import", "urls"),
        *(str(path), "scans", "--allow-host", server.host),
    ]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what a job in the background ignores is inherited
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        while process.poll() is None and not {"/a.png", "/b.png", "/stuck.png"} <= set(server.paths()):
            time.sleep(0.02)
        time.sleep(0.1)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[1]
    assert (process.returncode, time.monotonic() - started < 5) == (130, True), told
    assert "Traceback" not in told
    release.set()
    assert [p.name for p in (workspace.root / "datasets").iterdir() if "scans" in p.name] == []
    server.hits.clear()
    server.routes["/stuck.png"] = png()
    with contextlib.suppress(BakeoffError):
        assert bring(workspace, path, server).rows == 3
    assert server.paths() == ["/stuck.png"]
