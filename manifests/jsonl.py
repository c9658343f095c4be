"""A release as JSON Lines (UTF-8): an object a row, the same columns, rows and order as the Parquet files."""

import json
from dataclasses import dataclass
from pathlib import Path

from curate.records import SPLITS, Manifest


@dataclass(frozen=True)
class Jsonl:
    """`train.jsonl`, `val.jsonl`, `test.jsonl`. Null is null; `votes` and `upstream` are text, as in every format."""

    def write(self, release: Manifest, out: Path) -> None:
        """Write each split."""
        for split in SPLITS:
            with (out / f"{split}.jsonl").open("w", encoding="utf-8", newline="") as file:
                for batch in release.rows[split].to_batches(max_chunksize=10_000):
                    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
