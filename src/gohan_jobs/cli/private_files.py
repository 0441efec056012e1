"""A new file with secrets: its owner's alone from the first byte, there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

__all__ = ["private_file"]

_SUFFIX = ".part"


@contextlib.contextmanager
def private_file(file: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Write a file that was nobody else's to read at any time.

    What is written stands in a file beside it until it is whole. If the process is killed, that
    one stays; the next call for the same name removes it. Who writes holds a lock on his, which
    ends with the process, in whatever container that was.

    Args:
        file: its name.
        force: whether to replace one that is there.

    Raises:
        click.UsageError: it has no name, or is there already, or is no file.
        OSError: it can't be written.
    """
    if not file.name:
        raise click.UsageError("FILE must have a name; - is standard output")
    if os.path.lexists(file) and not force:
        raise click.UsageError(f"{file} is there already: give --force to replace it")
    if file.exists() and not file.is_file():
        raise click.UsageError(f"{file} is no file that could be replaced; - is standard output")
    _remove_left_over(file)
    descriptor, part = _locked(file)
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
            os.fsync(target.fileno())
            if force:
                part.replace(file)
            else:
                os.link(part, file)  # unlike a renaming, it replaces nothing
    finally:
        part.unlink(missing_ok=True)


def _locked(file: Path) -> tuple[int, Path]:
    """A new file beside another, open, with a lock that lasts as long as it is open."""
    while True:
        descriptor, name = tempfile.mkstemp(_SUFFIX, f".{file.name}.", file.parent)
        with contextlib.suppress(OSError):  # a file system without locks: nobody removes it, either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # taken for one left over before it was locked


def _remove_left_over(file: Path) -> None:
    """Remove what processes that were killed have left of the same name: it has secrets."""
    for part in _parts(file):
        with contextlib.suppress(OSError):  # it is somebody else's, or being written
            _remove_unlocked(part)


def _parts(file: Path) -> list[Path]:
    """What stands beside a file, named as if it was to become it."""
    name = re.compile(rf"\.{re.escape(file.name)}\.[a-z0-9_]{{8}}{re.escape(_SUFFIX)}\Z")
    try:
        return [part for part in file.parent.iterdir() if name.match(part.name)]
    except OSError:  # a directory that is not ours to list, or not there
        return []


def _remove_unlocked(part: Path) -> None:
    descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink()
    finally:
        os.close(descriptor)
