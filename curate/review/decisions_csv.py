"""`curate decisions import|export`: what people said of samples, as CSV. Append-only; the same file twice adds nothing.

A row names its sample by one or more of `sha256`, `page_id`, `url` and `path` (whole, or the end of it), and has
`label` (a class, or `unsure`), `annotator` and `time` (ISO 8601; UTC where it says nothing else). It may have
`guideline` and `axis` (the first), what the decision was given under (`queue`, `inclusion`, `shown`, `media`,
`seconds`), when it was taken back (`undone`), and `kind`: `decision`, or `precedent` with its `reason`. Other columns
are not read. Paths are compared composed (NFC), rows without any value are passed over.
"""

import csv
import io
import logging
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from curate.errors import UsageError
from curate.layouts import table
from curate.layouts.folder import shown, text_of
from curate.options import suggest
from curate.records import UNSURE, Axis
from curate.store import holds
from curate.store.blobs import write
from curate.store.joining import KEYS, Join
from curate.store.taxonomies import CARRIED
from curate.store.workspace import Workspace

NEEDED = ("label", "annotator", "time")
GIVEN = ("queue", "inclusion", "shown", "media", "seconds")
EXPORTED = ("sha256", *NEEDED, "guideline", "axis", *GIVEN, "undone", "kind", "reason")
KINDS, SHOWN_AS = ("decision", "precedent"), ("obscured", "revealed", "unobscured", "blind", "imported", CARRIED)
SKEW = timedelta(minutes=5)  # by which the clock of whoever decided may be ahead of ours
SHOWN = 20  # rows that are named where many were not found
log = logging.getLogger(__name__)

_INSERT = """
INSERT OR IGNORE INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, guideline, queue, inclusion,
    shown, media, seconds, undoes, run)
VALUES (:sample, :axis, :taxonomy, :reviewer, :label, :decided_at, :guideline, :queue, :inclusion, :shown, :media,
    :seconds, :undoes, :run)
"""
_PRECEDENT = """
INSERT OR IGNORE INTO precedents (sample, axis, taxonomy, reviewer, label, decided_at, guideline, reason, run)
VALUES (:sample, :axis, :taxonomy, :reviewer, :label, :decided_at, :guideline, :reason, :run)
"""
_KNOWN = """
SELECT decision FROM decisions WHERE sample = :sample AND axis = :axis AND taxonomy = :taxonomy
    AND reviewer = :reviewer AND label = :label AND decided_at = :decided_at AND undoes IS NULL
"""
_OTHERS = """
SELECT label FROM in_force WHERE sample = ? AND axis = ? AND reviewer = ? AND decided_at = ? AND taxonomy = ?
    AND label <> ?
"""
_ALL = """
SELECT sample, label, reviewer, decided_at, guideline, axis, queue, inclusion, shown, media, seconds,
    (SELECT min(u.decided_at) FROM decisions u WHERE u.undoes = d.decision) AS undone, 'decision', NULL
FROM decisions d WHERE taxonomy = ? AND undoes IS NULL AND carried_from IS NULL
ORDER BY sample, axis, decision
"""
_PRECEDENTS = """
SELECT sample, label, reviewer, decided_at, guideline, axis, NULL, NULL, NULL, NULL, NULL, NULL, 'precedent', reason
FROM precedents WHERE taxonomy = ? ORDER BY sample, axis, precedent
"""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One row of a file: who said what of which sample, when; `reason` makes it a precedent."""

    sample: str
    axis: str
    reviewer: str
    label: str
    decided_at: str
    guideline: str | None = None
    queue: str | None = None
    inclusion: float | None = None
    shown: str = "imported"
    media: str | None = None
    seconds: float | None = None
    undone: str | None = None
    reason: str | None = None


def import_csv(ws: Workspace, path: Path) -> dict[str, object]:
    """Take human labels from a CSV file, all or none; a row whose sample is not here is counted and named.

    What is imported comes after what is here, in the order of its times, or of a file that `export_csv` wrote, in its
    own. Incomplete where no row's sample is here. Names of annotators that differ in capitals only are warned of, since
    they count as two people. Raises UsageError, naming file and row, for a file that cannot be read, a column or value
    that is missing, no row at all, a column that is there twice, a class or axis that does not exist, a time that is
    none or is to come, a row that fits several samples or whose keys fit different ones, and two answers of one person
    at one time.
    """
    rows = list(_rows(path))
    if not rows:
        raise UsageError(f"{path}: no decisions in it, only names of columns")
    join = Join(ws.catalog, [row for _, row in rows])
    axes = {axis.name: axis for axis in ws.config.taxonomy.axes}
    found, missing = dict[int, DecisionRow](), []
    for line, row in rows:
        where = f"{path}:{line}"
        sample = join.sample(row, where)
        decision = _decision(sample or "", row, where, axes)
        if sample is None:
            missing.append(line)
        else:
            found[line] = decision
    _check_minds(ws, path, found)
    _warn_of_capitals(ws, found.values())
    new = list(found.values())
    if not set(EXPORTED) <= rows[0][1].keys():  # `export_csv` writes them as they were recorded
        new.sort(key=lambda one: one.decided_at)
    added = _add(ws, new)
    nothing = f"no sample that {path.name} names is here ({len(rows):,} rows)" if not found else None
    counts = {"rows": len(rows), "added": added, "known": len(found) - added}
    return counts | {"not_found": len(missing), "lines": missing[:SHOWN], "incomplete": nothing}


def _check_minds(ws: Workspace, path: Path, found: Mapping[int, DecisionRow]) -> None:
    """Refuse two answers of one person about one sample at one time: nobody could say which one is meant."""
    said: dict[tuple[str, ...], tuple[int, str]] = {}
    for line, one in found.items():
        if one.undone is not None or one.reason is not None:
            continue
        key = (one.sample, one.axis, one.reviewer, one.decided_at)
        other, label = said.setdefault(key, (line, one.label))
        if label != one.label:
            raise UsageError(
                f"{path}:{line}: {shown(one.reviewer)} says {one.label} here and {label} in line {other}, of the same"
                " sample at the same time; keep one of them"
            )
        known = ws.catalog.scalar(_OTHERS, (*key, ws.config.taxonomy.version, one.label))
        if known is not None:
            raise UsageError(
                f"{path}:{line}: {shown(one.reviewer)} says {one.label} here and {known} in the workspace, of the same"
                " sample at the same time; keep one of them"
            )


def _warn_of_capitals(ws: Workspace, found: Iterable[DecisionRow]) -> None:
    people = defaultdict[str, set[str]](set)
    new = {one.reviewer for one in found}
    for name in new | {row[0] for row in ws.catalog.all("SELECT DISTINCT reviewer FROM decisions")}:
        people[unicodedata.normalize("NFC", name).casefold()].add(name)
    for alike in people.values():
        if len(alike) > 1 and alike & new:
            log.warning("annotators %s count as %d people: their names differ in capitals or accents only",
                        ", ".join(map(shown, sorted(alike))), len(alike))  # fmt: skip


def export_csv(ws: Workspace, path: Path, force: bool = False) -> dict[str, object]:
    """Write every decision of this taxonomy version, with those that were taken back, and the precedents, in an order
    of its own. Carried ones belong to another sample and are left out, and so is what is said of samples that are held
    back. What a spreadsheet would run gets an apostrophe, which `import_csv` takes off. `rows` counts those in force.
    Raises UsageError where the file cannot be written, or is there and may not be replaced (`force`).
    """
    if not force and os.path.lexists(path):
        raise UsageError(f"{path}: is there already; name another file, or --force (force=True) replaces it")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(EXPORTED)
    held, taxonomy = holds.held(ws.catalog), (ws.config.taxonomy.version,)
    every = (ws.catalog.all(sql, taxonomy) for sql in (_ALL, _PRECEDENTS))
    decisions, precedents = ([row for row in rows if row["sample"] not in held] for rows in every)
    for row in [*decisions, *precedents]:
        writer.writerow([table.guarded(cell) if isinstance(cell, str) else cell for cell in row])
    try:
        write(path, out.getvalue().encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    undone = sum(row["undone"] is not None for row in decisions)
    return {"rows": len(decisions) - undone, "undone": undone, "precedents": len(precedents), "path": str(path)}


def _add(ws: Workspace, decisions: Sequence[DecisionRow]) -> int:
    """Append what is new, each with its row of the log, in one transaction."""
    added = 0
    with ws.catalog.tx() as db:
        for one in decisions:
            row = asdict(one) | {"taxonomy": ws.config.taxonomy.version, "run": ws.catalog.run, "undoes": None}
            kind = "decision" if one.reason is None else "adjudicate"
            if db.execute(_INSERT if one.reason is None else _PRECEDENT, row).rowcount:
                added += 1
                ws.catalog.append(db, kind, one.sample, {"axis": one.axis, "label": one.label})
            if one.undone is not None:
                known = db.execute(_KNOWN, row).fetchone()[0]
                if not db.execute("SELECT 1 FROM decisions WHERE undoes = ?", (known,)).fetchone():
                    db.execute(_INSERT, row | {"decided_at": one.undone, "undoes": known, "seconds": None})
                    ws.catalog.append(db, "undo", one.sample, {"axis": one.axis})
    return added


# -- reading ---------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each row with its line, values as they were before a spreadsheet was guarded against them."""
    rows = table.rows(path)
    names = next(rows, (0, []))[1]
    _check_text(f"{path}:1", names, names)
    _check_header(path, names)
    for line, cells in rows:
        if len(cells) > len(names):
            raise UsageError(f"{path}:{line}: more values than columns")
        _check_text(f"{path}:{line}", names, cells)
        yield line, dict.fromkeys(names, "") | dict(zip(names, map(table.unguarded, cells), strict=False))


def _check_text(where: str, names: Sequence[str], cells: Sequence[str]) -> None:
    for name, cell in zip(names, cells, strict=False):
        if table.undecoded(cell):
            way = (
                f"; a path that is no UTF-8 itself is {text_of(cell).removeprefix('file://')}" if name == "path" else ""
            )
            raise UsageError(f"{where}: not UTF-8 (Latin-1?); save the table as UTF-8{way}")


def _check_header(path: Path, names: Sequence[str]) -> None:
    known = {*KEYS, *EXPORTED}
    if twice := [name for name in names if name in known and names.count(name) > 1]:
        raise UsageError(f"{path}: column '{twice[0]}' is there twice; which one is meant?")
    if missing := [name for name in NEEDED if name not in names]:
        raise UsageError(f"{path}: no column '{missing[0]}'; there are: {', '.join(map(shown, names)) or 'none'}")
    if not set(KEYS) & set(names):
        raise UsageError(f"{path}: no column that names a sample; give one of {', '.join(KEYS)}")


def _decision(sample: str, row: Mapping[str, str], where: str, axes: Mapping[str, Axis]) -> DecisionRow:
    for name in NEEDED:
        if not row[name]:
            raise UsageError(f"{where}: {name} is empty")
    axis = row.get("axis") or next(iter(axes))
    if axis not in axes:
        raise UsageError(f"{where}: axis: no such axis '{axis}'; {suggest(axis, list(axes))}")
    kind = _choice(row, "kind", where, KINDS) or "decision"
    labels = axes[axis].classes if kind == "precedent" else (*axes[axis].classes, UNSURE)
    if row["label"] not in labels:
        raise UsageError(
            f"{where}: label: no such class '{row['label']}' on axis {axis}; {suggest(row['label'], labels)}"
        )
    if (kind == "precedent") != bool(row.get("reason")):
        raise UsageError(f"{where}: reason: a precedent has one, a decision has none")
    return DecisionRow(
        sample, axis, row["annotator"], row["label"], _time(row["time"], where), row.get("guideline") or None,
        queue=row.get("queue") or None,
        inclusion=_number(row, "inclusion", where, 1.0),
        shown=_choice(row, "shown", where, SHOWN_AS) or "imported",
        media=_choice(row, "media", where, SHOWN_AS[:3]),
        seconds=_number(row, "seconds", where, 1e9),
        undone=_time(row["undone"], where) if row.get("undone") else None,
        reason=row.get("reason") or None,
    )  # fmt: skip


def _choice(row: Mapping[str, str], key: str, where: str, among: Sequence[str]) -> str | None:
    value = row.get(key) or None
    if value is not None and value not in among:
        raise UsageError(f"{where}: {key}: no such choice '{value}'; {suggest(value, among)}")
    return value


def _number(row: Mapping[str, str], key: str, where: str, most: float) -> float | None:
    if not (text := row.get(key)):
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise UsageError(f"{where}: {key}: '{text}' is not a number from 0 to {most:g}")
    return value


def _time(text: str, where: str) -> str:
    """The time as the catalog writes it, so that it sorts: UTC, milliseconds; raises UsageError for one to come."""
    try:
        time = datetime.fromisoformat(text)
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: time: {text!r} is no ISO 8601 time such as 2026-05-01T09:30:00Z") from error
    if time > datetime.now(UTC) + SKEW:
        raise UsageError(f"{where}: time: {text!r} is in the future (what names no zone is UTC); nothing is imported")
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
