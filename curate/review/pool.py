"""What people may be asked about on one axis: survivors, in a random order that the seed and their ids alone decide."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from curate.contracts import AuditedPool, CandidatePool
from curate.errors import UsageError
from curate.features.embeddings import embeddings
from curate.features.scores import numbers
from curate.label import table
from curate.label.estimate.frame import digest, survivors
from curate.label.final import CONTRADICTED, Labels, labels
from curate.label.gold import groups
from curate.records import Axis
from curate.store import clusters, samples, views
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Frame:
    """The pool, how many samples were left out of it and why, a digest of its ids, and the labels that there are."""

    pool: CandidatePool
    left_out: Mapping[str, int]
    sha256: str
    called: Mapping[str, str]


def frame(ws: Workspace, axis: Axis, seed: str) -> Frame:
    """Every survivor that a release could hold, in a random order: labelled or not, of every split.

    Left out is what is held, collapsed into another one, shut out by a stronger split, or may depict minors (it or
    anything in its group): a queue that may hold what is not safe shows none of these beside it.
    """
    import numpy as np

    ids, left_out = survivors(ws)
    ids.sort(key=lambda one: hashlib.sha256(f"{seed}\0{one}".encode()).digest())
    weak = _Weak.read(ws, axis, ids)
    safe = [name in axis.safe for name in axis.classes]
    judged = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version)
    known = labels(ws, axis)
    drawn = clusters.clusters(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    sure, mixed = clusters.carried(drawn), clusters.parted(drawn)
    contradicted = np.array([known.withheld.get(one) == CONTRADICTED for one in ids], dtype=bool)
    weak.probabilities[contradicted] = np.nan
    pool = AuditedPool(
        samples=ids,
        probabilities=weak.probabilities,
        votes=weak.votes,
        sets=weak.sets,
        unsafe=1 - weak.probabilities[:, safe].sum(axis=1),
        contradicted=contradicted,
        contested=_contested(ws, axis, ids, judged),
        judged=np.array([one in judged or one in sure for one in ids], dtype=bool),
        embeddings=embeddings(ws, ws.config, ids),
        out_of_fold=weak.held_out,
        given=_given(ws, axis, known, weak, ids),
        groups=groups(ws, ids),
        scores=numbers(ws, ws.config, ids),
        split=np.array([mixed.get(one, -1) for one in ids], dtype=np.int32),
        audited=_audited(ws, axis, ids),
    )
    return Frame(pool, left_out, digest(ids), {name: one.name for name, one in known.by_sample.items()})


def _audited(ws: Workspace, axis: Axis, ids: Sequence[str]) -> "np.ndarray | None":
    """What people said in earlier audits: the pilot of the next one. None where nobody did, or all could not tell."""
    import numpy as np

    said = {
        one.sample: int(one.label not in axis.safe)
        for one in views.audited(ws.catalog, axis.name, ws.config.taxonomy.version)
        if one.label in axis.classes
    }
    return np.array([said.get(one, -1) for one in ids], dtype=np.int8) if said else None


@dataclass(frozen=True)
class _Weak:
    """What the label model, the functions and the bootstrap say, rows as asked; None where there was no bootstrap."""

    probabilities: "np.ndarray"
    votes: "np.ndarray"
    sets: "np.ndarray"
    held_out: "np.ndarray | None" = None
    before: "Sequence[str | None] | None" = None

    @classmethod
    def read(cls, ws: Workspace, axis: Axis, ids: Sequence[str]) -> "_Weak":
        import numpy as np

        weak = table.read(ws, axis)
        k = len(axis.classes)
        if weak is None:
            if table.report(ws, axis) is not None:
                raise UsageError("the weak labels are gone, or an older curate made them; run `curate label` again")
            return cls(np.full((len(ids), k), np.nan), np.full((len(ids), 0), -1, np.int8), np.eye(k, dtype=bool))
        if list(weak.classes) != list(axis.classes):
            raise UsageError(f"the weak labels on axis {axis.name} are of other classes; run `curate label` again")
        at = {name: place for place, name in enumerate(weak.ids)}
        rows = np.array([at.get(name, -1) for name in ids], dtype=np.int64)  # -1: not labelled yet, the last row
        blank = np.full((1, k), np.nan), np.full((1, weak.votes.shape[1]), -1, dtype=np.int8)
        probabilities, votes = np.vstack([weak.probabilities, blank[0]]), np.vstack([weak.votes.clip(-1), blank[1]])
        found = cls(probabilities[rows], votes[rows], weak.members())
        if (taught := weak.taught) is None:
            return found
        before = [taught.before[row] if row >= 0 else None for row in rows.tolist()]
        return replace(found, held_out=np.vstack([taught.held_out, blank[0]])[rows], before=before)


def _given(ws: Workspace, axis: Axis, known: Labels, weak: _Weak, ids: Sequence[str]) -> "np.ndarray | None":
    """int8[n], what people, else the label model, said, -1 for nothing; None where there is nothing to hold against it.

    What people said of test samples is left out: to ask again where a classifier thinks otherwise would bend what it is
    measured on towards it.
    """
    import numpy as np

    if weak.before is None:
        return None
    test = {row[0] for row in ws.catalog.iterate_tuples("SELECT sample FROM members WHERE split = 'test'")}
    at: dict[str | None, int] = {name: place for place, name in enumerate(axis.classes)}
    found = np.array([at.get(name, -1) for name in weak.before], dtype=np.int8)
    for row, name in enumerate(ids):
        if (one := known.by_sample.get(name)) is not None and one.source == "human":
            found[row] = -1 if name in test else at[one.name]
    return found


def _contested(ws: Workspace, axis: Axis, ids: Sequence[str], judged: Mapping[str, Counter[str]]) -> "np.ndarray":
    """2: people contradict each other about it or a duplicate, or could not tell; 1: sources do; 0: nobody does."""
    import numpy as np

    rows = ws.catalog.all("SELECT subject FROM conflicts WHERE kind = 'human' AND axis = ?", (axis.name,))
    human, disputed = {row[0] for row in rows}, samples.disputed(ws.catalog, axis.name)
    collapse = {row[0]: row[1] for row in ws.catalog.iterate("SELECT sample, collapse FROM members")}
    settled = views.precedents(ws.catalog, axis.name, ws.config.taxonomy.version)
    found = np.zeros(len(ids), dtype=np.int8)
    for n, name in enumerate(ids):
        if name in settled:
            continue
        if collapse.get(name, name) in human or _open(judged.get(name), axis):
            found[n] = 2
        elif name in disputed:
            found[n] = 1
    return found


def _open(counts: Counter[str] | None, axis: Axis) -> bool:
    """Whether people judged it and their answers do not agree on a class."""
    return counts is not None and (views.consensus(counts, axis.classes) is None or len(counts) > 1)
