"""A release as folders of pictures, `<split>/<class>/<id>.<ext>`, as torchvision's ImageFolder and others read it."""

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from curate.errors import UsageError
from curate.layouts.exported import SUFFIXES, cells, class_folder, suffix, write_csv
from curate.records import SPLITS, Manifest

METADATA = "metadata.csv"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Imagefolder:
    """`train/<class>/<id>.jpg` and so on, and `metadata.csv` in each split: its rows, the first column (`file_name`)
    says where each picture lies, relative to it. Files are copies, and linked to nothing."""

    media: ClassVar[bool] = True

    def check(self, release: Manifest) -> None:
        """Raise UsageError for classes whose folders could not lie beside each other and the table on every system."""
        known = {METADATA: METADATA}
        for name in sorted({one for split in SPLITS for one in _labels(release.rows[split])}):
            key = class_folder(name).casefold()
            if (other := known.setdefault(key, name)) is not name:
                raise UsageError(
                    f"class {name!r} would lie where {other!r} does, on systems that take both names for one; give it"
                    " another one in [taxonomy], or export as webdataset"
                )

    def write(self, release: Manifest, out: Path) -> Mapping[str, str]:
        """Write each split."""
        digests = {}
        _warn_of_numbers(release)
        for split in SPLITS:
            (out / split).mkdir()
            folders = {name: out / split / class_folder(name) for name in _labels(release.rows[split])}
            for folder in folders.values():
                folder.mkdir()
            for row, data in release.pictures(split):
                path = folders[row["label"]] / f"{row['id']}.{suffix(row)}"
                path.write_bytes(data)
                digests[f"{split}/{path.parent.name}/{path.name}"] = row["exported_sha256"]
            _metadata(release.rows[split], out / split)
        return digests

    def remove(self, ids: Collection[str], release: Manifest, out: Path) -> None:
        """Delete the files of those of the ids that are gone, and write anew which rows there are."""
        for split in SPLITS:
            rows = release.rows[split]
            gone = set(ids) - set(rows.column("id").to_pylist())
            for folder in [one for one in (out / split).iterdir() if one.is_dir()]:
                for name in (f"{one}.{ending}" for one in gone for ending in SUFFIXES.values()):
                    (folder / name).unlink(missing_ok=True)
                with suppress(OSError):  # a class that has pictures left
                    folder.rmdir()
            _metadata(rows, out / split)


def _warn_of_numbers(release: Manifest) -> None:
    """Say where readers that number the folders of a split by themselves would not number those of another alike."""
    names = {split: _labels(release.rows[split]) for split in SPLITS if len(release.rows[split])}
    every = sorted({one for some in names.values() for one in some})
    for split, some in names.items():
        if lacking := [one for one in every if one not in some]:
            log.warning(
                "imagefolder: %s has no picture of %s, and torchvision's ImageFolder numbers the classes of each folder"
                " by itself: have it use the numbers of all classes (docs/releases.md)", split, ", ".join(lacking),
            )  # fmt: skip


def _labels(rows: Any) -> list[str]:
    return sorted(set(rows.column("label").to_pylist()))


def _metadata(rows: Any, out: Path) -> None:
    picked = rows.select(["label", "id", "exported_media_type"]).to_pylist()
    names = (f"{class_folder(row['label'])}/{row['id']}.{suffix(row)}" for row in picked)
    columns = ["file_name", *rows.column_names]
    write_csv(out / METADATA, columns, ((name, *row) for name, row in zip(names, cells(rows), strict=True)))
