"""FiftyOne's database, for one session alone: a mongod on a Unix socket in a 0700 folder; it dies with its parent."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from curate.errors import CurateError

LONGEST = 100  # bytes of a Unix socket's path: the system's limit is 104 or 108
QUICK = "serverSelectionTimeoutMS=2000"  # one that ended does not answer later, either
READY = 30.0  # seconds
MISSING = "no mongod for FiftyOne; `curate doctor` says why, and the ways out"


class Mongod:
    """A context manager; `uri` is what FiftyOne connects to. Raises CurateError, saying what mongod said.

    Nobody else of the machine can connect: no TCP port is opened, and the socket lies in a folder of the owner's. Where
    FIFTYONE_DATABASE_URI names a server, that one is used, and its door is its owner's business.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._short: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Mongod":
        if os.environ.get("FIFTYONE_DATABASE_URI"):
            return self
        binary = find()
        for part in (self._folder, self._folder / "data"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = self._place()
        self._socket.unlink(missing_ok=True)
        self._start(binary)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)

    @property
    def uri(self) -> str:
        """Where FiftyOne finds it."""
        return os.environ.get("FIFTYONE_DATABASE_URI") or f"mongodb://{quote(str(self._socket), safe='')}/?{QUICK}"

    def ended(self) -> str | None:
        """How it ended, where it did though nobody asked it to."""
        code = self._process.poll() if self._process is not None else None
        return None if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    def _place(self) -> Path:
        """The socket's path; in a folder of its own under the temporary one where the session's is too long a path."""
        inside = self._folder / "mongod.sock"
        if len(os.fsencode(inside)) <= LONGEST:
            return inside
        self._short = Path(tempfile.mkdtemp(prefix="curate-"))  # 0700
        return self._short / "mongod.sock"

    def _start(self, binary: Path) -> None:
        log = self._folder / "mongod.log"
        log.unlink(missing_ok=True)
        command = [
            str(binary), "--dbpath", str(self._folder / "data"), "--logpath", str(log), "--bind_ip", str(self._socket),
            "--nounixsocket", "--noscripting", "--wiredTigerCacheSizeGB", "0.25",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
        ]  # fmt: skip
        own = {"start_new_session": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        dies = _die_with_parent if sys.platform == "linux" else None
        self._process = subprocess.Popen(command, preexec_fn=dies, **own)  # type: ignore[call-overload]  # noqa: S603
        until = time.monotonic() + READY
        while not self._socket.exists():
            if (how := self.ended()) is not None or time.monotonic() > until:
                self.__exit__()
                raise CurateError(
                    f"mongod did not start ({how or 'no answer'}): {_why(log)}; `curate doctor` says more"
                )
            time.sleep(0.02)


def find() -> Path:
    """The mongod that came with FiftyOne, or the one on the PATH; raises CurateError where there is none."""
    spec = find_spec("fiftyone")
    for place in spec.submodule_search_locations or () if spec else ():
        inside = Path(place) / "db" / "bin" / "mongod"
        if os.access(inside, os.X_OK) and inside.is_file():
            return inside
    elsewhere = shutil.which("mongod")
    if elsewhere is None:
        raise CurateError(MISSING)
    return Path(elsewhere)


def _die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no stray process, however the parent ends


def _why(log: Path) -> str:
    """The last error or fatal line of mongod's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    told = [
        m[1] for line in lines if '"s":"E"' in line or '"s":"F"' in line if (m := re.search(r'"msg":"([^"]*)"', line))
    ]
    full = any("No space left" in line for line in lines)
    return "the disk is full" if full else told[-1] if told else "its log says nothing"
