"""A release as rows: what goes into it, who says so, and how it is read back. `docs/releases.md` lists the columns."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from curate.config import Config
from curate.errors import UsageError
from curate.fingerprint import canonical
from curate.net.redact import redact
from curate.options import Plugin
from curate.plugins import called, digest
from curate.records import SPLITS, Axis
from curate.store import eligibility, samples, views

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.store.catalog import Catalog, Row
    from curate.store.workspace import Workspace
from curate.label.final import Labels, labels

SCHEMA = 1  # raise it when a column changes its meaning; a further column changes none

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
    "license_url": "string?",
    "attribution": "string?",
    "page_url": "string?",
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
SELECT c.sample, c.kind, c.locator, substr(s.source, 1, instr(s.source, ':') - 1) AS plugin, m.ref, m.license,
    m.attribution, m.upstream, m.facts
FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source)
WHERE c.sample IS NOT NULL ORDER BY c.sample
"""


def collect(ws: "Workspace") -> Rows:
    """Every labelled survivor as a row; the order in which things arrived leaves no trace."""
    import pyarrow as pa

    axes = ws.config.taxonomy.axes
    known = [labels(ws, axis) for axis in axes]
    votes = views.votes(ws.catalog, axes[0].name, ws.config.taxonomy.version)
    origins = dict(_origins(ws.catalog))
    excluded: Counter[str] = Counter()
    rows: dict[str, list[tuple[object, ...]]] = {split: [] for split in SPLITS}
    for sample, (_, reason) in zip(ws.catalog.iterate(_SAMPLES), _judged(ws, axes, known), strict=True):
        if reason is not None:
            excluded[reason] += 1
        else:
            origin = origins[sample["parent"] or sample["id"]]
            rows[sample["split"]].append(_row(sample, known, votes.get(sample["id"]), origin))
    columns = schema(axes)
    tables = {split: pa.table(_turned(rows[split], len(columns)), schema=columns) for split in SPLITS}
    return Rows(tables, dict(sorted(excluded.items())))


def reasons(ws: "Workspace", ids: Collection[str]) -> dict[str, str | None]:
    """Why each of these would be in no release now; None of what would be. Those that nobody knows of are left out."""
    axes, asked = ws.config.taxonomy.axes, set(ids)
    return {one: why for one, why in _judged(ws, axes, [labels(ws, axis) for axis in axes]) if one in asked}


def _judged(ws: "Workspace", axes: tuple[Axis, ...], known: list[Labels]) -> Iterator[tuple[str, str | None]]:
    """Every stored sample, by id, and why it is not released; None where it is."""
    minors = samples.minors(ws.catalog)
    for one in eligibility.standings(ws.catalog):
        labelled, withheld = one.id in known[0].by_sample, known[0].withheld.get(one.id)
        shows_minors = one.id in minors and _is_positive(one.id, axes, known)
        yield one.id, eligibility.unreleased(one, labelled, withheld, shows_minors)


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
    """The one mention that a row names: (source, ref, url, upstream, license and its URL, attribution, page's URL)."""
    for sample, mentions in groupby(catalog.iterate(_MENTIONS), key=lambda row: str(row["sample"])):
        best = min(mentions, key=_preference)
        url = redact(best["locator"]) if best["kind"] == "url" else None
        facts = json.loads(best["facts"] or "{}")
        said = {name: redact(best[name]) if best[name] else None for name in ("upstream", "license", "attribution")}
        links = [_link(facts.get(name)) for name in ("license_url", "page_url")]
        told = (said["upstream"], said["license"], links[0], said["attribution"], links[1])
        yield sample, (best["plugin"], redact(best["ref"]), url, *told)


def _link(fact: object) -> str | None:
    """A fact that is the address of a web page; wikis give some without a scheme."""
    text = f"https:{fact}" if isinstance(fact, str) and fact.startswith("//") else fact
    return redact(text) if isinstance(text, str) and _WEB.fullmatch(text) else None


_WEB = re.compile(r"https?://[^\s<>\"]+")


def _preference(mention: "Row") -> tuple[object, ...]:
    """Licensed before unlicensed, a URL before a local file, then in sorted order; a local path is never looked at."""
    is_url = mention["kind"] == "url"
    rest = (mention[name] or "" for name in ("plugin", "ref", "license", "attribution", "upstream", "facts"))
    return (not mention["license"], not is_url, mention["locator"] if is_url else "", *rest)


# -- what it was made under ------------------------------------------------------------------------------------------


def config_sha256(config: Config) -> str:
    """The sha256 of every option that decides what a row says: not of comments, paths, politeness, workers."""
    said = {
        "taxonomy": {key: value for key, value in asdict(config.taxonomy).items() if key != "guideline"},
        "dedupe": asdict(config.dedupe) | _from_outside("labelers", "embeddings", config.dedupe.embeddings),
        "labelers": [
            {"use": one.use, "options": one.options} | _from_outside("labelers", "use", one.use)
            for one in config.labelers
        ],
        "label": asdict(config.label)
        | {"functions": [_contents(path) for path in config.label.functions]}
        | _from_outside("curate.label.models", "model", None if config.label.model == "auto" else config.label.model),
        "export": {"splits": config.export.splits, "salt": config.export.salt},
        "gates": {"screening": config.screening.required, "license": config.export.require_license},
    }
    return hashlib.sha256(canonical(said).encode()).hexdigest()


def _from_outside(package: str, key: str, use: str | None) -> dict[str, str]:
    """What stands in place of a plug-in from outside: its name and its digest, and not where its file lies."""
    if use is None or (found := digest(package, use, key, "plug-in")) is None:
        return {}
    return {key: f"{called(Plugin(use))} {found}"}


def _contents(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"label.functions: {path}: {error.strerror}") from error
