"""Pictures that everybody has and that harm nobody, made by arithmetic: blank pages, gradients, stripes, placeholders.

An entry of a list that is like one of them will match again and again, and finds nothing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from curate.screening.index import Bytes

SIDE = 128  # px


def hashes() -> "tuple[list[str], Bytes]":
    """The pictures' names, and their PDQ in eight orientations: uint8[n, 8, 32], whatever its quality."""
    import numpy as np
    from PIL import Image

    from curate.media import pdq

    named = [(name, pdq.compute(Image.fromarray(_levels(one)).convert("RGB"))) for name, one in pictures()]
    return [name for name, _ in named], np.stack([one.array for _, one in named])


def pictures() -> "Iterator[tuple[str, np.ndarray]]":
    """Every picture: float[128, 128] from 0 (black) to 1 (white), each also as its negative."""
    for name, one in _pictures():
        yield name, one
        yield f"{name}, negative", 1 - one


def _pictures() -> "Iterator[tuple[str, np.ndarray]]":
    import numpy as np

    down, across = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    far, blank = np.hypot(down - 0.5, across - 0.5), np.zeros((SIDE, SIDE))
    yield "a blank page", blank
    yield "a gradient", down
    yield "a gradient from a corner", (down + across) / 2
    yield "a gradient to the middle", 1 - abs(2 * down - 1)
    yield "a light in the middle", np.clip(1 - 2 * far, 0, 1)
    yield "a light in a corner", np.clip(1 - np.hypot(down, across), 0, 1)
    yield "two halves", (down > 0.5) * 1.0
    yield "two triangles", (down > across) * 1.0
    yield "four quarters", ((down > 0.5) ^ (across > 0.5)) * 1.0
    for bar in (0.1, 0.25):
        yield f"a page with bars, {bar:g}", ((down > bar) & (down < 1 - bar)) * 1.0
        yield f"a frame, {bar:g}", (np.maximum(abs(down - 0.5), abs(across - 0.5)) < 0.5 - bar) * 1.0
    for size in (0.15, 0.3, 0.45):
        yield f"a disc, {size:g}", (far < size) * 1.0
        yield f"a ring, {size:g}", (abs(far - size) < 0.04) * 1.0
    yield "a cross", (np.minimum(abs(down - 0.5), abs(across - 0.5)) < 0.05) * 1.0
    yield (
        "a crossed box",
        ((abs(down - across) < 0.03) | (abs(down + across - 1) < 0.03) | (_edge(down, across) < 0.04)) * 1.0,
    )
    yield "a placeholder", _placeholder(down, across)
    yield "a page of text", _page(down, across)
    for count in (2, 4, 8, 16, 32):
        stripe, other = (np.floor(axis * count * 0.999) % 2 for axis in (down, across))
        yield f"{count} stripes", stripe
        yield f"{count} slanting stripes", np.floor((down + across) / 2 * count * 0.999) % 2
        yield f"a board of {count} x {count}", np.abs(stripe - other)
        yield f"a grid of {count} x {count}", np.maximum((down * count) % 1 < 0.1, (across * count) % 1 < 0.1) * 1.0
        yield f"{count} rings", np.floor(far * 2 * count) % 2


def _edge(down: "np.ndarray", across: "np.ndarray") -> "np.ndarray":
    """How far each place is from the picture's edge."""
    import numpy as np

    nearest: np.ndarray = np.minimum(np.minimum(down, 1 - down), np.minimum(across, 1 - across))
    return nearest


def _placeholder(down: "np.ndarray", across: "np.ndarray") -> "np.ndarray":
    """A sun over two mountains in a frame: what stands where a picture is missing."""
    import numpy as np

    frame = (_edge(down, across) > 0.12) & (_edge(down, across) < 0.16)
    sun = np.hypot(down - 0.35, across - 0.33) < 0.07
    mountains = (down > 0.4 + abs(across - 0.62)) | (down > 0.55 + abs(across - 0.35))
    shown: np.ndarray = frame | sun | (mountains & (down < 0.8) & (_edge(down, across) > 0.16))
    return shown.astype(float)


def _page(down: "np.ndarray", across: "np.ndarray") -> "np.ndarray":
    """Lines of words, which end raggedly."""
    import numpy as np

    line = np.floor(down * 24)
    inked = ((down * 24) % 1 < 0.5) & (line > 1) & (line < 22)
    words = (across * 40 + line * 7) % 7 < 5.5
    ink: np.ndarray = inked & words & (across > 0.1) & (across < 0.75 + 0.15 * ((line * 5) % 7) / 7)
    return 1 - ink.astype(float)


def _levels(picture: "np.ndarray") -> "np.ndarray":
    import numpy as np

    levels: np.ndarray = np.round(picture * 255).astype(np.uint8)
    return levels
