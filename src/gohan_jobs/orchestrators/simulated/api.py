"""Heat's v1 API as a function from request to answer: the part that python-heatclient uses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote, urlencode

import attrs

from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    StackExists,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.simulated import wire
from gohan_jobs.orchestrators.simulated.heat import DELETING, SimulatedHeat
from gohan_jobs.orchestrators.simulated.rejections import NOT_COMPLIED, bad_request, rejected
from gohan_jobs.orchestrators.simulated.stack import SimulatedStack
from gohan_jobs.orchestrators.simulated.template import parse_template

__all__ = ["ApiRequest", "ApiResponse", "HeatApi"]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BELOW_STACK = frozenset({"resources", "events", "outputs", "template"})


@attrs.frozen(kw_only=True)
class ApiRequest:
    """A request.

    Attributes:
        method: such as ``GET``.
        path: without query, still quoted.
        query: every value of every key.
        root: the URL the client used, up to the path.
        body: as sent; not shown in a repr.
    """

    method: str
    path: str
    query: Mapping[str, list[str]] = attrs.field(factory=dict)
    root: str = "http://localhost"
    body: bytes = attrs.field(default=b"", repr=False)

    def document(self) -> dict[str, Any]:
        """The body, a JSON object.

        Raises:
            StackRejected: it is not one.
        """
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise bad_request(str(error) if self.body else NOT_COMPLIED) from error
        if not isinstance(document, dict):
            raise bad_request(NOT_COMPLIED)
        return document

    def first(self, key: str, default: str = "") -> str:
        """The first value of a key of the query."""
        return self.query.get(key, [default])[0]


@attrs.frozen(kw_only=True)
class ApiResponse:
    """An answer.

    Attributes:
        status: the HTTP status.
        document: the body, JSON; None for an empty one.
        headers: beside those of any answer.
    """

    status: int
    document: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)


Handler: TypeAlias = Callable[[ApiRequest, str, tuple[str, ...]], ApiResponse]


class HeatApi:
    """Heat's v1 API over a :class:`SimulatedHeat`.

    Args:
        heat: whose stacks are served.
    """

    def __init__(self, heat: SimulatedHeat) -> None:
        self._heat = heat

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request; every error is an answer."""
        try:
            return self._route(request)
        except OrchestratorError as error:
            return _error_response(error)

    def _route(self, request: ApiRequest) -> ApiResponse:
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if parts == [""]:
            return ApiResponse(status=300, document=wire.versions_body(request.root))
        if parts == ["healthcheck"]:
            return ApiResponse(status=200, document={"detailed": False, "reasons": []})
        if len(parts) < 3 or parts[0] != "v1":  # noqa: PLR2004 - v1, project, collection
            return _no_such_path()
        tenant, collection, *rest = parts[1:]
        handlers = self._handlers(collection, rest)
        if handlers is None:
            return _no_such_path()
        if request.method not in handlers:
            return ApiResponse(status=405, document=wire.error_body(405, "HTTPMethodNotAllowed"))
        return handlers[request.method](request, tenant, tuple(rest))

    def _handlers(self, collection: str, rest: list[str]) -> Mapping[str, Handler] | None:
        if collection == "validate" and not rest:
            return {"POST": self._validate}
        if collection != "stacks":
            return None
        if not rest or rest == ["detail"]:
            return {"GET": self._list, "POST": self._create} if not rest else {"GET": self._list}
        if len(rest) == 1 or rest[1] in _BELOW_STACK:
            return dict.fromkeys(("GET", "PUT", "DELETE"), self._redirect)
        below: dict[tuple[str, ...], Handler] = {
            ("resources",): self._resources,
            ("resources", "*"): self._resource,
            ("events",): self._events,
            ("outputs",): self._outputs,
            ("outputs", "*"): self._output,
            ("template",): self._template,
        }
        if len(rest) == 2:  # noqa: PLR2004 - name and id
            return {"GET": self._show, "PUT": self._update, "DELETE": self._delete}
        shape = (rest[2], *("*" for _ in rest[3:]))
        return {"GET": below[shape]} if shape in below else None

    def _base(self, request: ApiRequest, tenant: str) -> str:
        return f"{request.root}/v1/{tenant}"

    def _look(
        self,
        tenant: str,
        rest: tuple[str, ...],
        render: Callable[[SimulatedStack], ApiResponse | Stack],
    ) -> Any:
        def checked(stack: SimulatedStack) -> ApiResponse | Stack:
            if stack.name != rest[0]:
                raise _missing(rest[0])
            return render(stack)

        if _UUID.fullmatch(rest[1]) is None:
            raise _missing(rest[0])
        try:
            return self._heat.inspect(tenant, rest[1], checked)
        except StackNotFound:
            raise _missing(rest[0]) from None

    def _redirect(self, request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        base = self._base(request, tenant)
        url = self._heat.inspect(tenant, rest[0], lambda stack: wire.stack_url(stack, base))
        url = "/".join((url, *rest[1:]))
        if request.query:
            url += f"?{urlencode(request.query, doseq=True)}"
        message = f'The resource was found at <a href="{url}">{url}</a>;\n'
        message += "you should be redirected automatically."
        body = wire.message_body(302, "Found", message)
        return ApiResponse(status=302, document=body, headers={"Location": url})

    def _show(self, request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        outputs = request.first("resolve_outputs", "true").lower() != "false"
        base = self._base(request, tenant)
        self._heat.note("show", rest[0], tenant, rest[1])
        return self._found(
            tenant, rest, lambda stack: wire.shown_body(stack, base, outputs=outputs)
        )

    def _found(
        self,
        tenant: str,
        rest: tuple[str, ...],
        render: Callable[[SimulatedStack], dict[str, Any]],
    ) -> ApiResponse:
        found: ApiResponse = self._look(
            tenant, rest, lambda stack: ApiResponse(status=200, document=render(stack))
        )
        return found

    def _list(self, request: ApiRequest, tenant: str, _rest: tuple[str, ...]) -> ApiResponse:
        base = self._base(request, tenant)
        limit = _integer(request, "limit")
        deleted = request.first("show_deleted").lower() == "true"
        names = request.first("name") or " ".join(request.query.get("id", ["(list)"]))
        self._heat.note("list", names, tenant)
        stacks = self._heat.stacks(
            tenant,
            lambda stack: wire.listed_body(stack, base) if _wanted(request, stack) else None,
            deleted=deleted,
        )
        found = [stack for stack in stacks if stack is not None]
        ids = [stack["id"] for stack in found]
        marker = request.first("marker")
        page = found[ids.index(marker) + 1 if marker in ids else 0 :][:limit]
        body: dict[str, Any] = {"stacks": page}
        if limit and len(page) == limit:
            href = f"{base}/stacks?limit={limit}&marker={page[-1]['id']}"
            body["links"] = [{"rel": "next", "href": href}]
        if request.first("with_count").lower() == "true":
            body["count"] = len(found)
        return ApiResponse(status=200, document=body)

    def _create(self, request: ApiRequest, tenant: str, _rest: tuple[str, ...]) -> ApiResponse:
        document = request.document()
        if "stack_name" not in document:
            raise bad_request("No stack name specified")
        name = document["stack_name"]
        asked = _stack_request(document, name if isinstance(name, str) else str(name), tenant)
        stack = self._heat.create(asked)
        base = self._base(request, tenant)
        body, url = self._heat.inspect(
            tenant, stack.id, lambda s: (wire.created_body(s, base), wire.stack_url(s, base))
        )
        return ApiResponse(status=201, document=body, headers={"Location": url})

    def _update(self, request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        document = request.document()
        stack = self._reference(tenant, rest)
        if "disable_rollback" not in document:
            # Heat remembers it from the last call that gave it.
            document["disable_rollback"] = self._heat.inspect(
                tenant, stack.id, lambda found: found.disable_rollback
            )
        self._heat.update(stack, _stack_request(document, stack.name, tenant))
        accepted = "The request is accepted for processing.<br /><br />\n"
        return ApiResponse(status=202, document=wire.message_body(202, "Accepted", accepted))

    def _delete(self, _request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        self._heat.delete(self._reference(tenant, rest))
        return ApiResponse(status=204)

    def _reference(self, tenant: str, rest: tuple[str, ...]) -> Stack:
        def render(stack: SimulatedStack) -> Stack:
            if not stack.alive:
                raise _missing(stack.name)
            return Stack(id=stack.id, name=stack.name, tenant=tenant, status=stack.status)

        found: Stack = self._look(tenant, rest, render)
        return found

    def _validate(self, request: ApiRequest, tenant: str, _rest: tuple[str, ...]) -> ApiResponse:
        asked = _stack_request(request.document(), "dummy", tenant)
        self._heat.validate(asked)
        template = parse_template(asked.template)
        body = wire.validation_body(template, asked.parameters)
        return ApiResponse(status=200, document=body)

    def _resources(self, request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        base, statuses = self._base(request, tenant), request.query.get("status", [])

        def render(stack: SimulatedStack) -> dict[str, Any]:
            found = [r for r in stack.resources.values() if not statuses or r.status in statuses]
            return {"resources": [wire.resource_body(stack, r, base, full=False) for r in found]}

        return self._found(tenant, rest, render)

    def _resource(self, request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        base, name = self._base(request, tenant), rest[3]

        def render(stack: SimulatedStack) -> dict[str, Any]:
            if name not in stack.resources:
                reason = f"The Resource ({name}) could not be found in Stack {stack.name}."
                raise rejected("ResourceNotFound", reason)
            return {"resource": wire.resource_body(stack, stack.resources[name], base, full=True)}

        return self._found(tenant, rest, render)

    def _events(self, request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        base, limit = self._base(request, tenant), _integer(request, "limit")
        newest_first = request.first("sort_dir", "desc") == "desc"

        def render(stack: SimulatedStack) -> dict[str, Any]:
            events = list(reversed(stack.events)) if newest_first else stack.events
            return {"events": [wire.event_body(stack, event, base) for event in events[:limit]]}

        return self._found(tenant, rest, render)

    def _outputs(self, _request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        def render(stack: SimulatedStack) -> dict[str, Any]:
            outputs = [wire.output_body(output) for output in stack.outputs()]
            keys = ("output_key", "description")
            return {"outputs": [{key: output[key] for key in keys} for output in outputs]}

        return self._found(tenant, rest, render)

    def _output(self, _request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        def render(stack: SimulatedStack) -> dict[str, Any]:
            for output in stack.outputs():
                if output.output_key == rest[3]:
                    return {"output": wire.output_body(output)}
            raise rejected("NotFound", f"Specified output key {rest[3]} not found.")

        return self._found(tenant, rest, render)

    def _template(self, _request: ApiRequest, tenant: str, rest: tuple[str, ...]) -> ApiResponse:
        return self._found(tenant, rest, lambda stack: dict(stack.blueprint.template.document))


def _missing(name: str) -> StackNotFound:
    return StackNotFound(f"The Stack ({name}) could not be found.")


def _no_such_path() -> ApiResponse:
    message = "The resource could not be found.<br /><br />\n"
    return ApiResponse(status=404, document=wire.message_body(404, "Not Found", message))


def _integer(request: ApiRequest, key: str) -> int | None:
    text = request.first(key)
    if text and not text.isdecimal():
        raise bad_request(f"Only integer is acceptable by '{key}'.")
    return int(text) if text else None


def _wanted(request: ApiRequest, stack: SimulatedStack) -> bool:
    asked = request.query
    all_tags = request.first("tags").split(",") if "tags" in asked else []
    any_tags = request.first("tags_any").split(",") if "tags_any" in asked else stack.tags
    return (
        stack.name in asked.get("name", [stack.name])
        and stack.id in asked.get("id", [stack.id])
        and stack.status.partition("_")[2] in asked.get("status", [stack.status.partition("_")[2]])
        and set(all_tags) <= set(stack.tags)
        and (not any_tags or bool(set(any_tags) & set(stack.tags)))
    )


def _stack_request(document: Mapping[str, Any], name: str, tenant: str) -> StackRequest:
    template = document.get("template")
    if template is None:
        raise bad_request("No template specified")
    parameters = document.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise bad_request(NOT_COMPLIED)
    tags = document.get("tags") or ""
    if not isinstance(tags, str):
        raise rejected("AttributeError", NOT_COMPLIED)
    return StackRequest(
        name=name,
        tenant=tenant,
        template=template if isinstance(template, str) else json.dumps(template),
        parameters=parameters,
        timeout_mins=_minutes(document.get("timeout_mins")),
        tags=tuple(tags.split(",")) if tags else (),
        disable_rollback=str(document.get("disable_rollback", True)).lower() != "false",
    )


def _minutes(value: Any) -> int | None:
    try:
        return int(value or 0) or None
    except (TypeError, ValueError) as error:
        raise bad_request("Only integer is acceptable by 'timeout_mins'.") from error


_MISSING_KINDS = frozenset({"ResourceNotFound", "NotFound"})


def _error_response(error: OrchestratorError) -> ApiResponse:
    if isinstance(error, StackNotFound) and error.reason == DELETING:
        code, kind = 400, "NotSupported"
    elif isinstance(error, StackNotFound):
        code, kind = 404, "EntityNotFound"
    elif isinstance(error, StackExists):
        code, kind = 409, "StackExists"
    elif isinstance(error, StackRejected):
        code, kind = (404 if error.kind in _MISSING_KINDS else 400), error.kind
    elif isinstance(error, OrchestratorRefused):
        code, kind = 403, "Forbidden"
    else:
        code, kind = 503, "HTTPServiceUnavailable"
    return ApiResponse(status=code, document=wire.error_body(code, kind, error.reason))
