"""A workspace of many samples, as the verbs would have left it: rows, bytes, hashes, scores, weak labels, a release."""

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from curate.config import Config
from curate.contracts import ReleaseFormat
from curate.features import leaving
from curate.features.hashes import table
from curate.media import pdq, phash
from curate.media.leaving import of_decoded
from curate.progress import Progress
from curate.release.export import export
from curate.store.shards import assign
from curate.store.tables import to_table
from curate.store.workspace import Workspace
from tests.support.builders import bares
from tests.support.releases import FORMATS, SCREENED
from tests.support.weak import put

PART = 1000


def made_up(number: int) -> bytes:
    """The bytes of a sample by number, which are no picture."""
    return hashlib.sha512(str(number).encode()).digest() * 4


def tiny(number: int) -> bytes:
    """The bytes of a sample by number: a PNG of 16 x 16 px."""
    grey = np.frombuffer(hashlib.sha512(str(number).encode()).digest() * 4, dtype=np.uint8).reshape(16, 16)
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "PNG")
    return out.getvalue()


def stocked(
    root: Path, n: int, content: Callable[[int], bytes] = made_up, formats: Mapping[str, ReleaseFormat] = FORMATS
) -> Workspace:
    """A workspace with `n` samples, all of them in release 1.0.0, in these formats; the bytes are small."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "curate.toml").write_text("[screening]\nrequired = false\n")
    ws = Workspace(root, Config())
    ids = _bytes(ws, n, content)
    _rows(ws, ids, content)
    _tables(ws, ids)
    if content is not made_up:
        note(ws, {one: content(number) for number, one in enumerate(ids)})
    ws.catalog.begin("export", "")
    export(ws, "1.0.0", formats, Progress(quiet=True), SCREENED)
    ws.catalog.end("done")
    return ws


def note(ws: Workspace, pictures: Mapping[str, bytes]) -> None:
    """Put on record what leaves of these pictures, by id, as `fetch` does."""
    at = leaving.bounds(ws)
    found = {one: told for one, data in pictures.items() if (told := of_decoded(data, at, ws.config.export.max_side))}
    leaving.write(leaving.table(ws), found, {}, "fetch")


def url(number: int) -> str:
    """Where a sample was, by number; no URL is the beginning of another."""
    return f"https://media{number % 97}.example.org/{number:07d}/picture.jpg"


def _bytes(ws: Workspace, n: int, content: Callable[[int], bytes]) -> list[str]:
    """Store the bytes of `n` items, without waiting for the disk; their ids."""
    ids = []
    for number in range(n):
        data = content(number)
        ids.append(hashlib.sha256(data).hexdigest())
        path = ws.blobs.path(ids[-1])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return ids


def _rows(ws: Workspace, ids: list[str], content: Callable[[int], bytes]) -> None:
    many = list(enumerate(ids))
    digests = [content(number) for number, _ in many]
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options, listed) VALUES ('urllist:a', 'urllist', '{}', 1)")
        columns = "(id, sha1, md5, bytes, media_type, width, height)"
        db.executemany(
            f"INSERT INTO samples {columns} VALUES (?, ?, ?, ?, 'image/jpeg', 640, 480)",
            (
                (one, hashlib.sha1(d).hexdigest(), hashlib.md5(d).hexdigest(), len(d))
                for (_, one), d in zip(many, digests, strict=True)
            ),
        )
        db.executemany(
            "INSERT INTO candidates (candidate, kind, locator, state, sample, host, final_url, http_status, headers)"
            " VALUES (?, 'url', ?, 'stored', ?, 'media.example.org', ?, 200, '{\"etag\":\"a\"}')",
            ((number + 1, url(number), one, url(number)) for number, one in many),
        )
        db.executemany(
            "INSERT INTO mentions (candidate, source, ref, license, attribution) VALUES (?, 'urllist:a', ?, 'CC0', ?)",
            ((number + 1, f"urls_neutral.txt:{number + 1}", f"Somebody {number}") for number, _ in many),
        )
        db.executemany(
            "INSERT INTO declared VALUES (?, 'urllist:a', ?, 'content', 'neutral')",
            ((number + 1, f"urls_neutral.txt:{number + 1}") for number, _ in many),
        )
        splits = {one: ("train", "train", "train", "val", "test")[number % 5] for number, one in many}
        db.executemany("INSERT INTO splits (sample, split) VALUES (?, ?)", splits.items())
        db.executemany("INSERT INTO group_names VALUES (?, ?)", ((one, one) for one in ids))
        db.executemany(
            "INSERT INTO members VALUES (?, ?, ?, ?, ?, NULL)", ((one, one, one, one, splits[one]) for one in ids)
        )
        db.executemany(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
            " VALUES (?, 'content', '1', 'ada', 'neutral', '2026-01-01T00:00:00.000Z', 'blind')",
            ((one,) for one in ids[::10]),
        )


def _tables(ws: Workspace, ids: list[str]) -> None:
    """Hashes (of flat pictures, near to nothing) as fetch writes them, scores by shard, weak labels as one part."""
    rng = np.random.default_rng(0)
    for at in range(0, len(ids), PART):
        part = sorted(ids[at : at + PART])
        hashes = {
            "id": part,
            **bares([rng.bytes(8) for _ in part]),
            "quality": np.zeros(len(part), dtype=np.float32),
            "thumb": [rng.bytes(phash.THUMB**2) for _ in part],
        }
        table(ws).write(f"fetch-{part[0][:16]}", to_table(hashes))
        screened = {
            "id": part,
            "part": ["main"] * len(part),
            "pdq": [rng.bytes(pdq.ORIENTATIONS * pdq.BYTES) for _ in part],
            "quality": np.full(len(part), 90, dtype=np.uint8),
        }
        ws.table(pdq.NAME, pdq.FINGERPRINT).write(f"fetch-{part[0][:16]}", to_table(screened))
    for shard, names in assign(ws.catalog).items():
        scores = {"id": names, "nsfw": rng.random(len(names), dtype=np.float32)}
        ws.table("open_nsfw", "0123456789ab").write(f"{shard:06d}", to_table(scores))
    put(ws, dict.fromkeys(ids, ("neutral", 0.9)))
