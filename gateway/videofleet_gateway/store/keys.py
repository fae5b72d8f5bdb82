"""API keys: a key belongs to a project, a project is a namespace."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import insert, select, update

from videofleet_gateway.store.database import Database, one_at_a_time
from videofleet_gateway.store.tables import KeyRow, ProjectRow, SecretRow

_PREFIX: Final = "vf_"
_HINT: Final = 10


@dataclass(frozen=True, slots=True)
class Project:
    """On whose behalf a request is, and whether it may change anything."""

    id: str
    namespace: str
    may_write: bool = True


@dataclass(frozen=True, slots=True)
class KeptKey:
    """What is known of a key. `hint` is its beginning."""

    hint: str
    project: Project
    created: datetime


def digest_of(key: str) -> str:
    """What is kept of a key. Keys are random numbers of 256 bits, so that a plain digest cannot be guessed back."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class Keys:
    """Projects and their keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def project_of(self, key: str) -> Project | None:
        """Whose key this is; None for an unknown or a revoked one."""
        return await self.project_of_digest(digest_of(key))

    async def project_of_digest(self, digest: str) -> Project | None:
        """Whose key has this digest; None for an unknown or a revoked one."""
        wanted = (
            select(ProjectRow.id, ProjectRow.namespace, KeyRow.read_only)
            .join(KeyRow, KeyRow.project_id == ProjectRow.id)
            .where(KeyRow.digest == digest, KeyRow.revoked_at.is_(None))
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(wanted)).first()
        return None if row is None else Project(row.id, row.namespace, may_write=not row.read_only)

    async def in_use(self) -> list[KeptKey]:
        """All keys that are good, those of a project together."""
        wanted = (
            select(KeyRow, ProjectRow.namespace)
            .join(ProjectRow, KeyRow.project_id == ProjectRow.id)
            .where(KeyRow.revoked_at.is_(None))
            .order_by(KeyRow.project_id, KeyRow.created_at)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(wanted)).all()
        return [
            KeptKey(row.hint, Project(row.project_id, row.namespace, may_write=not row.read_only), row.created_at)
            for row in rows
        ]

    async def create(self, project: str, namespace: str, key: str | None = None, *, read_only: bool = False) -> str:
        """A new key of a project, which is made where it is not there yet; shown this once."""
        key = key or _PREFIX + secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        async with self._database.begin() as connection:
            known = (await connection.execute(select(ProjectRow).where(ProjectRow.id == project))).first()
            if known is None:
                await connection.execute(insert(ProjectRow).values(id=project, namespace=namespace, created_at=now))
            elif known.namespace != namespace:
                raise ValueError(f"project {project} has the namespace {known.namespace}, not {namespace}")
            row = {"digest": digest_of(key), "project_id": project, "hint": key[:_HINT], "created_at": now}
            await connection.execute(insert(KeyRow).values(**row, read_only=read_only))
        return key

    async def revoke(self, key: str) -> bool:
        """Take a key out of use. False: it was in none."""
        change = (
            update(KeyRow)
            .where(KeyRow.digest == digest_of(key), KeyRow.revoked_at.is_(None))
            .values(revoked_at=datetime.now(UTC))
        )
        async with self._database.begin() as connection:
            return bool((await connection.execute(change)).rowcount)

    async def shared_secret(self, name: str) -> bytes:
        """32 random bytes that all replicas agree on, made by the first that asks."""
        wanted = select(SecretRow.value).where(SecretRow.name == name)
        async with self._database.reading() as connection:
            known = (await connection.execute(wanted)).scalar()
        if known is not None:
            return bytes(known)
        async with self._database.begin() as connection:
            await one_at_a_time(connection, name)
            known = (await connection.execute(wanted)).scalar()
            if known is None:
                known = secrets.token_bytes(32)
                await connection.execute(insert(SecretRow).values(name=name, value=known))
        return bytes(known)
