"""Shards: the unit of work, resume and retry of whatever is computed for each sample. Once cut, they stay."""

from collections import defaultdict

from curate.store.catalog import Catalog

SIZE = 256


def assign(catalog: Catalog, size: int = SIZE) -> dict[int, list[str]]:
    """Each shard with its samples, both sorted. Samples that have none are cut, by id, into new shards of `size`."""
    fresh = [row[0] for row in catalog.all("SELECT id FROM samples WHERE shard IS NULL ORDER BY id")]
    if fresh:
        first = catalog.scalar("SELECT coalesce(max(shard) + 1, 0) FROM samples")
        cut = [(first + n // size, sample) for n, sample in enumerate(fresh)]
        with catalog.tx() as db:
            db.executemany("UPDATE samples SET shard = ? WHERE id = ?", cut)
    shards: defaultdict[int, list[str]] = defaultdict(list)
    for shard, sample in catalog.iterate("SELECT shard, id FROM samples ORDER BY shard, id"):
        shards[shard].append(sample)
    return dict(shards)
