"""`curate train`: the baseline classifier on a release, and what it is worth on the release's test split."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.config import TrainConfig
from curate.contracts import Engine, Labeler
from curate.errors import CurateError, UsageError
from curate.evaluate import compare, figures, robustness, thresholds
from curate.evaluate.account import Fitted, account
from curate.evaluate.bundle import Backbone, save
from curate.evaluate.rows import Featured, released, usable
from curate.features import devices
from curate.features.scores import compute
from curate.label.estimate.beside import beside
from curate.linear import Head, fit
from curate.records import SPLITS, Axis, Manifest
from curate.stats.calibration import temperature
from curate.stats.coverage import Coverage
from curate.store import eligibility
from curate.store.blobs import disk, write
from curate.store.file_digests import forget, keep
from curate.store.folders import aside

if TYPE_CHECKING:
    from curate.progress import Progress
    from curate.store.workspace import Workspace

METRICS = "metrics.json"
FEW = 50  # groups of val, below which no temperature is fitted to them


def train(
    ws: "Workspace", version: str, engine: Engine, backbone: Backbone, progress: "Progress",
    labelers: Sequence[Labeler] = (),
) -> dict[str, Any]:  # fmt: skip
    """Fit a linear head on the frozen features of the train split, stop by val, and say what it is worth on test.

    `labelers`: what else there is to say of pictures, for slices. Test rows are looked at once, at the end; rows that
    are held back since, or have since been declared or flagged not safe while no person called them safe, are not
    looked at. Same release, same files to the byte. Raises UsageError for a release that is not there, or whose train
    split holds one class.
    """
    started = time.monotonic()
    release = released(ws, version)
    classes = _classes(release)
    compute(ws, engine, [backbone], progress, "embed")
    with progress.stage("train", 3) as step, disk():
        parts = {split: Featured.of(ws, backbone, usable(ws, release, split, classes)) for split in SPLITS}
        step()
        _check_train(ws, release, parts["train"])
        device, options, axis = devices.found(ws.config.engine.device), ws.config.train, _axis(release)
        fitted = _fitted(parts, axis, options, device)
        step()
        result = _result(release, parts, fitted) | account(
            ws, engine, backbone, parts, fitted.heads, axis, labelers, options
        )
        with aside(ws.work / "models", version) as folder:
            save(folder, backbone, fitted.heads.head, classes)
            for name, said in ((METRICS, result), (thresholds.FILE, result["thresholds"])):
                write(folder / name, (json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
            forget(ws, f"models/{version}")  # last: whatever fails before leaves the model that was there
        step()
    keep(ws, f"models/{version}")
    audit = beside(ws, ws.config.taxonomy.first)  # not in the model's files, which follow from the release alone
    result |= {"path": str(ws.work / "models" / version), "audit": audit}
    with ws.catalog.tx() as db:
        row = (version, version, json.dumps(result, ensure_ascii=False), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)
    return result | {"seconds": round(time.monotonic() - started, 2)}


def _axis(release: Manifest) -> Axis:
    """The axis that a release is labelled on."""
    said = release.header["taxonomy"]["axes"][0]
    return Axis(said["name"], *(tuple(said[name]) for name in ("classes", "safe", "borderline")))


def _classes(release: Manifest) -> list[str]:
    """The classes of the release, in the taxonomy's order."""
    there = {name for counted in release.header["counts"].values() for name in counted}
    if len(release.header["counts"]["train"]) < 2:
        raise UsageError(
            f"release {release.version}: its train split holds fewer than two classes; nothing to tell apart"
        )
    return [name for name in release.header["taxonomy"]["axes"][0]["classes"] if name in there]


def _check_train(ws: "Workspace", release: Manifest, part: Featured) -> None:
    """Refuse to learn from a split of which too little is left, with why; CurateError where that is for what is damaged
    or held back."""
    if len(set(part.rows.truth[part.known].tolist())) > 1:
        return
    if held := part.rows.held:
        why = eligibility.nothing(ws.catalog) if not eligibility.survivors(ws.catalog) else "`curate status` says why"
        of = len(release.rows["train"])
        raise CurateError(f"release {release.version}: {held} of {of} rows of its train split are held back: {why}")
    left = f"release {release.version}: fewer than two classes are left in its train split"
    if part.skipped:
        lost = f"{part.skipped} of {len(part.rows)} rows have no features. `curate verify` says what is damaged"
        raise CurateError(f"{left}: {lost}")
    contradicted = part.rows.contradicted
    kept = f": {contradicted} rows are contradicted by now" if contradicted else ""
    raise UsageError(f"{left}{kept}; nothing to tell apart")


def _fitted(parts: Mapping[str, Featured], axis: Axis, options: TrainConfig, device: str) -> "_Fitted":
    """The model's head, and those that stand beside it; rows of val that thresholds are promised by teach none."""
    train, val = parts["train"], parts["val"]
    promised = thresholds.held_out(val.rows, axis.safe, axis.borderline, options.guarantee)
    k, stop = len(train.rows.classes), val.examples(~promised)
    head, people = fit(train.examples(), stop, k, options, device), None
    if (
        len(set(train.rows.truth[train.known][train.rows.human[train.known]].tolist())) > 1
        and not train.rows.human.all()
    ):
        people = fit(train.examples(train.rows.human), stop, k, options, device)
    cooled, found, by = _tempered(head, val, ~promised)
    return _Fitted(Fitted(cooled, head, people, promised), found, by)


@dataclass(frozen=True)
class _Fitted:
    """Heads, the temperature of the model's, and how that was found."""

    heads: Fitted
    temperature: float
    by: str


def _tempered(head: Head, val: Featured, which: np.ndarray) -> tuple[Head, float, str]:
    """The head with the temperature of the lowest log-loss on val; as it is, where val is small or holds no error, of
    which any certainty would follow."""
    said = val.judged(head).pick(which)
    groups, wrong = len(set(said.groups)), int((~said.right & said.read).sum())
    if groups < FEW or not wrong:
        why = f"val has {groups} groups, fewer than {FEW}" if groups < FEW else "val holds no error"
        return head, 1.0, f"not fitted: {why}"
    found = temperature(said.truth[said.read], said.probabilities[said.read])
    weight, bias = ((one / found).astype(np.float32) for one in (head.weight, head.bias))
    return replace(head, weight=weight, bias=bias), found, "val"


def _coverage(parts: Mapping[str, Featured]) -> dict[str, Any]:
    """Rows with features among all; incomplete, too, where nothing of a split that has rows was looked at."""
    every, left = sum(len(part.rows) for part in parts.values()), sum(len(part.known) for part in parts.values())
    found = Coverage(left, every, "rows", "have no features")
    lost = [split for split, part in parts.items() if part.skipped == len(part.rows) > 0]
    return found.facts("; ".join(f"not one row of {split} has features" for split in lost) or found.short)


def _result(release: Manifest, parts: Mapping[str, Featured], fitted: _Fitted) -> dict[str, Any]:
    """What was learnt from what."""
    head = fitted.heads.head
    return {
        **_coverage(parts),
        "version": release.version,
        "classes": list(parts["train"].rows.classes),
        "rows": {split: len(part.known) for split, part in parts.items()},
        "skipped": {split: part.skipped for split, part in parts.items()},
        "contradicted": {split: part.rows.contradicted for split, part in parts.items()},
        "held": {split: part.rows.held for split, part in parts.items()},
        "fit": {
            "epochs": head.epochs, "stopping": head.stopping, "temperature": fitted.temperature,
            "temperature_by": fitted.by, "promised": int(fitted.heads.promised.sum()),
        },
    }  # fmt: skip


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What `train` found, for people: each figure with its interval, under whose labels it is held against."""
    rows = result["rows"]
    yield f"baseline on release {result['version']}: {', '.join(f'{n} {split}' for split, n in rows.items())} rows"
    yield f"classes: {', '.join(result['classes'])}"
    yield from figures.lines(result["test"], "test")
    if worst := result["worst"]:
        low, high = worst["right_interval"]
        right = f"{worst['right']:.4f} right ({low:.4f} to {high:.4f}; n = {worst['n']})"
        yield f"worst slice: {worst['kind']}, {worst['name']}: {right}"
    for one in result["shortcuts"]:
        if one["found"]:
            yield f"shortcut: {one['cue']} alone tells the label (AUC {one['auc']}, by chance {one['chance']})"
    if not result["natural"].get("why_not"):
        yield from figures.lines(result["natural"], "test (at natural prevalence)")
    yield from robustness.lines(result["robustness"])
    yield from compare.lines(result["side_by_side"])
    yield from thresholds.lines(result["thresholds"])
    for what in ("skipped", "contradicted", "held"):
        if any(result[what].values()):
            yield f"{what}: {', '.join(f'{n} {split}' for split, n in result[what].items() if n)}"
    yield f"the labels, as audited: {result['audit']['said']}"
    yield f"path: {result['path']}"
