"""What workers write to stderr is kept, and a log that cannot be written is one sentence."""

import errno
from pathlib import Path

import pytest

from orchestrator.errors import BakeoffError, DiskError
from orchestrator.redaction import Redactor
from orchestrator.stderr_log import StderrLog


def test_sessions_follow_one_another_in_a_log(tmp_path):
    for word in (b"one\n", b"two\n"):
        with StderrLog(tmp_path / "logs" / "m.log", Redactor({})) as log:
            log.write(word)
            assert log.last_line() == word.decode().strip()
    lines = (tmp_path / "logs" / "m.log").read_text().splitlines()
    assert [line[:3] for line in lines] == ["---", "one", "---", "two"]


def test_a_log_that_may_not_be_written_is_named_with_what_to_do(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", fail)
    match = r"m\.log: cannot be written: Permission denied; make it writable for you"
    with pytest.raises(DiskError, match=match), StderrLog(tmp_path / "m.log", Redactor({})):
        pass


def test_a_log_whose_name_a_folder_has_is_one_sentence(tmp_path):
    (tmp_path / "m.log").mkdir()
    with pytest.raises(BakeoffError, match=r"m\.log: Is a directory"), StderrLog(tmp_path / "m.log", Redactor({})):
        pass


def test_the_last_words_of_node_are_its_error(tmp_path):
    with StderrLog(tmp_path / "m.log", Redactor({})) as log:
        log.write(
            b"node:internal/modules/cjs/loader:1143\n  throw err;\n  ^\n\nError: Cannot find module '/x/wrong.js'\n"
        )
        log.write(b"    at node:internal/main:28:49 {\n  code: 'MODULE_NOT_FOUND'\n}\n\nNode.js v20.20.2\n")
        assert log.last_line() == "Error: Cannot find module '/x/wrong.js'"
        assert log.last_lines(2) == ["}", "Node.js v20.20.2"]
        log.write(b"and on\n")
        assert log.last_line() == "and on"
