"""An exported folder in the hand, without the workspace that made it: its rows, and its pictures by id."""

import csv
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from curate.errors import StoreError
from curate.layouts.exported import HEADER, SUFFIXES
from curate.layouts.table import unguarded
from curate.records import SPLITS, Manifest
from curate.release.reader import checked, told
from curate.release.rows import COLUMNS

_MORE = {"exported_sha256": "string", "exported_media_type": "string"}
_TARS = "*.tar"
READ = ("imagefolder", "webdataset")
_PICTURES = frozenset(SUFFIXES.values())


@dataclass(frozen=True)
class Part:
    """Where the bytes of a picture lie: a file, or a part of one."""

    path: Path
    begin: int = 0
    size: int | None = None


@dataclass(frozen=True)
class Folder:
    """The pictures of an exported folder, by id. Its tables name files, and may be a stranger's."""

    root: Path
    places: Mapping[str, Part]
    digests: Mapping[str, str]

    def open(self, sample: str) -> BinaryIO:
        """The bytes of one; raises StoreError where they are not there, lie outside of the folder, or are not those
        that were exported."""
        part = self.places.get(sample)
        if part is None:
            raise StoreError(f"{sample}: no picture of it is in this folder")
        if not part.path.resolve().is_relative_to(self.root.resolve()):
            raise StoreError(f"{sample}: {part.path} leads out of this folder")
        try:
            with part.path.open("rb") as file:
                file.seek(part.begin)
                data = file.read(-1 if part.size is None else part.size)
        except OSError as error:
            raise StoreError(f"{part.path}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.digests.get(sample):
            raise StoreError(f"{part.path}: the picture {sample} in it is not what was exported (sha256 differs)")
        return io.BytesIO(data)


def is_exported(path: Path) -> bool:
    """Whether a folder is one that pictures were exported to."""
    return (path / HEADER).is_file()


def read(path: Path) -> tuple[Manifest, Folder]:
    """The rows of an exported folder of pictures, and its pictures; raises StoreError where it cannot be read."""
    try:
        header = checked(json.loads((path / HEADER).read_bytes()))
        if (form := header.get("format", READ[0])) not in READ:
            raise StoreError(f"{path}: exported as {form}, which this does not read; it reads {', '.join(READ)}")
        if any(path.glob(_TARS)):
            rows, places = _tars(path)
        else:
            rows, places = _folders(path)
        tables = {split: told(_table(rows[split])) for split in SPLITS}
        digests = {row["id"]: row["exported_sha256"] for each in rows.values() for row in each}
        return Manifest(header["version"], path, header, tables), Folder(path, places, digests)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error, tarfile.TarError) as error:
        raise StoreError(f"{path}: not what was exported ({type(error).__name__}: {error})") from error


Rows = dict[str, list[dict[str, Any]]]


def _folders(path: Path) -> tuple[Rows, dict[str, Part]]:
    rows, places = dict[str, list[dict[str, Any]]](), dict[str, Part]()
    for split in SPLITS:
        with (path / split / "metadata.csv").open(encoding="utf-8", newline="") as file:
            rows[split] = [_typed(row) for row in csv.DictReader(file)]
        places |= {row["id"]: Part(path / split / row.pop("file_name")) for row in rows[split]}
    return rows, places


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    return {name: _value(_kind(name), cell) for name, cell in row.items()}


def _value(kind: str, cell: str) -> object:
    if not cell:
        return None
    return float(cell) if kind.startswith("float") else int(cell) if kind.startswith("int") else unguarded(cell)


def _kind(name: str) -> str:
    return (COLUMNS | _MORE).get(name, "string?")  # a further axis


def _tars(path: Path) -> tuple[Rows, dict[str, Part]]:
    rows: Rows = {split: [] for split in SPLITS}
    places: dict[str, Part] = {}
    for split in SPLITS:
        for shard in sorted(path.glob(f"{split}-{_TARS}")):
            with tarfile.open(shard, "r:") as archive:
                for info in archive:
                    key, _, kind = info.name.partition(".")
                    if kind == "json" and (file := archive.extractfile(info)) is not None:
                        rows[split].append(json.loads(file.read()))
                    elif kind in _PICTURES and info.isreg():
                        places[key] = Part(shard, info.offset_data, info.size)
    return rows, places


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    names = list(rows[0]) if rows else [*COLUMNS, *_MORE]
    if lacking := [name for name, kind in COLUMNS.items() if name not in names and not kind.endswith("?")]:
        raise ValueError(f"no column {lacking[0]}")
    fields = [pa.field(name, pa.type_for_alias(_kind(name).rstrip("?"))) for name in names]
    return pa.Table.from_pylist(rows, pa.schema(fields))
