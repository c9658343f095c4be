"""Which samples count: the active ones, the survivors among them, and why a sample is in no release.

The one definition that every stage uses. A sample is *active* unless it is held, withheld or taken down. It *survives*
where it is active and nothing says that it shows the same picture as a better one: before `dedupe` has looked at it, it
survives. It is *released* where it survives, dedupe has seen it and lets it in, and it has a label (`unreleased`).
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.store import columns, holds, lost
from curate.store.catalog import Catalog

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HELD, GONE = "quarantined", "taken_down"
NOT_DEDUPED, DUPLICATE = "not_deduped", "duplicate"
UNHASHED = "unhashed"  # dedupe could make no hash of it, so nobody can say whether it is in another split, too


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one sample stands; `held` says why it counts nowhere, `excluded` why dedupe lets it in no release."""

    id: str
    held: str | None
    deduped: bool
    duplicate: bool
    excluded: str | None

    @property
    def survives(self) -> bool:
        """Whether it is what stages work on: labelled, reported, counted."""
        return self.held is None and not self.duplicate

    @property
    def reason(self) -> str | None:
        """Why it is in no release whatever its label is; None where its label decides."""
        if self.held is not None:
            return self.held
        if not self.deduped:
            return NOT_DEDUPED
        return DUPLICATE if self.duplicate else self.excluded


def unreleased(one: Standing, labelled: bool, withheld: str | None, shows_minors: bool) -> str | None:
    """Why a sample is not in the next release, or None; one reason a sample, the first that holds.

    `withheld`: why it has no label though somebody says something of it; `shows_minors`: it may, and is not safe.
    """
    if one.reason is not None or withheld is not None:
        return one.reason or withheld
    if not labelled:
        return "unlabelled"
    return "may_depict_minors" if shows_minors else None


def inactive(catalog: Catalog) -> dict[str, str]:
    """Every stored sample that counts nowhere, with the reason: quarantined, withheld and why, taken down."""
    found = dict.fromkeys(holds.held(catalog), HELD) | holds.withheld(catalog)
    return found | {row[0]: GONE for row in catalog.all("SELECT sample FROM removing")}


def standings(catalog: Catalog) -> Iterator[Standing]:
    """Every stored sample, by id."""
    held = inactive(catalog)
    for one, survivor, excluded in catalog.iterate_tuples(_STANDINGS):
        yield Standing(one, held.get(one), survivor is not None, survivor not in (None, one), excluded)


def active(catalog: Catalog) -> "tuple[pa.Array, np.ndarray]":
    """The ids of all that are active, sorted, large_string[n], and which of them survive, bool[n]."""
    import pyarrow.compute as pc

    with catalog.reading() as db:
        ids = columns.read(db, columns.Scan({"id": "id"}, "samples", "id"))["id"]
        members = columns.read(db, columns.Scan({"sample": "sample", "other": _OTHER}, "members", "sample"))
    other = columns.align(members, "sample", ids)["other"].fill_null("")
    counts = ~columns.among(list(inactive(catalog)), ids)
    survives: np.ndarray = pc.equal(other, "").to_numpy(zero_copy_only=False)
    return ids.filter(counts), survives[counts]


def survivors(catalog: Catalog) -> list[str]:
    """The ids of all that survive, sorted: what `label` labels, and `status` and `report` count."""
    ids, survive = active(catalog)
    found: list[str] = ids.filter(survive).to_pylist()
    return found


def nothing(catalog: Catalog) -> str:
    """Why no sample counts, and what comes next, where none does."""
    stored, out = catalog.scalar("SELECT count(*) FROM samples"), inactive(catalog)
    if not stored:
        return "there is no sample to look at; `curate fetch` comes first"
    reasons = Counter(out.values()) + Counter({DUPLICATE: stored - len(out)})
    why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items()))
    return f"not one of {stored:,} samples counts ({why}); {WAYS[remedy(reasons)]}"


def remedy(reasons: Collection[str]) -> str:
    """The command that helps where samples are stored and none counts, for these reasons."""
    return next((command for reason, command in _REMEDIES.items() if reason in reasons), "status")


_REMEDIES = {
    DUPLICATE: "dedupe", lost.ORIGIN: "fetch", lost.BYTES: "verify --repair", HELD: "screening status",
}  # fmt: skip
WAYS = {
    "dedupe": "`curate dedupe` chooses anew which of each set survives",
    "fetch": "`curate fetch` asks the sources for them: what one names again counts again",
    "verify --repair": "`curate verify --repair`, then `curate fetch`, asks for their bytes again",
    "screening status": "`curate screening status` says which incidents hold them back, and what lets go of them",
    "status": "`curate status` says what became of them; `curate fetch` brings others",
}
_OTHER = "CASE survivor WHEN sample THEN '' ELSE survivor END"  # nothing where it stands for itself
_STANDINGS = "SELECT s.id, m.survivor, m.excluded FROM samples s LEFT JOIN members m ON m.sample = s.id ORDER BY s.id"
