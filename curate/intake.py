"""What happens to bytes in a worker: digests, sniffing, one scaled decode, perceptual hashes. Nothing is written."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pickle import PickleBuffer
from typing import Any

from curate.errors import ItemError
from curate.media import phash, polyglot
from curate.media.decode import FORMATS, LOOK_SIDE, Bounds, frames, luminance, open_image, oriented_size
from curate.media.parts import looks, parts
from curate.media.pdq import Pdq
from curate.records import MEDIA_TYPES, Sample


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes on their way in, with their sha256, sha1, md5 if they are known; pickled out of band where that can be."""

    candidate: int
    data: bytes
    digests: tuple[str, str, str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Arrival, (self.candidate, PickleBuffer(self.data), self.digests)

    def __str__(self) -> str:
        return f"candidate {self.candidate}"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the bytes found: digests always, then either a sample with its hashes or the item's failure.

    `pdq` has one entry for each part of the file, "main" first; it is empty where the work was not asked for PDQ.
    """

    sha256: str
    sha1: str
    md5: str
    sample: Sample | None = None
    hashes: Mapping[str, Any] | None = None
    failure: ItemError | None = None
    pdq: tuple[Pdq, ...] = ()


@dataclass(frozen=True)
class Intake:
    """The work that `fetch` maps over arrivals; with `pdq` where something is there to screen against."""

    bounds: Bounds
    pdq: bool = True

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        import numpy as np  # noqa: F401

    def bring(self, item: Arrival) -> Arrival:
        """The bytes with their digests: lists are asked for what this process made, not for what a decoder says."""
        return Arrival(item.candidate, item.data, digests(item.data))

    def fits(self, given: Arrival, answer: Look) -> bool:
        """Whether the answer is about these bytes."""
        mine, one = given.digests or digests(given.data), answer.sample
        if (answer.sha256, answer.sha1, answer.md5) != mine:
            return False
        return one is None or (
            (one.id, one.sha1, one.md5, one.bytes) == (*mine, len(given.data)) and one.media_type in MEDIA_TYPES
        )

    def __call__(self, item: Arrival) -> Look:
        """One look; an item that is no image we take is an answer, not an error."""
        data = item.data
        sha256, sha1, md5 = item.digests or digests(data)
        try:
            return Look(sha256, sha1, md5, *self._taken(data, (sha256, sha1, md5)))
        except ItemError as failure:
            return Look(sha256, sha1, md5, failure=failure)

    def _taken(
        self, data: bytes, digests: tuple[str, str, str]
    ) -> tuple[Sample, Mapping[str, Any], None, tuple[Pdq, ...]]:
        """One decode of the first frame serves all: what cannot be decoded is refused, the rest is hashed."""
        image = open_image(data, self.bounds)
        media_type = FORMATS[image.format or ""]
        width, height = oriented_size(image)
        count = frames(image, self.bounds)
        after = polyglot.check(data, image.format or "")
        seen = luminance(image, LOOK_SIDE if self.pdq else phash.SIDE)
        sample = Sample(*digests, len(data), media_type, width, height, count)
        return sample, phash.row_of(seen), None, looks(data, seen, after, self.bounds) if self.pdq else ()


@dataclass(frozen=True)
class Deciding:
    """The work of making a file's deciding hashes: PDQ of the full decode of each part."""

    bounds: Bounds

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        import numpy as np  # noqa: F401

    def __call__(self, item: Arrival) -> tuple[Pdq, ...]:
        """The hashes, "main" first; raises ItemError."""
        return parts(item.data, self.bounds)


def digests(data: bytes) -> tuple[str, str, str]:
    """The sha256, sha1 and md5 of bytes, in hex."""
    sha256, sha1, md5 = (hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in _DIGESTS)
    return sha256, sha1, md5


_DIGESTS = ("sha256", "sha1", "md5")
