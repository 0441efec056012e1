"""The mapping language against the recordings: every param of every recorded job."""

from __future__ import annotations

from collections import defaultdict

import attrs
import pytest

from gohan_jobs.mapping import ParsedTemplate, compute_params, parse, parse_text, template_id
from gohan_jobs.records import Action, Job, Param
from gohan_jobs.schemas import HEAT_WORKER, Schemas
from recorded_runs import (
    OLD_RUN,
    RUNS,
    Reading,
    every_template,
    readings,
    recorded_jobs,
    recorded_schemas,
)


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_job_has_the_params_that_its_config_gives(run: str) -> None:
    """Template and params of each workable config equal the recorded job's, in order."""
    schemas, computed = recorded_schemas(), {}
    for reading in readings(f"{run}.trace.jsonl", schemas):
        schema = schemas.by_type(reading.scope.resource.resource_type)
        assert schema is not None
        tree = schema.templates.get(HEAT_WORKER)
        template = None if tree is None else template_id(tree, reading.scope)
        if template is not None:
            mappings = reading.template[template].mappings
            computed[reading.name] = compute_params(mappings, reading.scope, reading.previous)
    jobs = recorded_jobs(f"{run}.expected.jsonl")
    assert {job.job_name: job.params for job in jobs} == computed
    assert len(jobs) == len(computed)


def _params_of_2017(reading: Reading, job: Job, schemas: Schemas) -> tuple[Param, ...]:
    """What a workflow of 2017 computes for one of its jobs."""
    schema = schemas.by_type(job.resource_type)
    assert schema is not None
    scope = reading.scope
    if job.action == Action.DELETE:
        assert reading.previous is not None
        scope = attrs.evolve(scope, body=reading.previous)
    template: str | None = f"{job.resource_type}_monitoring"
    if job.handler == HEAT_WORKER:
        tree = schema.templates[HEAT_WORKER]
        assert tree is not None
        template = template_id(tree, reading.scope)
    assert template is not None
    return compute_params(reading.template[template].mappings, scope, reading.previous)


def test_both_handlers_of_2017_get_the_params_that_were_recorded() -> None:
    """A monitoring delete has the old config's values, and the old config's resources twice."""
    schemas, expected, computed = recorded_schemas(), defaultdict(list), {}
    jobs = recorded_jobs(OLD_RUN)
    for job in jobs:
        expected[job.job_name].append(job)
    for reading in readings(OLD_RUN, schemas):
        for job in expected.get(reading.name, []):
            computed[job.id] = _params_of_2017(reading, job, schemas)
    assert {job.id: job.params for job in jobs} == computed
    assert len(computed) == 31


def test_every_template_found_parses() -> None:
    """No form occurs in a recorded heat_template that the language does not have."""
    templates = every_template()
    parsed = [ParsedTemplate.parse(template) for template in templates]
    names = [list(template.parameter_mappings) for template in templates]
    assert names == [list(template.mappings) for template in parsed]


def test_every_mapping_found_comes_back_from_its_text_and_its_object() -> None:
    """Both spellings of a recorded mapping mean one tree, and compact forms keep theirs."""
    for template in every_template():
        for form in template.parameter_mappings.values():
            tree = parse(form)
            assert tree == parse_text(str(tree))
            assert tree == parse(tree.form())
            if isinstance(form, str):
                assert form == str(tree)
