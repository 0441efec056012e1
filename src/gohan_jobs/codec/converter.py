"""The cattrs converter that knows the records' documents, or a caller's own that learns them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from cattrs import Converter

from gohan_jobs.codec import config_hooks, job_hooks, monitoring_hooks, stack_hooks, state_hooks
from gohan_jobs.records import (
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    Param,
    ProcessedConfig,
    ResourceRef,
    StackOutput,
    StateRecord,
)

__all__ = ["cached_converter", "configure_converter", "make_converter"]

_READERS: dict[type[Any], Callable[[Any, Converter], Any]] = {
    ConfigRecord: config_hooks.config_reader,
    ProcessedConfig: config_hooks.processed_reader,
    ResourceRef: job_hooks.ref_reader,
    Param: job_hooks.param_reader,
    Job: job_hooks.job_reader,
    StackOutput: stack_hooks.output_reader,
    HeatStack: stack_hooks.heat_stack_reader,
    JobState: stack_hooks.job_state_reader,
    StateRecord: state_hooks.state_reader,
    MonitoringRecord: lambda _type, _converter: monitoring_hooks.read_monitoring,
}

_WRITERS: dict[type[Any], Callable[[Any], Any]] = {
    ConfigRecord: config_hooks.write_config,
    ProcessedConfig: config_hooks.write_processed,
    ResourceRef: job_hooks.write_ref,
    Param: job_hooks.write_param,
    Job: job_hooks.write_job,
    StackOutput: stack_hooks.write_output,
    HeatStack: stack_hooks.write_heat_stack,
    JobState: stack_hooks.write_job_state,
    MonitoringRecord: monitoring_hooks.write_monitoring,
}


def configure_converter(converter: Converter) -> None:
    """Teach a converter the records: ``structure`` and ``unstructure`` then follow the documents.

    Only hooks for the records' own classes are registered, so that a converter treats everything
    else as it did. ``converter.structure(document, Job)`` takes what a JSON reader gives.

    Args:
        converter: changed in place.
    """
    for record, factory in _READERS.items():
        converter.register_structure_hook_factory(functools.partial(_is, record), factory)
    for record, hook in _WRITERS.items():
        converter.register_unstructure_hook(record, hook)
    converter.register_unstructure_hook_factory(
        functools.partial(_is, StateRecord), state_hooks.state_writer
    )


def _is(record: type[Any], candidate: Any) -> bool:
    return candidate is record


def make_converter(*, detailed_validation: bool = True) -> Converter:
    """A new converter that knows the records. It takes milliseconds: keep it.

    Args:
        detailed_validation: collect every problem of a document; else stop at the first.
    """
    converter = Converter(detailed_validation=detailed_validation)
    configure_converter(converter)
    return converter


@functools.cache
def cached_converter() -> Converter:
    """The one converter that everybody shares who does not bring another."""
    return make_converter(detailed_validation=False)
