"""TIFF (revision 6.0, supplements, EXIF 3.0) and BigTIFF: files, and the directories inside other formats' metadata."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from PIL import Image

from curate.errors import ItemError
from curate.media.ranges.kinds import Budget, Kind, Range, cover
from curate.records import Reason

DIRECTORIES = 1024  # in one file, pages apart
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # types that offsets and counts come in
_SUB = (330, 34665, 34853, 40965)  # tags of further directories: pictures, EXIF, GPS, interoperability
_OFFSETS = (13, 18)  # types of what leads to a directory, whatever the tag
_LAYOUT = frozenset((258, 273, 277, 279, 301, 318, 319, 320, 324, 325, 330, 338, 339, 347, 529, 532, 45058))
_KINDS = {700: Kind.TEXT, 34675: Kind.PROFILE, 37510: Kind.TEXT}
_JPEG = (6, 7)
HEADER = "header of a page"  # of the file that a page was appended as: it leads to that page and to nothing else
_MAGIC = re.compile(rb"II[*+]\0|MM\0[*+]")
CODED = "JPEG strips of "  # each begins as a JPEG file does, and is a part of its picture
_PICTURE = frozenset((256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, 320, 322, 323, 338, 339, 347,
                      512, 515, 519, 520, 521, 529, 530, 531, 532))  # fmt: skip


class Entry(NamedTuple):
    """A tag's value: its type, how many numbers or letters, and where in the file it lies."""

    kind: int
    number: int
    begin: int
    end: int


@dataclass(frozen=True)
class Tiff:
    """A TIFF structure that lies at [base, end) of `data`; its offsets count from `base`.

    `shown` where a viewer turns over its chain of directories as pages.
    """

    data: bytes
    base: int
    end: int
    shown: bool

    @cached_property
    def order(self) -> str:
        """The byte order, as `struct` writes it."""
        return "<" if self.data.startswith(b"II", self.base) else ">"

    @cached_property
    def word(self) -> str:
        """What an offset is: 4 bytes, or 8 in a BigTIFF."""
        return "Q" if self.read("H", self.base + 2)[0] == 43 else "I"

    def read(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers at a place of `data`; raises struct.error where they do not lie within."""
        size = struct.calcsize(self.order + form)
        if not self.base <= at <= self.end - size:
            raise struct.error("outside")
        return struct.unpack_from(self.order + form, self.data, at)

    def _value(self, one: Entry) -> tuple[int, int, bytes]:
        return one.kind, one.number, self.data[one.begin : one.end]

    @cached_property
    def main(self) -> int:
        """Where the first directory begins."""
        return self.base + self.read(self.word, self.base + (8 if self.word == "Q" else 4))[0]

    @property
    def header(self) -> int:
        """Where the header ends."""
        return self.base + (16 if self.word == "Q" else 8)

    def directories(self, budget: Budget) -> "Iterator[Directory]":
        """Every directory once, pages first; raises ItemError where there are too many."""
        waiting, seen, others = [(self.main, self.shown)], set[int](), 0
        while waiting:
            at, page = waiting.pop()
            if page and not self.base < at < self.end:
                raise ValueError("a page lies outside")
            if at in seen or not self.base < at < self.end:
                continue
            seen.add(at)
            try:
                found, after = self._directory(at, page, budget)
            except struct.error:
                continue
            if page:
                budget.frame()
            others += not page
            if others > DIRECTORIES:
                raise ItemError(Reason.HIDDEN_DATA, f"more than {DIRECTORIES} directories")
            yield found
            leads = [tag for tag, one in found.tags.items() if tag in _SUB or one.kind in _OFFSETS]
            inner = [self.base + one for tag in leads for one in found.numbers(tag, budget) if one]
            waiting += [(one, False) for one in reversed(inner)]
            if after:
                waiting.append((self.base + after, page))

    def _directory(self, at: int, page: bool, budget: Budget) -> "tuple[Directory, int]":
        """A directory, and the offset of the next one; what of it lies outside is left out."""
        inline, big = struct.calcsize(self.order + self.word), self.word == "Q"
        (count,) = self.read("Q" if big else "H", at)
        first, size = at + (8 if big else 2), 4 + 2 * inline
        tags = dict[int, Entry]()
        for place in range(first, min(first + count * size, self.end - size + 1), size):
            budget.step()
            tag, kind = self.read("HH", place)
            (number,) = self.read(self.word, place + 4)
            length = number * _SIZES.get(kind, 1)
            value = place + 4 + inline
            begin = value if length <= inline else self.base + self.read(self.word, value)[0]
            if begin + length <= self.end:
                one = Entry(kind, number, begin, begin + length)
                if self._value(tags.setdefault(tag, one)) != self._value(one) and page and tag in _PICTURE | _LAYOUT:
                    raise ItemError(Reason.HIDDEN_DATA, f"a page that says tag {tag} twice")
        if page and {273, 324} <= tags.keys():
            raise ItemError(Reason.HIDDEN_DATA, "a page of strips and of tiles")
        last = first + count * size
        after = self.read(self.word, last)[0] if last + inline <= self.end else 0
        return Directory(self, at, min(last + inline, self.end), page, tags), after


_IMAGEJ = re.compile(rb"ImageJ=.*?^images=(\d{1,9})$", re.DOTALL | re.MULTILINE)
_SHAPED = re.compile(rb'\{"shape": ?\[(\d{1,9}(?:, ?\d{1,9}){0,7})\]')


@dataclass(frozen=True)
class Directory:
    """A directory at [at, end), and what its tags say; a page is one of the chain that a viewer turns over."""

    tiff: Tiff
    at: int
    end: int
    page: bool
    tags: dict[int, Entry]

    @property
    def name(self) -> str:
        """What its strips are called; from the base, so that it is the same wherever the structure lies."""
        return f"picture {self.at - self.tiff.base}"

    def numbers(self, tag: int, budget: Budget) -> tuple[int, ...]:
        """The whole numbers that a tag holds; none where it holds something else."""
        one = self.tags.get(tag)
        if one is None or one.kind not in _WHOLE:
            return ()
        budget.step(one.number)
        return self.tiff.read(f"{one.number}{_WHOLE[one.kind]}", one.begin)

    def one(self, tag: int, default: int, budget: Budget) -> int:
        """The first number that a tag holds."""
        return next(iter(self.numbers(tag, budget)), default)

    def strips(self, budget: Budget) -> Iterator[tuple[int, int]]:
        """Where the strips or tiles lie that the picture is made of, no further than its rows need."""
        width, height, samples = (self.one(tag, default, budget) for tag, default in ((256, 0), (257, 0), (277, 1)))
        tiled = 324 in self.tags
        across, rows = (
            (self.one(tag, 0, budget) for tag in (322, 323)) if tiled else (width, self.one(278, height, budget))
        )
        if not (width and height and across and rows):
            return
        rows = min(rows, height) if not tiled else rows
        planes = samples if self.one(284, 1, budget) == 2 else 1
        wanted = -(-width // across) * -(-height // rows) * planes
        depths = self.numbers(258, budget) or (1,)
        bits = sum(depths[:samples]) if len(depths) >= samples else depths[0] * samples
        need = rows * -(-across * (bits // planes) // 8) if self.one(259, 1, budget) == 1 else self.tiff.end
        begins = self.numbers(324 if tiled else 273, budget)
        coded = self.one(259, 1, budget)
        if self.page and coded != 6 and (len(begins) < wanted or (len(begins) > wanted and coded == 1)):
            raise ItemError(Reason.HIDDEN_DATA, f"a page of {wanted} strips or tiles that has {len(begins)}")
        sizes = self.numbers(325 if tiled else 279, budget) or (need,) * len(begins)
        for begin, size in list(zip(begins, sizes, strict=False))[:wanted]:
            yield self.tiff.base + begin, self.tiff.base + begin + min(size, need)

    def planes(self, budget: Budget) -> int:
        """How many planes lie one behind the other, where only the first has a directory (ImageJ, tifffile, STK)."""
        said = self.tags.get(270)
        text = b"" if said is None else self.tiff.data[said.begin : said.end]
        found = [self.one(32997, 1, budget), self.tags[33629].number if 33629 in self.tags else 1]
        if one := _IMAGEJ.match(text):
            found.append(int(one[1]))
        if one := _SHAPED.match(text):
            size = self.one(256, 1, budget) * self.one(257, 1, budget) * self.one(277, 1, budget)
            found.append(math.prod(map(int, one[1].split(b","))) // max(size, 1))
        return max(found)

    def claims(self, budget: Budget) -> Iterator[Range]:
        """The directory, its values, its strips."""
        yield Range(self.at, self.end, Kind.STRUCTURE)
        for tag, one in self.tags.items():
            harmless = tag in _LAYOUT or (one.end - one.begin <= 64 and one.kind not in (2, 7))
            kind = Kind.STRUCTURE if harmless else Kind.TEXT if one.kind == 2 else _KINDS.get(tag, Kind.OPAQUE)
            if not self.at <= one.begin < self.end:
                yield Range(one.begin, one.end, kind, "" if harmless else f"tag {tag}")
        name = CODED * (self.one(259, 1, budget) in _JPEG) + self.name
        for begin, end in self.strips(budget):
            yield Range(begin, end, Kind.PIXELS if self.page else Kind.PICTURE, name)

    def picture(self, budget: Budget) -> bytes | None:
        """The picture of this directory alone, as a file; None where it has none."""
        strips = list(self.strips(budget))
        if not strips:
            return None
        if self.one(259, 1, budget) == 1 and self.one(262, 2, budget) == 6:
            return self._subsampled(b"".join(self.tiff.data[a:b] for a, b in strips), budget)
        tiled = 324 in self.tags
        values = {tag: (one, self.tiff.data[one.begin : one.end]) for tag, one in self.tags.items() if tag in _PICTURE}
        return _file(
            self.tiff.order, values, [self.tiff.data[a:b] for a, b in strips], (324, 325) if tiled else (273, 279)
        )

    def _subsampled(self, coded: bytes, budget: Budget) -> bytes | None:
        """YCbCr that is not compressed: blocks of luminance, each followed by its Cb and Cr (TIFF 6.0, section 21)."""
        import numpy as np

        width, height = self.one(256, 0, budget), self.one(257, 0, budget)
        wide, high = (*self.numbers(530, budget), 2, 2)[:2]
        if wide not in (1, 2, 4) or high not in (1, 2, 4) or width * height > budget.max_pixels:
            return None
        across, down = -(-width // wide), -(-height // high)
        blocks = np.frombuffer(coded, np.uint8, min(len(coded), across * down * (wide * high + 2)))
        padded = np.zeros(across * down * (wide * high + 2), np.uint8)
        padded[: len(blocks)] = blocks
        blocks = padded.reshape(down, across, -1)
        luminance = blocks[..., :-2].reshape(down, across, high, wide).transpose(0, 2, 1, 3).reshape(down * high, -1)
        chroma = (blocks[..., -n].repeat(wide, 1).repeat(high, 0) for n in (2, 1))
        bands = [Image.fromarray(np.ascontiguousarray(one[:height, :width])) for one in (luminance, *chroma)]
        return uncompressed(width, height, Image.merge("YCbCr", bands).convert("RGB").tobytes())


def _file(order: str, values: dict[int, tuple[Entry, bytes]], strips: list[bytes], tags: tuple[int, int]) -> bytes:
    """A TIFF of one directory: these values as they are, and these strips."""
    places, at = [], 8
    for one in strips:
        places.append(at)
        at += len(one)
    fields = {tag: (one.kind, one.number, body) for tag, (one, body) in values.items()}
    for tag, numbers in zip(tags, (places, [len(one) for one in strips]), strict=True):
        fields[tag] = (4, len(numbers), struct.pack(f"{order}{len(numbers)}I", *numbers))
    start = at + at % 2
    place, entries, outside = start + 6 + 12 * len(fields), b"", b""
    for tag in sorted(fields):
        kind, count, body = fields[tag]
        entries += struct.pack(order + "HHI", tag, kind, count)
        if len(body) <= 4:
            entries += body.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", place + len(outside))
            outside += body + bytes(len(body) % 2)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    ifd = struct.pack(order + "H", len(fields)) + entries + bytes(4)
    return b"".join((head, *strips, bytes(at % 2), ifd, outside))


def uncompressed(width: int, height: int, pixels: bytes) -> bytes:
    """A TIFF of these RGB pixels, three bytes each."""
    numbers = {256: width, 257: height, 259: 1, 262: 2, 277: 3, 278: height}
    values = {tag: (Entry(4, 1, 0, 0), struct.pack("<I", number)) for tag, number in numbers.items()}
    values[258] = (Entry(3, 3, 0, 0), struct.pack("<3H", 8, 8, 8))
    return _file("<", values, [pixels], (273, 279))


def claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """Of a whole file, whose pages are shown; raises ItemError where scientific viewers find more of them in it."""
    tiff = Tiff(data, 0, len(data), True)
    found = list(tiff.directories(budget))
    pages = [one for one in found if one.page]
    if any(one.planes(budget) > len(pages) for one in pages):
        raise ItemError(Reason.HIDDEN_DATA, "more planes than pages")
    yield Range(0, tiff.header, Kind.STRUCTURE)
    for one in found:
        yield from one.claims(budget)
    if len(pages) > 1:
        yield from _headers(data, {one.at for one in pages[1:]})


def _headers(data: bytes, pages: set[int]) -> Iterator[Range]:
    """The headers that lead to later pages: some writers append each as a file, and correct the offsets in it."""
    for found in _MAGIC.finditer(data, 1):
        one = Tiff(data, found.start(), len(data), False)
        with suppress(struct.error):
            if one.main in pages:
                pages.remove(one.main)
                yield Range(one.base, one.header, Kind.STRUCTURE, HEADER)


def hidden_claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """Of a TIFF structure inside another file: no picture of it is shown."""
    yield from _claims(Tiff(data, 0, len(data), False), budget)


def inside(data: bytes, begin: int, end: int, name: str, budget: Budget) -> Iterator[Range]:
    """Every byte of [begin, end), where a TIFF structure should lie: all of it opaque where none does."""
    found = list[Range]()
    try:
        if data[begin : begin + 2] in (b"II", b"MM"):
            for one in _claims(Tiff(data, begin, min(end, len(data)), False), budget):
                found.append(one)  # kept as far as it could be followed
    except (struct.error, OverflowError, ValueError):
        pass
    yield from cover(found, begin, min(end, len(data)), Kind.OPAQUE, name)


def _claims(tiff: Tiff, budget: Budget) -> Iterator[Range]:
    yield Range(tiff.base, tiff.header, Kind.STRUCTURE)
    for one in tiff.directories(budget):
        yield from one.claims(budget)


def pictures(data: bytes, _: list[Range], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """The picture of each directory that is no page, as a file of its own."""
    yield from _pictures(Tiff(data, 0, len(data), True), budget)


def hidden_pictures(data: bytes, _: list[Range], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """The picture of each directory of a TIFF structure inside another file, as a file of its own."""
    yield from _pictures(Tiff(data, 0, len(data), False), budget)


def _pictures(tiff: Tiff, budget: Budget) -> Iterator[tuple[str, bytes]]:
    for one in tiff.directories(budget):
        made = None if one.page else one.picture(budget)
        if made is not None:
            yield CODED * (one.one(259, 1, budget) in _JPEG) + one.name, made


def has_picture(data: bytes, at: int, budget: Budget) -> bool:
    """Whether some directory of the TIFF structure that begins at `at` has one; most of EXIF has none."""
    try:
        return any(any(one.strips(budget)) for one in Tiff(data, at, len(data), False).directories(budget))
    except (struct.error, ValueError, OverflowError):
        return False
