"""The later jobs of a workflow, whose template goes before it is their turn.

Found by random schedules: such a job was ended at once, with its version's result, and the jobs
before it went on and published another.
"""

from __future__ import annotations

import pytest

from gohan_jobs.handlers import Done
from gohan_jobs.lifecycle import Role
from gohan_jobs.schemas import Schema, Schemas
from worlds import HOT, TEMPLATES, World, ref

_HOST = ref("host", "h1")
_SCHEMAS = Schemas(
    [
        Schema(
            type="host",
            prefix="v2.0/hosts",
            templates={"heat_worker": "Cnetwork", "dns_worker": "Cdisk"},
            state_versioning=True,
        )
    ]
)


@pytest.mark.parametrize("back", [True, False])
def test_a_later_job_is_given_up_in_its_turn(*, back: bool) -> None:
    """There is one result, and it comes last; a template that is back in time does no harm."""
    world = World(schemas=_SCHEMAS, roles=(Role.MANAGER,))
    world.write(_HOST, {"name": "blue"})
    world.settle()
    world.delete(world.keys.config_of(world.keys.template_path("disk")))
    world.settle()
    assert ([], 2) == (world.states_of(_HOST), len(world.jobs()))
    if back:
        world.template("disk", TEMPLATES["disk"], HOT)
    worker = world.peer(roles=(Role.WORKER,), seed=2, handlers={"dns_worker": lambda _: Done()})
    world.pass_time(30.0, worker)
    problem = "" if back else "host:h1: template disk: there is no such heat_template"
    state = "CREATE_COMPLETED" if back else "CREATE_ERROR"
    assert [(state, 1, problem)] == world.states_of(_HOST)
    assert [("create", "host_h1")] == world.changes()
    assert {} == world.under("/jobs/")
