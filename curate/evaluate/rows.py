"""The rows of a release that a model may learn from or be held against, and what it says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.errors import UsageError
from curate.features.scores import read
from curate.label.final import accused, labels
from curate.linear import Examples, Floats, Head, Ints, Probabilities
from curate.options import suggest
from curate.records import Axis, Manifest
from curate.release.reader import load
from curate.stats.metrics import Predictions
from curate.store import holds

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.contracts import Labeler
    from curate.store.workspace import Workspace


@dataclass(frozen=True)
class Rows:
    """Rows of one split, in the release's order. `held`: how many others are held back or taken down since;
    `contradicted`: how many others have been declared or flagged not safe since, while no person calls them safe;
    `aside`: the ids of all others."""

    table: "pa.Table"
    classes: Sequence[str]
    held: int = 0
    contradicted: int = 0
    aside: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> list[Any]:
        """A column of the release."""
        found: list[Any] = self.table.column(name).to_pylist()
        return found

    @cached_property
    def ids(self) -> list[str]:
        """Samples."""
        return self.column("id")

    @cached_property
    def truth(self) -> Ints:
        """The place of each label in `classes`."""
        at = {name: place for place, name in enumerate(self.classes)}
        return np.array([at[name] for name in self.column("label")], dtype=np.int64)

    @cached_property
    def human(self) -> "np.ndarray":
        """bool[n], which are labelled by people."""
        return np.array([one == "human" for one in self.column("label_source")], dtype=bool)

    def judged(self, probabilities: Probabilities) -> Predictions:
        """What a model says of them, beside what they are."""
        return Predictions(
            self.truth, probabilities, self.column("group"), list(self.classes), self.column("label_source")
        )


_NONE = "there is none yet; `curate export 1.0.0` makes one"


def released(ws: "Workspace", version: str) -> Manifest:
    """A release, every file checked; raises UsageError where there is none of that version."""
    known = {row["version"]: row["sha256"] for row in ws.catalog.all("SELECT version, sha256 FROM releases")}
    if version not in known:
        raise UsageError(f"release {version}: no such release; {suggest(version, known) if known else _NONE}")
    return load(ws.work / "releases" / version, known[version])


def usable(ws: "Workspace", release: Manifest, split: str, classes: Sequence[str], axis: Axis | None = None) -> Rows:
    """A split without what is held back, and without what the rule of `curate.label.flags` lets pass no more: a release
    is frozen, and more may be known by now. By its labels on an axis (None: the first)."""
    whole = on_axis(ws, release, split, axis)
    rows = _without(whole, holds.held(ws.catalog))
    kept = _obeying(ws, rows, axis or ws.config.taxonomy.first)
    aside = frozenset(whole.column("id").to_pylist()) - frozenset(kept.column("id").to_pylist())
    return Rows(kept, classes, len(whole) - len(rows), len(rows) - len(kept), aside)


def on_axis(ws: "Workspace", release: Manifest, split: str, axis: Axis | None = None) -> "pa.Table":
    """A release's rows by their labels on an axis (None: the first), those without one left out.

    Of a further axis a release has the label alone: who gave it, and what it weighs, is what is known now of a label
    that has not changed since; any other weighs 1, as a machine's.
    """
    rows = release.rows[split]
    if axis is None or axis.name == release.header["taxonomy"]["axes"][0]["name"]:
        return rows
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = rows.filter(pc.is_valid(rows.column(f"label_{axis.name}")))
    known = labels(ws, axis).by_sample
    pairs = zip(rows.column("id").to_pylist(), rows.column(f"label_{axis.name}").to_pylist(), strict=True)
    said = [(one, known.get(sample)) for sample, one in pairs]
    same = [found if found is not None and found.name == one else None for one, found in said]
    columns = {
        "label": pa.array([one for one, _ in said], pa.string()),
        "weight": pa.array([1.0 if one is None else one.weight for one in same], pa.float64()),
        "label_source": pa.array(["weak" if one is None else one.source for one in same], pa.string()),
        "human_n": pa.array([0 if one is None else one.human_n for one in same], pa.int64()),
    }
    for name, values in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def _without(rows: "pa.Table", held: set[str]) -> "pa.Table":
    """The rows that nobody holds back."""
    return _kept(rows, [one not in held for one in rows.column("id").to_pylist()])


def _obeying(ws: "Workspace", rows: "pa.Table", axis: Axis) -> "pa.Table":
    bad = accused(ws, axis)
    columns = (rows.column(name).to_pylist() for name in ("id", "label", "human_n"))
    return _kept(
        rows, [n > 0 or name not in axis.safe or one not in bad for one, name, n in zip(*columns, strict=True)]
    )


def _kept(rows: "pa.Table", which: list[bool]) -> "pa.Table":
    import pyarrow as pa

    return rows.filter(pa.array(which, pa.bool_()))  # a list without an element has no type


@dataclass(frozen=True)
class Featured:
    """Rows with their features, float32[n, d]; a row that has none is NaN."""

    rows: Rows
    features: Floats

    @classmethod
    def of(cls, ws: "Workspace", backbone: "Labeler", rows: Rows) -> "Featured":
        """From the table of embeddings."""
        return cls(rows, read(ws, backbone, rows.ids)["embedding"].astype(np.float32))

    @cached_property
    def known(self) -> Ints:
        """Which rows have features."""
        return np.flatnonzero(np.isfinite(self.features).all(axis=1))

    @property
    def skipped(self) -> int:
        """How many have none."""
        return len(self.rows) - len(self.known)

    def examples(self, which: "np.ndarray | None" = None) -> Examples:
        """Those with features to learn from; `which` bool[n]: of these alone."""
        every = Examples(self.features, self.rows.truth, np.array(self.rows.column("weight"), dtype=np.float32))
        return every.pick(self.known if which is None else self.known[which[self.known]])

    def judged(self, head: Head) -> Predictions:
        """What a head says of all rows; of those without features NaN."""
        said = np.full((len(self.rows), len(self.rows.classes)), np.nan)
        if len(self.known):
            said[self.known] = head.probabilities(self.features[self.known])
        return self.rows.judged(said)
