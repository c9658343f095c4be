"""The work of hashing stored samples, as it is mapped over them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from curate.errors import ItemError, StoreError
from curate.media import pdq, phash
from curate.media.answers import is_pdq, is_row
from curate.media.decode import Bounds, open_image
from curate.media.parts import whole
from curate.media.pdq import Pdq
from curate.store.blobs import LocalBlobs

T = TypeVar("T")
Wanted = tuple[str, bool, bool]  # a sample, and whether it lacks a pHash, a PDQ


@dataclass(frozen=True, slots=True)
class Found:
    """What was made of one sample's bytes: its row of the phash table, its PDQ parts, as far as asked for."""

    id: str
    phash: "phash.HashRow | None" = None
    pdq: tuple[Pdq, ...] = ()


@dataclass(frozen=True)
class Hashing:
    """The work that is mapped over samples."""

    root: Path
    bounds: Bounds
    side: int  # px of the decode that pHashes are made from

    @property
    def reads(self) -> tuple[Path]:
        """The store's bytes."""
        return (self.root,)

    def load(self) -> None:
        """Import and compile what the first item would otherwise wait for."""
        pdq.load()

    def fits(self, given: Wanted, answer: Found) -> bool:
        """Whether these are hashes, of what was lacking."""
        row = answer.phash is None or (given[1] and is_row(answer.phash))
        return row and is_pdq(answer.pdq) and (given[2] or not answer.pdq)

    def __call__(self, item: Wanted) -> Found:
        """The sample with what it lacked, or with nothing where its bytes are gone or are no picture any more."""
        one, phash_too, pdq_too = item
        try:
            with LocalBlobs(self.root).open(one) as blob:
                data = blob.read()
        except StoreError:
            return Found(one)
        seen = _tried(lambda: whole(data, self.bounds)) if pdq_too else None
        parts = seen.parts if seen is not None else ()
        if not phash_too:
            return Found(one, None, parts)
        if seen is not None and self.side == phash.FULL:
            return Found(one, phash.row_of(seen.grey), parts)
        return Found(one, _tried(lambda: phash.row_of(phash.seen(open_image(data, self.bounds), self.side))), parts)


def _tried(make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ItemError:
        return None
