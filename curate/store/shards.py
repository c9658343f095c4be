"""Shards: the unit of work, resume and retry of whatever is computed for each sample. Once cut, they stay."""

from curate.store import columns
from curate.store.catalog import Catalog

SIZE = 256


def assign(catalog: Catalog, size: int = SIZE) -> dict[int, list[str]]:
    """Each shard with its samples, both sorted. Samples that have none are cut, by id, into new shards of `size`."""
    import numpy as np

    fresh = [row[0] for row in catalog.all("SELECT id FROM samples WHERE shard IS NULL ORDER BY id")]
    if fresh:
        first = catalog.scalar("SELECT coalesce(max(shard) + 1, 0) FROM samples")
        cut = [(first + n // size, sample) for n, sample in enumerate(fresh)]
        with catalog.tx() as db:
            db.executemany("UPDATE samples SET shard = ? WHERE id = ?", cut)
    scan = columns.Scan({"id": "id", "shard": "shard"}, "samples", "id", numbers=("shard",))
    with catalog.reading() as db:
        found = columns.read(db, scan)
    shard = found["shard"].to_numpy()
    order = np.argsort(shard, kind="stable")
    ids, (numbers, starts) = found["id"].take(order), np.unique(shard[order], return_index=True)
    ends = [*starts.tolist(), len(ids)]
    return {n: ids[ends[place] : ends[place + 1]].to_pylist() for place, n in enumerate(numbers.tolist())}
