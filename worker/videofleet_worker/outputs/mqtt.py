"""Messages to an MQTT broker, each under the topic that the job names."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Final

from videofleet_api.targets import MqttTarget
from videofleet_worker.outputs.broker import BrokerConnection, BrokerRefusedError
from videofleet_worker.outputs.reach import ForbiddenError, OutputReach
from videofleet_worker.outputs.sender import LostError, Message, made

_SECONDS: Final = 15.0
"""That a message may take, a new connection included."""
_CONNECT_SECONDS: Final = 5.0
_MOST_ADDRESSES: Final = 4
_FIELD: Final = re.compile(r"\{(\w+)\}")
_SPECIAL: Final = re.compile(r"[/+#\0]")


class MqttSender:
    """Connects when there is something to send, and stays connected. See Sender."""

    def __init__(self, target: MqttTarget, reach: OutputReach, seconds: float = _SECONDS) -> None:
        self.host = target.host
        self._target = target
        self._reach = reach
        self._seconds = seconds
        self._connection: BrokerConnection | None = None

    async def send(self, message: Message) -> None:
        """See Sender."""
        body = (await made(message)).body
        try:
            async with asyncio.timeout(self._seconds):
                connection = await self._connected()
                await connection.publish(topic_of(self._target.topic, message.about), body, self._target.qos)
        except ForbiddenError as error:
            raise LostError("forbidden", str(error), final=True) from error
        except BrokerRefusedError as error:
            cause = "refused" if error.final else "away"
            raise LostError(cause, f"the broker answered: {error}", final=error.final) from error
        except TimeoutError as error:
            self.close()
            raise LostError("timeout", f"the broker did not answer within {self._seconds:g} s") from error
        except ssl.SSLError as error:
            raise LostError(
                "tls", f"its certificate cannot be trusted ({error.reason or type(error).__name__})"
            ) from error
        except OSError as error:
            raise LostError("unreachable", f"it cannot be reached ({type(error).__name__})") from error

    def close(self) -> None:
        """See Sender."""
        if self._connection is not None:
            self._connection.close()

    async def _connected(self) -> BrokerConnection:
        if self._connection is not None:
            return self._connection
        target = self._target
        self._reach.check("mqtts" if target.tls else "mqtt", target.host)
        addresses = [address for _, address in await self._reach.addresses(target.host, target.port)]
        failure: OSError = ConnectionError("the name has no address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await self._opened(address)
            except OSError as error:
                failure = error
        raise failure

    async def _opened(self, address: str) -> BrokerConnection:
        connection = BrokerConnection(self._target, self._forget)
        try:
            await connection.open(address, _CONNECT_SECONDS)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _forget(self, connection: BrokerConnection) -> None:
        if self._connection is connection:
            self._connection = None


def topic_of(template: str, about: Mapping[str, str]) -> str:
    """The topic of a message. What stands for a name stays within its level."""
    return _FIELD.sub(lambda found: _SPECIAL.sub("_", about.get(found[1], "")), template)
