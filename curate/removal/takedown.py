"""`curate takedown`: permanently delete an item and everything derived from it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.removal.receipts import Receipt, earlier
from curate.removal.remove import confirm, pages, remove
from curate.store import lookup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace


def takedown(
    ws: "Workspace", name: str, reason: str, with_duplicates: bool = False, block_near: bool = False
) -> dict[str, Any]:
    """Remove what a sha256 (or its first eight digits and more), a URL, a path or `commons:PAGEID` names.

    `with_duplicates` also removes what was collapsed with it; `block_near` also keeps re-encoded copies away. What was
    taken down before answers with its receipt, and `before`. Raises UsageError for a name of nothing, or of several
    samples; the message repeats no URL.
    """
    target = lookup.find(ws.catalog, name)
    if not target.ids and not target.candidates:
        spellings = list(lookup.spellings(ws.catalog, name))
        for text in spellings:
            confirm(ws, text, reason)
        receipts = (earlier(ws.catalog, text) for text in spellings)
        if (receipt := next(filter(None, receipts), None)) is not None:
            return said(receipt, 0) | {"reports_removed": [], "before": True}
        raise UsageError(f"{lookup.shown(name)} names nothing that is here; give {lookup.FORMS}")
    twins = duplicates(ws.catalog, target.ids)
    ids = target.ids | twins if with_duplicates else target.ids
    shown = pages(ws)
    receipt = remove(ws, sorted(ids), reason, sorted(target.candidates), block_near)
    return said(receipt, len(twins - ids)) | _gone(shown)


def deleted(ws: "Workspace", reason: str) -> dict[str, Any]:
    """Remove what a source says was deleted where it came from."""
    rows = ws.catalog.all(_DELETED)
    ids = {row["sample"] for row in rows if row["sample"] is not None}
    bare = [row["candidate"] for row in rows if row["sample"] is None]
    if not rows:
        return {"removed": 0, "releases_affected": [], "receipt": None, "recipients": {}, "reports_removed": []}
    shown = pages(ws)
    return said(remove(ws, sorted(ids), reason, bare), len(duplicates(ws.catalog, ids))) | _gone(shown)


def _gone(shown: "Sequence[Path]") -> dict[str, Any]:
    """Which of the pages with pictures went along: `curate report` and `dedupe --report` make them anew."""
    return {"reports_removed": [str(one) for one in shown if not one.exists()]}


_DELETED = """
SELECT candidate, sample FROM candidates WHERE reason IN ('upstream_deleted', 'source_withdrawn')
UNION SELECT c.candidate, c.sample FROM candidates c JOIN withheld w USING (sample)
WHERE w.reason IN ('upstream_deleted', 'source_withdrawn') ORDER BY 1
"""


def said(receipt: Receipt, left: int) -> dict[str, Any]:
    """What the command prints: `duplicates_left` are samples collapsed with what went, which stay."""
    return {
        "removed": receipt.counts.get("samples", 0),
        "releases_affected": list(receipt.releases),
        "receipt": receipt.path,
        "recipients": dict(receipt.recipients),
        "models_affected": list(receipt.models),
        "blocks_near": receipt.blocks_near,
        "duplicates_left": left,
    }


def duplicates(catalog: "Catalog", ids: Iterable[str]) -> frozenset[str]:
    """The samples that were collapsed with one of these: the same picture in other bytes."""
    sql = "SELECT sample FROM members WHERE collapse = (SELECT collapse FROM members WHERE sample = ?)"
    return frozenset(row[0] for one in ids for row in catalog.all(sql, (one,))) - frozenset(ids)
