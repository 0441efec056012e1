"""``gohan-jobs explain``: why a resource is as it is, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from gohan_jobs.cli.brevity import first_clause, in_brief, job_reason
from gohan_jobs.cli.deployment import (
    Deployment,
    deployment,
    etcd_options,
    heat_options,
    names_heat,
    open_heat,
    schemas_options,
)
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.resources import locate, resource_arguments
from gohan_jobs.cli.tables import make_table, printable, show, span
from gohan_jobs.exceptions import OrchestratorError
from gohan_jobs.inspection.advice import next_steps
from gohan_jobs.inspection.explanations import Explanation, JobExplanation
from gohan_jobs.inspection.resource_secrets import secrets_of
from gohan_jobs.inspection.stack_reports import StackReport, ask_for_stack, tenant_of_stack
from gohan_jobs.keys import ResourcePath
from gohan_jobs.records import ResourceRef
from gohan_jobs.redaction import Redactor

__all__ = ["command"]

_COLUMNS = ("job", "place", "planned", "attempts", "held by", "lease left", "last error")


@click.command("explain")
@resource_arguments
@etcd_options
@schemas_options
@heat_options
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Say why a resource is as it is, what is to blame in the end, and what to do.

    With --heat or --os-cloud, Heat is asked for its stack, too. Exit status 1 if nothing is known
    of the resource.
    """
    with deployment(ctx, options) as found:
        ref, path = locate(found.schemas, options["resource_type"], options["resource_id"])
        explanation = found.inspector.explain(ref, path)
        secrets = _secrets(found, explanation)
        heat = _asked(ctx, options, found, ref, path)
    steps = next_steps(explanation, heat_asked=names_heat(options))
    if as_json:
        print_json({"explanation": explanation, "next_steps": steps, "heat": heat}, secrets)
    else:
        _print(explanation, steps, heat, lambda text: Redactor().scrub(text, secrets))
    if _unknown(explanation):
        ctx.exit(1)


def _asked(
    ctx: click.Context,
    options: dict[str, Any],
    found: Deployment,
    ref: ResourceRef,
    path: ResourcePath,
) -> StackReport | str:
    """What Heat says; or, in a sentence, why that is not known."""
    if not names_heat(options):
        return "not asked: give --heat or --os-cloud"
    tenant = tenant_of_stack(found.store, path, found.codec)
    if not tenant:
        return "not asked: no record says whose project the stack is in"
    with contextlib.closing(open_heat(ctx, options)) as heat:
        try:
            return ask_for_stack(heat, ref, tenant)
        except OrchestratorError as error:
            return f"no answer: {error}"


def _secrets(found: Deployment, explanation: Explanation) -> frozenset[str]:
    """Those of every resource that the explanation tells of."""
    secrets: set[str] = set()
    for ref in _resources(explanation):
        schema = found.schemas.by_type(ref.resource_type)
        if schema is not None:
            path = schema.path_of(ref.resource_id)
            secrets |= secrets_of(found.store, path, found.codec, Redactor())
    return frozenset(secrets)


def _resources(explanation: Explanation) -> set[ResourceRef]:
    found = {explanation.resource, *(job.resource for job in explanation.chain)}
    by = explanation.blocked_by
    return found if by is None else found | _resources(by)


def _unknown(found: Explanation) -> bool:
    known = (found.version, found.processed_version, found.state, found.stack, found.held)
    return known == (None,) * len(known) and not (found.jobs or found.set_aside or found.orphan)


def _print(
    found: Explanation,
    steps: tuple[str, ...],
    heat: StackReport | str,
    clean: Callable[[str], str],
) -> None:
    def brief(text: str) -> str:
        return in_brief(text, found, clean)

    facts = [(name, clean(text)) for name, text in _facts(found, heat) if text]
    if found.root_cause != found.summary:
        facts.append(("root cause", brief(found.root_cause)))
    click.secho(printable(brief(f"{found.resource}: {found.summary}")), bold=True)
    show("", make_table(("", ""), facts))
    if found.jobs:
        jobs = [*found.jobs, *(job for job in found.chain if job not in found.jobs)]
        rows = ([*_row(job), first_clause(clean(job_reason(job))) or "-"] for job in jobs)
        show("", make_table(_COLUMNS, rows))
    if steps:
        click.echo("\nwhat to do:")
    for step in steps:
        click.echo(printable(brief(f"- {step}")))


def _facts(found: Explanation, heat: StackReport | str) -> Iterator[tuple[str, str]]:
    yield "config", _config(found)
    yield "set aside", found.set_aside
    if found.held is not None:
        yield "held", f"since {found.held.since} until {found.held.until}: {found.held.reason}"
    yield "orphan", found.orphan
    if found.state is not None:
        error = f": {found.state.error}" if found.state.error else ""
        yield "result", f"version {found.state.version} {found.state.worker_state}{error}"
    if found.stack is not None:
        yield "stack record", _words(str(found.stack.stack_status), found.stack.status_reason)
    yield from _heat_facts(heat)
    for reason in map(job_reason, found.jobs):
        if first_clause(reason) != reason:
            yield "last error", reason


def _config(found: Explanation) -> str:
    if found.version is None:
        return "none that can be read"
    processed = found.processed_version
    seen = "none processed yet" if processed is None else f"version {processed} processed last"
    return f"version {found.version}; {seen}"


def _heat_facts(heat: StackReport | str) -> Iterator[tuple[str, str]]:
    if isinstance(heat, str):
        yield "Heat", heat
        return
    stack = heat.stack
    where = f"stack {heat.name} in project {heat.tenant}"
    if stack is None:
        yield "Heat", f"there is no {where}"
        return
    yield "Heat", f"{where}: {_words(str(stack.status), stack.status_reason)}"
    for resource in heat.diagnosis.resources:
        yield "failed in Heat", resource
    for event in heat.diagnosis.events:
        yield "event in Heat", event


def _words(status: str, reason: str) -> str:
    return f"{status}: {reason}" if reason else status


def _row(job: JobExplanation) -> tuple[object, ...]:
    holder = job.held_by
    return (
        job.job_id,
        job.place or "nowhere",
        job.planned_at or "-",
        job.attempts,
        "-" if holder is None else f"worker {holder.worker_id or 'gone'}",
        "-" if holder is None else span(holder.lease_left),
    )
