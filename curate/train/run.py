"""`curate train`: the baseline classifier on a release, and what it is worth on the release's test split."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import __version__
from curate.config import TrainConfig
from curate.contracts import Engine, Labeler
from curate.errors import CurateError, UsageError
from curate.evaluate import compare, figures, robustness, thresholds
from curate.evaluate.account import Fitted, account
from curate.evaluate.bundle import Backbone, save
from curate.evaluate.rows import Featured, on_axis, released, usable
from curate.features import devices
from curate.features.scores import compute
from curate.label.estimate.beside import beside
from curate.linear import Examples, Head, fit
from curate.plugins import network_of
from curate.records import SPLITS, Axis, Manifest
from curate.release.reader import HEADER
from curate.stats.calibration import temperature
from curate.stats.coverage import Coverage
from curate.store import eligibility
from curate.store.blobs import disk, write
from curate.store.file_digests import digest, forget, keep
from curate.store.folders import aside
from curate.store.model_files import CARD, seal
from curate.train import finetune
from curate.train.card import card
from curate.train.lesson import axis_of, taught

if TYPE_CHECKING:
    from curate.progress import Progress
    from curate.store.workspace import Workspace

METRICS, LOG = "metrics.json", "log.csv"
SCARCE = 10  # rows of a class in train, below which it is said that they are few
FEW = 50  # groups of val, below which no temperature is fitted to them


def train(
    ws: "Workspace", version: str, engine: Engine, backbone: Backbone, progress: "Progress",
    labelers: Sequence[Labeler] = (), axis: str | None = None, variant: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Fit a linear head on the frozen features of the train split, stop by val, and say what it is worth on test.

    `labelers`: what else there is to say of pictures, for slices; `axis`: whose labels are learnt (None: the first's);
    `variant`: what the model is called beside its release's version. Test rows are looked at once, at the end; rows
    that are held back since, or have since been declared or flagged not safe while no person called them safe, are not
    looked at. Same release, same files to the byte. Raises UsageError for a release or an axis that is not there, or a
    train split that holds one class.
    """
    started = time.monotonic()
    release = released(ws, version)
    own = axis_of(ws, release, axis)
    classes = _classes(ws, release, own)
    name = f"{version}+{variant}" if variant else version
    with disk():
        rows = {split: usable(ws, release, split, classes, own) for split in SPLITS}
    tuning: dict[str, Any] = {}
    if ws.config.train.finetune and len(set(rows["train"].truth.tolist())) > 1:
        backbone, tuning = finetune.tuned(ws, backbone, rows, own, engine, progress)
    compute(ws, engine, [backbone], progress, "embed")
    with disk():
        parts = {split: Featured.of(ws, backbone, rows[split]) for split in SPLITS}
        _check_train(ws, release, parts["train"])
    lesson = taught(ws, own, parts["train"], backbone, engine, progress)
    with progress.stage("train", 2) as step, disk():
        device, options = devices.found(ws.config.engine.device), ws.config.train
        fitted = _fitted(parts, lesson, own, options, device)
        step()
        result = _result(release, parts, fitted) | account(
            ws, engine, backbone, parts, fitted.heads, own, labelers, options
        )
        result |= {"model": name, "axis": own.name, "backbone": network_of(backbone), "few": _few(parts["train"])}
        result |= {"finetuned": tuning} if tuning else {}
        with aside(ws.work / "models", name) as folder:
            _write(folder, release, own, backbone, fitted.heads.head, result)
            forget(ws, f"models/{name}")  # last: whatever fails before leaves the model that was there
            if tuning:
                finetune.clear(ws, backbone)
        step()
    keep(ws, f"models/{name}")
    audit = beside(ws, own)  # not in the model's files, which follow from the release alone
    result |= {"path": str(ws.work / "models" / name), "audit": audit}
    with ws.catalog.tx() as db:
        row = (name, version, json.dumps(result, ensure_ascii=False), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)
    return result | {"seconds": round(time.monotonic() - started, 2)}


def _write(
    folder: Path, release: Manifest, axis: Axis, backbone: Backbone, head: Head, result: Mapping[str, Any]
) -> None:
    """Every file of a model, the one that has the digests of the others last."""
    classes = result["classes"]
    save(folder, backbone, head, classes)
    for name, said in ((METRICS, result), (thresholds.FILE, result["thresholds"])):
        write(folder / name, (json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
    write(folder / LOG, "".join(["epoch,train_loss,val_loss,kept\n", *_log(head)]).encode())
    facts = {
        "model": result["model"],
        "release": {"version": release.version, "sha256": digest(release.path / HEADER)},
        "axis": axis.name,
        "classes": classes,
        "safe": [one for one in classes if one in axis.safe],
        "borderline": [one for one in classes if one in axis.borderline],
        "backbone": result["backbone"],
        "tool": f"curate-media {__version__}",
        **({"finetuned": result["finetuned"]["blocks"]} if "finetuned" in result else {}),
    }
    write(folder / CARD, card(facts, result, release.header).encode())
    seal(folder, facts)


def _log(head: Head) -> Iterator[str]:
    """A line an epoch."""
    for epoch, before, after in head.log:
        val = "" if np.isnan(after) else f"{after:.9g}"
        yield f"{epoch},{before:.9g},{val},{'yes' if epoch == head.epochs else ''}\n"


def _few(train: Featured) -> dict[str, int]:
    """The classes of which train has fewer than SCARCE rows, and how many."""
    counts = np.bincount(train.rows.truth[train.known], minlength=len(train.rows.classes)).tolist()
    return {name: n for name, n in zip(train.rows.classes, counts, strict=True) if n < SCARCE}


def _classes(ws: "Workspace", release: Manifest, axis: Axis) -> list[str]:
    """The classes of the release on an axis, in the taxonomy's order."""
    there = {split: set(on_axis(ws, release, split, axis).column("label").to_pylist()) for split in SPLITS}
    if len(there["train"]) < 2:
        raise UsageError(
            f"release {release.version}: its train split holds fewer than two classes; nothing to tell apart"
        )
    return [name for name in axis.classes if any(name in one for one in there.values())]


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


def _fitted(
    parts: Mapping[str, Featured], lesson: Examples, axis: Axis, options: TrainConfig, device: str
) -> "_Fitted":
    """The model's head, of what train teaches, and those that stand beside it; rows of val that thresholds are promised
    by teach none."""
    train, val = parts["train"], parts["val"]
    promised = thresholds.held_out(val.rows, axis.safe, axis.borderline, options.guarantee)
    k, stop = len(train.rows.classes), val.examples(~promised)
    head, people = fit(lesson, stop, k, options, device), None
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
    return replace(head, temperature=float(np.float32(found))), found, "val"


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
    if tuning := result.get("finetuned"):
        said = f"epoch {tuning['epochs']} of {len(tuning['log'])} is kept"
        yield f"finetuned: the last {tuning['blocks']} blocks of {result['backbone']}; {said}"
    yield from figures.lines(result["test"], "test")
    if worst := result["worst"]:
        low, high = worst["right_interval"]
        said = f"{worst['heading']} {worst['right']:.4f} ({low:.4f} to {high:.4f}; n = {worst['n']})"
        yield f"worst slice: {worst['kind']}, {worst['name']}: {said}"
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
    for name, n in result.get("few", {}).items():
        yield f"few: train has {n} rows of {name}: what the model says of that class is not to be relied on"
    yield f"the labels, as audited: {result['audit']['said']}"
    yield f"path: {result['path']}"
