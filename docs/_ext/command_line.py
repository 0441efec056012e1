"""The directive ``command-line``: every command's help, as the program prints it."""

from __future__ import annotations

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
        context = _context(main, "gohan-jobs", None)
        sections = [self._section("gohan-jobs", main.get_help(context))]
        for name in main.list_commands(context):
            command = main.get_command(context, name)
            if command is not None:
                text = command.get_help(_context(command, name, context))
                sections.append(self._section(f"gohan-jobs {name}", text))
        return sections

    def _section(self, title: str, text: str) -> nodes.Node:
        section = nodes.section("", nodes.title(title, title), ids=[nodes.make_id(title)])
        section += nodes.literal_block(text, text, language="text")
        return section


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, max_content_width=WIDTH)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
