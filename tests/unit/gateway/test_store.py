"""The gateway's database: SQLite in a file, and Debian's PostgreSQL."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tests.support.postgres import postgres
from tests.support.programs import free_port
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.store import database
from videofleet_gateway.store.database import Database, DatabaseError
from videofleet_gateway.store.keys import Keys, Project, digest_of
from videofleet_gateway.store.tables import Base
from videofleet_gateway.store.upgrading import upgrade
from videofleet_gateway.store.windows import Windows


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres(free_port()) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    url = str(request.getfixturevalue("server"))
    database = Database(url)
    async with database.begin() as connection:
        for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
            await connection.execute(text(statement))
    await database.close()
    return url


@pytest.fixture
async def replicas(address: str) -> AsyncIterator[list[Database]]:
    """Two that begin at once."""
    made = [Database(address), Database(address)]
    await asyncio.gather(*(one.migrate() for one in made))
    yield made
    for one in made:
        await one.close()


async def test_migrations_make_what_the_code_expects(replicas: list[Database]) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    await replicas[0].migrate()
    async with replicas[1].begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_tables_of_an_earlier_version_are_brought_to_this_one(replicas: list[Database]) -> None:
    one, another = replicas
    async with one.begin() as connection:
        for change in ("ALTER TABLE api_keys DROP COLUMN read_only", "UPDATE alembic_version SET version_num = '0001'"):
            await connection.execute(text(change))
    await asyncio.gather(one.migrate(), another.migrate())
    await Keys(another).create("team", "namespace", "key", read_only=True)
    assert await Keys(one).project_of("key") == Project("team", "namespace", may_write=False)


def test_the_newest_version_is_the_last_of_the_migrations() -> None:
    assert ScriptDirectory(str(Path(database.__file__).parent / "migrations")).get_current_head() == database.NEWEST


def test_a_gateway_whose_tables_are_as_they_should_be_starts_without_alembic(tmp_path: Path) -> None:
    start = f"""
import asyncio, sys
from videofleet_gateway import app
from videofleet_gateway.store.database import Database
database = Database("sqlite+aiosqlite:///{tmp_path / "gateway.db"}")
async def begin():
    await database.migrate()
    await database.close()
asyncio.run(begin())
print("alembic" in sys.modules)
"""
    told = [subprocess.run([sys.executable, "-c", start], capture_output=True, check=True).stdout for _ in range(2)]
    assert told == [b"True\n", b"False\n"]


async def test_a_replica_that_begins_while_another_makes_the_file_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    maker = sqlite3.connect(path, isolation_level=None)
    maker.execute("BEGIN IMMEDIATE")
    maker.execute("CREATE TABLE being_made (id INTEGER)")
    database = Database(f"sqlite+aiosqlite:///{path}")
    migrating = asyncio.create_task(database.migrate())
    done, _ = await asyncio.wait({migrating}, timeout=0.3)
    assert not done
    maker.execute("COMMIT")
    maker.close()
    await migrating
    await database.ping()
    await database.close()


async def test_a_key_is_known_to_every_replica_until_it_is_revoked(replicas: list[Database]) -> None:
    one, two = (Keys(database) for database in replicas)
    key = await one.create("project", "namespace")
    assert await two.project_of(key) == Project("project", "namespace")
    assert await two.project_of(key + "x") is None
    assert await two.revoke(key)
    assert not await one.revoke(key)
    assert await one.project_of(key) is None


async def test_a_key_may_be_for_reading_only(replicas: list[Database]) -> None:
    keys = Keys(replicas[0])
    both, reader = await keys.create("project", "namespace"), await keys.create("project", "namespace", read_only=True)
    assert await Keys(replicas[1]).project_of(reader) == Project("project", "namespace", may_write=False)
    known = await keys.in_use()
    assert [(key.hint, key.project.may_write) for key in known] == [(both[:10], True), (reader[:10], False)]
    await keys.revoke(reader)
    assert [key.hint for key in await keys.in_use()] == [both[:10]]


async def test_replicas_count_no_request_too_many(replicas: list[Database]) -> None:
    now = [1000.0]
    counters = [Windows(database, lambda: now[0]) for database in replicas]
    answers = await asyncio.gather(*(counters[place % 2].admit("v/project", 7) for place in range(20)))
    assert answers.count(None) == 7
    assert {answer for answer in answers if answer is not None} == {60.0}
    assert await counters[0].admit("v/another", 7) is None
    now[0] += 59.9
    assert await counters[1].admit("v/project", 7) == pytest.approx(0.1)
    now[0] += 0.2
    assert await counters[1].admit("v/project", 7) is None


async def test_replicas_agree_on_a_secret(replicas: list[Database]) -> None:
    asked = [Keys(replicas[place % 2]).shared_secret("signing") for place in range(10)]
    assert len(set(await asyncio.gather(*asked))) == 1
    assert await Keys(replicas[0]).shared_secret("another") != await Keys(replicas[0]).shared_secret("signing")


async def test_requests_are_counted_beyond_two_to_the_31(address: str) -> None:
    old = Database(address)
    async with old.begin() as connection:
        await connection.run_sync(upgrade, "0002")
        row = "INSERT INTO counted_requests (id, subject, at) VALUES (2147483647, 'v/project', 1000)"
        await connection.execute(text(row))
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT setval('counted_requests_id_seq', 2147483647)"))
    await old.migrate()
    windows = Windows(old, lambda: 1001.0)
    assert [await windows.admit("v/project", 3) for _ in range(3)] == [None, None, 59.0]
    async with old.begin() as connection:
        numbers = await connection.execute(text("SELECT id FROM counted_requests ORDER BY id"))
        assert list(numbers.scalars()) == [2**31 - 1, 2**31, 2**31 + 1]
    await old.close()


async def test_keys_of_an_older_version_stay_good(address: str) -> None:
    old = Database(address)
    async with old.begin() as connection:
        await connection.run_sync(upgrade, "0001")
        now = datetime(2026, 1, 1, tzinfo=UTC)
        await connection.execute(
            text("INSERT INTO projects (id, namespace, created_at) VALUES (:id, :id, :now)"), {"id": "p", "now": now}
        )
        row = {"digest": digest_of("vf_old"), "hint": "vf_old", "now": now}
        columns, values = "digest, project_id, hint, created_at", ":digest, 'p', :hint, :now"
        await connection.execute(text(f"INSERT INTO api_keys ({columns}) VALUES ({values})"), row)
    await old.migrate()
    assert await Keys(old).project_of("vf_old") == Project("p", "p", may_write=True)
    await old.close()


async def test_a_database_of_a_newer_version_is_left_alone(replicas: list[Database]) -> None:
    async with replicas[0].begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"version 9999, .* up to 0003: .* downgrade 0003`"):
        await replicas[1].migrate()


async def test_a_replica_goes_on_counting_while_a_newer_one_changes_the_tables(address: str) -> None:
    running, newer = Database(address), Database(address)
    async with running.begin() as connection:
        await connection.run_sync(upgrade, "0002")
    windows = Windows(running, lambda: 1001.0)
    assert [await windows.admit("v/project", 4) for _ in range(2)] == [None, None]
    await newer.migrate()
    assert [await windows.admit("v/project", 4) for _ in range(3)] == [None, None, 60.0]
    for each in (running, newer):
        await each.close()


def command(address: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VIDEOFLEET_DATABASE_URL": address}
    line = [sys.executable, "-m", "videofleet_gateway", *words]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=300)


async def test_the_tables_are_taken_back_for_an_older_version(address: str) -> None:
    after = Database(address)
    await after.migrate()
    key = await Keys(after).create("p", "team-p")
    await Windows(after, lambda: 1001.0).admit("v/p", 1)
    await after.close()
    told = await asyncio.to_thread(command, address, "downgrade", "0002")
    assert (told.returncode, told.stderr) == (0, "")
    before = Database(address)
    async with before.begin() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "0002"
    assert await Keys(before).project_of(key) == Project("p", "team-p", may_write=True)
    later = await asyncio.to_thread(command, address, "downgrade", "0003")
    assert later.returncode == 1
    assert "cannot be taken back to 0003" in later.stderr
    await before.migrate()
    assert await Keys(before).project_of(key) == Project("p", "team-p", may_write=True)
    await before.close()


def test_nothing_is_taken_back_by_a_word(tmp_path: Path) -> None:
    told = command(f"sqlite+aiosqlite:///{tmp_path}/gateway.db", "downgrade", "base")
    assert (told.returncode, told.stdout) == (2, "")
    assert "'base' is no revision: four digits" in told.stderr


async def told_of(address: str) -> list[str]:
    """What is said of a database that is away, to those who ask and to who starts the gateway."""
    away = Database(address)
    with pytest.raises(GatewayError) as raised:
        await away.ping()
    assert raised.value.failure is Failure.UNAVAILABLE
    with pytest.raises(DatabaseError) as at_start:
        await away.migrate()
    await away.close()
    return [raised.value.message, str(at_start.value)]


async def test_a_database_that_is_away_is_told_as_such_without_its_password() -> None:
    said = await told_of(f"postgresql+asyncpg://gateway:secret@127.0.0.1:{free_port()}/postgres")
    assert not any("secret" in one for one in said)


async def test_a_server_that_refuses_is_away_as_well(server: str) -> None:
    _, at_start = await told_of(f"{server.rpartition('/')[0]}/nothing")
    assert 'database "nothing" does not exist' in at_start
