"""What is other in the rows of one release than in those of another, and how large a step in versions that is.

The rule is Croissant's (1.1, "Dataset versioning"): MAJOR where rows were edited, removed or moved to another split,
MINOR where rows or columns were only added, PATCH where the rows are the same. A row that was taken down is none of it:
the release before has lost it as well.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LEVELS = ("major", "minor", "patch")  # the largest step first


@dataclass(frozen=True)
class Cells:
    """One column of rows that both releases have, where it differs: ids, sorted, and the values before and after."""

    ids: Sequence[str]
    before: Sequence[Any]
    after: Sequence[Any]

    def __iter__(self) -> Iterator[tuple[str, Any, Any]]:
        return zip(self.ids, self.before, self.after, strict=True)


@dataclass(frozen=True)
class Changes:
    """From the rows of one release to those of another; tables are sorted by id.

    `removed` are rows of the first that the second lacks, `added` rows of the second that the first lacks, `edited`
    the cells that differ of rows that both have, by column. A column that only one of them has is empty in the other.
    """

    removed: "pa.Table"
    added: "pa.Table"
    edited: Mapping[str, Cells]
    columns_removed: Sequence[str]
    columns_added: Sequence[str]
    label_sources: Mapping[str, str]  # of rows that bear another label, who gave the one before

    def level(self, taken_down: Collection[str] = ()) -> str:
        """The step in versions that this asks for; `taken_down` are rows whose removal is none of it."""
        gone = set(self.removed.column("id").to_pylist()) - set(taken_down)
        if gone or self.columns_removed or self.edited.keys() - set(self.columns_added):
            return "major"
        return "minor" if self.added.num_rows or self.columns_added else "patch"

    @cached_property
    def rows_edited(self) -> int:
        """Of how many rows a cell differs, in a column that both have."""
        return len({one for name, cells in self.edited.items() if name not in self.columns_added for one in cells.ids})

    def said(self) -> str:
        """In words: `3 rows added, 1 row edited (label 1, weight 1)`; empty where nothing differs."""
        each = ", ".join(f"{name} {len(cells.ids):,}" for name, cells in sorted(self.edited.items()))
        parts = [
            _rows(self.added.num_rows, "added"),
            _rows(self.removed.num_rows, "removed"),
            _rows(self.rows_edited, f"edited ({each})"),
            f"columns added: {', '.join(self.columns_added)}" * bool(self.columns_added),
            f"columns removed: {', '.join(self.columns_removed)}" * bool(self.columns_removed),
        ]
        return ", ".join(filter(None, parts))


def _rows(n: int, what: str) -> str:
    return f"{n:,} row{'s' * (n != 1)} {what}" if n else ""


def compare(before: "Mapping[str, pa.Table]", after: "Mapping[str, pa.Table]") -> Changes:
    """What differs between the rows of two releases, given by split."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    left, right = _sorted(before), _sorted(after)
    place = pc.index_in(right.column("id"), value_set=left.column("id")).combine_chunks()
    new = place.is_null().to_numpy(zero_copy_only=False)
    at = np.flatnonzero(~new)
    matched = place.drop_null().to_numpy()
    lost = np.setdiff1d(np.arange(left.num_rows), matched)
    mine, theirs = left.take(pa.array(matched)), right.take(pa.array(at))
    names = [*left.column_names, *(name for name in right.column_names if name not in left.column_names)]
    edited = {name: cells for name in names if (cells := _cells(mine, theirs, name)).ids}
    return Changes(
        left.take(pa.array(lost)),
        right.filter(pa.array(new)),
        edited,
        [name for name in left.column_names if name not in right.column_names],
        [name for name in right.column_names if name not in left.column_names],
        _givers(mine, edited.get("label")),
    )


def _givers(rows: "pa.Table", relabelled: Cells | None) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    some = rows.filter(
        pc.is_in(rows.column("id"), value_set=pa.array(relabelled.ids if relabelled else [], pa.string()))
    )
    return dict(zip(some.column("id").to_pylist(), some.column("label_source").to_pylist(), strict=True))


def _sorted(rows: "Mapping[str, pa.Table]") -> "pa.Table":
    import pyarrow as pa

    return pa.concat_tables(rows.values()).sort_by("id")


def _cells(mine: "pa.Table", theirs: "pa.Table", name: str) -> Cells:
    import pyarrow as pa

    left, right = (
        one.column(name) if name in one.column_names else pa.chunked_array([pa.nulls(one.num_rows)])
        for one in (mine, theirs)
    )
    rows = pa.array(_differing(left, right).nonzero()[0])
    return Cells(*(column.take(rows).to_pylist() for column in (mine.column("id"), left, right)))


def _differing(left: "pa.ChunkedArray", right: "pa.ChunkedArray") -> "np.ndarray":
    """Where two columns differ: bool[n]; null is equal to null alone."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if left.type == right.type and not pa.types.is_nested(left.type) and not pa.types.is_null(left.type):
        same = pc.fill_null(pc.equal(left, right), False)
        same = pc.or_(same, pc.and_(left.is_null(), right.is_null()))
        differing: np.ndarray = ~same.to_numpy()
        return differing
    pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
    return np.fromiter((a != b for a, b in pairs), dtype=bool, count=len(left))
