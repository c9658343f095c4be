"""Runs the command in forks of one process that has the heavy imports behind it, so that a test can kill many."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType


class Zygote:
    """A context manager; `run` runs the command once, `kill` runs it and sends SIGKILL after a while."""

    def __enter__(self) -> "Zygote":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def start(self, *args: str) -> int:
        """Start the command; its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(args) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """How it ended: its exit code, or minus the signal."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def run(self, *args: str) -> float:
        """Run it to its end, which must be good; how many seconds it took."""
        started = time.monotonic()
        self.start(*args)
        assert self.wait() == 0, args
        return time.monotonic() - started

    def kill(self, after: float, *args: str) -> int:
        """Run it and kill it after so many seconds; how it ended."""
        pid = self.start(*args)
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):  # it was done before
            os.kill(pid, signal.SIGKILL)
        return self.wait()


def _serve() -> None:
    import aiohttp  # noqa: F401
    import imagehash  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import snorkel.labeling.model  # noqa: F401

    import cli

    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.argv = ["curate", *json.loads(line)]
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
            random.seed()
            cli.main()
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
