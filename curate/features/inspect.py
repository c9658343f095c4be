"""What happens to bytes in a worker: digests, sniffing, one decode, perceptual hashes. Nothing is written."""

import hashlib
from dataclasses import dataclass, replace
from pickle import PickleBuffer
from typing import Any

from PIL import Image

from curate.engine import MOST
from curate.errors import ItemError
from curate.media import hidden, pdq, phash
from curate.media.answers import is_pdq, is_row, is_sample
from curate.media.decode import FORMATS, Bounds, frames, open_image
from curate.media.leaving import Treated, is_treated, of_decoded
from curate.media.parts import each_frame, whole
from curate.media.pdq import Pdq
from curate.media.strip import stripped
from curate.records import Reason, Sample


@dataclass(frozen=True, slots=True)
class FetchedBytes:
    """Bytes on their way in, with their sha256, sha1, md5 if they are known; pickled out of band where that can be."""

    candidate: int
    data: bytes
    digests: tuple[str, str, str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FetchedBytes, (self.candidate, PickleBuffer(self.data), self.digests)

    def __str__(self) -> str:
        return f"candidate {self.candidate}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one look at the bytes found: digests always, then either a sample with its hashes or the item's failure.

    `pdq` has one entry for each part of the file, "main" first; it is empty where the work was not asked for PDQ. Where
    the bytes were rewritten without their metadata, `rewritten` is what all this is about, and `came` has the sha256,
    sha1 and md5 of what came. `leaves`: what of it may leave, where that was asked, and its decode told.
    """

    sha256: str
    sha1: str
    md5: str
    sample: Sample | None = None
    hashes: phash.HashRow | None = None
    failure: ItemError | None = None
    pdq: tuple[Pdq, ...] = ()
    rewritten: bytes | None = None
    came: tuple[str, str, str] | None = None
    leaves: Treated | None = None


@dataclass(frozen=True)
class Inspect:
    """The work that `fetch` maps over arrivals; with `pdq` where something is there to screen against.

    `side`: px of the decode that pHashes are made from (`hashes.side`). With `strip`, what holds too much
    that nobody can look into is looked at without it. With `leaves` it also says what leaves of a picture, whose longer
    side may then have `max_side` px.
    """

    bounds: Bounds
    pdq: bool = True
    side: int = phash.FULL
    strip: bool = False
    leaves: bool = False
    max_side: int | None = None

    def load(self) -> None:
        """Import and compile what the first item would otherwise wait for."""
        import numpy as np  # noqa: F401

        if self.pdq or self.side == phash.FULL:
            pdq.load()

    def bring(self, item: FetchedBytes) -> FetchedBytes:
        """The bytes with their digests: lists are asked for what this process made, not for what a decoder says."""
        return FetchedBytes(item.candidate, item.data, digests(item.data))

    @property
    def most(self) -> int:
        """Bytes of an answer: a file that was rewritten comes with it."""
        return 2**26 if self.strip else MOST

    def fits(self, given: FetchedBytes, answer: Inspection) -> bool:
        """Whether the answer is about these bytes, or about what was made of them and comes with it; and whether what
        it says can be of a picture within bounds."""
        mine = given.digests or digests(given.data)
        kept, one = answer.rewritten or given.data, answer.sample
        said = (answer.sha256, answer.sha1, answer.md5)
        if (one is None) == (answer.failure is None) or (one is None) != (answer.hashes is None):
            return False
        if not is_pdq(answer.pdq) or bool(answer.pdq) != (self.pdq and one is not None):
            return False
        if answer.rewritten is not None and not self.strip:
            return False
        if answer.rewritten is None and (said != mine or answer.came is not None):
            return False
        if answer.rewritten is not None and (said != digests(kept) or answer.came != mine):
            return False
        return one is None or (
            (one.id, one.sha1, one.md5, one.bytes) == (*said, len(kept))
            and is_sample(one, self.bounds)
            and answer.hashes is not None
            and is_row(answer.hashes)
            and (answer.leaves is None or (self.leaves and is_treated(answer.leaves)))
        )

    def __call__(self, item: FetchedBytes) -> Inspection:
        """One look; an item that is no image we take is an answer, not an error."""
        look = self._look(item.data, item.digests or digests(item.data))
        if not self.strip or look.failure is None or look.failure.reason is not Reason.HIDDEN_DATA:
            return look
        try:
            smaller = stripped(item.data, open_image(item.data, self.bounds).format or "", self.bounds)
        except ItemError:
            return look
        again = self._look(smaller, digests(smaller))
        return look if again.failure else replace(again, rewritten=smaller, came=(look.sha256, look.sha1, look.md5))

    def _look(self, data: bytes, known: tuple[str, str, str]) -> Inspection:
        try:
            image = open_image(data, self.bounds)
            sample, row, parts = self._taken(data, image, known)
            leaves = self._leaving(data, image, known[0]) if self.leaves and sample.frames == 1 else None
            return Inspection(*known, sample, row, pdq=parts, leaves=leaves)
        except ItemError as failure:
            return Inspection(*known, failure=failure)

    def _leaving(self, data: bytes, image: Image.Image, sha256: str) -> Treated | None:
        """Of a JPEG told by the image that is open: neither its size nor its mode changed when it was decoded."""
        bounds = Bounds(self.bounds.max_pixels, 1, self.bounds.max_frames)
        return of_decoded(data, bounds, self.max_side, sha256, image if image.format == "JPEG" else None)

    def _taken(
        self, data: bytes, image: Image.Image, digests: tuple[str, str, str]
    ) -> tuple[Sample, phash.HashRow, tuple[Pdq, ...]]:
        """One decode serves all: in full where PDQ is asked for, else scaled. What cannot be decoded is refused."""
        media_type = FORMATS[image.format or ""]
        seen = whole(data, self.bounds, image) if self.pdq else None
        if seen is None:
            hidden.inspect(data, image.format or "", self.bounds)  # counts frames as it walks, before Pillow does
        count = frames(image, self.bounds)
        grey = seen.grey if seen and self.side == phash.FULL else phash.seen(open_image(data, self.bounds), self.side)
        if seen is None and count > 1:
            each_frame(data, self.bounds)
        sample = Sample(*digests, len(data), media_type, *grey.size, count)
        return sample, phash.row_of(grey), seen.parts if seen else ()


def digests(data: bytes) -> tuple[str, str, str]:
    """The sha256, sha1 and md5 of bytes, in hex."""
    sha256, sha1, md5 = (hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in _DIGESTS)
    return sha256, sha1, md5


_DIGESTS = ("sha256", "sha1", "md5")
