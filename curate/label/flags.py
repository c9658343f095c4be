"""The rule above every label model: what is declared or flagged not safe, no machine may call safe.

A source declares; a labelling function flags, by a vote that holds no safe class, and by failing: nobody knows what it
would have said. What either says of one member of a collapse set, which is one picture, it says of all. Only a person
who judged the very sample may say otherwise.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.records import Axis
from curate.store import columns, samples
from curate.store.taxonomies import harmless, renamed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.store.workspace import Workspace

ABSTAIN, FAILED = -1, -2  # beside places in `sets`: nothing to say; asked, and no answer came
LOUD = 0.02  # of the survivors: a function that alone keeps back more is named on a warning


def flags(votes: "np.ndarray", sets: "np.ndarray", safe: Sequence[bool]) -> "np.ndarray":
    """bool[n, m], which votes are for no safe class, or FAILED.

    votes int8[n, m], places in sets bool[s, k]; safe bool[k].
    """
    import numpy as np

    bad = np.append(~sets[:, np.array(safe, dtype=bool)].any(axis=1), [True, False])  # FAILED, ABSTAIN: the last places
    found: np.ndarray = bad[votes]
    return found


@dataclass(frozen=True)
class Accusations:
    """Who says that a sample, or one that it collapses with, is not safe: `flagged` bool[n, m] by function, `declared`
    bool[n]; a row each sample of the catalog, by id."""

    ids: "pa.Array"
    flagged: "np.ndarray"
    declared: "np.ndarray"

    def of(self, ids: "Sequence[str] | pa.Array") -> "Accusations":
        """Some of the rows, in the order of `ids`."""
        wanted = columns.texts(ids)
        rows = columns.rows(wanted, self.ids)
        return Accusations(wanted, self.flagged[rows], self.declared[rows])

    def without(self, columns: Collection[int]) -> "Accusations":
        """The same, but for what some functions say."""
        flagged = self.flagged.copy()
        flagged[:, list(columns)] = False
        return Accusations(self.ids, flagged, self.declared)

    def but(self, spared: "np.ndarray") -> "Accusations":
        """The same, but for the flags bool[n, m] that count for nothing."""
        return Accusations(self.ids, self.flagged & ~spared, self.declared)

    @property
    def any(self) -> "np.ndarray":
        """bool[n], whom no machine may call safe."""
        found: np.ndarray = self.declared | self.flagged.any(axis=1)
        return found

    def alone(self, column: int) -> "np.ndarray":
        """bool[n], where a function is the only one who says so."""
        found: np.ndarray = self.flagged[:, column] & (self.flagged.sum(axis=1) == 1) & ~self.declared
        return found


def accusations(
    ws: "Workspace",
    axis: Axis,
    ids: "Sequence[str] | pa.Array",
    flagged: "np.ndarray",
    sets: samples.Sets | None = None,
    declared: "pa.Array | None" = None,
) -> Accusations:
    """Who says what of every sample of the catalog, from the flags bool[n, m] of those that functions were asked about.

    A declared class that the axis does not call safe is not safe, one that it has not (any more) included. `sets`
    and `declared`: the catalog's collapse sets and what `declared_unsafe` gives, where they are known.
    """
    import numpy as np

    sets = sets or samples.collapse_sets(ws.catalog)
    own = np.zeros((len(sets.ids), flagged.shape[1] + 1), dtype=bool)
    asked = sets.rows(ids)
    here = asked >= 0  # what was taken down since is no more
    own[asked[here], :-1] = flagged[here]
    said = sets.rows(declared_unsafe(ws, axis) if declared is None else declared)
    own[said[said >= 0], -1] = True
    of_sets = np.zeros((sets.place.max(initial=-1) + 1, own.shape[1]), dtype=bool)
    rows, columns = np.nonzero(own)
    of_sets[sets.place[rows], columns] = True
    whole = of_sets[sets.place]
    return Accusations(sets.ids, whole[:, :-1], whole[:, -1])


def declared_unsafe(ws: "Workspace", axis: Axis) -> "pa.Array":
    """The samples that a source declares not safe, large_string, some of them twice."""
    safe = harmless(axis.safe, renamed(ws.catalog, axis.name, ws.config.taxonomy.version))
    return samples.declared_other(ws.catalog, axis.name, safe)


def withhold(probabilities: "np.ndarray", places: "np.ndarray", accused: "np.ndarray", safe: Sequence[bool]) -> None:
    """Apply the rule, in place: an accused row that is not given a class that is not safe is not given any (NaN).

    probabilities float64[n, k], places int[n] of their classes (-1: none), accused bool[n].
    """
    import numpy as np

    fine = np.append(np.array(safe, dtype=bool), True)  # -1, the last place: no class keeps nothing back
    probabilities[accused & fine[places]] = np.nan
