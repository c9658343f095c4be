"""What failed because of the settings is asked for again when they change, and by force where somebody wants it."""

import json
from collections import Counter
from collections.abc import Sequence

from curate.config import Config
from curate.errors import UsageError
from curate.fetch.reasons import KEYS, settings, table_of
from curate.fingerprint import canonical
from curate.options import suggest
from curate.records import Reason
from curate.store.catalog import Catalog
from curate.store.workspace import Workspace

SCREENING = frozenset({Reason.GATE_MATCH, Reason.TAKEN_DOWN, Reason.BLOCKED_SOURCE, Reason.DENIED_CATEGORY})


def deciding(reason: Reason | None, config: Config) -> str | None:
    """The settings that decided a failure, with their values, as canonical JSON; None where none did."""
    keys = KEYS.get(reason, ()) if reason else ()
    return canonical({key: _value(config, key) for key in keys}) if keys else None


def _value(config: Config, key: str) -> object:
    return getattr(getattr(config, table_of(key)), key, None)


def changed(ws: Workspace) -> list[tuple[str, str, int]]:
    """The settings by which something failed and that have other values now, as `decided_by` has them, the first key
    that changed, and how many failed so."""
    found = []
    sql = "SELECT decided_by, count(*) FROM candidates WHERE state = 'failed' AND decided_by IS NOT NULL GROUP BY 1"
    for decided, count in ws.catalog.all(sql):
        before = json.loads(decided)
        now = json.loads(canonical({key: _value(ws.config, key) for key in before}))
        if key := next((key for key in before if before[key] != now[key]), None):
            found.append((decided, key, count))
    return found


def reopen(ws: Workspace) -> dict[str, int]:
    """Make pending what failed by settings that have other values now: how many, by the key that changed."""
    found: Counter[str] = Counter()
    for decided, key, count in changed(ws):
        found[key] += count
        with ws.catalog.tx() as db:
            sql = "UPDATE candidates SET state = 'pending' WHERE state = 'failed' AND decided_by = ?"
            db.execute(sql, (decided,))
    return dict(sorted(found.items()))


def retry(catalog: Catalog, names: Sequence[str], force: bool = False) -> int:
    """Make failures pending again: those of these reasons, or of every retryable one; how many.

    Raises UsageError for a reason that there is not; that is an answer and not worth asking again, unless by `force`;
    or that is screening's or policy's, in any case.
    """
    for name in names:
        if name not in list(Reason):
            raise UsageError(f"retry {name}: no such reason; {suggest(name, [str(r) for r in Reason])}")
        if Reason(name) in SCREENING:
            raise UsageError(f"retry {name}: screening, policy or a takedown keeps that out for good")
        if not Reason(name).retryable and not force:
            hint = (
                f"; {keys} would let it in, and then it is asked again by itself"
                if (keys := settings(Reason(name)))
                else ""
            )
            raise UsageError(f"retry {name}: that is an answer{hint}; --force (force=True) asks all the same")
    if force and not names:
        raise UsageError("force: name the reasons (--retry-failed REASON --force; retry=[REASON], force=True)")
    reasons = list(names) or [str(reason) for reason in Reason if reason.retryable]
    marks = ",".join("?" * len(reasons))
    with catalog.tx() as db:
        sql = f"UPDATE candidates SET state = 'pending' WHERE state = 'failed' AND reason IN ({marks})"  # noqa: S608
        return int(db.execute(sql, reasons).rowcount)
