"""How many of a random sample each stratum gets, so that no figure asked for is worse off than without strata."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.stats.stratified import Counts, interval

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
UNLABELLED, CONTRADICTED = "unlabelled", "contradicted"
# 1 / (1 - EVEN) <= 1.1 ** 2: whatever the score is worth, no interval is more than 10 % wider than without it.
EVEN = 0.17
STEPS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1 - EVEN, 0.9, 1.0)  # shares that go by size, tried with a pilot
LEANING = 2.0  # as many judged items as a stratum's rate leans to that of all
ASKS = ("prevalence", "precision", "recall")


def parts(unsafe: Floats, contradicted: npt.NDArray[np.bool_], strata: int) -> Iterator[tuple[str, Rows]]:
    """Each stratum that is not empty, with its rows: equal ranges of `unsafe` float64[n] (NaN: no label), then what is
    contradicted, then what else has no label."""
    place = np.minimum(np.nan_to_num(unsafe, nan=2.0) * strata, strata - 1).astype(int)
    for n in range(strata):
        if len(rows := np.flatnonzero((place == n) & ~np.isnan(unsafe))):
            yield f"{n / strata:.2f}-{(n + 1) / strata:.2f}", rows
    for name, among in ((CONTRADICTED, contradicted), (UNLABELLED, ~contradicted)):
        if len(rows := np.flatnonzero(np.isnan(unsafe) & among)):
            yield name, rows


def allocate(sizes: Sequence[int], total: int, even: float, leaning: Sequence[float] | None = None) -> list[int]:
    """How many of `total` each stratum gets: at least one where there are enough, never more than it has.

    A share of `even` goes by `leaning` (float >= 0 a stratum; evenly where there is none), the rest by size. Largest
    remainders (Hamilton); what a full stratum cannot take goes to the others.
    """
    room = np.array(sizes, dtype=np.int64)
    lean = np.ones(len(room)) if leaning is None or not sum(leaning) else np.array(leaning, dtype=np.float64)
    total = min(total, int(room.sum()))
    given = np.zeros(len(room), dtype=np.int64)
    if total >= len(room):
        given += 1
    while (left := total - int(given.sum())) > 0:
        free = np.flatnonzero(given < room)
        some = lean[free] if lean[free].sum() > 0 else np.ones(len(free))
        weights = even * some / some.sum() + (1 - even) * room[free] / room[free].sum()
        wanted = left * weights / weights.sum()
        more = np.minimum(np.floor(wanted).astype(np.int64), room[free] - given[free])
        if not more.any():
            more[np.argsort(-(wanted - np.floor(wanted)), kind="stable")[:left]] = 1
        given[free] += more
    found: list[int] = given.tolist()
    return found


@dataclass(frozen=True)
class Pilot:
    """What an earlier sample says of the strata: the share of each that is called not safe, float64[h], and of what is
    called so and what is not how many were judged, and how many of these are not safe, float64[2, h]."""

    called: Floats
    judged: Floats
    positive: Floats

    def rates(self) -> Floats:
        """float64[2, h], how often it is not safe; where little was judged, about as often as in all strata."""
        whole = (self.positive.sum(axis=1) + 0.5) / (self.judged.sum(axis=1) + 1)
        found: Floats = (self.positive + LEANING * whole[:, None]) / (self.judged + LEANING)
        return found

    def cells(self, least: float = 0.0) -> Floats:
        """float64[4, h], the shares that are called rightly, called wrongly, missed, and rightly not called. `least`:
        of what a stratum's judged items are, none is taken to be rarer than so many of them and one more."""
        edge = np.where(self.judged > 0, least / (self.judged + 1), 0.0)
        (right, missed), called = np.clip(self.rates(), edge, 1 - edge), self.called
        return np.array([called * right, called * (1 - right), (1 - called) * missed, (1 - called) * (1 - missed)])


def split(sizes: Sequence[int], total: int, pilot: Pilot, asks: Sequence[str]) -> list[int]:
    """What makes the intervals of the figures in `asks` narrowest by the pilot, and none of ASKS wider than without
    strata; as without a pilot where there is no such thing.

    Neyman's allocation for all that is asked together, mixed with one by size: the latter bounds what a pilot that is
    wrong can spoil, and keeps many in the large stratum of low scores (Hesterberg 1995 of such mixtures).
    """
    cells, room = pilot.cells(), np.array(sizes, dtype=np.float64)
    plain = widths(np.array([room.sum()]), (cells * room).sum(axis=1, keepdims=True) / room.sum(), np.array([total]))
    lean = _neyman(room, cells, asks)
    tried = [allocate(sizes, total, 1 - step, lean) for step in STEPS]
    found = widths(room, cells, np.array(tried))
    ratios = {name: found[name] / np.maximum(plain[name], 1e-12) for name in ASKS}
    score = np.sum([np.log(np.maximum(ratios[name], 1e-12)) for name in asks], axis=0)
    score[np.max(list(ratios.values()), axis=0) > 1] = np.inf
    return tried[int(score.argmin())] if np.isfinite(score).any() else allocate(sizes, total, EVEN)


def figures(cells: Floats) -> Mapping[str, tuple[Floats, Floats]]:
    """The two classes whose share each figure is, from `cells` float64[4, ..., h], as `Pilot.cells` orders them."""
    right, wrong, missed, rest = cells
    return {
        "prevalence": (right + missed, wrong + rest),
        "precision": (right, wrong),
        "recall": (right, missed),
        "false_alarm_rate": (wrong, rest),
    }


def widths(sizes: Floats, cells: Floats, given: Floats) -> dict[str, Floats]:
    """How wide each interval becomes, float64[...], where strata of these shares get `given` decisions, [..., h]."""
    found = {}
    for name, (a, b) in figures(cells).items():
        counts = Counts(sizes, given, given * a, given * b, a > 0, b > 0)
        low, high = interval(counts, counts)
        found[name] = high - low
    return found


def _neyman(sizes: Floats, cells: Floats, asks: Sequence[str]) -> list[float]:
    """In proportion to size and to the root of what a stratum adds to the variances, each against its own whole."""
    found = np.zeros(len(sizes))
    for name in asks:
        a, b = figures(cells)[name]
        whole = (sizes * (a + b)).sum()
        r = (sizes * a).sum() / whole if whole else 0.0
        spread = np.maximum((1 - r) ** 2 * a + r**2 * b - ((1 - r) * a - r * b) ** 2, 0)
        found += spread / max((sizes**2 * spread).sum(), 1e-300)
    lean: list[float] = (sizes * np.sqrt(found)).tolist()
    return lean
