"""Files with secrets that a command writes."""

from __future__ import annotations

import fcntl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gohan_jobs.cli.private_files import private_file

KILLED = """
import os, pathlib, signal, sys
from gohan_jobs.cli.private_files import private_file
with private_file(pathlib.Path(sys.argv[1]), force=False) as target:
    target.write(b"hunter22")
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write(file: Path, text: bytes = b"new") -> None:
    """Write a file."""
    with private_file(file, force=True) as target:
        target.write(text)
        target.flush()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """It was its owner's alone; what is somebody else's beside it stays."""
    file = tmp_path / "site.dump"
    subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    (left,) = tmp_path.iterdir()
    assert (b"hunter22", 0o600) == (left.read_bytes(), stat.S_IMODE(left.stat().st_mode))
    names = [".site.dump.part", ".site.dump.abcdefgh.part2", ".sitexdump.abcdefgh.part"]
    others = [tmp_path / name for name in names]
    for other in others:
        other.touch()
    (tmp_path / ".site.dump.abcdefgh.part").mkdir()  # can be locked, and not removed
    link = tmp_path / ".site.dump.ijklmnop.part"
    link.symlink_to(others[0])
    write(file)
    assert {file, *others, link, tmp_path / ".site.dump.abcdefgh.part"} == {*tmp_path.iterdir()}
    assert b"new" == file.read_bytes()


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Two dumps of the same name at the same time: each is whole."""
    file = tmp_path / "dump"
    with private_file(file, force=True) as target:
        target.write(b"first")
        target.flush()
        write(file, b"second")
        assert b"second" == file.read_bytes()
        assert 2 == len([*tmp_path.iterdir()])
    assert b"first" == file.read_bytes()
    assert [file] == [*tmp_path.iterdir()]


def test_a_file_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another took it for one left over."""
    real = fcntl.flock
    removed: list[Path] = []

    def slow(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    write(tmp_path / "dump")
    assert 1 == len(removed)
    assert [tmp_path / "dump"] == [*tmp_path.iterdir()]


def test_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written, and none is removed: nobody knows whether it is being written."""

    def refuses(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuses)
    left = tmp_path / ".dump.abcdefgh.part"
    left.touch()
    write(tmp_path / "dump")
    assert {left, tmp_path / "dump"} == {*tmp_path.iterdir()}


def test_a_directory_that_can_not_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written to all the same; one that is not there may not."""

    def refuses(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuses)
        write(tmp_path / "dump")
    assert [tmp_path / "dump"] == [*tmp_path.iterdir()]
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "dump")


def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Without --force it is theirs, though it was not there when writing began."""
    file = tmp_path / "a.dump"
    written = private_file(file, force=False)
    written.__enter__().write(b"ours")
    file.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        written.__exit__(None, None, None)
    assert {"a.dump": b"theirs"} == {each.name: each.read_bytes() for each in tmp_path.iterdir()}
