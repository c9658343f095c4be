"""`curate dedupe --explain ID`: why a sample is in its group, what is nearest to it, and why another one survives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curate import hashes, sharing
from curate.errors import UsageError
from curate.likeness import FLAT, Looks
from curate.media import pdq, phash
from curate.sharing import Every
from curate.store import lookup, views
from curate.store.workspace import Workspace

NEAREST = 10  # members of the group that are named, the nearest first
SHORT = 12  # digits of an id as it is said
TURNS = ("upright", "turned 90°", "turned 180°", "turned 270°", "mirrored in x", "mirrored in y", "transposed",
         "transversed")  # fmt: skip
# What decides who survives, in this order; docs/dedupe.md.
ORDER = ("stays in its split", "axes judged by people", "pixels", "bytes")

Ids = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """One group's members by id, with their hashes: phash uint8[n, 8], pdq uint8[n, 8, 32], and whether they tell."""

    ids: list[str]
    phash: npt.NDArray[np.uint8]
    by_phash: npt.NDArray[np.bool_]
    pdq: npt.NDArray[np.uint8]
    by_pdq: npt.NDArray[np.bool_]
    albums: dict[str, frozenset[tuple[str, str]]]
    radii: tuple[int, int]
    turned: bool  # whether mirrors and quarter turns are searched for
    every: tuple[Every, ...]  # what is compared frame by frame

    @classmethod
    def of(cls, ws: Workspace, ids: list[str]) -> "Group":
        """Read the members' hashes."""
        found, turned = hashes.read(ws, ids), hashes.read_pdq(ws, ids)
        config = ws.config.dedupe
        by_phash = found.known & (found.quality >= config.phash_quality) & config.by_phash
        by_pdq = turned.tells(config.pdq_quality) & (found.quality >= FLAT) & config.by_pdq
        radii = (config.group_radius, config.pdq_group_radius)
        every = sharing.every(ws, ids, Looks.of(ws, ids))
        return cls(
            ids, found.phash, by_phash, turned.hashes, by_pdq, _albums(ws, ids), radii, config.orientations, every
        )

    def bits(self, row: int) -> tuple[Bits, Bits, Bits]:
        """How far each member is from one of them: pHash int64[n], PDQ upright int64[n], PDQ int64[n, 8] by turn."""
        by_phash = _apart(self.phash[row], self.phash)
        turns = _apart(self.pdq[row, 0], self.pdq)
        return by_phash, turns[:, 0], turns

    def steps(self, row: int) -> npt.NDArray[np.bool_]:
        """Which members one step leads to: within a radius, or of the same album: bool[n]."""
        by_phash, by_pdq, turns = self.bits(row)
        found = (by_phash <= self.radii[0]) & self.by_phash & self.by_phash[row]
        near = turns.min(axis=1) if self.turned else by_pdq
        found = found | ((near <= self.radii[1]) & self.by_pdq & self.by_pdq[row])
        for one in self.every if sharing.several(self.every) else ():
            found[one.beside(row)] = True
        mine = self.albums.get(self.ids[row], frozenset())
        if mine:
            found = found | np.array([bool(mine & self.albums.get(one, frozenset())) for one in self.ids])
        return np.asarray(found)

    def how(self, left: int, right: int) -> str:
        """How two members are alike, in words."""
        by_phash, by_pdq, turns = (one[right] for one in self.bits(left))
        said = []
        if self.by_phash[left] and self.by_phash[right]:
            said.append(f"pHash {by_phash} of {phash.BITS}")
        if self.by_pdq[left] and self.by_pdq[right]:
            best = int(turns.argmin())
            said.append(f"PDQ {by_pdq} of {pdq.BITS}" + (f" ({turns[best]} {TURNS[best]})" if best else ""))
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

    Raises UsageError where the name means no sample, or more than one, and where dedupe has not seen it.
    """
    sample = lookup.one(ws.catalog, name)
    row = ws.catalog.rows("SELECT * FROM members WHERE sample = ?", (sample,))
    if sample in views.held(ws.catalog):
        raise UsageError(f"{sample[:SHORT]}: held back; what is held back is in no group")
    if not row:
        raise UsageError(f"{sample[:SHORT]}: dedupe has not seen it; run `curate dedupe`")
    me = dict(row[0])
    members = [
        one[0] for one in ws.catalog.rows("SELECT sample FROM members WHERE grp = ? ORDER BY sample", (me["grp"],))
    ]
    group = Group.of(ws, members)
    place = members.index(sample)
    sets = ws.catalog.rows("SELECT sample FROM members WHERE collapse = ? ORDER BY sample", (me["collapse"],))
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
    found = {one: frozenset((row[0], row[1]) for row in ws.catalog.rows(sql, (one,))) for one in ids}
    return {one: albums for one, albums in found.items() if albums}


def _nearest(group: Group, place: int) -> list[dict[str, Any]]:
    """The nearest members: as a share of the radius, by the hash that says more."""
    by_phash, by_pdq, turns = group.bits(place)
    far = np.full(len(group.ids), np.inf)
    nearer = turns.min(axis=1) if group.turned else by_pdq
    for bits, told, radius in ((by_phash, group.by_phash, group.radii[0]), (nearer, group.by_pdq, group.radii[1])):
        told_both = told & told[place]
        far[told_both] = np.minimum(far[told_both], bits[told_both] / max(radius, 1))
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
        why = "it survives" + (f" of {len(members)}" if len(members) > 1 else ": nothing shows the same picture")
        return {"sample": me["survivor"], "why": why}
    for name, a, b in zip(ORDER, best, mine, strict=True):
        if a != b:
            return {"sample": me["survivor"], "why": f"{name}: {a:,} against {b:,}"}
    return {"sample": me["survivor"], "why": "all else equal, the smaller id"}


def _rank(ws: Workspace, sample: str) -> tuple[int, int, int, int]:
    """What decides, the larger the better."""
    row = ws.catalog.rows(
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
    rows = ws.catalog.rows("SELECT kind, subject, axis, reason FROM conflicts ORDER BY kind, subject, axis")
    return [{"kind": row[0], "axis": row[2], "reason": row[3]} for row in rows if row[1] in names]


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same, for people."""
    group, survives = found["group"], found["survives"]
    yield f"sample     {found['sample'][:SHORT]}"
    leaves = f", and leaves the next release: {group['leaves']}" if group["leaves"] else ""
    yield f"group      {group['name'][:SHORT]}, {group['samples']:,} samples, split {group['split']}{leaves}"
    for n, one in enumerate(found["nearest"]):
        direct = "" if one["direct"] else "  (not within a radius: through others)"
        yield f"{'' if n else 'nearest':<11}{one['sample'][:SHORT]}  {one['how']}{direct}"
    for n, one in enumerate(found["path"]):
        yield f"{'' if n else 'path':<11}{one['from'][:SHORT]} -> {one['to'][:SHORT]}  {one['how']}"
    end = found["path"][-1]["to"] if found["path"] else found["sample"]
    if group["samples"] > 1 and end != group["name"]:
        yield f"{'':<11}from there embeddings, or what an earlier run united, lead on to {group['name'][:SHORT]}"
    same = f"{found['collapse']['samples']:,} show the same picture"
    yield f"collapse   {same}; {survives['sample'][:SHORT]} survives: {survives['why']}"
    for one in found["conflicts"]:
        yield f"conflict   {one['axis']}: {one['reason']} ({one['kind']})"
