"""A release as rows: what goes into it, who says so, and how it is read back. `docs/releases.md` lists the columns."""

import hashlib
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.config import Config
from curate.errors import StoreError, UsageError
from curate.fingerprint import canonical
from curate.label import flags
from curate.label import table as weak_table
from curate.net.redact import redact
from curate.records import SPLITS, Axis, Manifest
from curate.store import eligibility, views
from curate.store.blobs import sync

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.store.catalog import Catalog, Row
    from curate.store.workspace import Workspace

HEADER = "release.json"
PROVENANCE = "provenance.parquet"
REMOVED = "removed"  # a redacted release's further column: the receipt, where the row was taken down
SCHEMA = 1  # raise it when a column changes its meaning
DIGITS = 4

COLUMNS = {
    "id": "string",
    "label": "string",
    "probability": "float64",
    "label_source": "string",
    "weight": "float64",
    "human_n": "int64",
    "agreement": "float64?",
    "votes": "string?",
    "split": "string",
    "group": "string",
    "parent": "string?",
    "at_ms": "int64?",
    "source": "string",
    "ref": "string",
    "url": "string?",
    "upstream": "string?",
    "license": "string?",
    "attribution": "string?",
    "width": "int64",
    "height": "int64",
    "media_type": "string",
}  # `?`: may be null


def schema(axes: tuple[Axis, ...]) -> "pa.Schema":
    """The columns of a release, in order; each axis after the first has one, `label_<axis>`."""
    import pyarrow as pa

    types = COLUMNS | {f"label_{axis.name}": "string?" for axis in axes[1:]}
    return pa.schema(
        pa.field(name, pa.type_for_alias(kind.rstrip("?")), nullable=kind.endswith("?")) for name, kind in types.items()
    )


# -- labels ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Label:
    """One sample's label on one axis. `human_n` counts the people who judged this very sample, not one like it."""

    name: str
    probability: float
    source: str
    weight: float
    human_n: int = 0
    agreement: float | None = None

    @property
    def seen(self) -> bool:
        """Whether somebody judged this very sample."""
        return self.human_n > 0


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known on one axis: a label by sample, and by sample why it may not be released, whatever is said of it.

    `contradicted`: declared or flagged not safe, and nobody but a machine says otherwise (`curate.label.flags`). `conflict`:
    people contradict each other about it, or sources about its near-duplicates, and nobody has looked. Only the last of
    these leaves it a label.
    """

    by_sample: Mapping[str, Label]
    withheld: Mapping[str, str]


CONTRADICTED, CONFLICT = "contradicted", "conflict"


def labels(ws: "Workspace", axis: Axis) -> Labels:
    """The label of each sample that may have one: people's word before the label model's, which obeys the rule.

    Every label of a release, a page or a figure comes from here.
    """
    taxonomy = ws.config.taxonomy.version
    weak = weak_table.read(ws, axis)
    humans = views.humans(ws.catalog, axis.name, taxonomy, axis.classes)
    found = _weak(weak, axis) | {sample: _human(one) for sample, one in humans.items()}
    withheld = dict.fromkeys(_unseen(ws, axis, found), CONFLICT)
    for sample in accused(ws, axis, weak):
        one = found.get(sample)
        if one is None or (one.name in axis.safe and not one.seen):
            withheld[sample] = CONTRADICTED
            found.pop(sample, None)
    for sample in _contested(ws, axis):
        withheld[sample] = CONFLICT
        found.pop(sample, None)
    return Labels(found, withheld)


def accused(ws: "Workspace", axis: Axis, weak: weak_table.Weak | None = None) -> set[str]:
    """Every sample that is declared or flagged not safe, itself or by what it collapses with."""
    import numpy as np

    weak = weak or weak_table.read(ws, axis)
    said = np.zeros((0, 0), dtype=bool) if weak is None else weak.flags(axis.safe)
    found = flags.accusations(ws, axis, weak.ids if weak else [], said).without(weak.advised() if weak else [])
    ids = list(found.at)
    return {ids[row] for row in np.flatnonzero(found.any)}


def vanished(ws: "Workspace", axis: Axis, given: Collection[str]) -> list[str]:
    """The classes that sources declare of samples and that are not among those given, in the axis's order."""
    declared = {label for said in views.declared(ws.catalog, axis.name).values() for label in said}
    return [name for name in axis.classes if name in declared and name not in given]


def _unseen(ws: "Workspace", axis: Axis, found: Mapping[str, Label]) -> Iterator[str]:
    """Every sample among whose near-duplicates sources contradict each other, and that people have not judged."""
    for sample in views.disputed(ws.catalog, axis.name):
        if sample not in found or found[sample].source != "human":
            yield sample


def _human(one: views.Human) -> Label:
    return Label(one.label, 1.0, "human", 1.0, 0 if one.carried else one.n, round(one.agreement, DIGITS))


def _contested(ws: "Workspace", axis: Axis) -> Iterator[str]:
    """Every member of a collapse set, one picture that is, to which people gave more than one answer, or a tie."""
    members = {row[0]: row[1] for row in ws.catalog.stream("SELECT sample, collapse FROM members")}
    answers: defaultdict[str, set[str | None]] = defaultdict(set)
    settled = views.precedents(ws.catalog, axis.name, ws.config.taxonomy.version)
    for sample, label in settled.items():
        answers[members.get(sample, sample)].add(label)
    for sample, counts in views.votes(ws.catalog, axis.name, ws.config.taxonomy.version).items():
        if sample not in settled and any(counts[label] for label in axis.classes):
            winner = views.consensus(counts, axis.classes)
            answers[members.get(sample, sample)].add(winner.label if winner else None)
    for sample, collapse in members.items() if answers else ():
        if len(said := answers.get(collapse, set())) > 1 or None in said:
            yield sample


def _weak(weak: weak_table.Weak | None, axis: Axis) -> dict[str, Label]:
    if weak is None:
        return {}
    rows = zip(weak.ids, weak.labels, weak.probability(), strict=True)
    known = ((sample, label, round(float(p or 0), DIGITS)) for sample, label, p in rows if label in axis.classes)
    return {sample: Label(str(label), p, "weak", p) for sample, label, p in known}


# -- rows ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """The rows of a release, each split sorted by id, and why every other sample is not among them."""

    tables: Mapping[str, "pa.Table"]
    excluded: Mapping[str, int]

    def ids(self) -> Iterator[tuple[str, str]]:
        """Each released (id, split)."""
        for split, table in self.tables.items():
            yield from ((sample, split) for sample in table.column("id").to_pylist())


_SAMPLES = """
SELECT s.id, s.parent, s.at_ms, s.media_type, s.width, s.height, m.grp, m.split
FROM samples s LEFT JOIN members m ON m.sample = s.id ORDER BY s.id
"""
_MENTIONS = """
SELECT c.sample, c.kind, c.locator, s.plugin, m.ref, m.license, m.attribution, m.upstream
FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source)
WHERE c.sample IS NOT NULL ORDER BY c.sample
"""


def collect(ws: "Workspace") -> Rows:
    """Every labelled survivor as a row; the order in which things arrived leaves no trace."""
    import pyarrow as pa

    axes = ws.config.taxonomy.axes
    known = [labels(ws, axis) for axis in axes]
    votes = views.votes(ws.catalog, axes[0].name, ws.config.taxonomy.version)
    minors = views.minors(ws.catalog)
    origins = dict(_origins(ws.catalog))
    excluded: Counter[str] = Counter()
    rows: dict[str, list[tuple[object, ...]]] = {split: [] for split in SPLITS}
    for sample, standing in zip(ws.catalog.stream(_SAMPLES), eligibility.standings(ws.catalog), strict=True):
        labelled, withheld = standing.id in known[0].by_sample, known[0].withheld.get(standing.id)
        shows_minors = standing.id in minors and _is_positive(standing.id, axes, known)
        if (reason := eligibility.unreleased(standing, labelled, withheld, shows_minors)) is not None:
            excluded[reason] += 1
        else:
            origin = origins[sample["parent"] or sample["id"]]
            rows[sample["split"]].append(_row(sample, known, votes.get(sample["id"]), origin))
    columns = schema(axes)
    tables = {split: pa.table(_turned(rows[split], len(columns)), schema=columns) for split in SPLITS}
    return Rows(tables, dict(sorted(excluded.items())))


def _is_positive(sample: str, axes: tuple[Axis, ...], known: list[Labels]) -> bool:
    """True where a label on any axis is not one that the taxonomy calls safe, or is withheld."""
    found = (one.by_sample.get(sample) for one in known)
    return any(sample in one.withheld for one in known) or any(
        label is not None and label.name not in axis.safe for axis, label in zip(axes, found, strict=True)
    )


def _row(
    sample: "Row", known: list[Labels], votes: Mapping[str, int] | None, origin: tuple[str | None, ...]
) -> tuple[object, ...]:
    label = known[0].by_sample[sample["id"]]
    others = (None if sample["id"] in one.withheld else one.by_sample.get(sample["id"]) for one in known[1:])
    return (
        sample["id"],
        label.name,
        label.probability,
        label.source,
        label.weight,
        label.human_n,
        label.agreement,
        votes and canonical(votes),
        sample["split"],
        sample["grp"],
        sample["parent"],
        sample["at_ms"],
        *origin,
        sample["width"],
        sample["height"],
        sample["media_type"],
        *(one and one.name for one in others),
    )


def _turned(rows: list[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _origins(catalog: "Catalog") -> Iterator[tuple[str, tuple[str | None, ...]]]:
    """The one mention that a row names: (source, ref, url, upstream, license, attribution)."""
    for sample, mentions in groupby(catalog.stream(_MENTIONS), key=lambda row: str(row["sample"])):
        best = min(mentions, key=_preference)
        url = redact(best["locator"]) if best["kind"] == "url" else None
        said = (redact(best[name]) if best[name] else None for name in ("upstream", "license", "attribution"))
        yield sample, (best["plugin"], redact(best["ref"]), url, *said)


def _preference(mention: "Row") -> tuple[object, ...]:
    """Licensed before unlicensed, a URL before a local file, then in sorted order; a local path is never looked at."""
    is_url = mention["kind"] == "url"
    rest = (mention[name] or "" for name in ("plugin", "ref", "license", "attribution", "upstream"))
    return (not mention["license"], not is_url, mention["locator"] if is_url else "", *rest)


# -- what it was made under ------------------------------------------------------------------------------------------


def config_sha256(config: Config) -> str:
    """The sha256 of every option that decides what a row says: not of comments, paths, politeness, workers."""
    said = {
        "taxonomy": {key: value for key, value in asdict(config.taxonomy).items() if key != "guideline"},
        "dedupe": asdict(config.dedupe),
        "labelers": [{"use": one.use, "options": one.options} for one in config.labelers],
        "label": asdict(config.label) | {"functions": [_contents(path) for path in config.label.functions]},
        "export": {"splits": config.export.splits, "salt": config.export.salt},
        "gates": {"screening": config.screening.required, "license": config.export.require_license},
    }
    return hashlib.sha256(canonical(said).encode()).hexdigest()


def _contents(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"label.functions: {path}: {error.strerror}") from error


# -- writing and reading back ----------------------------------------------------------------------------------------


@contextmanager
def aside(parent: Path, name: str) -> Iterator[Path]:
    """A folder built under another name, that gets its own once it is whole and durable; it replaces what was there."""
    part, final = parent / f".{name}.tmp", parent / name
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700, parents=True)
    try:
        yield part
        for folder, _, names in os.walk(part, topdown=False):
            for file in names:
                (Path(folder) / file).chmod(0o600)
                sync(Path(folder) / file)
            sync(Path(folder))
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
        sync(parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def load(path: Path, sha256: str | None = None) -> Manifest:
    """A release read from its folder, every file checked against the header, and the header against `sha256` if given.

    Raises StoreError for a file that is missing, cannot be read, or is not the one that was released.
    """
    text = _checked(path / HEADER, sha256)
    try:
        header: dict[str, Any] = json.loads(text)
        whole = {split: _parquet(_checked(path / name, header["files"][name])) for split, name in files().items()}
        rows = {split: _live(table, header["columns"]) for split, table in whole.items()}
        return Manifest(header["version"], path, header, rows)
    except (ValueError, KeyError) as error:
        raise StoreError(f"{path / HEADER}: not the header of a release ({type(error).__name__}: {error})") from error


def files() -> dict[str, str]:
    """The file of each split."""
    return {split: f"{split}.parquet" for split in SPLITS}


def _parquet(data: bytes) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))


def _live(table: "pa.Table", columns: list[str]) -> "pa.Table":
    """The rows that were not taken down, with the columns that every release has."""
    import pyarrow.compute as pc

    if REMOVED not in table.column_names:
        return table
    return table.filter(pc.is_null(table.column(REMOVED))).select(columns)


def _checked(path: Path, sha256: str | None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path}: not the bytes that were released (sha256 differs); restore it, or export anew")
    return data
