"""A dataset's images lie in its folder or where the workspace allows; no other file is read, whatever a row says."""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.config import open_workspace
from orchestrator.datasets import open_dataset
from orchestrator.datasets.fence import Outside, make_fence
from orchestrator.errors import BakeoffError, UsageError
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


def snapshot(root, *cells, notify=None):
    """Write the samples of a dataset with `cells` as image paths; return their defects and what was read."""
    rows = "".join(f'"{cell.replace(chr(34), chr(34) * 2)}",q\n' for cell in cells)
    (root / "datasets/d/annotation.csv").write_text("image_path,question\n" + rows)
    workspace = open_workspace(root)
    (root / "run").mkdir(exist_ok=True)
    with _Watched(root / "cache.sqlite") as cache:
        dataset = open_dataset(workspace, "d")
        write_samples(root / "run", dataset, None, cache, workspace.image_folders, notify=notify)
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


def note(root, *cells):
    """Return what is told once about all of `cells`; None where nothing is."""
    told = []
    snapshot(root, *cells, notify=told.append)
    assert len(told) <= 1
    return told[0] if told else None


def test_an_image_outside_is_not_read_and_said_with_the_remedy(places):
    sentence = refused(places, "../../private/passport.png")
    assert f'allow it with image_folders = ["{places}/private"] under [settings] in bakeoff.toml' in sentence
    assert sentence.startswith("…")
    assert "passport.png lies outside the dataset's folder; allow" in sentence
    assert sentence.endswith("in bakeoff.toml")
    assert refused(places, "/dev/null") == (
        '/dev/null lies outside the dataset\'s folder; allow it with image_folders = ["/dev"] under [settings] in '
        "bakeoff.toml"
    )
    assert refused(places, str(places / "private/passport.png")) == sentence
    assert refused(places, r"..\..\private\passport.png") == sentence
    assert "outside" in refused(places, "/etc/passwd")


def test_one_image_of_several_is_enough(places):
    (sentence,), read = snapshot(places, '["images/a.png", "../../private/passport.png"]')
    assert "passport.png lies outside" in sentence
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
    assert "images/file.png leads outside the dataset's folder; allow" in sentence
    assert sentence.endswith(f"; it leads to {places}/private/passport.png")
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
    (places / "bakeoff.toml").write_text(f'[settings]\nimage_folders = ["datasets", "{given.format(root=places)}"]\n')
    assert snapshot(places, "../../private/passport.png")[0] == [None]
    if given != "/":
        assert 'allow it with "/etc" among the image_folders under [settings]' in refused(places, "/etc/passwd")


@pytest.mark.parametrize("given", ["gone", "/gone/scans", "bakeoff.toml", "n" * 300])
def test_a_folder_that_is_not_there_is_said_before_a_run_of_images(places, given):
    (places / "bakeoff.toml").write_text(f'[settings]\nimage_folders = ["private", "{given}"]\n')
    with pytest.raises(UsageError, match=r"bakeoff\.toml: image_folders: there is no folder .*; correct it, mount it"):
        snapshot(places, "images/a.png")
    (places / "datasets/text.csv").write_text("question\nq\n")
    assert open_dataset(open_workspace(places), "text").kind == "text"


def folders(root, *names):
    """Make an image in each of the folders `names`; return the images."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "a.png").touch()
    return [str(root / name / "a.png") for name in names]


def test_all_images_outside_are_told_once(places):
    assert note(places, "images/a.png", "images/nothing.png", "[]") is None
    passport, other = "../../private/passport.png", *folders(places, "other")
    remedy = f'image_folders = ["{places}/private"] under [settings] in bakeoff.toml'
    assert note(places, passport) == f"1 image lies outside the dataset's folder; allow it with {remedy}"
    assert note(places, passport, "images/a.png", passport).startswith("1 image lies outside")
    both = f'image_folders = ["{places}/other", "{places}/private"] under'
    assert both in note(places, f'["{passport}", "{other}"]')
    assert note(places, passport, other).startswith("2 images lie outside the dataset's folder; allow them with image")
    (places / "bakeoff.toml").write_text('[settings]\nimage_folders = ["private"]\n')
    assert f'allow it with "{places}/other" among the image_folders under' in note(places, passport, other)


def test_the_folder_that_holds_them_all_is_told(places):
    """Five hundred folders would else take five hundred rounds."""
    cells = folders(places, *(f"private/deep/scans/{n}" for n in range(20)))
    assert (
        f'20 images lie outside the dataset\'s folder; allow them with image_folders = ["{places}/private/deep/scans"]'
        in note(places, *cells)
    )
    assert f'["{places}/private"]' in note(places, *cells, str(places / "private/passport.png"))


def test_folders_beside_the_dataset_are_told_each_or_as_one_where_they_are_many(places):
    cells = folders(places, *(f"datasets/e{n}" for n in range(9)))
    each = ", ".join(f'"{places}/datasets/e{n}"' for n in range(8))
    assert f"image_folders = [{each}] under" in note(places, *cells[:8])
    assert f'image_folders = ["{places}/datasets"] under' in note(places, *cells)
    up = str(places / "datasets/up.png")
    Path(up).touch()
    assert f'image_folders = ["{places}/datasets"] under' in note(places, cells[0], up)


def test_the_root_is_proposed_for_no_other_folder(places):
    assert 'image_folders = ["/dev"] under' in note(places, "/", "/dev/null")


def test_a_count_has_an_end(places):
    outside = Outside()
    for n in range(10_001):
        outside.add(Path(f"/a/{n}/b.png"), f"/a/{n}", f"/a/{n}")
    assert outside.describe().startswith(
        '10,000 or more images lie outside the dataset\'s folder; allow them with image_folders = ["/a"]'
    )
    assert len(outside.images) == len(outside.folders) == 10_000


def test_more_folders_than_a_line_holds_are_counted():
    outside = Outside()
    for n in range(12):
        outside.add(Path(f"/{n}/a/b.png"), f"/{n}", f"/{n}/a")
    assert outside.describe().endswith("in bakeoff.toml (and 4 more folders)")


def test_a_link_to_a_name_in_another_encoding_is_told(places):
    target = os.fsencode(places / "private") + b"/\xff.png"
    try:
        os.close(os.open(target, os.O_CREAT))
    except OSError:
        pytest.skip("this disk has names in UTF-8 alone")
    (places / "datasets/d/images/file.png").symlink_to(os.fsdecode(target))
    assert r"private/\udcff.png" in refused(places, "images/file.png")


def test_the_remedy_stays_where_tables_cut(places):
    folder = places / "p" / ("long-" * 40)
    sentence = refused(places, *folders(places, str(folder.relative_to(places))))
    assert sentence.index("image_folders = [") < 130


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
    assert "/private.png lies outside the dataset's folder; allow it" in rows["private-1"]["error_message"]
    assert outcome.models[0].error is None


def test_a_person_may_try_any_image(workspace, tmp_path):
    _image(tmp_path / "mine.png")
    assert api.try_model("echo", tmp_path / "mine.png", "hello", workspace=workspace).text == "hello"
