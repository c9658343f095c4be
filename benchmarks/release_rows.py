"""`curate export` of many rows, every gate asked, beside what pyarrow takes to write the same rows and nothing else.

    python -m benchmarks.release_rows [--samples 1300000] [--folder DIR] [--profile FILE]

The workspace is made once, and kept: the catalog and labels of `benchmarks.samples`, hashes of `benchmarks.dedupe` with
a thumbnail of its own for each look, grouped by `curate dedupe` itself. Samples have no bytes, and nobody looks for
them. Seconds and peak memory are those of a process of its own.
`--profile`: where the time goes, in a file that pstats reads.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import dedupe, samples
from benchmarks.corpus import cache
from curate.media import phash

LIMITS = 120, 6  # seconds and GiB that 1.3 million rows may take
FIELDS = 8  # a side, of what a thumbnail is drawn from
CONFIG = '[screening]\nrequired = false\n[export]\nformats = ["parquet", "urls", "croissant"]\non_suspect = "drop"\n'
RUN = """
import resource, sys, time
began = time.perf_counter()
from pathlib import Path
from curate.admin import configured
from curate.config import load
from curate.progress import Progress
from curate.release.export import export
from curate.store.workspace import Workspace
root = Path(sys.argv[1])
ws = Workspace(root, load(root))
with ws.driver("export"):
    gate = configured.gate(ws.config, ws.catalog)
    facts = export(ws, sys.argv[2], configured.formats(ws.config), Progress(quiet=True), gate)
took, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(facts["rows"].values()), took, time.process_time(), peak)
"""


def main() -> None:
    """Print seconds, processor time and the most memory of an export, and the seconds of a bare write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_300_000)
    parser.add_argument("--folder", type=Path, default=cache())
    parser.add_argument("--profile", help="a file for pstats")
    options = parser.parse_args()
    made, root = options.folder / f"release-rows-{options.samples}", options.folder / "release-rows-run"
    if not made.exists():
        _make(made.with_suffix(".part"), options.samples)
        made.with_suffix(".part").rename(made)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(made, root, copy_function=dedupe._link)
    try:
        profiled = ["-m", "cProfile", "-o", options.profile] if options.profile else []
        script = root / "run.py"
        script.write_text(RUN)
        command = [sys.executable, *profiled, str(script), str(root), "1.0.0"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        rows, seconds, cpu, peak = int(said[-4]), *map(float, said[-3:])
        bare = _bare(root / "work" / "releases" / "1.0.0")
    finally:
        shutil.rmtree(root)
    print(
        f"{rows:,} rows: export with every gate {seconds:.1f} s ({cpu:.1f} s of CPU, {peak / 2**20:.2f} GiB at most),"
        f" a bare pyarrow write {bare:.1f} s: {seconds / bare:.0f} times as long"
    )
    if rows >= 1_200_000 and (seconds > LIMITS[0] or peak / 2**20 > LIMITS[1]):
        sys.exit(f"more than {LIMITS[0]} s or {LIMITS[1]} GiB")


def _bare(release: Path) -> float:
    """Seconds to write what is in a release, by pyarrow alone."""
    tables = [pq.read_table(path) for path in sorted(release.glob("*.parquet"))]
    begin = time.perf_counter()
    for table in tables:
        pq.write_table(table, pa.BufferOutputStream(), compression="zstd", compression_level=3, row_group_size=65536)
    return time.perf_counter() - begin


def _make(root: Path, count: int) -> None:
    shutil.rmtree(root, ignore_errors=True)
    ws = samples.stocked(root, count)
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM members")
    ids, hashes = [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")], _Hashes(count)
    for begin in range(0, count, dedupe.PART):
        rows = slice(begin, begin + dedupe.PART)
        dedupe._parts(ws, f"fetch-{begin:08}", ids[rows], hashes, rows)
    ws.close()
    (root / "curate.toml").write_text(CONFIG)
    subprocess.run([sys.executable, "-m", "cli", "dedupe", "-q", "-w", str(root)], check=True)


class _Hashes(dedupe._Hashes):
    """With a thumbnail of its own for each look: a smooth field, so that dHash tells of it."""

    def __init__(self, count: int) -> None:
        super().__init__(count, np.random.default_rng(3))
        self.look = np.arange(count)
        copies = np.arange(9, count, 10)
        self.look[copies] = copies - 1
        self.drawn = self.rng.integers(0, 240, (count, FIELDS, FIELDS), dtype=np.uint8)
        at = np.linspace(0, FIELDS - 1, phash.THUMB)[:, None] - np.arange(FIELDS)
        self.spread = np.clip(1 - np.abs(at), 0, None).astype(np.float32)

    def thumbs(self, rows: slice) -> np.ndarray:
        """Each with a grain that its copies do not share."""
        fields = self.drawn[self.look[rows]].astype(np.float32)
        found = (self.spread @ fields @ self.spread.T).reshape(len(fields), -1).astype(np.uint8)
        return np.asarray(found + self.rng.integers(0, 3, found.shape, dtype=np.uint8))


if __name__ == "__main__":
    main()
