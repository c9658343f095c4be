"""`curate dedupe --explain ID`: why a sample is in its group, what is nearest to it, and why another one survives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.config import DedupeConfig
from curate.dedupe import sharing
from curate.dedupe.sharing import Every
from curate.dedupe.similarity import EVERY, HashArrays
from curate.errors import UsageError
from curate.media import pdq, phash
from curate.near import turns
from curate.store import holds, lookup, views
from curate.store.workspace import Workspace

NEAREST = 10  # members of the group that are named, the nearest first
SHORT = 12  # digits of an id as it is said
TURNS = ("upright", "turned 90°", "turned 180°", "turned 270°", "mirrored top to bottom",
         "mirrored left to right", "mirrored in its diagonal", "mirrored in its other diagonal")  # fmt: skip
# What decides who survives, in this order; docs/dedupe.md.
ORDER = ("stays in its split", "axes judged by people", "pixels", "bytes")

Ids = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """How far one member is from all, by one hash in one way: bits, inf where it says nothing of one of the two."""

    name: str
    of: int
    radius: int
    way: str  # how the other one is turned, and whether a border was taken off; "" for upright and whole
    bits: npt.NDArray[np.float64]

    @property
    def share(self) -> npt.NDArray[np.float64]:
        """Of the radius: near from 1 down."""
        return self.bits / max(self.radius, 1) if self.radius else np.where(self.bits > 0, np.inf, 0.0)


@dataclass(frozen=True)
class Group:
    """One group's members by id, with their hashes and albums."""

    ids: list[str]
    looks: HashArrays
    albums: dict[str, frozenset[tuple[str, str]]]
    config: DedupeConfig
    every: tuple[Every, ...]  # what is compared frame by frame

    @classmethod
    def from_samples(cls, ws: Workspace, ids: list[str]) -> "Group":
        """Read the members' hashes."""
        looks = HashArrays.from_workspace(ws, ids)
        return cls(ids, looks, _albums(ws, ids), ws.config.dedupe, sharing.every(ws, ids, looks))

    def measures(self, row: int) -> list[Measure]:
        """How far each member is from one of them, in every way that dedupe asks: upright pHash and PDQ first."""
        looks, config = self.looks, self.config
        found = []
        for mine, theirs in np.ndindex(2, 2):
            told = looks.told[row, mine] & looks.told[:, theirs]
            bare = "without a border" if mine or theirs else ""
            bits = np.where(told, _apart(looks.both[row, mine], looks.both[:, theirs]), np.inf)
            found.append(Measure("pHash", phash.BITS, config.group_radius, bare, bits))
            for turn in EVERY if config.orientations else ():
                others = turns.turned(looks.signs[:, theirs], turn)
                bits = np.where(told, _apart(looks.signs[row, mine], others), np.inf)
                way = ", ".join(filter(None, (TURNS[turn] if turn else "by signs", bare)))
                found.append(Measure("pHash", phash.BITS, config.turned_radius, way, bits))
        told = looks.by_pdq[row] & looks.by_pdq
        radius, upright = config.pdq_group_radius, _apart(looks.pdq[row], looks.pdq)
        found.insert(1, Measure("PDQ", pdq.BITS, radius, "", np.where(told, upright, np.inf)))
        asked = np.zeros((len(self.ids), pdq.ORIENTATIONS))
        asked[:] = np.inf
        asked[looks.lacking] = _apart(looks.pdq[row], looks.turned)
        place = np.searchsorted(looks.lacking, row)
        if place < len(looks.lacking) and looks.lacking[place] == row:
            asked = np.minimum(asked, _apart(looks.turned[place], looks.pdq[:, None]))
        for turn in range(1, pdq.ORIENTATIONS):
            found.append(Measure("PDQ", pdq.BITS, radius, TURNS[turn], np.where(told, asked[:, turn], np.inf)))
        return found

    def steps(self, row: int) -> npt.NDArray[np.bool_]:
        """Which members one step leads to: within a radius, or of the same album: bool[n]."""
        found = np.any([one.share <= 1 for one in self.measures(row)], axis=0)
        for one in self.every if sharing.several(self.every) else ():
            found[one.beside(row)] = True
        mine = self.albums.get(self.ids[row], frozenset())
        if mine:
            found = found | np.array([bool(mine & self.albums.get(one, frozenset())) for one in self.ids])
        return np.asarray(found)

    def how(self, left: int, right: int) -> str:
        """How two members are alike, in words: each hash upright, and the way in which it is nearer than that."""
        said, measures = [], self.measures(left)
        for upright in measures[:2]:
            if upright.bits[right] == np.inf:
                others = [one for one in measures[2:] if one.name == upright.name and one.bits[right] < np.inf]
                best = min(others, key=lambda one: float(one.share[right]), default=None)
                if best is not None:
                    said.append(f"{best.name} {best.bits[right]:.0f} of {best.of} ({best.way})")
                continue
            best = min((one for one in measures if one.name == upright.name), key=lambda one: float(one.share[right]))
            nearer = f" ({best.bits[right]:.0f} {best.way})" if best.way else ""
            said.append(f"{upright.name} {upright.bits[right]:.0f} of {upright.of}{nearer}")
        for one in self.every:
            bits, mine, theirs = one.closest(left, right) or (0, 0, 0)
            if mine or theirs:
                said.append(f"{one.name} {bits} of {8 * one.hashes.shape[1]} ({_frame(mine)} beside {_frame(theirs)})")
        if self.albums.get(self.ids[left], frozenset()) & self.albums.get(self.ids[right], frozenset()):
            said.append("one album")
        return ", ".join(said) or "neither hash says anything of one of them"


def _frame(number: int) -> str:
    return f"frame {number + 1}"


def _apart(one: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]) -> Bits:
    return np.asarray(np.bitwise_count(one ^ others).sum(axis=-1, dtype=np.int64))


def explain(ws: Workspace, name: str) -> dict[str, Any]:
    """Everything that dedupe says of one sample, named in any way that `lookup` knows. Names no URL.

    Of a candidate that is no sample, only what became of it. Raises UsageError where the name means nothing, or more
    than one sample, and where dedupe has not seen it.
    """
    if fate := lookup.fate(ws.catalog, name):
        return fate
    sample = lookup.one(ws.catalog, name)
    row = ws.catalog.all("SELECT * FROM members WHERE sample = ?", (sample,))
    if sample in holds.held(ws.catalog):
        raise UsageError(f"{sample[:SHORT]}: held back; what is held back is in no group")
    if not row:
        raise UsageError(f"{sample[:SHORT]}: dedupe has not seen it; run `curate dedupe`")
    me = dict(row[0])
    members = [
        one[0] for one in ws.catalog.all("SELECT sample FROM members WHERE grp = ? ORDER BY sample", (me["grp"],))
    ]
    group = Group.from_samples(ws, members)
    place = members.index(sample)
    sets = ws.catalog.all("SELECT sample FROM members WHERE collapse = ? ORDER BY sample", (me["collapse"],))
    return {
        "sample": sample,
        "group": {"name": me["grp"], "samples": len(members), "split": me["split"], "leaves": me["excluded"]},
        "nearest": _nearest(group, place),
        "path": _path(group, place),
        "collapse": {"name": me["collapse"], "samples": len(sets), "survivor": me["survivor"]},
        "survives": _survives(ws, me, [one[0] for one in sets]),
        "conflicts": _conflicts(ws, {me["grp"], me["collapse"]}),
    }


def _albums(ws: Workspace, ids: Sequence[str]) -> dict[str, frozenset[tuple[str, str]]]:
    sql = (
        "SELECT m.source, m.album FROM mentions m JOIN candidates c USING (candidate)"
        " WHERE c.sample = ? AND m.album IS NOT NULL"
    )
    found = {one: frozenset((row[0], row[1]) for row in ws.catalog.all(sql, (one,))) for one in ids}
    return {one: albums for one, albums in found.items() if albums}


def _nearest(group: Group, place: int) -> list[dict[str, Any]]:
    """The nearest members: as a share of the radius, by the hash that says more."""
    far = np.min([one.share for one in group.measures(place)], axis=0)
    for one in group.every if sharing.several(group.every) else ():
        for row in one.beside(place).tolist():
            closest = one.closest(place, row)
            far[row] = min(far[row], closest[0] / max(one.radius, 1) if closest else np.inf)
    order = [row for row in np.argsort(far, kind="stable").tolist() if row != place][:NEAREST]
    return [{"sample": group.ids[row], "how": group.how(place, row), "direct": bool(far[row] <= 1)} for row in order]


def _path(group: Group, place: int) -> list[dict[str, Any]]:
    """The steps from a sample to the one that its group is named after, or as near to it as steps lead: a way of
    fewest steps. It ends early where embeddings or an earlier run united what no hash does, or the name's bearer left.
    """
    before = np.full(len(group.ids), -1, dtype=np.int64)
    before[place], edge = place, [place]
    while edge and before[0] < 0:
        following = []
        for row in edge:
            new = np.flatnonzero(group.steps(row) & (before < 0))
            before[new] = row
            following += new.tolist()
        edge = following
    end = int(np.flatnonzero(before >= 0)[0])
    way = [end]
    while way[-1] != place:
        way.append(int(before[way[-1]]))
    way.reverse()
    return [{"from": group.ids[a], "to": group.ids[b], "how": group.how(a, b)} for a, b in pairwise(way)]


def _survives(ws: Workspace, me: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
    """Who survives, and the first thing by which the survivor goes before this sample."""
    ranks = {one: _rank(ws, one) for one in {me["sample"], me["survivor"]}}
    mine, best = ranks[me["sample"]], ranks[me["survivor"]]
    if me["sample"] == me["survivor"]:
        why = f"the best of {len(members)}" if len(members) > 1 else "nothing else shows the same picture"
        return {"sample": me["survivor"], "why": why}
    for name, a, b in zip(ORDER, best, mine, strict=True):
        if a != b:
            return {"sample": me["survivor"], "why": f"{name}: {a:,} against {b:,}"}
    return {"sample": me["survivor"], "why": "all else equal, the smaller id"}


def _rank(ws: Workspace, sample: str) -> tuple[int, int, int, int]:
    """What decides, the larger the better."""
    row = ws.catalog.all(
        "SELECT width * height, bytes, excluded IS NULL FROM samples LEFT JOIN members ON sample = id WHERE id = ?",
        (sample,),
    )[0]
    taxonomy = ws.config.taxonomy
    people = 0
    for axis in taxonomy.axes:
        counts = views.votes(ws.catalog, axis.name, taxonomy.version).get(sample)
        people += counts is not None and views.consensus(counts, axis.classes) is not None
    return int(row[2]), people, int(row[0]), int(row[1])


def _conflicts(ws: Workspace, names: set[str]) -> list[dict[str, str]]:
    rows = ws.catalog.all("SELECT kind, subject, axis, reason FROM conflicts ORDER BY kind, subject, axis")
    return [{"kind": row[0], "axis": row[2], "reason": row[3]} for row in rows if row[1] in names]


def _count(samples: int) -> str:
    return f"{samples:,} sample{'' if samples == 1 else 's'}"


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same, for people."""
    if "state" in found:
        detail = f" ({found['detail']})" if found["detail"] else ""
        yield f"{found['state']}: {found['reason']}{detail}" if found["reason"] else found["state"]
        return
    group, survives = found["group"], found["survives"]
    yield f"sample     {found['sample'][:SHORT]}"
    leaves = f", and leaves the next release: {group['leaves']}" if group["leaves"] else ""
    yield f"group      {group['name'][:SHORT]}, {_count(group['samples'])}, split {group['split']}{leaves}"
    for n, one in enumerate(found["nearest"]):
        direct = "" if one["direct"] else "  (not within a radius: through others)"
        yield f"{'' if n else 'nearest':<11}{one['sample'][:SHORT]}  {one['how']}{direct}"
    for n, one in enumerate(found["path"]):
        yield f"{'' if n else 'path':<11}{one['from'][:SHORT]} -> {one['to'][:SHORT]}  {one['how']}"
    end = found["path"][-1]["to"] if found["path"] else found["sample"]
    if group["samples"] > 1 and end != group["name"]:
        yield f"{'':<11}from there embeddings, or what an earlier run united, lead on to {group['name'][:SHORT]}"
    several = found["collapse"]["samples"]
    same = f"{several:,} show the same picture; {survives['sample'][:SHORT]} survives: " if several > 1 else ""
    yield f"collapse   {same}{survives['why']}"
    for one in found["conflicts"]:
        yield f"conflict   {one['axis']}: {one['reason']} ({one['kind']})"
