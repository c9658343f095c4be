"""A release as tar archives for WebDataset: `<split>-000000.tar`, each sample's files one after another."""

import hashlib
import json
import tarfile
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from curate.records import SPLITS, Manifest

PICTURE = "jpg"  # whatever it is: readers take one name for all (`datasets` refuses several), and look inside
LABEL = "label.txt"  # no .cls: readers (WebDataset, Hugging Face `datasets`) take that for a number, or fail
_BLOCK, _RECORD = 512, 10_240  # bytes; what a tar archive and what its end is a multiple of
_KEY = 64  # digits of an id
_SIZE, _SUM = slice(124, 136), slice(148, 156)  # fields of a header


@dataclass(frozen=True)
class Webdataset:
    """A sample is `<id>.jpg` (whatever its format is), `<id>.label.txt` (its label) and `<id>.json` (its row).

    Samples are in order of id, in shards of about `shard` bytes. Names and headers are the same wherever they are made.
    """

    media: ClassVar[bool] = True
    shard: int = 256 * 2**20

    def write(self, release: Manifest, out: Path) -> Mapping[str, str]:
        """Write each split."""
        digests: dict[str, str] = {}
        for split in SPLITS:
            with _Shards(out, split, self.shard) as shards:
                for row, data in release.pictures(split):
                    shards.add(_members(row, data))
            digests |= shards.digests
        return digests

    def remove(self, ids: Collection[str], release: Manifest, out: Path) -> None:
        """Write those shards anew that hold one of the ids, with the pictures that stay in them. Raises ValueError for
        a shard that is not what was written."""
        for split in SPLITS:
            rows = release.rows[split]
            known = rows.column("id").to_pylist()
            places = [n for n, one in enumerate(known) if one in ids]
            changed = {row["id"]: row for n in places for row in rows.slice(n, 1).to_pylist()}
            for shard, begin, end in _ranges(sorted(out.glob(f"{split}-*.tar"))):
                if any(begin <= one < end for one in ids):
                    _rewrite(shard, changed, known[bisect_left(known, begin) : bisect_left(known, end)])


# -- writing ---------------------------------------------------------------------------------------------------------


def _members(row: Mapping[str, Any], data: bytes) -> list[bytes]:
    """The files of a sample as a tar archive has them, each with its header."""
    files = {PICTURE: data, LABEL: row["label"].encode(), "json": _said(row)}
    return [part for kind, body in files.items() for part in _member(f"{row['id']}.{kind}", body)]


def _said(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, sort_keys=True, ensure_ascii=False).encode()


def _member(name: str, body: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(body), 0o644
    yield info.tobuf(tarfile.USTAR_FORMAT)
    yield body
    yield bytes(-len(body) % _BLOCK)


class _Shards:
    """The archives of a split, one after another."""

    def __init__(self, out: Path, split: str, size: int) -> None:
        self._out, self._split, self._most = out, split, size
        self._file: BinaryIO | None = None
        self.digests: dict[str, str] = {}
        self._size = 0

    def add(self, parts: list[bytes]) -> None:
        """Add a sample; to a new archive where the present one is full."""
        size = sum(map(len, parts))
        if self._file is None or (self._size and self._size + size > self._most):
            self._end()
            self._name = f"{self._split}-{len(self.digests):06d}.tar"
            self._file, self._size, self._sha256 = (self._out / self._name).open("wb"), 0, hashlib.sha256()
        for part in parts:
            self._file.write(part)
            self._sha256.update(part)
        self._size += size

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(self, *_: object) -> None:
        """End the last one."""
        self._end()

    def _end(self) -> None:
        if self._file is not None:
            with self._file as file:
                end = _end_of(self._size)
                file.write(end)
            self._sha256.update(end)
            self.digests[self._name] = self._sha256.hexdigest()


def _end_of(size: int) -> bytes:
    """What ends an archive: two empty blocks, and more up to a whole record."""
    return bytes(2 * _BLOCK + -(size + 2 * _BLOCK) % _RECORD)


# -- taking out ------------------------------------------------------------------------------------------------------


def _ranges(shards: list[Path]) -> Iterator[tuple[Path, str, str]]:
    """Each of a split's shards with the ids between which its samples lie: the first, and the next shard's first."""
    firsts = []
    for shard in shards:
        with shard.open("rb") as file:
            firsts.append(tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict").name[:_KEY])
    if firsts != sorted(set(firsts)):
        raise ValueError("the shards are not in order")
    yield from zip(shards, firsts, [*firsts[1:], "g"], strict=False)


def _each(archive: mmap) -> Iterator[tuple[str, int, int]]:
    """The files of an archive of ours, a hundred thousand in a second: each name, where its header begins, and where
    the next one does. Raises ValueError for a header that is not what was written."""
    at = 0
    while at < len(archive) and archive[at]:
        header = archive[at : at + _BLOCK]
        said = int(header[_SUM].rstrip(b"\0 "), 8)
        if len(header) != _BLOCK or sum(header) - sum(header[_SUM]) + len(header[_SUM]) * ord(" ") != said:
            raise ValueError(f"the header at {at} is not what was written")
        size = int(header[_SIZE].rstrip(b"\0 "), 8)
        begin, at = at, at + _BLOCK + size + -size % _BLOCK
        yield header[: header.index(0)].decode(), begin, at


def _rewrite(shard: Path, rows: Mapping[str, Mapping[str, Any]], ids: list[str]) -> None:
    """The shard with these samples of it alone, and with these rows; deleted where none is left."""
    part, size, kept = shard.with_name(f".{shard.name}"), 0, dict[str, None]()
    stay = set(ids)
    with shard.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as old, part.open("wb") as new:
        for name, begin, end in _each(old):
            key, _, kind = name.partition(".")
            if key not in stay:
                continue
            kept[key] = None
            anew = kind == "json" and key in rows
            size += sum(map(new.write, _member(name, _said(rows[key])) if anew else (old[begin:end],)))
        new.write(_end_of(size))
    if list(kept) != ids:
        raise ValueError(f"{shard.name} does not hold what was written")
    if ids:
        part.replace(shard)
    else:
        part.unlink()
        shard.unlink()
