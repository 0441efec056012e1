"""Rendering a heat_template's Jinja: bounded, and unable to reach anything but its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gohan_jobs.exceptions import TemplateInvalid
from gohan_jobs.templates.budget import Budget
from gohan_jobs.templates.run import Run
from gohan_jobs.templates.statements import Piece

__all__ = ["Renderer"]


@attrs.frozen(kw_only=True)
class Renderer:
    """Renders templates; may be shared by threads.

    A template is parsed by Jinja but not run by it: it may use what is on an allow-list (see *The
    template language*), and everything it does is counted before it is done (``rules`` 28).
    Whitespace comes out as the recorded system's did, and undefined names are empty.

    Attributes:
        max_iterations: passes of all loops of one rendering together.
        max_output: characters of one rendering's output.
        trusted: allow all of Jinja, for templates whose authors are trusted; each is rendered in a
            process of its own that is killed when it takes too long or too much.
        time_limit: seconds a trusted rendering may take.
        memory_limit: bytes of memory a trusted rendering may use.
    """

    max_iterations: int = 10_000
    max_output: int = 1 << 20
    trusted: bool = False
    time_limit: float = 10.0
    memory_limit: int = 512 << 20

    def render(self, template: str, text: str, variables: Mapping[str, Any]) -> str:
        """Render a template.

        Args:
            template: its id, for errors.
            text: its Jinja text.
            variables: what it may use; JSON values.

        Raises:
            TemplateRefused: a construct outside the allow-list, by name and line.
            TemplateBudgetExceeded: too many iterations, too much output, or too large a value.
            TemplateInvalid: not Jinja, a value that does not fit, or a value that would change the
                structure of the YAML it is pasted into.
        """
        # Imported here so that the core does without Jinja and YAML.
        from gohan_jobs.templates import pasting  # noqa: PLC0415 - see above

        if self.trusted:
            pieces = self._trusted(template, text, variables)
        else:
            pieces = self._bounded(template, text, variables)
        pasting.check_pasted(template, pieces)
        return "".join(piece.text for piece in pieces)

    def check(self, template: str, text: str) -> None:
        """Tell whether a template may be rendered, without rendering it.

        Raises:
            TemplateRefused: a construct outside the allow-list; never if trusted.
            TemplateInvalid: not Jinja; not found out here if trusted.
        """
        from gohan_jobs.templates import syntax  # noqa: PLC0415 - see render

        if not self.trusted:
            syntax.parse(template, text)

    def _bounded(self, template: str, text: str, variables: Mapping[str, Any]) -> Sequence[Piece]:
        from gohan_jobs.templates import syntax  # noqa: PLC0415 - see render

        tree = syntax.parse(template, text)
        run = Run(template, variables, Budget(template, self.max_iterations, self.max_output))
        output: list[Piece] = []
        try:
            tree.execute(run, output)
        except RecursionError:
            raise TemplateInvalid(template, "nested too deeply") from None
        return output

    def _trusted(self, template: str, text: str, variables: Mapping[str, Any]) -> Sequence[Piece]:
        from gohan_jobs.templates import trusted  # noqa: PLC0415 - see render

        limits = trusted.Limits(
            seconds=self.time_limit, memory=self.memory_limit, output=self.max_output
        )
        return trusted.render(template, text, variables, limits)
