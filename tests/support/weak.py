"""Weak labels as `curate label` would have left them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curate.label import table
from curate.label.table import Weak
from curate.records import Axis
from curate.store.workspace import Workspace

Given = Mapping[str, tuple[str | None, float | None]]


def put(
    ws: Workspace, given: Given, votes: Mapping[str, Sequence[int]] | None = None, axis: Axis | None = None,
    report: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Of each sample the label and its probability, and what functions vote, a class's place or -1."""
    axis = axis or ws.config.taxonomy.first
    report = report or {}
    ids, k = sorted(given), len(axis.classes)
    each = np.full((len(ids), k), np.nan)
    for row, name in enumerate(ids):
        label, p = given[name]
        if label is not None and p is not None:
            rest = (1 - p) / (k - 1)
            each[row] = [p if one == label else rest for one in axis.classes]
    matrix = np.array([list((votes or {}).get(name, ())) for name in ids], dtype=np.int8).reshape(len(ids), -1)
    said = [one["name"] for one in report.get("functions", ())]
    names = said if len(said) == matrix.shape[1] else [f"f{n}" for n in range(matrix.shape[1])]
    labels = [given[name][0] for name in ids]
    sets = [[name] for name in axis.classes]
    table.write(ws, axis, Weak(ids, labels, each, matrix, axis.classes, sets, names, report))
