"""Waiting for a Lease: until it is written, or until it is time to look anyway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from .errors import ApiError
from .resources import LEASES
from .session import ApiSession

log = logging.getLogger(__name__)


async def until_written(
    session: ApiSession, namespace: str, name: str, version: str, otherwise: Awaitable[None], *, timeout: float
) -> None:
    """Return once the Lease has been written after `version`, at the latest when `otherwise` is over.

    `timeout`: seconds for the watch to open. A watch that cannot be had, or that ends without an event, is none.
    """
    resting = asyncio.ensure_future(otherwise)
    watching = asyncio.ensure_future(_first_event(session, namespace, name, version, timeout))
    try:
        await asyncio.wait({resting, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not resting.done() and not watching.result():
            await resting
    finally:
        for each in (resting, watching):
            each.cancel()
        await asyncio.gather(resting, watching, return_exceptions=True)


async def _first_event(session: ApiSession, namespace: str, name: str, version: str, timeout: float) -> bool:
    """Whether there was one."""
    query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": version}
    try:
        async with session.watch(LEASES, namespace, query, timeout=timeout) as chunks:
            async for _ in chunks:
                return True
    except ApiError as error:
        log.debug("lease %s cannot be watched: %s", name, error)
    return False
