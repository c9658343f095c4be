"""`curate train`: the baseline classifier on a release, and what it is worth on the release's test split."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.contracts import Engine
from curate.errors import CurateError, UsageError
from curate.evaluate.bundle import Backbone, save
from curate.features import devices
from curate.features.scores import compute, read
from curate.label.estimate.beside import beside
from curate.label.final import accused
from curate.linear import Examples, Head, fit
from curate.options import suggest
from curate.records import SPLITS, Manifest
from curate.release.reader import load
from curate.stats.coverage import Coverage
from curate.stats.intervals import wilson
from curate.stats.metrics import Predictions, against, evaluate, said_by
from curate.store import eligibility, holds
from curate.store.blobs import disk, write
from curate.store.file_digests import forget, keep
from curate.store.folders import aside

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.progress import Progress
    from curate.store.workspace import Workspace

METRICS = "metrics.json"
DIGITS = 4
_NONE = "there is none yet; `curate export 1.0.0` makes one"


def train(ws: "Workspace", version: str, engine: Engine, backbone: Backbone, progress: "Progress") -> dict[str, Any]:
    """Fit a linear head on the frozen features of the train split, stop by val, and say what it is worth on test.

    Test rows are looked at once, at the end; rows that are held back since, or have since been declared or flagged not
    safe while no person called them safe, are not looked at. Same release, same files to the byte. Raises UsageError
    for a release that is not there, or whose train split holds one class.
    """
    started = time.monotonic()
    release = _release(ws, version)
    classes = _classes(release)
    compute(ws, engine, [backbone], progress, "embed")
    with progress.stage("train", 3) as step, disk():
        held = holds.held(ws.catalog)
        rows = {split: _without(release.rows[split], held) for split in SPLITS}
        kept = {split: _obeying(ws, table) for split, table in rows.items()}
        contradicted = {split: len(rows[split]) - len(kept[split]) for split in SPLITS}
        parts = {split: _part(ws, backbone, kept[split], classes) for split in SPLITS}
        step()
        _check_train(ws, release, parts["train"], len(rows["train"]), contradicted["train"])
        device = devices.found(ws.config.engine.device)
        head = fit(parts["train"].examples, parts["val"].examples, len(classes), ws.config.train, device)
        step()
        result = _result(release, classes, parts, head, ws.config.train.seed) | {"contradicted": contradicted}
        with aside(ws.work / "models", version) as folder:
            save(folder, backbone, head, classes)
            write(folder / METRICS, (json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
            forget(ws, f"models/{version}")  # last: whatever fails before leaves the model that was there
        step()
    keep(ws, f"models/{version}")
    audit = beside(ws, ws.config.taxonomy.first)  # not in the model's files, which follow from the release alone
    result |= {"path": str(ws.work / "models" / version), "audit": audit}
    with ws.catalog.tx() as db:
        row = (version, version, json.dumps(result, ensure_ascii=False), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)
    return result | {"seconds": round(time.monotonic() - started, 2)}


def _release(ws: "Workspace", version: str) -> Manifest:
    known = {row["version"]: row["sha256"] for row in ws.catalog.all("SELECT version, sha256 FROM releases")}
    if version not in known:
        raise UsageError(f"release {version}: no such release; {suggest(version, known) if known else _NONE}")
    return load(ws.work / "releases" / version, known[version])


def _classes(release: Manifest) -> list[str]:
    """The classes of the release, in the taxonomy's order."""
    there = {name for counted in release.header["counts"].values() for name in counted}
    if len(release.header["counts"]["train"]) < 2:
        raise UsageError(
            f"release {release.version}: its train split holds fewer than two classes; nothing to tell apart"
        )
    return [name for name in release.header["taxonomy"]["axes"][0]["classes"] if name in there]


def _check_train(ws: "Workspace", release: Manifest, part: "_Part", rows: int, contradicted: int) -> None:
    """Refuse to learn from a split of which too little is left, with why; CurateError where that is for what is damaged
    or held back, `rows` of it being left."""
    if len(set(part.examples.classes.tolist())) > 1:
        return
    if held := len(release.rows["train"]) - rows:
        why = eligibility.nothing(ws.catalog) if not eligibility.survivors(ws.catalog) else "`curate status` says why"
        raise CurateError(
            f"release {release.version}: {held} of {held + rows} rows of its train split are held back: {why}"
        )
    left = f"release {release.version}: fewer than two classes are left in its train split"
    if part.skipped:
        of = part.skipped + len(part.groups)
        raise CurateError(f"{left}: {part.skipped} of {of} rows have no features. `curate verify` says what is damaged")
    kept = f": {contradicted} rows are contradicted by now" if contradicted else ""
    raise UsageError(f"{left}{kept}; nothing to tell apart")


@dataclass(frozen=True)
class _Part:
    """One split's rows that have features, the group of each and who labelled it, and how many rows have none."""

    examples: Examples
    groups: Sequence[str]
    sources: Sequence[str]
    skipped: int


def _without(rows: "pa.Table", held: set[str]) -> "pa.Table":
    """The rows that nobody holds back."""
    return _kept(rows, [one not in held for one in rows.column("id").to_pylist()])


def _obeying(ws: "Workspace", rows: "pa.Table") -> "pa.Table":
    """The rows that the rule of `curate.label.flags` lets pass: a release is frozen, and more may be known by now."""
    axis = ws.config.taxonomy.first
    bad = accused(ws, axis)
    columns = (rows.column(name).to_pylist() for name in ("id", "label", "human_n"))
    return _kept(
        rows, [n > 0 or name not in axis.safe or one not in bad for one, name, n in zip(*columns, strict=True)]
    )


def _kept(rows: "pa.Table", which: list[bool]) -> "pa.Table":
    import pyarrow as pa

    return rows.filter(pa.array(which, pa.bool_()))  # a list without an element has no type


def _part(ws: "Workspace", backbone: Backbone, rows: "pa.Table", classes: Sequence[str]) -> _Part:
    columns = rows.select(["id", "label", "weight", "group", "label_source"]).to_pydict()
    features = read(ws, backbone, columns["id"])["embedding"].astype(np.float32)
    labels = np.array([classes.index(label) for label in columns["label"]], dtype=np.int64)
    kept = np.flatnonzero(np.isfinite(features).all(axis=1))
    every = Examples(features, labels, np.array(columns["weight"], dtype=np.float32))
    groups, sources = ([columns[name][n] for n in kept] for name in ("group", "label_source"))
    return _Part(every.pick(kept), groups, sources, len(labels) - len(kept))


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
    judged = Predictions(test.examples.classes, probabilities, test.groups, classes)
    return {
        **_coverage(parts),
        "version": release.version,
        "classes": classes,
        "test": evaluate(judged, axis["safe"], axis["borderline"], seed)
        | said_by(test.sources)
        | _people(judged, test),
        "rows": {split: len(part.groups) for split, part in parts.items()},
        "skipped": {split: part.skipped for split, part in parts.items()},
        "fit": {"epochs": head.epochs, "stopping": head.stopping},
    }


def _people(judged: Predictions, test: _Part) -> dict[str, Any]:
    """How often the model says what people say, on the test rows that people labelled."""
    theirs = np.array([source == "human" for source in test.sources], dtype=bool)
    n = int(theirs.sum())
    right = int((judged.probabilities[theirs].argmax(axis=1) == judged.truth[theirs]).sum()) if n else 0
    return {"human": {"n": n, "accuracy": round(right / n, DIGITS) if n else None, "interval": wilson(right, n)}}


_NAMES = {
    "accuracy": "agreement",
    "roc_auc": "ROC-AUC, macro",
    "average_precision": "average precision, macro",
    "not_safe_recall": "not safe: recall",
    "not_safe_false_positive_rate": "not safe: false alarms",
    "not_safe_roc_auc": "not safe: ROC-AUC",
    "not_safe_average_precision": "not safe: average precision",
}


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What `train` found, for people: each figure with its interval, under whose labels it is held against."""
    test, rows = result["test"], result["rows"]
    yield f"baseline on release {result['version']}: {', '.join(f'{n} {split}' for split, n in rows.items())} rows"
    yield f"classes: {', '.join(result['classes'])}"
    yield f"{against(test)}, on the test split:"
    for key, name in _NAMES.items():
        if test.get(key) is not None:
            between = test.get(f"{key}_interval")
            shown = "" if between is None else f"   {between[0]:.4f} to {between[1]:.4f}"
            yield f"  {'accuracy' if test['heading'] == key else name:<28} {test[key]:.4f}{shown}"
    for what in ("skipped", "contradicted"):
        if any(result[what].values()):
            yield f"{what}: {', '.join(f'{n} {split}' for split, n in result[what].items() if n)}"
    yield f"the labels, as audited: {result['audit']['said']}"
    yield f"path: {result['path']}"
