"""`curate takedown`: permanently delete an item and everything derived from it."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.layouts.folder import path_of
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
            left = [one for one in spellings if os.path.isabs(one) and os.path.isfile(one)]  # noqa: PTH113, PTH117
            return said(receipt, 0) | {"reports_removed": [], "left_in_source": left, "before": True}
        raise UsageError(f"{lookup.shown(name)} names nothing that is here; give {lookup.FORMS}")
    twins = duplicates(ws.catalog, target.ids)
    ids = target.ids | twins if with_duplicates else target.ids
    shown, files = pages(ws), _files(ws.catalog, ids, target.candidates)
    receipt = remove(ws, sorted(ids), reason, sorted(target.candidates), block_near)
    return said(receipt, len(twins - ids)) | _gone(shown) | _left(files)


def deleted(ws: "Workspace", reason: str) -> dict[str, Any]:
    """Remove what a source says was deleted where it came from."""
    rows = ws.catalog.all(_DELETED)
    ids = {row["sample"] for row in rows if row["sample"] is not None}
    bare = [row["candidate"] for row in rows if row["sample"] is None]
    if not rows:
        nothing: dict[str, Any] = {"removed": 0, "releases_affected": [], "receipt": None, "recipients": {}}
        return nothing | {"reports_removed": [], "left_in_source": []}
    shown, files = pages(ws), _files(ws.catalog, ids, bare)
    return said(remove(ws, sorted(ids), reason, bare), len(duplicates(ws.catalog, ids))) | _gone(shown) | _left(files)


def _gone(shown: "Sequence[Path]") -> dict[str, Any]:
    """Which of the pages with pictures went along: `curate report` and `dedupe --report` make them anew."""
    return {"reports_removed": [str(one) for one in shown if not one.exists()]}


def _files(catalog: "Catalog", ids: Iterable[str], candidates: Iterable[int]) -> list[str]:
    """The files on this machine, as the catalog has their paths, that samples and candidates were read from."""
    asked = [(_OF_SAMPLE, one) for one in ids] + [(_OF_CANDIDATE, one) for one in candidates]
    return sorted({row[0] for sql, one in asked for row in catalog.all(sql, (one,))})


def _left(files: "Sequence[str]") -> dict[str, Any]:
    """Those that are there still: what a `local` source reads is its owner's, and is never deleted."""
    return {"left_in_source": [one for one in files if os.path.lexists(path_of(one))]}


_OF_SAMPLE = "SELECT locator FROM candidates WHERE kind = 'path' AND sample = ?"
_OF_CANDIDATE = "SELECT locator FROM candidates WHERE kind = 'path' AND candidate = ?"
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
