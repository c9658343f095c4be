"""What others took out of a release that was fetched anew from them: it goes here, too, and does not come back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curate.release.removals import Feed
from curate.removal.receipts import said
from curate.removal.remove import pages, remove
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace

READ = "removals:"  # begins the name of a fact: the last line that was read of the feed whose name follows


def follow(ws: "Workspace", feed: Feed, version: str) -> dict[str, Any]:
    """Remove what a feed names and is here, and keep away what is not; what was done before is done.

    Renditions that were taken in an item's place go as well. `others` counts items that were of other releases only.
    """
    blocked, shown = Blocked(ws.catalog), pages(ws)
    new = sorted({str(one["id"]) for one in feed.items if not blocked.sha256(str(one["id"]))})
    ids, bare = _here(ws.catalog, new)
    away = sorted({*new} - {*ids})
    reason = f"taken out of release {version} by who made it"
    receipt = remove(ws, ids, reason, bare, away=away) if new else None
    ws.catalog.set(READ + feed.feed, feed.last)
    others = sum(version not in one["versions"] for one in feed.items)
    return said(receipt, 0, shown) | {"removals": {"items": len(feed.items), "new": len(new), "others": others}}


def read_before(catalog: "Catalog") -> dict[str, str]:
    """The last line that was read of each feed."""
    rows = catalog.all("SELECT key, value FROM meta WHERE key GLOB ?", (f"{READ}*",))
    return {str(row[0]).removeprefix(READ): str(row[1]) for row in rows}


def _here(catalog: "Catalog", ids: Sequence[str]) -> tuple[list[str], list[int]]:
    """The samples that are these items, and the candidates without bytes that name them."""
    samples, bare = set[str](), set[int]()
    for one in ids:
        samples.update(row[0] for row in catalog.all("SELECT id FROM samples WHERE id = ?", (one,)))
        for candidate, sample in catalog.all(_NAMED, (one,)):
            if sample is None:
                bare.add(candidate)
            else:
                samples.add(sample)
    return sorted(samples), sorted(bare)


_NAMED = """
SELECT c.candidate, c.sample FROM given g JOIN candidates c USING (candidate)
WHERE g.id = ? AND (c.sample IS NULL OR c.sample = g.id OR c.hash_check = 'rendition')
"""
