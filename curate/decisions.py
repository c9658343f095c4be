"""`curate decisions import|export`: what people said of samples, as CSV. Append-only; the same file twice adds nothing.

A row names its sample by one or more of `sha256`, `page_id`, `url` and `path` (whole, or the end of it), and has
`label`, `annotator` and `time` (ISO 8601; UTC where it says nothing else); `guideline` and `axis` (the first) may be
absent. Other columns are not read.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from curate.errors import UsageError
from curate.records import Axis
from curate.store import views
from curate.store.blobs import write
from curate.store.catalog import Catalog
from curate.store.workspace import Workspace
from curate.toml import suggest

KEYS = ("sha256", "page_id", "url", "path")
NEEDED = ("label", "annotator", "time")
EXPORTED = ("sha256", *NEEDED, "guideline", "axis")
SHOWN = 20  # rows that are named where many were not found

_INSERT = """
INSERT OR IGNORE INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, guideline, shown, run)
VALUES (?, ?, ?, ?, ?, ?, ?, 'imported', ?)
"""
_IN_FORCE = """
SELECT sample, label, reviewer, decided_at, coalesce(guideline, ''), axis FROM decisions d
WHERE taxonomy = ? AND undoes IS NULL AND carried_from IS NULL
    AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.decision)
ORDER BY sample, axis, decided_at, reviewer, decision
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of a file: who said what of which sample, when."""

    sample: str
    axis: str
    reviewer: str
    label: str
    decided_at: str
    guideline: str | None


def import_csv(ws: Workspace, path: Path) -> dict[str, object]:
    """Take human labels from a CSV file, all or none; a row whose sample is not here is counted and named.

    Raises UsageError, naming file and row, for a file that cannot be read, a column or value that is missing, a class
    or axis that does not exist, a time that is none, a row that fits several samples or whose keys fit different ones.
    """
    rows = list(_rows(path))
    join = _Join(ws.catalog, [row for _, row in rows])
    axes = {axis.name: axis for axis in ws.config.taxonomy.axes}
    found, missing = [], []
    for line, row in rows:
        where = f"{path}:{line}"
        sample = join.sample(row, where)
        decision = _decision(sample or "", row, where, axes)
        if sample is None:
            missing.append(line)
        else:
            found.append(decision)
    added = _add(ws, found)
    known = len(found) - added
    return {"rows": len(rows), "added": added, "known": known, "not_found": len(missing), "lines": missing[:SHOWN]}


def export_csv(ws: Workspace, path: Path) -> dict[str, object]:
    """Write every decision in force of this taxonomy version, in an order of its own; carried ones belong to another
    sample and are left out, and so are those on samples that are held back."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(EXPORTED)
    held = views.held(ws.catalog)
    rows = [row for row in ws.catalog.rows(_IN_FORCE, (ws.config.taxonomy.version,)) if row[0] not in held]
    writer.writerows(map(tuple, rows))
    try:
        write(path, out.getvalue().encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return {"rows": len(rows), "path": str(path)}


def _add(ws: Workspace, decisions: Sequence[Decision]) -> int:
    """Append what is new, each with its row of the log, in one transaction."""
    added = 0
    with ws.catalog.tx() as db:
        for one in decisions:
            said = (one.reviewer, one.label, one.decided_at, one.guideline)
            row = (one.sample, one.axis, ws.config.taxonomy.version, *said, ws.catalog.run)
            if db.execute(_INSERT, row).rowcount:
                added += 1
                ws.catalog.append(db, "decision", one.sample, {"axis": one.axis, "label": one.label})
    return added


# -- reading ---------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each row with its line, keys and values stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=None)
            _check_header(path, [name.strip() for name in reader.fieldnames or ()])
            for row in reader:
                if None in row:
                    raise UsageError(f"{path}:{reader.line_num}: more values than columns")
                yield reader.line_num, {name.strip(): (value or "").strip() for name, value in row.items()}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV file in UTF-8: {error}") from error


def _check_header(path: Path, names: Sequence[str]) -> None:
    if missing := [name for name in NEEDED if name not in names]:
        raise UsageError(f"{path}: no column '{missing[0]}'; there are: {', '.join(names) or 'none'}")
    if not set(KEYS) & set(names):
        raise UsageError(f"{path}: no column that names a sample; give one of {', '.join(KEYS)}")


def _decision(sample: str, row: Mapping[str, str], where: str, axes: Mapping[str, Axis]) -> Decision:
    for name in NEEDED:
        if not row[name]:
            raise UsageError(f"{where}: {name} is empty")
    axis = row.get("axis") or next(iter(axes))
    if axis not in axes:
        raise UsageError(f"{where}: axis: no such axis '{axis}'; {suggest(axis, list(axes))}")
    if row["label"] not in axes[axis].classes:
        near = suggest(row["label"], axes[axis].classes)
        raise UsageError(f"{where}: label: no such class '{row['label']}' on axis {axis}; {near}")
    time = _time(row["time"], where)
    return Decision(sample, axis, row["annotator"], row["label"], time, row.get("guideline") or None)


def _time(text: str, where: str) -> str:
    """The time as the catalog writes it, so that it sorts: UTC, milliseconds."""
    try:
        time = datetime.fromisoformat(text)
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: time: {text!r} is no ISO 8601 time such as 2026-05-01T09:30:00Z") from error
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- joining ---------------------------------------------------------------------------------------------------------


class _Join:
    """Finds the sample that a row names, by an index of what the rows ask for."""

    def __init__(self, catalog: Catalog, rows: Sequence[Mapping[str, str]]) -> None:
        pairs = {"sha256": _ids, "page_id": _pages, "url": _urls, "path": _endings}
        self._by: dict[str, dict[str, set[str]]] = {}
        for key in KEYS:
            if asked := {_plain(key, row[key]) for row in rows if row.get(key)}:
                self._by[key] = _index(pairs[key](catalog), asked)

    def sample(self, row: Mapping[str, str], where: str) -> str | None:
        """The one sample that every key with an answer fits; None where no key has one; raises UsageError otherwise."""
        given = {key: _plain(key, row[key]) for key in KEYS if row.get(key)}
        if not given:
            raise UsageError(f"{where}: names no sample; give one of {', '.join(KEYS)}")
        found = [self._by[key][value] for key, value in given.items() if value in self._by[key]]
        if not found:
            return None
        fit = set.intersection(*found)
        if len(fit) != 1:
            what = f"fits {len(fit)} samples" if fit else "fits different samples by different keys"
            raise UsageError(f"{where}: {' and '.join(given)} {what}; name the one that is meant by its sha256")
        return next(iter(fit))


def _plain(key: str, value: str) -> str:
    if key == "sha256":
        return value.lower()
    return value.replace("\\", "/").removeprefix("./") if key == "path" else value


def _index(pairs: Iterator[tuple[str, str]], asked: set[str]) -> dict[str, set[str]]:
    index: defaultdict[str, set[str]] = defaultdict(set)
    for value, sample in pairs:
        if value in asked:
            index[value].add(sample)
    return dict(index)


def _ids(catalog: Catalog) -> Iterator[tuple[str, str]]:
    return ((row[0], row[0]) for row in catalog.stream("SELECT id FROM samples"))


def _urls(catalog: Catalog) -> Iterator[tuple[str, str]]:
    sql = "SELECT locator, sample FROM candidates WHERE kind = 'url' AND sample IS NOT NULL"
    return ((row[0], row[1]) for row in catalog.stream(sql))


def _endings(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Every end of a path that starts at a folder or at the file's name."""
    sql = "SELECT locator, sample FROM candidates WHERE kind = 'path' AND sample IS NOT NULL"
    for locator, sample in catalog.stream(sql):
        parts = locator.split("/")
        for n in range(len(parts)):
            yield "/".join(parts[n:]), sample


def _pages(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """`commons:123`, and `123` alone."""
    sql = "SELECT m.page_id, c.sample FROM mentions m JOIN candidates c USING (candidate)"
    for page, sample in catalog.stream(sql + " WHERE m.page_id IS NOT NULL AND c.sample IS NOT NULL"):
        yield page, sample
        yield page.partition(":")[2], sample
