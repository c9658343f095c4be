"""Whether a picture was drawn or photographed, told from the statistics of its pixels."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from curate.contracts import Decoded, Needs
from curate.records import Axis

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

DRAWN, PHOTOGRAPHED = 0.75, 0.25  # votes above and below, none between
FAMILIES = ("ground", "smooth", "colours")  # scores of separate statistics, each a vote
PLAIN = 0.25  # of a border that is of one colour: from here on the picture stands on a ground of that colour
NEAR, OFF = 8, 12  # levels: still the ground's colour; surely not
BLOCK = 4  # px
LEAST = 16  # px of a side

# Logistic regressions on the statistics below (bias, then weights; balanced classes, L2 with C = 1 on standardised
# statistics), fitted once by `python -m benchmarks.drawing --fit` on the demo's pinned images and their copies (JPEG of
# quality 60, 75 and 90; half size). Made again only together with a new `version`.
MODELS: Mapping[str, tuple[float, Mapping[str, float]]] = {
    "drawing": (0.0, {"plain": 0, "equal": 0, "almost": 0, "flat_figure": 0, "soft_figure": 0, "shades": 0, "most_figure": 0}),
    "ground": (0.0, {"plain": 0, "near": 0}),
    "smooth": (0.0, {"equal": 0, "almost": 0, "flat": 0, "flat_figure": 0, "soft_figure": 0}),
    "colours": (0.0, {"shades": 0, "most_figure": 0, "entropy": 0, "eight": 0}),
}


@dataclass
class Drawing:
    """Flat colour, plain ground and few colours speak for a drawing; grain and many shades for a photograph.

    Columns, each from 0 (a photograph) to 1 (a drawing): `drawing` weighs everything; `ground` (how much of the border
    is of one colour), `smooth` (how much of the rest is flat) and `colours` (how few there are) each look at statistics
    of their own. File type and name play no part, and re-encoding or halving a picture changes little. Wrong by nature
    on photographs cut out onto a plain ground (taken for drawings) and on painted or rendered pictures with soft
    shading (taken for photographs).
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(side=256)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(("drawing", *FAMILIES), "float32")

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The four scores of each picture."""
        import numpy as np

        found = [statistics(np.asarray(one.image(self.needs.side))) for one in batch]
        return {name: np.array([score(name, one) for one in found], dtype=np.float32) for name in self.columns}


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """Three votes from separate statistics; none on an axis that does not tell drawings from photographs."""
    from snorkel.labeling import LabelingFunction

    if not {"drawings", "neutral"} <= set(axis.classes):
        return []
    drawn, photographed = axis.classes.index("drawings"), axis.classes.index("neutral")

    def vote(x: Any, column: str) -> int:
        score = getattr(x, column)
        return drawn if score >= DRAWN else photographed if score <= PHOTOGRAPHED else -1

    named = [f"drawing_{family}" for family in FAMILIES]
    return [LabelingFunction(name, vote, resources={"column": name}) for name in named if name in columns]


def statistics(pixels: "np.ndarray") -> dict[str, float]:
    """What is measured on uint8[h, w, 3]: shares from 0 to 1 (most as square roots), and logarithms of numbers of colours.

    Empty where a side is below LEAST: such a picture has too few pixels to tell.
    """
    import numpy as np

    if min(pixels.shape[:2]) < LEAST:
        return {}
    levels = pixels.astype(np.int16)
    plain, near, figure = _ground(levels)
    spread = _spread(pixels)
    blocks, whole = _blocks(levels, figure)
    own = blocks[whole] if whole.sum() > 8 else blocks.ravel()
    five, four, figures = _counts(pixels, 5), _counts(pixels, 4), _counts(pixels[figure], 5)
    return {
        "plain": plain,
        "near": math.sqrt(near),
        "equal": math.sqrt(float((spread == 0).mean())),
        "almost": math.sqrt(float(((spread > 0) & (spread <= 3)).mean())),
        "flat": math.sqrt(float((blocks < 1).mean())),
        "flat_figure": math.sqrt(float((own < 1).mean())),
        "soft_figure": float((own < 2).mean()),
        "entropy": _entropy(five),
        "eight": float(five[:8].sum() / five.sum()),
        "shades": math.log2(len(four) / math.sqrt(pixels.shape[0] * pixels.shape[1])),
        "most_figure": math.log2(1 + float((np.cumsum(figures) < 0.9 * figures.sum()).sum())),
    }


def score(name: str, found: Mapping[str, float]) -> float:
    """One column's value, NaN without statistics."""
    if not found:
        return math.nan
    bias, weights = MODELS[name]
    return 1 / (1 + math.exp(-bias - sum(weight * found[key] for key, weight in weights.items())))


def _ground(levels: "np.ndarray") -> "tuple[float, float, np.ndarray]":
    """The border's commonest colour (5 bits a channel), how much of it is that, or near it; what is not ground."""
    import numpy as np

    border = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    codes = _codes(border, 5)
    commonest = codes == np.bincount(codes).argmax()
    colour = border[commonest].mean(axis=0)
    plain, near = float(commonest.mean()), float((np.abs(border - colour).max(axis=1) <= NEAR).mean())
    figure = np.abs(levels - colour).max(axis=2) > OFF
    return plain, near, figure if plain >= PLAIN and figure.mean() >= 0.05 else np.ones_like(figure)


def _spread(pixels: "np.ndarray") -> "np.ndarray":
    """Largest less smallest value in each 3 x 3 px neighbourhood, of the channel where that is most."""
    import numpy as np

    most, least = pixels, pixels
    for _ in range(2):  # down, then across
        most = np.maximum(np.maximum(most[:-2], most[1:-1]), most[2:]).swapaxes(0, 1)
        least = np.minimum(np.minimum(least[:-2], least[1:-1]), least[2:]).swapaxes(0, 1)
    return (most - least).max(axis=2)


def _blocks(levels: "np.ndarray", figure: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Standard deviation of the luminance in each block, and which blocks have no ground in them."""
    import numpy as np

    high, wide = (side // BLOCK for side in figure.shape)
    shape, cut = (high, BLOCK, wide, BLOCK), (slice(high * BLOCK), slice(wide * BLOCK))
    grey = (levels @ np.array([0.299, 0.587, 0.114]))[cut].reshape(shape)
    return grey.std(axis=(1, 3)), figure[cut].reshape(shape).all(axis=(1, 3))


def _counts(pixels: "np.ndarray", bits: int) -> "np.ndarray":
    """How many pixels each colour has, colours told apart by their first bits; the commonest first."""
    import numpy as np

    found = np.bincount(_codes(pixels.reshape(-1, 3), bits))
    return np.sort(found[found > 0])[::-1]


def _codes(rows: "np.ndarray", bits: int) -> "np.ndarray":
    import numpy as np

    kept = (rows >> (8 - bits)).astype(np.int32)
    return kept[:, 0] << 2 * bits | kept[:, 1] << bits | kept[:, 2]


def _entropy(counts: "np.ndarray") -> float:
    import numpy as np

    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
