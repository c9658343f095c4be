"""A release as it lies in the workspace: Parquet files, and the header that names their hashes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from curate.records import SPLITS, Manifest


@dataclass(frozen=True)
class Parquet:
    """`release.json`, `train.parquet`, `val.parquet`, `test.parquet`: copies, so `curate` and others can check them."""

    def write(self, release: Manifest, out: Path) -> None:
        """Copy the header and the rows."""
        for name in ("release.json", *(f"{split}.parquet" for split in SPLITS)):
            shutil.copyfile(release.path / name, out / name)
