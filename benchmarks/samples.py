"""`project.samples()` of a million rows: seconds and peak memory of a process of its own, `import curate` to DataFrame.

    python -m benchmarks.samples [--samples 1000000] [--folder DIR] [--rounds 3]

The workspace is made once, and kept. Its rows are what the verbs leave of material from Commons and from a URL list:
each sample with a URL, a licence, an author and a declared class, a twentieth with two URLs, a tenth collapsed with
another, weak labels of five functions, 20,000 decisions of people, 1,000 quarantined, 100 taken down.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.corpus import cache
from curate.config import Config
from curate.label import table
from curate.store.witnesses import SOME
from curate.store.workspace import Workspace

CALLS = {
    "samples()": "",
    "samples(where=\"label == 'porn'\")": "where=\"label == 'porn'\"",
    "samples(where=\"label == 'hentai' and width > 1990\")": "where=\"label == 'hentai' and width > 1990\"",
    'samples(columns=["id", "label"])': "columns=['id', 'label']",
    'samples(columns=["id", "width", "split"])': "columns=['id', 'width', 'split']",
}
RUN = """
import sys, time
began = time.perf_counter()
import curate
frame = curate.open(sys.argv[1], quiet=True).samples({})
took = time.perf_counter() - began
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss is the parent's, too
print(len(frame), took, time.process_time(), int(most.split()[1]) / 1024)
"""
FACTS = (
    '{"uploader":"Somebody %d","uploaded":"2024-05-01T12:00:00Z","categories":["Nude people","Photographs of 2024"]}'
)
HEADERS = '{"etag":"\\"%032x\\"","last-modified":"Mon, 06 May 2024 10:00:00 GMT","content-type":"image/jpeg"}'


def main() -> None:
    """Print a line a call: rows, the median of the seconds, all of them, of the processor's, the most memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=cache())
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    root = options.folder / f"samples-{options.samples}"
    if not root.exists():
        shutil.rmtree(root.with_suffix(".part"), ignore_errors=True)
        stocked(root.with_suffix(".part"), options.samples).close()
        root.with_suffix(".part").rename(root)
    for name, given in CALLS.items():
        found = [_run(root, given) for _ in range(options.rounds)]
        seconds = sorted(one[1] for one in found)
        each = " ".join(f"{one:.2f}" for one in seconds)
        print(
            f"{name:<54}{found[0][0]:>11,.0f} rows{statistics.median(seconds):>8.2f} s ({each})"
            f"{statistics.median(one[2] for one in found):>8.2f} s of CPU"
            f"{max(one[3] for one in found):>8,.0f} MiB at most",
            flush=True,
        )


def _run(root: Path, given: str) -> tuple[float, float, float, float]:
    command = [sys.executable, "-c", RUN.format(given), str(root)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows, seconds, cpu, peak = map(float, said.split())
    return rows, seconds, cpu, peak


# -- a workspace -----------------------------------------------------------------------------------------------------


def stocked(root: Path, n: int) -> Workspace:
    """A workspace of `n` samples, and of as many bytes as are looked for."""
    root.mkdir(parents=True)
    (root / "curate.toml").write_text("[screening]\nrequired = false\n")
    ws, rng = Workspace(root, Config()), np.random.default_rng(0)
    ids = np.array([rng.bytes(32).hex() for _ in range(n)])
    classes = rng.choice(ws.config.taxonomy.first.classes, n, p=[0.1, 0.05, 0.5, 0.25, 0.1])
    _samples(ws, sorted(ids.tolist()), rng)
    _origins(ws, ids.tolist(), classes.tolist())
    _people(ws, ids.tolist(), classes.tolist(), rng)
    _weak(ws, ids, classes, rng)
    _ends(ws)
    ws.catalog.checkpoint()
    return ws


def _samples(ws: Workspace, ids: list[str], rng: np.random.Generator) -> None:
    sides, sizes = rng.integers(200, 2000, (len(ids), 2)).tolist(), rng.integers(20_000, 400_000, len(ids)).tolist()
    with ws.catalog.tx() as db:
        db.executemany(
            "INSERT INTO samples (id, sha1, md5, bytes, media_type, width, height) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (one, one[:40], one[:32], size, "image/jpeg", *side)
                for one, size, side in zip(ids, sizes, sides, strict=True)
            ),
        )
        db.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?, NULL)", _members(ids, rng))


def _members(ids: list[str], rng: np.random.Generator) -> Iterator[tuple[str, str, str, str, str]]:
    for n, (one, drawn) in enumerate(zip(ids, rng.random(len(ids)).tolist(), strict=True)):
        best = ids[n - 1] if n % 10 == 9 else one
        yield one, best, best, best, "train" if drawn < 0.8 else "val" if drawn < 0.9 else "test"


def _origins(ws: Workspace, ids: list[str], classes: list[str]) -> None:
    """Every second from Commons, the others from a list; more candidates than samples: some are of the same bytes, and
    one in ten has failed."""
    twice = ids[::20]
    many = list(enumerate([*ids, *twice], start=1))
    with ws.catalog.tx() as db:
        for source in ("commons", "urllist"):
            db.execute("INSERT INTO sources (source, plugin, options) VALUES (?, ?, '{}')", (f"{source}:a", source))
        db.executemany(
            "INSERT INTO candidates (candidate, kind, locator, state, sample, host, final_url, http_status, headers)"
            " VALUES (?, 'url', ?, 'stored', ?, 'upload.example.org', ?, 200, ?)",
            ((n, _url(n, one), one, _url(n, one), HEADERS % n) for n, one in many),
        )
        db.executemany(
            "INSERT INTO candidates (kind, locator, state, reason) VALUES ('url', ?, 'failed', 'http_404')",
            ((f"https://gone.example.org/{n:08d}.jpg",) for n in range(len(ids) // 10)),
        )
        db.executemany("INSERT INTO mentions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (_mention(n) for n, _ in many))
        db.executemany(
            "INSERT INTO declared VALUES (?, ?, ?, 'content', ?)",
            ((n, *_mention(n)[1:3], classes[(n - 1) % len(ids)]) for n, _ in many),
        )


def _url(n: int, one: str) -> str:
    return f"https://upload.example.org/pictures/{one[0]}/{one[:2]}/File_number_{n:08d}.jpg"


def _mention(n: int) -> tuple[object, ...]:
    if n % 2:
        return n, "urllist:a", f"urls_porn.txt:{n}", None, None, None, None, None, None, None
    facts, page = FACTS % (n % 5000), str(10_000_000 + n)
    return n, "commons:a", page, None, "CC BY-SA 4.0", f"Somebody {n % 5000}", None, page, None, facts


def _people(ws: Workspace, ids: list[str], classes: list[str], rng: np.random.Generator) -> None:
    """Decisions (a twentieth of them slips), contradictions, quarantine, tombstones."""
    judged = rng.choice(len(ids), len(ids) // 50, replace=False).tolist()
    with ws.catalog.tx() as db:
        db.executemany(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
            " VALUES (?, 'content', '1', ?, ?, '2026-01-01T00:00:00.000Z', 'blind')",
            ((ids[at], f"r{n % 3}", classes[at] if n % 20 else "neutral") for n, at in enumerate(judged)),
        )
        db.executemany(
            "INSERT INTO disputed VALUES ('content', ?)", ((one,) for one in ids[:: max(len(ids) // 5000, 1)])
        )
        held = ((one,) for one in ids[:: max(len(ids) // 1000, 1)])
        db.executemany("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'benchmark', '')", held)
    gone = ((ws.catalog.digest("sha256", f"{n:064x}"),) for n in range(100))
    with ws.catalog.tx() as db:
        db.executemany("INSERT INTO tombstones VALUES ('sha256', ?, 'benchmark', NULL, '')", gone)


def _weak(ws: Workspace, ids: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> None:
    """Of each its class, with an even chance, and of one in fifty nothing; functions are right, or silent."""
    axis, n = ws.config.taxonomy.first, len(ids)
    k, order = len(axis.classes), np.argsort(ids)
    place = np.searchsorted(np.array(axis.classes), classes)[order]
    top = rng.uniform(0.4, 1, n)
    each = np.repeat(((1 - top) / (k - 1))[:, None], k, axis=1)
    each[np.arange(n), place] = top
    each[::50] = np.nan
    labels = [None if at % 50 == 0 else axis.classes[one] for at, one in enumerate(place.tolist())]
    votes = np.where(rng.random((n, 5)) < 0.5, place[:, None], -1).astype(np.int8)
    sets, names = [[name] for name in axis.classes], [f"f{one}" for one in range(5)]
    table.write(ws, axis, table.Weak(ids[order].tolist(), labels, each, votes, axis.classes, sets, names, {}))


def _ends(ws: Workspace) -> None:
    """Files as large as the samples at both ends of the catalog: every verb looks whether they are there."""
    sql = "SELECT id, bytes FROM candidates JOIN samples ON id = sample ORDER BY candidate {} LIMIT ?"
    for one, size in (row for order in ("", "DESC") for row in ws.catalog.iterate_tuples(sql.format(order), (SOME,))):
        path = ws.blobs.path(one)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)


if __name__ == "__main__":
    main()
