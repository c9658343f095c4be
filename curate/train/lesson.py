"""What there is to learn from: the labels of one axis, soft where machines gave them, and rows of altered pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.errors import UsageError
from curate.features.scores import compute, read
from curate.label import table as weak_table
from curate.label.final import labels
from curate.linear import Examples, Floats
from curate.options import suggest
from curate.records import Axis, Manifest
from curate.train.augment import COLUMN, altered

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.contracts import Engine
    from curate.progress import Progress
    from curate.store.workspace import Workspace


@dataclass(frozen=True)
class Part:
    """One split's rows that have features, the id and group of each and who labelled it, and how many have none."""

    examples: Examples
    ids: Sequence[str]
    groups: Sequence[str]
    sources: Sequence[str]
    skipped: int


# -- an axis ---------------------------------------------------------------------------------------------------------


def axis_of(ws: "Workspace", release: Manifest, name: str | None) -> tuple[Axis, dict[str, Any]]:
    """An axis as it is now, and as the release has it; None: the first. Raises UsageError for one that is not there."""
    there = {one["name"]: one for one in release.header["taxonomy"]["axes"]}
    now = {one.name: one for one in ws.config.taxonomy.axes}
    first = next(iter(there))
    wanted = first if name is None else name
    if wanted not in there:
        raise UsageError(f"--axis: release {release.version} has no axis '{wanted}'; {suggest(wanted, there)}")
    if wanted not in now and name is not None:
        raise UsageError(f"--axis: curate.toml has no axis '{wanted}'; {suggest(wanted, now)}")
    return now.get(wanted, ws.config.taxonomy.first), there[wanted]


def on_axis(ws: "Workspace", rows: "pa.Table", axis: Axis, first: bool) -> "pa.Table":
    """A release's rows by their labels on an axis, those without one left out.

    Of a further axis a release has the label alone: who gave it, and what it weighs, is what is known now of a label
    that has not changed since; any other weighs 1, as a machine's.
    """
    if first:
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


# -- targets, and more rows ------------------------------------------------------------------------------------------


def taught(
    ws: "Workspace", axis: Axis, classes: Sequence[str], part: Part, backbone: Any, engine: "Engine",
    progress: "Progress",
) -> Examples:  # fmt: skip
    """What train's rows teach: their classes, made soft and more as `[train]` says."""
    options = ws.config.train
    examples = part.examples
    if options.soft or any(options.smoothing.values()):
        examples = replace(examples, targets=_targets(ws, axis, classes, part))
    if not options.augment:
        return examples
    every = [examples]
    for number in range(options.copies):
        shown: Any = altered(backbone, options.augment, number, options.seed)
        compute(ws, engine, [shown], progress, "augment", frozenset(part.ids))
        features = read(ws, shown, part.ids)[COLUMN].astype(np.float32)
        kept = np.flatnonzero(np.isfinite(features).all(axis=1))
        every.append(replace(examples, features=features).pick(kept))
    return _joined(every)


def _targets(ws: "Workspace", axis: Axis, classes: Sequence[str], part: Part) -> Floats:
    """float32[n, k]: what the label model finds how probable, where a label is a machine's and it says so still; a
    class alone where people gave it; then smoothed by who gave the label."""
    options, k = ws.config.train, len(classes)
    found = np.eye(k)[part.examples.classes]
    machine = np.array([source != "human" for source in part.sources], dtype=bool)
    if options.soft and (weak := weak_table.read(ws, axis)) is not None and len(weak.ids):
        row_of = {one: row for row, one in enumerate(weak.ids)}
        rows = np.array([row_of.get(one, -1) for one in part.ids], dtype=np.int64)
        said = weak.probabilities[rows][:, [weak.classes.index(one) for one in classes if one in weak.classes]]
        whole = said.shape[1] == k
        sums = said.sum(axis=1)
        if whole:
            use = machine & (rows >= 0) & (np.nan_to_num(sums) > 0)
            use &= np.nan_to_num(said, nan=-1).argmax(axis=1) == part.examples.classes
            found[use] = said[use] / sums[use, None]
    share = np.array([options.smoothing.get(source, 0.0) for source in part.sources])[:, None]
    return np.asarray((1 - share) * found + share / k, dtype=np.float32)


def _joined(parts: Sequence[Examples]) -> Examples:
    targets = [one.targets for one in parts if one.targets is not None]
    return Examples(
        np.concatenate([one.features for one in parts]),
        np.concatenate([one.classes for one in parts]),
        np.concatenate([one.weights for one in parts]),
        np.concatenate(targets) if targets else None,
    )
