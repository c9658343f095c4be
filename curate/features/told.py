"""What labelers without pixels say (`needs.side == 0`). They may see what sources declare and what is written, cost
little, and are asked anew each time: all of them about some samples, then about the next."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING

from curate.contracts import Labeler
from curate.features.score_worker import Columns, blank, fill, read_bytes
from curate.media.decoded import StoredImage
from curate.policy.written import Written
from curate.records import Sample
from curate.store import samples as store_samples
from curate.store.mentions import PART, Mentions
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from PIL import Image

log = logging.getLogger(__name__)


def told(
    ws: Workspace, labelers: Sequence[Labeler], ids: "pa.Array", lost: "np.ndarray", mentions: Mentions
) -> list[Columns]:
    """The columns of each labeler, aligned with `ids`; in `lost` bool[n] rows are marked that one of them raised on."""
    ready, found = [copy.copy(one) for one in labelers], [blank(one, len(ids)) for one in labelers]
    for one in ready:
        one.load()
    known = _Known(ws, ids)
    for start, written in _ahead(ids, mentions):
        places = {n: [_Told(one, known, n)] for n, one in enumerate(written, start)}
        for labeler, values in zip(ready, found, strict=True):
            for n, why in fill(values, labeler, places).items():
                log.warning("sample %s has no score: %s", ids[n], why)
                lost[n] = True
    return found


def _ahead(ids: "pa.Array", mentions: Mentions) -> Iterator[tuple[int, list[Written]]]:
    """What is written of PART samples at a time, and the place of the first; while labelers look at it, a thread has
    the catalog find the next."""
    with ThreadPoolExecutor(1) as thread:
        waiting = None
        for start in range(0, len(ids), PART):
            asked = thread.submit(mentions.of, ids[start : start + PART].to_pylist())
            if waiting is not None:
                yield start - PART, waiting.result()
            waiting = asked
        if waiting is not None:
            yield start, waiting.result()


class _Known:
    """What else is known of the samples: by axis what sources `declared` of each, and what few ask for, `samples`."""

    def __init__(self, ws: Workspace, ids: "pa.Array") -> None:
        self.ws, self._ids, taxonomy = ws, ids, ws.config.taxonomy
        self.declared: Mapping[str, Sequence[tuple[str, ...]]] = {
            axis.name: store_samples.declared_of(ws.catalog, axis.name, ids, taxonomy.version) for axis in taxonomy.axes
        }

    @cached_property
    def samples(self) -> Sequence["pa.Array"]:
        """The columns of `Sample`."""
        return list(store_samples.stored(self.ws.catalog, store_samples.SAMPLE_COLUMNS.split(", "), self._ids).values())


class _Told(Written):
    """The `Decoded` view of a sample; of what nobody asks for, nothing is made."""

    def __init__(self, written: Written, known: _Known, place: int) -> None:
        vars(self).update(vars(written))
        self._known, self._place = known, place

    @cached_property
    def sample(self) -> Sample:
        """What it is about."""
        return Sample(*(values[self._place].as_py() for values in self._known.samples))

    @property  # most ask once
    def declared(self) -> Mapping[str, tuple[str, ...]]:
        """By axis the classes that sources declare."""
        return {axis: by[self._place] for axis, by in self._known.declared.items()}

    @cached_property
    def _picture(self) -> StoredImage:
        return StoredImage(self.sample, {}, partial(read_bytes, self._known.ws.blobs, self.sample.id))

    def image(self, side: int | None) -> "Image.Image":
        """As `StoredImage` has it."""
        return self._picture.image(side)
