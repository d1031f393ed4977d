"""What every test has: a bound on its time, and a workspace with the runners of tests/runners."""

import signal

import pytest
from hypothesis import settings

from orchestrator.cli import main
from tests.workers import make_workspace

TEST_S, SLOW_TEST_S = 60, 900

settings.register_profile("busy", deadline=None)  # a machine may be busy with other things; _bounded ends what hangs
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _bounded(request):
    """Fail a test that hangs, and go on with the others."""

    def give_up(*_):
        pytest.fail("the test took too long")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SLOW_TEST_S if request.node.get_closest_marker("slow") else TEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def built_envs(tmp_path_factory):
    """Environments are built once for all tests of a process."""
    return tmp_path_factory.mktemp("envs")


@pytest.fixture
def workspace(tmp_path, built_envs):
    """Make a workspace whose runners are copies of those in tests/runners."""
    return make_workspace(tmp_path / "workspace", built_envs)


@pytest.fixture
def bakeoff(capsys):
    """Return what calls the command line, and returns its exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return leaving.value.code, captured.out, captured.err

    return call
