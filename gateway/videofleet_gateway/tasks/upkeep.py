"""What is done about tasks beside answering requests."""

import logging
from typing import Final

from videofleet_gateway.context import Context
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.tasks.closer import Closer
from videofleet_gateway.tasks.staging import Staging
from videofleet_gateway.tasks.tasks import task_of

_log: Final = logging.getLogger(__name__)


async def keep_up(context: Context) -> None:
    """Close logs that nobody will close, and remove videos that nobody needs; until cancelled."""
    cache, staging = context.jobs.cache, Staging(context)
    cache.listeners.append(staging.job_changed)
    cache.on_deleted.append(staging.job_deleted)
    await cache.wait_synced()
    tasks = [task for job in cache.all() if (task := task_of(job)) is not None]
    try:
        await staging.tidy({task.id for task in tasks if not task.standing.over})
    except GatewayError as error:
        _log.warning("videos of requests were not looked through: %s", error.message)
    await Closer(context).run()
