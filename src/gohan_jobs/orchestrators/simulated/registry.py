"""All stacks, living and deleted, by id and by name."""

from __future__ import annotations

import collections
from collections.abc import Callable

from gohan_jobs.clock import Clock
from gohan_jobs.orchestrators.simulated.stack import SimulatedStack

__all__ = ["StackRegistry"]


class StackRegistry:
    """Stacks, each brought up to date by the clock when it is looked at. Not thread-safe.

    Args:
        clock: says what is due.
        kept_deleted: how many deleted stacks are remembered.
    """

    def __init__(self, clock: Clock, kept_deleted: int = 10_000) -> None:
        self._clock = clock
        self._kept_deleted = kept_deleted
        self._stacks: dict[str, SimulatedStack] = {}
        self._live: dict[tuple[str, str], str] = {}
        self._deleted: collections.deque[str] = collections.deque()

    def add(self, stack: SimulatedStack) -> None:
        """Take in a new stack, whose name must be free."""
        self._stacks[stack.id] = stack
        self._live[stack.tenant, stack.name] = stack.id

    def by_name(self, tenant: str, name: str) -> SimulatedStack | None:
        """The live stack of that name."""
        identity = self._live.get((tenant, name))
        if identity is None:
            return None
        stack = self._advanced(identity)
        return stack if stack.alive else None

    def by_id(self, tenant: str, identity: str) -> SimulatedStack | None:
        """The stack of that id, a deleted one too."""
        if identity not in self._stacks or self._stacks[identity].tenant != tenant:
            return None
        return self._advanced(identity)

    def of_tenant(self, tenant: str, *, deleted: bool) -> list[SimulatedStack]:
        """A project's stacks, newest first.

        Args:
            tenant: the project.
            deleted: whether deleted ones are wanted too.
        """
        known = list(self._stacks) if deleted else list(self._live.values())
        mine = [identity for identity in known if self._stacks[identity].tenant == tenant]
        found = [self._advanced(identity) for identity in reversed(mine)]
        return [stack for stack in found if stack.alive or deleted]

    def first_live(self, wanted: Callable[[SimulatedStack], bool]) -> SimulatedStack | None:
        """The oldest live stack that is wanted, whatever its project."""
        stacks = (self._advanced(identity) for identity in list(self._live.values()))
        return next((stack for stack in stacks if stack.alive and wanted(stack)), None)

    def bury(self, stack: SimulatedStack) -> None:
        """Free the name of a stack that is deleted, and forget the oldest of those."""
        if stack.alive or self._live.get((stack.tenant, stack.name)) != stack.id:
            return
        del self._live[stack.tenant, stack.name]
        self._deleted.append(stack.id)
        while len(self._deleted) > self._kept_deleted:
            del self._stacks[self._deleted.popleft()]

    def _advanced(self, identity: str) -> SimulatedStack:
        stack = self._stacks[identity]
        stack.advance(self._clock.now())
        self.bury(stack)
        return stack
