"""HeatOrchestrator against a real Keystone and a Heat that asks it (rules 27).

Nothing takes the project from the URL here: Heat puts a stack into the token's project.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.heat import CloudConfig, HeatOrchestrator, HeatSettings
from gohan_jobs.records import StackStatus
from real_services import KeystoneCloud, settled, until

pytestmark = pytest.mark.heat


def template(seconds: float = 0) -> str:
    """A template with one resource that takes a while to create."""
    metadata = {"seconds": {"CREATE": seconds}}
    resources = {"thing": {"type": "Test::FreeForm", "metadata": metadata}}
    return json.dumps({"heat_template_version": "2013-05-23", "resources": resources})


def request(tenant: str, name: str, seconds: float = 0) -> StackRequest:
    """A request for a stack that takes a while."""
    return StackRequest(
        name=name,
        tenant=tenant,
        template=template(seconds),
        parameters={},
        timeout_mins=1,
        tags=(f"of:{tenant}",),
    )


def config(cloud: KeystoneCloud, user: str, **more: str) -> CloudConfig:
    """How a user logs in; without a project, which is each tenant's."""
    auth = {
        "auth_url": cloud.keystone.auth_url,
        "username": user,
        "password": cloud.password,
        "user_domain_id": "default",
    }
    return CloudConfig(auth={**auth, **more})


@pytest.fixture
def operator(keystone_cloud: KeystoneCloud) -> Iterator[HeatOrchestrator]:
    """An orchestrator of a user who is administrator in both projects; it leaves no stack."""
    heat = HeatOrchestrator.from_config(config(keystone_cloud, keystone_cloud.operator))
    yield heat
    for project in keystone_cloud.projects:
        left = [heat.find(project, name) for name in ("same", "slow")]
        for stack in left:
            if stack is not None:
                remove(heat, stack)
    heat.close()


def test_each_stack_in_its_project(
    keystone_cloud: KeystoneCloud, operator: HeatOrchestrator
) -> None:
    """Two tenants' stacks of one name are two stacks, each in its own project.

    The user is an administrator, whose listings hold the stacks of all projects.
    """
    one, two = keystone_cloud.projects
    first = operator.create(request(one, "same"))
    assert None is operator.find(two, "same")
    second = operator.create(request(two, "same"))
    made = [settled(operator, stack) for stack in (first, second)]
    assert [
        (first.id, one, StackStatus.CREATE_COMPLETE, (f"of:{one}",)),
        (second.id, two, StackStatus.CREATE_COMPLETE, (f"of:{two}",)),
    ] == [(s.id, s.tenant, s.status, s.tags) for s in made if s is not None]
    found = [operator.find(project, "same") for project in keystone_cloud.projects]
    assert [first.id, second.id] == [stack.id for stack in found if stack is not None]
    assert [one, two] == [owner(keystone_cloud, stack) for stack in (first, second)]
    operator.delete(first)
    until(operator, first, lambda now: now is None)
    assert {first.id: None, second.id: made[1]} == operator.observe([first, second])


def owner(cloud: KeystoneCloud, stack: Stack) -> str:
    """The project that Heat itself says a stack is in."""
    auth = v3.Password(
        cloud.keystone.auth_url,
        username=cloud.operator,
        password=cloud.password,
        user_domain_id="default",
        project_id=stack.tenant,
    )
    with requests.Session() as http:
        url = f"{cloud.heat.url}/v1/{stack.tenant}/stacks/{stack.name}/{stack.id}"
        answer = Session(auth=auth, session=http).get(url).json()
    return str(answer["stack"]["parameters"]["OS::project_id"])


def test_a_user_without_a_role_is_refused(keystone_cloud: KeystoneCloud) -> None:
    """Keystone gives no token for a project in which the user has no role."""
    one, two = keystone_cloud.projects
    heat = HeatOrchestrator.from_config(config(keystone_cloud, keystone_cloud.member))
    assert None is heat.find(one, "nothing")
    with pytest.raises(OrchestratorRefused):
        heat.create(request(two, "nothing"))
    heat.close()
    assert 1 == heat.requests_sent


@pytest.mark.parametrize(
    "auth",
    [
        {"password": "wrong"},
        {"username": "nobody"},
    ],
    ids=["password", "user"],
)
def test_wrong_credentials_are_refused(keystone_cloud: KeystoneCloud, auth: dict[str, str]) -> None:
    """They stay wrong, so the error is final; and it shows no password."""
    heat = HeatOrchestrator.from_config(config(keystone_cloud, "operator", **auth))
    with pytest.raises(OrchestratorRefused) as caught:
        heat.find(keystone_cloud.projects[0], "one")
    heat.close()
    assert not any(word in str(caught.value) for word in ("wrong", keystone_cloud.password))


def test_a_wrong_token_is_refused(keystone_cloud: KeystoneCloud) -> None:
    """A token that Keystone does not know is refused by Heat, and so is the other's project."""
    one, two = keystone_cloud.projects
    endpoint = keystone_cloud.heat.endpoint
    wrong = HeatOrchestrator.from_endpoint(endpoint, "wrong-token")
    with pytest.raises(OrchestratorRefused):
        wrong.find(one, "same")
    wrong.close()
    with scoped(keystone_cloud, "member", one) as (session, _):
        others = HeatOrchestrator.from_endpoint(endpoint, session.get_token())
        assert None is others.find(one, "same")
        with pytest.raises(OrchestratorRefused):
            others.create(request(two, "same"))
        others.close()


class scoped:  # noqa: N801 - used as a function
    """A session of a user in a project, and its connections."""

    def __init__(self, cloud: KeystoneCloud, user: str, project: str) -> None:
        self.http = requests.Session()
        self.auth = v3.Password(
            cloud.keystone.auth_url,
            username=user,
            password=cloud.password,
            user_domain_id="default",
            project_id=project,
        )

    def __enter__(self) -> tuple[Session, v3.Password]:
        return Session(auth=self.auth, session=self.http), self.auth

    def __exit__(self, *_: object) -> None:
        self.http.close()


def test_tokens_expire_while_a_stack_is_created(
    keystone_cloud: KeystoneCloud, operator: HeatOrchestrator
) -> None:
    """A token that Heat takes no more, as its time is over, is renewed and the call sent again."""
    one = keystone_cloud.projects[0]
    with (
        keystone_cloud.keystone.short_lived_tokens(2),
        scoped(keystone_cloud, keystone_cloud.operator, one) as (session, auth),
    ):
        auth.reauthenticate = False  # else it is renewed before its time is over
        heat = HeatOrchestrator.from_session(session)
        stack = heat.create(request(one, "slow", seconds=4))
        token = session.get_token()
        made = settled(heat, stack)
        heat.close()
        assert token != session.get_token()
    assert made is not None
    assert StackStatus.CREATE_COMPLETE == made.status


def test_the_quota_may_be_freed_later(
    keystone_cloud: KeystoneCloud,
) -> None:
    """A project that has all its stacks rejects another, which is worth another try later."""
    one = keystone_cloud.projects[0]
    member = HeatOrchestrator.from_config(config(keystone_cloud, keystone_cloud.member))
    stacks = [member.create(request(one, f"s{number}")) for number in range(3)]
    names = [stack.name for stack in stacks]
    with pytest.raises(StackRejected) as caught:
        member.create(request(one, "s3"))
    assert ("RequestLimitExceeded", True) == (caught.value.kind, caught.value.retryable)
    remove(member, stacks.pop())
    stacks.append(member.create(request(one, "s3")))
    assert [*names[:2], "s3"] == [stack.name for stack in stacks]
    for stack in stacks:
        remove(member, stack)
    member.close()


def remove(heat: HeatOrchestrator, stack: Stack) -> None:
    """Delete a stack, and wait until it is gone."""
    settled(heat, stack)
    heat.delete(stack)
    until(heat, stack, lambda now: now is None)


def test_heat_restarts_while_stacks_are_watched(
    keystone_cloud: KeystoneCloud, operator: HeatOrchestrator
) -> None:
    """While Heat is away every call is retryable; after it, the same orchestrator goes on."""
    one = keystone_cloud.projects[0]
    stack = operator.create(request(one, "same"))
    before = settled(operator, stack)
    keystone_cloud.heat.stop()
    calls: list[Callable[[], object]] = [
        lambda: operator.observe([stack]),
        lambda: operator.find(one, "same"),
        lambda: operator.create(request(one, "s0")),
        lambda: operator.update(stack, request(one, "same")),
        lambda: operator.delete(stack),
    ]
    errors = [error_of(call) for call in calls]
    keystone_cloud.heat.restart()
    assert [OrchestratorUnavailable] * 5 == [type(error) for error in errors]
    assert before == settled(operator, stack)


def error_of(call: Callable[[], object]) -> OrchestratorError:
    """The error of a call that must fail."""
    with pytest.raises(OrchestratorError) as caught:
        call()
    return caught.value


def test_clouds_yaml(
    keystone_cloud: KeystoneCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloud's own project in clouds.yaml is not where another tenant's stacks go."""
    one, two = keystone_cloud.projects
    cloud = {"auth": {**config(keystone_cloud, "operator").auth, "project_id": one}}
    path = tmp_path / "clouds.yaml"
    path.write_text(json.dumps({"clouds": {"test": cloud}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    monkeypatch.setenv("OS_CLOUD", "test")
    heats = [
        HeatOrchestrator.from_cloud("test"),
        HeatOrchestrator.from_env(HeatSettings(request_timeout=10)),
    ]
    assert [None] * 2 == [heat.find(two, "same") for heat in heats]
    for heat in heats:
        heat.close()
