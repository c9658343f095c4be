"""`curate hydrate`: a release of somebody else's, fetched anew from its URLs behind one's own guard and gate.

A release comes as a folder in the format `urls` or `parquet`. It is a source like any other: what its rows say is
declared, each row's bytes must have the row's sha256, and `dedupe` keeps the release's splits and groups.
"""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from curate.contracts import Http, SupportsSync
from curate.errors import ItemError, StoreError, UsageError
from curate.fetch.reasons import settings
from curate.layouts.exported import PUBLIC, SIGNATURE, SUMS
from curate.records import SPLITS, Candidate, Given, Locator, Manifest, Note, Page, Upstream
from curate.release.reader import HEADER, files, load
from curate.store.file_digests import digest
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

PAGE = 500  # rows
FACTS = ("license_url", "page_url")
_ID = re.compile(r"[0-9a-f]{64}")
_SIZES = ("width", "height")
_NEEDED = ("url", "label", "split", "group", *_SIZES)
_TEXTS = ("url", "label", "split", "group", "license", "attribution", "page_url", "upstream")  # begin a column's name


# -- what was given --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """A release as it came: its header, its rows in both formats alike, and the digest of its header.

    `folder` is where it lies; None for one that was read from an address.
    """

    manifest: Manifest
    stamp: str
    folder: Path | None

    @property
    def version(self) -> str:
        """Its version, as whoever made it numbers it."""
        return self.manifest.version

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Every row with its id, train first, each split in the order of its file."""
        found = [row for split in SPLITS for row in _rows(self.manifest, split)]
        if twice := len(found) - len({row["id"] for row in found}):
            raise UsageError(f"{self.manifest.path}: {twice} rows are of an item that has another; it was edited")
        return found

    @property
    def without_url(self) -> Mapping[str, Mapping[str, int]]:
        """How many pictures of each split and class have no URL, and so no row in the format `urls`."""
        found: Mapping[str, Mapping[str, int]] = self.manifest.header.get("without_url", {})
        return found


def opened(path: Path, local: bool = True) -> Received:
    """A release from its folder; raises UsageError for a folder that holds none, StoreError where a file of it is not
    what its header says."""
    if not (path / HEADER).is_file():
        raise UsageError(f"{path}: no {HEADER} in it; give the folder of an exported `urls` or `parquet`")
    stamp = digest(path / HEADER)
    return Received(load(path, stamp), stamp, path.resolve() if local else None)


async def download(http: Http, place: str, folder: Path) -> None:
    """The files of a release at an address, and its signature, if it has one, written to a folder; raises UsageError
    where one of the files is not to be had, or nobody can say now whether it is signed."""
    beside = (SUMS, SIGNATURE, PUBLIC)
    for name in (HEADER, *files().values(), *beside):
        try:
            answer = await http.get(f"{place.rstrip('/')}/{name}")
        except ItemError as error:
            if name in beside and not error.reason.retryable:
                continue
            key = settings(error.reason)
            raise UsageError(f"hydrate: {name} of this address: {error}{f' (see {key})' if key else ''}") from error
        (folder / name).write_bytes(answer.body)


def _rows(release: Manifest, split: str) -> Iterator[dict[str, Any]]:
    """The rows of one split, checked: a stranger wrote them."""
    table, name = release.rows[split], f"{split}.parquet"
    own = {"id": "sha256"} if "sha256" in release.header.get("columns", ()) else {}  # what its file calls it
    if lacking := [own.get(one, one) for one in ("id", *_NEEDED) if one not in table.column_names]:
        raise UsageError(f"{release.path / name}: no column {', '.join(lacking)}; give an exported `urls` or `parquet`")
    for one in table.schema:
        if one.name not in _SIZES and (one.name.startswith(_TEXTS) or one.name == "id") and not _is_text(one.type):
            raise UsageError(
                f"{release.path / name}: column {own.get(one.name, one.name)} holds no text, but {one.type}"
            )
    for number, row in enumerate(table.to_pylist(), start=1):
        texts = [row[one] for one in ("id", "label", "split", "group")]
        sizes = [row[one] for one in _SIZES]
        if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, int) for one in sizes):
            raise UsageError(f"{release.path / name}: row {number}: id, label, split, group or size is none")
        if not _ID.fullmatch(row["id"]) or row["split"] != split:
            raise UsageError(f"{release.path / name}: row {number}: no sha256, or another split")
        yield row


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


# -- the source ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hydrate:
    """The rows of a release that have a URL, as candidates. `path` is its folder, or its address.

    `reason` and `approved_by`: why classes that are not safe are fetched, and who answers for it; needed there. Systems
    are asked which of their items are unchanged: of these another rendition is taken where it has the row's size.
    """

    path: str
    reason: str | None = None
    approved_by: str | None = None
    received: InitVar[Received | None] = None
    systems: InitVar[Mapping[str, SupportsSync] | None] = None

    def __post_init__(self, received: Received | None, systems: Mapping[str, SupportsSync] | None) -> None:
        """Keep what is no option."""
        object.__setattr__(self, "_received", received)
        object.__setattr__(self, "_systems", systems or {})

    @property
    def release(self) -> Received:
        """What it lists."""
        found: Received = self._received  # type: ignore[attr-defined]
        return found

    def classes(self) -> frozenset[str | None]:
        """Every class that a row bears."""
        return frozenset(row["label"] for row in self.release.rows)

    def place_of(self, label: str | None) -> str:
        """The first row that bears a class."""
        return next(
            (f"{row['split']} {row['id'][:8]}" for row in self.release.rows if row["label"] == label), self.path
        )

    def stamp(self) -> str:
        """The digest of its header, which has those of its files."""
        return self.release.stamp

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """Pages of PAGE rows; the cursor is the number of the row to go on with."""
        rows = [row for row in self.release.rows if row["url"] is not None]
        for begin in range(int(cursor or 0), max(len(rows), 1), PAGE):
            lot, more = rows[begin : begin + PAGE], begin + PAGE < len(rows)
            same, notes = await self._unchanged(http, lot)
            found = tuple(candidate_of(row, row["id"] in same) for row in lot)
            yield Page(found, str(begin + PAGE) if more else None, tuple(notes), version=self.release.version)

    async def _unchanged(self, http: Http, rows: Sequence[Mapping[str, Any]]) -> tuple[set[str], list[Note]]:
        """The ids of rows whose item is as it was in the system it came from; what could not be asked is not."""
        by_system: dict[str, dict[str, Upstream]] = defaultdict(dict)
        for row in rows:
            one = upstream_of(row)
            if one is not None and one.page_id and one.sha1 and one.system in self._systems:  # type: ignore[attr-defined]
                by_system[one.system][row["id"]] = one
        same, notes = set[str](), list[Note]()
        for system, known in by_system.items():
            try:
                asked = self._systems[system].changes(http, list(known.values()))  # type: ignore[attr-defined]
                changed = {change.upstream.page_id async for change in asked if change.kind != "moved"}
            except ItemError as error:
                notes.append(Note("not_asked", system, str(error)))
                continue
            same |= {name for name, one in known.items() if one.page_id not in changed}
        return same, notes


def candidate_of(row: Mapping[str, Any], unchanged: bool) -> Candidate:
    """A row as a candidate; where it is `unchanged` upstream, another rendition of its size is taken, too."""
    axes = {name.removeprefix("label_"): row[name] for name in row if name.startswith("label_")}
    return Candidate(
        locator=Locator("url", str(row["url"])),
        ref=row["id"],
        label=row["label"],
        labels={name: label for name, label in axes.items() if isinstance(label, str) and name != "source"},
        upstream=upstream_of(row),
        license=row.get("license"),
        attribution=row.get("attribution"),
        facts={name: row[name] for name in FACTS if isinstance(row.get(name), str)},
        given=Given(row["id"], row["split"], row["group"], f"{row['width']}x{row['height']}" if unchanged else None),
    )


def upstream_of(row: Mapping[str, Any]) -> Upstream | None:
    """Who a row's item is where it came from: columns in `urls`, JSON text in `parquet`."""
    if "upstream" in row:
        try:
            return msgspec.convert(json.loads(row["upstream"] or "{}"), Upstream)
        except (ValueError, RecursionError):
            return None
    system, page, at, sha1 = (row.get(f"upstream_{name}") for name in ("system", "id", "revision", "sha1"))
    return Upstream(system=system, page_id=page, sha1=sha1, timestamp=at) if system else None


def begin_again(ws: "Workspace", source: str, release: Received) -> None:
    """Where the release at this place is another one than was listed, have its rows say what they say now.

    At once: its splits and labels are known throughout, also where the run ends before it has listed them again. A row
    that it has no more keeps its split and group, which nothing changes, and loses its label.
    """
    sql = "SELECT 1 FROM sources WHERE source = ? AND stamp IS NOT NULL AND stamp <> ?"
    if ws.catalog.scalar(sql, (source, release.stamp)) is None:
        return
    axis, blocked = ws.config.taxonomy.first.name, Blocked(ws.catalog)
    groups, labels = [], dict[tuple[str, str], str]()
    for row in release.rows:
        one = candidate_of(row, False)
        groups.append((row["split"], blocked.group(row["group"]), source, one.ref))
        labels |= {(one.ref, name): label for name, label in {axis: one.label, **one.labels}.items() if label}
    known = {(row[0], row[1]): row[2] for row in ws.catalog.iterate_tuples(_DECLARED, (source,))}
    gone = [(source, *key) for key in known.keys() - labels.keys()]
    other = [(labels[key], source, *key) for key in known.keys() & labels.keys() if labels[key] != known[key]]
    with ws.catalog.tx() as db:
        db.executemany("UPDATE given SET split = ?, grp = ? WHERE source = ? AND ref = ?", groups)
        db.executemany("DELETE FROM declared WHERE source = ? AND ref = ? AND axis = ?", gone)
        db.executemany("UPDATE declared SET label = ? WHERE source = ? AND ref = ? AND axis = ?", other)
        db.execute("UPDATE sources SET cursor = NULL, listed = 0 WHERE source = ?", (source,))


_DECLARED = "SELECT ref, axis, label FROM declared WHERE source = ?"


# -- what is on record of it -----------------------------------------------------------------------------------------


def earlier(ws: "Workspace", path: str) -> tuple[str | None, str | None]:
    """Why a release at this place was fetched before, and who answered for it."""
    sql = """
    SELECT json_extract(options, '$.reason'), json_extract(options, '$.approved_by') FROM sources
    WHERE plugin = 'hydrate' AND json_extract(options, '$.path') = ? ORDER BY listed_at DESC LIMIT 1
    """
    found = ws.catalog.all(sql, (path,))
    return (found[0][0], found[0][1]) if found else (None, None)


def check_version(release: Received) -> None:
    """Raise StoreError for a release by rules that this version does not know."""
    schema = release.manifest.header.get("schema", 1)
    if not isinstance(schema, int) or schema > 1:
        raise StoreError(f"release {release.version}: schema {schema} was made by a newer curate; upgrade curate")
