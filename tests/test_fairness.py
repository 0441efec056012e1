"""Fairness: tenants in turn, fresh before resync, no cost for those who wait."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.bookkeeping import Band
from gohan_jobs.fairness import FairQueue
from gohan_jobs.keys import JobId
from jobs_made import job_id


def numbered(tenant: str, number: int) -> JobId:
    """A tenant's job."""
    return job_id(f"port:{tenant}", version=number)


def take(queue: FairQueue, number: int) -> list[JobId]:
    """Choose, and take what was chosen away."""
    chosen = queue.first(number)
    for chosen_id in chosen:
        queue.discard(chosen_id)
    return chosen


def test_a_small_tenant_is_served_within_one_round() -> None:
    """One job beside a thousand of another tenant's is among the first two."""
    queue = FairQueue()
    for number in range(1000):
        queue.add(numbered("big", number), Band.FRESH, "big")
    small = numbered("small", 0)
    queue.add(small, Band.FRESH, "small")
    assert [numbered("big", 0), small] == take(queue, 2)


def test_the_next_choice_goes_on_where_the_last_ended() -> None:
    """Chosen in portions smaller than the number of tenants, nobody is served twice in a round."""
    queue = FairQueue()
    tenants = [f"t{number}" for number in range(10)]
    for tenant in tenants:
        for number in range(5):
            queue.add(numbered(tenant, number), Band.FRESH, tenant)
    first_round = [take(queue, 3), take(queue, 3), take(queue, 4)]
    assert tenants == [chosen.resource_id for portion in first_round for chosen in portion]


def test_fresh_before_resync() -> None:
    """A resync's jobs are chosen when no fresh one is left, unknown bands with them."""
    queue = FairQueue()
    old, unknown, fresh = (numbered(name, 0) for name in ("old", "unknown", "fresh"))
    queue.add(old, Band.RESYNC, "a")
    queue.add(unknown, "of a later release", "b")
    queue.add(fresh, Band.FRESH, "c")
    assert [fresh] == queue.first(1)
    assert [fresh, old, unknown] == queue.first(5)


def test_members_are_counted_once() -> None:
    """Adding again changes nothing, in another band it moves; discarding twice does no harm."""
    queue = FairQueue()
    one = numbered("a", 1)
    queue.add(one, Band.RESYNC, "a")
    queue.add(one, Band.RESYNC, "a")
    assert 1 == len(queue)
    queue.add(one, Band.FRESH, "a")
    assert (1, [one]) == (len(queue), queue.first(2))
    queue.discard(one)
    queue.discard(one)
    assert (0, False, []) == (len(queue), one in queue, queue.first(2))


def test_choosing_does_not_look_at_those_who_wait() -> None:
    """Choosing two among ten thousand tenants asks for two tenants' jobs."""
    queue = FairQueue()
    for number in range(10_000):
        queue.add(numbered(f"t{number}", 0), Band.FRESH, f"t{number}")
    tenants = queue._bands[Band.FRESH]._tenants
    looked: list[str] = []

    class Looking(type(tenants)):  # type: ignore[misc]  # whatever it is
        def items(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a view of the above
            for item in super().items():
                looked.append(item[0])
                yield item

    queue._bands[Band.FRESH]._tenants = Looking(tenants)
    assert ["t0", "t1"] == [chosen.resource_id for chosen in queue.first(2)]
    assert ["t0", "t1"] == looked


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 4)), max_size=20),
    st.integers(1, 7),
)
def test_rounds(arrivals: list[tuple[str, int]], portion: int) -> None:
    """While a tenant waits, no other is served twice more than it; and everyone is served once."""
    queue, waiting = FairQueue(), Counter[str]()
    for index, (tenant, count) in enumerate(arrivals):
        for number in range(count):
            queue.add(numbered(tenant, index * 10 + number), Band.FRESH, tenant)
        waiting[tenant] += count
    total, served = waiting.total(), Counter[str]()
    while queue:
        for chosen in take(queue, portion):
            served[chosen.resource_id] += 1
            waiting[chosen.resource_id] -= 1
            left = [tenant for tenant, count in waiting.items() if count]
            most = max(served.values())
            assert all(served[tenant] >= most - 1 for tenant in left)
    assert total == served.total()
