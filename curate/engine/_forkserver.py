"""This process's end of the one that workers are forked from: started once, again where it has ended."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from curate.contracts import HASHING
from curate.engine._preload import ANSWER, FORK, ORDER, REAP, UNHEARD
from curate.errors import CurateError

# A worker has no use for what else the environment holds, and there are tokens in it.
_KEPT = (
    "PATH", "HOME", "USER", "LANG", "LANGUAGE", "LC_", "TZ", "TMPDIR", "PYTHON", "LD_", "DYLD_", "OMP_", "MKL_",
    "OPENBLAS_", "NUMBA_", "CUDA_", "NVIDIA_", "TORCH_", "XDG_", "HF_HOME", "COVERAGE_", "VIRTUAL_ENV", "MALLOC_",
)  # fmt: skip


class ForkServer:
    """One such process, and the socket that leads to it. Thread-safe."""

    def __init__(self, modules: Sequence[str], loaded: Sequence[str] = HASHING) -> None:
        ours, theirs = socket.socketpair()
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 (may hold bytes that are no text)
        code = (
            f"import sys; sys.path[:] = {paths!r}; from curate.engine._preload import serve;"
            f" serve({theirs.fileno()}, {sorted(modules)!r}, {list(loaded)!r})"
        )
        flags = [*subprocess._args_from_interpreter_flags(), "-P"]  # type: ignore[attr-defined]
        environment = {key: value for key, value in os.environ.items() if key.startswith(_KEPT)}
        held = signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)  # inherited: a Ctrl-C finds it before it ignores them
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, *flags, "-c", code],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=None,
                    env=environment,
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        self._control, self._lock = ours, threading.Lock()
        self.owner = os.getpid()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it is this process's, and runs."""
        return self.owner == os.getpid() and self._process.poll() is None

    def fork(self, handles: Sequence[int]) -> int:
        """A new worker with copies of these file handles; its process id. Raises CurateError where the server died."""
        return self._ask(FORK, 0, 0, handles)

    def reap(self, pid: int, patience: float = 0) -> int:
        """Kill a worker that does not end within so many seconds, and say how it ended: its exit code, or minus the
        signal."""
        return self._ask(REAP, pid, patience, [])

    def _ask(self, what: bytes, pid: int, patience: float, handles: Sequence[int]) -> int:
        try:
            with self._lock:
                socket.send_fds(self._control, [ORDER.pack(what, pid, patience)], handles)
                answer = self._control.recv(ANSWER.size, socket.MSG_WAITALL)
        except OSError as error:
            raise CurateError(f"the process that workers come from has ended ({error.strerror})") from error
        if len(answer) < ANSWER.size:
            raise CurateError("the process that workers come from has ended; is there enough memory?")
        return int(ANSWER.unpack(answer)[0])

    def drop(self) -> None:
        """Ask it nothing any more; it ends, if it has not, with its workers."""
        self._control.close()

    def close(self) -> None:
        """End it, with its workers."""
        if self.owner == os.getpid():
            with suppress(OSError):  # it has ended by itself
                self._control.shutdown(socket.SHUT_RDWR)  # what somebody forked from here may hold it open
            self.drop()
            self._process.wait()


_current: ForkServer | None = None
_starting = threading.Lock()


def server(modules: Sequence[str] = (), loaded: Sequence[str] = HASHING) -> ForkServer:
    """The one that is there, or a new one that has these modules imported, and those loaded."""
    global _current
    with _starting:
        if _current is None or not _current.alive:
            if _current is None:
                atexit.register(_close)
            else:
                _current.drop()
            _current = ForkServer(modules, loaded)
        return _current


def _close() -> None:
    if _current is not None:
        _current.close()
