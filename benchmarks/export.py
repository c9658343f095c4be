"""Pictures of a release in `imagefolder` and `webdataset`, beside a bare copy of the same bytes; and a takedown of one.

Two unlike corpora (`benchmarks.corpus`), half of the files with EXIF as cameras write it. What leaves of each picture
is on record as `fetch` notes it; `nothing on record` is an export that has to find it out first, as of samples that an
earlier version fetched. The copy is durable as the export is: every file is synced, by as many threads.
"""

import argparse
import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.corpus import CORPORA, corpus
from curate.engine.pool import Pool
from curate.features import leaving
from curate.options import Plugin
from curate.plugins import make
from curate.release.export import export, export_also
from curate.removal.takedown import takedown
from curate.store import file_digests
from curate.store.folders import aside
from curate.store.workspace import Workspace
from tests.support.containers import jpeg_with
from tests.support.many import note
from tests.support.pictures import texture
from tests.support.releases import FORMATS, QUIET, SCREENED, Item, stocked

MEDIA = ("imagefolder", "webdataset")


def timed(act: Callable[[], object]) -> float:
    """Wall seconds."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def with_exif(data: bytes) -> bytes:
    """The JPEG with EXIF."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "A maker", "A model", "A program"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return jpeg_with(0xE1, exif.tobytes(), jpeg=data)


def copied(items: list[Item], blobs: Path, root: Path) -> None:
    """The stored bytes as an ImageFolder, copied."""
    with aside(root, "copy") as out:
        (out / "train" / "neutral").mkdir(parents=True)
        for one in items:
            shutil.copyfile(blobs / one.id[:2] / one.id, out / "train" / "neutral" / f"{one.id}.jpg")


def forget(ws: Workspace) -> None:
    """Let nothing be on record of what leaves of pictures."""
    shutil.rmtree(leaving.table(ws).path, ignore_errors=True)


def written(ws: Workspace, name: str) -> float:
    """Seconds that a release takes in one more format, of which nothing is left afterwards."""
    write = {name: make("manifests", Plugin(name), "format")}
    seconds = timed(lambda: export_also(ws, "1.0.0", write, QUIET, SCREENED, Pool()))
    shutil.rmtree(ws.work / "exports" / "1.0.0" / name)
    file_digests.forget(ws, f"exports/1.0.0/{name}")
    return seconds


def measured(name: str, count: int, root: Path) -> None:
    """Print one corpus's figures."""
    files = list(dict.fromkeys(path.read_bytes() for path in corpus(name, count)))
    items = [Item(f"{n}", "train", data=with_exif(data) if n % 2 else data) for n, data in enumerate(files)]
    for n, split in enumerate(("val", "test")):  # of what looks like nothing of it, which no release has in two splits
        noise = io.BytesIO()
        texture(n, (1280, 960)).save(noise, "JPEG")
        items.append(Item(split, split, data=noise.getvalue()))
    ws = stocked(root, items)
    ws.blobs.put((one.id, one.content) for one in items)
    size = sum(len(one.content) for one in items)
    del files
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    copy = min(timed(lambda: copied(items, ws.blobs.root, root / "bare")) for _ in range(3))
    hashing = timed(lambda: [hashlib.sha256(one.content).digest() for one in items])
    print(f"{name}: {len(items)} files, {size / 2**20:.0f} MiB, load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"  bare copy    {copy:6.2f} s (to hash them once, one thread: {hashing:.2f} s)", flush=True)
    for one in MEDIA:
        forget(ws)
        first = written(ws, one)
        forget(ws)
        note(ws, {item.id: item.content for item in items})
        best = min(written(ws, one) for _ in range(3))
        print(
            f"  {one:<12} {best:6.2f} s, {copy / best:.2f} of the copy's speed; nothing on record {first:.2f} s,"
            f" {copy / first:.2f}",
            flush=True,
        )
    export_also(ws, "1.0.0", {one: make("manifests", Plugin(one), "format") for one in MEDIA}, QUIET, SCREENED, Pool())
    for item in (items[len(items) // 3], items[len(items) // 2]):
        seconds = timed(lambda: takedown(ws, item.id, "benchmark"))  # noqa: B023
        print(
            f"  takedown of one of {len(items)}, from {len(FORMATS | dict.fromkeys(MEDIA))} formats: {seconds:.2f} s",
            flush=True,
        )
    ws.close()


def main() -> None:
    """Measure each corpus in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--corpus", action="append", choices=CORPORA)
    parser.add_argument("--folder", type=Path, help="where workspaces are made (default: the temporary folder)")
    options = parser.parse_args()
    for name in options.corpus or CORPORA:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measured(name, options.count, Path(folder) / "w")


if __name__ == "__main__":
    main()
