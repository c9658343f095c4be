"""`curate hydrate`: a release of somebody else's, fetched anew from its URLs behind one's own guard and gate.

A release comes as a folder in the format `urls` or `parquet`. It is a source like any other: what its rows say is
declared, each row's bytes must have the row's sha256, and `dedupe` keeps the release's splits and groups.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from curate.contracts import Http, SupportsSync
from curate.errors import ItemError, StoreError, UsageError
from curate.fetch.recorder import RENDITION
from curate.records import SPLITS, Candidate, Given, Locator, Manifest, Note, Page, Upstream
from curate.release.reader import HEADER, files, load
from curate.store.file_digests import digest
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

PAGE = 500  # rows
NO_URL, UNLISTED, TAKEN_DOWN, CHANGED = "no_url", "not_listed", "taken_down", "hash_mismatch"  # why a row is not here
FACTS = ("license_url", "page_url")
_ID = re.compile(r"[0-9a-f]{64}")
_NEEDED = ("url", "label", "split", "group", "width", "height")


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
        return [row for split in SPLITS for row in _rows(self.manifest, split)]

    @property
    def without_url(self) -> Mapping[str, Mapping[str, int]]:
        """How many pictures of each split and class have no URL, and so no row in the format `urls`."""
        found: Mapping[str, Mapping[str, int]] = self.manifest.header.get("without_url", {})
        return found


def address(release: str) -> bool:
    """Whether a release is named by its address on the web."""
    return urlsplit(release).scheme in ("http", "https")


def opened(path: Path, local: bool = True) -> Received:
    """A release from its folder; raises UsageError for a folder that holds none, StoreError where a file of it is not
    what its header says."""
    if not (path / HEADER).is_file():
        raise UsageError(f"{path}: no {HEADER} in it; give the folder of an exported `urls` or `parquet`")
    return Received(load(path), digest(path / HEADER), path.resolve() if local else None)


async def download(http: Http, place: str, folder: Path) -> None:
    """The files of a release at an address, written to a folder; raises UsageError where one is not to be had."""
    for name in (HEADER, *files().values()):
        try:
            answer = await http.get(f"{place.rstrip('/')}/{name}")
        except ItemError as error:
            raise UsageError(f"hydrate: {name} of this address: {error}") from error
        (folder / name).write_bytes(answer.body)


def _rows(release: Manifest, split: str) -> Iterator[dict[str, Any]]:
    """The rows of one split, checked: a stranger wrote them."""
    table, name = release.rows[split], f"{split}.parquet"
    key = "sha256" if "sha256" in table.column_names else "id"
    if lacking := [one for one in (key, *_NEEDED) if one not in table.column_names]:
        raise UsageError(f"{release.path / name}: no column {', '.join(lacking)}; give an exported `urls` or `parquet`")
    for number, row in enumerate(table.to_pylist(), start=1):
        row["id"] = row[key]
        texts = [row[one] for one in ("id", "label", "split", "group")]
        sizes = [row[one] for one in ("width", "height")]
        if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, int) for one in sizes):
            raise UsageError(f"{release.path / name}: row {number}: id, label, split, group or size is none")
        if not _ID.fullmatch(row["id"]) or row["split"] != split:
            raise UsageError(f"{release.path / name}: row {number}: no sha256, or another split")
        yield row


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
            found = tuple(_candidate(row, row["id"] in same) for row in lot)
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


def _candidate(row: Mapping[str, Any], unchanged: bool) -> Candidate:
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
            said = json.loads(row["upstream"] or "{}")
            rest = {key: said.get(key) for key in ("page_id", "title", "sha1", "timestamp", "width")}
            return Upstream(system=said["system"], **rest)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
    system, page, at, sha1 = (row.get(f"upstream_{name}") for name in ("system", "id", "revision", "sha1"))
    return Upstream(system=system, page_id=page, sha1=sha1, timestamp=at) if system else None


def begin_again(ws: "Workspace", source: str, stamp: str) -> None:
    """Where the release at this place is another one than was listed, have its rows say what they say now."""
    sql = "SELECT 1 FROM sources WHERE source = ? AND stamp IS NOT NULL AND stamp <> ?"
    if ws.catalog.scalar(sql, (source, stamp)) is None:
        return
    with ws.catalog.tx() as db:
        for table in ("declared", "given"):
            db.execute(f"DELETE FROM {table} WHERE source = ?", (source,))  # noqa: S608 (constants)
        db.execute("UPDATE sources SET cursor = NULL, listed = 0 WHERE source = ?", (source,))


# -- what came of it -------------------------------------------------------------------------------------------------


def account(ws: "Workspace", source: str, release: Received) -> dict[str, Any]:
    """How much of a release is here, by class and split, and why the rest is not."""
    stored = {row[0] for row in ws.catalog.iterate_tuples("SELECT id FROM samples")}
    fates = {row[0]: row[1:] for row in ws.catalog.iterate_tuples(_FATES, (source,))}
    blocked = Blocked(ws.catalog)
    each: Counter[tuple[str, str, str]] = Counter()  # split, class, what became of it
    for row in release.rows:
        fate = "stored" if row["id"] in stored else _fate(row, fates.get(row["id"]), blocked)
        each[row["split"], row["label"], fate] += 1
    for split, classes in release.without_url.items():
        for label, n in classes.items():
            each[split, label, NO_URL] += n
    here = ("stored", RENDITION)
    reasons: Counter[str] = Counter()
    for (_, _, fate), n in each.items():
        reasons[fate] += n
    of, recovered = sum(each.values()), sum(reasons[one] for one in here)
    return {
        "release": release.version,
        "rows": of,
        "recovered": recovered,
        "recovery": round(recovered / of, 4) if of else None,
        "renditions": reasons[RENDITION],
        "missing": dict(sorted((fate, n) for fate, n in reasons.items() if fate not in here and n)),
        "by_class": _shares(each, 1, here),
        "by_split": _shares(each, 0, here),
    }


def _fate(row: Mapping[str, Any], fate: Sequence[Any] | None, blocked: Blocked) -> str:
    """Why the bytes of a row are not here, or that a rendition of them is."""
    if row["url"] is None:
        return NO_URL
    if fate is None:
        return TAKEN_DOWN if blocked.sha256(row["id"]) or blocked.candidate(_candidate(row, False)) else UNLISTED
    state, reason, check = fate
    if state == "stored":
        return RENDITION if check == RENDITION else CHANGED
    return str(reason or state)


def _shares(each: Mapping[tuple[str, str, str], int], place: int, here: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, n in sorted(each.items()):
        one = found.setdefault(key[place], {"rows": 0, "recovered": 0})
        one["rows"] += n
        one["recovered"] += n if key[2] in here else 0
    return {name: found[name] for name in (SPLITS if place == 0 else sorted(found)) if name in found}


_FATES = """
SELECT m.ref, c.state, c.reason, c.hash_check FROM mentions m JOIN candidates c USING (candidate) WHERE m.source = ?
"""


def shortfall(found: Mapping[str, Any], max_failures: int | None) -> str | None:
    """Why a release that was fetched anew is incomplete: nothing of it is here, or more failed than may."""
    kept = (NO_URL, TAKEN_DOWN, "pending", UNLISTED)
    failed = sum(n for reason, n in found["missing"].items() if reason not in kept)
    if failed and not found["recovered"]:
        said = ", ".join(f"{n:,} {reason}" for reason, n in found["missing"].items())
        return f"nothing of release {found['release']} is here: {said}"
    if max_failures is not None and failed > max_failures:
        return f"{failed:,} rows failed, and --max-failures allows {max_failures:,}"
    return None


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
