"""Which frames of an animation, or pages of a file, stand for all of it: those that show something of their own."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from curate.media import phash
from curate.media.decode import Luminance, flattened, frames, load

if TYPE_CHECKING:
    import numpy as np

MOST = 32  # frames of one file that are compared with others
SEEN = 3  # frames of one file that a labeler is asked about: the first, the middle and the last distinct one


def spread(count: int, most: int = MOST) -> list[int]:
    """The places of at most `most` of `count` things: ascending, evenly spread, the first and the last among them."""
    some = min(count, most)
    return [round(n * (count - 1) / (some - 1)) for n in range(some)] if some > 1 else [0]


def each(image: Image.Image) -> Iterator[tuple[Image.Image, phash.HashRow]]:
    """Every frame of an opened image in turn: whole, oriented, in grey, with its row as in the hash table.

    Raises ItemError where one cannot be decoded.
    """
    for number in range(frames(image)):
        load(image, number)
        grey = flattened(image, "L")
        yield grey, phash.row_of(Luminance(grey, grey.size))


def distinct(thumbs: Sequence[bytes], most: int = MOST) -> list[int]:
    """Which of these thumbnails (1,024 bytes each) show what none before them does: their places, ascending.

    The same is what would be taken for one picture re-encoded (`phash.same`). Of more than `most` so many, evenly
    spread.
    """
    import numpy as np

    found: list[int] = []
    kept = np.empty((len(thumbs), phash.THUMB**2), dtype=np.uint8)
    for place, thumb in enumerate(thumbs):
        kept[len(found)] = np.frombuffer(thumb, dtype=np.uint8)
        if not _any_same(kept[: len(found)], kept[len(found)]):
            found.append(place)
    return [found[place] for place in spread(len(found), most)]


def _any_same(kept: "np.ndarray", one: "np.ndarray") -> bool:
    import numpy as np

    return bool(phash.same(kept, np.broadcast_to(one, kept.shape)).any())


def numbers(image: Image.Image, most: int = SEEN) -> list[int]:
    """The numbers of at most `most` distinct frames of an opened image, the first frame first: [0] of a still.

    With SEEN the first, the middle and the last one. Raises ItemError where a frame cannot be decoded.
    """
    if frames(image) == 1:
        return [0]
    return distinct([row["thumb"] for _, row in each(image)], most)
