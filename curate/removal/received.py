"""What others took out of a release that was fetched anew from them: it goes here, too, and does not come back.

What one's own sources name as well is held back and not deleted: a feed is somebody else's word, and must not be able
to empty a workspace.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from curate.fingerprint import canonical
from curate.release.removals import Feed
from curate.removal.receipts import said
from curate.removal.remove import pages, remove
from curate.screening.quarantine import quarantine
from curate.store.catalog import user
from curate.store.given_tables import HERE
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace

READ = "removals:"  # begins the name of a fact: the last line that was read of the feed whose name follows


def follow(ws: "Workspace", feed: Feed, version: str) -> dict[str, Any]:
    """Remove what a feed names and is here, and keep away what is not; what was done before is done.

    Renditions that were taken in an item's place go as well. `others` counts items that were of other releases only;
    `yours`, those that one's own sources name: where they are read of for the first time, they are held back.
    """
    blocked, shown = Blocked(ws.catalog), pages(ws)
    reason = f"taken out of release {version} by who made it"
    here = _here(ws.catalog, (one for one in _ids(feed.items) if not blocked.sha256(one)))
    yours = {one: samples for one, (samples, _) in here.items() if any(_is_yours(ws.catalog, s) for s in samples)}
    for one in sorted(yours.keys() & _ids(feed.items[feed.before :])):
        for sample in sorted(yours[one]):
            quarantine(ws.catalog, sample, reason, actor=user())
    new = sorted(here.keys() - yours.keys())
    ids = sorted({sample for one in new for sample in here[one][0]})
    bare = sorted({candidate for one in new for candidate in here[one][1]})
    receipt = remove(ws, ids, reason, bare, away=sorted({*new} - {*ids})) if new else None
    ws.catalog.set(READ + feed.feed, feed.last)
    others = sum(version not in one["versions"] for one in feed.items)
    counts = {"items": len(feed.items), "new": len(new), "others": others, "yours": len(yours)}
    return said(receipt, 0, shown) | {"removals": counts}


def _ids(items: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(one["id"]) for one in items}


def read_before(catalog: "Catalog") -> dict[str, str]:
    """The last line that was read of each feed."""
    rows = catalog.all("SELECT key, value FROM meta WHERE key GLOB ?", (f"{READ}*",))
    return {str(row[0]).removeprefix(READ): str(row[1]) for row in rows}


def _here(catalog: "Catalog", ids: Iterable[str]) -> dict[str, tuple[set[str], set[int]]]:
    """Of each item the samples that are it, and the candidates without bytes that name it."""
    found: dict[str, tuple[set[str], set[int]]] = {one: (set(), set()) for one in ids}
    asked = (canonical(sorted(found)),)
    for item, sample in catalog.all(_SAMPLES, asked) if found else ():
        found[item][0].add(sample)
    for item, candidate in catalog.all(_BARE, asked) if found else ():
        found[item][1].add(candidate)
    return found


def _is_yours(catalog: "Catalog", sample: str) -> bool:
    """Whether a source names the sample that is no release of others."""
    return catalog.scalar(_OWN, (sample,)) is not None


_OWN = """
SELECT 1 FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source)
WHERE c.sample = ? AND s.plugin <> 'hydrate' LIMIT 1
"""
_SAMPLES = f"""
WITH asked AS (SELECT value AS id FROM json_each(?))
SELECT id, id FROM samples WHERE id IN asked UNION SELECT id, sample FROM ({HERE}) WHERE id IN asked
"""  # noqa: S608 (constants)
_BARE = """
SELECT g.id, c.candidate FROM given g JOIN candidates c USING (candidate)
WHERE c.sample IS NULL AND g.id IN (SELECT value FROM json_each(?))
"""
