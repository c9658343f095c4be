"""A release as rows: what goes into it, who says so, and how it is read back. `docs/releases.md` lists the columns."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.config import Config
from curate.errors import UsageError
from curate.fingerprint import canonical
from curate.label import final
from curate.label.final import Columns
from curate.options import Plugin
from curate.plugins import called, digest
from curate.records import SPLITS, Axis, Reason
from curate.release.origins import origins
from curate.store import columns, eligibility, samples, views
from curate.store.columns import Scan

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace

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
UNSURE = "below_min_probability"


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

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(table.num_rows for table in self.tables.values())

    @cached_property
    def sorted_ids(self) -> "pa.Array":
        """Each id, large_string, sorted."""
        import pyarrow as pa

        chunks = [one for table in self.tables.values() for one in table.column("id").chunks]
        ids = pa.chunked_array(chunks, pa.string())
        found: pa.Array = ids.cast(pa.large_string()).combine_chunks().sort()
        return found

    def ids(self) -> Iterator[tuple[str, str]]:
        """Each released (id, split)."""
        for split, table in self.tables.items():
            yield from ((sample, split) for sample in table.column("id").to_pylist())


_STORED = ("id", "parent", "at_ms", "width", "height", "media_type")
_MEMBER = {"sample": "sample", "group": "grp", "split": "split", "survivor": "survivor", "excluded": "excluded"}


def collect(ws: "Workspace") -> Rows:
    """Every labelled survivor as a row; the order in which things arrived leaves no trace.

    Each table is read once, as columns: Python looks at rows that something is said against, and at what people said.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    axes, sets = ws.config.taxonomy.axes, samples.collapse_sets(ws.catalog)
    stored = _stored(ws.catalog, sets.ids)
    with ThreadPoolExecutor(1) as thread:  # SQLite lets go of the interpreter
        found = thread.submit(_origins, ws.catalog, stored["parent"], stored["id"])
        known, out = _judged(ws, stored, sets)
        out = _unlicensed(ws, found.result()) | out
    kept = np.setdiff1d(np.arange(len(stored["id"])), list(out))
    some = {name: column.take(kept) for name, column in stored.items()}
    votes = views.votes(ws.catalog, axes[0].name, ws.config.taxonomy.version)
    said = _labels(known[0], kept) | {"votes": [canonical(by) if (by := votes.get(one)) else None
                                                for one in some["id"].to_pylist()]}  # fmt: skip
    for axis, one in zip(axes[1:], known[1:], strict=True):
        said[f"label_{axis.name}"] = _names(one, kept, one.withheld[kept] == 0)
    said |= {name: column.take(kept) for name, column in found.result().items()}
    wanted = schema(axes)
    whole = pa.table([_as(said.get(one.name, some.get(one.name)), one.type) for one in wanted], schema=wanted)
    tables = {split: whole.filter(pc.equal(whole.column("split"), split)).combine_chunks() for split in SPLITS}
    return Rows(tables, dict(sorted(Counter(out.values()).items())))


def reasons(ws: "Workspace", ids: Collection[str]) -> dict[str, str | None]:
    """Why each of these would be in no release now; None of what would be. Those that nobody knows of are left out."""
    asked, sets = set(ids), samples.collapse_sets(ws.catalog)
    stored = _stored(ws.catalog, sets.ids)
    _, out = _judged(ws, stored, sets)
    if ws.config.export.licenses:
        out = _unlicensed(ws, _origins(ws.catalog, stored["parent"], stored["id"])) | out
    return {one: out.get(row) for row, one in enumerate(stored["id"].to_pylist()) if one in asked}


def _judged(ws: "Workspace", stored: "dict[str, pa.Array]", sets: samples.Sets) -> tuple[list[Columns], dict[int, str]]:
    """The labels of stored samples on each axis, and why some of them are not released."""
    known = [final.columns(ws, axis, lambda: sets) for axis in ws.config.taxonomy.axes]
    return known, _reasons(ws, stored, known)


def _origins(catalog: "Catalog", parents: "pa.Array", ids: "pa.Array") -> "dict[str, pa.Array]":
    """Where each row comes from: a frame from where its video does."""
    import pyarrow.compute as pc

    asked = pc.coalesce(parents, ids)
    whose = pc.unique(asked)
    found = origins(catalog, whose)
    if len(whose) < len(asked):
        found = {name: column.take(pc.index_in(asked, value_set=whose)) for name, column in found.items()}
    return found


def _as(values: Any, kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def _stored(catalog: "Catalog", ids: "pa.Array") -> "dict[str, pa.Array]":
    """What the catalog has of each of these samples, which are by id; nothing of a group before dedupe."""
    numbers, nullable = ("at_ms", "width", "height"), ("parent", "at_ms")
    with catalog.reading() as db:
        found = columns.read(db, Scan({name: name for name in _STORED}, "samples", "id", numbers=numbers,
                                      nullable=nullable))  # fmt: skip
        member = columns.read(db, Scan(_MEMBER, "members", "sample", nullable=("excluded",)))
    return columns.align(found, "id", ids) | columns.align(member, "sample", ids)


def _reasons(ws: "Workspace", stored: "dict[str, pa.Array]", known: Sequence[Columns]) -> dict[int, str]:
    """Why each row that is not released is not (`eligibility.unreleased`), then who is less sure than is asked for."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    ids, first, n = stored["id"], known[0], len(stored["id"])
    held = eligibility.inactive(ws.catalog)
    minors = samples.minors(ws.catalog)
    survives = pc.equal(stored["survivor"], ids).fill_null(False).to_numpy(zero_copy_only=False)
    plain = survives & pc.is_null(stored["excluded"]).to_numpy(zero_copy_only=False)
    plain &= (first.place[:n] >= 0) & (first.withheld[:n] == 0)
    plain &= ~pc.is_in(ids, value_set=pa.array([*held, *minors], ids.type)).to_numpy(zero_copy_only=False)
    found = {}
    for row in np.flatnonzero(~plain).tolist():  # of the others nothing is said that could keep them out
        one, survivor, excluded = (stored[name][row].as_py() for name in ("id", "survivor", "excluded"))
        standing = eligibility.Standing(one, held.get(one), survivor is not None, survivor not in (None, one), excluded)
        withheld = final.WITHHELD[first.withheld[row]]
        shows_minors = one in minors and _is_positive(row, ws.config.taxonomy.axes, known)
        if reason := eligibility.unreleased(standing, bool(first.place[row] >= 0), withheld, shows_minors):
            found[row] = reason
    unsure = first.probability[:n] < ws.config.export.min_probability
    return dict.fromkeys(np.flatnonzero(unsure).tolist(), UNSURE) | found


def _unlicensed(ws: "Workspace", known: "Mapping[str, pa.Array]") -> dict[int, str]:
    """The rows whose licence is none that `[export] licenses` accepts, and those without one, where it is set."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (accepted := ws.config.export.licenses):
        return {}
    licences, every = known["license"], pc.unique(known["license"]).drop_null()
    fitting = pc.is_in(
        licences, value_set=every.filter(pa.array(map(licensed(accepted), every.to_pylist()), pa.bool_()))
    )
    none = licences.is_null().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(~fitting.to_numpy(zero_copy_only=False))
    return {row: str(Reason.LICENSE_MISSING if none[row] else Reason.LICENSE_DENIED) for row in rows.tolist()}


def licensed(accepted: Sequence[str]) -> Callable[[str], bool]:
    """Whether a licence is one of those that are accepted (`CC*`), whatever its capitals."""
    patterns = [one.lower() for one in accepted]
    return lambda name: any(fnmatchcase(name.lower(), one) for one in patterns)


def _is_positive(row: int, axes: tuple[Axis, ...], known: Sequence[Columns]) -> bool:
    """True where a label on any axis is not one that the taxonomy calls safe, or is withheld."""
    found = ((axis, one.place[row], one.withheld[row]) for axis, one in zip(axes, known, strict=True))
    return any(withheld or (place >= 0 and axis.classes[place] not in axis.safe) for axis, place, withheld in found)


def _labels(known: Columns, kept: "np.ndarray") -> dict[str, Any]:
    """The columns about the label on the first axis, of these rows."""
    import numpy as np

    p, agreement = known.probability[kept], np.full(len(kept), None)
    source, human_n = (
        np.where(known.by_model[kept], "model", "weak").astype(object),
        np.zeros(len(kept), dtype=np.int64),
    )
    people = np.flatnonzero(np.isin(kept, list(known.human)))
    for place, row in zip(people.tolist(), kept[people].tolist(), strict=True):
        label = final.of_people(known.human[row])
        source[place], human_n[place], agreement[place] = label.source, label.human_n, label.agreement
    names = _names(known, kept, np.ones(len(kept), dtype=bool))
    said = {"label": names, "probability": p, "label_source": source, "weight": known.weight[kept]}
    return said | {"human_n": human_n, "agreement": agreement}


def _names(known: Columns, kept: "np.ndarray", shown: "np.ndarray") -> "pa.Array":
    """The label of each of these rows; null where there is none, or it is not to be shown."""
    import numpy as np
    import pyarrow as pa

    place = np.where(shown, known.place[kept], -1)
    return pa.array(list(known.classes), pa.string()).take(pa.array(place, mask=place < 0))


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
        "export": {"splits": config.export.splits, "salt": config.export.salt} | _splits(config),
        "gates": {"screening": config.screening.required, "license": config.export.require_license}
        | {name: getattr(config.export, name) for name in ("on_suspect", "min_human_test", "min_probability")}
        | ({"licenses": sorted(set(config.export.licenses))} if config.export.licenses else {}),
    }
    return hashlib.sha256(canonical(said).encode()).hexdigest()


def _splits(config: Config) -> dict[str, object]:
    """What else decides splits, where it is not as by default."""
    export, said = config.export, dict[str, object]()
    if export.group_by != ("album",):
        said["group_by"] = sorted(set(export.group_by))
    if export.split_from is not None:
        said["split_from"] = _contents(export.split_from, "export.split_from")
    if export.test_sources:
        said["test_sources"] = sorted(set(export.test_sources))
    return said


def _from_outside(package: str, key: str, use: str | None) -> dict[str, str]:
    """What stands in place of a plug-in from outside: its name and its digest, and not where its file lies."""
    if use is None or (found := digest(package, use, key, "plug-in")) is None:
        return {}
    return {key: f"{called(Plugin(use))} {found}"}


def _contents(path: Path, key: str = "label.functions") -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{key}: {path}: {error.strerror}") from error
