"""What hydrated releases say of the samples that are here: a split and a group, remembered as if dedupe had said so.

A sample that dedupe knew before keeps its own split; its group takes the stronger of both, so that what a release tests
on is not trained on here, and is tied to the other members of the release's group.
"""

from collections.abc import Iterator, Sequence

from curate.dedupe.groups import Rows
from curate.dedupe.ties import pairs
from curate.store.catalog import Catalog
from curate.store.given_tables import HERE


def remember(catalog: Catalog) -> None:
    """Note splits and names of groups for samples of which dedupe has said neither."""
    if _any(catalog):
        with catalog.tx() as db:
            db.execute(_SPLITS, (catalog.run,))
            db.execute(_GROUPS)


def owed(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """The name of each group of which a release says another split for a member, and that split."""
    if _any(catalog):
        yield from catalog.iterate_tuples(_OWED)


def tied(catalog: Catalog, ids: Sequence[str]) -> Rows:
    """The rows that are of one group by a release, and of several here, in pairs: int64[m, 2]."""
    return pairs(catalog.iterate_tuples(_TIED) if _any(catalog) else (), ids)


def _any(catalog: Catalog) -> bool:
    return catalog.scalar("SELECT 1 FROM given LIMIT 1") is not None


_SPLITS = f"""
INSERT OR IGNORE INTO splits SELECT sample, CASE max(CASE split WHEN 'test' THEN 2 WHEN 'val' THEN 1 ELSE 0 END)
    WHEN 2 THEN 'test' WHEN 1 THEN 'val' ELSE 'train' END, ? FROM ({HERE}) GROUP BY sample
"""  # noqa: S608 (constants)
_GROUPS = f"INSERT OR IGNORE INTO group_names SELECT sample, min(grp) FROM ({HERE}) GROUP BY sample"  # noqa: S608
_OWED = f"""
SELECT DISTINCT n.grp, h.split FROM ({HERE}) h JOIN group_names n USING (sample) JOIN splits s USING (sample)
WHERE h.split <> s.split
"""  # noqa: S608
_TIED = f"""
WITH here AS ({HERE}), several AS (SELECT h.grp FROM here h JOIN group_names n USING (sample) WHERE n.grp <> h.grp)
SELECT grp, sample FROM here WHERE grp IN several UNION SELECT grp, sample FROM group_names WHERE grp IN several
"""  # noqa: S608
