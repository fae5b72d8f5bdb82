"""V: the hosted video API with server-sent events."""

from videofleet_gateway.context import Context
from videofleet_gateway.dialects.v.app import create_app
from videofleet_gateway.dialects.v.closer import Closer

__all__ = ["create_app", "work"]


async def work(context: Context) -> None:
    """What V does beside answering, until cancelled."""
    await Closer(context).run()
