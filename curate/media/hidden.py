"""Pictures that a file holds beside those it shows: previews in its metadata, and what follows its end."""

from dataclasses import dataclass

from curate.media.decode import Bounds
from curate.media.polyglot import check

_STARTS = (b"\xff\xd8\xff",)


@dataclass(frozen=True)
class Hidden:
    """`pictures`: bytes that each begin with what may be a picture; `opaque`: bytes of metadata that say nothing."""

    pictures: tuple[bytes, ...] = ()
    opaque: int = 0


def inspect(data: bytes, kind: str, bounds: Bounds) -> Hidden:
    """What else is in a file of this Pillow format; raises ItemError naming what it must not be."""
    check(data, kind)
    return Hidden(tuple(_embedded(data)))


def _embedded(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = data.find(_STARTS[0], 2)
    while at >= 0:
        found.append(data[at:])
        at = data.find(_STARTS[0], at + 3)
    return found
