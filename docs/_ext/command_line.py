"""The directive ``command-line``: every command's help, as the program prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from gohan_jobs.cli.main import main

WIDTH = 100


class CommandLine(SphinxDirective):
    """A section for the program and for each command, in the order of its own list."""

    def run(self) -> list[nodes.Node]:
        """Ask each command for its help."""
        self.env.note_reread()
        return [self._section(title, text) for title, text in told()]

    def _section(self, title: str, text: str) -> nodes.Node:
        section = nodes.section("", nodes.title(title, title), ids=[nodes.make_id(title)])
        section += nodes.literal_block(text, text, language="text")
        return section


def told() -> Iterator[tuple[str, str]]:
    """Titles and texts: the program's, then each command's."""
    context = _context(main, "gohan-jobs", None)
    yield "gohan-jobs", main.get_help(context)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if command is not None:
            inner = _context(command, name, context)
            yield (
                f"gohan-jobs {name}",
                "\n".join([command.get_help(inner), *_elsewhere(command)]),
            )


def _elsewhere(command: click.Command) -> Iterator[str]:
    """Where else a command's options are taken from: variables, and what only they may hold."""
    options = [
        option
        for option in command.params
        if isinstance(option, click.Option) and isinstance(option.envvar, str)
    ]
    if options:
        yield "\nVariables, and names in the file of --config where there is one:"
    for option in options:
        secret = "  (not on the command line)" if option.hidden else ""
        yield f"  {option.envvar:<34}  {option.opts[0].lstrip('-').replace('-', '_')}{secret}"


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, max_content_width=WIDTH)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
