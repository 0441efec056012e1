"""How Heat is called, wherever it is."""

from __future__ import annotations

import attrs

from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.orchestrators.heat.budget import CallBudget

__all__ = ["HeatSettings"]


def _can_be_filled_in(_settings: object, _field: object, endpoint: str | None) -> None:
    if endpoint is None:
        return
    try:
        endpoint % {"tenant_id": "", "project_id": ""}
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"endpoint: only %(tenant_id)s may follow a %: {endpoint!r}") from None


@attrs.frozen(kw_only=True)
class HeatSettings:
    """How Heat is called, wherever it is.

    Attributes:
        request_timeout: seconds after which a call gives up; below a lease's remainder just
            before it is renewed (``rules`` 18), which is 40 s by default.
        budget: calls a second; shared by all orchestrators it is given to.
        region_name: the region to take the endpoint of; None for the only one.
        interface: ``public``, ``internal`` or ``admin``.
        endpoint: Heat's endpoint instead of the catalogue's; may hold ``%(tenant_id)s``.
        clock: what measures time-outs.

    Raises:
        ValueError: a time-out that is not positive, or an endpoint that can't be filled in.
    """

    request_timeout: float = attrs.field(default=20.0, validator=attrs.validators.gt(0))
    budget: CallBudget = attrs.field(factory=CallBudget)
    region_name: str | None = None
    interface: str = "public"
    endpoint: str | None = attrs.field(default=None, validator=_can_be_filled_in)
    clock: Clock = attrs.field(factory=SystemClock)
