"""What watches targets: a protocol, and an agent that is told by a file for each resource."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Agent", "FileAgent", "Targets"]

Targets = Mapping[str, Mapping[str, Any]]
"""What to watch, by the names of the status fields."""


class Agent(Protocol):
    """Watches targets. Each call may raise OSError; what fails may be tried again."""

    @property
    def request_timeout(self) -> float:
        """Seconds after which one call gives up."""
        ...

    def watch(self, resource: str, version: int, targets: Targets) -> None:
        """Watch these targets of a resource from now on, and no others."""
        ...

    def statuses(self, resource: str, version: int) -> Mapping[str, str] | None:
        """The status of each target; None while one has none, or another version is watched."""
        ...

    def forget(self, resource: str) -> None:
        """Watch a resource no more; no error if it is not watched."""
        ...


class FileAgent:
    """Leaves targets where a monitoring daemon on this machine looks for them.

    The daemon is trusted to watch what it finds; a target counts as healthy at once.

    Args:
        directory: the daemon's; made if it is not there, for this user only: targets hold secrets.
    """

    request_timeout = 1.0

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def watch(self, resource: str, version: int, targets: Targets) -> None:
        """See :meth:`Agent.watch`."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps({"version": version, "targets": targets})
        handle, name = tempfile.mkstemp(dir=self._directory, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(self._path(resource))  # at once: no reader sees half of it

    def statuses(self, resource: str, version: int) -> Mapping[str, str] | None:
        """See :meth:`Agent.statuses`."""
        try:
            found = json.loads(self._path(resource).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if found["version"] != version:
            return None
        targets = found["targets"].items()
        return {name: target.get("wanted_status", "ACTIVE") for name, target in targets}

    def forget(self, resource: str) -> None:
        """See :meth:`Agent.forget`."""
        self._path(resource).unlink(missing_ok=True)

    def _path(self, resource: str) -> Path:
        return self._directory / f"{resource.replace(':', '_')}.json"
