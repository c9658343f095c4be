"""The boxes of an ISO base media file (ISO/IEC 14496-12, 23008-12), and the items and tracks that they describe."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from curate.media.ranges.kinds import Budget

INSIDE = {b"meta": 4, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"iprp": 0, b"ipco": 0}
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class Box(NamedTuple):
    """A box at [begin, end), its content from `body` on."""

    name: bytes
    path: tuple[bytes, ...]  # the boxes around it
    begin: int
    body: int
    end: int


@dataclass
class Item:
    """A still picture, or a piece of metadata: its type, and where it lies in the file."""

    kind: bytes = b""
    extents: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Track:
    """A sequence: whose box begins at `begin`, and whose samples lie in chunks."""

    begin: int
    handler: bytes = b""
    chunks: tuple[int, ...] = ()
    runs: list[tuple[int, int]] = field(default_factory=list)  # first chunk (from 1), samples a chunk
    sizes: tuple[int, ...] = ()

    def samples(self) -> Iterator[tuple[int, int]]:
        """Where each sample lies in the file."""
        number, count, runs = 0, 0, dict(self.runs)
        for n, at in enumerate(self.chunks, start=1):
            count = runs.get(n, count)
            for size in self.sizes[number : number + count]:
                yield at, at + size
                at += size
            number += count


@dataclass
class File:
    """What the boxes say."""

    boxes: list[Box] = field(default_factory=list)
    items: dict[int, Item] = field(default_factory=dict)
    tracks: list[Track] = field(default_factory=list)
    primary: int = 0
    primary_at: tuple[int, int] = (0, 2)  # where the number of the primary item stands, and in how many bytes
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    alpha: set[int] = field(default_factory=set)  # items with a property that says so

    def shown(self, tracks: bool) -> set[int]:
        """The items that a decoder composes the picture from; none where it shows a track instead."""
        if tracks and self.tracks:
            return set()
        found = {self.primary}
        for _ in range(3):  # a grid, its mask, the tiles of both
            masks = {i for name, i, to in self.references if name == b"auxl" and set(to) & found and i in self.alpha}
            found |= masks | {tile for tile, owner in self.tiles().items() if owner in found}
        return found

    def tiles(self) -> dict[int, int]:
        """Of each item that is a tile of a grid: the grid."""
        grids = [
            (i, to) for name, i, to in self.references if name == b"dimg" and self.items.get(i, Item()).kind == b"grid"
        ]
        return {tile: grid for grid, to in grids for tile in to}


def _boxes(data: bytes, at: int, end: int, path: tuple[bytes, ...], budget: Budget) -> Iterator[Box]:
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        budget.step()
        body = at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = end if size == 0 else min(at + size, end)
        if stop < body or (not path and at and name == b"ftyp") or (not path and not name.isalnum()):
            return
        yield Box(name, path, at, body, stop)
        if name in INSIDE and len(path) < 8:
            yield from _boxes(data, body + INSIDE[name], stop, (*path, name), budget)
        at = stop


def parse(data: bytes, budget: Budget) -> File:
    """The boxes of a file, its items and tracks; raises struct.error, IndexError, ValueError where it is damaged."""
    found = File()
    places: list[tuple[int, int, list[tuple[int, int]]]] = []
    idat, auxiliary, properties = 0, set[int](), 0
    for box in _boxes(data, 0, len(data), (), budget):
        found.boxes.append(box)
        if box.path[-1:] == (b"ipco",):
            properties += 1
            if box.name == b"auxC" and data[box.body + 4 : box.end].rstrip(b"\0").split(b"\0")[0] in _ALPHA:
                auxiliary.add(properties)
        if box.name == b"trak":
            found.tracks.append(Track(box.begin))
        elif box.name == b"idat":
            idat = box.body
        elif box.name == b"iloc":
            places += _locations(data, box, budget)
        else:
            _read(data, box, found, auxiliary, budget)
    for number, method, extents in places:
        if method < 2:
            base = idat if method == 1 else 0
            found.items.setdefault(number, Item()).extents += [(base + at, base + at + size) for at, size in extents]
    return found


def _read(data: bytes, box: Box, found: File, auxiliary: set[int], budget: Budget) -> None:
    """What one box says of items and tracks."""
    body, version = box.body, data[box.body : box.body + 1] or b"\0"
    wide = version[0] > 0
    if box.name == b"pitm":
        found.primary_at = (body + 4, 4 if wide else 2)
        found.primary = int.from_bytes(data[body + 4 : body + 4 + found.primary_at[1]], "big")
    elif box.name == b"iinf":
        for one in _boxes(data, body + (8 if wide else 6), box.end, (b"iinf",), budget):
            size = 4 if data[one.body] > 2 else 2
            number = int.from_bytes(data[one.body + 4 : one.body + 4 + size], "big")
            found.items.setdefault(number, Item()).kind = data[one.body + 6 + size : one.body + 10 + size]
    elif box.name == b"iref":
        for one in _boxes(data, body + 4, box.end, (b"iref",), budget):
            form = "I" if wide else "H"
            size = struct.calcsize(form)
            (count,) = struct.unpack_from(">H", data, one.body + size)
            budget.step(count)
            numbers = struct.unpack_from(f">{form}H{count}{form}", data, one.body)
            found.references.append((one.name, numbers[0], numbers[2:]))
    elif box.name == b"ipma":
        found.alpha |= _associated(data, box, auxiliary, budget)
    elif found.tracks and box.path[:1] == (b"moov",):
        _sample_table(data, box, found.tracks[-1], budget)


def _associated(data: bytes, box: Box, wanted: set[int], budget: Budget) -> set[int]:
    """The items that have one of these properties."""
    version, flags = data[box.body], data[box.body + 3]
    (count,), at, found = struct.unpack_from(">I", data, box.body + 4), box.body + 8, set[int]()
    for _ in range(count):
        budget.step()
        form = ">I" if version else ">H"
        (number,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form) + 1
        for _ in range(data[at - 1]):
            index = int.from_bytes(data[at : at + 1 + flags % 2], "big") & (0x7FFF if flags % 2 else 0x7F)
            at += 1 + flags % 2
            if index in wanted:
                found.add(number)
    return found


def _locations(data: bytes, box: Box, budget: Budget) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Of each item: its number, whether its extents lie in the file (0), in `idat` (1) or in an item (2), and these."""
    version, at = data[box.body], box.body + 4
    sizes = [data[at] >> 4, data[at] & 15, data[at + 1] >> 4, (data[at + 1] & 15) * (version > 0)]
    at += 2

    def take(size: int) -> int:
        nonlocal at
        at += size
        if at > box.end:
            raise ValueError("beyond its box")
        return int.from_bytes(data[at - size : at], "big")

    wide = 4 if version > 1 else 2
    for _ in range(take(wide)):
        number, method = take(wide), take(2) & 15 if version else 0
        take(2)
        base, extents = take(sizes[2]), []
        for _ in range(take(2)):
            budget.step()
            take(sizes[3])
            start, size = take(sizes[0]), take(sizes[1])
            extents.append((base + start, size or len(data)))
        yield number, method, extents


def _sample_table(data: bytes, box: Box, track: Track, budget: Budget) -> None:
    body = box.body + 4

    def array(form: str, at: int, width: int = 1) -> tuple[int, ...]:
        count = int.from_bytes(data[at : at + 4], "big") * width
        budget.step(count)
        return struct.unpack_from(f">{count}{form}", data, at + 4)

    if box.name == b"hdlr":
        track.handler = data[body + 4 : body + 8]
    elif box.name in (b"stco", b"co64"):
        track.chunks = array("Q" if box.name == b"co64" else "I", body)
    elif box.name == b"stsc":
        flat = array("I", body, 3)
        track.runs = list(zip(flat[::3], flat[1::3], strict=True))
    elif box.name == b"stsz":
        fixed, count = struct.unpack_from(">II", data, body)
        budget.step(count)
        track.sizes = (fixed,) * count if fixed else array("I", body + 4)
