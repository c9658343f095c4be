"""What several formats share: columns that an older release may lack, Parquet and JSON without a clock in them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEADER = "release.json"


def column(table: Any, name: str) -> Any:
    """A column of a release's rows; nulls where the release was made before it had that column."""
    import pyarrow as pa

    return table.column(name) if name in table.column_names else pa.chunked_array([pa.nulls(len(table), pa.string())])


def upstream(table: Any) -> list[dict[str, Any]]:
    """Who each row's item is where it came from, as its source said it; empty where that cannot be read."""
    return [_object(text) if text else {} for text in column(table, "upstream").to_pylist()]


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def parquet(table: Any, path: Path) -> str:
    """Write a table without a clock or a machine in it; the file's sha256."""
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=65536, store_schema=False)
    return sha256(path)


def sha256(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def document(value: Mapping[str, Any], path: Path) -> None:
    """Write one JSON object, its keys sorted, as `release.json` is written."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
