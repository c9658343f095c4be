"""What there is to learn from: the labels of one axis, soft where machines gave them, and rows of altered pictures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.errors import UsageError
from curate.evaluate.rows import Featured
from curate.features.scores import compute, read
from curate.label import table as weak_table
from curate.linear import Examples, Floats
from curate.options import suggest
from curate.records import Axis, Manifest
from curate.train.augment import COLUMN, altered

if TYPE_CHECKING:
    from curate.contracts import Engine
    from curate.progress import Progress
    from curate.store.workspace import Workspace


# -- an axis ---------------------------------------------------------------------------------------------------------


def axis_of(ws: "Workspace", release: Manifest, name: str | None) -> Axis:
    """An axis as the release has it; None: the first. Raises UsageError for one that is not there, or no more."""
    there = {one["name"]: one for one in release.header["taxonomy"]["axes"]}
    now = {one.name: one for one in ws.config.taxonomy.axes}
    first = next(iter(there))
    wanted = first if name is None else name
    if wanted not in there:
        raise UsageError(f"--axis: release {release.version} has no axis '{wanted}'; {suggest(wanted, there)}")
    if wanted not in now and name is not None:
        raise UsageError(f"--axis: curate.toml has no axis '{wanted}'; {suggest(wanted, now)}")
    said = there[wanted]
    return Axis(said["name"], *(tuple(said[key]) for key in ("classes", "safe", "borderline")))


# -- targets, and more rows ------------------------------------------------------------------------------------------


def taught(
    ws: "Workspace", axis: Axis, part: Featured, backbone: Any, engine: "Engine",
    progress: "Progress",
) -> Examples:  # fmt: skip
    """What train's rows teach: their classes, made soft and more as `[train]` says."""
    options = ws.config.train
    examples, ids = part.examples(), [part.rows.ids[row] for row in part.known]
    if options.soft or any(options.smoothing.values()):
        examples = replace(examples, targets=_targets(ws, axis, part))
    if not options.augment:
        return examples
    every = [examples]
    for number in range(options.copies):
        shown: Any = altered(backbone, options.augment, number, options.seed)
        compute(ws, engine, [shown], progress, "augment", frozenset(ids))
        features = read(ws, shown, ids)[COLUMN].astype(np.float32)
        kept = np.flatnonzero(np.isfinite(features).all(axis=1))
        every.append(replace(examples, features=features).pick(kept))
    return _joined(every)


def _targets(ws: "Workspace", axis: Axis, part: Featured) -> Floats:
    """float32[n, k]: what the label model finds how probable, where a label is a machine's and it says so still; a
    class alone where people gave it; then smoothed by who gave the label."""
    options, classes = ws.config.train, part.rows.classes
    k, truth = len(classes), part.rows.truth[part.known]
    every, ids = part.rows.column("label_source"), [part.rows.ids[row] for row in part.known]
    sources = [every[row] for row in part.known]
    found = np.eye(k)[truth]
    machine = np.array([source != "human" for source in sources], dtype=bool)
    if options.soft and (weak := weak_table.read(ws, axis)) is not None and len(weak.ids):
        row_of = {one: row for row, one in enumerate(weak.ids)}
        rows = np.array([row_of.get(one, -1) for one in ids], dtype=np.int64)
        said = weak.probabilities[rows][:, [weak.classes.index(one) for one in classes if one in weak.classes]]
        whole = said.shape[1] == k
        sums = said.sum(axis=1)
        if whole:
            use = machine & (rows >= 0) & (np.nan_to_num(sums) > 0)
            use &= np.nan_to_num(said, nan=-1).argmax(axis=1) == truth
            found[use] = said[use] / sums[use, None]
    share = np.array([options.smoothing.get(source, 0.0) for source in sources])[:, None]
    return np.asarray((1 - share) * found + share / k, dtype=np.float32)


def _joined(parts: Sequence[Examples]) -> Examples:
    targets = [one.targets for one in parts if one.targets is not None]
    return Examples(
        np.concatenate([one.features for one in parts]),
        np.concatenate([one.classes for one in parts]),
        np.concatenate([one.weights for one in parts]),
        np.concatenate(targets) if targets else None,
    )
