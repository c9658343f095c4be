"""Takedown of one of 100,000 samples: whole commands, wall and CPU time; then `verify` over what is left.

The workspace is made here: rows, hashes, scores, weak labels, decisions and a release with all of them in Parquet and
CSV; the bytes are small, since a takedown reads none but those that it removes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.many import stocked, url


def timed(*args: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command, its start included."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "cli", *args, "-q"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


def main() -> None:
    """Print each command's times; the load of the machine beside them, since the wall time depends on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "w"
        stocked(root, options.samples).close()
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 2**20
        print(f"{options.samples} samples, {size:.0f} MiB below work/, load {os.getloadavg()[0]:.1f}", flush=True)
        for n in range(options.times):
            name = url(options.samples * (2 * n + 1) // (2 * options.times))
            wall, cpu = timed("takedown", name, "--reason", "benchmark", "-w", str(root))
            print(f"  takedown of one: {wall:6.2f} s, of which CPU {cpu:5.2f} s", flush=True)
        wall, cpu = timed("verify", "-w", str(root))
        print(f"  verify:          {wall:6.2f} s, of which CPU {cpu:5.2f} s", flush=True)


if __name__ == "__main__":
    main()
