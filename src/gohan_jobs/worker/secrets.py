"""What must not be told of a claim (``rules`` 29): from its config, its params and the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gohan_jobs.records import HeatStack, Param, ParamType, ResourceRef
from gohan_jobs.redaction import Redactor
from gohan_jobs.rendering import outputs_from
from gohan_jobs.worker.claim import Claim

__all__ = ["secrets_of"]


def secrets_of(claim: Claim, redactor: Redactor) -> frozenset[str]:
    """The secret texts that a handler, or Heat, may quote.

    Args:
        claim: it knows the stacks that its handler has read so far.
        redactor: says what is secret.
    """
    stacks = claim.stacks_read
    own = () if claim.own_stack is None else (claim.own_stack,)
    outputs = [
        {"output_key": output.output_key, "output_value": output.output_value}
        for stack in (*stacks.values(), *own)
        for output in stack.output
    ]
    return redactor.secrets_in(
        claim.job.resource_input, outputs, list(_named(claim.job.params, stacks))
    )


def _named(
    params: Sequence[Param], stacks: Mapping[ResourceRef, HeatStack]
) -> Iterator[dict[str, Any]]:
    """Each param's name and value, outputs put in, a list's items by their own names, too."""
    for param in params:
        if param.type == ParamType.LIST and isinstance(param.value, tuple | list):
            items = list(_named(param.value, stacks))
            yield from items
            yield {"param": param.param, "value": [item["value"] for item in items]}
        else:
            yield {"param": param.param, "value": _value(param, stacks)}


def _value(param: Param, stacks: Mapping[ResourceRef, HeatStack]) -> Any:
    """A param's value; of an output that was not read there is nothing to be told."""
    if param.type != ParamType.OUTPUT_KEY:
        return param.value
    named = param.value if isinstance(param.value, Mapping) else {}
    resource = ResourceRef(str(named.get("resource_type")), str(named.get("resource_id")))
    try:
        return outputs_from(stacks)(resource, str(named.get("output_key")))
    except LookupError:
        return None
