"""What others took out of a release that was fetched anew from them: it goes here, too, and does not come back.

A feed is its maker's word about what came with releases of theirs. What came from elsewhere, too (one's own sources,
releases by others) is held back until the operator decides, and not deleted: nobody's word must be able to empty
another's release, or a workspace.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.fingerprint import canonical
from curate.release.removals import Feed
from curate.removal.receipts import said
from curate.removal.remove import duplicates, pages, remove
from curate.screening.quarantine import quarantine
from curate.store.catalog import BY_HAND, user
from curate.store.given_tables import HERE, REWRITTEN
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace

READ = "removals:"  # begins the name of a fact: the last line that was read of the feed whose name follows


@dataclass(frozen=True)
class _Origin:
    """Who names a sample: one's own sources, or releases by others who did not take it out themselves (or nobody)."""

    own: bool = False
    others: bool = False


def follow(ws: "Workspace", feed: Feed, version: str, theirs: Collection[str]) -> dict[str, Any]:
    """Remove what a feed names and came with releases of its maker alone, and keep away what is not here; what was done
    before is done. `theirs`: the sources that are such releases.

    Renditions that were taken in an item's place go as well. What one's own sources name (`yours`), or releases of
    others (`foreign`: until they take it out, too), is held back where it is read of for the first time. `others`
    counts items that were of other releases only.
    """
    blocked, shown = Blocked(ws.catalog), pages(ws)
    reason = f"taken out of release {version} by who made it"
    here = _here(ws.catalog, (one for one in _ids(feed.items) if not blocked.sha256(one)))
    origins = _origins(ws.catalog, {sample for samples, _ in here.values() for sample in samples}, theirs)
    yours = {one for one, (samples, _) in here.items() if any(origins[sample].own for sample in samples)}
    foreign = {one for one, (samples, _) in here.items() if any(origins[sample].others for sample in samples)} - yours
    for one in sorted((yours | foreign) & _ids(feed.items[feed.before :])):
        for sample in sorted(here[one][0]):
            quarantine(ws.catalog, sample, reason, actor=user())
    _note(ws.catalog, (sample for one in yours | foreign for sample in here[one][0]), theirs)
    new = sorted(here.keys() - yours - foreign)
    ids = sorted({sample for one in new for sample in here[one][0]})
    bare = sorted({candidate for one in new for candidate in here[one][1]})
    twins = len(duplicates(ws.catalog, ids))
    _unsay(ws.catalog, new, ids, bare)
    receipt = remove(ws, ids, reason, bare, away=sorted({*new} - {*ids})) if new else None
    ws.catalog.set(READ + feed.feed, feed.last)
    others = sum(version not in one["versions"] for one in feed.items)
    counts = {"items": len(feed.items), "new": len(new), "others": others, "yours": len(yours), "foreign": len(foreign)}
    return said(receipt, twins, shown) | {"removals": counts}


def _ids(items: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(one["id"]) for one in items}


def read_before(catalog: "Catalog") -> dict[str, str]:
    """The last line that was read of each feed."""
    rows = catalog.all("SELECT key, value FROM meta WHERE key GLOB ?", (f"{READ}*",))
    return {str(row[0]).removeprefix(READ): str(row[1]) for row in rows}


def _here(catalog: "Catalog", ids: Iterable[str]) -> dict[str, tuple[set[str], set[int]]]:
    """Of each item the samples that are it, and the candidates without bytes that nobody names as anything else."""
    found: dict[str, tuple[set[str], set[int]]] = {one: (set(), set()) for one in ids}
    asked = (canonical(sorted(found)),)
    for item, sample in catalog.all(_SAMPLES, asked) if found else ():
        found[item][0].add(sample)
    for item, candidate in catalog.all(_BARE, asked) if found else ():
        found[item][1].add(candidate)
    return found


_SAMPLES = f"""
WITH asked AS (SELECT value AS id FROM json_each(?))
SELECT id, id FROM samples WHERE id IN asked UNION SELECT id, sample FROM ({HERE}) WHERE id IN asked
UNION SELECT id, sample FROM ({REWRITTEN}) WHERE id IN asked
"""  # noqa: S608 (constants)
_BARE = """
WITH asked AS (SELECT value AS id FROM json_each(?))
SELECT g.id, c.candidate FROM given g JOIN candidates c USING (candidate)
WHERE c.sample IS NULL AND g.id IN asked AND NOT EXISTS (
    SELECT 1 FROM mentions m LEFT JOIN given o USING (candidate, source, ref)
    WHERE m.candidate = c.candidate AND (o.id IS NULL OR o.id NOT IN asked))
"""


def _unsay(catalog: "Catalog", items: Collection[str], ids: Collection[str], bare: Collection[int]) -> None:
    """Forget what releases say of places that stay, since others name them, too: that such an item is there."""
    with catalog.tx() as db:
        db.execute(_UNSAID, [canonical(sorted(one)) for one in (items, ids, bare)])


_UNSAID = """
DELETE FROM mentions WHERE (candidate, source, ref) IN (
    SELECT g.candidate, g.source, g.ref FROM given g JOIN candidates c USING (candidate)
    WHERE g.id IN (SELECT value FROM json_each(?1)) AND c.candidate NOT IN (SELECT value FROM json_each(?3))
        AND coalesce(c.sample, '') NOT IN (SELECT value FROM json_each(?2)))
"""


def _origins(catalog: "Catalog", samples: Collection[str], theirs: Collection[str]) -> dict[str, _Origin]:
    """Who names each of these samples (of a frame, its video) beside `theirs`; what nobody names may be anybody's."""
    named: dict[str, dict[str, tuple[bool, bool]]] = {one: {} for one in samples}
    for sample, source, own, out in catalog.all(_NAMED, (canonical(sorted(samples)), BY_HAND)) if samples else ():
        named[sample][source] = (bool(own), bool(out))
    return {
        sample: _Origin(
            any(own for own, _ in each.values()),
            not each or any(not own and not out and source not in theirs for source, (own, out) in each.items()),
        )
        for sample, each in named.items()
    }


_NAMED = """
SELECT a.value, m.source, s.plugin <> ?2, t.sample IS NOT NULL FROM json_each(?1) a JOIN samples o ON o.id = a.value
JOIN candidates c ON c.sample = coalesce(o.parent, o.id) JOIN mentions m USING (candidate) JOIN sources s USING (source)
LEFT JOIN taken_out t ON t.sample = a.value AND t.source = m.source
"""


def _note(catalog: "Catalog", samples: Iterable[str], theirs: Collection[str]) -> None:
    """Remember that these releases have these samples no more: once nobody else has them either, they go."""
    with catalog.tx() as db:
        rows = ((sample, source) for sample in samples for source in sorted(theirs))
        db.executemany("INSERT OR IGNORE INTO taken_out VALUES (?, ?)", rows)
