"""What a width costs: how many decisions an interval of a wished width takes, and how many hours these take."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.label.estimate.calls import NOT_SAFE
from curate.label.estimate.draws import Drawn
from curate.options import suggest
from curate.stats.allocation import ASKS, Pilot, allocate, split, widths
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

FIGURES = (*ASKS, "false_alarm_rate")
UNSEEN = 0.5  # items, of what was not met


@dataclass(frozen=True)
class Wanted:
    """A figure of a class, and the half-width of its 95 % interval."""

    what: str
    of: str
    half_width: float

    @classmethod
    def read(cls, text: str) -> "Wanted":
        """`recall=0.02`, `recall:CLASS=0.02`; raises UsageError for anything else."""
        name, _, number = text.partition("=")
        what, _, of = name.partition(":")
        if what not in FIGURES:
            raise UsageError(f"--plan: no such figure '{what}'; {suggest(what, FIGURES)}")
        try:
            half = float(number)
        except ValueError:
            half = 0.0
        if not 0 < half < 0.5:
            raise UsageError(f"--plan {text}: say how wide, as in {name}=0.02: half an interval, above 0 and below 0.5")
        return cls(what, of or NOT_SAFE, half)

    def key(self, among: Iterable[tuple[str, str]]) -> tuple[str, str]:
        """The last of these that is of the class: a score's, where there is one."""
        found = [one for one in among if one[1] == self.of]
        if not found:
            raise UsageError(f"--plan: no such class '{self.of}'; {suggest(self.of, [one[1] for one in among])}")
        return found[-1]


def plan(
    ws: Workspace, found: Drawn, wanted: Wanted, known: tuple["np.ndarray", "np.ndarray"]
) -> dict[str, Any]:  # fmt: skip
    """The fewest decisions of a draw of its own that make the interval so narrow, if all is as in the sample.

    `known`: judged items by cell, float64[4, h], and the share of each stratum that is called.
    """
    import numpy as np

    cells, called = known
    right, wrong, missed, rest = cells
    pilot = Pilot(called, np.array([right + wrong, missed + rest]), np.array([right, missed]))
    n = decisions(found.sizes, pilot, wanted.what, wanted.half_width, found.detail.get("options", {}))
    seconds = _pace(ws, found.queue)
    return {
        "what": f"{wanted.what}:{wanted.of}", "half_width": wanted.half_width, "decisions": n,
        "hours": None if seconds is None else round(n * seconds / 3600, 3), "seconds_each": seconds,
        "rests_on": int(cells.sum()),
    }  # fmt: skip


def lasting(hours: float) -> str:
    """How long it takes, for people: minutes below two hours."""
    return f"{hours:.1f} hours" if hours >= 2 else f"{max(1, round(60 * hours))} min"


def decisions(sizes: Any, pilot: Pilot, what: str, half_width: float, options: Any) -> int:
    """By halving: widths fall with the number, but for the rounding of strata. What the sample did not meet is taken to
    be as frequent as half an item of it (Jeffreys): one miss in a large stratum costs a recall most of its width."""
    import numpy as np

    room, cells = np.array(sizes, dtype=np.float64), pilot.cells(UNSEEN)
    even, asks = options.get("even"), tuple(options.get("asks", ASKS))

    def half(n: int) -> float:
        given = split(sizes, n, pilot, asks) if even is None else allocate(sizes, n, even)
        return float(widths(room, cells, np.array(given, dtype=np.float64))[what]) / 2

    low, high = len(room), int(room.sum())
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if half(middle) <= half_width else (middle + 1, high)
    return low


def _pace(ws: Workspace, queue: str) -> float | None:
    """The median seconds of a decision, of this queue's or where it has none of all; None where nobody was timed."""
    sql = "SELECT seconds FROM in_force WHERE seconds IS NOT NULL AND (queue = ? OR ? = '')"
    for name in (queue, ""):
        if found := [row[0] for row in ws.catalog.all(sql, (name, name))]:
            return round(float(statistics.median(found)), 1)
    return None
