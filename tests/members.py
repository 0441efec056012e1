"""Managers and workers in processes of their own, for tests that kill them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["LEASE", "Member", "Members"]

LEASE = 6.0
"""Seconds of every lease, so that a killed process is not waited for long."""

_CALL = 3.0
"""Seconds of a request to Heat; less than what is left of a lease before it is renewed."""


class Member:
    """One ``gohan-jobs run``; what it logs goes to a file.

    Args:
        arguments: of ``gohan-jobs run``.
        log: the file.
        environment: its environment variables.
    """

    def __init__(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gohan_jobs", "run", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env=dict(environment),
            )

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


class Members:
    """Starts members, and kills those that are left.

    Args:
        etcd: the members of the etcd.
        schemas: file with the types.
        heat: options that say where Heat is.
        logs: directory for their logs.
        environment: their environment variables.
    """

    def __init__(
        self,
        etcd: Sequence[str],
        schemas: Path,
        heat: Sequence[str],
        logs: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._common = [
            *("--etcd", ",".join(etcd), "--schemas", str(schemas)),
            *("--heat-timeout", str(_CALL)),
            *("--worker-lease", str(LEASE), "--leader-lease", str(LEASE)),
            *("--stop-timeout", "1"),
        ]
        self._heat = list(heat)
        self._logs = logs
        self._environment = environment
        self._started: list[Member] = []

    def start(self, *roles: str, slots: int = 8) -> Member:
        """Start one; it need not work yet."""
        arguments = [*self._common, "--roles", ",".join(roles), "--slots", str(slots)]
        log = self._logs / f"member{len(self._started)}.log"
        member = Member([*arguments, *self._heat], log, self._environment)
        self._started.append(member)
        return member

    def logs(self) -> str:
        """What all of them said, for a failure."""
        texts = (member.log.read_text(encoding="utf-8") for member in self._started)
        return "\n--\n".join(text[-3000:] for text in texts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for member in self._started:
            member.kill()
