"""The documents of a stack and of a job's outcome (``seed 1``, points 3 and 4)."""

from __future__ import annotations

from typing import Any

from cattrs import Converter

from gohan_jobs.codec.fields import Hook, each, member, object_, opaque, text
from gohan_jobs.codec.shapes import placed, reader, shape
from gohan_jobs.records import HeatStack, JobState, OrchestrationState, StackOutput, StackStatus

__all__ = [
    "heat_stack_reader",
    "job_state_reader",
    "output_reader",
    "outputs_reader",
    "write_heat_stack",
    "write_job_state",
    "write_output",
]

OUTPUT = shape(
    "output_value",
    "output_error",
    "description",
    "output_key",
    optional=["output_error"],
    unusual=["output_error"],
)
HEAT_STACK = shape("stack_id", "tenant_id", "stack_status", "output", "status_reason", "id")
JOB_STATE = shape(
    "state_monitoring",
    "heat_outputs",
    "orchestration_state",
    "error",
    optional=["state_monitoring", "heat_outputs", "orchestration_state", "error"],
    unusual=["state_monitoring", "error"],
)


def outputs_reader(converter: Converter) -> Hook[tuple[StackOutput, ...]]:
    """A hook for a list of stack outputs."""
    one = converter.get_structure_hook(StackOutput)
    return each(one, detailed=converter.detailed_validation)


def output_reader(_type: Any, converter: Converter) -> Hook[StackOutput]:
    """The structure hook of :class:`StackOutput`."""
    return reader(
        OUTPUT,
        StackOutput,
        converter,
        output_value=opaque,
        output_error=text,
        description=text,
        output_key=text,
    )


def write_output(output: StackOutput) -> dict[str, Any]:
    """The unstructure hook of :class:`StackOutput`."""
    known = {"output_value": output.output_value}
    if output.output_error is not None:
        known["output_error"] = output.output_error
    known["description"] = output.description
    known["output_key"] = output.output_key
    return placed(known, output.unknown)


def heat_stack_reader(_type: Any, converter: Converter) -> Hook[HeatStack]:
    """The structure hook of :class:`HeatStack`."""
    return reader(
        HEAT_STACK,
        HeatStack,
        converter,
        stack_id=text,
        tenant_id=text,
        stack_status=member(StackStatus),
        output=outputs_reader(converter),
        status_reason=text,
        id=text,
    )


def write_heat_stack(stack: HeatStack) -> dict[str, Any]:
    """The unstructure hook of :class:`HeatStack`."""
    known = {
        "stack_id": stack.stack_id,
        "tenant_id": stack.tenant_id,
        "stack_status": stack.stack_status,
        "output": [write_output(output) for output in stack.output],
        "status_reason": stack.status_reason,
        "id": stack.id,
    }
    return placed(known, stack.unknown)


def job_state_reader(_type: Any, converter: Converter) -> Hook[JobState]:
    """The structure hook of :class:`JobState`; ``{}`` is one."""
    return reader(
        JOB_STATE,
        JobState,
        converter,
        state_monitoring=object_,
        heat_outputs=outputs_reader(converter),
        orchestration_state=member(OrchestrationState),
        error=text,
    )


def write_job_state(state: JobState) -> dict[str, Any]:
    """The unstructure hook of :class:`JobState`."""
    outputs = state.heat_outputs
    fields = {
        "state_monitoring": state.state_monitoring,
        "heat_outputs": None if outputs is None else [write_output(each) for each in outputs],
        "orchestration_state": state.orchestration_state,
        "error": state.error,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return placed(known, state.unknown)
