"""The second handler of 2017's workflows: what Heat has made is watched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gohan_jobs import Action, Codec, Done, GiveUp, HeatTemplate, JobContext, Later, Renderer
from gohan_jobs.handlers import Outcome
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs_monitoring.agents import Agent, FileAgent, Targets

__all__ = ["MonitoringHandler", "monitoring_worker"]

DIRECTORY = "GOHAN_JOBS_MONITORING"
"""The variable that names the daemon's directory."""

_NO_TARGETS = "db_mappings"
"""A key of a monitoring template that names none: rows of the daemon's database."""


class MonitoringHandler:
    """Has an agent watch what a resource's monitoring template names.

    A template gives an object of targets, such as ``{"switch": {"type": "switch", "ip": …}}``; the
    result's ``state_monitoring`` is the status of each, ``{"switch": "ACTIVE"}``.

    Args:
        agent: makes the agent, when it is first needed.
        poll: seconds between looks at the statuses.
        patience: seconds after which targets without a status fail the job.
    """

    def __init__(
        self, agent: Callable[[], Agent], *, poll: float = 1.0, patience: float = 360.0
    ) -> None:
        self._agent = agent
        self._poll = poll
        self._patience = patience
        self._codec = Codec()
        self._renderer = Renderer()

    def __call__(self, context: JobContext) -> Outcome:
        """Begin, or begin again after a death: watching twice is watching once."""
        resource, version = str(context.job.resource), context.job.version
        if Action(context.job.action).deletes:
            context.claim.guard(self._agent().request_timeout)
            self._agent().forget(resource)
            return Done(outputs=())
        if self._agent().statuses(resource, version) is None:
            targets = self._targets(context)
            if isinstance(targets, GiveUp):
                return targets
            context.claim.guard(self._agent().request_timeout)
            self._agent().watch(resource, version, targets)
        return self._look(context, context.now() + self._patience)

    def _look(self, context: JobContext, deadline: float) -> Outcome:
        """Come back until every target has a status; meanwhile no thread is held."""
        statuses = self._agent().statuses(str(context.job.resource), context.job.version)
        if statuses is not None:
            # No outputs of its own: the result carries those of the workflow's stack.
            return Done(state_monitoring=statuses)
        if context.now() >= deadline:
            return GiveUp(reason=f"no status after {self._patience:g} s")
        return Later(after=self._poll, resume=lambda later: self._look(later, deadline))

    def _targets(self, context: JobContext) -> Targets | GiveUp:
        entry = context.template()
        if entry is None:
            return GiveUp(reason="its monitoring template is gone")
        config = self._codec.config(entry.key, entry.value)
        template = ParsedTemplate.parse(HeatTemplate.from_config(config, entry.key))
        text = self._renderer.render(template.id, template.text, context.resolved_params())
        try:
            found: Any = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            # Not its words: they quote the text, which may hold a password.
            return GiveUp(reason=f"template {template.id}: {type(error).__name__}")
        if not isinstance(found, dict) or not all(map(_is_target, found.items())):
            return GiveUp(reason=f"template {template.id}: expected an object of targets")
        return {name: target for name, target in found.items() if name != _NO_TARGETS}


def _is_target(item: tuple[Any, Any]) -> bool:
    name, target = item
    return name == _NO_TARGETS or (isinstance(name, str) and isinstance(target, dict))


def _file_agent() -> Agent:
    return FileAgent(Path(os.environ.get(DIRECTORY, "/run/gohan-jobs-monitoring")))


monitoring_worker = MonitoringHandler(_file_agent)
"""What the entry point names: made on import, it touches nothing until it is called."""
