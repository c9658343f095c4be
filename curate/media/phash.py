"""Perceptual hashes of a picture. A new algorithm or version is a new table."""

from typing import TYPE_CHECKING

from PIL import Image

from curate.marks import fingerprint

if TYPE_CHECKING:
    import numpy as np

NAME = "phash"
VERSION = 1
BITS = 64
SIDE = 128  # hashed from a decode whose shorter side is about this; within 4 bits of the full decode's hash
MARK = fingerprint(NAME, VERSION, SIDE)


def phash(image: Image.Image) -> bytes:
    """The 64-bit DCT hash (imagehash.phash) of an oriented RGB image: 8 bytes, row-major, high bit first."""
    import imagehash
    import numpy as np

    return np.packbits(imagehash.phash(image).hash).tobytes()


def to_array(hashes: list[bytes]) -> "np.ndarray":
    """Hashes as uint8[n, nbytes]."""
    import numpy as np

    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), -1)


def columns_of(image: Image.Image) -> dict[str, object]:
    """The row of the hash table for a picture scaled to SIDE."""
    return {"phash": phash(image)}
