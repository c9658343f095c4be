"""Samples of more than eight bits as the eight that a screen shows: by every scale that a viewer may choose."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
RANGES = {"F": (1.0, 255.0, 65535.0), "I": (65535.0, 2.0**31 - 1, 2.0**32 - 1)}
SIXTEEN = 65535.0
_FORMAT = 339  # TIFF's tag of what samples are: 1 for whole numbers without a sign
ROBUST = ((0.5, 99.5), (2.0, 98.0))  # percentiles between which viewers that stretch contrast by themselves do so
BITS = (8, 10, 12, 16)  # significant bits that are shown clipped, whatever the format has room for


def values_of(image: Image.Image) -> "npt.NDArray[np.float64]":
    """The samples of a frame in a deep mode: float64[height, width], finite. A TIFF's 32 bits may have no sign."""
    import numpy as np

    values = np.asarray(image).astype(np.float64)
    if image.mode == "I" and (tags := getattr(image, "tag_v2", None)) and tags.get(_FORMAT, (1,)) == (1,):
        values[values < 0] += 2.0**32
    known = np.isfinite(values)
    if not known.all():
        least, most = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
        values = np.nan_to_num(values, nan=0.0, posinf=most, neginf=least)
    return values


def scalings(values: "npt.NDArray[np.float64]", mode: str) -> Iterator[tuple[str, "npt.NDArray[np.uint8]"]]:
    """Each way to show samples, by name, as uint8 of their shape; the one that we show first, named "".

    By the format's range ("", or "range" where that is not it), from the least to the greatest ("spread"), between
    percentiles ("robust"), cut off above 8, 10, 12 or 16 bits and above 1.0 (Pillow and matplotlib do), and the low
    eight bits alone (a cast of an array keeps them).
    """
    import numpy as np

    flat = values.reshape(-1)
    limits = [(f"robust:{n}", *np.percentile(flat, cut).tolist()) for n, cut in enumerate(ROBUST)]
    least, top = _shown(mode, limits[0])
    yield "", _eight(values, least, top)
    yield "spread", _eight(values, float(flat.min()), float(flat.max()))
    for name, low, high in limits:
        yield name, _eight(values, low, high)
    for bits in BITS:
        yield f"clip:{bits}", _eight(values, 0.0, 2.0**bits - 1)
    if mode == "F":
        yield "unit", _eight(values, 0.0, 1.0)
    yield "low", np.mod(np.floor(values), 256).astype(np.uint8)


def _shown(mode: str, robust: tuple[str, float, float]) -> tuple[float, float]:
    """The scale of what we show ourselves, which one odd sample does not decide: the smallest range that holds most."""
    _, low, high = robust
    top = next((top for top in RANGES.get(mode, (SIXTEEN,)) if high <= top), None)
    return (low, high) if low < 0 or top is None else (0.0, top)


def _eight(values: "npt.NDArray[np.float64]", low: float, high: float) -> "npt.NDArray[np.uint8]":
    import numpy as np

    span = max(high - low, 1e-30)
    return np.clip((values - low) * (255.0 / span), 0, 255).astype(np.uint8)
