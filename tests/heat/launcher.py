"""A real Heat in one process: engine and API, loopback, nothing else of OpenStack.

Runs in an environment of its own (``heat-lock.txt``), started by ``real_services.py``::

    python launcher.py --directory DIR [--port N] [--token T] [--keystone URL] [--real-pace]
                       [--option GROUP__NAME=VALUE]...

Prints ``READY http://127.0.0.1:PORT`` once it answers; ends on SIGTERM and when its standard input
closes, so when its parent dies. Each step below is there because of a failure seen without it.
"""

# Heat reads its configuration on import, so what it needs is imported inside functions, in order.

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from serving import WsgiApp, end_with_parent, serve

PAUSE = 0.05
"""Seconds that any of Heat's own pauses lasts at most, unless its real pace is asked for."""

SERVICE_PASSWORD = "heat-service"
"""The password of Heat's own user in the Keystone of the tests."""

UNAUTHORIZED = {
    "code": 401,
    "title": "Unauthorized",
    "explanation": "This server could not verify that you are authorized.",
    "error": {"type": "HTTPUnauthorized", "traceback": None, "message": "Authentication required"},
}


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", help="the only token accepted; without Keystone")
    parser.add_argument("--keystone", help="authenticate against this one; URL up to /v3")
    parser.add_argument("--real-pace", action="store_true")
    parser.add_argument("--option", action="append", default=[], help="GROUP__NAME=VALUE")
    return parser.parse_args()


def configuration(args: argparse.Namespace) -> str:
    """Heat's configuration file."""
    etc = pathlib.Path(sys.prefix) / "etc" / "heat"
    policy = args.directory / "policy.yaml"
    # Else role admin, which noauth gives to everybody, sees the stacks of all projects.
    policy.write_text('context_is_admin: "!"\n' if not args.keystone else "{}\n", encoding="utf-8")
    sections: dict[str, dict[str, object]] = {
        "DEFAULT": {
            "transport_url": "fake://",
            "deferred_auth_method": "password",  # with trusts, updates give 500
            "keystone_backend": "heat.engine.clients.os.keystone.fake_keystoneclient"
            ".FakeKeystoneClient",
            "auth_encryption_key": "0123456789abcdef0123456789abcdef",
            "plugin_dirs": pathlib.Path(__file__).parent / "plugins",
            "environment_dir": etc / "environment.d",
            "template_dir": etc / "templates",
            "use_stderr": True,  # stdout is a pipe that nobody drains after READY
            "default_log_levels": "heat=WARNING,keystonemiddleware=ERROR",
            "num_engine_workers": 1,
        },
        "database": {"connection": f"sqlite:///{args.directory}/heat.sqlite?timeout=60"},
        "oslo_policy": {
            # Else creating a stack is a 403.
            "enforce_new_defaults": False,
            "enforce_scope": False,
            "policy_file": policy,
        },
        "paste_deploy": {
            "flavor": "" if args.keystone else "noauth",
            "api_paste_config": etc / "api-paste.ini",
        },
    }
    if args.keystone:
        sections["keystone_authtoken"] = keystone_access(args.keystone)
    for option in args.option:
        name, value = option.split("=", 1)
        group, key = name.split("__", 1)
        sections.setdefault(group, {})[key] = value
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in section.items())])
        for name, section in sections.items()
    )


def keystone_access(url: str) -> dict[str, object]:
    """How Heat itself gets at Keystone."""
    return {
        "auth_type": "password",
        "auth_url": url,
        "www_authenticate_uri": url,
        "username": "heat",
        "password": SERVICE_PASSWORD,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "service_token_roles_required": True,
    }


def configure(args: argparse.Namespace) -> None:
    """Read the configuration, set logging up, make the database."""
    from oslo_service import backend

    # Before anything of heat is imported.
    backend.init_backend(backend.BackendType.THREADING)

    from heat.common import config  # noqa: F401 - registers the options
    from heat.version import version_info
    from oslo_config import cfg
    from oslo_log import log

    path = args.directory / "heat.conf"
    path.write_text(configuration(args), encoding="utf-8")
    log.register_options(cfg.CONF)
    cfg.CONF(
        ["--config-file", str(path)],
        project="heat",
        prog="heat-all",
        version=version_info.version_string(),
    )
    log.setup(cfg.CONF, "heat-all")


def prepare_database() -> None:
    """Make the tables such that SQLite serves one process of many threads."""
    import sqlalchemy
    from heat.db import api, migration

    def never_reuse_ids(table: Any, *_: Any, **__: Any) -> None:
        # SQLite gives the id of a deleted row again; updates then hang or answer 404.
        columns = list(table.primary_key.columns)
        if len(columns) == 1 and isinstance(columns[0].type, sqlalchemy.Integer):
            table.dialect_options["sqlite"]["autoincrement"] = True

    def lock_at_once(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        return ("BEGIN IMMEDIATE" if statement == "BEGIN" else statement), parameters

    sqlalchemy.event.listen(sqlalchemy.Table, "before_create", never_reuse_ids)
    migration.db_sync()
    # After the migration, which it would deadlock; without it: "database is locked".
    sqlalchemy.event.listen(api.get_engine(), "before_cursor_execute", lock_at_once, retval=True)


def shorten_pauses() -> None:
    """Take Heat's pauses out: a stack of 20 resources takes 2 s instead of 22."""
    from heat.engine import scheduler
    from heat.engine.resources.openstack.heat import test_resource
    from oslo_messaging._drivers import impl_fake

    delivered = threading.Condition()
    deliver = impl_fake.FakeExchange.deliver_message

    def deliver_and_wake(*args: Any, **kwargs: Any) -> None:
        deliver(*args, **kwargs)
        with delivered:
            delivered.notify_all()

    def wait_for_delivery(seconds: float) -> None:
        with delivered:
            delivered.wait(seconds)

    impl_fake.FakeExchange.deliver_message = deliver_and_wake
    impl_fake.time = _Time(wait_for_delivery)
    test_resource.time = _Time(lambda seconds: time.sleep(min(seconds, PAUSE)))
    scheduler.ENABLE_SLEEP = False
    scheduler.TaskRunner._sleep = lambda _self, wait: time.sleep(min(wait or 0, PAUSE))


class _Time:
    """A ``time`` module of which only ``sleep`` is another."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.time = time.time
        self.sleep = sleep


def start_engine() -> None:
    """Start Heat's engine in threads of this process."""
    from heat.common import messaging

    messaging.setup()

    from heat.engine import service, template
    from heat.rpc import api as rpc_api
    from oslo_config import cfg

    template._get_template_extension_manager()
    service.EngineService(cfg.CONF.host, rpc_api.ENGINE_TOPIC).start()


def with_project_of_url(app: WsgiApp, token: str | None) -> WsgiApp:
    """Take the project from the URL, as ``noauth`` makes everyone project ``admin``.

    ``GET /served``, which is no request of Heat's, tells how many requests came.
    """
    served = itertools.count()

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        number = next(served)
        parts = environ["PATH_INFO"].split("/")
        if parts[1:2] == ["served"]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(number).encode()]
        if parts[1:2] != ["v1"]:
            return app(environ, start_response)
        if token is not None and environ.get("HTTP_X_AUTH_TOKEN") != token:
            body = json.dumps(UNAUTHORIZED).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response("401 Unauthorized", headers)
            return [body]
        environ["HTTP_X_AUTH_PROJECT"] = parts[2]
        return app(environ, start_response)

    return wrapped


def main() -> None:
    """Start, say where, serve."""
    args = arguments()
    end_with_parent()
    configure(args)
    prepare_database()
    if not args.real_pace:
        shorten_pauses()
    start_engine()
    from heat.common import config

    app = config.load_paste_app("heat-api")
    if not args.keystone:
        app = with_project_of_url(app, args.token)
    serve(app, args.port)


if __name__ == "__main__":
    main()
