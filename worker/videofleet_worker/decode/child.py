"""Entry of a decoding child: lock it down, serve one source, say how it ended."""

import ctypes
import encodings.idna
import os
import resource
import signal
import socket
import ssl

import av.subtitles.stream
import numpy.random

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode import landlock
from videofleet_worker.decode.channel import ParentChannel, ParentGone
from videofleet_worker.decode.confinement import ConfinementError, confine
from videofleet_worker.decode.dialling import Dialler
from videofleet_worker.decode.footage import ContainerFootage, Footage
from videofleet_worker.decode.images import ImageFootage, fetching
from videofleet_worker.decode.limits import limit_memory, spare_memory
from videofleet_worker.decode.messages import Failed, OpenRequest
from videofleet_worker.decode.network import STREAMED, Network
from videofleet_worker.decode.opening import open_source
from videofleet_worker.decode.options import scheme_of
from videofleet_worker.decode.serving import Serving
from videofleet_worker.decode.shelf import RingShelf
from videofleet_worker.decode.testing import open_synthetic
from videofleet_worker.decode.threads import SpareThreads
from videofleet_worker.decode.web import Tls
from videofleet_worker.sources.errors import DecoderLostError, Lost, SourceError, out_of_memory

# What Python, PyAV and OpenSSL would else load when it is first needed: a decoder opens no file.
_PRELOADED = (encodings.idna, av.subtitles.stream, numpy.random, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
# The descriptor of the socket to the parent, behind the standard three.
_CHANNEL = 3
# Above any limit a container gives; the kernel closes the range in one call.
_HIGHEST_DESCRIPTOR = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def run_child(sock: socket.socket, server_pid: int) -> int:
    """Serve the source that is asked for over `sock`; returns the exit status."""
    channel = ParentChannel(_isolate(sock, server_pid))
    try:
        _serve(channel)
    except ParentGone:
        return 0
    except SourceError as error:
        return _say(channel, error)
    except MemoryError:
        spare_memory()
        return _say(channel, out_of_memory())
    except Exception as error:  # noqa: BLE001  the last stop of the process: the parent has to hear of it
        # The type only: the text may hold the address with its credentials.
        return _say(channel, DecoderLostError(Lost.CRASH, f"the decoder failed ({type(error).__name__})"))
    return 0


def _serve(channel: ParentChannel) -> None:
    request, dialling, memory = channel.receive_request()
    footage = _open(request, _confined(request, dialling))
    serving = Serving(request, footage, channel, RingShelf(request, channel, memory))
    channel.send(serving.info)
    handed = footage.for_parent(request, channel, memory) if isinstance(footage, ContainerFootage) else None
    (handed or serving).run()


def _open(request: OpenRequest, network: Network) -> Footage:
    if scheme_of(request.url) == "test":
        return open_synthetic(request)
    if request.images:
        return ImageFootage(fetching(request, network), request)
    return ContainerFootage(open_source(request, network), network.threads, request)


def _confined(request: OpenRequest, dialling: socket.socket) -> Network:
    """From here on nothing but the parent can be reached. Before that only the request was read, which is ours, and
    what else is needed of files and threads was taken, since there will be no more."""
    tls = Tls.of(request.verify_tls, request.ca_file)
    limit_memory(request.memory)
    try:
        # Before the threads, which inherit it.
        landlock.renounce()
        threads = SpareThreads()
        listener = confine(notify=scheme_of(request.url) in STREAMED)
    except (ConfinementError, OSError) as error:
        # A stranger's bytes are not read where they could lead anywhere.
        raise SourceError(ErrorCode.INTERNAL, f"the kernel of this node does not confine decoders: {error}") from None
    return Network(Dialler(dialling), listener, tls, threads)


def _say(channel: ParentChannel, error: SourceError) -> int:
    lost = error.how if isinstance(error, DecoderLostError) else None
    try:
        channel.send(Failed(code=error.code, lost=lost, message=error.message[:1000]))
    except ParentGone:
        return 0
    return 1


def _isolate(sock: socket.socket, server_pid: int) -> socket.socket:
    """Die with the fork server (which dies with the worker), keep nothing but the socket, gain and show nothing."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:
        os._exit(0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # Children have one user in common: none may read another's memory, where its credentials are.
    _prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.dup2(sock.detach(), _CHANNEL)
    os.closerange(_CHANNEL + 1, _HIGHEST_DESCRIPTOR)
    return socket.socket(fileno=_CHANNEL)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
