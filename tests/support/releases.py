"""Workspaces that stand just before `export`, row by row.

`python -m tests.support.releases` rewrites the golden files.
"""

import hashlib
import random
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from curate.config import Config
from curate.features.hashes import pdq_rows, pdq_table, table
from curate.layouts.exported import SUMS
from curate.media import phash
from curate.options import Plugin
from curate.plugins import make, names
from curate.progress import Progress
from curate.records import Axis, Taxonomy
from curate.release.export import export
from curate.release.formats import is_media
from curate.screening.gate import Gate
from curate.screening.listed import LoadedList
from curate.store.tables import to_table
from curate.store.workspace import Workspace
from tests.support.builders import bares, far_pdq
from tests.support.weak import put

GOLDEN = Path(__file__).parent / "golden"
AXES = (Axis(borderline=("sexy",)), Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ()))
EVERY = {name: make("manifests", Plugin(name), "format") for name in names("manifests")}
FORMATS = {name: one for name, one in EVERY.items() if not is_media(one)}  # of rows alone
QUIET = Progress(quiet=True)
SCREENED = Gate(  # a list that can match something
    True,
    (LoadedList("lines:1", "self", "ab", 1, (), "2026-01-01", hashes={"md5": 1}, matched=1, origin="lines a.txt"),),
)
T = TypeVar("T")


@dataclass(frozen=True)
class Mention:
    """One mention of an item; `locator` is a URL, or a path where it begins with a slash."""

    locator: str
    license: str | None = None
    attribution: str | None = None
    ref: str = "urls_neutral.txt:1"
    upstream: str | None = None
    facts: str | None = None


@dataclass(frozen=True)
class Item:
    """One sample as earlier verbs would have left it; `weak` and `people` are by axis, `people` by reviewer."""

    name: str
    split: str = "train"
    mentions: Sequence[Mention] = ()
    weak: Mapping[str, tuple[str, float]] = field(default_factory=lambda: {"content": ("neutral", 0.9)})
    people: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    group: str | None = None
    survivor: str | None = None
    excluded: str | None = None
    hash: bytes | None = None
    quality: float = 20.0
    data: bytes | None = None

    @property
    def content(self) -> bytes:
        """The bytes; made up where none are given."""
        return self.data if self.data is not None else f"the bytes of {self.name}".encode()

    @property
    def id(self) -> str:
        """The sha256 of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def phash(self) -> bytes:
        """A hash far from everyone else's."""
        return self.hash or hashlib.sha256(b"hash of " + self.content).digest()[:8]


def stocked(root: Path, items: Sequence[Item], config: Config | None = None) -> Workspace:
    """A workspace with the items, put in in the order given."""
    ws = Workspace(root, config or Config())
    by_name = {item.name: item.id for item in items}
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options) VALUES (?, 'urllist', '{}')", (f"urllist:{root}",))
        for item in items:
            db.execute(
                "INSERT INTO samples (id, sha1, md5, bytes, media_type, width, height) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (item.id, "0" * 40, "0" * 32, len(item.content), "image/jpeg", 640, 480),
            )
            for mention in item.mentions or [Mention(f"https://example.org/{item.name}.jpg")]:
                _mention(db, root, item, mention)
            survivor = by_name[item.survivor] if item.survivor else item.id
            row = (item.id, item.group or item.id, survivor, survivor, item.split, item.excluded)
            db.execute("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)", row)
            for axis, said in item.people.items():
                for reviewer, label in said.items():
                    db.execute(
                        "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
                        " VALUES (?, ?, '1', ?, ?, '2026-01-01T00:00:00.000Z', 'imported')",
                        (item.id, axis, reviewer, label),
                    )
    _tables(ws, items)
    return ws


def _mention(db: object, root: Path, item: Item, mention: Mention) -> None:
    kind = "path" if mention.locator.startswith("/") else "url"
    cursor = db.execute(  # type: ignore[attr-defined]
        "INSERT INTO candidates (kind, locator, state, sample, attempts, fetched_at, final_url, http_status, headers)"
        " VALUES (?, ?, 'stored', ?, 1, strftime('%Y-%m-%dT%H:%M:%f', 'now'), ?, 200, '{}')",
        (kind, mention.locator, item.id, mention.locator if kind == "url" else None),
    )
    db.execute(  # type: ignore[attr-defined]
        "INSERT INTO mentions (candidate, source, ref, license, attribution, upstream, facts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            cursor.lastrowid,
            f"urllist:{root}",
            mention.ref,
            mention.license,
            mention.attribution,
            mention.upstream,
            mention.facts,
        ),
    )


def _tables(ws: Workspace, items: Sequence[Item]) -> None:
    hashes = {
        "id": [item.id for item in items],
        **bares([item.phash for item in items]),
        "quality": np.array([item.quality for item in items], dtype=np.float32),
        "thumb": [bytes(phash.THUMB**2)] * len(items),
    }
    if items:
        table(ws).write("all", to_table(hashes))
        pdq_table(ws).write("all", pdq_rows([(item.id, far_pdq(item.id)) for item in items]))
    for axis in ws.config.taxonomy.axes:
        if known := {item.id: item.weak[axis.name] for item in items if axis.name in item.weak}:
            put(ws, known, axis=axis)


def far(seed: int) -> bytes:
    """A perceptual hash by number."""
    return np.random.default_rng(seed).bytes(8)


# -- the golden release ----------------------------------------------------------------------------------------------


def golden_config() -> Config:
    """Two axes, everything else as it comes."""
    return replace(Config(), taxonomy=Taxonomy(axes=AXES))


def golden_items() -> list[Item]:
    """A few items that have one of everything, excluded ones included."""
    drawn = {"content": ("drawings", 0.87654321), "medium": ("drawing", 0.99)}
    commons = '{"page_id":"42","sha1":"' + "a" * 40 + '","system":"commons","title":"File:Émile, \\"A\\".jpg"}'
    links = (
        '{"license_url":"//creativecommons.org/publicdomain/zero/1.0/","page_url":"https://example.org/wiki?token=x"}'
    )
    picture = Mention('https://example.org/,"c".jpg', "CC0", '=Émile\n"A"', "Cat:1", commons, links)
    return [
        Item("plain"),
        Item("drawn", weak=drawn, group="a-group"),
        Item("drawn-twin", weak=drawn, group="a-group", survivor="drawn", hash=Item("drawn").phash),
        Item("judged", "val", people={"content": {"ada": "sexy", "bob": "sexy", "cy": "neutral", "di": "unsure"}}),
        Item("from-commons", "test", [picture]),
        Item("local", "test", [Mention("/home/someone/private/cat.jpg", None, "'t Hart", "cats/cat.jpg")]),
        Item("signed", mentions=[Mention("https://user:pw@example.org/s.jpg?X-Amz-Signature=0123456789abcdef&size=2")]),
        Item("contested", people={"content": {"ada": "sexy", "bob": "neutral"}}),
        Item("unlabelled", weak={}),
        Item("merged", excluded="merged_with_test"),
    ]  # fmt: skip


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """The items in another order."""
    found = list(items)
    random.Random(seed).shuffle(found)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for what depends on the run, or on the workspace: whose removals they are."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    for name in ("provenance.parquet", "removals.jsonl"):
        found.pop(name, None)
    return found


def main() -> None:
    """Write what this version writes; look at the difference before you commit it."""
    with tempfile.TemporaryDirectory() as folder:
        ws = stocked(Path(folder), golden_items(), golden_config())
        export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
        ws.close()
        shutil.rmtree(GOLDEN, ignore_errors=True)
        shutil.copytree(ws.work / "exports" / "1.0.0", GOLDEN, ignore=shutil.ignore_patterns(SUMS))


if __name__ == "__main__":
    main()
