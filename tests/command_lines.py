"""Commands called in this process, on a store that is there already."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gohan_jobs.cli.main import main
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Store
from worlds import SCHEMAS

__all__ = ["CommandLine"]


class CommandLine:
    """Calls ``gohan-jobs`` as a user would; ``--etcd`` and ``--schemas`` lead to what is given.

    Args:
        monkeypatch: has the commands use it.
        store: what they are connected to; it is not closed.
        schemas: the types.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, store: Store, schemas: Schemas = SCHEMAS
    ) -> None:
        def opened(*_: Any) -> contextlib.AbstractContextManager[Store]:
            return contextlib.nullcontext(store)

        def read(*_: Any) -> Schemas:
            return schemas

        monkeypatch.setattr("gohan_jobs.cli.deployment.open_store", opened)
        monkeypatch.setattr("gohan_jobs.cli.deployment.read_schemas", read)
        monkeypatch.setenv("GOHAN_JOBS_ETCD", "there:1")
        monkeypatch.setenv("GOHAN_JOBS_SCHEMAS", "there")

    def __call__(self, *arguments: str, status: int = 0) -> Result:
        """Call a command, which must end with that exit status."""
        result = CliRunner().invoke(main, arguments)
        assert status == result.exit_code, result.output
        return result

    def text(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        return self(*arguments, status=status).stdout

    def json(self, *arguments: str, status: int = 0) -> Any:
        """What a command prints with ``--json``, on its one line."""
        (line,) = self(*arguments, "--json", status=status).stdout.splitlines()
        return json.loads(line)
