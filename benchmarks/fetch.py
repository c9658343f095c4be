"""Fetch from loopback, whole process: start, guard, decode, pHash, durable store, catalog. Server on the same cores."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.corpus import cache, make

CONFIG = """
[fetch]
contact = "bench@example.org"
allow_private = ["127.0.0.1:{port}"]
concurrency = {concurrency}
per_host = {concurrency}
[screening]
required = false
[[sources]]
use = "urllist"
path = "urls.txt"
label = "neutral"
"""


LISTED = """
[[screening.lists]]
use = "lines"
path = "pdq.txt"
algorithm = "pdq"
"""


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A loopback server of the folder's files, in a process of its own: its port."""
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield int(server.stdout.readline() if server.stdout else 0)
    finally:
        server.kill()


def once(root: Path, port: int, names: list[str], concurrency: int, listed: int = 0) -> tuple[float, dict[str, object]]:
    """One whole run in a fresh workspace, screened against `listed` random PDQ hashes: seconds, and what it printed."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    (root / "curate.toml").write_text(CONFIG.format(port=port, concurrency=concurrency) + (LISTED if listed else ""))
    random = Random(0)
    (root / "pdq.txt").write_text("".join(f"{random.getrandbits(256):064x}\n" for _ in range(listed)))
    (root / "urls.txt").write_text("".join(f"http://127.0.0.1:{port}/{name}\n" for name in names))
    command = [sys.executable, "-m", "cli", "fetch", "--json", "-q", "-w", str(root)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}  # as installed
    started = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return time.perf_counter() - started, json.loads(run.stdout)


def main() -> None:
    """Print images a second: the median of `--runs`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    paths = make(cache() / "jpegs", options.count)
    with tempfile.TemporaryDirectory() as folder, served(paths[0].parent) as port:
        rates = []
        for _ in range(options.runs):
            seconds, said = once(Path(folder) / "w", port, [p.name for p in paths], options.concurrency)
            assert said["stored"] == len(paths), said
            rates.append(len(paths) / seconds)
            print(f"  {len(paths)} images in {seconds:.2f} s: {rates[-1]:.0f} img/s", flush=True)
    print(f"fetch, whole process, median of {options.runs}: {statistics.median(rates):.0f} img/s")


if __name__ == "__main__":
    main()
