"""Many hosts at once, whole process, default limits: dead links, and one host that trickles beside those that do not.

`dead`: a third of the hosts answers 404, a third refuses, a third accepts and never answers. `mixed`: every host that
accepts answers 404 to every other link and never answers those between. `trickle`: 49 hosts, with and without a 50th
whose every answer trickles, alternating; the ratio is of when the 49 were done.
"""

import argparse
import asyncio
import contextlib
import io
import json
import multiprocessing
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

HEAD = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n"
CONFIG = """
[fetch]
contact = "bench@example.org"
allow_private = {hosts}
[screening]
required = false
[[sources]]
use = "urllist"
path = "urls.txt"
label = "neutral"
"""


async def _host(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pictures: list[bytes], delay: float
) -> None:
    """Answers by path: /gone 404, /silent never, /slow a few bytes at a time, /NUMBER a picture after `delay`."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().partition("?")[0]
            if path == "/silent":
                await asyncio.sleep(3600)
            elif path == "/slow":
                writer.write(HEAD % (200, 1_000_000))
                while True:
                    writer.write(b"x" * 50)
                    await writer.drain()
                    await asyncio.sleep(0.1)
            elif path[1:].isdigit():
                await asyncio.sleep(delay)
                body = pictures[int(path[1:])]
                writer.write(HEAD % (200, len(body)) + body)
            else:
                writer.write(HEAD % (404, 0))
            await writer.drain()
    writer.close()


def _picture(seed: int) -> bytes:
    """A small JPEG, every seed's its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


def _serve(addresses: list[str], count: int, delay: float, pipe: Connection) -> None:
    pictures = [_picture(seed) for seed in range(count)]

    async def run() -> None:
        made = [
            await asyncio.start_server(lambda r, w: _host(r, w, pictures, delay), one, 0, backlog=256)
            for one in addresses
        ]
        pipe.send([server.sockets[0].getsockname()[1] for server in made])
        await asyncio.sleep(3600)

    asyncio.run(run())


@contextlib.contextmanager
def serving(addresses: list[str], count: int = 0, delay: float = 0.0) -> Iterator[list[str]]:
    """Servers on these addresses, in a process of their own: host:port of each."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(addresses, count, delay, theirs), daemon=True)
    process.start()
    try:
        yield [f"{one}:{port}" for one, port in zip(addresses, ours.recv(), strict=True)]
    finally:
        process.kill()
        process.join()


def fetch(hosts: list[str], urls: list[str]) -> tuple[float, dict[str, object], Path]:
    """One whole run in a fresh workspace: seconds, what it printed, where it was."""
    root = Path(tempfile.mkdtemp(prefix="curate-hosts-"))
    (root / "curate.toml").write_text(CONFIG.format(hosts=json.dumps(hosts)))
    (root / "urls.txt").write_text("".join(f"http://{url}\n" for url in urls))
    started = time.perf_counter()
    command = [sys.executable, "-m", "cli", "fetch", "--json", "-q", "-w", str(root)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, json.loads(run.stdout), root


def closed(address: str) -> str:
    """host:port where nobody listens."""
    with socket.socket() as free:
        free.bind((address, 0))
        return f"{address}:{free.getsockname()[1]}"


def dead(links: int, hosts: int, mixed: bool) -> None:
    """Print how long links take that lead nowhere."""
    addresses = [f"127.0.3.{n + 1}" for n in range(hosts)]
    refusing = [] if mixed else addresses[1::3]
    with serving([one for one in addresses if one not in refusing]) as up:
        table = {one.partition(":")[0]: one for one in [*up, *map(closed, refusing)]}
        places = [table[one] for one in addresses]
        urls = []
        for link in range(links // hosts):
            for n, place in enumerate(places):
                kinds = ("gone", "silent") if mixed else (("gone", "refused", "silent")[n % 3],)
                urls.append(f"{place}/{kinds[link % len(kinds)]}?{link}")
        seconds, said, root = fetch(places, urls)
    shutil.rmtree(root)
    shape = "404 and silence at every host" if mixed else "a third 404, a third refused, a third silent"
    print(
        f"{links} dead links on {hosts} hosts, {shape}: {seconds:.0f} s; {said['reasons']}, pending {said['pending']}"
    )


def finished(root: Path, host: str) -> float:
    """When the last item of any other host was recorded: seconds after the first one."""
    import sqlite3
    from datetime import datetime

    with contextlib.closing(sqlite3.connect(root / "work" / "catalog.db")) as db:
        sql = "SELECT min(r.started_at), max(c.fetched_at) FROM candidates c JOIN runs r USING (run) WHERE c.host != ?"
        first, last = db.execute(sql, (host,)).fetchone()
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def trickle(runs: int, each: int) -> None:
    """Print how much longer 49 hosts take beside one that trickles."""
    addresses = [f"127.0.4.{n + 1}" for n in range(50)]
    times: dict[str, list[float]] = {"alone": [], "beside": []}
    with serving(addresses, 49 * each, 0.4) as places:
        good = [f"{place}/{n * each + k}" for n, place in enumerate(places[:49]) for k in range(each)]
        random.Random(0).shuffle(good)
        for _ in range(runs):
            for name, slow in (("alone", []), ("beside", [f"{places[49]}/slow?{k}" for k in range(each)])):
                _, said, root = fetch(places, [*slow, *good])
                assert said["stored"] == len(good), said
                times[name].append(finished(root, places[49]))
                shutil.rmtree(root)
                print(f"  {name}: {times[name][-1]:.2f} s", flush=True)
    alone, beside = statistics.median(times["alone"]), statistics.median(times["beside"])
    print(f"49 hosts, {len(good)} pictures: {alone:.2f} s alone, {beside:.2f} s beside a trickle: {beside / alone:.2f}")


def main() -> None:
    """Run one shape, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", nargs="?", choices=("dead", "mixed", "trickle"))
    parser.add_argument("--links", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--each", type=int, default=40)
    options = parser.parse_args()
    if options.shape in (None, "trickle"):
        trickle(options.runs, options.each)
    for shape in ("dead", "mixed"):
        if options.shape in (None, shape):
            dead(options.links, options.hosts, shape == "mixed")


if __name__ == "__main__":
    main()
