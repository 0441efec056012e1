"""The group of commands, and how their errors are shown."""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from gohan_jobs._version import __version__
from gohan_jobs.exceptions import GohanJobsError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "cancel": "End an unfinished job.",
    "check": "Validate records, and name everything that is wrong.",
    "demo": "Play both documented lifecycles, and print what is written.",
    "doctor": "Look for what is wrong, and say what to do.",
    "dump": "Write a whole keyspace to a file.",
    "explain": "Say why a resource is as it is, and what to do.",
    "graph": "Draw which job waits for which.",
    "heat-simulator": "Serve a simulated Heat over HTTP.",
    "history": "Print what became of a resource, while etcd remembers.",
    "jobs": "List unfinished jobs.",
    "load": "Load a dump into an empty keyspace.",
    "plan": "Print what a config would do.",
    "release": "Take a job from its holder.",
    "replay": "Feed a recorded trace through the library.",
    "resume": "Let a job manager go on that has stopped on purpose.",
    "retry": "Run the newest version of a resource again.",
    "run": "Work: manage jobs, execute them, or both.",
    "show": "Print a record in one of the spellings.",
    "status": "Print what a deployment is doing.",
    "watch": "Print records as they change.",
}
"""The commands, and what each does in one line."""


class _Commands(click.Group):
    """Loads a command's module when it is called, and shows the library's errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"gohan_jobs.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without loading any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GohanJobsError as error:
            raise _Failed(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # who read our output has seen enough; click ends quietly
            raise _Failed(_brief(error)) from error


def _brief(error: OSError) -> str:
    """Which file, and what is the matter with it, without the system's number for that."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


class _Failed(click.ClickException):
    """One line, whatever the error said."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, prog_name="gohan-jobs")
def main() -> None:
    """Resource configs in etcd become running OpenStack Heat stacks."""
