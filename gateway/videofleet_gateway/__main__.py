"""`python -m videofleet_gateway`: serve until told to stop. `... keys create PROJECT NAMESPACE`: a key, shown once.
`... downgrade REVISION`: take the tables back to what an older version knows."""

import argparse
import asyncio
import logging
import os
import re
import resource
import signal
import sys
from typing import Final

from videofleet_api.environment import ConfigError
from videofleet_gateway import config, logs
from videofleet_gateway.app import StartError, opened
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.store.database import Database, DatabaseError
from videofleet_gateway.store.keys import Keys
from videofleet_kube.credentials import discover
from videofleet_kube.kubeconfig import CredentialsError

_log: Final = logging.getLogger("videofleet_gateway")


async def serve(settings: config.Config) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    _allow_files()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with opened(settings, discover(os.environ)) as gateway:
            _log.info("serving", extra={name: listener.port for name, listener in gateway.ports.items()})
            await gateway.serve(stop)
    except (StartError, CredentialsError, ConfigError, DatabaseError) as error:
        print(f"videofleet-gateway: {error}", file=sys.stderr)
        return 2
    return 0


def _allow_files() -> None:
    """A connection is an open file, and the usual limit is far below what is allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def change_keys(settings: config.Config, arguments: argparse.Namespace) -> int:
    """Make, list or revoke keys."""
    database = Database(settings.database_url)
    try:
        await database.migrate()
        keys = Keys(database)
        if arguments.action == "create":
            print(await keys.create(arguments.project, arguments.namespace, read_only=arguments.read_only))
            return 0
        if arguments.action == "list":
            for key in await keys.in_use():
                scope = "write" if key.project.may_write else "read"
                print(f"{key.hint}...", key.project.id, key.project.namespace, scope, f"{key.created:%Y-%m-%d}")
            return 0
        if await keys.revoke(sys.stdin.read().strip()):
            return 0
        print("videofleet-gateway: no such key is in use", file=sys.stderr)
        return 1
    except (ValueError, DatabaseError, GatewayError) as error:
        print(f"videofleet-gateway: {error}", file=sys.stderr)
        return 1
    finally:
        await database.close()


async def take_back(settings: config.Config, revision: str) -> int:
    """Bring the tables to an earlier revision."""
    database = Database(settings.database_url)
    try:
        await database.downgrade(revision)
    except DatabaseError as error:
        print(f"videofleet-gateway: {error}", file=sys.stderr)
        return 1
    finally:
        await database.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="videofleet_gateway")
    commands = parser.add_subparsers(dest="command")
    actions = commands.add_parser("keys", help="API keys").add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key of a project and print it")
    create.add_argument("project")
    create.add_argument("namespace", help="where the project's jobs lie")
    create.add_argument("--read-only", action="store_true", help="it may look at everything and change nothing")
    actions.add_parser("list", help="the keys that are in use: beginning, project, namespace, what for, since when")
    actions.add_parser("revoke", help="take the key on standard input out of use")
    downgrade = commands.add_parser("downgrade", help="take the database's tables back, before an older version is run")
    downgrade.add_argument("revision", type=_revision, help="which that version says when it finds newer ones: 0002")
    return parser.parse_args()


def _revision(text: str) -> str:
    """Only a whole number: what else Alembic knows, such as `base`, would take keys and projects with it."""
    if not re.fullmatch("[0-9]{4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no revision: four digits, for example 0002")
    return text


def main() -> int:
    """Read the environment and run."""
    arguments = _arguments()
    try:
        settings = config.load()
    except ConfigError as error:
        print(f"videofleet-gateway: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    match arguments.command:
        case "keys":
            return asyncio.run(change_keys(settings, arguments))
        case "downgrade":
            return asyncio.run(take_back(settings, arguments.revision))
        case _:
            return asyncio.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
