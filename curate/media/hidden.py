"""What a file holds beside the picture that it shows: every other picture, and how much that nobody can look into.

Each byte has a range (`curate.media.ranges`). All of the file is searched for the beginnings of pictures, coded pixels
included, and so is what metadata unpack to: zlib streams, segments and blocks joined, base64, hex. What decodes is a
picture, and is handed on. What is neither picture nor pixels nor plainly text, a profile or padding is opaque.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from curate.errors import ItemError
from curate.media import polyglot
from curate.media.decode import SEVERAL, Bounds, decoding, open_image
from curate.media.disguised import disguised
from curate.media.encoded import decoded, is_text
from curate.media.marks import marks
from curate.media.ranges import INSIDE, Budget, Kind, Range, tiff, unsigned, walk
from curate.records import Reason

PREVIEWS = 16  # pictures beside the one that is shown, wherever they lie
DEPTH = 4  # text in a stream in a picture in text ...
SIZE = 256 * 2**20  # bytes of all these pictures
ATTEMPTS = 32  # of what begins as a picture does and is none
PLACES = 128  # of both, the same bytes in several places counted each time
OPAQUE = 256 * 1024  # bytes that may be opaque in any file; in a large one a quarter of it
_EOI = b"\xff\xd9"
_OTHER = re.compile(rb"\xff[\xc0-\xc2\xd8\xdb\xe0-\xef]")  # no scan of a JPEG is followed by its tables and its header
_LOSSLESS = re.compile(rb"\xff[\xc3\xcb]\0[\x0b\x0e\x11\x14]")  # a frame of a JPEG that has no smaller sizes
_WINDOW = 256 * 1024
_PROFILE = 4 * 2**20  # bytes of a profile; the largest of printers have 3 MB
_FRAMING = 64 * 1024  # bytes of headers and tables that any file may have; a large one a sixteenth of it more

_NO_PICTURE = (
    Reason.DECODE_ERROR,
    Reason.TRUNCATED,
    Reason.UNSUPPORTED_MIME,
    Reason.HTML_INSTEAD_OF_MEDIA,
    Reason.TOO_SMALL,
)


@dataclass(frozen=True, slots=True)
class Hidden:
    """`pictures`: files that `open_image` can decode, each to be looked at whole (frames, alpha) like the file itself.

    `opaque`: bytes of metadata and tail that were searched for pictures, and that nothing here understands.
    """

    pictures: tuple[bytes, ...] = ()
    opaque: int = 0


def inspect(data: bytes, kind: str, bounds: Bounds) -> Hidden:
    """All that a file of this Pillow format holds beside its picture.

    Raises ItemError: `polyglot` where it is something else as well, `hidden_data` where more is in it than is looked
    into, `too_many_frames`, `too_many_pixels` and `too_large` where its structure alone says so.
    """
    polyglot.refuse(data, kind)
    search = _Search(bounds, Budget(bounds.max_pixels, bounds.max_frames))
    opaque, owners = search.file(data, kind)
    end = next((one.begin for one in owners[0].ranges if one.kind is Kind.AFTER), len(data))
    polyglot.refuse_rest(_between(data[end:], end, owners[1:]))
    most = max(OPAQUE, len(data) // 4)
    if opaque > most:
        raise ItemError(Reason.HIDDEN_DATA, f"{opaque} bytes that nothing here can look into, {most} at most")
    return Hidden(tuple(search.pictures), opaque)


def _between(data: bytes, begin: int, owners: "list[_Owner]") -> Iterator[bytes]:
    """What of bytes that begin at `begin` of a buffer belongs to none of the pictures there."""
    at = 0
    for one in owners:
        first, last = one.begin - begin, one.end - begin
        if last > at and first < len(data):
            yield data[at : max(first, at)]
            at = last
    yield data[at:]


@dataclass(frozen=True)
class _Owner:
    """A picture at [begin, end) of a buffer: its bytes, its ranges (from 0), what of them decoded by another name."""

    begin: int
    data: bytes
    ranges: list[Range]
    looked: frozenset[str]

    @property
    def end(self) -> int:
        return self.begin + len(self.data)


@dataclass
class _Search:
    """One file's search; what it finds adds up over every depth."""

    bounds: Bounds
    budget: Budget
    pictures: list[bytes] = field(default_factory=list)
    judged: dict[bytes, bool] = field(default_factory=dict)  # what was looked at: the same bytes may lie in two streams
    places: int = 0
    attempts: int = 0
    pixels: int = 0
    size: int = 0

    def file(self, data: bytes, kind: str) -> tuple[int, list[_Owner]]:
        """The opaque bytes of a file, and its owners, itself first."""
        ranges = walk(data, kind, self.budget)
        owners = [_Owner(0, data, ranges, self._unsigned(data, kind, ranges))]
        own = {0, *(one.begin for one in ranges if _of_page(one, owners[0]))} if kind == "TIFF" else {0}
        owners += self._found(data, own)
        for one in owners:
            self._streams(one, owners, 0)
        return _opaque(owners), owners

    def _buffer(self, data: bytes, depth: int, whole: bool = True) -> None:
        """Bytes that something unpacked to, and that are no file themselves; `whole`: they may be packed again."""
        if len(data) < 32:
            return
        self.budget.unpack(len(data))
        owners = self._found(data, set())
        if depth > DEPTH and owners:
            raise ItemError(Reason.HIDDEN_DATA, f"a picture more than {DEPTH} wrappings deep")
        for one in owners:
            self._streams(one, owners, depth)
        if whole or is_text(data):
            self._texts(data, depth)
        if whole:
            self._disguised(_between(data, 0, owners), depth)

    def _streams(self, picture: _Owner, owners: list[_Owner], depth: int) -> None:
        """What the ranges of a picture hold where bytes as they lie do not say it."""
        inner = [one for one in owners if picture.begin < one.begin and one.end <= picture.end]
        for pieces in _named(picture.ranges).values():
            body = _body(pieces, picture.data)
            if len(pieces) > 1 or pieces[0].body is not None:
                self._buffer(body, depth + 1)
            else:
                self._texts(body, depth)
                begin = picture.begin + pieces[0].begin
                self._disguised(_between(body, begin, inner), depth)

    def _disguised(self, pieces: Iterable[bytes], depth: int) -> None:
        """What bytes that belong to no picture stand for, compressed or otherwise."""
        for body in pieces if depth <= DEPTH else ():
            if not is_text(body):
                found = _in_profile(body) if is_profile(body) else disguised(body, self.budget)
                for one, whole in found:
                    self._buffer(one, depth + 1, whole)

    def _texts(self, data: bytes, depth: int) -> None:
        for piece in decoded(data):
            if depth >= DEPTH:
                raise ItemError(Reason.HIDDEN_DATA, f"text that is encoded more than {DEPTH} times")
            self._buffer(piece, depth + 1)

    def _found(self, data: bytes, own: set[int]) -> list[_Owner]:
        """The pictures that begin with a signature, but for those that belong to the picture that is shown."""
        found = []
        for at, kind in marks(data, self.budget, own):
            if kind != "TIFF" or tiff.has_picture(data, at, self.budget):
                found += self._candidate(data, at, kind)
        return found

    def _candidate(self, buffer: bytes, at: int, kind: str) -> list[_Owner]:
        """The picture that begins there, if one does. EXIF is a TIFF with a picture in some directory, or none."""
        self.places += 1
        if self.places > PLACES:
            raise ItemError(Reason.HIDDEN_DATA, f"more than {PLACES} places where a picture begins")
        tiff_inside = kind == "TIFF"
        kind = INSIDE if tiff_inside else kind
        try:
            data, ranges = self._extent(buffer, at, kind)
        except ItemError as error:
            self._failed(error)
            return []
        if not tiff_inside and not self._shows(data, kind):
            return []
        looked = self._unsigned(data, kind, ranges)
        return [_Owner(at, data, ranges, looked)] if looked or not tiff_inside else []

    def _shows(self, data: bytes, kind: str) -> bool:
        """Whether a picture comes of it; of a JPEG that is cut, what lenient decoders make of it, up to another one."""
        if kind != "JPEG" or self._take(data + _EOI):
            return kind == "JPEG" or self._take(data)
        scan = data.find(b"\xff\xda")
        other = _OTHER.search(data, scan) if scan >= 0 else None
        if other is None:
            return False
        self.attempts -= 1  # one broken picture, tried twice
        return self._take(data[: other.start()] + _EOI)

    def _extent(self, buffer: bytes, at: int, kind: str) -> tuple[bytes, list[Range]]:
        """The bytes of what begins there, to its own end, and their ranges; most end within the first window."""
        size = _WINDOW
        while True:
            data = buffer[at : at + size]
            ranges = walk(data, kind, self.budget)
            if ranges[-1].kind is Kind.AFTER or at + size >= len(buffer):
                ranges = [one for one in ranges if one.kind is not Kind.AFTER]
                return data[: ranges[-1].end], ranges
            size *= 16

    def _unsigned(self, data: bytes, kind: str, ranges: list[Range]) -> frozenset[str]:
        """Names of the ranges whose pictures, which begin with no signature, could be looked at."""
        made = unsigned(data, kind, ranges, self.budget)
        return frozenset(name for name, picture in made if self._take(picture))

    def _take(self, data: bytes) -> bool:
        """Whether this is a picture; raises ItemError where it is one too many, or too large to look at."""
        if data in self.judged:
            return self.judged[data]
        self.judged[data] = False
        try:
            image = open_image(data, Bounds(self.bounds.max_pixels, 1, self.bounds.max_frames))
            self.pixels += image.width * image.height
            if self.pixels > SEVERAL * self.bounds.max_pixels:
                raise ItemError(Reason.TOO_MANY_PIXELS, "in pictures beside the one that is shown")
            with decoding():
                if image.format != "JPEG" or not _LOSSLESS.search(data):
                    image.draft("L", (1, 1))  # whether it decodes is seen at an eighth of a JPEG's size as well
                image.load()
        except ItemError as error:
            self._failed(error)
            return False
        if len(self.pictures) == PREVIEWS:
            raise ItemError(Reason.HIDDEN_DATA, f"more than {PREVIEWS} pictures beside the one that is shown")
        self.size += len(data)
        if self.size > SIZE:
            raise ItemError(Reason.HIDDEN_DATA, f"pictures of more than {SIZE} bytes beside the one that is shown")
        self.judged[data] = True
        self.pictures.append(data)
        return True

    def _failed(self, error: ItemError) -> None:
        """Count what looked like a picture and is none; raises what says that there is too much to look at."""
        if error.reason not in _NO_PICTURE:
            raise error
        self.attempts += 1
        if self.attempts > ATTEMPTS:
            raise ItemError(Reason.HIDDEN_DATA, f"more than {ATTEMPTS} broken pictures") from error


@lru_cache(maxsize=64)
def _in_profile(body: bytes) -> tuple[tuple[bytes, bool], ...]:
    """What a profile stands for, where a picture begins in it: few profiles are in many files."""
    budget = Budget(0, 0)  # it has no frames
    return tuple(one for one in disguised(body, budget) if any(marks(one[0], budget)))


def _of_page(one: Range, owner: _Owner) -> bool:
    """Whether what begins like a picture of its own belongs to a page: its header, or its coded samples."""
    return one.name == tiff.HEADER or (one.name.startswith(tiff.CODED) and _looked(one, owner))


def _looked(one: Range, owner: _Owner) -> bool:
    """Whether coded samples are of the picture that is shown, or of one that was handed on."""
    return one.kind is Kind.PIXELS or one.name in owner.looked


def _named(ranges: list[Range]) -> dict[str, list[Range]]:
    """The ranges of each stream that is neither pixels nor structure; "gap" and "after" lie apart and are none."""
    found: dict[str, list[Range]] = {}
    for number, one in enumerate(ranges):
        if one.body is not None or one.kind not in (Kind.PIXELS, Kind.STRUCTURE, Kind.PICTURE):
            apart = one.name.endswith(("gap", "after"))
            found.setdefault(f"{one.name} {number}" if apart else one.name, []).append(one)
    return found


def _body(pieces: list[Range], data: bytes) -> bytes:
    if pieces[0].name == "extended XMP":  # each says at which offset it belongs
        pieces = sorted(pieces, key=lambda one: data[one.begin - 4 : one.begin])
    return b"".join(data[one.begin : one.end] if one.body is None else one.body for one in pieces)


def _opaque(owners: list[_Owner]) -> int:
    """Bytes that are opaque in the innermost of the pictures that they lie in."""
    spans = [(one, list(_opaque_spans(one))) for one in owners]
    if len(owners) == 1:
        return sum(end - begin for begin, end in spans[0][1])
    paint = bytearray(len(owners[0].data))
    for owner, inside in spans:
        paint[owner.begin : owner.end] = bytes(len(owner.data))
        for begin, end in inside:
            paint[owner.begin + begin : owner.begin + end] = b"\1" * (end - begin)
    return paint.count(1)


def _opaque_spans(owner: _Owner) -> Iterator[tuple[int, int]]:
    framing = _FRAMING + len(owner.data) // 16
    for one in owner.ranges:
        size = one.end - one.begin
        if one.kind is Kind.STRUCTURE:
            framing -= size
            if framing < 0:
                yield one.begin, one.end
        elif one.kind is Kind.PICTURE and not _looked(one, owner):
            yield one.begin, one.end
    for pieces in _named(owner.ranges).values():
        if not _harmless(_body(pieces, owner.data)):
            yield from ((one.begin, one.end) for one in pieces if not _harmless(_body([one], owner.data)))


def _harmless(body: bytes) -> bool:
    """Whether bytes are padding, text or an ICC profile, by what they are and not by what they are called."""
    return not body.strip(polyglot.PADDING) or is_text(body) or is_profile(body)


def is_profile(body: bytes) -> bool:
    """Whether this is an ICC profile as long as it says, and no longer than any is, every tag of which lies within."""
    if body[36:40] != b"acsp" or int.from_bytes(body[:4], "big") != len(body) or len(body) > _PROFILE:
        return False
    count = int.from_bytes(body[128:132], "big")
    tags = [body[at : at + 12] for at in range(132, min(132 + 12 * count, len(body)), 12)]
    ends = (int.from_bytes(one[4:8], "big") + int.from_bytes(one[8:12], "big") for one in tags)
    return len(tags) == count and all(end <= len(body) for end in ends)
