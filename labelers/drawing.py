"""Whether a picture was drawn or photographed, told from the statistics of its pixels."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources
from curate.records import Axis
from labelers._columns import Columns, first, voter

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

DRAWN, PHOTOGRAPHED = 0.9, 0.1  # votes above and below, none between
FAMILIES = ("ground", "smooth", "colours")  # scores of separate statistics, each a vote
OF_DRAWINGS, OF_PHOTOGRAPHS = ("drawings", "hentai"), ("neutral", "porn", "sexy")  # classes of one medium alone
PLAIN = 0.25  # of a border that is of one colour: from here on the picture stands on a ground of that colour
OFF = 12  # levels from the ground's colour, from where on it is not ground
BLOCK = 4  # px
LEAST = 16  # px of a side

# Logistic regressions on the statistics below (bias, then weights; balanced classes, L2 with C = 1 on standardised
# statistics), fitted once by `python -m benchmarks.drawing --fit` on the demo's pinned images and their copies (JPEG of
# quality 60, 75 and 90; half size in quality 90). Made again only together with a new `version`.
MODELS: Mapping[str, tuple[float, Mapping[str, float]]] = {
    "drawing": (
        4.909,
        {"plain": 13.841, "almost": -9.396, "flat_figure": 8.051, "shades": 1.849, "most_figure": -1.339},
    ),
    "ground": (-4.766, {"plain": 13.942}),
    "smooth": (-3.285, {"almost": -24.518, "flat": 22.644}),
    "colours": (16.412, {"shades": 2.478, "entropy": -2.812}),
}


@dataclass
class Drawing:
    """Flat colour, plain ground and few colours speak for a drawing; grain and many shades for a photograph.

    Columns, each from 0 (a photograph) to 1 (a drawing): `drawing` weighs everything; `ground` (how much of the border
    is of one colour), `smooth` (how much is flat, and not just soft) and `colours` (how few there are) each look at
    statistics of their own. An animation of both is none of either: the three are means over its frames, and `drawing`,
    by which others tell whether they may speak of photographs, is that of the frame most like one. File type and name
    play no part, and re-encoding or halving a picture changes little.
    Wrong by nature on photographs cut out onto a plain ground (taken for drawings) and on painted or rendered pictures
    with soft shading (taken for photographs).
    """

    version: ClassVar[int] = 2
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(("drawing", *FAMILIES), "float32")
    over_frames: ClassVar[Mapping[str, str]] = {"drawing": "min"} | dict.fromkeys(FAMILIES, "mean")
    slices: ClassVar[Mapping[str, tuple[str, float, float]]] = {
        "drawn": ("drawing", DRAWN, 1), "photographed": ("drawing", 0, PHOTOGRAPHED),
    }  # fmt: skip

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The four scores of each picture."""
        import numpy as np

        found = [statistics(np.asarray(one.image(self.needs.side))) for one in batch]
        return {name: np.array([score(name, one) for one in found], dtype=np.float32) for name in self.columns}


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """Three votes from separate statistics; none on an axis that does not tell drawings from photographs.

    What was drawn is of no photograph's class, what was photographed of no drawing's: each is a vote for all the other
    classes of the axis, harmless or not.
    """
    if not {"drawings", "neutral"} <= set(axis.classes):
        return []

    def rule(c: Columns) -> "np.ndarray":
        (score,) = c.values()
        return first((score >= DRAWN, 0), (score <= PHOTOGRAPHED, 1))

    sets = tuple(tuple(name for name in axis.classes if name not in out) for out in (OF_PHOTOGRAPHS, OF_DRAWINGS))
    names = (f"drawing_{family}" for family in FAMILIES)
    return [voter(name, rule, [name], sets) for name in names if name in columns]


def statistics(pixels: "np.ndarray") -> dict[str, float]:
    """What is measured on uint8[h, w, 3]: shares (most as square roots), and numbers of colours as logarithms.

    Empty where a side is below LEAST: such a picture has too few pixels to tell.
    """
    import numpy as np

    if min(pixels.shape[:2]) < LEAST:
        return {}
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    plain, figure = _ground(planes)
    spread = _spread(planes)
    blocks, whole = _blocks(planes, figure)
    own = blocks[whole] if whole.sum() > 8 else blocks.ravel()
    five, four, figures = _counts(planes, 5), _counts(planes, 4), _counts(planes[:, figure], 5)
    return {
        "plain": plain,
        "almost": math.sqrt(float(((spread > 0) & (spread <= 3)).mean())),
        "flat": math.sqrt(float((blocks < 1).mean())),
        "flat_figure": math.sqrt(float((own < 1).mean())),
        "entropy": _entropy(five),
        "shades": math.log2(len(four) / math.sqrt(figure.size)),
        "most_figure": math.log2(1 + float((np.cumsum(figures) < 0.9 * figures.sum()).sum())),
    }


def score(name: str, found: Mapping[str, float]) -> float:
    """One column's value, NaN without statistics."""
    if not found:
        return math.nan
    bias, weights = MODELS[name]
    return 1 / (1 + math.exp(-bias - sum(weight * found[key] for key, weight in weights.items())))


def _ground(planes: "np.ndarray") -> "tuple[float, np.ndarray]":
    """How much of the border is of its commonest colour (5 bits a channel), and where the picture is not of it."""
    import numpy as np

    border = np.concatenate([planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1]], axis=1)
    codes = _codes(border, 5)
    commonest = codes == np.bincount(codes).argmax()
    colour = border[:, commonest].mean(axis=1).round().astype(np.int16)
    plain = float(commonest.mean())
    figure: np.ndarray = np.abs(planes - colour[:, None, None]).max(axis=0) > OFF
    return plain, figure if plain >= PLAIN and figure.mean() >= 0.05 else np.ones_like(figure)


def _spread(planes: "np.ndarray") -> "np.ndarray":
    """Largest less smallest value in each 3 x 3 px neighbourhood, of the channel where that is most."""
    import numpy as np

    most, least = planes, planes
    for _ in range(2):  # across, then down
        most = np.maximum(np.maximum(most[..., :-2], most[..., 1:-1]), most[..., 2:]).swapaxes(1, 2)
        least = np.minimum(np.minimum(least[..., :-2], least[..., 1:-1]), least[..., 2:]).swapaxes(1, 2)
    found: np.ndarray = (most - least).max(axis=0)
    return found


def _blocks(planes: "np.ndarray", figure: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Standard deviation of the luminance in each block, and which blocks have no ground in them."""
    import numpy as np

    high, wide = (side // BLOCK for side in figure.shape)
    shape, cut = (high, BLOCK, wide, BLOCK), (slice(high * BLOCK), slice(wide * BLOCK))
    red, green, blue = planes.astype(np.float32)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue)[cut].reshape(shape)
    return grey.std(axis=(1, 3)), np.all(figure[cut].reshape(shape), axis=(1, 3))


def _counts(planes: "np.ndarray", bits: int) -> "np.ndarray":
    """How many pixels each colour has, colours told apart by their first bits; the commonest first."""
    import numpy as np

    found = np.bincount(_codes(planes.reshape(3, -1), bits))
    return np.sort(found[found > 0])[::-1]


def _codes(planes: "np.ndarray", bits: int) -> "np.ndarray":
    import numpy as np

    red, green, blue = (planes >> (8 - bits)).astype(np.intp)
    found: np.ndarray = red << 2 * bits | green << bits | blue
    return found


def _entropy(counts: "np.ndarray") -> float:
    import numpy as np

    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
