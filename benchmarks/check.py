"""`curate check` on JPEGs like those of the fetch benchmark: the whole command, seconds and images a second.

python -m benchmarks.check [--count 10000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.corpus import NAMES, cache, make


def main() -> None:
    """One run of the command over a list of all files, a tenth of them in each of val and test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    paths = make(cache() / "jpegs", parser.parse_args().count)
    split = {8: "val", 9: "test"}
    rows = [f"{path.name},{NAMES[n % len(NAMES)]},{split.get(n // 12 % 10, 'train')}" for n, path in enumerate(paths)]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "list.csv"
        table.write_text("\n".join(["path,label,split", *rows]))
        command = [sys.executable, "-m", "cli", "check", str(cache() / "jpegs"), "--list", str(table), "--json", "-q"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    found = json.loads(done.stdout)
    print(f"{len(paths):,} files in {seconds:.1f} s ({len(paths) / seconds:.0f} img/s), exit {done.returncode}")
    for key in ("pictures", "distinct", "duplicates", "conflicts", "leaks"):
        print(f"  {key}: {json.dumps(found[key])[:160]}")


if __name__ == "__main__":
    main()
