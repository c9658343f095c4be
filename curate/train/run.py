"""`curate train`: the baseline classifier on a release, and what it is worth on the release's test split."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import __version__
from curate.contracts import Engine
from curate.errors import CurateError, UsageError
from curate.evaluate.bundle import Backbone, save
from curate.features import devices
from curate.features.scores import compute, read
from curate.label.final import accused
from curate.linear import Examples, Head, fit
from curate.options import suggest
from curate.plugins import kind_of
from curate.records import SPLITS, Axis, Manifest
from curate.release.reader import HEADER, load
from curate.stats.coverage import Coverage
from curate.stats.intervals import wilson
from curate.stats.metrics import Predictions, against, evaluate, said_by
from curate.store import eligibility, holds
from curate.store.blobs import disk, write
from curate.store.file_digests import digest, forget, keep
from curate.store.folders import aside
from curate.store.model_files import CARD, seal
from curate.train.card import card
from curate.train.lesson import Part, axis_of, on_axis, taught

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.progress import Progress
    from curate.store.workspace import Workspace

METRICS, LOG = "metrics.json", "log.csv"
FEW = 10  # rows of a class, below which it is said that they are few
DIGITS = 4
_NONE = "there is none yet; `curate export 1.0.0` makes one"


def train(
    ws: "Workspace", version: str, engine: Engine, backbone: Backbone, progress: "Progress", axis: str | None = None,
    variant: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Fit a linear head on the frozen features of the train split, stop by val, and say what it is worth on test.

    `axis`: whose labels (None: the first's); `variant`: what the model is called beside its release's version. Test
    rows are looked at once, at the end; rows that are held back since, or have since been declared or flagged not
    safe while no person called them safe, are not looked at. Same release, same files to the byte. Raises UsageError
    for a release or an axis that is not there, or a train split of one class.
    """
    started = time.monotonic()
    release = _release(ws, version)
    own, said = axis_of(ws, release, axis)
    first = said["name"] == release.header["taxonomy"]["axes"][0]["name"]
    whole = {split: on_axis(ws, release.rows[split], own, first) for split in SPLITS}
    classes = _classes(release, said, whole)
    name = f"{version}+{variant}" if variant else version
    compute(ws, engine, [backbone], progress, "embed")
    with disk():
        held = holds.held(ws.catalog)
        rows = {split: _without(whole[split], held) for split in SPLITS}
        kept = {split: _obeying(ws, own, table) for split, table in rows.items()}
        contradicted = {split: len(rows[split]) - len(kept[split]) for split in SPLITS}
        parts = {split: _part(ws, backbone, kept[split], classes) for split in SPLITS}
        _check_train(ws, release, parts["train"], len(whole["train"]) - len(rows["train"]), contradicted["train"])
    lesson = taught(ws, own, classes, parts["train"], backbone, engine, progress)
    with progress.stage("train", 2) as step, disk():
        device = devices.found(ws.config.engine.device)
        head = fit(lesson, parts["val"].examples, len(classes), ws.config.train, device)
        step()
        result = _result(release, said, classes, parts, head, ws.config.train.seed)
        result |= {
            "contradicted": contradicted,
            "model": name,
            "backbone": kind_of(backbone),
            "few": _few(classes, parts),
        }
        with aside(ws.work / "models", name) as folder:
            _write(folder, release, said, backbone, head, result)
            forget(ws, f"models/{name}")  # last: whatever fails before leaves the model that was there
        step()
    keep(ws, f"models/{name}")
    result |= {"path": str(ws.work / "models" / name)}
    with ws.catalog.tx() as db:
        row = (name, version, json.dumps(result, ensure_ascii=False), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)
    return result | {"seconds": round(time.monotonic() - started, 2)}


def _write(
    folder: Path, release: Manifest, axis: Mapping[str, Any], backbone: Backbone, head: Head, result: Mapping[str, Any]
) -> None:
    """Every file of a model, the one that has the digests of the others last."""
    classes = result["classes"]
    save(folder, backbone, head, classes)
    write(folder / METRICS, (json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
    write(folder / LOG, "".join(["epoch,train_loss,val_loss,kept\n", *_log(head)]).encode())
    facts = {
        "model": result["model"],
        "release": {"version": release.version, "sha256": digest(release.path / HEADER)},
        "axis": axis["name"],
        "classes": classes,
        "safe": [one for one in classes if one in axis["safe"]],
        "borderline": [one for one in classes if one in axis["borderline"]],
        "backbone": result["backbone"],
        "tool": f"curate-media {__version__}",
    }
    write(folder / CARD, card(facts, result, release.header).encode())
    seal(folder, facts)


def _log(head: Head) -> Iterator[str]:
    """A line an epoch; nothing where there was no val."""
    for epoch, before, after in head.log:
        val = "" if np.isnan(after) else f"{after:.9g}"
        yield f"{epoch},{before:.9g},{val},{'yes' if epoch == head.epochs else ''}\n"


def _few(classes: Sequence[str], parts: Mapping[str, Part]) -> dict[str, int]:
    """The classes of which train has fewer than FEW rows, and how many."""
    counts = np.bincount(parts["train"].examples.classes, minlength=len(classes)).tolist()
    return {name: n for name, n in zip(classes, counts, strict=True) if n < FEW}


def _release(ws: "Workspace", version: str) -> Manifest:
    known = {row["version"]: row["sha256"] for row in ws.catalog.all("SELECT version, sha256 FROM releases")}
    if version not in known:
        raise UsageError(f"release {version}: no such release; {suggest(version, known) if known else _NONE}")
    return load(ws.work / "releases" / version, known[version])


def _classes(release: Manifest, axis: Mapping[str, Any], rows: "Mapping[str, pa.Table]") -> list[str]:
    """The classes of the release on an axis, in the taxonomy's order."""
    there = {split: set(table.column("label").to_pylist()) for split, table in rows.items()}
    if len(there["train"]) < 2:
        raise UsageError(
            f"release {release.version}: its train split holds fewer than two classes; nothing to tell apart"
        )
    return [name for name in axis["classes"] if any(name in one for one in there.values())]


def _check_train(ws: "Workspace", release: Manifest, part: Part, held: int, contradicted: int) -> None:
    """Refuse to learn from a split of which too little is left, with why; CurateError where that is for what is damaged
    or held back, `held` rows of it."""
    if len(set(part.examples.classes.tolist())) > 1:
        return
    if held:
        why = eligibility.nothing(ws.catalog) if not eligibility.survivors(ws.catalog) else "`curate status` says why"
        of = held + len(part.groups) + part.skipped + contradicted
        raise CurateError(f"release {release.version}: {held} of {of} rows of its train split are held back: {why}")
    left = f"release {release.version}: fewer than two classes are left in its train split"
    if part.skipped:
        of = part.skipped + len(part.groups)
        raise CurateError(f"{left}: {part.skipped} of {of} rows have no features. `curate verify` says what is damaged")
    kept = f": {contradicted} rows are contradicted by now" if contradicted else ""
    raise UsageError(f"{left}{kept}; nothing to tell apart")


def _without(rows: "pa.Table", held: set[str]) -> "pa.Table":
    """The rows that nobody holds back."""
    return _kept(rows, [one not in held for one in rows.column("id").to_pylist()])


def _obeying(ws: "Workspace", axis: Axis, rows: "pa.Table") -> "pa.Table":
    """The rows that the rule of `curate.label.flags` lets pass: a release is frozen, and more may be known by now."""
    bad = accused(ws, axis)
    columns = (rows.column(name).to_pylist() for name in ("id", "label", "human_n"))
    return _kept(
        rows, [n > 0 or name not in axis.safe or one not in bad for one, name, n in zip(*columns, strict=True)]
    )


def _kept(rows: "pa.Table", which: list[bool]) -> "pa.Table":
    import pyarrow as pa

    return rows.filter(pa.array(which, pa.bool_()))  # a list without an element has no type


def _part(ws: "Workspace", backbone: Backbone, rows: "pa.Table", classes: Sequence[str]) -> Part:
    columns = rows.select(["id", "label", "weight", "group", "label_source"]).to_pydict()
    features = read(ws, backbone, columns["id"])["embedding"].astype(np.float32)
    labels = np.array([classes.index(label) for label in columns["label"]], dtype=np.int64)
    kept = np.flatnonzero(np.isfinite(features).all(axis=1))
    every = Examples(features, labels, np.array(columns["weight"], dtype=np.float32))
    ids, groups, sources = ([columns[name][n] for n in kept] for name in ("id", "group", "label_source"))
    return Part(every.pick(kept), ids, groups, sources, len(labels) - len(kept))


def _coverage(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Rows with features among all; incomplete, too, where nothing of a split that has rows was looked at."""
    skipped = {split: part.skipped for split, part in parts.items()}
    left = {split: len(part.groups) for split, part in parts.items()}
    found = Coverage(sum(left.values()), sum(left.values()) + sum(skipped.values()), "rows", "have no features")
    blank = [f"not one row of {split} has features" for split in parts if skipped[split] and not left[split]]
    return found.facts("; ".join(blank) or found.short)


def _result(
    release: Manifest, axis: Mapping[str, Any], classes: list[str], parts: dict[str, Part], head: Head, seed: int
) -> dict[str, Any]:
    test = parts["test"]
    probabilities = head.probabilities(test.examples.features)
    judged = Predictions(test.examples.classes, probabilities, test.groups, classes)
    return {
        **_coverage(parts),
        "version": release.version,
        "axis": axis["name"],
        "classes": classes,
        "test": evaluate(judged, axis["safe"], axis["borderline"], seed)
        | said_by(test.sources)
        | _people(judged, test),
        "rows": {split: len(part.groups) for split, part in parts.items()},
        "skipped": {split: part.skipped for split, part in parts.items()},
        "fit": {"epochs": head.epochs, "stopping": head.stopping},
    }


def _people(judged: Predictions, test: Part) -> dict[str, Any]:
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
    for name, n in result.get("few", {}).items():
        yield f"few: train has {n} rows of {name}: what the model says of that class is not to be relied on"
    yield f"path: {result['path']}"
