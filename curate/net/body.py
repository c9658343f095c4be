"""Reading an answer's body inside limits: bytes are counted after decoding, time against a least rate."""

import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import aiohttp

from curate.errors import ItemError
from curate.records import Reason

PIECE = 2**20  # decoded at once at most
MEMBERS = 64  # concatenated gzip members that an honest server may send
PLAIN = frozenset(
    {"", "identity", "none", "binary", "8bit", "utf-8", "utf8", "aws-chunked"}
)  # said of bodies sent as they are
BOMB_RATIO = 100  # an encoded body that outgrows the cap by more than this is meant to


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly an answer may come: less than `min_rate` bytes a second after `grace` seconds is too slow.

    `brake` is the reader's own: given a number of bytes it waits, and says how many seconds.
    """

    min_rate: float
    grace: float
    brake: Callable[[int], Awaitable[float]] | None = None

    def check(self, received: int, seconds: float) -> None:
        """Raise ItemError(too_slow) where `received` bytes took too many seconds."""
        if seconds > self.grace + received / self.min_rate:
            raise ItemError(Reason.TOO_SLOW, f"{received} bytes in {seconds:.0f} s")


class Inflate:
    """Undoes `Content-Encoding: gzip` or `deflate`, a bounded piece at a time."""

    def __init__(self, encoding: str) -> None:
        self.consumed = 0
        self._deflate = encoding == "deflate"
        self._members = 0
        self._stream: zlib._Decompress | None = None

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Decoded bytes, at most PIECE each; raises ItemError: bomb, encoding_denied (not what the header says)."""
        full = False
        while chunk or full:
            stream = self._stream or self._next(chunk)
            if stream is None:
                return
            try:
                piece = stream.decompress(chunk, PIECE)
            except zlib.error as error:
                raise ItemError(Reason.ENCODING_DENIED, "not encoded as its header says") from error
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
            self.consumed += len(chunk) - len(rest)
            yield piece
            chunk = rest
            full = len(piece) == PIECE and not stream.eof  # zlib may hold output back with all input taken
            if stream.eof:
                self._stream = None

    def finish(self) -> None:
        """Raise ItemError(truncated) where the encoded stream did not come to its end."""
        if self._stream is not None:
            raise ItemError(Reason.TRUNCATED, "the encoded stream has no end")

    def _next(self, chunk: bytes) -> "zlib._Decompress | None":
        if self._members and (self._deflate or chunk[0] != 0x1F):
            return None  # padding after the last member
        self._members += 1
        if self._members > MEMBERS:
            raise ItemError(Reason.BOMB, f"more than {MEMBERS} gzip members")
        raw = self._deflate and chunk[0] & 0x0F != 8  # many servers send deflate without its zlib header
        self._stream = zlib.decompressobj(-15 if raw else 15 if self._deflate else 31)
        return self._stream


async def read(answer: aiohttp.ClientResponse, cap: int, pace: Pace, cut: bool = False) -> bytes:
    """The whole body, decoded; raises ItemError: too_large, bomb, encoding_denied, truncated, too_slow.

    With `cut`, a body that goes beyond `cap` ends there. What aiohttp raises passes through, for the border to name.
    """
    declared = answer.content_length
    if declared is not None and declared > cap and not cut:
        raise ItemError(Reason.TOO_LARGE, f"{declared} bytes declared, {cap} allowed")
    inflate, stream = _decoding(answer), answer.content
    pieces: list[bytes] = []
    size, started = 0, time.monotonic()
    while chunk := await stream.readany():
        for piece in inflate.pieces(chunk) if inflate else (chunk,):
            pieces.append(piece)
            size += len(piece)
            if size > cap and cut:
                return b"".join(pieces)[:cap]
            if size > cap:
                raise _outgrown(size, inflate.consumed if inflate else size, cap)
        if pace.brake:
            started += await pace.brake(len(chunk))
        pace.check(stream.total_bytes, time.monotonic() - started)
    if inflate:
        inflate.finish()
    return b"".join(pieces)


async def beginning(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """What comes first of a body, at most `most` bytes, decoded where it can be."""
    chunk = (await answer.content.readany())[:most]
    try:
        inflate = _decoding(answer)
        return next(inflate.pieces(chunk), b"")[:most] if inflate else chunk
    except ItemError:
        return chunk


def _outgrown(size: int, encoded: int, cap: int) -> ItemError:
    if size > BOMB_RATIO * encoded:
        return ItemError(Reason.BOMB, f"{encoded} bytes decode to {size}")
    return ItemError(Reason.TOO_LARGE, f"more than {cap} bytes")


def _decoding(answer: aiohttp.ClientResponse) -> Inflate | None:
    """How to undo the body's encoding; raises ItemError(encoding_denied) for all but gzip and deflate, once."""
    transfer = answer.headers.get("Transfer-Encoding", "chunked").strip().lower()
    said = ",".join(answer.headers.getall("Content-Encoding", ())).lower().split(",")
    encodings = [one.strip() for one in said if one.strip() not in PLAIN]
    if transfer not in ("chunked", "identity") or encodings not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
        raise ItemError(Reason.ENCODING_DENIED, (", ".join(encodings) or transfer)[:40])
    return Inflate(encodings[0]) if encodings else None
