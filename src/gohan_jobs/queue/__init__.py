"""The job queue: where its transactions are built, and nowhere else.

The documented keys stay as they were (``/jobs/all`` and the four places), but each move is one
transaction. Each also compares something that its own success changes, so that repeating one whose
answer was lost does nothing; and each is fenced: a leader's by the create revision of the leader's
key, a worker's by that of its reservation.
"""

from __future__ import annotations

from gohan_jobs.keys import ResourcePath
from gohan_jobs.queue.leading import LeaderTransactions
from gohan_jobs.queue.parts import Collapsed, Fence, Finish, NewJob, Ready
from gohan_jobs.queue.working import WorkerTransactions
from gohan_jobs.records import MonitoringRecord
from gohan_jobs.stores.base import Compare, Delete, Put, Transaction

__all__ = ["Collapsed", "Fence", "Finish", "NewJob", "Queue", "Ready"]


class Queue(LeaderTransactions, WorkerTransactions):
    """Builds transactions; pure.

    Args:
        keys: where everything is stored.
        codec: writes records.
        spelling: in which spelling.
    """

    def monitoring(
        self, path: ResourcePath, record: MonitoringRecord | None, revision: int
    ) -> Transaction:
        """Write a monitoring status, or remove it, if it is as it was read."""
        key = self.keys.monitoring_of(path)
        operation = Delete(key) if record is None else Put(key, self.text(record))
        return Transaction((Compare.unchanged(key, revision),), (operation,))
