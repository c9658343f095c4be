"""Fetch beside img2dataset: the same server, the same JPEGs, whole processes, alternating runs.

The peer gets a shard for each of its two processes; 1,000 a shard left one of them idle in the end, and cost it 7 %.
What a run leaves to be written is written before the next one begins: the peer syncs nothing, and we would pay for it.

The peer lives in an environment of its own (`python -m venv peer && peer/bin/pip install img2dataset`); name its
interpreter with `--peer`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.corpus import CORPORA, corpus
from benchmarks.fetch import once, served

_BARE = ("--resize_mode=no", "--disable_all_reencoding", "--skip_reencode")
_PEER = "import sys, fire; from img2dataset import download; fire.Fire(download)"


def peer(python: str, root: Path, urls: Path, options: tuple[str, ...]) -> float:
    """One whole run of img2dataset into a fresh folder: seconds."""
    shutil.rmtree(root, ignore_errors=True)
    wanted = sum(1 for _ in urls.open())
    shard = -(-wanted // 2)
    said = [f"--url_list={urls}", f"--output_folder={root}", "--processes_count=2", "--thread_count=128"]
    said += ["--compute_hash=sha256", "--enable_wandb=False", f"--number_sample_per_shard={shard}", "--retries=0"]
    started = time.perf_counter()
    subprocess.run([python, "-c", _PEER, *said, *options], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    found = sum(1 for _ in root.rglob("*.jpg"))
    assert found == wanted, f"img2dataset stored {found} of {wanted}"
    return seconds


def compared(paths: list[Path], options: argparse.Namespace) -> None:
    """Print images a second of each on one corpus, and the ratios of the medians."""
    with tempfile.TemporaryDirectory() as folder, served(paths[0].parent) as port:
        work, names = Path(folder), [p.name for p in paths]
        urls = work / "urls.txt"
        urls.write_text("".join(f"http://127.0.0.1:{port}/{name}\n" for name in names))

        def ours(listed: int) -> float:
            seconds, said = once(work / "w", port, names, options.concurrency, listed)
            assert said["stored"] == len(names), json.dumps(said)
            return seconds

        rivals: dict[str, Callable[[], float]] = {
            "curate, no list": lambda: ours(0),
            "img2dataset, decodes": lambda: peer(options.peer, work / "p", urls, ("--resize_mode=no",)),
            "img2dataset, decodes nothing": lambda: peer(options.peer, work / "p", urls, _BARE),
        }
        if options.pdq:
            rivals[f"curate, {options.pdq} PDQ hashes"] = lambda: ours(options.pdq)
        times: dict[str, list[float]] = {name: [] for name in rivals}
        for _ in range(options.runs):
            for name, run in rivals.items():
                os.sync()
                times[name].append(run())
                print(f"  {name}: {len(names) / times[name][-1]:.0f} img/s", flush=True)
    rates = {name: len(names) / statistics.median(seconds) for name, seconds in times.items()}
    for name, rate in rates.items():
        against = (f"{rate / rates[other]:.2f} x {other}" for other in rates if other.startswith("img2dataset"))
        print(f"{name}: {rate:.0f} img/s" + (f" ({', '.join(against)})" if name.startswith("curate") else ""))


def main() -> None:
    """Print images a second of each, and the ratios of the medians, on each corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, help="interpreter of an environment with img2dataset")
    parser.add_argument("--corpus", choices=CORPORA, action="append", help="both by default")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--pdq", type=int, default=0, help="also run with a screening list of so many PDQ hashes")
    options = parser.parse_args()
    for name in options.corpus or CORPORA:
        print(name)
        compared(corpus(name, options.count), options)


if __name__ == "__main__":
    main()
