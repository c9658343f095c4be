"""A Jupyter kernel, as a notebook talks to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE = 250  # s: a hang, and no busy machine


@dataclass(frozen=True)
class Cell:
    """How a cell ended: what it printed, what it displayed, the value of its last line, its error."""

    out: str
    err: str
    shown: str
    value: str
    error: tuple[str, str] | None


@dataclass(frozen=True)
class Kernel:
    """One that runs. `places` is a folder for what Jupyter writes about itself."""

    manager: KernelManager
    client: BlockingKernelClient

    def begin(self, code: str) -> str:
        """Send a cell, and do not wait for its end."""
        return str(self.client.execute(code))

    def ended(self, cell: str) -> Cell:
        """Wait for the end of a cell."""
        said: dict[str, str] = {"stdout": "", "stderr": "", "shown": "", "value": ""}
        error = None
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell:
                continue
            if kind == "stream":
                said[content["name"]] += content["text"]
            elif kind in ("display_data", "update_display_data"):
                said["shown"] += content["data"]["text/plain"]
            elif kind == "execute_result":
                said["value"] = content["data"]["text/plain"]
            elif kind == "error":
                error = (content["ename"], content["evalue"])
            elif kind == "status" and content["execution_state"] == "idle":
                return Cell(said["stdout"], said["stderr"], said["shown"], said["value"], error)

    def __call__(self, code: str) -> str:
        """Run a cell, which must not fail: the value of its last line."""
        cell = self.ended(self.begin(code))
        assert cell.error is None, cell
        return cell.value

    def interrupt(self) -> None:
        """What the stop button does."""
        self.manager.interrupt_kernel()


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel that runs in a folder."""
    places: dict[str, Any] = {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "IPYTHONDIR": str(folder / "ipython")}
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "runtime" / "kernel.json"))
    (folder / "runtime").mkdir()
    manager.start_kernel(cwd=str(folder), env={**os.environ, **places})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
