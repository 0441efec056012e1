"""The later jobs of a workflow, whose template goes before it is their turn.

Found by random schedules: such a job was ended at once, with its version's result, and the jobs
before it went on and published another.
"""

from __future__ import annotations

import pytest

from gohan_jobs.handlers import Done
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.operations.operating import Operator
from gohan_jobs.queue import Queue
from gohan_jobs.schemas import Schema, Schemas
from worlds import HOT, NETWORK, SCHEMAS, TEMPLATES, World, ref

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

_SITE = ref("site", "s1")
_THREE_STEPS = Schemas(
    [
        Schema(
            type="site",
            prefix="v2.0/sites",
            templates={
                "heat_worker": "Cnetwork",
                "dns_worker": "Cdisk",
                "monitoring_worker": "Cdisk",
            },
            state_versioning=True,
        )
    ]
)


_PEERS = Schemas(
    [
        *SCHEMAS,
        Schema(
            type="peer",
            prefix="v2.0/peers",
            relations={"network_id": "network"},
            templates={"heat_worker": "Cport", "dns_worker": "Cdisk"},
            state_versioning=True,
        ),
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


@pytest.mark.parametrize("dies", [True, False])
def test_what_is_given_up_is_given_up_for_good(*, dies: bool) -> None:
    """A template that is back when the last job is gone already: the version has its result."""
    world = World(schemas=_THREE_STEPS, roles=(Role.MANAGER,), manager=ManagerOptions(batch=1))
    world.write(_SITE, {"name": "blue"})
    world.settle()
    world.delete(world.keys.config_of(world.keys.template_path("network")))
    world.step_until(lambda: len(world.jobs()) == 2)
    world.template("network", TEMPLATES["network"], HOT)
    if dies:
        world.restart()
    handlers = {"dns_worker": lambda _: Done(), "monitoring_worker": lambda _: Done()}
    world.pass_time(30.0, world.peer(roles=(Role.WORKER,), seed=2, handlers=handlers))
    problem = "site:s1: template network: there is no such heat_template"
    assert [("CREATE_ERROR", 1, problem)] == world.states_of(_SITE)
    assert ([], {}) == (world.changes(), world.under("/jobs/"))


def test_what_is_let_down_after_an_older_version_goes_with_its_later_jobs() -> None:
    """Both versions depend on what failed; the newer one ends in its turn, as a whole."""
    peer = ref("peer", "p1")
    world = World(schemas=_PEERS, roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.write(peer, {"network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "red"}, 2)  # waits for the peer, which is thus not collapsed
    world.settle()
    world.write(peer, {"network_id": "n1"}, 2)
    world.settle()
    assert 6 == len(world.jobs())
    act = Operator(
        world.store, world.codec, Queue(world.keys, world.codec), _PEERS, clock=world.clock
    )
    act.cancel(world.job(NETWORK, 1).id, "no")
    world.settle()
    told = [(state, version) for state, version, _ in world.states_of(peer)]
    assert [("CREATE_ERROR", 1), ("MODIFY_ERROR", 2)] == told
    assert [NETWORK] == [job.resource for job in world.jobs()]
