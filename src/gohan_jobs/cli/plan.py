"""``gohan-jobs plan``: what a config would do if it were written now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from gohan_jobs.cli.deployment import (
    Deployment,
    deployment,
    etcd_options,
    heat_options,
    open_heat,
    schemas_options,
)
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.tables import printable
from gohan_jobs.codec import Codec, loads_json
from gohan_jobs.dry_run import DryRun
from gohan_jobs.keys import ResourcePath
from gohan_jobs.planning import Enqueue, Hold, Plan, PlannedJob, Publish, SetAside, Unchanged
from gohan_jobs.records import ResourceRef
from gohan_jobs.redacted_records import redacted_row
from gohan_jobs.redaction import Redactor
from gohan_jobs.templates import Renderer

__all__ = ["command"]

_SUFFIX = "xxxxx"


@click.command("plan")
@click.argument("key")
@click.argument("file", type=click.File("rb"), metavar="FILE")
@click.option("--validate", is_flag=True, help="Ask Heat, too, whether it would take the stacks.")
@etcd_options
@schemas_options
@heat_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    key: str,
    file: BinaryIO,
    validate: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Print what the config in FILE (- is standard input) would do if it were written at KEY now.

    KEY is a config's, such as /config/v2.0/ports/p1. Nothing is written; all there is is read, as
    a new leader would. With --validate Heat looks at the rendered template and its parameters, not
    at quotas. The job ids end in "xxxxx", since they have no suffix yet.

    Exit status 1 if the config could not be carried out as it is.
    """
    with deployment(ctx, options) as found:
        ref, path = _located(found, key)
        text = file.read().strip()
        plan = found.inspector.plan(path, ref, text, lambda: _SUFFIX)
        if validate:
            _validate(ctx, options, found, plan)
    if as_json:
        print_json({"kind": type(plan).__name__.lower(), "plan": plan})
    else:
        secrets = Redactor().secrets_in(_json(text))
        for line in _said(ref, plan):
            click.echo(printable(Redactor().scrub(line, secrets)))
    if isinstance(plan, Hold | SetAside) or (isinstance(plan, Publish) and plan.state.error):
        ctx.exit(1)


def _located(found: Deployment, key: str) -> tuple[ResourceRef, ResourcePath]:
    path = found.keys.path_in(found.keys.config, key)
    if path is None:
        raise click.UsageError(f"{key}: not a config's key, which is {found.keys.config}<path>")
    known = found.schemas.resolve(path)
    if known is None:
        raise click.UsageError(f"{key}: no schema has such a config")
    schema, resource_id = known
    return ResourceRef(schema.type, resource_id), path


def _validate(ctx: click.Context, options: dict[str, Any], found: Deployment, plan: Plan) -> None:
    with contextlib.closing(open_heat(ctx, options)) as heat:
        DryRun(found.store, found.codec, found.schemas, heat, Renderer()).validate(plan)


def _json(text: bytes) -> Any:
    config = json.loads(text)
    body = config.get("body")
    return json.loads(body) if isinstance(body, str) else body


def _said(ref: ResourceRef, plan: Plan) -> Iterator[str]:
    if isinstance(plan, Unchanged):
        yield f"{ref}: nothing to do: it is as it was"
    elif isinstance(plan, SetAside):
        yield f"{ref}: would be set aside: {plan.reason}"
    elif isinstance(plan, Hold):
        yield f"{ref}: would wait for {plan.missing}: {plan.reason}"
    elif isinstance(plan, Publish):
        error = f": {plan.state.error}" if plan.state.error else ", without a job"
        yield f"{ref}: would get the result {plan.state.worker_state}{error}"
    elif isinstance(plan, Enqueue):
        yield f"{ref}: would be queued"
        for planned in plan.jobs:
            yield from _job(planned)
        yield from (f"takes the place of {job_id}" for job_id in plan.collapse)
        yield from (f"ends {job_id}, which is running" for job_id in plan.preempt)
    else:
        yield f"{ref}: is done already: only noted"


def _job(planned: PlannedJob) -> Iterator[str]:
    job = planned.job
    yield f"{job.id}" + (f", template {planned.template_id}" if planned.template_id else "")
    yield from (f"  waits for {job_id}" for job_id in job.dependency)
    document = redacted_row(loads_json("job", Codec().dumps(job)))
    for param in document[1]["params"]:
        yield f"  {param['param']} = {json.dumps(param['value'], ensure_ascii=False)}"
