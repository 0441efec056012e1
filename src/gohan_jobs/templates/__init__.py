"""Heat templates' Jinja, rendered within bounds; importing this imports neither Jinja nor YAML."""

from __future__ import annotations

from gohan_jobs.templates.renderer import Renderer

__all__ = ["Renderer"]
