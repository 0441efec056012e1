"""The command line: thin, over the library. Each command is a module, loaded when it is called."""

from __future__ import annotations

from gohan_jobs.cli.main import main

__all__ = ["main"]
