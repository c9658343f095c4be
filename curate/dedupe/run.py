"""`curate dedupe`: which samples are near-duplicates, in which split their group is, and which one of a set survives.

Two radii. Samples that one stage finds near (pHash and PDQ, mirrored and turned, with and without borders; embeddings
where asked for), those that have a frame in common, and those of one album, are a group: it has one split. Samples
within the collapse radius of every hash, whose thumbnails agree all over and whose detail lies in the same places, are
a collapse set: one survives. A black bar or a crop changes a thumbnail somewhere, a mosaic takes detail away, and the
label changes perhaps, so it shares a group and is not collapsed away.
"""

import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from curate.contracts import Engine, Labeler
from curate.dedupe import conflicts as contradictions
from curate.dedupe import given, received, sharing, similarity, ties
from curate.dedupe.animations import Animations
from curate.dedupe.conflicts import HumanLabels
from curate.dedupe.groups import (
    Alike,
    Grouping,
    Memory,
    Rows,
    assign,
    cluster_by_representative,
    merge_components,
    remembered_pairs,
)
from curate.dedupe.held_out import REASON, near_held_out, upright_only
from curate.dedupe.membership import Members, contested, write
from curate.dedupe.search import Stage, by_cosine, by_forms, by_hash, by_orientation, joined
from curate.dedupe.second_look import across
from curate.dedupe.sharing import Every
from curate.dedupe.similarity import HashArrays
from curate.dedupe.strata import Strata, classes_of
from curate.features import frames, hashes, scores
from curate.features.detail import DetailMaps
from curate.media import pdq, phash
from curate.plugins import fingerprint_of
from curate.progress import Progress
from curate.records import SPLITS
from curate.stats.coverage import over_some
from curate.store import eligibility, holds
from curate.store.catalog import Catalog
from curate.store.eligibility import UNHASHED
from curate.store.workspace import Workspace


@dataclass(frozen=True)
class Active:
    """Every sample that is neither held back nor taken down: ids, sorted, with their pixels, bytes and frames."""

    ids: list[str]
    pixels: Rows
    bytes: Rows
    frames: Rows

    @property
    def animated(self) -> dict[str, int]:
        """How many frames each has that has several."""
        return {self.ids[row]: int(self.frames[row]) for row in np.flatnonzero(self.frames > 1).tolist()}


@dataclass
class Near:
    """Component labels by all stages (int64[n]), what each took (s), and the corrupt parts they made again.

    The stages look at first frames: what these join looks alike as a whole.
    """

    labels: Rows
    seconds: dict[str, float] = field(default_factory=dict)
    rebuilt: list[str] = field(default_factory=list)

    def shared(self, every: Sequence[Every]) -> Rows:
        """Component labels where a frame after the first counts as well."""
        if not sharing.several(every):
            return self.labels
        started = time.monotonic()
        found = merge_components(self.labels, sharing.joined(every, self.labels))
        self.seconds["frames"] = time.monotonic() - started
        return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no cycles meanwhile: millions of rows hold none, and each search would visit them all."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@_uncollected()
def dedupe(
    ws: Workspace, engine: Engine, progress: Progress, embedder: Labeler | None = None, from_gate: bool = False
) -> dict[str, object]:
    """Group all samples that are not held back, remember names and splits, and note who contradicts whom.

    Hashes what has no hash yet; the rest is one transaction. `held` counts samples that are held back, and in no other
    figure here; `unhashed` those whose bytes cannot be read (they are near to nothing), `coverage` the others, which
    every question could be asked of; `rebuilt` names the parts of tables that were corrupt; `conflicts` counts groups
    and sets in which somebody contradicts somebody, `contested` the samples in them; `chained` counts the groups too
    wide for one part; `stages` says what each search took, in seconds; `split_from` what became of a file's splits.
    `from_gate`: what a release's second look confirms across splits is one group from now on; `from_gate` in the answer
    says how many pairs that were.
    """
    started = time.monotonic()
    rows_given = given.check(ws)  # now, and not after hours
    active = _active(ws.catalog)
    ids = active.ids
    asked = given.wanted(ws, ids, rows_given)
    done = hashes.complete(ws, ids, engine, progress)
    animated = frames.complete(ws, active.animated, engine, progress)
    if embedder is not None:
        scores.compute(ws, engine, [embedder], progress, "embed")
    with progress.stage("group", 4) as step:
        looks = _looks(ws, ids, embedder)
        every = sharing.every(ws, ids, looks)
        near = _near(ws, ids, looks, embedder)
        shared = near.shared(every)
        step()
        memory = _memory(ws.catalog, ids)
        second = across(ws, ids, memory.splits).pairs if from_gate else np.empty((0, 2), dtype=np.int64)
        groups = merge_components(
            shared,
            np.concatenate([ties.tied(ws, ids), received.tied(ws.catalog, ids), remembered_pairs(memory), second]),
        )
        judged = contradictions.judged(ws)
        tight = similarity.tight(looks, near.labels, ws.config.dedupe)
        strata = Strata(groups, classes_of(ws, ids, judged), tight == np.arange(len(ids)), memory.splits)
        grouping = assign(
            ids, groups, memory.beside(asked.splits), partial(strata.draw, ws.config.export.salt, given.shares(ws))
        )
        step()
        rows = similarity.several(tight)
        grains = DetailMaps(ws, [ids[row] for row in rows.tolist()], rows, engine, progress)
        animations = Animations(ws, ids, active.frames, engine, progress)
        one_picture = similarity.one_picture(ws, ids, looks, tight, grains, animations)
        barred = near_held_out(ws, ids, looks, every)
        survivor = cluster_by_representative(tight, _rank(active, barred | (grouping.merged >= 0), judged), one_picture)
        barred |= np.isin(survivor, survivor[barred])
        step()
        collapse = _collapse(ids, survivor)
        parts = _parts(ids, shared, sharing.alike(every, similarity.near(looks, ws.config.dedupe)))
        survivors = [ids[row] for row in survivor.tolist()]
        found = Members(ids, grouping, collapse, survivors, _excluded(grouping, barred, ~looks.hashed), parts.centres)
        disputes = contradictions.declared(ws, ids, near.labels, grouping.names)
        conflicts = [*disputes.conflicts, *contradictions.human(ids, collapse, judged)]
        write(ws.catalog, found, memory, conflicts, disputes.samples)
        step()
    unread = {*done.unhashed, *grains.unread, *animated.unread, *animations.unread}
    if embedder is not None:
        unread.update(scores.unread(ws, [embedder], ids))
    ties.warn_of_giants(groups)
    given.warn_of_others(ws, asked, grouping)
    if asked.lines:
        given.warn(from_file := given.report(asked, grouping))
    return {
        **over_some(len(ids), len(unread), partial(eligibility.nothing, ws.catalog)),
        "samples": len(ids),
        "held": len(holds.held(ws.catalog)),
        "groups": int((np.bincount(groups) > 1).sum()) if ids else 0,
        "chained": parts.groups,
        "duplicates": int((survivor != np.arange(len(ids))).sum()),
        "conflicts": len(conflicts),
        "contested": contested(ws.catalog),
        "held_out": int(barred.sum()),
        "held_out_upright": upright_only(ws),
        **({"split_from": from_file} if asked.lines else {}),
        **({"from_gate": len(second)} if from_gate else {}),
        "unhashed": len(done.unhashed),
        "void": done.void,
        "rebuilt": sorted({*done.rebuilt, *animated.rebuilt, *near.rebuilt, *grains.rebuilt, *animations.rebuilt}),
        "stages": {name: round(seconds, 3) for name, seconds in near.seconds.items()},
        "seconds": round(time.monotonic() - started, 3),
    }


# -- what is there ---------------------------------------------------------------------------------------------------


def _active(catalog: Catalog) -> Active:
    out = eligibility.inactive(catalog)
    sql = "SELECT id, width * height, bytes, frames FROM samples ORDER BY id"
    rows = [row for row in catalog.iterate_tuples(sql) if row[0] not in out]
    pixels, size, count = (np.fromiter((row[at] for row in rows), dtype=np.int64, count=len(rows)) for at in (1, 2, 3))
    return Active([row[0] for row in rows], pixels, size, count)


def _memory(catalog: Catalog, ids: Sequence[str]) -> Memory:
    received.remember(catalog)
    return Memory.from_remembered(
        ids,
        catalog.iterate_tuples("SELECT sample, grp FROM group_names"),
        catalog.iterate_tuples("SELECT sample, split FROM splits"),
        _minimum_splits(catalog),
    )


def _minimum_splits(catalog: Catalog) -> dict[str, str]:
    """The strongest split that a group had of members that are not here (taken down, or held back for a while), or that
    a release which was hydrated says of one that had another."""
    sql = "SELECT g.grp, s.split FROM group_names g JOIN splits s USING (sample) WHERE g.sample = ?"
    away = (one for sample in eligibility.inactive(catalog) for one in catalog.iterate_tuples(sql, (sample,)))
    found: dict[str, str] = {}
    for name, split in chain(catalog.iterate_tuples("SELECT grp, split FROM floors"), received.owed(catalog), away):
        found[name] = max(found.get(name, split), split, key=SPLITS.index)
    return found


# -- what is near ----------------------------------------------------------------------------------------------------


def _looks(ws: Workspace, ids: Sequence[str], embedder: Labeler | None) -> HashArrays:
    looks = HashArrays.from_workspace(ws, ids)
    if embedder is None:
        return looks
    name = next(name for name, kind in embedder.columns.items() if "[" in kind)
    vectors = scores.read(ws, embedder, ids)[name].astype(np.float32)
    vectors[~np.isfinite(vectors).all(axis=1)] = 0  # a vector of length 0 has no direction: it is near to nothing
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return replace(looks, vectors=vectors)


def _stages(ws: Workspace, looks: HashArrays, embedder: Labeler | None) -> Iterator[tuple[Stage, Rows]]:
    """What is asked, with the rows that have an answer."""
    config = ws.config.dedupe
    if config.by_phash:
        mark, told = f"{phash.fingerprint_of(hashes.side(ws))} {config.phash_quality}", looks.told
        rows = np.flatnonzero(told.any(axis=1))
        yield by_forms(phash.NAME, mark, looks.both, told, config.group_radius, turned=False), rows
        if config.orientations:
            yield by_forms("turned", mark, looks.signs, told, config.turned_radius, turned=True), rows
    mark, rows = f"{pdq.FINGERPRINT} {config.pdq_quality}", np.flatnonzero(looks.by_pdq)
    if config.by_pdq:
        yield by_hash(pdq.NAME, mark, looks.pdq, config.pdq_group_radius), rows
    if config.orientations and len(looks.lacking):
        yield by_orientation(mark, looks.pdq, looks.lacking, looks.turned, config.pdq_group_radius), rows
    if embedder is not None:
        yield (
            by_cosine(fingerprint_of(embedder), looks.vectors, config.cosine),
            np.flatnonzero(looks.vectors.any(axis=1)),
        )


def _near(ws: Workspace, ids: Sequence[str], looks: HashArrays, embedder: Labeler | None) -> Near:
    near = Near(np.arange(len(ids)))
    for stage, rows in _stages(ws, looks, embedder):
        started = time.monotonic()
        labels, rebuilt = joined(ws, stage, ids, rows)
        near.labels = merge_components(near.labels, np.stack([labels, np.arange(len(ids))], axis=1))
        near.rebuilt += rebuilt
        near.seconds[stage.name] = time.monotonic() - started
    return near


@dataclass(frozen=True)
class Parts:
    """Groups too wide for one part: how many, and the centre of each sample's part."""

    groups: int
    centres: dict[str, str]


def _parts(ids: Sequence[str], near: Rows, alike: Alike) -> Parts:
    """The smallest id of a component is a centre, and takes what is near to it; the smallest of the rest is next.

    So no part is wider than twice the radius. Components that are one part are left out.
    """
    labels = np.where(np.bincount(near, minlength=len(near))[near] > 2, near, np.arange(len(near)))
    centre = cluster_by_representative(labels, np.arange(len(ids)), alike)
    wide = np.zeros(len(ids), dtype=bool)
    wide[labels[centre != labels]] = True
    return Parts(int(wide.sum()), {ids[row]: ids[centre[row]] for row in np.flatnonzero(wide[labels]).tolist()})


# -- who survives, who leaves ----------------------------------------------------------------------------------------


def _rank(active: Active, leaves: npt.NDArray[np.bool_], judged: HumanLabels) -> Rows:
    """The order in which samples survive: those that stay, more axes judged by people, more pixels, more bytes, id."""
    humans = Counter(sample for labels in judged.values() for sample in labels)
    people = np.zeros(len(active.ids), dtype=np.int64)
    if humans:
        people += np.fromiter((humans[one] for one in active.ids), dtype=np.int64, count=len(active.ids))
    order = np.lexsort((-active.bytes, -active.pixels, -people, leaves))  # stable: the smaller id wins what is left
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _collapse(ids: Sequence[str], survivor: Rows) -> list[str]:
    """The name of each row's collapse set: its smallest id, which stays when another member survives."""
    first = np.full(len(ids), len(ids), dtype=np.int64)
    np.minimum.at(first, survivor, np.arange(len(ids)))
    return [ids[row] for row in first[survivor].tolist()]


def _excluded(grouping: Grouping, barred: npt.NDArray[np.bool_], unhashed: npt.NDArray[np.bool_]) -> list[str | None]:
    """Why each row leaves the next release: what nobody can compare with others goes before what is held out, and that
    before what met a stronger split."""
    reasons: list[str | None] = [None] * len(barred)
    for row in np.flatnonzero(grouping.merged >= 0).tolist():
        reasons[row] = f"merged_with_{SPLITS[grouping.merged[row]]}"
    for row in np.flatnonzero(barred).tolist():
        reasons[row] = REASON
    for row in np.flatnonzero(unhashed).tolist():
        reasons[row] = UNHASHED
    return reasons
