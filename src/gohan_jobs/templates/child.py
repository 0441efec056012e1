"""The process that renders one trusted template: run as a file, so that it imports only Jinja.

It reads one request as JSON from its standard input and writes one answer. Its limits are set
before the request is read. It knows nothing of the rest of the library.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

__all__ = ["answer", "limit", "main"]


def limit(seconds: int, memory: int) -> None:
    """Bound this process: CPU seconds, bytes of address space, no files, no core."""
    for which, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (most, most))


def _is_harmless(value: Any, harmless: re.Pattern[str]) -> bool:
    """Whether a value's text means nothing to YAML; an object's always may."""
    if isinstance(value, list | tuple):
        return all(_is_harmless(item, harmless) for item in value)
    if isinstance(value, bool | int | float | None | jinja2.Undefined):
        return True
    return isinstance(value, str) and harmless.match(value) is not None


def _environment(request: Mapping[str, Any]) -> SandboxedEnvironment:
    """Jinja, marking every value put out that YAML could take for something else."""
    harmless, (opening, closing) = re.compile(request["harmless"]), request["marks"]

    def marked(value: Any) -> Any:
        return value if _is_harmless(value, harmless) else f"{opening}{value}{closing}"

    return SandboxedEnvironment(
        trim_blocks=False,
        lstrip_blocks=False,
        keep_trailing_newline=False,
        finalize=marked,
    )


def _pieces(request: Mapping[str, Any]) -> str:
    """The output; stops as soon as it is too long."""
    template = _environment(request).from_string(request["text"])
    pieces: list[str] = []
    left = request["output"]
    for piece in template.generate(request["variables"]):
        left -= len(piece)
        if left < 0:
            raise OverflowError(f"more than {request['output']} characters of output")
        pieces.append(piece)
    return "".join(pieces)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request: the text, or what went wrong; never a value."""
    try:
        return {"text": _pieces(request)}
    except jinja2.TemplateSyntaxError as error:
        return {"error": "invalid", "reason": f"not Jinja: {error.message}", "line": error.lineno}
    except (MemoryError, OverflowError) as error:
        return {"error": "budget", "reason": str(error) or "out of memory"}
    except Exception as error:  # noqa: BLE001 - a template may raise anything; its text may hold values
        return {"error": "invalid", "reason": f"rendering failed: {type(error).__name__}"}


def main() -> None:
    """Read a request, answer it."""
    limit(int(sys.argv[1]), int(sys.argv[2]))
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
