"""The ways by which results leave the worker."""

from collections.abc import Iterable

from videofleet_api.outputs import OutputPolicy
from videofleet_api.targets import MqttTarget
from videofleet_worker.outputs.mqtt import MqttSender
from videofleet_worker.outputs.poster import Poster
from videofleet_worker.outputs.posts import PostSender, PostTarget
from videofleet_worker.outputs.reach import OutputReach
from videofleet_worker.outputs.sender import Sender

Target = PostTarget | MqttTarget


class WaysOut:
    """For all jobs of the worker, within what the pool allows. See OutputReach."""

    def __init__(self, policy: OutputPolicy, own: Iterable[str] = ()) -> None:
        self._reach = OutputReach(policy, own)
        self._poster = Poster(self._reach)

    def sender(self, target: Target) -> Sender:
        """A way to one receiver."""
        if isinstance(target, MqttTarget):
            return MqttSender(target, self._reach)
        return PostSender(target, self._poster)

    async def close(self) -> None:
        """Leave what they have in common."""
        await self._poster.close()


def address(target: Target) -> object:
    """What tells receivers apart, whatever else is said about them."""
    return (target.host, target.port) if isinstance(target, MqttTarget) else target.url
