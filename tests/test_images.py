"""Images: what is learned from a header, one sentence for each defect, and a cache that is only a cache."""

import hashlib
import os
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from orchestrator import images
from orchestrator.images import DigestCache, probe


def _image(path: Path, size: tuple[int, int] = (30, 20), *, age_s: float = 60) -> Path:
    Image.new("RGB", size).save(path)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def _png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _defect(path: Path) -> str:
    found = probe(path)
    assert found.defect is not None
    assert found.defect.startswith(f"{path}: ")
    assert "\n" not in found.defect
    return found.defect


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif", "mpo"])
def test_a_good_image_has_a_digest_and_a_size(tmp_path, suffix):
    path = _image(tmp_path / f"a.{suffix}")
    assert probe(path) == images.Probe(hashlib.sha256(path.read_bytes()).hexdigest(), 30, 20)


def test_the_suffix_does_not_matter(tmp_path):
    path = _image(tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert probe(path).defect is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the image is empty (0 bytes)"),
        (b"%PDF-1.7\n", "is not an image; it looks like a PDF"),
        (b"<!DOCTYPE html><title>404</title>", "looks like HTML or XML"),
        (b'{"error": "gone"}', "looks like JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "looks like a Git LFS pointer"),
        (b"PK\x03\x04....", "looks like a zip archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "looks like HEIC or AVIF"),
        (b"just some words", "looks like text"),
        (b"\xff\xd8\xff\xe0\0\x10JF", "damaged"),
        (b"\x89PNG\r\n\x1a\n\0\0", "damaged PNG"),
        (bytes(range(128, 200)), "looks like none of PNG, JPEG"),
        (_png_claiming(8001, 8001), "8001 x 8001 pixels, more than 64 megapixels"),
        (_png_claiming(12000, 12000), "more than 64 megapixels"),
        (_png_claiming(60000, 60000), "more than 64 megapixels"),
        (_png_claiming(0, 10), ""),
    ],
)
def test_what_is_no_usable_image_is_said_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert words in _defect(path)


def test_a_missing_image_is_named(tmp_path):
    assert "there is no such image" in _defect(tmp_path / "gone.png")


def test_a_folder_is_not_an_image(tmp_path):
    assert "is a folder, not an image" in _defect(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "is not a file" in _defect(tmp_path / "pipe.png")


def test_a_path_that_no_file_can_have_is_a_defect(tmp_path):
    assert "cannot be read" in _defect(tmp_path / "a\0.png")
    assert "cannot be read" in _defect(tmp_path / ("a" * 5000))


def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 10**6)
    assert "the image has 51 MB, more than 50 MB" in _defect(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_image_without_permission_is_a_defect(tmp_path):
    path = _image(tmp_path / "a.png")
    path.chmod(0)
    assert "the image cannot be read: Permission denied" in _defect(path)


def test_formats_with_a_bad_record_are_not_tried(tmp_path):
    path = tmp_path / "a.eps"
    Image.new("RGB", (10, 10)).save(path, "EPS")
    assert "is not an image" in _defect(path)


def test_pillow_is_not_imported_before_an_image_is_read():
    code = "import sys, orchestrator.images; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The cache


def test_a_known_image_is_not_read_again(tmp_path, monkeypatch):
    path = _image(tmp_path / "a.png")
    with DigestCache(tmp_path / "c" / "digests.sqlite") as cache:
        first = cache.probe(path)
    monkeypatch.setattr(images, "probe", lambda path: pytest.fail(f"{path} was read again"))
    with DigestCache(tmp_path / "c" / "digests.sqlite") as cache:
        assert cache.probe(path) == first


def test_a_changed_image_is_read_again(tmp_path):
    path = _image(tmp_path / "a.png")
    with DigestCache(tmp_path / "digests.sqlite") as cache:
        first = cache.probe(path)
    _image(path, (31, 20), age_s=50)
    with DigestCache(tmp_path / "digests.sqlite") as cache:
        second = cache.probe(path)
    assert (first.width, second.width) == (30, 31)
    assert first.sha256 != second.sha256


def test_an_image_written_this_moment_is_not_kept(tmp_path):
    path = _image(tmp_path / "a.png", age_s=0)
    status = path.stat()
    with DigestCache(tmp_path / "digests.sqlite") as cache:
        assert cache.probe(path).width == 30
    Image.new("RGB", (20, 30)).save(path)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    with DigestCache(tmp_path / "digests.sqlite") as cache:
        assert cache.probe(path).width == 20


def test_a_defect_is_not_kept(tmp_path):
    path = tmp_path / "a.png"
    with DigestCache(tmp_path / "digests.sqlite") as cache:
        assert cache.probe(path).defect is not None
    _image(path)
    with DigestCache(tmp_path / "digests.sqlite") as cache:
        assert cache.probe(path).defect is None


@pytest.mark.parametrize("content", [b"not a database, surely " * 100, b"SQLite format 3\0" + b"\xff" * 5000, b"{}"])
def test_a_damaged_cache_is_begun_anew(tmp_path, content):
    path, cache_path = _image(tmp_path / "a.png"), tmp_path / "digests.sqlite"
    cache_path.write_bytes(content)
    with DigestCache(cache_path) as cache:
        assert cache.probe(path).width == 30
    with sqlite3.connect(cache_path) as database:
        assert database.execute("SELECT count(*) FROM probes").fetchone() == (1,)
    database.close()


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").touch()
    with DigestCache(tmp_path / "file" / "digests.sqlite") as cache:
        assert cache.probe(_image(tmp_path / "a.png")).width == 30
    (tmp_path / "folder.sqlite").mkdir()
    with DigestCache(tmp_path / "folder.sqlite") as cache:
        assert cache.probe(tmp_path / "a.png").width == 30


_FILL = """
import sys
from pathlib import Path
from orchestrator.images import DigestCache
with DigestCache(Path(sys.argv[1])) as cache:
    for _ in range(int(sys.argv[3])):
        cache._recent.clear()
        for path in sorted(Path(sys.argv[2]).glob("*.png")):
            assert cache.probe(path).defect is None
            print(flush=True)
"""


def test_two_processes_share_a_cache(tmp_path):
    for number in range(40):
        _image(tmp_path / f"{number}.png", (number + 1, 5))
    cache_path = tmp_path / "digests.sqlite"
    command = [sys.executable, "-c", _FILL, str(cache_path), str(tmp_path), "3"]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    with DigestCache(cache_path) as cache:
        assert [cache.probe(tmp_path / f"{n}.png").width for n in range(40)] == list(range(1, 41))


def test_a_killed_process_leaves_a_usable_cache(tmp_path):
    for number in range(40):
        _image(tmp_path / f"{number}.png", (number + 1, 5))
    cache_path = tmp_path / "digests.sqlite"
    for lines in (1, 20, 60):
        process = subprocess.Popen(
            [sys.executable, "-c", _FILL, str(cache_path), str(tmp_path), "1000"], stdout=subprocess.PIPE
        )
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        process.communicate()
        with DigestCache(cache_path) as cache:
            assert [cache.probe(tmp_path / f"{n}.png").width for n in range(40)] == list(range(1, 41))
