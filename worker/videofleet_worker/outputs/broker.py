"""One connection to a broker of MQTT 3.1.1, on the event loop; paho has the protocol."""

import asyncio
import secrets
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from socket import socket
from typing import Any, Final

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from videofleet_api.targets import MqttTarget

_KEEPALIVE: Final = 30
_LOOK_AFTER_SECONDS: Final = 5.0


class BrokerRefusedError(Exception):
    """The broker does not take the connection. `final`: it will not take another one either."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class BrokerConnection:
    """Connects to one address, once. `on_lost` is told when the connection is over, whoever ended it."""

    def __init__(self, target: MqttTarget, on_lost: Callable[["BrokerConnection"], None]) -> None:
        """Raises ssl.SSLError for certificates that are none."""
        self._port = target.port
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._sent: dict[int, asyncio.Future[None]] = {}
        self._socket: socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._client = _client(target)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    async def open(self, address: str, seconds: float) -> None:
        """Connect to a numeric address. Raises OSError (ssl.SSLError is one) and BrokerRefusedError."""
        self._client.connect_timeout = seconds
        # A thread of its own, for paho waits here: a broker that does not answer must not use up those of others.
        executor = ThreadPoolExecutor(1, thread_name_prefix="mqtt")
        try:
            await self._loop.run_in_executor(executor, self._connect, address)
        finally:
            executor.shutdown(wait=False)
        self._attend()
        await self._accepted

    async def publish(self, topic: str, body: bytes, qos: int) -> None:
        """Returns when the broker has acknowledged it, or (0) when it is on its way. Raises OSError."""
        info = self._client.publish(topic, body, qos=qos)
        if info.rc != MQTT_ERR_SUCCESS:
            raise ConnectionResetError("the broker is gone")
        if info.is_published():
            return
        sent = self._sent[info.mid] = self._loop.create_future()
        try:
            await sent
        finally:
            self._sent.pop(info.mid, None)

    def close(self) -> None:
        """Say goodbye, without waiting."""
        self._closed = True
        if self._socket is not None:
            self._client.disconnect()
            self._leave()

    def _connect(self, address: str) -> None:
        """In the thread."""
        self._client.connect(address, self._port, _KEEPALIVE)
        if self._closed:
            self._client.disconnect()

    def _attend(self) -> None:
        client = self._client
        found = client.socket()
        if found is None:
            raise ConnectionResetError("the broker is gone")
        assert isinstance(found, socket), "no WebSocket was asked for"
        self._socket = found
        client.on_socket_close = lambda *said: self._leave()
        client.on_socket_register_write = lambda *said: self._loop.add_writer(found, self._on_writable)
        client.on_socket_unregister_write = self._stop_writing
        self._loop.add_reader(found, self._on_readable)
        if client.want_write():
            self._loop.add_writer(found, self._on_writable)
        self._look_after()

    def _stop_writing(self, client: Client, userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _on_writable(self) -> None:
        self._client.loop_write()

    def _on_readable(self) -> None:
        self._client.loop_read()
        # What TLS has read in advance makes no socket readable.
        while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            self._client.loop_read()

    def _look_after(self) -> None:
        """Pings, and a broker that answers none."""
        if self._client.loop_misc() == MQTT_ERR_SUCCESS and self._socket is not None:
            self._timer = self._loop.call_later(_LOOK_AFTER_SECONDS, self._look_after)

    def _leave(self) -> None:
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._socket = None
        if self._timer is not None:
            self._timer.cancel()
        gone = ConnectionResetError("the broker is gone")
        for waiting in (self._accepted, *self._sent.values()):
            if not waiting.done():
                waiting.set_exception(gone)
                # Whoever waits hears of it; nobody may.
                waiting.exception()
        self._on_lost(self)

    # What paho tells

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            name = reason.getName()
            self._accepted.set_exception(BrokerRefusedError(name, final=name != "Server unavailable"))
        else:
            self._accepted.set_result(None)

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._leave()

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
        sent = self._sent.get(mid)
        if sent is not None and not sent.done():
            sent.set_result(None)


class _NamedContext(ssl.SSLContext):
    """Checks the certificate of whoever is connected to for one name: the connection is made to a number."""

    name = ""

    def wrap_socket(
        self,
        sock: socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        return super().wrap_socket(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, self.name, session)


def _client(target: MqttTarget) -> Client:
    # Another name each time: a broker throws out whom it knows by the same one.
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"vf{secrets.token_hex(10)}",
        protocol=MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    if target.username is not None:
        client.username_pw_set(target.username, target.password)
    if target.tls:
        client.tls_set_context(_context(target))
        client.tls_insecure_set(not target.verify_tls)
    return client


def _context(target: MqttTarget) -> ssl.SSLContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = target.host
    if not target.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif target.ca is not None:
        context.load_verify_locations(cadata=target.ca)
    else:
        context.load_default_certs()
    return context
