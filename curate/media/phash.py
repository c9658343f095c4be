"""Perceptual hashes of a picture. A new algorithm or version is a new table."""

from functools import cache
from math import ceil, floor
from typing import TYPE_CHECKING, TypedDict

from PIL import Image

from curate.fingerprint import fingerprint
from curate.media import inner, pdq
from curate.media.decode import Luminance, flattened, luminance

if TYPE_CHECKING:
    import numpy as np

NAME = "phash"
VERSION = 5
BITS = 64
THUMB = 32  # side of the luminance thumbnail that the hash is made from
SIDE = 120  # px that the shorter side keeps in the decode that this thumbnail is made from, where it has as many
MIN_QUALITY = 1.0  # below it what the hash says is rounding to 8 bits: such a picture is equal to itself only
SAME_LEVELS = 8  # grey levels by which thumbnails of one picture may differ, and beyond that
SAME_SHIFT = 8  # by one SAME_SHIFT-th of the step to the next pixel: resizing tools differ in where a pixel lies


class HashRow(TypedDict):
    """A row of the hash table, as `row_of` makes it."""

    phash: bytes
    signs: bytes
    quality: float
    thumb: bytes
    inner_phash: bytes
    inner_signs: bytes
    inner_quality: float


FULL = 0  # the side of a decode that is not scaled


def fingerprint_of(side: int) -> str:
    """What a table holds whose hashes are made from decodes that leave `side` px; another side can turn a bit."""
    return fingerprint(NAME, VERSION, side, THUMB, inner.VERSION)


VOID = tuple(  # marks of tables by rules that do not hold
    fingerprint(NAME, version, side, THUMB) for version in range(1, 5) for side in (SIDE, FULL)
)


def columns_of(image: Image.Image) -> HashRow:
    """One row of the hash table, from an opened image: one scaled decode of its luminance; raises ItemError."""
    return row_of(luminance(image, SIDE))


def seen(image: Image.Image, side: int) -> Luminance:
    """What a row is made from, of an opened image: a decode that leaves `side` px, or the full one (FULL)."""
    return reduced(flattened(image, "RGB")) if side == FULL else luminance(image, side)


def reduced(picture: Image.Image) -> Luminance:
    """The same of an oriented RGB or L picture that was decoded in full."""
    return with_pdq(picture)[1]


def with_pdq(picture: Image.Image, part: str = pdq.MAIN) -> tuple[pdq.Pdq, Luminance]:
    """The PDQ of an oriented RGB or L picture that was decoded in full, and what a row is made from, in one pass."""
    scale = next((n for n in (8, 4, 2) if min(picture.size) >= n * SIDE), 1)
    found, grey = pdq.with_grey(picture, scale, part)
    return found, Luminance(Image.fromarray(grey), picture.size, scale)


def row_of(seen: Luminance) -> HashRow:
    """One row of the hash table, from a decode that leaves SIDE px or more.

    `phash`: 8 bytes. `signs`: 8 bytes, a bit for each of the same coefficients that is above zero: those of the
    mirrored and turned thumbnail follow from them (`curate.near.dihedral`). `quality`: how far, in the median, a
    coefficient stands from the threshold that its bit says it is above or below; 0 for a flat picture, 10 and more
    where the hash survives re-encoding and resizing. `thumb`: 1024 bytes, the 32x32 luminance that all of these were
    made from, row by row. `inner_phash`, `inner_signs`, `inner_quality`: the same of the picture without its border
    (`curate.media.inner`); the quality is NaN where there is none.
    """
    import numpy as np

    image, whole = _cut(seen)
    thumb = _thumb(image, whole)
    bits, signs, quality = _hashes(thumb)
    within = inner.box(np.asarray(image.crop(_outward(whole))))
    found: tuple[bytes, bytes, float] = (bytes(8), bytes(8), float("nan"))
    if within is not None:
        left, upper, right, lower = within
        x, y = _outward(whole)[:2]
        box = (max(x + left, whole[0]), max(y + upper, whole[1]), min(x + right, whole[2]), min(y + lower, whole[3]))
        found = _hashes(_thumb(image, box))
    return {
        "phash": bits, "signs": signs, "quality": quality, "thumb": thumb,
        "inner_phash": found[0], "inner_signs": found[1], "inner_quality": found[2],
    }  # fmt: skip


def thumb_of(seen: Luminance) -> bytes:
    """The thumbnail alone."""
    return _thumb(*_cut(seen))


Area = tuple[float, float, float, float]  # left, upper, right, lower, in px


def _cut(seen: Luminance) -> tuple[Image.Image, Area]:
    """The picture at SIDE to twice SIDE px, and where it lies: not what of a scaled decode's edge is outside of it."""
    fit = next((n for n in (8, 4, 2) if min(seen.image.size) >= n * SIDE), 1)
    image, scale = seen.image.reduce(fit) if fit > 1 else seen.image, seen.scale * fit
    left, top = (px / scale for px in seen.before)
    right, bottom = (
        min((px + own) / scale, most) for px, own, most in zip(seen.before, seen.size, image.size, strict=True)
    )
    return image, (left, top, right, bottom)


def _thumb(image: Image.Image, area: Area) -> bytes:
    """That area in THUMB x THUMB px."""
    return image.resize((THUMB, THUMB), Image.Resampling.LANCZOS, area).tobytes()


def _outward(area: Area) -> tuple[int, int, int, int]:
    """The whole px that the area touches."""
    left, upper, right, lower = area
    return floor(left), floor(upper), ceil(right), ceil(lower)


def _hashes(thumb: bytes) -> tuple[bytes, bytes, float]:
    """A thumbnail's hash, its signs, and its quality as the table has it."""
    import numpy as np

    low = _low(thumb)
    return _bits(low), np.packbits(low > 0).tobytes(), float(np.float32(_quality(low)))


def phash(image: Image.Image) -> bytes:
    """The 64-bit DCT hash (imagehash.phash) of an oriented RGB or L image: 8 bytes, row-major, high bit first."""
    return _bits(_low(image.convert("L").resize((THUMB, THUMB), Image.Resampling.LANCZOS).tobytes()))


def _low(thumb: bytes) -> "np.ndarray":
    """The 8x8 lowest coefficients of a thumbnail's DCT-II, as scipy.fftpack scales them: float64, without its noise."""
    import numpy as np

    basis = _basis()
    grey = np.frombuffer(thumb, dtype=np.uint8).reshape(THUMB, THUMB).astype(np.float64)
    return np.asarray((basis @ grey @ basis.T).round(6))


def _bits(low: "np.ndarray") -> bytes:
    import numpy as np

    return np.packbits(low > _median(low)).tobytes()


def same(left: "np.ndarray", right: "np.ndarray") -> "np.ndarray":
    """Whether thumbnails (uint8[n, 1024] each) show the same picture all over, re-encoded or resized: bool[n].

    A hash sums up the whole picture; a bar, a mosaic or a mark is local, and changes it little. docs/dedupe.md says
    what is taken for the same.
    """
    import numpy as np

    one, other = (thumbs.reshape(-1, THUMB, THUMB).astype(np.int16) for thumbs in (left, right))
    apart = np.abs(one - other)
    worst = apart.max(axis=(1, 2), initial=0)
    found = worst <= SAME_LEVELS
    unsure = np.flatnonzero(~found & (worst <= SAME_LEVELS + 255 // SAME_SHIFT))  # no step is greater than 255
    slack = np.minimum(_steepness(one[unsure]), _steepness(other[unsure])) // SAME_SHIFT
    found[unsure] = (apart[unsure] <= SAME_LEVELS + slack).all(axis=(1, 2))
    return np.asarray(found)


def _steepness(thumbs: "np.ndarray") -> "np.ndarray":
    """The greatest step from each pixel to one of its four neighbours."""
    import numpy as np

    found = np.zeros_like(thumbs)
    across, down = np.abs(np.diff(thumbs, axis=2)), np.abs(np.diff(thumbs, axis=1))
    for target, step in (
        (found[:, :, 1:], across), (found[:, :, :-1], across), (found[:, 1:], down), (found[:, :-1], down),
    ):  # fmt: skip
        np.maximum(target, step, out=target)
    return found


def _quality(low: "np.ndarray") -> float:
    """In the units of an orthonormal DCT."""
    import numpy as np

    even = low * _norms()
    return round(_median(np.abs(even - _median(even))), 3)


def _median(values: "np.ndarray") -> float:
    """`numpy.median` of an even number of values; it takes ten times as long for so few."""
    ordered = sorted(values.ravel().tolist())
    half = len(ordered) // 2
    return float((ordered[half - 1] + ordered[half]) / 2)


_NORM = ((1 / (4 * THUMB)) ** 0.5, *((1 / (2 * THUMB)) ** 0.5,) * 7)


@cache
def _norms() -> "np.ndarray":
    import numpy as np

    return np.asarray(np.outer(_NORM, _NORM))


@cache
def _basis() -> "np.ndarray":
    """The eight lowest cosines of a DCT-II over THUMB pixels, twice each as in scipy.fftpack."""
    import numpy as np

    return np.asarray(2 * np.cos(np.pi / (2 * THUMB) * np.outer(np.arange(8), 2 * np.arange(THUMB) + 1)))


def to_array(hashes: list[bytes]) -> "np.ndarray":
    """Fixed-length byte strings (hashes, thumbnails) as uint8[n, nbytes]."""
    import numpy as np

    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), -1)
