"""`curate eval`: any model on a split of a release, with the figures of `train` and beside the release's baseline."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.contracts import Engine, Labeler, SupportsAsk
from curate.errors import CurateError, StoreError, UsageError
from curate.evaluate import compare, figures
from curate.evaluate.account import BASELINE, ground_of
from curate.evaluate.bundle import backbone_of
from curate.evaluate.compare import Ground, side_by_side
from curate.evaluate.contenders import Contender, of_csv, of_head, of_labeler, tells
from curate.evaluate.pictures import asked
from curate.evaluate.rows import Rows, released, usable
from curate.label.run import check_classes
from curate.linear import HEAD, Head
from curate.options import plugin, suggest, toml_file
from curate.plugins import make, name_of
from curate.records import SPLITS, Axis, Manifest
from curate.release.reader import HEADER
from curate.stats.coverage import Coverage
from curate.stats.metrics import Predictions
from curate.store.file_digests import digest
from curate.store.model_files import checked, file, withdrawn
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

RECIPE, WEIGHTS = "preprocessing.json", "model.safetensors"


@dataclass(frozen=True)
class Asked:
    """Which model, on which split of which release. A model is a version that was trained here or its folder, a labeler
    of curate.toml, the recipe of one (FILE.toml), or scores (FILE.csv)."""

    model: str
    version: str
    split: str = "test"


def evaluate(
    ws: "Workspace", wanted: Asked, engine: Engine, labelers: Sequence[Labeler], seed: int = 0
) -> dict[str, Any]:
    """The figures of a model; `missing` rows have no score and are in no figure, `of` says of how many they are.

    Raises UsageError for a release, a split or a model that is not there, and for scores that are none; nothing is
    written then. What it finds stands beside the baseline in the report.
    """
    started = time.monotonic()
    release = released(ws, wanted.version)
    axis = axis_of(ws, release, wanted.split)
    rows = usable(ws, release, wanted.split, axis.classes)
    if not len(rows):
        raise UsageError(f"release {wanted.version}: no row of {wanted.split} is left to look at")
    if (baseline := _baseline(ws, wanted)) is not None:
        checked(baseline)  # now, and not when everybody else was asked
    found, folder = contender(ws, wanted, axis, rows, engine, labelers), _folder(ws, wanted.model)
    known = ~np.isnan(found.unsafe)
    beside = _beside(ws, baseline, axis, rows, engine)
    result: dict[str, Any] = {
        **Coverage(int(known.sum()), len(rows), "rows", "have no score").facts(None),
        "model": found.name, "version": wanted.version, "split": wanted.split, "of": len(rows),
        "taken_down": [] if folder is None else checked(folder).get("taken_down", []),
        "missing": int((~known).sum()), "held": rows.held, "contradicted": rows.contradicted,
        "figures_of": figures_of(found, ground_of(rows, axis), known, seed),
        "side_by_side": side_by_side(ground_of(rows, axis), [*beside, found], seed) if beside else None,
    }  # fmt: skip
    if folder is not None:
        result["seen"] = seen(ws, folder, rows)
    result["incomplete"] = Coverage(int(known.sum()), len(rows), "rows", "have no score").short
    _keep(ws, result)
    return result | {"seconds": round(time.monotonic() - started, 2)}


def axis_of(ws: "Workspace", release: Manifest, split: str) -> Axis:
    """The axis that a release's labels are on; raises UsageError where its classes changed since, or for no split."""
    if split not in SPLITS:
        raise UsageError(f"--split: no such split '{split}'; {suggest(split, SPLITS)}")
    axis, said = ws.config.taxonomy.first, release.header["taxonomy"]["axes"][0]
    if (axis.name, list(axis.classes)) != (said["name"], said["classes"]):
        raise UsageError(f"release {release.version}: its classes are not those of curate.toml")
    return axis


def figures_of(found: Contender, ground: Ground, known: np.ndarray, seed: int) -> dict[str, Any]:
    """Of all classes; of a model that tells none apart, of safe and not safe."""
    axis, judged = ground.axis, ground.judged
    if found.probabilities is not None:
        whole = Predictions(judged.truth, found.probabilities, judged.groups, list(axis.classes), judged.sources)
        return figures.measured(whole.pick(known), axis.safe, axis.borderline, seed)
    bad, good = ground.sides
    two = Predictions(
        bad.astype(np.int64), np.stack([1 - found.unsafe, found.unsafe], axis=1), judged.groups, ["safe", "not_safe"],
        judged.sources,
    )  # fmt: skip
    return figures.measured(two.pick(known & (bad | good)), ["safe"], [], seed)


# -- which model -----------------------------------------------------------------------------------------------------


def contender(
    ws: "Workspace", wanted: Asked, axis: Axis, rows: Rows, engine: Engine, labelers: Sequence[Labeler]
) -> Contender:
    """What the model says of the rows; raises UsageError where there is none, or it says nothing of the axis."""
    name, path = wanted.model, Path(wanted.model)
    if path.suffix == ".csv":
        gone = Blocked(ws.catalog)
        return of_csv(path, axis, rows.ids, lambda one: one in rows.aside or gone.sha256(one))
    if path.suffix == ".toml":
        return _asked(ws, axis, _recipe(path), rows, engine)
    if (folder := _folder(ws, name)) is not None:
        return _of_folder(ws, folder, name if folder != path else path.name, axis, rows, engine)
    named = {name_of(one): one for one in labelers}
    if name in named:
        said = of_labeler(ws, axis, named[name], rows)
        known = said is not None and (isinstance(named[name], SupportsAsk) or not np.isnan(said.unsafe).any())
        return said if said is not None and known else _asked(ws, axis, named[name], rows, engine)
    there = [*_versions(ws), *(key for key, one in named.items() if hasattr(one, "says"))]
    raise UsageError(
        f"{name}: no such model; {suggest(name, there) if there else 'none is there'} (or a model's folder, FILE.toml"
        " with a labeler's table, FILE.csv with scores)"
    )


def _versions(ws: "Workspace") -> list[str]:
    return sorted(one.name for one in (ws.work / "models").glob("*") if (one / RECIPE).is_file())


def _folder(ws: "Workspace", name: str) -> Path | None:
    if "/" not in name and name in _versions(ws):
        return ws.work / "models" / name
    return Path(name) if (Path(name) / RECIPE).is_file() else None


def _recipe(path: Path) -> Labeler:
    """The labeler of a file with one table as `[[labelers]]` of curate.toml has it; paths are relative to the file."""
    table = toml_file(path)
    made: Labeler = make("labelers", plugin(table, str(path), path.parent.absolute()), "labeler")
    return made


def _asked(ws: "Workspace", axis: Axis, labeler: Labeler, rows: Rows, engine: Engine) -> Contender:
    """What a labeler says of the rows, asked now."""
    name = name_of(labeler)
    check_classes([labeler], ws.config.taxonomy.axes)
    says = labeler.says(axis) if hasattr(labeler, "says") else {}
    if not says or not labeler.needs.side:
        raise UsageError(
            f"{name}: this labeler says of no column which class of axis {axis.name} it is the probability of"
        )
    if not tells(axis, says):
        raise UsageError(f"{name}: none of its columns is the probability of what is not safe on axis {axis.name}")
    if isinstance(labeler, SupportsAsk):
        raise UsageError(
            f"{name}: a server answers for it: `curate label` asks, and it stands beside others from then on"
        )
    found = of_labeler(ws, axis, labeler, rows, asked(ws, engine, {name: labeler}, rows.ids)[name])
    if found is None:
        raise StoreError(f"{name}: not one of {len(rows)} pictures could be read")
    return found


def _of_folder(ws: "Workspace", folder: Path, name: str, axis: Axis, rows: Rows, engine: Engine) -> Contender:
    """A baseline: its head on the features of its backbone."""
    from safetensors import SafetensorError, safe_open

    try:
        package = checked(folder)
        files = package["files"]
        recipe = json.loads(file(folder, RECIPE, files[RECIPE]))
        with safe_open(folder / WEIGHTS, framework="numpy") as weights:
            head = Head.of({one: weights.get_tensor(one) for one in HEAD})
        said = backbone_of(folder, recipe)
        table = {"use": said["use"], **said["options"]}
        classes = recipe["labels"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise StoreError(
            f"{folder}: not a baseline that this curate can read ({type(error).__name__}: {error})"
        ) from error
    if package["axis"] != axis.name:
        raise UsageError(f"{folder}: a model of axis {package['axis']}; figures here are of axis {axis.name}")
    if "sha256" in said:
        raise UsageError(f"{folder}: its backbone is a file of one's own; `curate train` measures it")
    if package.get("finetuned"):
        raise UsageError(
            f"{folder}: its backbone was fine-tuned, and nothing else has its features; `curate train` measures it"
        )
    backbone = make("labelers", plugin(table, "backbone", folder), "labeler")
    if backbone.version != said["version"]:
        raise UsageError(f"{folder}: made with version {said['version']} of {said['use']}; train anew")
    if strange := [one for one in classes if one not in axis.classes]:
        raise UsageError(f"{folder}: axis {axis.name} has no class '{strange[0]}'")
    features = asked(ws, engine, {"backbone": backbone}, rows.ids)["backbone"]["embedding"]
    found = of_head(name, axis, head, features.astype(np.float32), classes)
    return replace(found, foot="; ".join([*withdrawn(package), *_told(seen(ws, folder, rows))]))


def seen(ws: "Workspace", folder: Path, rows: Rows) -> dict[str, int] | None:
    """How many of these rows, or of their near-duplicates, are of the splits that a baseline learnt from: `train`, and
    `val`, by which it was stopped; None where the release that it is of is not here."""
    release = checked(folder)["release"]
    try:
        found = released(ws, release["version"])
    except CurateError:
        return None
    if folder.absolute().parent != (ws.work / "models").absolute() and digest(found.path / HEADER) != release["sha256"]:
        return None  # another one of that version
    groups, counts = rows.column("group"), {}
    for split in ("train", "val"):
        of = found.rows[split]
        ids, theirs = set(of.column("id").to_pylist()), set(of.column("group").to_pylist())
        counts[split] = sum(one in ids or group in theirs for one, group in zip(rows.ids, groups, strict=True))
    return counts


def _told(counts: Mapping[str, int] | None) -> Iterator[str]:
    if counts is None:
        yield "learnt from a release that is not here: how many of these rows it saw is not known"
    elif any(counts.values()):
        yield (
            f"saw {counts['train'] + counts['val']} of these rows, or their near-duplicates, when it was trained"
            f" ({counts['train']} of its train, {counts['val']} of its val): of these it is right whatever it learnt"
        )


def _baseline(ws: "Workspace", wanted: Asked) -> Path | None:
    """The folder of the release's baseline, where there is one and it is not what is asked about."""
    folder = ws.work / "models" / wanted.version
    same = wanted.model == wanted.version or Path(wanted.model).absolute() == folder
    return None if same or wanted.version not in _versions(ws) else folder


def _beside(ws: "Workspace", folder: Path | None, axis: Axis, rows: Rows, engine: Engine) -> list[Contender]:
    """What the release's baseline says."""
    if folder is None:
        return []
    try:
        return [_of_folder(ws, folder, BASELINE, axis, rows, engine)]
    except UsageError:  # on a backbone of one's own
        return []


def _keep(ws: "Workspace", result: Mapping[str, Any]) -> None:
    """For the report; of no row anything is kept."""
    name = f"eval:{result['model']}@{result['version']}/{result['split']}"
    with ws.catalog.tx() as db:
        row = (name, result["version"], json.dumps(result, ensure_ascii=False), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO models (model, version, result, run) VALUES (?, ?, ?, ?)", row)


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What `eval` found, for people."""
    yield f"{result['model']} on release {result['version']}"
    yield from (f"{result['model']} {said}" for said in withdrawn(result))
    if "seen" in result:
        yield from (f"{result['model']} {said}" for said in _told(result["seen"]))
    if result["missing"]:
        yield f"missing: {result['missing']} of {result['of']} rows have no score, and are in no figure"
    for what in ("held", "contradicted"):
        if result[what]:
            yield f"{what} since the release: {result[what]} rows, which are not looked at"
    if result["contradicted"]:
        yield "a labeler in force whose own flags are among these looks better than it is: docs/baseline.md, Eval"
    yield from figures.lines(result["figures_of"], result["split"])
    if result["side_by_side"]:
        yield from compare.lines(result["side_by_side"])
