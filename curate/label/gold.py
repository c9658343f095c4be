"""What people said, as far as a label model may learn from it and functions be held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.label.final import contested
from curate.records import Axis
from curate.store import columns, views
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True)
class Gold:
    """`classes` int8[n], the place of the class that people gave of each sample itself, -1 for nothing; and of how many
    samples people contradict each other, over copies of one picture: these say nothing. `waiting`: how many say nothing
    yet, as dedupe has not said whether they are of the test split."""

    classes: "np.ndarray"
    contradicted: int
    waiting: int = 0


def gold(ws: Workspace, axis: Axis, ids: "Sequence[str] | pa.Array") -> Gold:
    """What people said of each survivor itself.

    What is of the test split, near to what is, or of none yet, counts for nothing: functions are tuned by the report,
    and label models trained, and neither must be by what models are measured on. Nor does what people judged because
    the machine was unsure of it: on that it looks worse than it is.
    """
    import numpy as np

    ids = columns.texts(ids)
    taxonomy = ws.config.taxonomy.version
    humans = views.humans(ws.catalog, axis.name, taxonomy, axis.classes)
    left_out = views.selected_by_model(ws.catalog, axis.name, taxonomy)
    own = {name: one.label for name, one in humans.items() if not one.carried and name not in left_out}
    doubtful = own.keys() & set(contested(ws, axis)) if own else set()
    found = _places(axis, {name: label for name, label in own.items() if name not in doubtful}, ids)
    deduped = columns.among(_members(ws)["sample"], ids)
    waiting = int(((found >= 0) & ~deduped).sum())
    contradicted = int(columns.among(list(doubtful), ids).sum())
    return Gold(np.where(may_train(ws, ids), found, np.int8(-1)), contradicted, waiting)


def people(ws: Workspace, axis: Axis, ids: "pa.Array") -> "np.ndarray":
    """int8[n], what people said of each sample itself, in whatever queue; -1 for nothing, for what they contradict each
    other about, and for what is not known to be out of the test split."""
    import numpy as np

    humans = views.humans(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    own = {name: one.label for name, one in humans.items() if not one.carried}
    doubtful = set(contested(ws, axis)) if own else set()
    found = _places(axis, {name: label for name, label in own.items() if name not in doubtful}, ids)
    return np.where(may_train(ws, ids), found, np.int8(-1))


def _places(axis: Axis, said: Mapping[str, str], ids: "pa.Array") -> "np.ndarray":
    """int8[n], the places of the classes that are said of some of `ids`; -1: nothing is."""
    import numpy as np

    found, at = np.full(len(ids), -1, dtype=np.int8), columns.rows(columns.texts(list(said)), ids)
    places = np.array([axis.classes.index(label) for label in said.values()], dtype=np.int8)
    found[at[at >= 0]] = places[at >= 0]
    return found


def may_train(ws: Workspace, ids: "pa.Array") -> "np.ndarray":
    """bool[n], what is of a split, and neither of the test split nor near to what is, or to what is held out: dedupe
    says so."""
    asked = "split IN ('train', 'val') AND excluded IS NULL"
    return columns.among(_members(ws, where=((asked, ()),))["sample"], ids)


def groups(ws: Workspace, ids: "Sequence[str] | pa.Array") -> "np.ndarray":
    """int32[n], the number of each sample's near-duplicate group; what dedupe has not seen is a group of its own."""
    import numpy as np
    import pyarrow.compute as pc

    ids = columns.texts(ids)
    known = columns.align(_members(ws, grp="grp"), "sample", ids)["grp"]
    names = pc.coalesce(known, ids).dictionary_encode()
    order = np.empty(len(names.dictionary), dtype=np.int32)
    order[pc.sort_indices(names.dictionary).to_numpy()] = np.arange(len(order))
    found: np.ndarray = order[names.indices.to_numpy()]
    return found


def _members(ws: Workspace, where: Sequence[tuple[str, Sequence[str]]] = (), **more: str) -> "dict[str, pa.Array]":
    """What dedupe has seen, and columns of that."""
    with ws.catalog.reading() as db:
        return columns.read(db, columns.Scan({"sample": "sample", **more}, "members", "sample", where=where))


def agreement(places: "np.ndarray", gold: "np.ndarray") -> dict[str, object]:
    """Weak labels beside people's: `n` survivors with gold, `labelled` of them; accuracy over those, and its mean over
    the classes that people gave (null where there are none)."""
    import numpy as np

    both = (gold >= 0) & (places >= 0)
    right = places[both] == gold[both]
    each = [right[gold[both] == place].mean() for place in np.unique(gold[both])]
    return {
        "n": int((gold >= 0).sum()),
        "labelled": int(both.sum()),
        "accuracy": round(float(right.mean()), 4) if len(right) else None,
        "macro_accuracy": round(float(np.mean(each)), 4) if each else None,
    }
