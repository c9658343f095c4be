"""Whether something that is not the picture gives its label away: its host, its folder, its size, its format.

A classifier learns what is easy. Where all of one class came from one site, or all of the other has 1280 px, a model
can score well and have learnt nothing; `curate.stats.cues` says how each of these is asked.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from curate.checks.dataset import DatasetRow
from curate.checks.scan import Seen
from curate.stats.cues import WHY_NOT, Asked, Shortcut, enough

if TYPE_CHECKING:
    import numpy as np

MOST = 50_000  # rows that a model looks at, the same ones every time


def shortcuts(rows: Sequence[DatasetRow], looks: Sequence[Seen], groups: Sequence[int]) -> list[Shortcut]:
    """What each of host, folder, size and format says of the label of readable rows; `groups` as near as pictures."""
    import numpy as np

    labelled = [n for n, row in enumerate(rows) if row.label is not None]
    step = np.random.default_rng(0).permutation(len(labelled))[:MOST]
    labelled = [labelled[n] for n in sorted(step.tolist())]
    known = enough([str(rows[n].label) for n in labelled], [groups[n] for n in labelled])
    if not known:
        return [Shortcut(by, why_not=WHY_NOT) for by in ("host", "folder", "size", "format")]
    kept = [n for n in labelled if rows[n].label in known]
    asked = Asked([str(rows[n].label) for n in kept], [groups[n] for n in kept])
    return [
        asked.words("host", [rows[n].host for n in kept]),
        asked.words("folder", [rows[n].folder or None for n in kept]),
        asked.numbers("size", _sizes([looks[n] for n in kept])),
        asked.words("format", [_format(rows[n], looks[n]) for n in kept]),
    ]


def _sizes(looks: Sequence[Seen]) -> "np.ndarray":
    """Bytes, width, height, their ratio, bytes a pixel."""
    import numpy as np

    rows = [(one.size, one.width, one.height) for one in looks]
    size, width, height = np.array(rows, dtype=np.float64).T
    return np.stack([size, width, height, width / height, size / (width * height)], axis=1)


def _format(row: DatasetRow, look: Seen) -> str:
    return f"{look.media_type} .{row.name.rpartition('.')[2].lower()}"
