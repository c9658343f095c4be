"""Holding samples back: at once out of queues, views, tables and the next release, until the operator decides.

`views.held` is the one question that everybody asks; what is written here answers it. A row of `quarantine` names a
sample, or what it came with: an album, an uploader, a file of a list, so that what arrives later is held as well.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from curate.errors import UsageError
from curate.options import is_said
from curate.screening import history
from curate.screening.listed import Match
from curate.store.catalog import Catalog, now

Held = tuple[str, str]  # kind (sample, album, uploader, list), subject


def quarantine(  # the interface that review, gate and command share
    catalog: Catalog, sample: str, reason: str, *, group: bool = False, actor: str, told: bool = False,
) -> int:  # fmt: skip
    """Hold one stored sample back, with `group` also its near-duplicate group and its albums; the incident's number.

    One short transaction; needs no driver lock. The same again, by the same person for the same reason, is the same
    incident as long as it is open. `told`: whoever holds it back is the operator, who need not be told of it. Raises
    UsageError for a sample that is not there, or without a reason.
    """
    if not is_said(reason):
        raise UsageError("quarantine: say why (a reason)")
    if not catalog.scalar("SELECT 1 FROM samples WHERE id = ?", (sample,)):
        raise UsageError("quarantine: no such sample")
    with catalog.tx() as db:
        held = [("sample", sample), *(_group(db, sample) if group else ())]
        asked = (catalog.digest("sha256", sample), reason, actor)
        if (known := db.execute(_SAME, asked).fetchone()) is not None:  # the answer to it was lost
            hold(db, held, known[0], reason)
            return int(known[0])
        incident = open_incident(catalog, db, "person", sample, {"reason": reason, "actor": actor})
        if told:
            tell(db, incident, actor)
        hold(db, held, incident, reason)
        catalog.append(db, "quarantine", sample, {"incident": incident, "kind": "person", "held": len(held)}, actor)
    return incident


_SAME = """
SELECT incident FROM incidents WHERE kind = 'person' AND state = 'open' AND digest = ?
    AND json_extract(detail, '$.reason') = ? AND json_extract(detail, '$.actor') = ? ORDER BY incident LIMIT 1
"""


def tell(db: sqlite3.Connection, incident: int, who: str) -> None:
    """Put on record that somebody knows of an incident, inside a transaction; who knew first stays."""
    sql = "UPDATE incidents SET acknowledged_at = ?, acknowledged_by = ? WHERE incident = ? AND acknowledged_at IS NULL"
    db.execute(sql, (now(), who, incident))


def open_incident(
    catalog: Catalog, db: sqlite3.Connection, kind: str, sample: str, detail: Mapping[str, object],
    match: Match | None = None, candidate: int | None = None,
) -> int:  # fmt: skip
    """A row of `incidents` about bytes with this sha256, inside a transaction that is open; its number.

    `candidate` is the one whose bytes they are; without it the first one that is stored as this sample. A match counts
    for the entry that it is with.
    """
    if candidate is None:
        candidate = db.execute("SELECT min(candidate) FROM candidates WHERE sample = ?", (sample,)).fetchone()[0]
    source = db.execute("SELECT min(source) FROM mentions WHERE candidate = ?", (candidate,)).fetchone()[0]
    digest, listed = catalog.digest("sha256", sample), (match.list, match.entry) if match else (None, None)
    if match is not None:
        known = {"algorithm": match.algorithm, "distance": match.distance, "part": match.part}
        detail = known | {"provider": match.provider} | dict(detail)
    row = (now(), catalog.run, kind, digest, *listed, source, candidate, json.dumps(detail, ensure_ascii=False))
    sql = (
        "INSERT INTO incidents (at, run, kind, digest, list, entry, source, candidate, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    number = int(db.execute(sql, row).lastrowid or 0)
    if match is not None:
        history.record(catalog, db, number, history.Hit(match, sample, candidate, {"media": detail.get("media")}))
    return number


def hold(db: sqlite3.Connection, subjects: Iterable[Held], incident: int, reason: str) -> None:
    """Hold back what these name, on behalf of an incident, inside a transaction that is open."""
    sql = "INSERT OR IGNORE INTO quarantine (kind, subject, incident, reason, at) VALUES (?, ?, ?, ?, ?)"
    db.executemany(sql, ((kind, subject, incident, reason, now()) for kind, subject in subjects))


def _group(db: sqlite3.Connection, sample: str) -> list[Held]:
    """The other samples that share, or once shared, its near-duplicate group, and the albums that name it."""
    sql = """
    SELECT sample FROM members WHERE grp IN (SELECT grp FROM members WHERE sample = :s)
    UNION SELECT sample FROM group_names WHERE grp IN (SELECT grp FROM group_names WHERE sample = :s)
    """
    near = sorted({row[0] for row in db.execute(sql, {"s": sample})} - {sample})
    sql = "SELECT DISTINCT m.album FROM candidates c JOIN mentions m USING (candidate) WHERE c.sample = ?"
    albums = sorted(row[0] for row in db.execute(sql, (sample,)) if row[0] is not None)
    return [("sample", one) for one in near] + [("album", one) for one in albums]


def related_subjects(db: sqlite3.Connection, candidate: int) -> list[Held]:
    """What a candidate came with: its albums, those who uploaded it, the list files that name it."""
    sql = """
    SELECT m.album, m.source, m.ref, s.plugin, json_extract(m.facts, '$.uploader') AS uploader
    FROM mentions m JOIN sources s USING (source) WHERE m.candidate = ?
    """
    found = set[Held]()
    for row in db.execute(sql, (candidate,)):
        file, _, line = row["ref"].rpartition(":")
        if row["album"] is not None:
            found.add(("album", row["album"]))
        if row["uploader"] is not None:
            found.add(("uploader", f"{row['plugin']} {row['uploader']}"))
        if file and line.isdigit():
            found.add(("list", f"{row['source']} {file}:"))
    return sorted(found)
