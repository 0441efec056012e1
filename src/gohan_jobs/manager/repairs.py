"""Stacks that a worker changed without a claim are made right, once their resource is at rest."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from gohan_jobs.bookkeeping import Orphan, Repair
from gohan_jobs.events import OrphanFound
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.asked import taken_back
from gohan_jobs.manager.changes import Pending, change_of
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.drafting import Drafting
from gohan_jobs.planning import Enqueue, Removal, plan_repair, plan_stray_removal
from gohan_jobs.stores.base import Compare, Delete, Entry, Put, Transaction

__all__ = ["Repairs"]

_Situation: TypeAlias = tuple[int, int, int]
"""The mod revisions of the config, its state, which may be heard of late, and what asks."""


class Repairs:
    """Plans a job for each stack that is to be made right (``rules`` 18).

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drafting = Drafting(desk)
        self._asked: dict[ResourcePath, int] = {}
        self._tried: dict[ResourcePath, _Situation] = {}
        self._dropped: set[ResourcePath] = set()

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._asked.clear()
        self._tried.clear()
        self._dropped.clear()

    def heard(self, path: ResourcePath, entry: Entry | None) -> None:
        """Somebody asks for a repair, or it is done."""
        if entry is None:
            self._forget(path)
        else:
            self._asked[path] = entry.mod_revision
            self._dropped.add(path)  # perhaps: it is read when that counts

    def step(self) -> bool:
        """Plan one repair; whether there was any that can be planned now."""
        for path in self._asked:
            if path in self._dropped and self._is_marked(path):
                self._allow(path)
                return True
            situation = self._situation(path)
            if situation is not None and self._tried.get(path) != situation:
                if self._repair(path):
                    self._tried[path] = situation
                return True
        return False

    def _situation(self, path: ResourcePath) -> _Situation | None:
        """What a repair depends on; None while the resource has jobs, after which it is new.

        So it is while a change is held, which is not to be done by the way: what becomes of it may
        leave the stack as it is.
        """
        desk = self._desk
        reference = desk.estate.reference(path)
        busy = reference is not None and bool(desk.board.of_resource(reference))
        if busy or path in desk.held:
            self._tried.pop(path, None)
            return None
        entry = desk.estate.config_entry(path)
        revision = 0 if entry is None else entry.mod_revision
        return revision, desk.estate.state_revision(path), self._asked[path]

    def _is_marked(self, path: ResourcePath) -> bool:
        """Whether a later config is marked for deletion: its stack may go (``rules`` 16)."""
        known = self._desk.estate.processed(path)
        entry = self._desk.estate.config_entry(path)
        return known is not None and known[0].deleted and entry is not None

    def _allow(self, path: ResourcePath) -> None:
        """Note that the stack of a config that went unmarked is not to be kept after all."""
        desk, own = self._desk, self._desk.queue.own
        asked = desk.store.get(own.repair(path))
        wanted = None if asked is None else self._read(asked)
        if asked is not None and wanted is not None and wanted.dropped:
            allowed = own.dumps(attrs.evolve(wanted, dropped=False))
            unchanged = Compare.unchanged(asked.key, asked.mod_revision)
            if not desk.commit(Transaction((unchanged,), (Put(asked.key, allowed),))).succeeded:
                return  # it has changed, which will be heard
        self._dropped.discard(path)

    def _forget(self, path: ResourcePath) -> None:
        self._asked.pop(path, None)
        self._tried.pop(path, None)
        self._dropped.discard(path)
        self._desk.pardon(self._desk.queue.own.repair(path))

    def _repair(self, path: ResourcePath) -> bool:
        """Plan a repair; whether it need not be tried again before something changes."""
        desk = self._desk
        asked = desk.store.get(desk.queue.own.repair(path))
        if asked is None:
            return True  # done; that it is gone will be heard
        wanted = self._read(asked)
        if wanted is None:
            return True
        entry = desk.estate.config_entry(path)
        orphan = self._orphan_at(path, wanted) if entry is None else None
        if orphan is not None:
            return self._keep(orphan, asked)
        plan = self._plan(path, wanted, entry)
        if plan is None:
            return True
        pending = Pending(path, entry, 0 if entry is None else entry.mod_revision, reread=True)
        draft = self._drafting.draft(pending, plan, entry)
        assert draft is not None  # noqa: S101 - jobs are always written
        return self._drafting.carry_out(draft, asked)

    def _read(self, asked: Entry) -> Repair | None:
        """What asks for a repair; None, and set aside, if it can't be read."""
        desk = self._desk
        try:
            wanted = desk.queue.own.loads(asked.key, asked.value, Repair)
        except GohanJobsError as error:
            desk.set_aside(asked.key, asked.mod_revision, str(error))
            return None
        desk.pardon(asked.key)
        return wanted

    def _plan(self, path: ResourcePath, wanted: Repair, entry: Entry | None) -> Enqueue | None:
        desk = self._desk
        identified = desk.estate.identify(path)
        if identified is None:
            return None
        schema, resource = identified
        try:
            config = desk.estate.config(path)
        except GohanJobsError:
            return None  # a broken config is set aside; what comes after it is looked at
        if config is not None and entry is not None:
            change = change_of(path, entry, schema, resource, config)
            return plan_repair(change, desk.view, desk.schemas, desk.suffix)
        removal = Removal(path=path, resource=resource, schema=schema)
        return plan_stray_removal(removal, wanted.tenant, desk.view, desk.schemas, desk.suffix)

    def _orphan_at(self, path: ResourcePath, wanted: Repair) -> OrphanFound | None:
        """What to tell if the stack's config went without the mark its type has (``rules`` 16)."""
        desk = self._desk
        identified = desk.estate.identify(path)
        if identified is None or desk.options.orphans == "delete":
            return None
        schema, resource = identified
        if not wanted.dropped or not schema.two_step_deletion:
            return None
        return OrphanFound(resource=resource, reason="config removed while its job ran")

    def _keep(self, found: OrphanFound, asked: Entry) -> bool:
        """Note an orphan instead; whether that was done.

        It is told of, unless it has been already, when its config went.
        """
        desk = self._desk
        own = desk.queue.own
        path = ResourcePath(asked.key.removeprefix(own.repairs_prefix))
        orphan = Orphan(path=path, reason=found.reason, since=desk.now_text())
        kept = Transaction((), (Put(own.orphan(path), own.dumps(orphan)),))
        if not desk.commit_all((taken_back(asked), kept, self._forgetting(path))).succeeded:
            desk.refresh(path)
            return False
        if not self._has_stack(path):
            desk.estate.drop_processed(path)
            desk.estate.drop_stack(path)
        if path not in desk.orphans:
            desk.orphans.add(path)
            desk.events.emit(found)
        return True

    def _has_stack(self, path: ResourcePath) -> bool:
        estate = self._desk.estate
        return estate.stack_tenant(path) is not None or bool(estate.stack_problem(path))

    def _forgetting(self, path: ResourcePath) -> Transaction:
        """Remove what is left of a config that is gone, unless a record tells of its stack.

        A new leader would take what is left for a config that has just gone, and, as it knows of
        no stack, forget the orphan with it.
        """
        keys, estate = self._desk.keys, self._desk.estate
        processed, stack = keys.processed_of(path), keys.heat_stack_of(path)
        compares = (
            Compare.absent(keys.config_of(path)),
            Compare.unchanged(processed, estate.processed_revision(path)),
            Compare.unchanged(stack, estate.stack_revision(path)),
        )
        if self._has_stack(path):
            return Transaction(compares)
        return Transaction(compares, (Delete(processed), Delete(stack)))
