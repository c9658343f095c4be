"""`curate dedupe` over a catalog of 1.3 million samples whose hashes exist: from scratch, again, and with 10,000 more.

    python -m benchmarks.dedupe             1.3 M samples; the workspace is made once, and kept
    python -m benchmarks.dedupe --upright   without mirrors, quarter turns and borders

Rows are what fetch leaves: candidates, mentions, declared classes, albums, hash tables in parts of a thousand. A tenth
of the samples are near-duplicates of others (a fifth of those of one that is one already), a hundredth are mirrored, a
tenth have a border, and of a twentieth pHash says nothing, so that PDQ's orientations are asked.
Each run is the command itself, in a process of its own: seconds and peak memory are those of the whole process.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import cache, photographs
from curate.config import Config
from curate.features import detail as grains
from curate.features.hashes import pdq_table, table
from curate.fingerprint import fingerprint
from curate.media import detail, pdq, phash
from curate.near import turns
from curate.store.tables import to_table
from curate.store.witnesses import SOME
from curate.store.workspace import Workspace

Array = npt.NDArray[np.uint8]
PART = 1_000  # samples of a part, as fetch writes them
MORE = 10_000
CONFIG = """
[screening]
required = false
[[sources]]
use = "urllist"
path = "urls.txt"
label = "neutral"
[dedupe]
orientations = {0}
borders = {0}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_300_000)
    parser.add_argument("--upright", action="store_true", help="search for no mirrored, turned or bordered copies")
    parser.add_argument("--folder", type=Path, default=cache())
    options = parser.parse_args()
    made = (
        options.folder
        / f"dedupe-{options.samples}-{fingerprint(phash.fingerprint_of(phash.SIDE), pdq.FINGERPRINT, detail.MARK)}"
    )
    if not made.exists():
        _make(made.with_suffix(".part"), options.samples)
        made.with_suffix(".part").rename(made)
    root = options.folder / "dedupe-run"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(made, root, copy_function=_link)
    (root / "curate.toml").write_text(CONFIG.format(str(not options.upright).lower()))
    try:
        _ends(root)
        _run("from scratch", root)
        _run("again", root)
        _more(root, options.samples)
        _ends(root)
        _run(f"{MORE:,} more", root)
    finally:
        shutil.rmtree(root)


def _ends(root: Path) -> None:
    """Files as large as the samples at both ends of the catalog: every verb looks whether they are there."""
    ws = Workspace(root, Config())
    sql = "SELECT id, bytes FROM candidates JOIN samples ON id = sample ORDER BY candidate {} LIMIT ?"
    for one, size in (row for order in ("", "DESC") for row in ws.catalog.iterate_tuples(sql.format(order), (SOME,))):
        path = ws.blobs.path(one)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)
    ws.close()


def _link(source: str, target: str) -> None:
    """Parquet parts are never written to, the catalog is."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _run(title: str, root: Path) -> None:
    command = [sys.executable, "-m", "cli", "dedupe", "--json", "-q", "-w", str(root)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        result = json.loads(process.stdout.read())
        process.wait()
    seconds, used = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, peak = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, used.ru_maxrss / 1024
    print(
        f"{title:14}{seconds:8.1f} s{cpu:8.1f} s of CPU{peak:8.0f} MB at most so far  {json.dumps(result)}", flush=True
    )


# -- a workspace -----------------------------------------------------------------------------------------------------


def _make(root: Path, samples: int) -> None:
    """A workspace whose samples have hashes, and no bytes."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    ws = Workspace(root, Config())
    _fill(ws, samples, seed=0)
    ws.close()


def _more(root: Path, samples: int) -> None:
    """Ten thousand samples beside them."""
    ws = Workspace(root, Config())
    _fill(ws, MORE, seed=samples)
    ws.close()


def _fill(ws: Workspace, samples: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = np.array([rng.bytes(32).hex() for _ in range(samples)])
    _catalog(ws, ids, rng)
    hashes = _Hashes(samples, rng)
    for begin in range(0, samples, PART):
        rows = slice(begin, begin + PART)
        _parts(ws, f"fetch-{seed:08}-{begin:08}", list(ids[rows]), hashes, rows)


def _catalog(ws: Workspace, ids: npt.NDArray[np.str_], rng: np.random.Generator) -> None:
    first = int(ws.catalog.scalar("SELECT coalesce(max(candidate), 0) FROM candidates")) + 1
    with ws.catalog.tx() as db:
        db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES ('urllist:a', 'urllist', '{}')")
        db.executemany(
            "INSERT INTO samples (id, sha1, md5, bytes, media_type, width, height) VALUES (?, ?, ?, ?, ?, ?, ?)",
            _samples(sorted(ids.tolist()), rng),
        )
        db.executemany(
            "INSERT INTO candidates (candidate, kind, locator, state, sample) VALUES (?, 'url', ?, 'stored', ?)",
            ((first + n, f"https://example.org/{one[:16]}.jpg", one) for n, one in enumerate(ids.tolist())),
        )
        db.executemany(
            "INSERT INTO mentions (candidate, source, ref, album) VALUES (?, 'urllist:a', ?, ?)",
            ((first + n, f"urls.txt:{n}", f"album {n // 8}" if n % 800 < 8 else None) for n in range(len(ids))),
        )
        db.executemany(
            "INSERT INTO declared VALUES (?, 'urllist:a', ?, 'content', ?)",
            ((first + n, f"urls.txt:{n}", "drawings" if n % 10 == 7 else "neutral") for n in range(len(ids))),
        )


def _samples(ids: list[str], rng: np.random.Generator) -> Iterator[tuple[object, ...]]:
    for one in ids:
        wide, high, size = rng.integers(200, 2000), rng.integers(200, 2000), rng.integers(20_000, 400_000)
        yield one, one[:40], one[:32], int(size), "image/jpeg", int(wide), int(high)


class _Hashes:
    """Random hashes, of which a tenth are copies of others, a few bits off, and a hundredth mirror images."""

    def __init__(self, samples: int, rng: np.random.Generator) -> None:
        self.phash = rng.integers(0, 256, (samples, 8), dtype=np.uint8)
        self.inner = rng.integers(0, 256, (samples, 8), dtype=np.uint8)
        self.inner_quality = np.where(rng.random(samples) < 0.1, 50, np.nan).astype(np.float32)
        self.quality = np.where(rng.random(samples) < 0.05, 0.5, 50).astype(np.float32)
        self.pdq = rng.integers(0, 256, (samples, 8, 32), dtype=np.uint8)
        self.look = rng.integers(0, 1 << 30, samples)
        self.rng, self.looks = rng, _looks()
        copies, origins = np.arange(9, samples, 10), rng.integers(0, samples, len(range(9, samples, 10)))
        origins = np.where(origins == copies, origins - 1, origins)
        self.phash[copies] = self._off(self.phash[origins], 5)
        self.pdq[copies] = self._off(self.pdq[origins], 24)
        self.look[copies] = self.look[origins]
        mirrored = np.arange(5, samples, 100)
        self.signs = self.phash.copy()
        self.signs[mirrored] = turns.turned(self._off(self.signs[mirrored - 1], 5), 4)
        self.pdq[mirrored] = np.roll(self._off(self.pdq[mirrored - 1], 24), 4, axis=1)

    def _off(self, hashes: Array, most: int) -> Array:
        """Up to `most` bits of each hash flipped, the same of each orientation."""
        bits, result = 8 * hashes.shape[-1], hashes.copy()
        for begin in range(0, len(hashes), 50_000):
            part = result[begin : begin + 50_000]
            rank = self.rng.random((len(part), bits), dtype=np.float32).argsort(axis=1).argsort(axis=1)
            flips = np.packbits(rank < self.rng.integers(0, most + 1, len(part))[:, None], axis=1)
            part ^= flips if part.ndim == 2 else flips[:, None]
        return result

    def thumbs(self, rows: slice) -> Array:
        """Thumbnails of crops of photographs, each with a grain that its copies do not share."""
        looks = self.look[rows]
        return self.looks[looks % len(self.looks)] + self.rng.integers(0, 3, (len(looks), 1024), dtype=np.uint8)


def _looks() -> Array:
    rng, photos, found = np.random.default_rng(1), photographs(), []
    for photo in photos:
        photo = photo.reduce(max(1, min(photo.size) // 400))
        for _ in range(60):
            x, y = (int(rng.integers(0, side // 2)) for side in photo.size)
            crop = photo.crop((x, y, x + photo.width // 2, y + photo.height // 2))
            found.append(np.frombuffer(phash.columns_of(crop)["thumb"], dtype=np.uint8))
    return np.minimum(np.stack(found), 252)


def _parts(ws: Workspace, part: str, ids: list[str], hashes: _Hashes, rows: slice) -> None:
    count = len(ids)
    columns = {
        "id": ids,
        "phash": [one.tobytes() for one in hashes.phash[rows]],
        "signs": [one.tobytes() for one in hashes.signs[rows]],
        "quality": hashes.quality[rows],
        "inner_phash": [one.tobytes() for one in hashes.inner[rows]],
        "inner_signs": [one.tobytes() for one in hashes.inner[rows]],
        "inner_quality": hashes.inner_quality[rows],
        "thumb": [one.tobytes() for one in hashes.thumbs(rows)],
    }
    table(ws).write(part, to_table(columns))
    levels = np.random.default_rng(2).integers(0, 200, (97, detail.CELLS**2), dtype=np.uint8)
    grains.write(ws, {one: levels[look % 97].tobytes() for one, look in zip(ids, hashes.look[rows], strict=True)})
    columns = {
        "id": ids,
        "part": ["main"] * count,
        "pdq": [one.tobytes() for one in hashes.pdq[rows]],
        "quality": np.full(count, 100, dtype=np.uint8),
    }
    pdq_table(ws).write(part, to_table(columns))


if __name__ == "__main__":
    main()
