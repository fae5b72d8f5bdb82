"""The connection to the SQL database, and its migrations."""

import contextlib
import logging
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any, Final

from asyncpg.exceptions import InterfaceError, PostgresError
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from videofleet_gateway.errors import Failure, GatewayError

NEWEST: Final = "0003"
"""The last of the migrations."""
_READING: Final = "videofleet_reading"
_log: Final = logging.getLogger(__name__)
_FAILURES: Final = (SQLAlchemyError, PostgresError, InterfaceError, OSError)
"""Of a database that is away. What PostgreSQL says before there is a connection comes as it is: that it is starting, or
that there are too many."""
_SECONDS: Final = {"timeout": 5.0, "command_timeout": 30.0}
"""In which PostgreSQL has to take a connection, and to do what it is told."""


class DatabaseError(Exception):
    """The database cannot be brought to what this version needs; the message says why, without the password."""


class Database:
    """One database. Every failure of it that a request meets is a GatewayError, UNAVAILABLE."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction, committed at the end. On SQLite nobody else writes meanwhile."""
        with _told():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction that changes nothing. On SQLite it holds up nobody, and nobody holds it up."""
        with _told():
            async with self._engine.connect() as connection:
                yield await connection.execution_options(**{_READING: True})

    async def migrate(self) -> None:
        """Bring the tables to this version, once where several replicas begin at once. Raises DatabaseError."""
        async with self._changing_tables() as connection:
            revision = await connection.run_sync(_revision)
            if revision != NEWEST:
                await connection.run_sync(_upgrade, revision)

    async def downgrade(self, revision: str) -> None:
        """Bring the tables back to what an older version knows. Raises DatabaseError."""
        async with self._changing_tables() as connection:
            await connection.run_sync(_downgrade, revision)

    @asynccontextmanager
    async def _changing_tables(self) -> AsyncGenerator[AsyncConnection, None]:
        try:
            async with self._engine.begin() as connection:
                await one_at_a_time(connection, "videofleet migrations")
                yield connection
        except _FAILURES as error:
            said = str(error).partition("\n")[0]
            raise DatabaseError(f"the database cannot be used: {said or type(error).__name__}") from error

    async def ping(self) -> None:
        """Raise GatewayError unless the database answers."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """End all connections."""
        await self._engine.dispose()


@contextlib.contextmanager
def _told() -> Generator[None, None, None]:
    """What is wrong with the database, as requests are told it."""
    try:
        yield
    except _FAILURES as error:
        _log.exception("the database does not answer")
        raise GatewayError(Failure.UNAVAILABLE, "the gateway's database does not answer", retry_after=1) from error


async def one_at_a_time(connection: AsyncConnection, what: str) -> None:
    """Until this transaction ends nobody else is past this point for the same `what`. On SQLite that is so anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})


def _engine(url: str) -> AsyncEngine:
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    limits = {} if is_sqlite else _SECONDS
    engine = create_async_engine(url, pool_pre_ping=not is_sqlite, hide_parameters=True, connect_args=limits)
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and only with the first write: too late to count and then insert.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    # The file keeps the mode. Where several begin at once one of them switches it, and the others are told that it is
    # locked, for this statement is not among those that wait.
    with contextlib.suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _revision(connection: Connection) -> str | None:
    """Of the tables; None: there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())


def _upgrade(connection: Connection, revision: str | None) -> None:
    from videofleet_gateway.store import upgrading

    try:
        upgrading.upgrade(connection)
    except upgrading.UnknownRevisionError as error:
        raise DatabaseError(
            f"the database's tables are of version {revision}, this gateway knows those up to {NEWEST}: run the newer"
            f" gateway again, and before going back to this one have it do `python -m videofleet_gateway downgrade"
            f" {NEWEST}`"
        ) from error


def _downgrade(connection: Connection, revision: str) -> None:
    from videofleet_gateway.store import upgrading

    try:
        upgrading.downgrade(connection, revision)
    except upgrading.UnknownRevisionError as error:
        raise DatabaseError(f"the database's tables cannot be taken back to {revision}: {error}") from error
