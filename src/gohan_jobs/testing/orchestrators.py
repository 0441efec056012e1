"""The orchestrator contract as tests: subclass :class:`OrchestratorSuite`, give it an orchestrator.

::

    class TestMyOrchestrator(OrchestratorSuite):
        @pytest.fixture
        def orchestrator(self) -> Iterator[Orchestrator]:
            yield MyOrchestrator()

What it expects was seen of a real Heat, with resource types that need nothing of OpenStack. Each
test works in a project of its own, so that one server may serve them all.
"""

from __future__ import annotations

from gohan_jobs.testing._orchestrator_suite_changing import OrchestratorSuiteChanging
from gohan_jobs.testing._orchestrator_suite_judging import OrchestratorSuiteJudging
from gohan_jobs.testing._orchestrator_suite_looking import OrchestratorSuiteLooking

__all__ = ["OrchestratorSuite"]


class OrchestratorSuite(
    OrchestratorSuiteLooking, OrchestratorSuiteChanging, OrchestratorSuiteJudging
):
    """What every :class:`~gohan_jobs.orchestrators.base.Orchestrator` does.

    Give it a fixture ``orchestrator``, and override what of the rest does not fit: ``tenant``,
    ``pass_time`` for a clock that stands still, ``time_limit_mins`` and ``patience``.
    """
