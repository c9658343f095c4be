"""PDQ, the 256-bit hash that screening lists speak: in all eight orientations, of every part of a file.

Source: Davis and Rosen, The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm (2019).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from curate.marks import fingerprint

if TYPE_CHECKING:
    import numpy as np

NAME = "pdq"
VERSION = 1
BITS = 256
BYTES = 32
ORIENTATIONS = 8
MAIN = "main"
MIN_QUALITY = 50  # below it a hash says too little of its picture to be matched
RADIUS = 31  # bits within which two pictures are the same to a screening list
MARK = fingerprint(NAME, VERSION)


@dataclass(frozen=True, slots=True)
class Pdq:
    """What PDQ says of one part of a file.

    `part`: "main" is the picture as it is shown; "frame:7", "page:2", "preview:0", "alpha:..." is what else is in the
    file. `hashes`: 8 x 32 bytes, upright first, then as `pdqhash.compute_dihedral` orders them (quarter turns 90, 180,
    270, mirrored in x, in y, in the diagonal, in the other one). `quality`: 0..100. `full`: True for pdqhash on the
    full decode, which decides; False for a first look, which is near to it.
    """

    part: str
    hashes: bytes
    quality: int
    full: bool

    @property
    def array(self) -> "np.ndarray":
        """The hashes as uint8[8, 32]."""
        import numpy as np

        return np.frombuffer(self.hashes, dtype=np.uint8).reshape(ORIENTATIONS, BYTES)


def full(image: Image.Image, part: str = MAIN) -> Pdq:
    """The hashes that decide: `pdqhash` on the whole of an oriented RGB picture, at the size it has.

    A picture with a side of less than 5 px has hashes of zeros and quality 0. Bits are in the order of the hash's usual
    hex text.
    """
    import numpy as np
    import pdqhash

    vectors, quality = pdqhash.compute_dihedral(np.asarray(image.convert("RGB")))
    packed = np.packbits(np.asarray(vectors, dtype=np.uint8), axis=1)
    return Pdq(part, packed.tobytes(), int(quality), True)
