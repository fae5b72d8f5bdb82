"""Migrations of the SQL database. Only who has to change tables imports this: Alembic is a fifth of a start."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util import CommandError
from sqlalchemy import Connection

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class UnknownRevisionError(Exception):
    """The tables are of a version that this one does not know; the message names it."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to a revision, the latest without one. Raises UnknownRevisionError."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise UnknownRevisionError(str(error)) from error
