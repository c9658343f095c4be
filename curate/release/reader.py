"""Read a release back from its folder, every file checked against the header."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import StoreError
from curate.records import SPLITS, Manifest

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
        header: dict[str, Any] = json.loads(text)
        whole = {split: _parquet(_checked(path / name, header["files"][name])) for split, name in files().items()}
        rows = {split: _live(table, header["columns"]) for split, table in whole.items()}
        return Manifest(header["version"], path, header, rows)
    except (ValueError, KeyError) as error:
        raise StoreError(f"{path / HEADER}: not the header of a release ({type(error).__name__}: {error})") from error


def files() -> dict[str, str]:
    """The file of each split."""
    return {split: f"{split}.parquet" for split in SPLITS}


def _parquet(data: bytes) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))


def _live(table: "pa.Table", columns: list[str]) -> "pa.Table":
    """The rows that were not taken down, with the columns that every release has."""
    import pyarrow.compute as pc

    if REMOVED not in table.column_names:
        return table
    return table.filter(pc.is_null(table.column(REMOVED))).select(columns)


def _checked(path: Path, sha256: str | None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path}: not the bytes that were released (sha256 differs); restore it, or export anew")
    return data
