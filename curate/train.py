"""`curate train`: the baseline classifier on a release, and what it is worth on the release's test split."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.baseline import Backbone, save
from curate.contracts import Engine
from curate.coverage import Coverage
from curate.errors import CurateError, UsageError
from curate.head import Examples, Head, fit
from curate.kept import forget, keep
from curate.metrics import Judged, evaluate
from curate.records import SPLITS, Manifest
from curate.release import aside, load
from curate.scores import compute, read
from curate.store import views
from curate.store.blobs import disk, write
from curate.toml import suggest

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.progress import Progress
    from curate.store.workspace import Workspace

METRICS = "metrics.json"


def train(ws: "Workspace", version: str, engine: Engine, backbone: Backbone, progress: "Progress") -> dict[str, Any]:
    """Fit a linear head on the frozen features of the train split, stop by val, and say what it is worth on test.

    Test rows are looked at once, at the end; rows that are held back since are not looked at. Same release, same files
    to the byte. Raises UsageError for a release that
    is not there, or whose train split holds one class.
    """
    started = time.monotonic()
    release = _release(ws, version)
    classes = _classes(release)
    compute(ws, engine, [backbone], progress)
    with progress.stage("train", 3) as step, disk():
        held = views.held(ws.catalog)
        parts = {split: _part(ws, backbone, _without(release.rows[split], held), classes) for split in SPLITS}
        step()
        _check_read(release, parts)
        head = fit(parts["train"].examples, parts["val"].examples, len(classes), ws.config.train)
        step()
        result = _result(release, classes, parts, head, ws.config.train.seed)
        forget(ws, f"models/{version}")
        with aside(ws.work / "models", version) as folder:
            save(folder, backbone, head, classes)
            write(folder / METRICS, (json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        step()
    keep(ws, f"models/{version}")
    result |= {"path": str(ws.work / "models" / version)}
    with ws.catalog.tx() as db:
        row = (version, version, json.dumps(result, ensure_ascii=False), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)
    return result | {"seconds": round(time.monotonic() - started, 2)}


def _release(ws: "Workspace", version: str) -> Manifest:
    known = {row["version"]: row["sha256"] for row in ws.catalog.rows("SELECT version, sha256 FROM releases")}
    if version not in known:
        raise UsageError(f"release {version}: no such release; {suggest(version, known) if known else 'there is none'}")
    return load(ws.work / "releases" / version, known[version])


def _classes(release: Manifest) -> list[str]:
    """The classes of the release, in the taxonomy's order."""
    there = {name for counted in release.header["counts"].values() for name in counted}
    if len(release.header["counts"]["train"]) < 2:
        raise UsageError(
            f"release {release.version}: its train split holds fewer than two classes; nothing to tell apart"
        )
    return [name for name in release.header["taxonomy"]["axes"][0]["classes"] if name in there]


def _check_read(release: Manifest, parts: Mapping[str, "_Part"]) -> None:
    """Refuse to learn from a split of which too little is left; the header promised more."""
    train = parts["train"]
    if len(set(train.examples.classes.tolist())) < 2:
        raise CurateError(
            f"release {release.version}: {train.skipped} of {train.skipped + len(train.groups)} rows of its train split"
            " have no features, and fewer than two classes are left; nothing to tell apart. `curate verify` says what"
            " is damaged"
        )


@dataclass(frozen=True)
class _Part:
    """One split's rows that have features, the group of each, and how many rows have none."""

    examples: Examples
    groups: Sequence[str]
    skipped: int


def _without(rows: "pa.Table", held: set[str]) -> "pa.Table":
    """The rows that nobody holds back."""
    return rows.filter([one not in held for one in rows.column("id").to_pylist()]) if held else rows


def _part(ws: "Workspace", backbone: Backbone, rows: "pa.Table", classes: Sequence[str]) -> _Part:
    columns = rows.select(["id", "label", "weight", "group"]).to_pydict()
    features = read(ws, backbone, columns["id"])["embedding"].astype(np.float32)
    labels = np.array([classes.index(label) for label in columns["label"]], dtype=np.int64)
    kept = np.flatnonzero(np.isfinite(features).all(axis=1))
    every = Examples(features, labels, np.array(columns["weight"], dtype=np.float32))
    return _Part(every.pick(kept), [columns["group"][n] for n in kept], len(labels) - len(kept))


def _coverage(parts: Mapping[str, "_Part"]) -> dict[str, Any]:
    """Rows with features among all; incomplete, too, where nothing of a split that has rows was looked at."""
    skipped = {split: part.skipped for split, part in parts.items()}
    left = {split: len(part.groups) for split, part in parts.items()}
    found = Coverage(sum(left.values()), sum(left.values()) + sum(skipped.values()), "rows", "have no features")
    blank = [f"not one row of {split} has features" for split in parts if skipped[split] and not left[split]]
    return found.facts("; ".join(blank) or found.short)


def _result(release: Manifest, classes: list[str], parts: dict[str, _Part], head: Head, seed: int) -> dict[str, Any]:
    axis = release.header["taxonomy"]["axes"][0]
    test = parts["test"]
    probabilities = head.probabilities(test.examples.features)
    judged = Judged(test.examples.classes, probabilities, test.groups, classes)
    return {
        **_coverage(parts),
        "version": release.version,
        "classes": classes,
        "test": evaluate(judged, axis["safe"], axis["borderline"], seed),
        "rows": {split: len(part.groups) for split, part in parts.items()},
        "skipped": {split: part.skipped for split, part in parts.items()},
        "fit": {"epochs": head.epochs, "stopping": head.stopping},
    }
