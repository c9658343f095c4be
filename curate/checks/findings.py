"""What `curate.check` found, for Python and notebooks."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.checks.lists import PairRow, paths
from curate.checks.run import Checked
from curate.checks.terminal import lines
from curate.progress import Progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Findings:
    """Pairs as DataFrames (path_a, path_b, group, kind, bits, splits, labels), each pair in one of them: a leak, else a
    conflict, else a duplicate; which files stay and which go; `facts` as `curate check --json` has them.

    docs/dedupe.md says how many pairs of a large group are listed, and by which rule files stay.
    """

    checked: Checked

    @property
    def facts(self) -> Mapping[str, Any]:
        """Counts, verdicts, shortcuts."""
        return self.checked.facts

    @property
    def leak(self) -> bool:
        """Whether a picture and its near-duplicate are in two splits."""
        return self.checked.leak

    @property
    def leaks(self) -> "pd.DataFrame":
        """Pairs in two splits."""
        return self._frame("leaks")

    @property
    def conflicts(self) -> "pd.DataFrame":
        """Pairs of different labels."""
        return self._frame("conflicts")

    @property
    def duplicates(self) -> "pd.DataFrame":
        """All other pairs that look alike."""
        return self._frame("duplicates")

    @property
    def unreadable(self) -> "pd.DataFrame":
        """Files that could not be read, with the reason."""
        return self._frame("unreadable")

    @property
    def placeholders(self) -> "pd.DataFrame":
        """Pictures that stand for another, or hold too little to compare."""
        return self._frame("placeholders")

    @property
    def keep(self) -> list[str]:
        """Paths that may stay: none is near to another."""
        return paths(self.checked)[0]

    @property
    def remove(self) -> list[str]:
        """Paths that should go."""
        return paths(self.checked)[1]

    def write(self, folder: str | Path, null: bool = False) -> dict[str, int]:
        """Write every list into a new folder, as `curate check --out` does, and say how long each is.

        `null`: keep.txt and remove.txt as bytes, each path ended by a NUL. Raises UsageError where something is there.
        """
        from curate.checks import clean

        return clean.write_out(self._new(folder), self.checked, null)

    def fix(self, folder: str | Path) -> int:
        """Copy what stays into a new folder, as `curate check --fix` does, and say how many files; whole or not at all.

        Raises UsageError where something is there, CurateError where a file is not what was looked at any more.
        """
        from curate.checks import clean

        return clean.copy_clean(self._new(folder), self.checked, Progress(quiet=True))

    def _new(self, folder: str | Path) -> Path:
        from curate.checks import clean

        return clean.new_folder("folder", Path(folder), Path(self.checked.dataset.root))

    def _frame(self, kind: str) -> "pd.DataFrame":
        import pandas as pd

        rows = list(self.checked.pairs(kind))
        found = pd.DataFrame(rows, columns=list(PairRow._fields), dtype=object)
        return found.assign(**{name: _column(found[name], name in ("group", "bits")) for name in PairRow._fields})

    def __repr__(self) -> str:
        return "\n".join(lines(self.facts))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def _column(values: "pd.Series", number: bool) -> "pd.Series":
    """int64, float64 where one has none, or pandas' text, by Python where a name is no UTF-8; also of no rows."""
    import numpy as np
    import pandas as pd

    found: pd.Series
    if number:
        found = pd.to_numeric(values).astype(np.float64 if values.isna().any() else np.int64)
        return found
    try:
        found = values.astype("str")
    except UnicodeEncodeError:
        found = values.astype(pd.StringDtype("python", na_value=np.nan))
    return found
