"""AVIF (1.1): items and tracks, and which of them a decoder shows."""

from collections.abc import Iterator

from curate.media.ranges import tiff
from curate.media.ranges.boxes import INSIDE, Box, Item, Track, parse
from curate.media.ranges.kinds import Budget, Kind, Range

_STRUCTURE = frozenset(
    b"ftyp hdlr pitm iloc iinf iref ipma ispe pixi av1C auxC auxi irot imir clap pasp clli mdcv cclv amve a1op a1lx "
    b"lsel rloc dinf edts tref mvhd tkhd mdhd vmhd nmhd sthd stsd stts stsc stsz stco co64 stss ctts sdtp grpl "
    b"ccst".split()
)
_CODED = (b"av01", b"grid", b"iovl", b"iden", b"tmap")


def claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """Boxes, and of the media data what an item's extent or a track's sample covers."""
    parsed = parse(data, budget)
    sequence = data[8:12] == b"avis"
    shown, tiles = parsed.shown(sequence), parsed.tiles()
    for box in parsed.boxes:
        yield from _box(data, box, budget)
    for n, track in enumerate(parsed.tracks):
        kind = Kind.PIXELS if sequence and n in (0, _mask(parsed.tracks)) else Kind.PICTURE
        for begin, end in track.samples():
            budget.step()
            yield Range(begin, end, kind, f"track {n}")
    for number, item in parsed.items.items():
        kind = Kind.PIXELS if number in shown else Kind.PICTURE if item.kind in _CODED else Kind.OPAQUE
        for begin, end in item.extents:
            yield from _extent(data, (begin, end), item, (kind, f"item {tiles.get(number, number)}"), budget)


def _extent(data: bytes, span: tuple[int, int], item: Item, usual: tuple[Kind, str], budget: Budget) -> Iterator[Range]:
    begin, end = span
    if item.kind == b"Exif":
        skip = 4 + int.from_bytes(data[begin : begin + 4], "big")
        yield Range(begin, min(begin + skip, end), Kind.STRUCTURE)
        yield from tiff.inside(data, begin + skip, end, "EXIF ", budget)
    else:
        kind, name = usual
        yield Range(begin, end, Kind.TEXT if item.kind == b"mime" else kind, name)


def _mask(tracks: list[Track]) -> int:
    return next((n for n, one in enumerate(tracks) if one.handler == b"auxv"), -1)


def _box(data: bytes, box: Box, budget: Budget) -> Iterator[Range]:
    if box.name in INSIDE or box.name in (b"mdat", b"idat"):
        yield Range(box.begin, box.body, Kind.STRUCTURE)
    elif box.name in _STRUCTURE:
        yield Range(box.begin, box.end, Kind.STRUCTURE)
    elif box.name == b"colr":
        yield Range(box.begin, box.body + 4, Kind.STRUCTURE)
        profile = data[box.body : box.body + 4] in (b"prof", b"rICC")
        yield Range(box.body + 4, box.end, Kind.PROFILE if profile else Kind.STRUCTURE, f"profile {box.begin}")
    else:
        yield Range(box.begin, box.body, Kind.STRUCTURE)
        body = budget.inflate(data[box.body : box.end]) or None
        yield Range(box.body, box.end, Kind.OPAQUE, f"box {box.name.decode('latin-1')}", body)


def pictures(data: bytes, _: list[Range], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Every coded item and track that is not shown, each as a copy of the file that shows it instead."""
    parsed = parse(data, budget)
    sequence = data[8:12] == b"avis"
    shown = {
        one
        for n, track in enumerate(parsed.tracks)
        if sequence and n in (0, _mask(parsed.tracks))
        for one in track.samples()
    }
    same = {number for number, item in parsed.items.items() if shown.issuperset(item.extents)}  # a sequence's still
    others = parsed.items.keys() - parsed.shown(sequence) - parsed.tiles().keys() - same
    at, size = parsed.primary_at
    still = data[:8] + b"avif" + data[12:]
    for number in sorted(others):
        if parsed.items[number].kind in _CODED and at and number < 256**size:
            yield f"item {number}", still[:at] + number.to_bytes(size, "big") + still[at + size :]
    for n in range(len(parsed.tracks)):
        if not sequence or n not in (0, _mask(parsed.tracks)):
            moving = bytearray(data[:8] + b"avis" + data[12:])
            for track in parsed.tracks[:n] + parsed.tracks[n + 1 :]:
                moving[track.begin + 4 : track.begin + 8] = b"free"
            yield f"track {n}", bytes(moving)
