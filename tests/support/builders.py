"""Small workspaces with real bytes in them, for tests: a sample is a blob, its row, and who mentioned it."""

import hashlib
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from curate.config import Config
from curate.features import detail as grains
from curate.features.hash_worker import Found
from curate.features.hashes import write
from curate.media import detail, pdq, phash
from curate.media.decode import frames
from curate.store.workspace import Workspace

_count = itertools.count()


def workspace(root: Path, config: Config | None = None) -> Workspace:
    """An empty workspace, made on first use."""
    root.mkdir(parents=True, exist_ok=True)
    return Workspace(root, config or Config())


def add(  # what a test wants to say of a sample
    ws: Workspace, data: bytes, label: str | None = None, album: str | None = None, source: str = "urllist:a",
) -> str:  # fmt: skip
    """Store bytes as fetch would, mentioned once by `source` under a new URL; the id."""
    sample = hashlib.sha256(data).hexdigest()
    ws.blobs.put([(sample, data)])
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        kind, count = str(image.get_format_mimetype()), frames(image)
    digests = (hashlib.sha1(data).hexdigest(), hashlib.md5(data).hexdigest())
    with ws.catalog.tx() as db:
        row = (sample, *digests, len(data), kind, width, height, count)
        columns = "(id, sha1, md5, bytes, media_type, width, height, frames)"
        db.execute(f"INSERT OR IGNORE INTO samples {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    mention(ws, sample, label, album, source)
    return sample


def mention(ws: Workspace, sample: str, label: str | None, album: str | None, source: str) -> None:
    """One more URL, and one more mention, of a stored sample."""
    number = next(_count)
    with ws.catalog.tx() as db:
        db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES (?, 'urllist', '{}')", (source,))
        candidate = db.execute(
            "INSERT INTO candidates (kind, locator, state, sample) VALUES ('url', ?, 'stored', ?)",
            (f"http://example.org/{number}.jpg", sample),
        ).lastrowid
        db.execute(
            "INSERT INTO mentions (candidate, source, ref, album) VALUES (?, ?, ?, ?)",
            (candidate, source, f"list:{number}", album),
        )
        if label is not None:
            row = (candidate, source, f"list:{number}", label)
            db.execute("INSERT INTO declared VALUES (?, ?, ?, 'content', ?)", row)


def add_hashed(ws: Workspace, hashes: Mapping[str, bytes], part: str, quality: float = 50.0) -> None:
    """Samples by id with these hashes, and no bytes: dedupe at work on hashes that exist. Thumbnails are all alike."""
    ids = sorted(hashes)
    with ws.catalog.tx() as db:
        columns = "(id, sha1, md5, bytes, media_type, width, height)"
        rows = ((one, "0" * 40, "0" * 32, 1, "image/png", 64, 64) for one in ids)
        db.executemany(f"INSERT INTO samples {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    grains.write(ws, {one: bytes(detail.CELLS**2) for one in ids})
    made = {one: bare(value) | {"quality": quality} for one, value in hashes.items()}
    write(ws, [Found(one, cast(phash.HashRow, made[one]), (far_pdq(one),)) for one in ids], part)


def bare(hashed: bytes) -> dict[str, object]:
    """The row of a picture's hashes where it has no border, and its signs are those bits. Thumbnails are all alike."""
    return {name: values[0] for name, values in bares([hashed]).items()} | {"thumb": bytes(phash.THUMB**2)}


def bares(hashes: Sequence[bytes]) -> dict[str, Sequence[object] | np.ndarray]:
    """The same of many, but for the thumbnails."""
    none, nan = [bytes(8)] * len(hashes), np.full(len(hashes), np.nan, dtype=np.float32)
    return {"phash": hashes, "signs": hashes, "inner_phash": none, "inner_signs": none, "inner_quality": nan}


def far_pdq(sample: str, quality: int = 100) -> pdq.Pdq:
    """A PDQ far from everyone else's, as the sample's main part."""
    drawn = np.random.default_rng(int(sample[:15], 16)).bytes(pdq.ORIENTATIONS * pdq.BYTES)
    return pdq.Pdq(pdq.MAIN, drawn, quality)


def decide(ws: Workspace, sample: str, label: str, reviewer: str = "ann") -> None:
    """A person's judgement of a sample on the first axis."""
    taxonomy = ws.config.taxonomy
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
            " VALUES (?, ?, ?, ?, ?, ?, 'imported')",
            (sample, taxonomy.first.name, taxonomy.version, reviewer, label, f"2026-01-01T00:00:{next(_count):05d}Z"),
        )


def members(ws: Workspace) -> dict[str, dict[str, str | None]]:
    """The rows that dedupe wrote, by sample."""
    return {row["sample"]: dict(row) for row in ws.catalog.all("SELECT * FROM members")}


def dump(
    ws: Workspace, tables: Sequence[str] = ("members", "splits", "group_names", "conflicts")
) -> dict[str, list[str]]:
    """All rows of the tables that dedupe writes, without the run that wrote them."""
    found: dict[str, list[str]] = {}
    for table in tables:
        rows = [dict(row) for row in ws.catalog.all(f"SELECT * FROM {table}")]
        found[table] = sorted(str({key: value for key, value in row.items() if key != "run"}) for row in rows)
    return found
