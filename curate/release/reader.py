"""Read a release back from its folder, every file checked against the header."""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from curate.errors import StoreError
from curate.records import SPLITS, Axis, Manifest
from curate.release.rows import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa


HEADER = "release.json"
PROVENANCE = "provenance.parquet"
_MOST = 1_000_000  # rows that may be there whatever the size: those of a release that was all taken down
REMOVED = "removed"  # a redacted release's further column: the receipt, where the row was taken down


def load(path: Path, sha256: str | None = None) -> Manifest:
    """A release read from its folder, every file checked against the header, and the header against `sha256` if given.

    Raises StoreError for a file that is missing, cannot be read, or is not the one that was released.
    """
    text = _bytes(path / HEADER, sha256)
    try:
        header = checked(json.loads(text))
        whole = {split: _parquet(path / name, header["files"][name]) for split, name in files().items()}
        rows = {split: told(_by_id(_live(table, header["columns"]))) for split, table in whole.items()}
        return Manifest(header["version"], path, header, rows)
    except (ValueError, KeyError, RecursionError) as error:
        raise StoreError(f"{path / HEADER}: not the header of a release ({type(error).__name__}: {error})") from error


def checked(said: Any) -> dict[str, Any]:
    """The header, where its parts are what they are in every release; raises ValueError."""
    if not isinstance(said, dict):
        raise ValueError("no JSON object")
    json.dumps(said, ensure_ascii=False).encode()  # halves of characters are no text
    msgspec.convert(said, _Header)
    return said


class _Removed(msgspec.Struct):
    id: str


class _Header(msgspec.Struct):
    """What of a header is read, where it is there."""

    version: Annotated[str, msgspec.Meta(pattern=r"\A[0-9]+[.][0-9]+[.][0-9]+\Z")]
    files: dict[str, str] = {}
    columns: list[str] = []
    rows: dict[str, int] = {}
    functions: dict[str, dict[str, float | None]] = {}
    removed: list[_Removed] = []
    removals: str | None = None
    without_url: dict[str, dict[str, int]] = {}


def files() -> dict[str, str]:
    """The file of each split."""
    return {split: f"{split}.parquet" for split in SPLITS}


def without(rows: "pa.Table", ids: Collection[str]) -> "pa.Table":
    """The rows but for those of these ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.invert(pc.is_in(rows.column("id"), value_set=pa.array(sorted(ids), pa.string()))))


def unsafe(release: Manifest, axes: Sequence[Axis] = ()) -> list[str]:
    """The classes of a release's rows, on any axis, that its taxonomy, or today's, does not call safe; sorted."""
    found: set[str] = set()
    today = {one.name: one for one in axes}
    for n, axis in enumerate(release.header["taxonomy"]["axes"]):
        name = f"label_{axis['name']}" if n else "label"
        said = {one for rows in release.rows.values() for one in rows.column(name).unique().to_pylist()} - {None}
        found |= said - {*axis["safe"]}
        if (now := today.get(axis["name"])) is not None:
            found |= said & {*now.classes} - {*now.safe}
    return sorted(found)


def told(rows: "pa.Table") -> "pa.Table":
    """The same rows; raises ValueError where a column is empty in one that no release leaves empty."""
    for name in rows.column_names:
        if not COLUMNS.get(name, "?").endswith("?") and rows.column(name).null_count:
            raise ValueError(f"a row without {name}")
    return rows


def _parquet(path: Path, sha256: str) -> "pa.Table":
    """The rows of a file; raises StoreError for what is none, and for more rows than its bytes can tell apart."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = _bytes(path, sha256)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows > max(len(data), _MOST):
            raise StoreError(f"{path}: {file.metadata.num_rows:,} rows in {len(data):,} bytes; no release is like that")
        found: pa.Table = file.read()
        found.validate(full=True)  # text that is none, too
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    return found


def _by_id(table: "pa.Table") -> "pa.Table":
    """The rows with their ids in `id`, which the format `urls` calls by what it is to those who fetch them."""
    names = table.column_names
    return table if "id" in names else table.rename_columns(["id" if one == "sha256" else one for one in names])


def _live(table: "pa.Table", columns: list[str]) -> "pa.Table":
    """The rows that were not taken down, with the columns that every release has, as they were at first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if REMOVED not in table.column_names:
        return table
    left = table.filter(pc.is_null(table.column(REMOVED))).select(columns)
    fields = (one.with_nullable(COLUMNS.get(one.name, "?").endswith("?")) for one in left.schema)
    return left.cast(pa.schema(fields))


def _bytes(path: Path, sha256: str | None) -> bytes:
    try:
        if path.exists() and not path.is_file():  # what has no end
            raise StoreError(f"{path}: no plain file")
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path}: not the bytes that were released (sha256 differs); restore it, or export anew")
    return data
