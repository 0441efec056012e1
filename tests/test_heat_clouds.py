"""clouds.yaml and the OS_* variables, and orchestrators made from them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
import requests
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from gohan_jobs.exceptions import OrchestratorRefused
from gohan_jobs.orchestrators.heat import (
    CloudConfig,
    HeatOrchestrator,
    HeatSettings,
    read_cloud,
    read_environment,
)
from scripted_heat import Answer, ScriptedCloud, scripted_cloud

CLOUDS = """
clouds:
  one:
    auth: {auth_url: "http://k/v3", username: u, user_domain_id: default}
    region_name: R
    interface: internal
    cacert: /ca.pem
    cert: /c.pem
    key: /k.pem
    orchestration_endpoint_override: "http://h/v1/%(tenant_id)s"
  two:
    auth_type: v3applicationcredential
    auth: {auth_url: "http://k/v3"}
    verify: false
"""
SECURE = """
clouds:
  one: {auth: {password: planted-password}}
"""


@pytest.fixture
def cloud() -> Iterator[ScriptedCloud]:
    """A Keystone, and a Heat that lists nothing."""
    with scripted_cloud() as cloud:
        cloud.otherwise = Answer(body={"stacks": []})
        yield cloud


def test_a_cloud_with_its_secrets(tmp_path: pathlib.Path) -> None:
    """secure.yaml is laid over clouds.yaml, and nothing of it is in a repr."""
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    (tmp_path / "secure.yaml").write_text(SECURE)
    cloud = read_cloud("one", directories=[tmp_path], environ={})
    auth = {
        "auth_url": "http://k/v3",
        "username": "u",
        "user_domain_id": "default",
        "password": "planted-password",
    }
    assert (
        CloudConfig(
            auth=auth,
            region_name="R",
            interface="internal",
            verify="/ca.pem",
            cert=("/c.pem", "/k.pem"),
            endpoint="http://h/v1/%(tenant_id)s",
        )
        == cloud
    )
    assert "planted" not in repr(cloud)


def test_the_cloud_that_os_cloud_names(tmp_path: pathlib.Path) -> None:
    """OS_CLOUD chooses, for the environment's reader too, from the file that is named."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"clouds": {"a": {"auth": {"token": "t"}}, "b": {}}}))
    environ = {"OS_CLOUD": "a", "OS_CLIENT_CONFIG_FILE": str(path)}
    expected = CloudConfig(auth={"token": "t"})
    assert [expected, expected] == [read_cloud(environ=environ), read_environment(environ)]


def test_the_only_cloud(tmp_path: pathlib.Path) -> None:
    """A file with one cloud needs no name."""
    (tmp_path / "clouds.yml").write_text("clouds: {a: {verify: false, cert: /c.pem}}")
    expected = CloudConfig(auth={}, verify=False, cert="/c.pem")
    assert expected == read_cloud(directories=[tmp_path / "none", tmp_path], environ={})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (None, None),
        ("", None),
        (CLOUDS, None),
        (CLOUDS, "three"),
        ("clouds: [a]", "a"),
        ("clouds: {a: planted-password}", "a"),
        ("clouds: {a: {auth: planted-password}}", "a"),
        ("clouds: {a: 'planted-password", "a"),
    ],
)
def test_what_is_no_cloud_is_refused(
    tmp_path: pathlib.Path, text: str | None, name: str | None
) -> None:
    """A missing or broken file is a clear error that shows none of it."""
    if text is not None:
        (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(OrchestratorRefused) as caught:
        read_cloud(name, directories=[tmp_path], environ={})
    assert "planted" not in str(caught.value)


def test_the_os_variables() -> None:
    """The variables of an openrc, old spellings included."""
    environ = {
        "OS_AUTH_URL": "http://k/v3",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "planted-password",
        "OS_TENANT_NAME": "",
        "OS_REGION_NAME": "R",
        "OS_ENDPOINT_TYPE": "internalURL",
        "OS_CACERT": "/ca.pem",
        "PATH": "/bin",
    }
    cloud = read_environment(environ)
    assert ("password", "R", "internal", "/ca.pem") == (
        cloud.auth_type,
        cloud.region_name,
        cloud.interface,
        cloud.verify,
    )
    assert ("http://k/v3", "u", "planted-password") == tuple(
        cloud.auth[key] for key in ("auth_url", "username", "password")
    )


def test_a_token_and_no_verification() -> None:
    """OS_TOKEN without a password logs in with it; OS_INSECURE turns verification off."""
    environ = {"OS_AUTH_URL": "http://k/v3", "OS_TOKEN": "t", "OS_INSECURE": "true"}
    cloud = read_environment(environ)
    assert ("token", False) == (cloud.auth_type, cloud.verify)


def test_an_environment_that_says_nothing() -> None:
    """Without a place to log in there is nothing to do."""
    with pytest.raises(OrchestratorRefused):
        read_environment({"OS_USERNAME": "u"})


def test_an_orchestrator_from_a_cloud(
    cloud: ScriptedCloud, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloud of the usual places logs in, in each tenant's project, whichever it names itself."""
    auth = {"auth_url": f"{cloud.url}/v3", "username": "u", "user_domain_id": "default"}
    own = {"project_id": "admin", "project_domain_id": "default", "project_name": "admin"}
    clouds = {"clouds": {"one": {"auth": {**auth, **own, "password": "p", "unknown": 1}}}}
    (tmp_path / "clouds.yaml").write_text(json.dumps(clouds))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    heat = HeatOrchestrator.from_cloud("one")
    assert [None, None] == [heat.find(tenant, "one") for tenant in ("p", "q")]
    heat.close()
    scopes = [login["scope"] for login in cloud.logins]
    assert [{"project": {"id": "p"}}, {"project": {"id": "q"}}] == scopes


def test_an_orchestrator_from_the_environment(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables log in, old names of options included, and may name Heat's endpoint."""
    for key, value in {
        "OS_AUTH_URL": f"{cloud.url}/v3",
        "OS_USER_NAME": "u",
        "OS_PASSWORD": "p",
        "OS_USER_DOMAIN_ID": "default",
        "OS_ORCHESTRATION_ENDPOINT_OVERRIDE": f"{cloud.url}/v1/of-%(project_id)s",
    }.items():
        monkeypatch.setenv(key, value)
    heat = HeatOrchestrator.from_env()
    heat.find("p", "one")
    heat.close()
    assert ["/v1/of-p/stacks?name=one"] == [request.path for request in cloud.requests]


@pytest.mark.parametrize(
    "config",
    [
        CloudConfig(auth={}, auth_type="no-such-type"),
        CloudConfig(auth={}),
    ],
    ids=["unknown type", "no auth_url"],
)
def test_a_cloud_that_cannot_be_logged_in_to(config: CloudConfig) -> None:
    """A mistake in the configuration shows at once, not at the first call."""
    with pytest.raises(OrchestratorRefused, match="auth_type"):
        HeatOrchestrator.from_config(config)


def test_an_application_credential_keeps_its_project(cloud: ScriptedCloud) -> None:
    """Keystone binds it to one project: no scope is asked for, and other tenants are refused."""
    auth = {
        "auth_url": f"{cloud.url}/v3",
        "application_credential_id": "i",
        "application_credential_secret": "s",
    }
    cloud.project = "p"
    config = CloudConfig(auth=auth, auth_type="v3applicationcredential")
    heat = HeatOrchestrator.from_config(config)
    assert None is heat.find("p", "one")
    with pytest.raises(OrchestratorRefused, match="project p, not q"):
        heat.find("q", "one")
    heat.close()
    assert ["scope" in login for login in cloud.logins] == [False, False]


def test_a_type_without_projects(cloud: ScriptedCloud) -> None:
    """A Heat without authentication has an endpoint and no projects to log in to."""
    config = CloudConfig(auth={"endpoint": f"{cloud.url}/v1/p"}, auth_type="none")
    heat = HeatOrchestrator.from_config(config)
    assert None is heat.find("p", "one")
    heat.close()
    assert ["/v1/p/stacks?name=one"] == [request.path for request in cloud.requests]


def test_somebodys_session_is_scoped_again(cloud: ScriptedCloud) -> None:
    """Its own token in its own project; for another, one got with it, renewed together."""
    auth = v3.Password(
        f"{cloud.url}/v3", username="u", password="p", user_domain_id="d", project_id="p"
    )
    with requests.Session() as http:
        session = Session(auth=auth, session=http)
        heat = HeatOrchestrator.from_session(session, HeatSettings(request_timeout=5))
        for tenant in ("p", "q", "q"):
            heat.find(tenant, "one")
        cloud.script.append(Answer(401))
        heat.find("q", "one")
        heat.close()
    assert [
        (["password"], "p"),
        (["token"], "q"),
        (["password"], "p"),
        (["token"], "q"),
    ] == [(login["identity"]["methods"], login["scope"]["project"]["id"]) for login in cloud.logins]
    tokens = [request.headers["X-Auth-Token"] for request in cloud.requests]
    assert ["token-1", "token-2", "token-2", "token-2", "token-4"] == tokens
    assert None is session.timeout


def test_somebodys_session_without_keystone(cloud: ScriptedCloud) -> None:
    """A session with an endpoint and a token is used as it is."""
    with requests.Session() as http:
        session = Session(auth=Token(f"{cloud.url}/v1/p", "t"), session=http)
        heat = HeatOrchestrator.from_session(session)
        assert None is heat.find("p", "one")
    assert ["t"] == [request.headers["X-Auth-Token"] for request in cloud.requests]
