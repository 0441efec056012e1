"""A real Keystone in one process: SQLite, loopback.

Runs in an environment of its own (``keystone-lock.txt``), started by ``real_services.py``::

    python keystone_launcher.py --directory DIR --password PASSWORD

``PUT /lifetime/SECONDS``, which is no request of Keystone's, says how long tokens live from now on.
Prints ``READY http://127.0.0.1:PORT`` once it answers: user ``admin`` of project ``admin``, domain
``default``. Ends as ``launcher.py`` does.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

from serving import WsgiApp, bind, end_with_parent, serve_on


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    parser.add_argument("--password", required=True)
    args = parser.parse_args()
    del sys.argv[1:]  # Keystone would read them too
    return args


def write_configuration(args: argparse.Namespace) -> pathlib.Path:
    """Keystone's configuration file, and the keys of its tokens."""
    from cryptography.fernet import Fernet

    for kind in ("tokens", "receipts"):
        keys = args.directory / kind
        keys.mkdir(mode=0o700)
        for number in range(2):
            (keys / str(number)).write_bytes(Fernet.generate_key())
    path = pathlib.Path(args.directory / "keystone.conf")
    path.write_text(
        f"""
[DEFAULT]
use_stderr = true
default_log_levels = keystone=WARNING
[database]
connection = sqlite:///{args.directory}/keystone.sqlite?timeout=60
[fernet_tokens]
key_repository = {args.directory}/tokens
[fernet_receipts]
key_repository = {args.directory}/receipts
[identity]
password_hash_rounds = 4
[cache]
enabled = false
""",
        encoding="utf-8",
    )
    return path


def bootstrap(url: str, password: str) -> None:
    """Make the first domain, project, user, roles and catalogue."""
    from keystone.cmd.bootstrap import Bootstrapper

    first = Bootstrapper()
    first.admin_username = first.project_name = first.admin_role_name = "admin"
    first.admin_password = password
    first.region_id = "RegionOne"
    first.service_name = "keystone"
    first.public_url = first.internal_url = first.admin_url = url
    first.bootstrap()


def with_lifetimes(app: WsgiApp) -> WsgiApp:
    """Let a test say how long tokens live."""
    from keystone.conf import CONF

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/lifetime/"):
            return app(environ, start_response)
        seconds = int(environ["PATH_INFO"].rsplit("/", 1)[1])
        CONF.set_override("expiration", seconds, group="token")
        start_response("204 No Content", [])
        return []

    return wrapped


def main() -> None:
    """Start, say where, serve."""
    args = arguments()
    end_with_parent()
    server = bind(0)

    from keystone.common.sql import upgrades
    from keystone.server import configure
    from keystone.server.flask import application, core

    configure(config_files=[str(write_configuration(args))])
    upgrades.offline_sync_database_to_version()
    # It loads the backends, which can be done once, and the application needs.
    bootstrap(f"http://127.0.0.1:{server.server_port}/v3", args.password)
    app = core.setup_app_middleware(application.application_factory("public"))
    serve_on(server, with_lifetimes(app))


if __name__ == "__main__":
    main()
