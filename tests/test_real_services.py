"""The environments of the real services: made once, whole, and never skipped in silence."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

import real_services
from real_services import CannotInstall, Service, environment, or_skip


@pytest.fixture
def elsewhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A place for locks and environments of the test's own, without an index."""
    monkeypatch.setattr(real_services, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(real_services, "HERE", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


@pytest.mark.slow
def test_an_environment_is_made_once(elsewhere: pathlib.Path) -> None:
    """The same pins give the same environment, and others another."""
    lock = elsewhere / "thing-lock.txt"
    lock.write_text("")
    first = environment("thing")
    mark = first.parents[1] / "mark"
    mark.touch()
    assert first == environment("thing")
    assert mark.exists()
    lock.write_text("# other\n")
    assert first != environment("thing")


@pytest.mark.slow
def test_an_environment_that_was_not_finished_is_made_anew(elsewhere: pathlib.Path) -> None:
    """What an interrupted run left is not used."""
    (elsewhere / "thing-lock.txt").write_text("no-such-package==1\n")
    with pytest.raises(CannotInstall, match="no-such-package"):
        environment("thing")
    with pytest.raises(CannotInstall, match="no-such-package"):
        environment("thing")


def test_what_cannot_be_installed_is_skipped_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is skipped with the reason."""
    monkeypatch.delenv("GOHAN_JOBS_REQUIRE_HEAT", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no index"), or_skip():
        raise CannotInstall("no index")


def test_what_cannot_be_installed_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the services are required, nothing is skipped."""
    monkeypatch.setenv("GOHAN_JOBS_REQUIRE_HEAT", "1")
    with pytest.raises(CannotInstall), or_skip():
        raise CannotInstall("no index")


SERVING = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from serving import end_with_parent, serve
end_with_parent()
serve(lambda environ, start_response: [], 0)
"""

PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
child.wait()
"""


def test_a_service_ends_with_its_parent(tmp_path: pathlib.Path) -> None:
    """A parent that is killed takes the service with it: its output ends."""
    script = tmp_path / "service.py"
    script.write_text(SERVING)
    command = [sys.executable, str(script), str(real_services.HERE)]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert "READY" == parent.stdout.readline().split()[0]
    parent.kill()
    assert "" == parent.communicate()[0]


def test_a_service_that_does_not_start_tells_why(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its log is in the failure."""
    monkeypatch.setattr(real_services, "HERE", tmp_path)
    (tmp_path / "broken.py").write_text("raise SystemExit('out of luck')")
    service = Service(pathlib.Path(sys.executable), "broken.py")
    with pytest.raises(AssertionError, match="out of luck"):
        service.start()
    service.remove()
    assert not service.directory.exists()
