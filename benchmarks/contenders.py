"""Five kinds of worker, each of which goes through a queue that is full and tells of each job.

They are called in a thread or a process of their own: with etcd's endpoints, what they are told of
the jobs, a semaphore to release once they are ready, and a queue for the samples. Then they wait
for the key ``GO``.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

import attrs
from estates import SCHEMAS, no_op

from gohan_jobs.bookkeeping import Bookkeeping, JobNotes
from gohan_jobs.clock import SystemClock
from gohan_jobs.codec import Codec
from gohan_jobs.events import Event, JobClaimed, JobFinished
from gohan_jobs.handlers import Done
from gohan_jobs.keys import Keys, Place
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.queue import Fence, Queue
from gohan_jobs.records import Job
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Transaction, TransactionResult, entries_below
from gohan_jobs.stores.etcd import EtcdStore, messages
from gohan_jobs.worker import WorkerOptions
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.publishing import finish_of

GO = "/benchmark/go"
KEYS = Keys()
SLOTS = 8


@attrs.frozen
class Sample:
    """What one job took.

    Attributes:
        claim: seconds from sending the claim until it is known to be made.
        finish: seconds from then, the handler included, until the results are known to be written.
        at: when that was, on a clock that all processes share.
    """

    claim: float
    finish: float
    at: float


Contender: TypeAlias = Callable[[Sequence[str], Sequence[Any], Any, Any], None]


def wait_for_go(store: EtcdStore) -> None:
    """Hold until all workers are there."""
    while store.get(GO) is None:
        time.sleep(0.002)


class Timed(EtcdStore):
    """Remembers when its last transaction was sent."""

    sent: float = 0.0

    def transact(self, transaction: Transaction) -> TransactionResult:
        """See :class:`EtcdStore`."""
        self.sent = time.monotonic()
        return super().transact(transaction)


def ours(endpoints: Sequence[str], _told: Sequence[Any], started: Any, samples: Any) -> None:
    """One of ours: works until every job is finished."""
    claims: dict[object, float] = {}
    found: list[Sample] = []

    def note(event: Event) -> None:
        if isinstance(event, JobClaimed):
            claims[event.job_id] = time.monotonic() - store.sent
        elif isinstance(event, JobFinished):
            claim = claims.pop(event.job_id)
            found.append(Sample(claim, event.seconds, time.monotonic()))

    with Timed(endpoints) as store:
        lifecycle = Lifecycle(
            store,
            SimulatedHeat(SystemClock()),
            SCHEMAS,
            roles=("worker",),
            hooks=(note,),
            handlers={"heat_worker": no_op},
            worker=WorkerOptions(slots=SLOTS),
        )
        lifecycle.step()  # registers
        started.release()
        wait_for_go(store)
        idle = 0
        while idle < 200:
            if lifecycle.step():
                idle = 0
            else:
                idle += 1
                time.sleep(0.0005)
        lifecycle.close()
    samples.put(found)


def bare(endpoints: Sequence[str], told: Sequence[Any], started: Any, samples: Any) -> None:
    """A loop on etcd3's stubs over requests built beforehand."""
    found: list[Sample] = []
    with EtcdStore(endpoints) as store:
        lease = store.grant_lease(60)
        requests = [bare_requests(entry, lease.id) for entry in told]
        call = store._connection.call  # noqa: SLF001 - bare, but with its errors explained
        started.release()
        wait_for_go(store)
        for claim, finish in requests:
            began = time.monotonic()
            answer = call("Txn", claim)
            claimed = time.monotonic()
            finish.compare[0].create_revision = answer.header.revision
            call("Txn", finish)
            finished = time.monotonic()
            found.append(Sample(claimed - began, finished - claimed, finished))
    samples.put(found)


def batched(endpoints: Sequence[str], told: Sequence[Any], started: Any, samples: Any) -> None:
    """As the bare one, with several finishes and the next claims in each request."""
    rpc = messages.load()
    found: list[Sample] = []
    with EtcdStore(endpoints) as store:
        lease = store.grant_lease(60)
        pairs = [bare_requests(entry, lease.id) for entry in told]
        batches = [pairs[at : at + SLOTS] for at in range(0, len(pairs), SLOTS)]
        call = store._connection.call  # noqa: SLF001 - bare, but with its errors explained
        started.release()
        wait_for_go(store)
        revision, claimed, claim = 0, 0.0, 0.0
        for ending, beginning in itertools.pairwise([[], *batches, []]):
            began = time.monotonic()
            request = rpc.TxnRequest()
            for _, finish in ending:
                finish.compare[0].create_revision = revision
                request.success.add().request_txn.CopyFrom(finish)
            for claiming, _ in beginning:
                request.success.add().request_txn.CopyFrom(claiming)
            revision = call("Txn", request).header.revision
            now = time.monotonic()
            found += [Sample(claim, now - claimed, now)] * len(ending)
            claimed, claim = now, now - began
    samples.put(found)


def bare_requests(entry: Any, lease: int) -> tuple[Any, Any]:
    """The two transactions of one job, as our worker would send them."""
    job_text, notes_text, ready = entry
    codec = Codec()
    queue = Queue(KEYS, codec)
    job: Job = codec.job(*job_text)
    notes = queue.own.loads(*notes_text, JobNotes)
    path = SCHEMAS.by_type("thing").path_of(job.resource_id)
    rpc = messages.load()
    claim = queue.claim(job.id, path, ready, "0" * 36, lease)
    fence = Fence(KEYS.place(Place.WORKING, job.id), 1)
    held = Claim(
        job=job,
        notes=notes,
        holder="",
        fence=fence,
        planned_at=0,
        own_stack=None,
        lease=WorkerLease(SystemClock()),
        lease_id=0,
        now=lambda: 0.0,
    )
    outcome = no_op_outcome(job)
    finish = queue.finish(fence, finish_of(held, outcome, Redactor()))
    return messages.transaction_request(rpc, claim), messages.transaction_request(rpc, finish)


def no_op_outcome(job: Job) -> Done:
    """What the no-op handler gives."""
    return no_op(SimpleNamespace(job=job))


def queued(store: EtcdStore) -> list[Any]:
    """What the bare loops are told of every job."""
    own = Bookkeeping(KEYS)
    ready, jobs, notes = (
        {entry.key.rpartition("/")[2]: entry for entry in entries_below(store, prefix)}
        for prefix in (KEYS.place_prefix(Place.READY), KEYS.all_jobs, own.jobs_prefix)
    )
    return [
        ((jobs[name].key, jobs[name].value), (notes[name].key, notes[name].value), it.mod_revision)
        for name, it in ready.items()
    ]


def board(endpoints: Sequence[str]) -> Any:
    """A connection to TaskFlow's jobboard, an optional package; its claims last for a minute."""
    from taskflow.jobs import backends  # noqa: PLC0415 - see above

    host, _, port = endpoints[0].rpartition(":")
    settings = {"board": "etcd", "host": host, "port": int(port), "ttl": 60}
    made = backends.fetch("benchmark", settings)
    made.connect()
    return made


def taskflow(endpoints: Sequence[str], told: Sequence[Any], started: Any, samples: Any) -> None:
    """Goes through TaskFlow's board until there is nothing left to claim.

    As the worker of its own example does, ``jobboard_produce_consume_colors``.
    """
    from taskflow.exceptions import NotFound, UnclaimableJob  # noqa: PLC0415 - optional

    (name,) = told
    mine = board(endpoints)
    found = timed(mine)
    wait_at(endpoints, started)
    left = True
    while left:
        left = False
        for job in mine.iterjobs(only_unclaimed=True, ensure_fresh=True):
            left = True
            with contextlib.suppress(NotFound, UnclaimableJob):
                mine.claim(job, name)
                mine.consume(job, name)
    mine.close()
    samples.put(found)


def conductor(endpoints: Sequence[str], told: Sequence[Any], started: Any, samples: Any) -> None:
    """TaskFlow's own worker, a blocking conductor, which does nothing in place of a flow."""
    from taskflow.conductors.backends import impl_blocking  # noqa: PLC0415 - optional

    class NoOp(impl_blocking.BlockingConductor):  # type: ignore[misc, unused-ignore] - optional
        """Runs no engine."""

        def _dispatch_job(self, _job: Any) -> bool:
            return True

    (name,) = told
    mine = board(endpoints)
    found = timed(mine)
    worker = NoOp(name, mine)
    listed = mine.iterjobs

    def listing(*, ensure_fresh: bool) -> Any:
        """What it is to go through; it would go on with what is not there any more for 30 s."""
        del ensure_fresh
        jobs = listed(ensure_fresh=True)
        first = next(jobs, None)
        if first is None:
            worker.stop()
            return iter(())
        return itertools.chain((first,), jobs)

    mine.iterjobs = listing
    wait_at(endpoints, started)
    worker.run()
    mine.close()
    samples.put(found)


def timed(mine: Any) -> list[Sample]:
    """Have a board's claims and consumptions timed; where the samples will be."""
    found: list[Sample] = []
    claim, consume = mine.claim, mine.consume
    began = claimed = 0.0

    def timed_claim(*arguments: Any) -> None:
        nonlocal began, claimed
        began = time.monotonic()
        claim(*arguments)
        claimed = time.monotonic()

    def timed_consume(*arguments: Any) -> None:
        consume(*arguments)
        finished = time.monotonic()
        found.append(Sample(claimed - began, finished - claimed, finished))

    mine.claim, mine.consume = timed_claim, timed_consume
    return found


def wait_at(endpoints: Sequence[str], started: Any) -> None:
    """Be ready, and hold until all workers are."""
    with EtcdStore(endpoints) as store:
        started.release()
        wait_for_go(store)


KINDS: dict[str, Contender] = {
    "ours": ours,
    "bare": bare,
    "batched": batched,
    "taskflow": taskflow,
    "conductor": conductor,
}
