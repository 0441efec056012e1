"""Keys that ask the leader for something, and go once it is done, or can't be."""

from __future__ import annotations

from gohan_jobs.events import RequestDropped
from gohan_jobs.manager.desk import Desk
from gohan_jobs.stores.base import Compare, Delete, Entry, Transaction

__all__ = ["drop_request", "taken_back"]


def taken_back(asked: Entry) -> Transaction:
    """What removes such a key, unless it asks for something else by now."""
    unchanged = Compare.unchanged(asked.key, asked.mod_revision)
    return Transaction((unchanged,), (Delete(asked.key),))


def drop_request(desk: Desk, asked: Entry, told: RequestDropped) -> None:
    """Take back a request that can't be carried out, and say so.

    If it has changed, or is gone, nothing is said: an earlier leader has done it, or there is a
    newer one, and both will be heard of.
    """
    if desk.commit(taken_back(asked)).succeeded:
        desk.events.emit(told)
