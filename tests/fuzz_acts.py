"""What the fuzz does: Gohan's writes, operators' requests, deaths, lost answers, time.

Each act takes the site, and does something by chance to one of the resources or processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from fuzz_site import RESOURCES, RacingStore, Site
from gohan_jobs.exceptions import Compacted, OperationRefused
from gohan_jobs.operations.operating import Operator
from gohan_jobs.queue import Queue
from gohan_jobs.records import ConfigRecord, ResourceRef
from worlds import HOT, TEMPLATES

__all__ = ["act"]

_Act: TypeAlias = Callable[[Site], object]


def act(site: Site) -> None:
    """Do one thing, whichever."""
    (chosen,) = site.rng.choices(list(_ACTS), list(_ACTS.values()))
    chosen(site)


# Gohan.


def _write_something(site: Site) -> None:
    """Create, update, mark or remove a config, as its type allows."""
    resource = site.rng.choice(RESOURCES)
    config = site.config(resource)
    if config is None:
        _create(site, resource)
    elif not config.marked_for_deletion:
        _change(site, resource, config)
    elif site.is_deleted(resource):
        _remove(site, resource)


def _is_versioned(resource: ResourceRef) -> bool:
    return resource.resource_type != "quota"


def _create(site: Site, resource: ResourceRef) -> None:
    site.say("create", resource)
    site.world.write(resource, _body(site, resource), int(_is_versioned(resource)))


def _body(site: Site, resource: ResourceRef) -> dict[str, str]:
    body = {"name": f"x{site.rng.randrange(1000)}"}
    if resource.resource_type in {"port", "router"}:
        body["network_id"] = site.rng.choice(["n1", "n2"])
    return body


def _change(site: Site, resource: ResourceRef, config: ConfigRecord) -> None:
    two_steps = resource.resource_type in {"network", "port", "router"}
    roll = site.rng.random()
    if roll < 0.55:
        _update(site, resource, config)
    elif not two_steps:
        _remove(site, resource)
    elif roll < 0.85:
        site.say("mark", resource, config.version + 1)
        body = {name: config.body[name] for name in config.body if name not in {"id", "tenant_id"}}
        site.world.write(resource, body, config.version + 1, marked=True)
    elif roll < 0.93:
        _remove_unmarked(site, resource)


def _update(site: Site, resource: ResourceRef, config: ConfigRecord) -> None:
    version = config.version + 1 if _is_versioned(resource) else 0
    site.say("update", resource, version)
    site.world.write(resource, _body(site, resource), version)


def _remove(site: Site, resource: ResourceRef) -> None:
    site.say("remove", resource)
    site.world.remove_config(resource, state=True)
    if site.rng.random() < 0.5:
        _create(site, resource)


def _remove_unmarked(site: Site, resource: ResourceRef) -> None:
    """Somebody else removes a config that its type would have had marked first."""
    site.say("remove, unmarked,", resource)
    site.world.remove_config(resource, state=site.rng.random() < 0.7)
    site.step(site.rng.choice([0, 3]))
    if site.rng.random() < 0.6 and site.config(resource) is None:
        _create(site, resource)


def _write_template(site: Site) -> None:
    """Write a template anew, unchanged or not, perhaps after it was gone."""
    name = site.rng.choice(list(TEMPLATES))
    site.say("template", name)
    if site.rng.random() < 0.3:
        site.world.delete(site.world.keys.config_of(site.world.keys.template_path(name)))
        site.step(site.rng.choice([0, 3]))
    text = f"{HOT}# {site.rng.randrange(1000)}\n" if site.rng.random() < 0.7 else HOT
    site.world.template(name, TEMPLATES[name], text)


# Operators.


def _operate(site: Site, by: str = "ann") -> None:
    """An operator has something done; somebody else may be faster at any of the calls it takes."""
    store = RacingStore(site.world.store)
    if site.rng.random() < 0.3:
        store.race(site.rng.randint(0, 5), _others(site))
    codec, clock = site.world.codec, site.world.clock
    queue = Queue(site.world.keys, codec)
    operator = Operator(
        store, codec, queue, site.world.schemas, by=by, clock=clock, pause=lambda _seconds: None
    )
    try:
        site.rng.choice([_retry, _cancel, _release])(site, operator)
    except OperationRefused as error:
        site.say("refused", error)


def _others(site: Site) -> Callable[[], object]:
    """What happens meanwhile: Gohan, another operator, or processes."""
    return site.rng.choice(
        [
            lambda: _write_something(site),
            lambda: _operate(site, "bob"),
            lambda: site.step(site.rng.randint(1, 20)),
        ]
    )


def _retry(site: Site, operator: Operator) -> None:
    resource = site.rng.choice(RESOURCES)
    operator.retry(resource)
    site.say("retry", resource)


def _cancel(site: Site, operator: Operator) -> None:
    jobs = site.world.jobs()
    if jobs:
        job = site.rng.choice(jobs)
        operator.cancel(job.id, "because")
        site.say("cancel", job.id)


def _release(site: Site, operator: Operator) -> None:
    jobs = site.world.jobs()
    if jobs:
        job = site.rng.choice(jobs)
        operator.release(operator.holder(job.id))
        site.say("release", job.id)


# Trouble.


def _crash(site: Site) -> None:
    """A process dies at one of its next calls, before or after it is carried out."""
    name = site.alive()
    if name is not None:
        site.say("will crash:", name)
        site.stores[name].crash("any", on=site.rng.randint(1, 12), after=site.rng.random() < 0.5)


def _fail(site: Site) -> None:
    """A call fails, or its answer is lost."""
    name = site.alive()
    if name is not None:
        site.say("will fail:", name)
        call = site.rng.choice(["transact", "transact", "get", "entries"])
        after = site.rng.random() < 0.5
        site.stores[name].fail(call, on=site.rng.randint(1, 8), after=after)  # type: ignore[arg-type] # one of those


def _race(site: Site) -> None:
    """Somebody else is faster, between two calls of a process."""
    name = site.alive()
    if name is not None:
        site.say("will be late:", name)
        site.stores[name].race(site.rng.randint(0, 12), _others(site))


def _stop(site: Site) -> None:
    """A process is asked to end, and does so in order."""
    name = site.alive()
    if name is not None:
        site.say("stop", name)
        site.stop(name)


def _break_watches(site: Site) -> None:
    site.say("watches break")
    for name, store in site.stores.items():
        if name not in site.dead:
            store.break_watches(Compacted(1))


def _fill(site: Site) -> None:
    """The store is nearly full, or is not any more."""
    site.full = not site.full


def _wait(site: Site) -> None:
    site.say("time passes")
    site.world.clock.advance(site.rng.choice([1.0, 1.0, 5.0, 30.0, 70.0]))


_ACTS: Final[dict[_Act, int]] = {
    _write_something: 45,
    _write_template: 5,
    _operate: 20,
    _crash: 6,
    _fail: 4,
    _race: 8,
    _stop: 3,
    _break_watches: 3,
    _fill: 1,
    _wait: 13,
}
"""How often what is done."""
