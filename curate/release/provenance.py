"""The provenance table of a release: every place that each of its samples was found at."""

from typing import TYPE_CHECKING

from curate.net.redact import redact, redacted
from curate.store.tables import to_parquet

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


_FACTS = """
SELECT c.sample AS id, c.kind, c.locator, m.source, m.ref, c.fetched_at, c.attempts, c.http_status, c.headers,
    c.final_url, c.hops, c.retry_after, c.robots, c.hash_check, c.gate, c.may_depict_minors, c.run, m.facts, s.version,
    s.listed_at, r.tool, r.screening
FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source) LEFT JOIN runs r ON r.run = c.run
WHERE c.sample IS NOT NULL ORDER BY c.sample, c.kind, c.locator, m.source, m.ref
"""
_TEXT = (
    "id", "source", "version", "listed_at", "ref", "fetched_at", "headers", "robots", "hash_check", "gate", "screening",
    "tool", "run",
)  # fmt: skip


def provenance_of(ws: "Workspace", released: set[str]) -> bytes:
    """A row for each mention of a released sample: what happened to be so when it was fetched. Not part of the hash."""
    import pyarrow as pa

    facts = [row for row in ws.catalog.iterate(_FACTS) if row["id"] in released]
    text = {name: [row[name] for row in facts] for name in _TEXT}
    text["ref"] = [redact(row["ref"]) for row in facts]
    numbers = {name: [row[name] for row in facts] for name in ("attempts", "http_status", "may_depict_minors")}
    urls = {
        "url": [redact(row["locator"]) if row["kind"] == "url" else None for row in facts],
        "final_url": [redact(row["final_url"]) if row["final_url"] else None for row in facts],
        "hops": [redacted(row["hops"]) for row in facts],
        "facts": [redacted(row["facts"]) for row in facts],
    }
    columns = {name: pa.array(values, pa.string()) for name, values in (text | urls).items()}
    columns |= {name: pa.array(values, pa.int64()) for name, values in numbers.items()}
    columns["retry_after"] = pa.array([row["retry_after"] for row in facts], pa.float64())
    return to_parquet(pa.table(columns))
