"""Every byte of an image file accounted for exactly once: one walker a format, each a generator of what it knows.

What no walker claims is no less there: between claims it is an opaque "gap", after the last one it is "after".
"""

import struct
from collections.abc import Callable, Iterator

from curate.errors import ItemError
from curate.media.ranges import avif, bmp, gif, jpeg, png, tiff, webp
from curate.media.ranges.kinds import Budget, Kind, Range, cover
from curate.records import Reason

__all__ = ["INSIDE", "Budget", "Kind", "Range", "end_of", "unsigned", "walk"]

INSIDE = "EXIF"  # beside Pillow's names: a TIFF structure in something else, no directory of which is shown
_CLAIMS: dict[str, Callable[[bytes, Budget], Iterator[Range]]] = {
    "JPEG": jpeg.claims,
    "MPO": jpeg.claims,
    "PNG": png.claims,
    "GIF": gif.claims,
    "WEBP": webp.claims,
    "BMP": bmp.claims,
    "TIFF": tiff.claims,
    INSIDE: tiff.hidden_claims,
    "AVIF": avif.claims,
}
_PICTURES: dict[str, Callable[[bytes, list[Range], Budget], Iterator[tuple[str, bytes]]]] = {
    "JPEG": jpeg.pictures,
    "MPO": jpeg.pictures,
    "PNG": png.pictures,
    "WEBP": webp.pictures,
    "TIFF": tiff.pictures,
    INSIDE: tiff.hidden_pictures,
    "AVIF": avif.pictures,
}
_BROKEN = (struct.error, IndexError, ValueError, OverflowError)


def walk(data: bytes, kind: str, budget: Budget) -> list[Range]:
    """The ranges of a file of this Pillow format: sorted, adjacent, from 0 to len(data).

    Raises ItemError: beyond the budget, and decode_error where the structure cannot be followed.
    """
    try:
        return list(cover(_CLAIMS[kind](data, budget), 0, len(data), Kind.AFTER))
    except _BROKEN as error:
        raise ItemError(Reason.DECODE_ERROR, f"its structure cannot be followed: {error}") from error


def end_of(data: bytes, kind: str, budget: Budget) -> int:
    """Where an image of this Pillow format ends within `data`: past the last byte that its format gives a place to."""
    return next((one.begin for one in walk(data, kind, budget) if one.kind is Kind.AFTER), len(data))


def unsigned(data: bytes, kind: str, ranges: list[Range], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """The pictures that a file holds without showing them and that begin with no signature, each made a file of.

    Each comes with the name of its ranges. The file's frames were counted when its ranges were found.
    """
    counted, budget.frames = budget.frames, 0
    try:
        yield from _PICTURES[kind](data, ranges, budget) if kind in _PICTURES else ()
    except _BROKEN:
        return  # what could not be made counts as opaque
    finally:
        budget.frames = counted
