"""The command, killed inside a transaction of the log."""

import signal
import subprocess
import sys
from pathlib import Path

KILLED = """
import os, signal, sys
import cli
from curate.store import catalog

def append(self, db, action, *rest, **more):
    append.left -= action == {action!r}
    if action == {action!r} and append.left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return known(self, db, action, *rest, **more)

append.left, known, catalog.Catalog.append = {after}, catalog.Catalog.append, append
sys.argv[1:] = {args!r}
cli.main()
"""


def killed(root: Path, action: str, after: int, *args: str) -> None:
    """Run the command, and kill it inside the transaction of the n-th row of the log of this kind."""
    code = KILLED.format(action=action, after=after, args=[*args, "-w", str(root)])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
