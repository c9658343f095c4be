"""`curate dedupe`: which samples are near-duplicates, in which split their group is, and which one of a set survives.

Two radii. Samples within `group_radius` bits (and those of one album) are a group: it has one split. Samples within
`collapse_radius` bits whose thumbnails agree everywhere are a collapse set: one survives. A black bar, a mosaic or a
crop changes a thumbnail somewhere, and its label perhaps, so it shares a group and is not collapsed away.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from curate import hashes
from curate.contracts import Engine
from curate.groups import Alike, Grouping, Memory, Rows, assign, drawn, namesakes, stars, unite
from curate.media import phash
from curate.near import groups as near_groups
from curate.progress import Progress
from curate.records import SPLITS
from curate.store import views
from curate.store.catalog import Catalog
from curate.store.workspace import Workspace

Judged = dict[str, dict[str, str]]  # axis -> sample -> the label that people gave this very sample
Row = tuple[object, ...]
_CHUNK = 16384  # thumbnails compared at a time


def dedupe(ws: Workspace, engine: Engine, progress: Progress) -> dict[str, object]:
    """Group all samples that are not held back, remember names and splits, and note who contradicts whom.

    Hashes what has no hash yet; the rest is one transaction. `unhashed` counts samples whose bytes cannot be read (they
    are near to nothing); `rebuilt` names the parts of the hash table that were corrupt.
    """
    started = time.monotonic()
    ids = _active(ws.catalog)
    done = hashes.complete(ws, ids, engine, progress)
    with progress.stage("group", 4) as step:
        near, tight = _near(ws, ids)
        step()
        memory = _memory(ws.catalog)
        groups = unite(near, [*_albums(ws.catalog, ids), *namesakes(ids, memory.names)])
        grouping = assign(ids, groups, memory, partial(drawn, ws.config.export.salt, ws.config.export.splits))
        step()
        judged = _judged(ws)
        survivor = stars(tight, _rank(ws.catalog, ids, grouping, judged), _alike(ws, ids, tight))
        step()
        conflicts = [*_declared(ws, ids, near, grouping), *_contradictions(ids, survivor, judged)]
        _write(ws.catalog, _members(ids, grouping, survivor), conflicts)
        step()
    return {
        "samples": len(ids),
        "groups": int((np.bincount(groups) > 1).sum()) if ids else 0,
        "duplicates": int((survivor != np.arange(len(ids))).sum()),
        "conflicts": len(conflicts),
        "unhashed": len(done.unhashed),
        "rebuilt": done.rebuilt,
        "seconds": round(time.monotonic() - started, 3),
    }


# -- what is there ---------------------------------------------------------------------------------------------------


def _active(catalog: Catalog) -> list[str]:
    """Every sample that is neither held back nor taken down, sorted."""
    out = views.held(catalog)
    gone = {row[0] for row in catalog.rows("SELECT digest FROM tombstones WHERE kind = 'sha256'")}
    found = (row[0] for row in catalog.rows("SELECT id FROM samples ORDER BY id"))
    return [one for one in found if one not in out and not (gone and catalog.digest("sha256", one) in gone)]


def _memory(catalog: Catalog) -> Memory:
    return Memory(
        {row[0]: row[1] for row in catalog.stream("SELECT sample, grp FROM group_names")},
        {row[0]: row[1] for row in catalog.stream("SELECT sample, split FROM splits")},
        {row[0]: row[1] for row in catalog.stream("SELECT grp, split FROM floors")},
    )


def _albums(catalog: Catalog, ids: Sequence[str]) -> list[list[int]]:
    """The rows that a source published together."""
    sql = """
    SELECT DISTINCT m.source, m.album, c.sample FROM mentions m JOIN candidates c USING (candidate)
    WHERE m.album IS NOT NULL AND c.sample IS NOT NULL
    """
    at = {one: row for row, one in enumerate(ids)}
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for source, album, sample in catalog.stream(sql):
        if sample in at:
            found[source, album].append(at[sample])
    return list(found.values())


def _judged(ws: Workspace) -> Judged:
    taxonomy = ws.config.taxonomy
    found: Judged = {}
    for axis in taxonomy.axes:
        votes = views.votes(ws.catalog, axis.name, taxonomy.version)
        said = ((sample, views.consensus(counts, axis.classes)) for sample, counts in votes.items())
        found[axis.name] = {sample: human.label for sample, human in said if human is not None}
    return found


# -- what is near ----------------------------------------------------------------------------------------------------


def _near(ws: Workspace, ids: Sequence[str]) -> tuple[Rows, Rows]:
    """Each row's smallest fellow within steps of the group radius, and of the collapse radius."""
    found = hashes.read(ws, ids)
    rows = found.textured
    radii = (ws.config.dedupe.group_radius, ws.config.dedupe.collapse_radius)
    answers = []
    for radius in radii:
        labels = np.arange(len(ids))
        if rows.size:
            labels[rows] = rows[near_groups(found.phash[rows], radius)]
        answers.append(labels)
    return answers[0], answers[1]


def _rank(catalog: Catalog, ids: Sequence[str], grouping: Grouping, judged: Judged) -> Rows:
    """The order in which samples survive: those that stay, more axes judged by people, more pixels, more bytes, id."""
    humans = Counter(sample for labels in judged.values() for sample in labels)
    active = set(ids)
    sizes = np.array(
        [
            row[1:]
            for row in catalog.stream("SELECT id, width * height, bytes FROM samples ORDER BY id")
            if row[0] in active
        ],
        dtype=np.int64,
    ).reshape(-1, 2)
    leaves = np.array([reason is not None for reason in grouping.excluded], dtype=bool)
    people = np.array([humans[one] for one in ids], dtype=np.int64)
    order = np.lexsort((-sizes[:, 1], -sizes[:, 0], -people, leaves))  # stable: the smaller id wins what is left
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids))
    return rank


def _alike(ws: Workspace, ids: Sequence[str], tight: Rows) -> Alike:
    """Whether two rows show the same picture: hashes within the collapse radius, thumbnails equal to a few levels."""
    rows = np.flatnonzero(np.bincount(tight)[tight] > 1) if ids else np.arange(0)
    names = [ids[row] for row in rows.tolist()]
    words = hashes.read(ws, names).phash.view(np.uint64).ravel()
    thumbs = hashes.thumbs(ws, names)
    radius = ws.config.dedupe.collapse_radius

    def alike(left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
        a, b = np.searchsorted(rows, left), np.searchsorted(rows, right)
        same: npt.NDArray[np.bool_] = np.bitwise_count(words[a] ^ words[b]) <= radius
        close = np.flatnonzero(same)
        for at in range(0, len(close), _CHUNK):
            some = close[at : at + _CHUNK]
            same[some] = phash.same(thumbs[a[some]], thumbs[b[some]])
        return same

    return alike


# -- who contradicts whom --------------------------------------------------------------------------------------------


def _declared(ws: Workspace, ids: Sequence[str], near: Rows, grouping: Grouping) -> Iterator[Row]:
    """Groups in which sources declare different classes for samples that look alike; an album alone is no conflict."""
    at = {one: row for row, one in enumerate(ids)}
    for axis in ws.config.taxonomy.axes:
        sets: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for sample, labels in views.declared(ws.catalog, axis.name).items():
            if sample in at:
                sets[int(near[at[sample]])].update(labels)
        groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row, counts in sets.items():
            if len(counts) > 1:
                groups[grouping.names[row]].update(counts)
        for name, counts in groups.items():
            yield "declared", name, axis.name, f"sources declare {_listed(counts)}"


def _contradictions(ids: Sequence[str], survivor: Rows, judged: Judged) -> Iterator[Row]:
    """Collapse sets whose members people gave different labels."""
    for axis, labels in judged.items():
        sets: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for row, one in enumerate(ids) if labels else ():
            if one in labels:
                sets[int(survivor[row])][labels[one]] += 1
        names = _collapse(ids, survivor) if labels else []
        for row, counts in sets.items():
            if len(counts) > 1:
                yield "human", names[row], axis, f"people say {_listed(counts)}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} ({n})" for label, n in sorted(counts.items()))


# -- what is written -------------------------------------------------------------------------------------------------


def _collapse(ids: Sequence[str], survivor: Rows) -> list[str]:
    """The name of each row's collapse set: its smallest id, which stays when another member survives."""
    first = np.full(len(ids), len(ids), dtype=np.int64)
    np.minimum.at(first, survivor, np.arange(len(ids)))
    return [ids[row] for row in first[survivor]]


def _members(ids: Sequence[str], grouping: Grouping, survivor: Rows) -> list[Row]:
    survivors = (ids[row] for row in survivor)
    columns = (ids, grouping.names, _collapse(ids, survivor), survivors, grouping.splits, grouping.excluded)
    return list(zip(*columns, strict=True))


def _write(catalog: Catalog, members: list[Row], conflicts: list[Row]) -> None:
    """One transaction; rows that say what they said before are left alone."""
    old = {row[0]: tuple(row) for row in catalog.stream("SELECT * FROM members")}
    names = {row[0]: row[1] for row in catalog.stream("SELECT sample, grp FROM group_names")}
    noted = {tuple(row) for row in catalog.stream("SELECT kind, subject, axis, reason FROM conflicts")}
    floors = {row[0]: row[1] for row in catalog.stream("SELECT grp, split FROM floors")}
    changed = [row for row in members if old.pop(str(row[0]), None) != row]
    ours = {row for row in noted if row[0] in ("declared", "human")}
    with catalog.tx() as db:
        db.executemany("DELETE FROM members WHERE sample = ?", ((one,) for one in old))
        db.executemany("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?)", changed)
        db.executemany(
            "INSERT OR IGNORE INTO splits VALUES (?, ?, ?)", ((row[0], row[4], catalog.run) for row in changed)
        )
        db.executemany(
            "INSERT OR REPLACE INTO group_names VALUES (?, ?)",
            ((row[0], row[1]) for row in members if names.get(str(row[0])) != row[1]),
        )
        db.executemany("INSERT OR REPLACE INTO floors VALUES (?, ?)", _moved(floors, names, members).items())
        db.executemany(
            "DELETE FROM conflicts WHERE kind = ? AND subject = ? AND axis = ? AND reason = ?", ours - set(conflicts)
        )
        db.executemany(
            "INSERT INTO conflicts VALUES (?, ?, ?, ?, ?)",
            ((*row, catalog.run) for row in conflicts if row not in ours),
        )


def _moved(floors: Mapping[str, str], names: Mapping[str, str], members: list[Row]) -> dict[str, str]:
    """What a group owes to members that were taken down, under the name that it has now."""
    found: dict[str, str] = {}
    for one, name, *_ in members if floors else ():
        if (split := floors.get(names.get(str(one), ""))) is not None:
            known = found.get(str(name), floors.get(str(name), split))
            found[str(name)] = max(known, split, key=SPLITS.index)
    return found
