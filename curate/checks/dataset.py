"""What somebody's dataset says of its own files: path, label, split; from its folders, or from a list of its own."""

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.layouts.folder import UNREADABLE, class_name, inside, pictures, shown
from curate.layouts.table import rows as rows_of
from curate.net.urls import hostname
from curate.options import texts

# What folders and rows call a split, and the order in which splits are said: what is trained on first.
SPLIT_NAMES = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}
UNNAMED = "in a split that --splits does not name"
COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
    "label": ("label", "class", "category"),
    "split": ("split", "set", "subset"),
    "url": ("url",),
    "host": ("host", "domain"),
    "license": ("license", "licence"),
}


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One picture as the dataset has it. `path` is what is opened, `name` what is printed; `folder` is what the path
    says beside label and split."""

    path: str
    name: str
    label: str | None
    split: str | None
    folder: str
    url: str | None = None
    host: str | None = None
    license: str | None = None


@dataclass
class Dataset:
    """The rows, sorted by name, and what was left alone: how many of each kind, and one example of it."""

    rows: list[DatasetRow] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)
    licensed: bool = False  # whether there is a licence column at all
    listed: bool = False  # whether it came from a list
    unlisted: int = 0  # folders that could not be read: nobody knows what is in them
    root: str = ""  # the folder, links resolved

    @property
    def splits(self) -> list[str]:
        """The splits that are there, what is trained on first."""
        return sorted({row.split for row in self.rows if row.split is not None}, key=_order)

    @property
    def labels(self) -> list[str]:
        """The labels that are there, sorted."""
        return sorted({row.label for row in self.rows if row.label is not None})

    def leave(self, kind: str, name: str) -> None:
        """Count what is not looked at."""
        self.left[kind] += 1
        self.example.setdefault(kind, shown(name))


def split_names(given: str | Iterable[str]) -> list[str]:
    """Names of splits: a list of them, or one text with commas between."""
    names = given.split(",") if isinstance(given, str) else texts(given)
    return [one.strip() for one in names if one.strip()]


def read(root: Path | None, table: Path | None, splits: Sequence[str], outside: bool) -> Dataset:
    """The dataset in a folder, or the one that a CSV or Parquet list names; raises UsageError where there is none.

    `splits` names the splits (none: the usual names are looked for). Only with `outside` is read what lies outside
    the folder: through links, absolute paths, or `..`.
    """
    if table is None:
        if root is None:
            raise UsageError("check: name a folder, or a list of its files (--list FILE, list=FILE)")
        if root.is_file():
            raise UsageError(f"{root}: a file; name the folder, and a list of its files by --list (list=FILE)")
    elif not table.is_file():
        raise UsageError(f"{table}: no such file")
    where = root or (table.parent if table else Path())
    if not where.is_dir():
        raise UsageError(f"{where}: no such folder")
    found = _folder(where, splits, outside) if table is None else _list(where, table, outside)
    found.rows.sort(key=lambda row: (row.name, row.split or "", row.label or ""))
    if not found.rows:
        none = "no pictures here" if table else "no pictures here, nor in a folder below"
        raise UsageError(f"{table or where}: {none}{_left(found)}")
    if absent := [one for one in splits if one not in found.splits]:
        there = found.splits if table else sorted({*found.splits, *_folder(where, (), outside).splits}, key=_order)
        near = [f"did you mean '{shown(one[0])}'? " for name in absent if (one := get_close_matches(name, there, n=1))]
        named = ", ".join(map(shown, there)) or "no splits at all"
        raise UsageError(
            f"splits: no picture is in {', '.join(map(shown, absent))}; {''.join(near[:1])}there are {named}"
        )
    if table is not None and splits:
        strays = [row for row in found.rows if row.split not in splits]
        for row in strays:
            found.leave(UNNAMED, row.name)
        found.rows = [row for row in found.rows if row.split in splits]
    return found


def some(found: Dataset, limit: int) -> Dataset:
    """At most `limit` of the rows, the same ones every time, from everywhere."""
    if len(found.rows) <= limit:
        return found
    kept = sorted(found.rows, key=lambda row: sha256(os.fsencode(row.path)).digest())[:limit]
    names = {id(row) for row in kept}
    for row in found.rows:
        if id(row) not in names:
            found.leave("left out by --limit", row.name)
    return replace(found, rows=[row for row in found.rows if id(row) in names])


def relative(path: str, root: str) -> str:
    """A path within the folder; whole, and so absolute, where it lies outside."""
    return path.removeprefix(root.rstrip("/") + "/") if root else path


def _order(split: str) -> tuple[int, str]:
    return SPLIT_NAMES.get(split.lower(), len(SPLIT_NAMES)), split


def _left(found: Dataset) -> str:
    return "".join(f"; {n} {kind}, such as {found.example[kind]}" for kind, n in found.left.most_common(3))


# -- folders ---------------------------------------------------------------------------------------------------------


def _folder(root: Path, splits: Sequence[str], outside: bool) -> Dataset:
    """An ImageFolder: `<split>/<class>/x.jpg` or `<class>/x.jpg`; deeper folders are part of their class."""
    base = os.path.realpath(root)
    found = Dataset(root=base)
    names = list(pictures(base, outside, "--outside", found.leave))
    found.unlisted += sum(n for kind, n in found.left.items() if kind.startswith(UNREADABLE))
    usual = _split_folders(names)
    known = set(splits) or usual
    alike = _same_classes(names, known)
    known, strays = (known, (usual | alike) - known) if splits else (known | alike, set())
    for name in names:
        if name.partition("/")[0] in strays:
            found.leave(UNNAMED, shown(name))
            continue
        path = os.path.join(base, name)  # noqa: PTH118 (names may hold bytes that are no text)
        parts = name.split("/")[:-1]
        split = parts.pop(0) if parts and parts[0] in known else None
        label = parts.pop(0) if parts else None
        row = DatasetRow(
            path, shown(name), label and class_name(label), split and shown(split), "/".join(map(shown, parts))
        )
        found.rows.append(row)
    return found


def _split_folders(names: Sequence[str]) -> set[str]:
    """The first folders that are named like splits: where others stand beside them, only those with folders inside."""
    tops, bare = set(), set()
    for name in names:
        top, _, rest = name.partition("/")
        if rest:
            tops.add(top)
            bare |= set() if "/" in rest else {top}
    found = {top for top in tops if top.lower() in SPLIT_NAMES}
    return found if found == tops else found - bare


def _same_classes(names: Sequence[str], splits: Collection[str]) -> set[str]:
    """The other first folders that hold nothing but folders which splits hold, too: splits of another name. Taken for
    classes, whatever they share with a split would be under two labels."""
    inner: dict[str, set[str]] = {}
    for name in names:
        top, *rest = name.split("/")[:-1] or [""]
        inner.setdefault(top, set()).add(rest[0] if rest else "")
    classes = {one for top in splits for one in inner.get(top, ()) if one}
    return {top for top, some in inner.items() if top and top not in splits and some <= classes}


# -- lists -----------------------------------------------------------------------------------------------------------


def _list(root: Path, table: Path, outside: bool) -> Dataset:
    """The rows of a CSV, TSV or Parquet file; paths are relative to the folder."""
    base, seen = os.path.realpath(root), set[DatasetRow]()
    found = Dataset(listed=True, root=base)
    header, rows = _parquet(table) if table.suffix.lower() in (".parquet", ".pq") else _csv(table)
    columns = {ours: name for ours, theirs in COLUMNS.items() for name in theirs if name in header}
    if "path" not in columns:
        raise UsageError(
            f"{table}: no column of paths (one of {', '.join(COLUMNS['path'])}); "
            f"there are {', '.join(map(shown, header)) or 'none'}"
        )
    found.licensed = "license" in columns
    for number, values in rows:
        said = {ours: _text(values.get(name)) for ours, name in columns.items()}
        name = os.path.normpath(said["path"] or "") if said["path"] else ""
        if not name or "\0" in name:
            found.leave("rows without a path", f"row {number}")
            continue
        path = os.path.normpath(os.path.join(base, name))  # noqa: PTH118
        if not outside and not inside(path, base):
            found.leave("paths outside the folder (--outside reads them)", name)
            continue
        row = _row(path, name, said)
        if row in seen:
            found.leave("rows that say again what another says", name)
            continue
        seen.add(row)
        found.rows.append(row)
    return found


def _row(path: str, name: str, said: Mapping[str, str | None]) -> DatasetRow:
    label, split = said.get("label"), said.get("split")
    host = said.get("host") or hostname(said.get("url"))
    parents = [part for part in name.split("/")[:-1] if part not in (label, split, "..", "")]
    folder = "/".join(map(shown, parents))
    return DatasetRow(path, shown(name), label and shown(label), split and shown(split), folder, said.get("url"), host,
               said.get("license"))  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _csv(path: Path) -> tuple[list[str], Iterable[tuple[int, Mapping[str, Any]]]]:
    found = rows_of(path)
    header = [name.lower() for name in next(found, (0, []))[1]]
    return header, ((number, dict(zip(header, cells, strict=False))) for number, cells in found)


def _parquet(path: Path) -> tuple[list[str], Iterable[tuple[int, Mapping[str, Any]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        whole = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: not Parquet: {str(error)[:120]}") from error
    header = [name.strip().lower() for name in whole.column_names]
    whole = whole.rename_columns(header)
    wanted = [name for names in COLUMNS.values() for name in names if header.count(name) == 1]
    batches = whole.select(wanted).to_batches(max_chunksize=65536)
    return header, enumerate((row for batch in batches for row in batch.to_pylist()), start=1)


def regular(path: str) -> bool:
    """Whether there is an ordinary file; a pipe or a device would be waited for without end. Raises OSError."""
    return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
