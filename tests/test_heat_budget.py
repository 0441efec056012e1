"""CallBudget: how many calls a second, on a clock that a test moves."""

from __future__ import annotations

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.orchestrators.heat import CallBudget
from gohan_jobs.orchestrators.heat import budget as budget_module


def times(budget: CallBudget, clock: VirtualClock, tenants: str) -> list[float]:
    """When a call of each tenant is let through, one after the other."""
    passed = []
    for tenant in tenants:
        assert budget.acquire(tenant, 1000)
        passed.append(round(clock.now(), 6))
    return passed


def test_a_seconds_worth_passes_at_once() -> None:
    """A full bucket holds a second's calls; then they are spaced."""
    clock = VirtualClock()
    budget = CallBudget(total=4, per_tenant=None, clock=clock, sleep=clock.advance)
    assert [0, 0, 0, 0, 0.25, 0.5] == times(budget, clock, "aaaaaa")


def test_a_rate_below_one_a_second() -> None:
    """A bucket holds at least one call."""
    clock = VirtualClock()
    budget = CallBudget(total=0.5, per_tenant=None, clock=clock, sleep=clock.advance)
    assert [0, 2, 4] == times(budget, clock, "aaa")


def test_a_bucket_fills_while_nobody_calls() -> None:
    """After a quiet second all of it may be used at once again, and no more."""
    clock = VirtualClock()
    budget = CallBudget(total=2, per_tenant=None, clock=clock, sleep=clock.advance)
    times(budget, clock, "aa")
    clock.advance(60)
    assert [60, 60, 60.5] == times(budget, clock, "aaa")


def test_tenants_have_their_own_budgets() -> None:
    """A busy tenant does not use up another's."""
    clock = VirtualClock()
    budget = CallBudget(total=None, per_tenant=1, clock=clock, sleep=clock.advance)
    assert [0, 0, 1, 1] == times(budget, clock, "abab")


def test_the_tighter_budget_counts() -> None:
    """A call needs both its tenant's and everybody's."""
    clock = VirtualClock()
    budget = CallBudget(total=2, per_tenant=1, clock=clock, sleep=clock.advance)
    assert [0, 0, 0.5, 1] == times(budget, clock, "abca")


def test_no_limits() -> None:
    """Without limits nothing waits."""
    clock = VirtualClock()
    budget = CallBudget(total=None, per_tenant=None, clock=clock, sleep=clock.advance)
    assert [0.0] * 100 == times(budget, clock, "a" * 100)


def test_a_wait_that_is_too_long_takes_nothing() -> None:
    """A refused call does not delay those after it."""
    clock = VirtualClock()
    budget = CallBudget(total=1, per_tenant=None, clock=clock, sleep=clock.advance)
    times(budget, clock, "a")
    assert [False, False, True] == [budget.acquire("a", limit) for limit in (0.5, 0.5, 1)]
    assert 1 == clock.now()


def test_quiet_tenants_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of tenants don't pile up, and a busy one keeps its account."""
    monkeypatch.setattr(budget_module, "_FORGET_ABOVE", 2)
    clock = VirtualClock()
    budget = CallBudget(total=None, per_tenant=1, clock=clock, sleep=clock.advance)
    times(budget, clock, "a")
    clock.advance(10)
    times(budget, clock, "bc")
    assert ["b", "c"] == sorted(budget._tenants)
    assert False is budget.acquire("b", 0.5)


@pytest.mark.parametrize(("total", "per_tenant"), [(0, 1), (1, 0), (-1, None), (float("nan"), 1)])
def test_rates_are_positive(total: float, per_tenant: float | None) -> None:
    """A rate of nothing would wait forever, one that is no number not at all."""
    with pytest.raises(ValueError, match="positive"):
        CallBudget(total=total, per_tenant=per_tenant)
