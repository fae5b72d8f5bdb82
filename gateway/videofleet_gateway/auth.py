"""Who asks: keys in the Authorization header."""

from collections.abc import Mapping

from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.store.keys import Keys, Project


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key in `Authorization: Bearer KEY`; None without one."""
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def unauthenticated(message: str) -> GatewayError:
    """The answer to one who shows no key, or a wrong one."""
    return GatewayError(Failure.UNAUTHENTICATED, message, headers={"WWW-Authenticate": "Bearer"})


def check_may_write(project: Project) -> None:
    """Raises GatewayError, FORBIDDEN, for one whose key is for reading only."""
    if not project.may_write:
        raise GatewayError(Failure.FORBIDDEN, "the API key is for reading only: it makes, changes and cancels nothing")


async def project_of(keys: Keys, key: str | None) -> Project:
    """Whose key this is. Raises GatewayError, UNAUTHENTICATED."""
    if key is None:
        raise unauthenticated("give an API key: Authorization: Bearer KEY")
    project = await keys.project_of(key)
    if project is None:
        raise unauthenticated("the API key is unknown or was revoked")
    return project
