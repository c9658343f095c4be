"""What of a file that is no picture gives its label away: host, folder, size, format (`curate.stats.shortcuts`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curate.checks.dataset import DatasetRow
from curate.checks.scan import Seen
from curate.stats.shortcuts import TOO_FEW, Asked, Shortcut, by_numbers, by_word, some

if TYPE_CHECKING:
    import numpy as np


def shortcuts(rows: Sequence[DatasetRow], looks: Sequence[Seen], groups: Sequence[int]) -> list[Shortcut]:
    """What each of host, folder, size and format says of the label of readable rows; `groups` as near as pictures."""
    kept = some([row.label for row in rows], groups)
    if not kept:
        return [Shortcut(by, why_not=TOO_FEW) for by in ("host", "folder", "size", "format")]
    asked = Asked([str(rows[n].label) for n in kept], [groups[n] for n in kept])
    return [
        by_word("host", [rows[n].host for n in kept], asked),
        by_word("folder", [rows[n].folder or None for n in kept], asked),
        by_numbers("size", _sizes([looks[n] for n in kept]), asked, _tree),
        by_word("format", [_format(rows[n], looks[n]) for n in kept], asked),
    ]


def _tree() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=8, min_samples_leaf=5, random_state=0)


def _sizes(looks: Sequence[Seen]) -> "np.ndarray":
    """Bytes, width, height, their ratio, bytes a pixel."""
    import numpy as np

    rows = [(one.size, one.width, one.height) for one in looks]
    size, width, height = np.array(rows, dtype=np.float64).T
    return np.stack([size, width, height, width / height, size / (width * height)], axis=1)


def _format(row: DatasetRow, look: Seen) -> str:
    return f"{look.media_type} .{row.name.rpartition('.')[2].lower()}"
