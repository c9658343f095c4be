"""Queues as a draw would have left them, of samples without bytes, and a clock that goes when it is told to."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from curate.config import Config
from curate.label import table
from curate.label.table import Weak
from curate.store.workspace import Workspace

IDS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(200)]


class Clock:
    """Unix seconds that pass when told."""

    def __init__(self, now: float = 1_780_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def workspace(root: Path, n: int = 20, config: Config | None = None) -> Workspace:
    """A workspace with `n` samples, which have no bytes and stand for themselves."""
    ws = Workspace(root, config or Config())
    with ws.catalog.tx() as db:
        for sample in IDS[:n]:
            db.execute(
                "INSERT OR IGNORE INTO samples (id, sha1, md5, bytes, media_type, width, height)"
                " VALUES (?, ?, ?, 1, 'image/png', 64, 64)",
                (sample, sample[:40], sample[:32]),
            )
            db.execute(
                "INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?, 'train', NULL)", (sample, sample, sample, sample)
            )
    return ws


def queue(
    ws: Workspace, name: str = "uncertain", samples: Sequence[str] = IDS[:20], blind: bool = False,
    raters: int = 1, inclusion: float | None = None,
) -> str:  # fmt: skip
    """A queue with these items, as if it had been drawn; its name."""
    taxonomy = ws.config.taxonomy
    with ws.catalog.tx() as db:
        detail = f'{{"items": {len(samples)}}}'
        row = (name, name, taxonomy.first.name, taxonomy.version, inclusion is not None, blind, detail)
        db.execute("INSERT INTO queues VALUES (?, ?, ?, ?, 0, ?, ?, ?, '2026-01-01T00:00:00.000Z', NULL)", row)
        for place, sample in enumerate(samples):
            db.execute(
                "INSERT INTO queue_items VALUES (?, ?, ?, NULL, ?, ?, ?, 0)",
                (name, sample, place, inclusion, raters, blind),
            )
    return name


def weak(ws: Workspace, scores: Mapping[str, tuple[float | None, Sequence[int]]]) -> None:
    """Weak labels in force on the first axis: of each sample the probability of `porn` (else `neutral`), and votes."""
    axis = ws.config.taxonomy.first
    names = sorted(scores)
    each = np.zeros((len(names), len(axis.classes)))
    for row, p in zip(each, (scores[name][0] for name in names), strict=True):
        row[:] = np.nan if p is None else [{"porn": p, "neutral": 1 - p}.get(one, 0) for one in axis.classes]
    labels = [None if row[0] != row[0] else axis.classes[row.argmax()] for row in each]
    votes = np.array([list(scores[name][1]) for name in names], dtype=np.int8).reshape(len(names), -1)
    sets, voters = [[name] for name in axis.classes], [f"f{n}" for n in range(votes.shape[1])]
    table.write(ws, axis, Weak(names, labels, each, votes, axis.classes, sets, voters, {}))
