"""Queues as a draw would have left them, of samples without bytes, and a clock that goes when it is told to."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from curate.config import Config
from curate.store.workspace import Workspace
from tests.weak import put

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
    labels: dict[str, tuple[str | None, float | None]] = {}
    for name, (score, _) in scores.items():
        labels[name] = (
            (None, None) if score is None else max(("porn", score), ("neutral", 1 - score), key=lambda one: one[1])
        )
    put(ws, labels, {name: votes for name, (_, votes) in scores.items()})
