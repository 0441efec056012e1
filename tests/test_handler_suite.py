"""The handler suite: a handler that looks before it acts passes, one that does not is found out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import attrs
import pytest

import gohan_jobs.testing
from gohan_jobs.handler_registry import AnyHandler
from gohan_jobs.handlers import Done, GiveUp, JobContext, Later, Outcome
from gohan_jobs.records import Action, ResourceRef, StackOutput
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.testing.handlers import HandlerSuite
from gohan_jobs.testing.processes import Fault
from gohan_jobs.testing.simulation import Simulation

TEMPLATE = {
    "id": "name",
    "handler": "name_worker",
    "template_file": "",
    "parameter_mappings": {"address": "Paddress"},
}


@attrs.define
class Names:
    """A service that a handler keeps names in; it counts, too."""

    stored: dict[str, str] = attrs.field(factory=dict)
    puts: int = 0

    def put(self, name: str, address: str) -> None:
        """Store a name."""
        self.stored[name] = address
        self.puts += 1


class Suite(HandlerSuite):
    """What is the same for both handlers."""

    schemas = Schemas([Schema(type="name", prefix="v1/names", templates={"name_worker": "Cname"})])
    names: Names
    careful = True

    def begin(self) -> None:
        """No name is stored."""
        self.names = Names()

    def handlers(self) -> dict[str, AnyHandler]:
        """A handler that waits a little before it acts."""
        return {"name_worker": self.wait}

    def wait(self, context: JobContext) -> Outcome:
        """Hold no thread for a second."""
        del context
        return Later(after=1.0, resume=self.store)

    def store(self, context: JobContext) -> Outcome:
        """Store the name, perhaps not for the first time."""
        name, address = context.job.resource_id, context.resolved_params()["address"]
        if not self.careful or self.names.stored.get(name) != address:
            context.claim.guard(1.0)
            self.names.put(name, address)
        return Done(outputs=(StackOutput(output_key="name", output_value=name),))

    def script(self, simulation: Simulation) -> None:
        """One name."""
        simulation.submit(0.0, ResourceRef("heat_template", "name"), TEMPLATE)
        body = {"id": "www", "tenant_id": "t", "address": "192.0.2.1"}
        simulation.submit(0.0, ResourceRef("name", "www"), body)

    def outside(self) -> object:
        """What is stored, and how often that was asked for."""
        return self.names


class TestCarefulHandler(Suite):
    """It passes."""


class TestCarefulHandlerWithADeletion(Suite):
    """So it does if what is made is removed again, so that no result is left."""

    schemas = Schemas(
        [
            Schema(
                type="name",
                prefix="v1/names",
                templates={"name_worker": "Cname"},
                state_versioning=True,
                two_step_deletion=True,
            )
        ]
    )

    def store(self, context: JobContext) -> Outcome:
        """Store the name, or remove it."""
        if Action(context.job.action).deletes:
            context.claim.guard(1.0)
            self.names.stored.pop(context.job.resource_id, None)
            return Done()
        return super().store(context)

    def script(self, simulation: Simulation) -> None:
        """One name, for longer than a death delays it."""
        super().script(simulation)
        simulation.delete(600.0, ResourceRef("name", "www"))


class Unremovable(TestCarefulHandlerWithADeletion):
    """It fails at the deletion, of which no result is left."""

    __test__ = False

    def store(self, context: JobContext) -> Outcome:
        """Store the name, and never remove it."""
        if Action(context.job.action).deletes:
            return GiveUp(reason="no")
        return super().store(context)


class Careless(Suite):
    """It stores the name again, whatever is there."""

    careful = False


class Failing(Suite):
    """It gives up."""

    def store(self, context: JobContext) -> Outcome:
        """Fail."""
        return GiveUp(reason="no")


class Silent(Suite):
    """Nothing is written."""

    def script(self, simulation: Simulation) -> None:
        """Nothing."""


def test_a_careless_handler_is_found_out() -> None:
    """A second put after a death is told with the fault that led to it."""
    with pytest.raises(AssertionError, match="after crash before: Injection"):
        Careless().test_a_fault_at_any_call_changes_nothing(Fault.CRASH_BEFORE)


@pytest.mark.parametrize("suite", [Failing, Silent, Unremovable])
def test_a_script_without_success_is_found_out(suite: type[Suite]) -> None:
    """A handler that fails does no work, nor does one that nothing is written for."""
    with pytest.raises(AssertionError):
        suite().test_handlers_do_their_work()


def test_a_suite_says_what_it_needs() -> None:
    """Handlers and a script; an outside world is a choice."""
    suite = HandlerSuite()
    suite.begin()
    assert suite.outside() is None
    with pytest.raises(NotImplementedError, match="which handlers"):
        suite.handlers()
    with pytest.raises(NotImplementedError, match="what Gohan writes"):
        suite.script(None)  # type: ignore[arg-type]  # it gets that far with anything


def test_the_kit_is_loaded_on_use() -> None:
    """Every name of the kit is there, and no other."""
    found: Mapping[str, object] = {
        name: getattr(gohan_jobs.testing, name) for name in gohan_jobs.testing.__all__
    }
    assert HandlerSuite is found["HandlerSuite"]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = gohan_jobs.testing.nothing  # type: ignore[attr-defined]  # is not there


def test_the_kit_needs_pytest_for_suites_only() -> None:
    """Faults, simulations, a real etcd and replays work without it."""
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "import gohan_jobs.testing as kit\n"
        "names = [n for n in kit.__all__ if not n.endswith('Suite')]\n"
        "print([getattr(kit, n) for n in names] and 'done')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert ("", "done\n") == (done.stderr, done.stdout)
