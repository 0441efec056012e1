"""Requests of an operator survive whatever dies, wherever: carried out once, or dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import OperationRefused
from gohan_jobs.keys import Keys
from gohan_jobs.operations.operating import Operator
from gohan_jobs.queue import Queue
from gohan_jobs.records import ResourceRef
from gohan_jobs.testing.simulation import Fault, Injection, Simulation, every_injection
from history import changes_after, problems_of
from simulated_estate import SCHEMAS, cast

NETWORK = ResourceRef("network", "network-1")
PORT = ResourceRef("port", "port-1")
STATE = Keys().state
AGAIN = 10.0
SHARE = {fault: 1 if fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER} else 4 for fault in Fault}
"""Of the calls each how-many-eth: a crash may come at any."""


def operator(simulation: Simulation) -> Operator:
    """Somebody at a command line."""
    codec = Codec()
    queue = Queue(codec.keys, codec)
    return Operator(simulation.store, codec, queue, SCHEMAS, clock=simulation.clock)


def retried(simulation: Simulation) -> None:
    """A network is made, and run again."""
    cast(simulation).put(1, "network-1")

    def retry() -> None:
        try:
            operator(simulation).retry(NETWORK)
        except OperationRefused:  # a fault has put off what it waits for
            simulation.at(simulation.clock.now() + AGAIN, retry)

    simulation.at(20, retry)


def cancelled(simulation: Simulation) -> None:
    """A network's job is cancelled as soon as it is there, with a port that refers to it."""
    cast(simulation).put(1, "network-1")
    cast(simulation).put(1, "port-1", needs="network-1")
    acted: list[bool] = []

    def cancel() -> None:
        act = operator(simulation)
        try:
            act.cancel(act.job_of(NETWORK), "no")
        except OperationRefused:
            if simulation.clock.now() < AGAIN:
                simulation.at(simulation.clock.now() + 0.5, cancel)
        else:
            acted.append(True)

    simulation.at(2.5, cancel)


def run(scenario: Callable[[Simulation], None], *injections: Injection) -> Simulation:
    """One schedule of a scenario."""
    simulation = Simulation(SCHEMAS)
    scenario(simulation)
    simulation.inject(*injections)
    simulation.run()
    return simulation


def wrong_with(simulation: Simulation) -> list[str]:
    """What no schedule may have."""
    wrong = problems_of(simulation.history, SCHEMAS) + list(simulation.outcome().remains)
    revision = simulation.store.revision()
    simulation.restart()
    simulation.run()
    return wrong + changes_after(simulation.history, revision)


def results(simulation: Simulation) -> list[str]:
    """Each result of the network, in order."""
    key = f"{STATE}v2.0/networks/network-1"
    found = [
        Codec().state(key, event.entry.value)
        for events in simulation.history
        for event in events
        if event.key == key and event.entry is not None
    ]
    return [state.error or str(state.worker_state) for state in found]


@pytest.mark.slow
@pytest.mark.parametrize("fault", Fault)
def test_a_retry_with_a_fault_at_every_call(fault: Fault) -> None:
    """The version gets exactly one more result, and everything ends as without the fault."""
    undisturbed = run(retried)
    for injection in list(every_injection(undisturbed, [fault]))[:: SHARE[fault]]:
        simulation = run(retried, injection)
        assert ([], ["CREATE_COMPLETED", "MODIFY_COMPLETED"]) == (
            wrong_with(simulation),
            results(simulation),
        ), injection
        assert undisturbed.outcome() == simulation.outcome(), injection


@pytest.mark.slow
@pytest.mark.parametrize("fault", Fault)
def test_a_cancellation_with_a_fault_at_every_call(fault: Fault) -> None:
    """The version is cancelled, or was through before; it has one result, and its port, too."""
    undisturbed = run(cancelled)
    assert ["cancelled: no"] == results(undisturbed)
    for injection in list(every_injection(undisturbed, [fault]))[:: SHARE[fault]]:
        simulation = run(cancelled, injection)
        assert [] == wrong_with(simulation), injection
        assert results(simulation) in (["cancelled: no"], ["CREATE_COMPLETED"]), injection
