"""The memory of a fetch does not grow with the number of URLs: all of its processes, at their peak."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.pictures import encode, photograph

FEW, MANY = 10_000, 100_000
GROWTH = 1.2
CONFIG = """
[fetch]
contact = "soak@example.org"
allow_private = ["127.0.0.1:{port}"]
concurrency = 128
per_host = 128
[screening]
required = false
[[sources]]
use = "urllist"
path = "urls.txt"
label = "neutral"
"""


class Bodies(asyncio.Protocol):
    """Answers GET /N with a JPEG of about 20 KB that has N in a comment: no two bodies are equal."""

    pictures = tuple(
        encode(photograph(name).resize((360, 270)).rotate(turn), quality=quality)
        for name, quality in (("coffee.png", 80), ("chelsea.png", 90), ("astronaut.png", 70))
        for turn in (0, 5, 10)
    )

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            name = head.split(b" ", 2)[1].removeprefix(b"/").removesuffix(b".jpg")
            if name.isdigit():
                picture = self.pictures[int(name) % len(self.pictures)]
                body = picture[:2] + b"\xff\xfe" + (len(name) + 2).to_bytes(2, "big") + name + picture[2:]
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            else:
                self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Bodies, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[int]:
    command = [
        sys.executable,
        "-c",
        "import asyncio; from tests.fetch.test_fetch_soak import serve; asyncio.run(serve())",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline() if server.stdout else 0)
        finally:
            server.kill()


def family(pid: int) -> list[int]:
    """A process and all that came of it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold now; shared pages count for each of them."""
    total = 0
    for one in family(pid):
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue  # it ended meanwhile
    return total


def peak(root: Path, port: int, first: int, count: int) -> int:
    """The most memory, in bytes, that fetching so many URLs took at any moment."""
    root.mkdir()
    (root / "curate.toml").write_text(CONFIG.format(port=port))
    (root / "urls.txt").write_text("".join(f"http://127.0.0.1:{port}/{first + n}.jpg\n" for n in range(count)))
    command = [sys.executable, "-m", "cli", "fetch", "--json", "-q", "-w", str(root)]
    most = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                most = max(most, resident(process.pid))
            except OSError:
                continue
            time.sleep(0.05)
        said = json.loads(process.stdout.read() if process.stdout else "{}")
    assert said["stored"] == count, said
    return most


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_memory_does_not_grow_with_the_number_of_urls(tmp_path: Path) -> None:
    few, many = int(os.environ.get("CURATE_SOAK_FEW", FEW)), int(os.environ.get("CURATE_SOAK_MANY", MANY))
    with serving() as port:
        small, large = peak(tmp_path / "few", port, 0, few), peak(tmp_path / "many", port, few, many)
    print(f"peak of {few} URLs: {small / 2**20:.0f} MiB, of {many}: {large / 2**20:.0f} MiB")
    assert large <= GROWTH * small
