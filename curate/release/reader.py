"""Read a release back from its folder, every file checked against the header."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import StoreError
from curate.records import SPLITS, Manifest
from curate.release.rows import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa


HEADER = "release.json"
PROVENANCE = "provenance.parquet"
REMOVED = "removed"  # a redacted release's further column: the receipt, where the row was taken down


def load(path: Path, sha256: str | None = None) -> Manifest:
    """A release read from its folder, every file checked against the header, and the header against `sha256` if given.

    Raises StoreError for a file that is missing, cannot be read, or is not the one that was released.
    """
    text = _checked(path / HEADER, sha256)
    try:
        header = _header(json.loads(text))
        whole = {split: _parquet(_checked(path / name, header["files"][name])) for split, name in files().items()}
        rows = {split: _live(table, header["columns"]) for split, table in whole.items()}
        return Manifest(header["version"], path, header, rows)
    except (ValueError, KeyError, RecursionError) as error:
        raise StoreError(f"{path / HEADER}: not the header of a release ({type(error).__name__}: {error})") from error


def _header(said: Any) -> dict[str, Any]:
    """The header, where its parts are what they are in every release; raises ValueError."""
    if not isinstance(said, dict):
        raise ValueError("no JSON object")
    kinds = {"version": str, "files": dict, "columns": list, "rows": dict, "functions": dict, "removed": list}
    for name, kind in kinds.items():
        if name in said and not isinstance(said[name], kind):
            raise ValueError(f"{name} is no {kind.__name__}")
    inner = {"functions": (dict, said.get("functions", {}).values()), "removed": (dict, said.get("removed", ()))}
    for name, (kind, parts) in inner.items():
        if not all(isinstance(one, kind) for one in parts):
            raise ValueError(f"{name} has parts that are no {kind.__name__}")
    return said


def files() -> dict[str, str]:
    """The file of each split."""
    return {split: f"{split}.parquet" for split in SPLITS}


def without(rows: "pa.Table", ids: Collection[str]) -> "pa.Table":
    """The rows but for those of these ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.invert(pc.is_in(rows.column("id"), value_set=pa.array(sorted(ids), pa.string()))))


def _parquet(data: bytes) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))


def _live(table: "pa.Table", columns: list[str]) -> "pa.Table":
    """The rows that were not taken down, with the columns that every release has, as they were at first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if REMOVED not in table.column_names:
        return table
    left = table.filter(pc.is_null(table.column(REMOVED))).select(columns)
    fields = (one.with_nullable(COLUMNS.get(one.name, "?").endswith("?")) for one in left.schema)
    return left.cast(pa.schema(fields))


def _checked(path: Path, sha256: str | None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path}: not the bytes that were released (sha256 differs); restore it, or export anew")
    return data
