"""Takedown of one of 100,000 samples: whole commands, wall and CPU time; then `verify` over what is left.

    python -m benchmarks.takedown             a release as rows
    python -m benchmarks.takedown --pictures  a release in five formats, three of them with pictures

The workspace is made here: rows, hashes, scores, weak labels, decisions and a release with all of them; the bytes are
small. With `--pictures` one takedown is killed in the middle, and the same again finishes it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.many import stocked, tiny, url
from tests.support.releases import EVERY

FIVE = ("parquet", "urls", "imagefolder", "webdataset", "huggingface")
LIMIT = 30  # seconds


def timed(*args: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command, its start included."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "cli", *args, "-q"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


def killed(after: float, *args: str) -> int:
    """How a command ended that was killed after so many seconds."""
    with subprocess.Popen([sys.executable, "-m", "cli", *args, "-q"]) as process:
        time.sleep(after)
        process.kill()
    return process.returncode


def main() -> None:
    """Print each command's times; the load of the machine beside them, since the wall time depends on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pictures", action="store_true", help="in five formats, three of them with pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "w"
        given = (tiny, {name: EVERY[name] for name in FIVE}) if options.pictures else ()
        stocked(root, options.samples, *given).close()
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 2**20
        print(f"{options.samples} samples, {size:.0f} MiB below work/, load {os.getloadavg()[0]:.1f}", flush=True)
        for n in range(options.times):
            name = url(options.samples * (2 * n + 1) // (2 * options.times))
            wall, cpu = timed("takedown", name, "--reason", "benchmark", "-w", str(root))
            slow = " (too slow)" if options.pictures and wall > LIMIT else ""
            print(f"  takedown of one: {wall:6.2f} s, of which CPU {cpu:5.2f} s{slow}", flush=True)
        if options.pictures:
            again = ("takedown", url(1), "--reason", "benchmark", "-w", str(root))
            print(f"  killed half-way: {killed(wall / 2, *again)}, then", end=" ")
            print("{:.2f} s, of which CPU {:.2f} s".format(*timed(*again)), flush=True)
        wall, cpu = timed("verify", "-w", str(root))
        print(f"  verify:          {wall:6.2f} s, of which CPU {cpu:5.2f} s", flush=True)


if __name__ == "__main__":
    main()
