"""Arkindex: a server's folders and datasets, and a project's export, become the same datasets.

Each test of the server runs twice: with a plain client of our own, and, as slow, with the real one in its environment.
"""

import csv
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator.api import import_dataset
from orchestrator.cli import cli
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, TryLaterError, UsageError
from orchestrator.importing import arkindex, arkindex_client
from orchestrator.importing.arkindex_api import find_id
from orchestrator.importing.arkindex_client import AskError
from orchestrator.importing.arkindex_element import Element, Iiif
from orchestrator.importing.arkindex_iiif import make_view
from orchestrator.manifest import read_runner
from tests.servers import arkindex_project as project
from tests.servers.arkindex import OPERATIONS, arkindex_server
from tests.servers.arkindex_project import DATASET, EMPTY, FOLDER, LINE_1, LINE_2, LINE_3, PAGE_1, PAGE_2, PAGE_3
from tests.servers.downloads import serving

pytestmark = pytest.mark.slow  # its servers and clients take their time

TOKEN = "t0ken-of-the-tests"
real = pytest.mark.slow  # its environment is built from the package registry


class PlainClient:
    """Asks as the real client does, and stops there."""

    def __init__(self, workspace, account, notify):
        self.account = account

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, operation, arguments, **optional):
        path, known = OPERATIONS[operation]
        given = {**{name: value for name, value in optional.items() if name in known}, **arguments}
        query = urllib.parse.urlencode({name: value for name, value in given.items() if name != "id"})
        request = urllib.request.Request(f"{self.account.api_url}{path.format(id=arguments['id'])}?{query}")
        request.add_header("Authorization", f"Token {self.account.token}")
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AskError(f"{operation} fails with {error.code}", error.code) from None

    def listing(self, operation, arguments, **optional):
        following = {}
        while following is not None:
            answer = self.ask(operation, {**arguments, **following}, page_size=100, **optional)
            yield from answer["results"]
            name, _, value = (answer["next"] or "").rpartition("?")[2].partition("=")
            following = {name: value} if name else None


@pytest.fixture(params=["plain", pytest.param("real", marks=real)])
def client(request, monkeypatch):
    monkeypatch.setattr(arkindex_client, "BACKOFF_S", 0.01)
    if request.param == "plain":
        monkeypatch.setattr(arkindex, "ArkindexClient", PlainClient)


@pytest.fixture
def real_client(monkeypatch):
    monkeypatch.setattr(arkindex_client, "BACKOFF_S", 0.01)


@pytest.fixture
def server(monkeypatch):
    with arkindex_server(token=TOKEN) as started:
        account(monkeypatch, started)
        yield started


def account(monkeypatch, server, token=TOKEN):
    monkeypatch.delenv("ARKINDEX_API_TOKEN", raising=False)
    monkeypatch.setenv("ARKINDEX_API_URL", server.url)
    monkeypatch.setenv("ARKINDEX_TOKEN", token)


def bring(workspace, given=FOLDER, name="ark", **options):
    outcome = import_dataset("arkindex", given, name, options=options, workspace=workspace)
    return outcome, list(open_dataset(workspace, name))


def size(sample):
    with Image.open(sample.images[0]) as image:
        return image.size


def truths(samples):
    return {sample.id: sample.references for sample in samples}


def reasons(outcome):
    return {problem.what.rpartition("(")[2].rstrip(")"): problem.reason for problem in outcome.problems}


def test_pages_of_a_folder_come_with_what_people_transcribed(client, server, workspace):
    outcome, samples = bring(workspace)
    assert truths(samples) == {PAGE_1: ("😀 Пётр & Jean, 1790",), PAGE_2: ("second page",)}
    assert reasons(outcome) == {PAGE_3: "has no transcription made by hand"}
    first, second = samples
    assert (first.question, first.doc_class, second.doc_class) == ("Transcribe all the text.", "letter", None)
    assert first.document == project.IMAGE_1
    assert first.metadata == {"name": "p. 1", "element_type": "page", "link": f"{server.url}/element/{PAGE_1}"}
    assert [size(sample) for sample in samples] == [(800, 600), (200, 300)]
    assert len(server.asked("ListTranscriptions")) == 1
    assert sorted(server.images) == [
        f"{project.IMAGE_1}/full/full/0/default.jpg",
        f"{project.IMAGE_2}/full/full/!90/default.jpg",
        f"{project.IMAGE_2}/full/max/!90/default.jpg",
    ]


def test_lines_are_cut_out_by_their_zones_within_the_image(client, server, workspace):
    outcome, samples = bring(workspace, element_type="text_line")
    assert truths(samples) == {LINE_1: ("Jean Martin, № 00123",), LINE_2: ("né à Пётр", "ne a Петр")}
    assert reasons(outcome) == {LINE_3: "has no transcription made by hand"}
    assert [size(sample) for sample in samples] == [(500, 40), (402, 50)]
    assert sorted(server.images) == [
        f"{project.IMAGE_1}/10,20,500,40/full/0/default.jpg",
        f"{project.IMAGE_1}/8,100,402,50/full/0/default.jpg",
    ]
    assert [len(server.asked(name)) for name in ("ListElementChildren", "ListTranscriptions")] == [2, 2]


def test_the_whole_image_comes_with_the_box(client, server, workspace):
    _, samples = bring(workspace, element_type="text_line", whole_image=True, max_side=400)
    assert [sample.answer_bbox for sample in samples] == [(5, 10, 255, 30), (4, 50, 205, 75)]
    assert samples[0].images == samples[1].images
    assert size(samples[0]) == (400, 300)


@pytest.mark.parametrize("chosen", [{"worker_run": project.RUN}, {"worker_version": project.VERSION}], ids=str)
def test_what_a_worker_wrote_can_be_the_truth(chosen, client, server, workspace):
    outcome, samples = bring(workspace, element_type="text_line", **chosen)
    assert truths(samples) == {LINE_1: ("Jean Mortin",), LINE_2: ("ne a Petr",), LINE_3: ("by a machine",)}
    assert outcome.problems == []
    assert len(server.asked("RetrieveWorkerRun")) == ("worker_version" in chosen)


def test_the_lines_of_a_page_can_make_its_text(client, server, workspace):
    outcome, samples = bring(workspace, lines="text_line", worker_run=project.RUN)
    assert truths(samples) == {PAGE_1: ("Jean Mortin\nne a Petr\nby a machine",)}
    assert reasons(outcome) == dict.fromkeys((PAGE_2, PAGE_3), "has no text_line below it")
    with pytest.raises(BakeoffError, match="1 of its 3 text_line have no transcription made by hand"):
        bring(workspace, name="hand", lines="text_line")


def test_entities_are_an_object_of_lists_in_the_order_of_the_text(client, server, workspace):
    _, samples = bring(workspace, truth="entities")
    assert [json.loads(sample.references[0]) for sample in samples] == [{"person": ["Пётр", "Jean"], "date": ["1790"]}]
    _, samples = bring(workspace, name="persons", truth="entities", field=("person",))
    assert json.loads(samples[0].references[0]) == {"person": ["Пётр", "Jean"]}
    assert samples[0].question == (
        "Find the named entities of the types person. Answer with a JSON object: for each type a list of texts."
    )


def test_classes_are_those_of_people_that_nobody_rejected(client, server, workspace):
    outcome, samples = bring(workspace, truth="classification")
    assert (truths(samples), samples[0].doc_class) == ({PAGE_1: ("letter",)}, None)
    assert reasons(outcome) == dict.fromkeys((PAGE_2, PAGE_3), "has no class made by hand")


def test_metadata_are_an_object_and_one_field_is_its_value(client, server, workspace):
    _, samples = bring(workspace, truth="metadata")
    assert [json.loads(sample.references[0]) for sample in samples] == [{"date": "1790", "place": ["Арль", "Nîmes"]}]
    outcome, samples = bring(workspace, name="places", truth="metadata", field=("place",))
    assert (samples[0].references, samples[0].question) == (
        ("Арль", "Nîmes"),
        "What is the place? Answer with the value alone.",
    )
    assert reasons(outcome)[PAGE_2] == "has no metadata of place made by hand"


@pytest.mark.parametrize("is_old", [False, True])
def test_a_dataset_comes_with_its_sets(is_old, client, workspace, monkeypatch):
    with arkindex_server(token=TOKEN, is_old=is_old) as server:
        account(monkeypatch, server)
        outcome, samples = bring(workspace, DATASET)
        assert {sample.id: sample.metadata["set"] for sample in samples} == {PAGE_1: "train", PAGE_2: "test"}
        assert reasons(outcome) == {PAGE_1: "is in the sets train and test; it was imported once"}
        _, samples = bring(workspace, DATASET, "test", set=("test",))
        assert [sample.metadata["set"] for sample in samples] == ["test", "test"]
        with pytest.raises(UsageError, match=r"has no set 'tset'; there are test, train"):
            bring(workspace, DATASET, "tset", set=("tset",))
        with pytest.raises(UsageError, match=r"is a folder, not a dataset; leave --set out"):
            bring(workspace, FOLDER, "folder", set=("test",))


def test_older_servers_are_read_the_same(client, server, workspace, monkeypatch):
    told = {}
    for is_old in (False, True):
        with arkindex_server(token=TOKEN, is_old=is_old, hides_elements=is_old) as each:
            account(monkeypatch, each)
            for truth in ("transcription", "entities", "classification", "metadata"):
                _, samples = bring(workspace, name=f"{truth}-{is_old}", truth=truth)
                told[truth, is_old] = [(sample.id, sample.references, sample.doc_class) for sample in samples]
            _, samples = bring(
                workspace, name=f"version-{is_old}", element_type="text_line", worker_version=project.VERSION
            )
            told["version", is_old] = truths(samples)
    assert [told[key, True] == told[key, False] for key, _ in told] == [True] * 10


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"element_type": "text_line"},
        {"element_type": "text_line", "worker_run": project.RUN},
        {"element_type": "text_line", "worker_version": project.VERSION},
        {"truth": "entities"},
        {"truth": "classification"},
    ],
    ids=str,
)
def test_the_export_makes_the_same_dataset_as_the_server(is_old, options, server, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(arkindex, "ArkindexClient", PlainClient)
    outcome, samples = bring(workspace, **options)
    export = project.write_export(tmp_path / "p.sqlite", f"{server.url}/iiif", is_old=is_old)
    allowed = {"allow_host": (server.url.removeprefix("http://"),)}
    other = import_dataset(
        "arkindex-sqlite", str(export), "export", options={**options, **allowed, "element": FOLDER}, workspace=workspace
    )
    for ours, theirs in zip(samples, open_dataset(workspace, "export"), strict=True):
        assert (ours.id, ours.references, ours.doc_class) == (theirs.id, theirs.references, theirs.doc_class)
        assert (ours.question, ours.document) == (theirs.question, theirs.document)
        assert [p.read_bytes() for p in ours.images] == [p.read_bytes() for p in theirs.images]
    assert other.problems == outcome.problems


def export_of(workspace, tmp_path, server, name="export", **options):
    path = tmp_path / "p.sqlite"
    if not path.exists():
        project.write_export(path, f"{server.url}/iiif")
    options = {"allow_host": (server.url.removeprefix("http://"),), **options}
    outcome = import_dataset("arkindex-sqlite", str(path), name, options=options, workspace=workspace)
    return outcome, list(open_dataset(workspace, name))


def test_an_export_has_datasets_metadata_and_lines_too_and_can_be_taken_whole(server, workspace, tmp_path):
    _, samples = export_of(workspace, tmp_path, server)
    assert set(truths(samples)) == {PAGE_1, PAGE_2}
    outcome, samples = export_of(workspace, tmp_path, server, "set", element=DATASET)
    assert {sample.id: sample.metadata["set"] for sample in samples} == {PAGE_1: "train", PAGE_2: "test"}
    assert reasons(outcome) == {PAGE_1: "is in the sets train and test; it was imported once"}
    _, samples = export_of(workspace, tmp_path, server, "meta", truth="metadata", field=("date",))
    assert truths(samples) == {PAGE_1: ("1790",)}
    project_path = tmp_path / "p.sqlite"
    before = project_path.read_bytes()
    with pytest.raises(BakeoffError, match=r"1 of its 3 text_line have no transcription made by hand"):
        export_of(workspace, tmp_path, server, "lines", element=PAGE_1, lines="text_line")
    assert project_path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"element": project.NOBODY}, "has no such element, nor a dataset"),
        ({"element": EMPTY}, "has no page; the export has folder, page, text_line"),
        ({"element_type": "act"}, "has no act; the export has folder, page, text_line"),
        ({"set": ("train",)}, "name the dataset with --element"),
        ({"element": DATASET, "set": ("x",)}, "has no set 'x'; there are test, train"),
        ({"truth": "truth"}, "truth"),
    ],
    ids=str,
)
def test_what_an_export_does_not_have_is_one_sentence(options, told, server, workspace, tmp_path):
    with pytest.raises(BakeoffError, match=told):
        export_of(workspace, tmp_path, server, **options)


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"not a database" * 100, "is not a sound SQLite export"), (b"", "is not an export of Arkindex: it has no table")],
)
def test_a_file_that_is_no_export_is_one_sentence(data, told, workspace, tmp_path):
    path = tmp_path / "p.sqlite"
    path.write_bytes(data)
    with pytest.raises(BakeoffError, match=told):
        import_dataset("arkindex-sqlite", str(path), "x", workspace=workspace)
    with pytest.raises(UsageError, match="there is no such file"):
        import_dataset("arkindex-sqlite", str(tmp_path / "none.sqlite"), "x", workspace=workspace)


def test_an_empty_folder_says_so_and_a_wrong_type_says_which_there_are(client, server, workspace):
    with pytest.raises(BakeoffError, match="has no page; it is empty"):
        bring(workspace, EMPTY)
    with pytest.raises(BakeoffError, match=r"has no act; choose with --element-type: .*page, text_line"):
        bring(workspace, element_type="act")


def test_a_page_can_be_given_itself_and_by_its_address(client, server, workspace):
    _, samples = bring(workspace, f"{server.url}/element/{PAGE_1}?from={FOLDER}", truth="transcription")
    assert truths(samples) == {PAGE_1: ("😀 Пётр & Jean, 1790",)}


@pytest.mark.parametrize(
    "given", ["", "register", "00000000-0000-4000-8000", "x" + FOLDER, "https://ark.test/element/"]
)
def test_what_is_no_id_is_told_before_anything_is_asked(given, workspace):
    with pytest.raises(UsageError, match="is not an Arkindex id; it looks like"):
        import_dataset("arkindex", given, "ark", workspace=workspace)
    assert find_id(FOLDER.upper()) == FOLDER


def test_an_unknown_id_is_neither_element_nor_dataset(client, server, workspace):
    with pytest.raises(UsageError, match="knows no such element or dataset, or your token may not see it"):
        bring(workspace, project.NOBODY)


@pytest.mark.parametrize("url", ["", "arkindex.test", "ftp://arkindex.test"])
def test_the_server_has_to_be_named(url, workspace, monkeypatch):
    monkeypatch.setenv("ARKINDEX_API_URL", url)
    with pytest.raises(UsageError, match=r"ARKINDEX_API_URL is .*; set it, or write ARKINDEX_API_URL=https"):
        import_dataset("arkindex", FOLDER, "ark", workspace=workspace)


def test_token_and_url_may_stand_in_the_env_file(client, server, workspace, monkeypatch):
    for name in ("ARKINDEX_API_URL", "ARKINDEX_TOKEN"):
        monkeypatch.delenv(name)
    (workspace.root / ".env").write_text(f"ARKINDEX_API_URL={server.url}\nARKINDEX_TOKEN={TOKEN}\n")
    assert len(bring(workspace)[1]) == 2


def test_the_token_is_in_no_file_and_goes_to_no_image_server(client, server, workspace):
    bring(workspace)
    root = workspace.root
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_relative_to(root / "envs")]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert {"dataset.json", "annotation.csv", "problems.csv"} <= {path.name for path in files}
    assert set(server.tokens) == {f"Token {TOKEN}"}


def test_an_image_that_cannot_be_had_is_a_problem_and_private_hosts_are_refused(client, server, workspace, monkeypatch):
    images = {**project.IMAGES, project.IMAGE_2: (300, 200)}
    monkeypatch.setattr(
        "tests.servers.arkindex.IIIF", __import__("re").compile(f"({project.IMAGE_1})/(full)/(full)/()(0)/default.jpg")
    )
    outcome, samples = bring(workspace)
    assert (list(truths(samples)), len(images)) == ([PAGE_1], 2)
    url = f"{server.url}/iiif/{project.IMAGE_2}/full/full/!90/default.jpg"
    assert reasons(outcome)[PAGE_2] == f"its image {url}: the server says 400: Bad Request"
    with serving({}) as canary:
        monkeypatch.setattr("tests.servers.arkindex.zone", zone_at(f"{canary.url}/iiif"))
        with pytest.raises(BakeoffError, match=r"127\.0\.0\.1 is not a public address; allow it with --allow-host"):
            bring(workspace, name="other")
        assert canary.hits == []


def zone_at(url):
    image = {"id": project.IMAGE_1, "url": f"{url}/{project.IMAGE_1}", "width": 8, "height": 6, "server": {}}
    return lambda *_: {"polygon": None, "image": image}


FAULTS = [
    (401, 1, AskError, r"RetrieveElement is not allowed \(401: told to fail\); check ARKINDEX_TOKEN"),
    (403, 1, AskError, r"RetrieveElement is not allowed \(403: told to fail\); check ARKINDEX_TOKEN"),
    (400, 1, AskError, r"RetrieveElement fails with 400 \(told to fail\)"),
    (429, 9, TryLaterError, r"RetrieveElement fails with 429 \(told to fail\); run the same command again later"),
    (500, 9, TryLaterError, r"RetrieveElement fails with 500 \(told to fail\)"),
    (503, 9, TryLaterError, r"RetrieveElement fails with 503"),
]


@real
@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(("status", "times", "kind", "told"), FAULTS, ids=[str(fault[0]) for fault in FAULTS])
def test_errors_of_the_server_are_sentences(status, times, kind, told, is_old, real_client, workspace, monkeypatch):
    with arkindex_server(token=TOKEN, is_old=is_old) as server:
        account(monkeypatch, server)
        server.faults["RetrieveElement"] = [(status, {}, None)] * times
        with pytest.raises(kind, match=told):
            bring(workspace)
        assert len(server.asked("RetrieveElement")) == min(times, 5)


@real
def test_what_passes_is_tried_again_and_retry_after_is_kept_to(real_client, server, workspace):
    server.faults["ListTranscriptions"] = [
        (429, {"Retry-After": "0"}, None),
        (502, {"Content-Type": "text/plain"}, b"bad"),
    ]
    server.faults["ListElementChildren"] = [(503, {}, b"")]
    assert len(bring(workspace)[1]) == 2
    assert len(server.asked("ListTranscriptions")) == 3
    server.faults["RetrieveElement"] = [(429, {"Retry-After": "3600"}, None)]
    with pytest.raises(TryLaterError, match="429"):
        bring(workspace, name="later")
    assert len(server.asked("RetrieveElement")) == 2


@real
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"{}", "does not look like an Arkindex server .*404.*; check ARKINDEX_API_URL"),
        (200, b"<html>log in</html>", "does not look like an Arkindex server"),
        (200, b"[]", "does not look like an Arkindex server|failed"),
    ],
)
def test_a_server_of_another_kind_is_named(status, body, told, real_client, server, workspace):
    server.faults["openapi"] = [(status, {}, body)]
    with pytest.raises(BakeoffError, match=told):
        bring(workspace)


@real
def test_a_page_to_log_in_within_is_no_answer(real_client, server, workspace):
    server.faults["RetrieveElement"] = [(200, {"Content-Type": "text/html"}, b"<html>log in</html>")]
    with pytest.raises(AskError, match=r"does not look like an Arkindex server .*perhaps a page to log in"):
        bring(workspace)


@real
def test_a_server_that_is_not_there_is_named(real_client, workspace, monkeypatch):
    monkeypatch.setenv("ARKINDEX_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ARKINDEX_TOKEN", TOKEN)
    with pytest.raises(TryLaterError, match=r"http://127\.0\.0\.1:1: cannot be reached"):
        bring(workspace)


@real
def test_a_server_that_echoes_the_token_does_not_get_it_told(real_client, server, workspace):
    server.faults["RetrieveElement"] = [(403, {}, {"detail": f"the token {TOKEN} is not welcome"})]
    with pytest.raises(AskError, match=r"403: the token \[redacted:ARKINDEX_TOKEN\] is not welcome"):
        bring(workspace)


@real
def test_a_client_that_dies_is_told_with_its_last_words(real_client, server, workspace, monkeypatch, tmp_path):
    folder = tmp_path / "arkindex"
    folder.mkdir()
    for path in arkindex_client.FOLDER.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    client = (folder / "client.py").read_text()
    dying = f'    import sys; print("no more of {TOKEN}", file=sys.stderr); os._exit(3)\n'
    (folder / "client.py").write_text(
        client.replace("def carry_out(asker, request):\n", f"def carry_out(asker, request):\n{dying}")
    )
    monkeypatch.setattr(arkindex_client, "FOLDER", folder)
    with pytest.raises(BakeoffError, match=r"its client ended unexpectedly; it said: no more of \[redacted"):
        bring(workspace)


@real
def test_the_client_has_neither_token_nor_our_variables_in_its_environment(real_client, server, workspace, monkeypatch):
    monkeypatch.setenv("SOME_SECRET_KEY", "of-somebody-else")
    account = arkindex_client.read_account(workspace)
    with arkindex_client.ArkindexClient(workspace, account, print) as client:
        process = Path(f"/proc/{client._child._process.pid}")
        if not process.exists():
            pytest.skip("there is no /proc")
        told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        assert client.ask("RetrieveElement", {"id": FOLDER})["name"] == "Register 1"
    assert TOKEN.encode() not in told
    assert b"of-somebody-else" not in told
    assert not process.exists()


@real
def test_the_command_tells_what_came_and_what_did_not(real_client, server, workspace):
    arguments = ["--workspace", str(workspace.root), "dataset", "import", "arkindex", FOLDER, "registers"]
    result = CliRunner().invoke(cli, [*arguments, "--element-type", "text_line"])
    assert "2 questions about 2 images" in result.output
    assert f"not imported: text_line l. 3 ({LINE_3}): has no transcription made by hand" in result.output
    with (workspace.root / "datasets" / "registers" / "problems.csv").open() as file:
        assert len(list(csv.reader(file))) == 2


def test_the_environment_is_pinned_and_ours_has_nothing_of_it():
    runner = read_runner(arkindex_client.FOLDER)
    assert "arkindex-client==1.3.1" in runner.lock.read_text()
    assert os.path.commonpath([runner.folder, arkindex_client.BUILTIN]) == str(arkindex_client.BUILTIN)
    with pytest.raises(ImportError):
        __import__("arkindex")


def image(**changes):
    return Iiif(**{"id": "i", "url": "https://iiif.test/2/i/", "width": 1000, "height": 800, **changes})


@pytest.mark.parametrize(
    ("element", "options", "url"),
    [
        ({}, {}, "full/full/0"),
        ({"polygon": ((-5, -5), (2000, 2000))}, {}, "full/full/0"),
        ({"polygon": ((1.5, 2.5), (10.2, 20.9))}, {}, "1,2,10,19/full/0"),
        ({"rotation": 90, "is_mirrored": True}, {}, "full/full/!90"),
        ({"rotation": 450}, {}, "full/full/90"),
        ({"image": image(version=3)}, {}, "full/max/0"),
        ({"image": image(max_width=500)}, {}, "full/!500,800/0"),
        ({"image": image(max_width=500), "polygon": ((0, 0), (400, 100))}, {}, "0,0,400,100/full/0"),
        ({}, {"max_side": 500}, "full/!500,500/0"),
        ({}, {"max_side": 2000}, "full/full/0"),
        ({"polygon": ((0, 0), (10, 10)), "rotation": 90}, {"whole_image": True}, "full/full/0"),
    ],
)
def test_an_image_is_asked_for_as_iiif_says(element, options, url):
    view = make_view(Element(**{"id": "e", "name": "n", "type": "page", "image": image(), **element}), **options)
    assert view.url == f"https://iiif.test/2/i/{url}/default.jpg"


def test_a_zone_outside_of_its_image_cannot_be_seen():
    for element in (Element("e", "n", "page"), Element("e", "n", "page", image(), ((2000, 0), (3000, 10)))):
        assert make_view(element) is None
