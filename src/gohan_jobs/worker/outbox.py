"""What ends claims, on its way to the store: as much of it in one request as goes together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from gohan_jobs.exceptions import StoreError, TransactionTooLarge
from gohan_jobs.keys import ResourcePath
from gohan_jobs.stores.base import TransactionResult
from gohan_jobs.worker.claiming import Claiming, Reserved
from gohan_jobs.worker.ending import Ending

__all__ = ["Outbox", "Sent"]

_MOST = 32
_MOST_BYTES = 2**20


@attrs.frozen
class Sent:
    """What became of one request.

    Attributes:
        ended: each ending that was in it, with its result or why the store can't take it.
        reserved: jobs that were claimed along with them.
    """

    ended: tuple[tuple[Ending, TransactionResult | Exception], ...] = ()
    reserved: tuple[Reserved, ...] = ()


class Outbox:
    """Endings, in order, until it is known what became of them. Not thread-safe.

    Those that are there go out in one request, along with claims of the next jobs, each as a
    transaction of its own, nested in one without conditions: each is fenced by itself, and what
    becomes of one is nothing to the others. Nothing waits in order to be sent together.

    Args:
        claiming: carries it out, and claims the next jobs.
    """

    def __init__(self, claiming: Claiming) -> None:
        self._claiming = claiming
        self._endings: list[Ending] = []
        self._alone = 0

    def __len__(self) -> int:
        return len(self._endings)

    def put(self, ending: Ending) -> None:
        """Add one."""
        self._endings.append(ending)

    def keep(self, wanted: Callable[[Ending], bool]) -> None:
        """Forget all but those that are still wanted."""
        self._endings = [ending for ending in self._endings if wanted(ending)]

    def send(self, most: int) -> Sent:
        """Send one request; what fails together is sent one by one then, each in its turn.

        Args:
            most: how many jobs to claim along, at most.

        Raises:
            StoreError: the store is away, or refuses it; all of it is kept.
        """
        together = self._together(1 if self._alone else _MOST)
        try:
            results, reserved = self._claiming.carry_out(
                [ending.transaction for ending in together],
                {ending.path for ending in together},
                0 if self._alone else most,
            )
        except Exception as error:
            if isinstance(error, StoreError) and not isinstance(error, TransactionTooLarge):
                self._put_off(together)
                raise
            if not self._alone:
                self._alone = len(together)
                return Sent()
            return self._sent(together, [error], [])
        return self._sent(together, results, reserved)

    def _put_off(self, together: list[Ending]) -> None:
        """One that the store refuses for ever, and says so each time, must not stop the others."""
        if self._alone:
            self._endings.append(self._endings.pop(0))
        else:
            self._alone = len(together)

    def _sent(
        self,
        together: list[Ending],
        results: Sequence[TransactionResult | Exception],
        reserved: Sequence[Reserved],
    ) -> Sent:
        del self._endings[: len(together)]
        self._alone = max(0, self._alone - 1)
        return Sent(tuple(zip(together, results, strict=True)), tuple(reserved))

    def _together(self, most: int) -> list[Ending]:
        """The first ones: no request writes a key twice, nor much more than a mebibyte."""
        found: dict[ResourcePath, Ending] = {}
        size = 0
        for ending in self._endings[:most]:
            size += ending.size
            if found and (ending.path in found or size > _MOST_BYTES):
                break
            found[ending.path] = ending
        return list(found.values())
