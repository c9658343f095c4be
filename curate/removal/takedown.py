"""`curate takedown`: permanently delete an item and everything derived from it."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.layouts.folder import path_of
from curate.removal.receipts import earlier, said
from curate.removal.remove import confirm, duplicates, pages, remove
from curate.store import lookup

if TYPE_CHECKING:
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
            return said(receipt) | {"left_in_source": left, "before": True}
        raise UsageError(f"{lookup.shown(name)} names nothing that is here; give {lookup.FORMS}")
    twins = duplicates(ws.catalog, target.ids)
    ids = target.ids | twins if with_duplicates else target.ids
    shown, files = pages(ws), _files(ws.catalog, ids, target.candidates)
    receipt = remove(ws, sorted(ids), reason, sorted(target.candidates), block_near)
    return said(receipt, len(twins - ids), shown) | _left(files)


def deleted(ws: "Workspace", reason: str) -> dict[str, Any]:
    """Remove what a source says was deleted where it came from."""
    rows = ws.catalog.all(_DELETED)
    ids = {row["sample"] for row in rows if row["sample"] is not None}
    bare = [row["candidate"] for row in rows if row["sample"] is None]
    if not rows:
        return said(None) | {"left_in_source": []}
    shown, files, left = pages(ws), _files(ws.catalog, ids, bare), len(duplicates(ws.catalog, ids))
    return said(remove(ws, sorted(ids), reason, bare), left, shown) | _left(files)


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
