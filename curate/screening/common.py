"""What everybody has and what harms nobody: files and pictures that are on a list by mistake only.

Of a PDQ hash alone two things can be told. A picture that varies along one axis only, or is its own mirror image (blank
pages, gradients, stripes, letters), has coefficients that are exactly equal: mostly other than 128 of its bits are set.
One that is the same when its diagonal is a mirror (discs, frames, boards) mostly has a hash that is its own transpose.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from curate.media import placeholders
from curate.records import Algorithm

if TYPE_CHECKING:
    import numpy as np

    from curate.screening.index import Bytes, PdqIndex

SIDES = (128, 256)  # px
ONES = 128  # bits that are set in the hash of any other picture
_GIF = b"GIF89a\1\0\1\0\x80\0\0%b!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2%b\1\0;"
FILES = {
    "an empty file": b"",
    "a transparent pixel": _GIF % (b"\xff\xff\xff\0\0\0", b"D"),
    "a white pixel": _GIF % (b"\0\0\0\xff\xff\xff", b"D"),
    "a black pixel": _GIF % (b"\0\0\0\0\0\0", b"D"),
}


def digests() -> Iterator[tuple[str, dict[Algorithm, str]]]:
    """Harmless files, by name: an empty one, single pixels, and what servers send where a picture is gone."""
    kinds: tuple[Algorithm, ...] = ("sha256", "sha1", "md5")
    for name, data in FILES.items():
        yield name, {kind: hashlib.new(kind, data, usedforsecurity=False).hexdigest() for kind in kinds}
    for md5, what in placeholders.known():
        yield f"a placeholder ({what})", {"md5": md5}


def odd(value: str) -> bool:
    """Whether other than half of the bits of a PDQ hash (hex) are set: so it is with flat pictures, and with what is
    no PDQ hash but a sha256."""
    return int(value, 16).bit_count() != ONES


def doubts(hashes: "Bytes", radius: int) -> Iterator[tuple[int, str]]:
    """Of PDQ hashes, uint8[n, 32]: those of flat, symmetrical and common pictures, by number, and why."""
    import numpy as np

    bits = np.unpackbits(hashes, axis=1).reshape(-1, 16, 16)
    ones = bits.sum(axis=(1, 2), dtype=np.int64)
    turned = (bits != bits.transpose(0, 2, 1)).sum(axis=(1, 2))
    names, index = _pictures()
    found = index.nearest(hashes, radius)
    for n in np.flatnonzero((ones != ONES) | (turned <= radius) | (found.row >= 0)).tolist():
        if ones[n] != ONES:
            yield (
                n,
                f"it is of a flat picture, or a symmetrical one, or damaged: {ones[n]} of 256 bits are set, not {ONES}",
            )
        elif turned[n] <= radius:
            yield n, f"it is of a symmetrical picture: mirrored in its diagonal it is {turned[n]} bits off"
        else:
            yield n, f"it is like a common picture: {names[found.row[n]]} ({found.distance[n]} bits)"


@cache
def _pictures() -> "tuple[list[str], PdqIndex]":
    """Common pictures that are not symmetrical, in eight orientations and two sizes, and as negatives."""
    import numpy as np

    from curate.screening.index import PdqIndex

    names, found = list[str](), list[bytes]()
    for side in SIDES:
        down, across = np.mgrid[0:side, 0:side] / (side - 1)
        for name, drawn in (
            ("a placeholder", _placeholder),
            ("a page of text", _page),
            ("a light in a corner", _light),
        ):
            levels = np.round(drawn(down, across) * 255).astype(np.uint8)
            for one in (levels, 255 - levels):
                found += _turned(np.repeat(one[..., None], 3, axis=2))
                names += [name] * 8
    return names, PdqIndex.from_bytes(b"".join(found))


def _turned(pixels: "np.ndarray") -> list[bytes]:
    """pdqhash's own hashes of uint8[h, w, 3], turned and mirrored, as lists have them of pictures of any quality."""
    import numpy as np
    import pdqhash

    turned = [np.rot90(one, turns) for one in (pixels, pixels[:, ::-1]) for turns in range(4)]
    return [np.packbits(pdqhash.compute(np.ascontiguousarray(one))[0].astype(np.uint8)).tobytes() for one in turned]


def _placeholder(down: "np.ndarray", across: "np.ndarray") -> "np.ndarray":
    """A sun over two mountains in a frame: what stands where a picture is missing."""
    import numpy as np

    edge = np.minimum(np.minimum(down, 1 - down), np.minimum(across, 1 - across))
    sun = np.hypot(down - 0.35, across - 0.33) < 0.07
    mountains = (down > 0.4 + abs(across - 0.62)) | (down > 0.55 + abs(across - 0.35))
    shown: np.ndarray = (abs(edge - 0.14) < 0.02) | sun | (mountains & (down < 0.8) & (edge > 0.16))
    return shown.astype(float)


def _page(down: "np.ndarray", across: "np.ndarray") -> "np.ndarray":
    """Lines of words, which end raggedly."""
    import numpy as np

    line = np.floor(down * 24)
    inked = ((down * 24) % 1 < 0.5) & (line > 1) & (line < 22)
    words = (across * 40 + line * 7) % 7 < 5.5
    ink: np.ndarray = inked & words & (across > 0.1) & (across < 0.75 + 0.15 * ((line * 5) % 7) / 7)
    return 1 - ink.astype(float)


def _light(down: "np.ndarray", across: "np.ndarray") -> "np.ndarray":
    """Light that falls off from a place near a corner."""
    import numpy as np

    fallen: np.ndarray = np.clip(1.2 - np.hypot(down - 0.1, across - 0.2), 0, 1)
    return fallen
