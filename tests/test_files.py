"""Files are replaced whole, and what a disk says about them is one sentence."""

import errno
import os

import pytest

from orchestrator.errors import BakeoffError, DiskError
from orchestrator.files import check_space, disk_errors, read_errors, sync_folder, write_atomically


def fail_with(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_a_file_system_that_syncs_no_folders_is_no_error(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", fail_with(number))
    sync_folder(tmp_path)


def test_a_disk_that_fails_to_sync_a_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fail_with(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)


def test_a_file_that_cannot_be_synced_does_not_take_the_place_of_another(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail_with(errno.EINVAL))
    with pytest.raises(BakeoffError, match="a: Invalid argument"):
        write_atomically(path, b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("number", "kind", "sentence"),
    [
        (errno.ESTALE, DiskError, "cannot be read: Stale file handle; look to the disk and run again"),
        (errno.EISDIR, BakeoffError, "cannot be read: Is a directory; look to the disk and run again"),
        (errno.EACCES, BakeoffError, "cannot be read: Permission denied; make it readable for you"),
    ],
)
def test_what_a_system_says_while_it_reads_is_one_sentence(tmp_path, number, kind, sentence):
    with pytest.raises(BakeoffError) as raised, read_errors(tmp_path):
        fail_with(number)()
    assert (type(raised.value), str(raised.value)) == (kind, f"{tmp_path}: {sentence}")


def test_a_file_that_is_not_there_is_for_the_reader_to_judge(tmp_path):
    with pytest.raises(FileNotFoundError), read_errors(tmp_path):
        (tmp_path / "a").read_bytes()


def test_a_would_be_block_is_no_disk_error(tmp_path):
    with pytest.raises(BlockingIOError), disk_errors(tmp_path):
        fail_with(errno.EAGAIN)()


def test_the_floor_is_told_in_the_unit_of_the_setting(tmp_path):
    with pytest.raises(DiskError, match=r"\d+ MB free, and bakeoff stops below 1234567890123 MB; free some space"):
        check_space(tmp_path, 1_234_567_890_123_000_000)
