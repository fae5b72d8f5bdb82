"""A small process that has PyAV loaded and forks decoding children on demand.

Not the standard library's fork server: that one imports the worker's main module into every child, keeps the
descriptors of its own life line open in all of them, and runs whatever pickle comes over a path in the file system.
This one is a program of its own with a clean environment, knows one command, and never holds a secret: a child gets
its address and credentials over its own socket.

Each child has a status socket: the server sends the pid with a pidfd, later the wait status. When the server is gone
the socket is closed, and the kernel kills the children.
"""

import array
import contextlib
import gc
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable

_PID = struct.Struct("!i")
_COMMAND = b"fork"
# No proxies and no secrets; what FFmpeg's TLS, the dynamic linker and the time functions may need.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class ForkServer:
    """The worker's handle of the fork server. Starts it when needed; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server unless it runs."""
        with self._lock:
            self._ensure_running()

    def fork(self) -> tuple[socket.socket, socket.socket]:
        """Fork a child; returns the socket to it and its status socket, both non-blocking."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        status, status_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, status_theirs, self._lock:
            self._send([theirs.fileno(), status_theirs.fileno()])
        ours.setblocking(False)
        status.setblocking(False)
        return ours, status

    def stop(self) -> None:
        """End the server and with it all children."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._process is not None:
                self._process.wait()
            self._control = self._process = None

    @property
    def pid(self) -> int | None:
        """The server's process, if it was started."""
        return self._process.pid if self._process is not None else None

    def _send(self, descriptors: list[int]) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        try:
            self._ensure_running().sendmsg([_COMMAND], ancillary)
        except (BrokenPipeError, ConnectionResetError):
            # It died unseen between the check and now: one new one, and then it is an error.
            self._ensure_running(anew=True).sendmsg([_COMMAND], ancillary)

    def _ensure_running(self, *, anew: bool = False) -> socket.socket:
        if self._process is not None and (anew or self._process.poll() is not None):
            if self._control is not None:
                self._control.close()
            self._process.wait()
            self._control = None
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = _launch(theirs.fileno())
        return self._control


_default = ForkServer()


def default_forkserver() -> ForkServer:
    """The one server of this process."""
    return _default


def prepare_forkserver() -> ForkServer:
    """Start the fork server of this process. The worker calls this first of all, before it loads any secret."""
    _default.start()
    return _default


def receive_pid(status: socket.socket) -> tuple[int, int] | None:
    """The first message of a status socket: pid and pidfd; None when the server is gone."""
    data, ancillary, _, _ = status.recvmsg(_PID.size, socket.CMSG_SPACE(4))
    if not data:
        return None
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    return _PID.unpack(data)[0], descriptors[0]


def receive_exit(status: socket.socket) -> int | None:
    """The second message of a status socket: the exit code, negative for a signal; None when the server is gone."""
    data = status.recv(_PID.size)
    return os.waitstatus_to_exitcode(_PID.unpack(data)[0]) if data else None


def _launch(control: int) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # NumPy's BLAS would start threads, and a process with threads must not fork.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    code = f"from videofleet_worker.decode.forkserver import serve; serve({control})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        pass_fds=[control],
        stdin=subprocess.DEVNULL,
        # Of its own, so that Ctrl-C in a terminal reaches the worker alone, which then ends its streams in order.
        start_new_session=True,
    )


def serve(control: int) -> None:
    """Main of the server process: fork at every command, report every death, end when the worker is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Imported here, so that the worker, which imports this module too, does not load the child's code.
    from videofleet_worker.decode.child import run_child

    gc.collect()
    gc.freeze()
    _Server(socket.socket(fileno=control), run_child).run()


class _Server:
    """The loop of the server process."""

    def __init__(self, control: socket.socket, run_child: Callable[[socket.socket, int], int]) -> None:
        self._control = control
        self._run_child = run_child
        self._statuses: dict[int, socket.socket] = {}
        self._pid = os.getpid()

    def run(self) -> None:
        """Until the control socket is closed."""
        wake_read, wake_write = os.pipe()
        for descriptor in (wake_read, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == wake_read:
                        self._reap(wake_read)
                    elif not self._obey():
                        return

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, len(_COMMAND), 2)
        if not message:
            return False
        child_socket, status = (socket.socket(fileno=fd) for fd in descriptors)
        try:
            pid = os.fork()
        except OSError:
            # No process to be had: the closed status socket says so to the one who asked; the server goes on.
            child_socket.close()
            status.close()
            return True
        if pid == 0:
            self._become_child(child_socket)
        child_socket.close()
        self._statuses[pid] = status
        pidfd = os.pidfd_open(pid)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(status, [_PID.pack(pid)], [pidfd])
        os.close(pidfd)
        return True

    def _become_child(self, child_socket: socket.socket) -> None:
        """Never returns: whatever happens, the child must not run the server's loop."""
        code = 1
        try:
            code = self._run_child(child_socket, self._pid)
        finally:
            os._exit(code)

    def _reap(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        while self._statuses:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            status = self._statuses.pop(pid)
            with status, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                status.send(_PID.pack(wait_status))
