"""Workspaces with real bytes in the store, as `fetch` would have left them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from curate.config import Config
from curate.records import Axis
from curate.store.workspace import Workspace
from tests.support.pictures import encode, photograph, texture


def pictures(n: int) -> list[bytes]:
    """Different pictures: photographs first, then textures of several sizes and formats."""
    shipped = ["astronaut.png", "coffee.png", "chelsea.png", "camera.png"]
    found = [encode(photograph(name).resize((300, 280))) for name in shipped[:n]]
    sizes = ((160, 120), (300, 500), (90, 90))
    return found + [
        encode(texture(seed, sizes[seed % 3]), ("JPEG", "PNG", "WEBP")[seed % 3]) for seed in range(n - len(found))
    ]


def sha256(data: bytes) -> str:
    """The id of some bytes."""
    return hashlib.sha256(data).hexdigest()


def store(ws: Workspace, files: Sequence[bytes]) -> list[str]:
    """Put files in as samples, each with a URL; the ids, sorted."""
    ws.blobs.put((sha256(data), data) for data in files)
    with ws.catalog.tx() as db:
        for data in files:
            name = sha256(data)
            db.execute(
                "INSERT INTO samples (id, sha1, md5, bytes, media_type, width, height)"
                " VALUES (?, '', '', ?, 'image/jpeg', 64, 48)",
                (name, len(data)),
            )
    for data in files:
        _candidate(ws, f"https://example.org/{sha256(data)[:8]}.jpg", sha256(data))
    return sorted(sha256(data) for data in files)


def _candidate(ws: Workspace, url: str, sample: str) -> int:
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT OR IGNORE INTO candidates (kind, locator, state, sample) VALUES ('url', ?, 'stored', ?)",
            (url, sample),
        )
        row = db.execute("SELECT candidate FROM candidates WHERE locator = ?", (url,)).fetchone()
    return int(row[0])


def declare(ws: Workspace, sample: str, axis: Axis, label: str, source: str = "list") -> None:
    """Let a source declare a class of a sample."""
    candidate = _candidate(ws, f"https://example.org/{sample[:8]}.jpg", sample)
    with ws.catalog.tx() as db:
        db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES (?, 'urllist', '{}')", (source,))
        db.execute(
            "INSERT OR IGNORE INTO mentions (candidate, source, ref) VALUES (?, ?, ?)", (candidate, source, "a.txt:1")
        )
        db.execute(
            "INSERT OR REPLACE INTO declared VALUES (?, ?, ?, ?, ?)", (candidate, source, "a.txt:1", axis.name, label)
        )


def member(ws: Workspace, sample: str, survivor: str | None = None, split: str = "train") -> None:
    """What dedupe says of a sample."""
    survivor = survivor or sample
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, NULL)", (sample, survivor, survivor, survivor, split)
        )


def judge(ws: Workspace, sample: str, label: str, reviewer: str = "ada", axis: str = "content") -> None:
    """What a person says of a sample."""
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
            " VALUES (?, ?, '1', ?, ?, '2026-01-01T00:00:00.000Z', 'blind')",
            (sample, axis, reviewer, label),
        )


def workspace(root: Path, files: Sequence[bytes] = (), config: Config | None = None) -> Workspace:
    """A workspace with the files."""
    ws = Workspace(root, config or Config())
    if files:
        store(ws, files)
    return ws
