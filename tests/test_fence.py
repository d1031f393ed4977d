"""A dataset's images lie in its folder or where the workspace allows; no other file is read, whatever a row says."""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.config import open_workspace
from orchestrator.datasets import open_dataset
from orchestrator.datasets.fence import make_fence
from orchestrator.errors import BakeoffError
from orchestrator.images import DigestCache
from orchestrator.results.layout import SAMPLES_NAME, predictions_path
from orchestrator.running.snapshot import write_samples
from tests.test_images import _image


@pytest.fixture
def places(tmp_path):
    """Make a workspace with a dataset `d`, and a private picture beside it."""
    (tmp_path / "bakeoff.toml").touch()
    for folder in ("datasets/d/images", "private"):
        (tmp_path / folder).mkdir(parents=True)
    _image(tmp_path / "datasets/d/images/a.png")
    _image(tmp_path / "private/passport.png")
    return tmp_path


class _Watched(DigestCache):
    """Notes what is read."""

    def __init__(self, path):
        super().__init__(path)
        self.read = []

    def probe(self, path):
        self.read.append(path)
        return super().probe(path)


def snapshot(root, *cells):
    """Write the samples of a dataset with `cells` as image paths; return their defects and what was read."""
    rows = "".join(f'"{cell.replace(chr(34), chr(34) * 2)}",q\n' for cell in cells)
    (root / "datasets/d/annotation.csv").write_text("image_path,question\n" + rows)
    workspace = open_workspace(root)
    (root / "run").mkdir(exist_ok=True)
    with _Watched(root / "cache.sqlite") as cache:
        write_samples(root / "run", open_dataset(workspace, "d"), None, cache, workspace.image_folders)
    table = pq.read_table(root / "run" / SAMPLES_NAME).to_pylist()
    images = [image for row in table for image in row["images"]]
    assert all(image["sha256"] == "" for image in images if Path(image["path"]) not in cache.read)
    return [row["defect"] for row in table], cache.read


def refused(root, cell):
    """Return the one sentence about `cell`, whose file was not read."""
    (sentence,), read = snapshot(root, cell)
    assert read == []
    assert sentence is not None
    assert "\n" not in sentence
    return sentence


def test_an_image_of_the_dataset_is_read(places):
    assert snapshot(places, "images/a.png", "./images/../images/a.png", '["images/a.png", "images/a.png"]', "[]") == (
        [None] * 4,
        [places / "datasets/d/images/a.png"] * 4,
    )
    assert snapshot(places, str(places / "datasets/d/images/a.png"))[0] == [None]


def test_an_image_outside_is_not_read_and_said_with_the_remedy(places):
    sentence = refused(places, "../../private/passport.png")
    assert sentence == (
        f"{places}/private/passport.png: the image lies there, outside the dataset's folder {places}/datasets/d; if "
        f'it may be read and handed to models, write image_folders = ["{places}/private"] under [settings] in '
        "bakeoff.toml"
    )
    assert refused(places, str(places / "private/passport.png")) == sentence
    assert refused(places, r"..\..\private\passport.png") == sentence
    assert "outside" in refused(places, "/etc/passwd")


def test_one_image_of_several_is_enough(places):
    (sentence,), read = snapshot(places, '["images/a.png", "../../private/passport.png"]')
    assert "passport.png: the image lies there, outside" in sentence
    assert [path.name for path in read] == ["a.png"]


def test_a_folder_whose_name_begins_alike_is_another(places):
    (places / "datasets/d2").mkdir()
    _image(places / "datasets/d2/a.png")
    assert "outside" in refused(places, "../d2/a.png")


def test_a_link_is_followed_before_it_is_judged(places):
    folder = places / "datasets/d/images"
    (folder / "file.png").symlink_to(places / "private/passport.png")
    (folder / "up").symlink_to("../../..")
    (folder / "inside.png").symlink_to("a.png")
    sentence = refused(places, "images/file.png")
    assert f"images/file.png: the image leads to {places}/private/passport.png, outside" in sentence
    assert f'image_folders = ["{places}/private"]' in sentence
    assert f"leads to {places}/private/passport.png" in refused(places, "images/up/private/passport.png")
    assert snapshot(places, "images/inside.png", "images/up/datasets/d/images/a.png")[0] == [None, None]


def test_the_datasets_folder_may_itself_be_a_link(places):
    (places / "datasets/d").rename(places / "elsewhere")
    (places / "datasets/d").symlink_to(places / "elsewhere")
    assert snapshot(places, "images/a.png")[0] == [None]
    assert "outside" in refused(places, "../private/passport.png")


def test_a_folder_whose_name_is_no_text_is_refused_in_a_sentence(places):
    folder = os.fsdecode(os.fsencode(places / "datasets") + b"/\xff")
    try:
        (places / "datasets/d").rename(folder)
    except OSError:
        pytest.skip("this disk has names in UTF-8 alone")
    (Path(folder) / "annotation.csv").write_text("image_path,question\nimages/a.png,q\n")
    with pytest.raises(BakeoffError, match="is not UTF-8 text; rename it"):
        open_dataset(open_workspace(places), folder)


def test_a_lone_file_has_its_folder(places):
    path = places / "datasets/d/table.csv"
    path.write_text("image_path,question\nimages/a.png,q\n../../private/passport.png,q\n")
    dataset = open_dataset(open_workspace(places), str(path))
    assert dataset.folder == places / "datasets/d"
    refuse = make_fence(dataset.folder)
    first, second = (refuse(sample.images[0]) for sample in dataset)
    assert first is None
    assert "outside" in second


@pytest.mark.parametrize("given", ["private", "./private", "{root}/private", "{root}/link", "/"])
def test_a_folder_can_be_allowed(places, given):
    (places / "link").symlink_to("private")
    (places / "bakeoff.toml").write_text(f'[settings]\nimage_folders = ["gone", "{given.format(root=places)}"]\n')
    assert snapshot(places, "../../private/passport.png")[0] == [None]
    if given != "/":
        assert f'["{places}/gone", "' in refused(places, "/etc/passwd")


HARD = {
    "a\0.png": "holds NUL bytes",
    '["a\\u0000.png"]': "the image cannot be read: ",
    '["a\\ud800.png"]': "holds half a character",
    "a" * 5000: "the image cannot be read: File name too long",
    "d/" * 3000 + "a.png": "there is no such image",
    "images/a.png/b.png": "the image cannot be read: Not a directory",
    "images/loop": "the image cannot be read: Too many levels of symbolic links",
    "images/loop/a.png": "the image cannot be read: Too many levels of symbolic links",
    "images/nothing.png": "there is no such image",
    "images/dangling.png": "there is no such image",
    "images/pipe.png": "is not a file",
    "images": "is a folder, not an image",
    ".": "is a folder, not an image",
    "/dev/zero": "outside the dataset's folder",
    "//dev/zero": "outside the dataset's folder",
    "/proc/self/environ": "outside the dataset's folder",
    "/": "outside the dataset's folder",
    "file:///etc/passwd": "there is no such image",
    "https://example.org/a.png": "there is no such image",
    "~/a.png": "there is no such image",
    "$HOME/a.png": "there is no such image",
}


@pytest.mark.parametrize("cell", HARD, ids=range(len(HARD)))
def test_what_a_row_may_say_never_blocks_and_never_raises_but_a_sentence(places, cell):
    images = places / "datasets/d/images"
    (images / "loop").symlink_to("loop")
    (images / "dangling.png").symlink_to("/nowhere")
    os.mkfifo(images / "pipe.png")
    try:
        (sentence,), _ = snapshot(places, cell)
    except BakeoffError as error:
        sentence = str(error)
    assert HARD[cell] in sentence
    assert "\n" not in sentence


def test_a_device_in_the_datasets_folder_is_not_opened(places):
    try:
        os.mknod(places / "datasets/d/null.png", 0o20666, os.makedev(1, 3))
    except OSError:
        pytest.skip("only root makes devices")
    assert "is not a file" in snapshot(places, "null.png")[0][0]


def test_a_link_behind_a_path_too_long_to_resolve_is_refused(places, monkeypatch):
    """The system follows it, though no name of it could be written out in full."""
    at = places / "datasets/d"
    monkeypatch.chdir(at)
    deep = Path("/".join(["n" * 200] * 12))
    for name in ("one", "two"):
        deep.mkdir(parents=True)
        Path(name).symlink_to(deep)
        os.chdir(deep)
    Path("evil.png").symlink_to(places / "private/passport.png")
    assert (at / "one/two/evil.png").read_bytes()
    assert "File name too long" in refused(places, "one/two/evil.png")


def test_many_images_of_few_folders_cost_little(places):
    image = places / "datasets/d/images/a.png"
    refuse = make_fence(places / "datasets/d")
    began = time.perf_counter()
    assert not any(refuse(image) for _ in range(20_000))
    assert time.perf_counter() - began < 1


def test_a_run_asks_the_others(workspace, tmp_path):
    _image(tmp_path / "private.png")
    folder = workspace.root / "datasets/d"
    folder.mkdir()
    _image(folder / "a.png")
    (folder / "annotation.csv").write_text(f"image_path,question\na.png,one\n{tmp_path}/private.png,two\n")
    outcome = api.run(models="echo", dataset="d", workspace=workspace)
    rows = {row["sample_id"]: row for row in pq.read_table(predictions_path(outcome.folder, "echo")).to_pylist()}
    assert {name: row["status"] for name, row in rows.items()} == {"a-1": "ok", "private-1": "bad_input"}
    assert f"{tmp_path}/private.png: the image lies there, outside" in rows["private-1"]["error_message"]
    assert outcome.models[0].error is None


def test_a_person_may_try_any_image(workspace, tmp_path):
    _image(tmp_path / "mine.png")
    assert api.try_model("echo", tmp_path / "mine.png", "hello", workspace=workspace).text == "hello"
