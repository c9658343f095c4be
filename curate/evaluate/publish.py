"""`curate eval --publish`: a benchmark, written as one more folder of a release's exports.

Its files are those of the format `urls`, what a model said of each row, and the figures of exactly that.
`curate.evaluate.benchmark` is for whoever is given it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import __version__
from curate.contracts import Engine, Labeler, ReleaseFormat
from curate.errors import UsageError
from curate.evaluate import figures
from curate.evaluate.account import ground_of
from curate.evaluate.benchmark import DIGITS, FILE, SCHEMA, SCORES, TOLERANCE, rounded
from curate.evaluate.contenders import NOT_SAFE
from curate.evaluate.rows import released, usable
from curate.evaluate.run import Asked, axis_of, contender, figures_of
from curate.layouts.exported import write_csv
from curate.records import Manifest
from curate.release.reader import HEADER
from curate.stats.coverage import Coverage
from curate.store.file_digests import digest

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

FORMAT = "benchmark"


@dataclass(frozen=True)
class Benchmark:
    """A release in another format, `urls`, with what a model said of the rows of a split: float64[n, k], a row an id
    and a column a name; and its `figures`."""

    urls: ReleaseFormat
    asked: Asked
    ids: Sequence[str]
    names: Sequence[str]
    scores: np.ndarray
    figures: Mapping[str, Any]
    seed: int

    def write(self, release: Manifest, out: Path) -> None:
        """Write what a release is written in, then the scores, then the protocol, which has the others' digests."""
        self.urls.write(release, out)
        rows = zip(self.ids, self.scores.tolist(), strict=True)
        cells = ((one, *(None if np.isnan(x) else f"{x:.{DIGITS}f}" for x in said)) for one, said in rows)
        write_csv(out / SCORES, ("sha256", *self.names), cells)
        said = {
            "schema": SCHEMA,
            "tool": f"curate-media {__version__}",
            "version": release.version,
            "split": self.asked.split,
            "model": self.asked.model,
            "seed": self.seed,
            "tolerance": TOLERANCE,
            "figures": dict(self.figures),
            "audit": release.header.get("audit"),
            "files": {name: digest(out / name) for name in (HEADER, SCORES)},
        }
        text = json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (out / FILE).write_text(text, encoding="utf-8")

    def said(self) -> dict[str, Any]:
        """What was measured."""
        known = int((~np.isnan(self.scores).any(axis=1)).sum())
        covered = Coverage(known, len(self.ids), "rows", "have no score")
        facts = {"model": self.asked.model, "version": self.asked.version, "split": self.asked.split}
        return {**covered.facts(covered.short), **facts, "of": len(self.ids), "figures_of": dict(self.figures)}


def measured(
    ws: "Workspace", asked: Asked, urls: ReleaseFormat, engine: Engine, labelers: Sequence[Labeler], seed: int
) -> Benchmark:
    """What is to be published of a model on the rows of a release that have a URL.

    Raises UsageError for a release, a split or a model that is not there, and where no row has a URL.
    """
    release = released(ws, asked.version)
    axis = axis_of(ws, release, asked.split)
    whole = usable(ws, release, asked.split, axis.classes)
    some = whole.table.filter(whole.table.column("url").is_valid())
    rows = replace(whole, table=some, aside=whole.aside.union(whole.ids) - set(some.column("id").to_pylist()))
    if not len(rows):
        raise UsageError(f"release {asked.version}: no row of {asked.split} has a URL: nobody could fetch it anew")
    found = contender(ws, asked, axis, rows, engine, labelers)
    kept = rounded(found, axis)
    names = [NOT_SAFE] if kept.probabilities is None else list(axis.classes)
    scores = kept.unsafe[:, None] if kept.probabilities is None else kept.probabilities
    said = figures_of(kept, ground_of(rows, axis), ~np.isnan(kept.unsafe), seed)
    named = replace(asked, model=found.name)
    return Benchmark(urls, named, rows.ids, names, scores, said, seed)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What was published, for people."""
    yield f"{found['model']} on release {found['version']}, as others can measure it anew"
    yield from figures.lines(found["figures_of"], found["split"])
    yield f"for others: {found['path']}"
