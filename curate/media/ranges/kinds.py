"""What the bytes of an image file are for, and what a walk over them may cost."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from curate.errors import ItemError
from curate.records import Reason

_CHUNK = 1 << 16


class Kind(StrEnum):
    """What a byte range is for, as its format says; whether that is so is for `hidden` to find out."""

    PIXELS = "pixels"  # coded samples of what is shown
    STRUCTURE = "structure"  # headers, tables, offsets: what a decoder reads
    TEXT = "text"
    PROFILE = "profile"  # an ICC profile
    PICTURE = "picture"  # coded samples of what is not shown, without a file signature of their own
    OPAQUE = "opaque"  # everything else before the end
    AFTER = "after"


class Range(NamedTuple):
    """Bytes [begin, end) of a file. Ranges of one name are parts of one stream; `body` is what they unpack to."""

    begin: int
    end: int
    kind: Kind
    name: str = ""
    body: bytes | None = None


@dataclass
class Budget:
    """What walking one file may still cost; beyond it the file is refused with the figure, never skipped over."""

    max_pixels: int
    max_frames: int
    steps: int = 200_000  # segments, chunks, directory entries
    unpacked: int = 256 * 2**20  # bytes of metadata after decompression and decoding
    scans: int = 200  # of JPEGs: each costs a pass over every pixel
    frames: int = 0
    guesses: int = 1000  # places where deflated data may begin that no header announces; more are not tried

    def guess(self) -> bool:
        """Account for such a place; False where there were too many: what lies there counts as opaque all the same."""
        self.guesses -= 1
        return self.guesses >= 0

    def step(self, count: int = 1) -> None:
        """Account for so many steps; raises ItemError(hidden_data)."""
        self.steps -= count
        if self.steps < 0:
            raise ItemError(Reason.HIDDEN_DATA, "more than 200,000 segments, chunks or entries")

    def scan(self) -> None:
        """Account for a JPEG's scan; raises ItemError(too_large)."""
        self.scans -= 1
        if self.scans < 0:
            raise ItemError(Reason.TOO_LARGE, "more than 200 scans")

    def frame(self) -> None:
        """Account for a frame or page; raises ItemError(too_many_frames)."""
        self.frames += 1
        if self.frames > self.max_frames:
            raise ItemError(Reason.TOO_MANY_FRAMES, f"more than {self.max_frames}")

    def unpack(self, size: int) -> None:
        """Account for bytes that were made from metadata; raises ItemError(hidden_data)."""
        self.unpacked -= size
        if self.unpacked < 0:
            raise ItemError(Reason.HIDDEN_DATA, "more than 256 MiB of metadata after decompression")

    def inflate(self, data: bytes) -> bytes:
        """What a zlib stream unpacks to, and after it what it leaves of the data; nothing where there is no stream."""
        if not data or data[0] & 15 != 8:  # the one method that there is
            return b""
        unpacker, found = zlib.decompressobj(), list[bytes]()
        try:
            while data and not unpacker.eof:
                found.append(unpacker.decompress(data, _CHUNK))
                data = unpacker.unconsumed_tail or unpacker.unused_data
                self.unpack(len(found[-1]))
        except zlib.error:
            pass  # what follows is no part of it
        return b"".join((*found, data)) if any(found) else b""


def cover(claims: Iterable[Range], begin: int, end: int, rest: Kind, name: str = "") -> Iterator[Range]:
    """The claims in order, cut where they overlap, and between them "gap": each byte of [begin, end) exactly once.

    What follows the last claim is `rest`; `name` goes before every name.
    """
    at = begin
    for one in sorted(claims, key=attrgetter("begin")):
        first, last = one.begin, one.end
        if first < at or last > end or name:
            first, last = max(first, at), min(last, end)
            one = Range(first, last, one.kind, name + one.name if one.name else "", one.body)
        if first >= last:
            continue
        if first > at:
            yield Range(at, first, Kind.OPAQUE, name + "gap")
        yield one
        at = last
    if at < end:
        yield Range(at, end, rest, name + rest.value)
