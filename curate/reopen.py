"""What failed because of the settings is asked for again when they change, and by force where somebody wants it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from curate.config import Config, FetchConfig
from curate.errors import UsageError
from curate.marks import canonical
from curate.records import Reason
from curate.store.catalog import Catalog
from curate.store.workspace import Workspace
from curate.toml import suggest

KEYS: Mapping[Reason, tuple[str, ...]] = {  # of `[fetch]` or `[engine]`: those that let in what fails for this reason
    Reason.ADDRESS_DENIED: ("allow_private",),
    Reason.PORT_DENIED: ("allow_ports", "allow_private"),
    Reason.ROBOTS_DISALLOWED: ("robots",),
    Reason.OPT_OUT_HEADER: ("opt_out",),
    Reason.TOO_MANY_REDIRECTS: ("max_redirects",),
    Reason.TIMEOUT: ("timeout", "connect_timeout"),
    Reason.TOO_SLOW: ("timeout", "min_rate", "item_seconds"),
    Reason.TOO_LARGE: ("max_bytes", "item_memory"),
    Reason.BOMB: ("max_bytes",),
    Reason.TOO_SMALL: ("min_side",),
    Reason.TOO_MANY_PIXELS: ("max_pixels",),
    Reason.TOO_MANY_FRAMES: ("max_frames", "max_pixels"),
    Reason.HIDDEN_DATA: ("strip",),
    Reason.PLACEHOLDER: ("placeholder_urls",),
}
SCREENING = frozenset({Reason.GATE_MATCH, Reason.TAKEN_DOWN, Reason.BLOCKED_SOURCE, Reason.DENIED_CATEGORY})


def deciding(reason: Reason | None, config: Config) -> str | None:
    """The settings that decided a failure, with their values, as canonical JSON; None where none did."""
    keys = KEYS.get(reason, ()) if reason else ()
    return canonical({key: _value(config, key) for key in keys}) if keys else None


def table_of(key: str) -> str:
    """The table of curate.toml that a setting stands in."""
    return "fetch" if hasattr(FetchConfig, key) else "engine"


def _value(config: Config, key: str) -> object:
    return getattr(getattr(config, table_of(key)), key, None)


def changed(ws: Workspace) -> list[tuple[str, str, int]]:
    """The settings by which something failed and that have other values now, as `decided_by` has them, the first key
    that changed, and how many failed so."""
    found = []
    sql = "SELECT decided_by, count(*) FROM candidates WHERE state = 'failed' AND decided_by IS NOT NULL GROUP BY 1"
    for decided, count in ws.catalog.rows(sql):
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
            raise UsageError(f"--retry-failed {name}: no such reason; {suggest(name, [str(r) for r in Reason])}")
        if Reason(name) in SCREENING:
            raise UsageError(f"--retry-failed {name}: screening, policy or a takedown keeps that out for good")
        if not Reason(name).retryable and not force:
            keys = " or ".join(f"[{table_of(key)}] {key}" for key in KEYS.get(Reason(name), ()))
            hint = f"; {keys} would let it in, and then it is asked again by itself" if keys else ""
            raise UsageError(f"--retry-failed {name}: that is an answer{hint}; --force asks all the same")
    if force and not names:
        raise UsageError("--force: name the reasons (--retry-failed REASON --force)")
    reasons = list(names) or [str(reason) for reason in Reason if reason.retryable]
    marks = ",".join("?" * len(reasons))
    with catalog.tx() as db:
        sql = f"UPDATE candidates SET state = 'pending' WHERE state = 'failed' AND reason IN ({marks})"  # noqa: S608
        return int(db.execute(sql, reasons).rowcount)
