"""From a decoded picture to the numbers that a network takes, as its recipe (`preprocessing.json`) says."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

CORNERS = "bilinear, corners aligned"  # of TensorFlow's resize, which Pillow has not
DEFAULTS: Mapping[str, Any] = {
    "center_crop": None,
    "crop": None,
    "jpeg": None,
    "channels": "RGB",
    "range": [0, 255],
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "layout": "NCHW",
}


def shape(recipe: Mapping[str, Any]) -> tuple[int, int, int]:
    """The shape of one picture as `pixels` gives it."""
    said = {**DEFAULTS, **recipe}
    height, width = said["crop"] or said["size"]
    return (3, height, width) if said["layout"] == "NCHW" else (height, width, 3)


def pixels(image: Image.Image, recipe: Mapping[str, Any]) -> "Floats":
    """An RGB picture as float32 of `shape(recipe)`.

    In this order: the middle `center_crop` of the shorter side as a square (None: the whole), resized to `size`
    (height, width) by `interpolation`; the middle `crop` of that (height, width); written and read as a JPEG of quality
    `jpeg`; in the order of `channels`; 0..255 mapped to `range`; less `mean`, divided by `std`, a number a channel.
    """
    import numpy as np

    said = {**DEFAULTS, **recipe}
    values = _resized(image, said)
    if said["crop"]:
        height, width = said["crop"]
        top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
        values = values[top : top + height, left : left + width]
    if said["jpeg"]:
        values = _reencoded(values, said["jpeg"])
    low, high = said["range"]
    less, share = (np.broadcast_to(np.float32(said[name]), 3) for name in ("mean", "std"))
    found = np.empty(shape(recipe), np.float32)
    planes = found if said["layout"] == "NCHW" else found.transpose(2, 0, 1)
    given = values.transpose(2, 0, 1)[:: -1 if said["channels"] == "BGR" else 1]
    for n, plane in enumerate(planes):  # one after another: numpy is slow along an axis of three
        plane[:] = given[n]
        if (low, high) != (0, 255):
            plane *= np.float32((high - low) / 255)
            plane += np.float32(low)
        plane -= less[n]
        if share[n] != 1:
            plane /= share[n]
    return found


def _resized(image: Image.Image, said: Mapping[str, Any]) -> "np.ndarray":
    """uint8[height, width, 3], or float32 where Pillow has no such interpolation."""
    import numpy as np

    height, width = said["size"]
    box = (0.0, 0.0, float(image.width), float(image.height))
    if said["center_crop"]:
        edge = min(image.size) * said["center_crop"]
        left, top = (image.width - edge) / 2, (image.height - edge) / 2
        box = (left, top, left + edge, top + edge)
    if said["interpolation"] == CORNERS:
        return _aligned(_aligned(np.asarray(image, np.float32), height, 0), width, 1)
    method = Image.Resampling[said["interpolation"].upper()]
    return np.asarray(image.resize((width, height), method, box=box))


def _aligned(values: "Floats", size: int, axis: int) -> "Floats":
    """Linear interpolation of an axis to `size`, its first and last value staying where they are."""
    import numpy as np

    length = values.shape[axis]
    at = np.arange(size, dtype=np.float64) * (length - 1) / max(1, size - 1)
    before = np.floor(at).astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    part = (at - before).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    return np.asarray(values.take(before, axis) * (1 - part) + values.take(after, axis) * part, np.float32)


def _reencoded(values: "np.ndarray", quality: int) -> "np.ndarray":
    import numpy as np

    with io.BytesIO() as file:
        Image.fromarray(values.astype(np.uint8)).save(file, "JPEG", quality=quality)
        file.seek(0)
        return np.asarray(Image.open(file, formats=("JPEG",)))
