"""The stages of the pipeline with what curate.toml names: sources, gate, labelers, formats, backbone."""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from curate.admin import configured
from curate.admin.session import Session
from curate.config import CONFIG_NAME, Config
from curate.contracts import HASHING, Source, SupportsAsk
from curate.errors import CurateError, UsageError
from curate.options import Plugin, plugin_name, suggest
from curate.plugins import called
from curate.store import eligibility, lost
from curate.store.taxonomies import renamed
from curate.store.workspace import Workspace


def fetched(session: Session, ws: Workspace, limit: int | None = None, sample: int | None = None) -> dict[str, Any]:
    """Fetch, as the configuration says."""
    config = ws.config
    hashed = HASHING if config.screening.lists or config.screening.matchers else ()
    engine = session.engine(config, ("curate.features.inspect", *hashed))  # it gets ready while the rest is imported
    from curate.fetch.moved import follow
    from curate.fetch.run import fetch
    from curate.screening.incidents import expire

    sources, gate = configured.sources(config), configured.gate(config, ws.catalog)
    expire(ws, strays=True)
    moved = follow(ws.catalog, sources, session.progress)
    found = fetch(ws, sources, session.client(config), gate, engine, session.progress, limit, sample) | {"moved": moved}
    for line in _left_over(ws, found):
        session.note(line)
    return found


def _left_over(ws: Workspace, found: dict[str, Any]) -> list[str]:
    """What a fetch left for another one, each with the command that asks for it."""
    from curate.fetch.coverage import former, passing
    from curate.fetch.reasons import table_of

    lines = [
        f"{n} that failed by [{table_of(key)}] {key} were asked again: it has changed"
        for key, n in found["reopened"].items()
    ]
    if found["moved"]:
        lines.append(f"{found['moved']} files are known again, at another place")
    if hosts := found["deferred_hosts"]:
        lines.append(
            f"{hosts} hosts kept failing, or want long waits, and were left alone: what was not asked of them is still"
            " pending; `curate fetch` asks again"
        )
    if left := found["not_asked"]:
        lines.append(
            f"{left} candidates are not asked for: a source that curate.toml does not name any more calls them not"
            " safe, or gives no class, and no screening list is loaded"
        )
    sources, candidates = former(ws.catalog)
    if candidates:
        lines.append(
            f"{sources} sources that curate.toml does not name any more have {candidates} candidates that stay; `curate"
            " status` lists them, `curate takedown` removes what is not wanted"
        )
    if failed := passing(ws):
        lines.append(f"{failed} failed for a reason that may pass; `curate fetch --retry-failed` asks again")
    return lines


def refusal(ws: Workspace, sources: Sequence[Source]) -> str | None:
    """Why `fetch` would not begin with these sources; None where it would."""
    from curate.fetch.admission import admit

    try:
        taxonomy = ws.config.taxonomy
        before = renamed(ws.catalog, taxonomy.first.name, taxonomy.version)
        admit(ws.config, sources, configured.gate(ws.config, ws.catalog), before)
    except CurateError as error:
        return str(error)
    return None


def grouped(session: Session, ws: Workspace, from_gate: bool = False) -> Mapping[str, Any]:
    """Find duplicates, with the embedder that is configured; `from_gate`: with what a release's second look finds."""
    from curate.dedupe.run import dedupe

    engine, embedder = session.engine(ws.config), configured.embedder(ws.config)
    result: Mapping[str, Any] = dedupe(ws, engine, session.progress, embedder, from_gate)
    session.note_void(result["void"])
    for name in result["held_out_upright"]:
        session.note(
            f"{name}: held out before mirrored, turned and bordered copies were found; give it to --against again"
        )
    return result


def labelled(session: Session, ws: Workspace) -> Mapping[str, Any]:
    """Score, vote and label, with the labelers that are configured."""
    from curate.label.functions import functions_of
    from curate.label.run import label
    from curate.screening import asked

    labelers = configured.labelers(ws.config)
    gone = lost.note(ws)
    if any(isinstance(one, SupportsAsk) for one in labelers):
        ids = eligibility.active(ws.catalog)[0]
        asked.check(ws.catalog, configured.gate(ws.config, ws.catalog), ids, "no picture is sent to a server")
    return label(ws, session.engine(ws.config), labelers, functions_of(labelers), session.progress) | gone


def relabelled(session: Session, ws: Workspace, file: Path) -> dict[str, Any]:
    """Carry decisions over to the taxonomy in force, queue what must be decided anew, and label again."""
    from curate.label.taxonomy import carry, mapping

    remap = mapping.read(file, ws.config.taxonomy)
    if not remap.reason:
        session.note(f"{file}: no `reason`; releases say what changed, and nothing of why")
    before = carry.called(ws)
    try:
        said = carry.carry(ws, remap)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    label = labelled(session, ws)
    return {**said, "moved": carry.moved(before, carry.called(ws)), "label": label}


def tried(session: Session, ws: Workspace, file: Path, size: int | None) -> Mapping[str, Any]:
    """Try a file of labelling functions beside those that are configured; the page goes where it can be written."""
    from curate.label.functions import functions_of
    from curate.label.trying import SIZE, attempt
    from curate.report.trying import page

    session.obey()
    labelers = configured.labelers(ws.config)
    found = attempt(ws, labelers, functions_of(labelers), file.absolute(), session.progress, size or SIZE)
    return found.facts if ws.borrowed else {**found.facts, "page": str(page(ws, found, session.progress))}


def estimated(
    ws: Workspace, axis: str | None, queue: str | None, score: tuple[str | Path | None, float | None, str],
    wanted: str | None,
) -> Mapping[str, Any]:  # fmt: skip
    """Figures from an audit, of the labels and of a score of the labelers that are configured."""
    from curate.label.estimate.calls import NOT_SAFE, Score
    from curate.label.estimate.plan import Wanted
    from curate.label.estimate.run import Asked, estimate

    axes = {one.name: one for one in ws.config.taxonomy.axes}
    found = ws.config.taxonomy.first if axis is None else axes.get(axis)
    if found is None:
        raise UsageError(f"--axis: no such axis '{axis}'; {suggest(str(axis), axes)}")
    name, threshold, of = score
    if (name is None) != (threshold is None):
        raise UsageError("estimate: --score and --threshold go together")
    if name is None and of != NOT_SAFE:
        raise UsageError("--class: says what a --score calls; of the labels, every class is there")
    if of not in (NOT_SAFE, *found.classes):
        raise UsageError(f"--class: no such class '{of}'; {suggest(of, (NOT_SAFE, *found.classes))}")
    judged = Score(str(name), threshold, of) if threshold is not None else None
    plan = Wanted.read(wanted) if wanted is not None else None
    labelers = configured.labelers(ws.config) if judged is not None else []
    return estimate(ws, Asked(found, queue, judged, plan), labelers)


def exported(
    session: Session, ws: Workspace, version: str | None, formats: Sequence[str] = (), acknowledged: str | None = None
) -> Mapping[str, Any]:
    """Write a release, in the formats that are named, or that are configured; one that exists in those that it lacks,
    where some are named."""
    from curate.label.table import other
    from curate.release.export import export, export_also

    gate = configured.gate(ws.config, ws.catalog)
    gone = lost.note(ws)
    asked, given = configured.formats(ws.config, formats), (session.engine(ws.config), acknowledged)
    if formats and version and _is_released(ws, version):
        return export_also(ws, version, asked, session.progress, gate, *given) | gone
    if (said := other(ws)) is not None:
        session.note(f"the labels were made {said}, other than curate.toml now says: `curate label` makes them anew")
    return export(ws, version, asked, session.progress, gate, *given) | gone


def planned(
    ws: Workspace, version: str | None, formats: Sequence[str] = (), acknowledged: str | None = None
) -> Mapping[str, Any]:
    """What `exported` would make, and what would refuse it."""
    from curate.release.preview import preview

    if formats and version and _is_released(ws, version):
        raise UsageError(
            f"release {version} exists: --dry-run is about one that is to be made; leave it out to write this one in"
            f" {', '.join(formats)}"
        )
    gate, asked = configured.gate(ws.config, ws.catalog), configured.formats(ws.config, formats)
    return preview(ws, version, gate, asked, acknowledged)


def _is_released(ws: Workspace, version: str) -> bool:
    return version in {row[0] for row in ws.catalog.all("SELECT version FROM releases")}


def evaluated(session: Session, ws: Workspace, model: str, version: str, split: str) -> Mapping[str, Any]:
    """Measure a model on a split of a release, of this workspace or in a folder; labelers are those that are
    configured."""
    from curate.evaluate import benchmark
    from curate.evaluate.run import Asked, evaluate

    here = _is_released(ws, version) or not benchmark.is_folder(version)
    labelers, asked = configured.labelers(ws.config), Asked(model, version, split)
    act = evaluate if here else benchmark.evaluate
    return act(ws, asked, session.engine(ws.config), labelers, ws.config.train.seed)


def published(session: Session, ws: Workspace, model: str, version: str, split: str) -> Mapping[str, Any]:
    """Measure a model, and write a benchmark beside the exports of its release, behind their gates."""
    from curate.evaluate.publish import FORMAT, measured
    from curate.evaluate.run import Asked
    from curate.release.export import export_also
    from curate.store.file_digests import forget

    urls, engine = configured.formats(ws.config, ("urls",))["urls"], session.engine(ws.config)
    labelers, asked = configured.labelers(ws.config), Asked(model, version, split)
    made = measured(ws, asked, urls, engine, labelers, ws.config.train.seed)
    forget(ws, f"exports/{version}/{FORMAT}")  # one that is there gives way
    shutil.rmtree(ws.work / "exports" / version / FORMAT, ignore_errors=True)
    gate = configured.gate(ws.config, ws.catalog)
    found = export_also(ws, version, {FORMAT: made}, session.progress, gate, engine)
    return {**made.said(), "path": found["formats"][FORMAT]}


def trained(
    session: Session, ws: Workspace, version: str, backbone: str | None = None, axis: str | None = None
) -> Mapping[str, Any]:
    """Train on a release, with the backbone that is configured, or another one: that model has a name of its own.

    Slices are told by the labelers.
    """
    from curate.train.run import train

    config = ws.config
    if backbone is not None:
        use = plugin_name(backbone, "--backbone", session.root)
        config = replace(config, train=replace(config.train, backbone=use))
    parts = [axis] if axis not in (None, config.taxonomy.first.name) else []
    parts += [called(Plugin(config.train.backbone))] if config.train.backbone != ws.config.train.backbone else []
    variant = re.sub(r"[^\w.-]", "_", "+".join(map(str, parts)).replace("+", "."))
    found = configured.backbone(config)
    labelers = configured.labelers(ws.config)
    return train(ws, version, session.engine(config), found, session.progress, labelers, axis, variant)


def predicted(session: Session, model: str, paths: Iterable[str], say: Any = None) -> dict[str, Any]:
    """Ask a model, of this workspace or by its folder, about files; no workspace is needed for that."""
    from curate.evaluate.bundle import load_model
    from curate.evaluate.decide import thresholds
    from curate.evaluate.predict import found as files
    from curate.evaluate.predict import model_folder, predict
    from curate.media.decode import Bounds

    here = (session.root / CONFIG_NAME).is_file()
    config = session.config if here else Config()
    found = load_model(model_folder(model, session.root / "work" / "models" if here else None))
    bounds = Bounds(config.fetch.max_pixels, 1, config.fetch.max_frames)
    rows: list[Mapping[str, Any]] = []
    tell = rows.append if say is None else say(found.classes)
    of = looked_at = 0
    for row in predict(found, session.engine(config), files(paths), bounds, config.fetch.max_bytes):
        of += 1
        looked_at += "reason" not in row
        tell(row)
    limits = thresholds(found.work.folder, found.said["files"])
    return {
        "model": found.said["model"], "classes": list(found.classes), "thresholds": asdict(limits),
        "taken_down": found.said.get("taken_down", []), "looked_at": looked_at, "of": of, "rows": rows,
    }  # fmt: skip
