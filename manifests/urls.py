"""A release without its pictures: where each one is, and how to tell that it is the one. For who fetches them anew."""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.records import SPLITS, Manifest
from manifests._files import HEADER, column, document, parquet, upstream

log = logging.getLogger(__name__)
SAME = ("label", "label_source", "split", "group", "width", "height", "license", "license_url", "attribution",
        "page_url")  # fmt: skip
UPSTREAM = {"upstream_system": "system", "upstream_id": "page_id", "upstream_revision": "timestamp",
            "upstream_sha1": "sha1"}  # fmt: skip


@dataclass(frozen=True)
class Urls:
    """`train.parquet`, `val.parquet`, `test.parquet`, `release.json` with their sha256: what `curate hydrate` reads.

    A row a picture that has a URL: `url`, `sha256` of its bytes, label, split, group, size, licence, attribution, the
    page that shows it, and who it is upstream. No bytes, no perceptual hash. img2dataset takes the folder as it is:
    `--input_format parquet --url_col url`, and `--verify_hash '["sha256", "sha256"]'`.
    """

    def write(self, release: Manifest, out: Path) -> None:
        """Write each split; the header counts the rows that have no URL (files of this machine), which are left out."""
        header = dict(release.header) | {"format": "urls", "files": {}, "without_url": {}}
        for split in SPLITS:
            every = release.rows[split]
            table = _rows(every)
            header["without_url"][split] = _without(every)
            header["files"][f"{split}.parquet"] = parquet(table, out / f"{split}.parquet")
            header["columns"] = table.column_names
        document(header, out / HEADER)
        if bare := sum(sum(one.values()) for one in header["without_url"].values()):
            every = sum(release.rows[split].num_rows for split in SPLITS)
            log.warning(
                "urls: %d of %d rows have no URL (files of this machine): nobody can fetch these anew", bare, every
            )


def _without(table: Any) -> dict[str, int]:
    """How many rows of each class have no URL."""
    import pyarrow.compute as pc

    bare = table.filter(pc.is_null(table.column("url"))).column("label").to_pylist()
    return {str(label): n for label, n in sorted(Counter(bare).items(), key=str)}


def _rows(table: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = table.filter(pc.is_valid(table.column("url")))
    columns = {"url": table.column("url"), "sha256": table.column("id")}
    axes = [name for name in table.column_names if name.startswith("label_") and name != "label_source"]
    columns |= {name: column(table, name) for name in (*SAME, *axes)}
    known = upstream(table)
    for name, key in UPSTREAM.items():
        values = (one.get(key) for one in known)
        columns[name] = pa.array([None if one is None else str(one) for one in values], pa.string())
    return pa.table(columns)
