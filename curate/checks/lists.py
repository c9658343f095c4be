"""What `curate check` lists: pairs that are alike, a row each, and which files stay. Written as CSV and as plain text.

A later table is made of the same rows: `pandas.DataFrame(done.pairs("leaks"))` has their names as its columns.
"""

import csv
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.checks.dataset import relative
from curate.errors import UsageError, plain

if TYPE_CHECKING:
    from curate.checks.run import Checked

PAIRS = ("leaks", "conflicts", "duplicates")  # each pair is in the first of these that it is
KINDS = (*PAIRS, "unreadable", "placeholders")
IN_JSON = 10_000  # pairs of each kind
STRETCH = 1 << 16  # pairs that are unpacked at once
FILES = "files.csv"  # the clean list of a dataset that came from one


class PairRow(NamedTuple):
    """Two rows of a dataset that are alike, or (`path_b` empty, `bits` None) one file and what is wrong with it.

    Paths are those within the folder as they are on disk, `os.fsdecode`d; absolute where they lie outside. `group`
    numbers the groups, 1 being the largest. `kind`: by which measure they are alike, or why a file is listed. `splits`
    and `labels`: those of a, a "|", those of b; nothing stands for none.
    """

    path_a: str
    path_b: str
    group: int | None
    kind: str
    bits: int | None
    splits: str
    labels: str


def pair_rows(done: "Checked", kind: str) -> Iterator[PairRow]:
    """The rows of one of KINDS; pairs by group, the closest first. Raises UsageError for another kind."""
    if kind not in KINDS:
        raise UsageError(f"{kind}: no such list; there are {', '.join(KINDS)}")
    if kind in PAIRS:
        yield from _pairs(done, PAIRS.index(kind))
    elif kind == "unreadable":
        seen = (done.looks[row.path].reason for row in done.rows)
        yield from (_single(done, place, str(reason)) for place, reason in enumerate(seen) if reason is not None)
    else:
        yield from (_single(done, place, kind) for kind, place in sorted(done.placeholders))


def stays(done: "Checked") -> Iterator[int]:
    """The places of the rows that stay."""
    from curate.checks.duplicates import STAYS

    yield from (done.fate == STAYS).nonzero()[0].tolist()


def paths(done: "Checked") -> tuple[list[str], list[str]]:
    """The files of which a row stays, and the others: within the folder, each once."""
    kept = {done.rows[place].path for place in stays(done)}
    every = dict.fromkeys(row.path for row in done.rows)
    root = done.dataset.root
    return [relative(one, root) for one in every if one in kept], [
        relative(one, root) for one in every if one not in kept
    ]


def in_json(done: "Checked") -> dict[str, Any]:
    """The pairs as `--json` has them, and how many near pairs it has not."""
    found: dict[str, Any] = {kind: [row._asdict() for row in islice(done.pairs(kind), IN_JSON)] for kind in PAIRS}
    cut = sum(max(0, len(done.listed.of(n)) - IN_JSON) for n in range(len(PAIRS)))
    return found | {"left_out": done.listed.left_out + cut}


def write_lists(folder: Path, done: "Checked", null: bool) -> dict[str, int]:
    """Write every list into a folder, and say how long each is. `null`: paths as bytes, each ended by a NUL."""
    counts = {f"{kind}.csv": _write_csv(folder / f"{kind}.csv", PairRow._fields, done.pairs(kind)) for kind in KINDS}
    for name, some in zip(("keep.txt", "remove.txt"), paths(done), strict=True):
        with (folder / name).open("wb") as file:
            file.writelines(os.fsencode(one) + b"\0" if null else f"{escaped(one)}\n".encode() for one in some)
        counts[name] = len(some)
    if done.dataset.listed:
        counts[FILES] = write_clean_list(folder / FILES, done)
    return counts


def escaped(path: str) -> str:
    """A path as one line: backslashes doubled, and what cannot be printed as Python escapes it."""
    return plain(path.replace("\\", "\\\\"))


def write_clean_list(path: Path, done: "Checked") -> int:
    """Write the rows that stay of a dataset that came from a list, in the columns that `check` reads."""
    root, rows = done.dataset.root, [done.rows[place] for place in stays(done)]
    optional = [name for name in ("url", "host", "license") if any(getattr(row, name) for row in rows)]
    columns = ["label", "split", *optional]
    made = ((relative(row.path, root), *(getattr(row, name) for name in columns)) for row in rows)
    return _write_csv(path, ("path", *columns), made)


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> int:
    """Names stand in it as they are, bytes that are no UTF-8 included."""
    written = 0
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            written += 1
    return written


def _pairs(done: "Checked", which: int) -> Iterator[PairRow]:
    from curate.checks.duplicates import measured
    from curate.checks.pairs import ALONE

    packed = done.listed.of(which)
    for start in range(0, len(packed), STRETCH):
        for left, right, group, step, _ in packed[start : start + STRETCH].tolist():
            if right == ALONE:
                yield _single(done, left, "its group is too wide to compare it with all", group)
                continue
            a, b = done.rows[left], done.rows[right]
            kind, bits, _ = measured(step)
            splits, labels = f"{a.split or ''}|{b.split or ''}", f"{a.label or ''}|{b.label or ''}"
            yield PairRow(_path(done, left), _path(done, right), group, kind, bits, splits, labels)


def _single(done: "Checked", place: int, kind: str, group: int | None = None) -> PairRow:
    row = done.rows[place]
    return PairRow(_path(done, place), "", group, kind, None, row.split or "", row.label or "")


def _path(done: "Checked", place: int) -> str:
    return relative(done.rows[place].path, done.dataset.root)
