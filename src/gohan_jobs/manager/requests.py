"""What operators ask the leader for; each request is a key, so that it waits for a leader."""

from __future__ import annotations

from gohan_jobs.manager.cancellations import Cancellations
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.retries import Retries, Veto
from gohan_jobs.stores.base import Entry

__all__ = ["Requests"]


class Requests:
    """Takes requests in, and carries them out.

    Args:
        desk: what is known, and how to write.
        veto: asks the admission hook about a plan.
    """

    def __init__(self, desk: Desk, veto: Veto) -> None:
        self._own = desk.queue.own
        self._retries = Retries(desk, veto)
        self._cancellations = Cancellations(desk)

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._retries.clear()
        self._cancellations.clear()

    def heard(self, key: str, entry: Entry | None) -> None:
        """A request was made, or is gone."""
        if key.startswith(self._own.retries_prefix):
            self._retries.heard(key.removeprefix(self._own.retries_prefix), entry)
        else:
            self._cancellations.heard(key.removeprefix(self._own.cancels_prefix), entry)

    def step(self) -> bool:
        """Do one transaction's worth; whether there was anything to do now."""
        return self._cancellations.step() or self._retries.step()
