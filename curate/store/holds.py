"""Samples that are held back, and by what."""

from curate.store.catalog import Catalog

_HELD = {  # what a row of `quarantine` holds back, by its kind
    "sample": "SELECT s.id FROM samples s JOIN quarantine q ON q.kind = 'sample' AND q.subject = s.id",
    "album": """
    SELECT c.sample FROM candidates c JOIN mentions m USING (candidate)
    JOIN quarantine q ON q.kind = 'album' AND q.subject = m.album WHERE c.sample IS NOT NULL
    """,
    "uploader": """
    SELECT c.sample FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source)
    JOIN quarantine q ON q.kind = 'uploader' AND q.subject = s.plugin || ' ' || json_extract(m.facts, '$.uploader')
    WHERE c.sample IS NOT NULL
    """,
    "list": """
    SELECT c.sample FROM candidates c JOIN mentions m USING (candidate) JOIN quarantine q
    ON q.kind = 'list' AND substr(m.source || ' ' || m.ref, 1, length(q.subject)) = q.subject
    WHERE c.sample IS NOT NULL
    """,
}


def held(catalog: Catalog) -> set[str]:
    """Every sample that is quarantined, by itself or by what it came with, withheld, or on its way out: in no queue,
    view or release."""
    kinds = [row[0] for row in catalog.all("SELECT DISTINCT kind FROM quarantine")]
    found = {row[0] for kind in kinds for row in catalog.all(_HELD[kind])}
    found |= {row[0] for row in catalog.all("SELECT sample FROM removing")}
    return found | withheld(catalog).keys()


def held_by(catalog: Catalog, incident: int) -> set[str]:
    """Every stored sample that is quarantined on behalf of one incident, by itself or by what it came with."""
    kinds = [row[0] for row in catalog.all("SELECT DISTINCT kind FROM quarantine WHERE incident = ?", (incident,))]
    own = "JOIN (SELECT kind, subject FROM quarantine WHERE incident = ?) q"
    asked = (_HELD[kind].replace("JOIN quarantine q", own) for kind in kinds)
    return {row[0] for sql in asked for row in catalog.all(sql, (incident,))}


def withheld(catalog: Catalog) -> dict[str, str]:
    """Samples that fetch keeps back, with the reason: `upstream_deleted`, `source_withdrawn`, `placeholder`."""
    return {row[0]: row[1] for row in catalog.all("SELECT sample, max(reason) FROM withheld GROUP BY sample")}


def is_held(catalog: Catalog, sample: str) -> bool:
    """`held`, asked of one sample."""
    kinds = [row[0] for row in catalog.all("SELECT DISTINCT kind FROM quarantine")]
    asked = "WITH held (id) AS ({}) SELECT count(*) FROM held WHERE id = ?"
    if catalog.scalar(
        "SELECT 1 FROM removing WHERE sample = ? UNION SELECT 1 FROM withheld WHERE sample = ?", [sample] * 2
    ):
        return True
    return any(catalog.scalar(asked.format(_HELD[kind]), (sample,)) for kind in kinds)


def untold(catalog: Catalog) -> list[int]:
    """Incidents that nobody has acknowledged: until somebody does, every verb says so, and `fetch` ends with 5."""
    sql = "SELECT incident FROM incidents WHERE acknowledged_at IS NULL AND state = 'open' ORDER BY incident"
    return [row[0] for row in catalog.all(sql)]


def withheld_by_reason(catalog: Catalog) -> dict[str, int]:
    """How many samples fetch keeps back, by reason."""
    sql = "SELECT reason, count(*) FROM withheld GROUP BY reason ORDER BY reason"
    return {row[0]: row[1] for row in catalog.all(sql)}


def unfinished(catalog: Catalog) -> bool:
    """Whether a removal was killed, or an older catalog brought back what was removed: `removal.remove.resume`."""
    sql = "SELECT 1 FROM removals WHERE state != 'done' UNION ALL SELECT 1 FROM removing LIMIT 1"
    return catalog.scalar(sql) is not None
