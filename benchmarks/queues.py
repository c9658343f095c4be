"""Queues and the journal against their targets: seconds for a draw, milliseconds for a decision that is durable.

    python -m benchmarks.queues [--samples 200000] [--items 5000] [--decisions 300]

Samples have no bytes; half of a queue is judged by somebody else first, a thousand samples are quarantined.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from curate.config import Config
from curate.options import Plugin
from curate.plugins import make, names
from curate.review.agreement import stats
from curate.review.draw import Draw, queue
from curate.review.journal import Journal
from curate.store.workspace import Workspace


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--decisions", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ws = stocked(Path(folder), args.samples)
        for name in names("curate.review.queues"):
            plugin = make("curate.review.queues", Plugin(name), "queue")
            with Timed(f"draw {args.items:,} of {args.samples:,}: {name}"):
                queue(ws, plugin, Draw(size=args.items))
        for name in ("uncertain", "audit"):
            journal(ws, name, args.decisions)
        with Timed("agreement of all decisions, with intervals"):
            stats(ws)
        ws.close()


class Timed:
    """Prints how long its block took."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        print(f"{self.what:<60} {time.perf_counter() - self.started:8.2f} s", flush=True)


def stocked(root: Path, n: int) -> Workspace:
    """A workspace of `n` samples that stand for themselves, with weak labels of three functions."""
    ws, rng = Workspace(root, Config()), np.random.default_rng(0)
    ids = sorted(hashlib.sha256(str(at).encode()).hexdigest() for at in range(n))
    with ws.catalog.tx() as db:
        columns = "(id, sha1, md5, bytes, media_type, width, height)"
        db.executemany(
            f"INSERT INTO samples {columns} VALUES (?, '', '', 1, 'image/png', 9, 9)", ((one,) for one in ids)
        )
        db.executemany("INSERT INTO members VALUES (?, ?, ?, ?, 'train', NULL)", ((one,) * 4 for one in ids))
        held = ((one,) for one in ids[:: max(n // 1000, 1)])
        db.executemany("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'benchmark', '')", held)
        db.execute("INSERT INTO labellings VALUES ('content', 'bench', '{}', NULL)")
    each = rng.dirichlet([0.2, 0.05, 0.6, 0.1, 0.05], n)
    votes = np.where(rng.random((n, 3)) < 0.9, each.argmax(axis=1)[:, None], rng.integers(0, 5, (n, 3)))
    rows = {"probabilities": each.round(6).tolist(), "votes": votes.astype(np.int8).tolist()}
    ws.table("weak", "bench").write("all", pa.table({"id": ids} | rows))
    return ws


def journal(ws: Workspace, name: str, n: int) -> None:
    """How long one reviewer waits: for the session's items, for a decision, for an undo."""
    other = Journal(ws.catalog, ws.config, name, "somebody else")
    for item in other.items()[:n]:
        other.decide(item.sample, "neutral", 1.0)
    one = Journal(ws.catalog, ws.config, name, "reviewer")
    with Timed(f"items of {name}"):
        items = one.items()
    waits = []
    for item in items[:n]:
        started = time.perf_counter()
        one.decide(item.sample, "porn", 1.0, nonce=item.sample)
        waits.append(1000 * (time.perf_counter() - started))
    waits.sort()
    told = f"{statistics.median(waits):8.2f} ms median, {waits[int(0.95 * len(waits))]:.2f} ms at 95 %"
    print(f"{f'decide in {name}':<60} {told}", flush=True)


if __name__ == "__main__":
    main()
