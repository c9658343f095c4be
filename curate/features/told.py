"""What labelers without pixels say (`needs.side == 0`). They may see what sources declare and what is written, cost
little, and are asked anew each time: all of them about some samples, then about the next."""

import copy
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from curate.contracts import Labeler
from curate.features.score_worker import Columns, blank, fill, read_bytes
from curate.media.decode import Bounds
from curate.media.decoded import StoredImage
from curate.records import Sample
from curate.store import samples as store_samples
from curate.store.mentions import PART, Mentions
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

log = logging.getLogger(__name__)


def told(
    ws: Workspace, labelers: Sequence[Labeler], ids: "pa.Array", lost: "np.ndarray", mentions: Mentions
) -> list[Columns]:
    """The columns of each labeler, aligned with `ids`; in `lost` bool[n] rows are marked that one of them raised on."""
    ready, found = [copy.copy(one) for one in labelers], [blank(one, len(ids)) for one in labelers]
    for one in ready:
        one.load()
    for start, views in _views(ws, ids, mentions):
        places = dict(enumerate(([one] for one in views), start))
        for labeler, values in zip(ready, found, strict=True):
            for n, why in fill(values, labeler, places).items():
                log.warning("sample %s has no score: %s", ids[n], why)
                lost[n] = True
    return found


def _views(ws: Workspace, ids: "pa.Array", mentions: Mentions) -> Iterator[tuple[int, list[StoredImage]]]:
    """The samples as labelers see them, PART at a time, each time with the place of the first."""
    stored = store_samples.stored(ws.catalog, store_samples.SAMPLE_COLUMNS.split(", "), ids)
    bounds, taxonomy = Bounds(), ws.config.taxonomy
    declared = {
        axis.name: store_samples.declared_of(ws.catalog, axis.name, ids, taxonomy.version) for axis in taxonomy.axes
    }
    for start in range(0, len(ids), PART):
        stop = start + PART
        samples = map(Sample, *(values[start:stop].to_pylist() for values in stored.values()))
        said = zip(*(by[start:stop] for by in declared.values()), strict=True)
        written = mentions.of(ids[start:stop].to_pylist())
        yield (
            start,
            [
                StoredImage(
                    sample,
                    dict(zip(declared, by, strict=True)),
                    partial(read_bytes, ws.blobs, sample.id),
                    bounds,
                    **vars(one),
                )
                for sample, by, one in zip(samples, said, written, strict=True)
            ],
        )
