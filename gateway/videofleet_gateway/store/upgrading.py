"""Migrations of the SQL database. Only who has to change tables imports this: Alembic is a fifth of a start."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util import CommandError
from sqlalchemy import Connection

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class UnknownRevisionError(Exception):
    """A version that this one does not know, or that is on the other side; the message names it."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to a later revision, the latest without one. Raises UnknownRevisionError."""
    _take(command.upgrade, connection, revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Bring the tables back to an earlier revision. Raises UnknownRevisionError."""
    _take(command.downgrade, connection, revision)


def _take(steps: Callable[[AlembicConfig, str], None], connection: Connection, revision: str) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        steps(config, revision)
    except CommandError as error:
        raise UnknownRevisionError(str(error)) from error
