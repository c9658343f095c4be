"""The colour profile that a viewer applies to a picture, as ICC: the one it carries, or one made of numbers beside it.

Sources: ICC.1:2001-04 (the profile written here), PNG (Third Edition) 4.3 and 11.3.2 (which chunk wins), ITU-T H.273
(code points of cICP and nclx), BITMAPV5HEADER.
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image

from curate.media.ranges import Budget, jpeg
from curate.media.salvage import chunks, whole

if TYPE_CHECKING:
    import numpy as np

MOST = 16 * 2**20  # bytes of a profile; one that is larger, or says so, is no profile
_ICC = b"ICC_PROFILE\0"  # begins a piece of a JPEG's
_SRGB = ((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_PRIMARIES = {  # H.273: white, red, green, blue as x, y
    1: _SRGB,
    4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: ((0.3127, 0.3290), (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.3127, 0.3290), (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: ((0.3127, 0.3290), (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: ((0.310, 0.316), (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: ((0.3127, 0.3290), (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: ((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_PQ, _HLG = 16, 18
_SCREEN = ((0, 235, 454, 567, 835, 1000), (0, 0.565, 0.776, 0.847, 0.956, 1))  # nits to linear light, as measured
_STEPS = 1024

Points = tuple[tuple[float, float], ...]


def profiles_of(data: bytes, image: Image.Image) -> tuple[bytes, ...]:
    """The ICC profiles of an opened image that one viewer or another applies, first what the format says is to be.

    Empty where there is none, it is sRGB, or it is larger than a profile can be.
    """
    try:
        found = _READERS.get(image.format or "", _carried)(data, image)
        return tuple(dict.fromkeys(one for one in found if one and 128 < len(one) <= MOST))
    except struct.error:  # it ends early: nobody applies it
        return ()


def _carried(data: bytes, image: Image.Image) -> Iterable[bytes | None]:
    found = image.info.get("icc_profile")
    return [found] if isinstance(found, bytes) else []


def _jpeg(data: bytes, image: Image.Image) -> Iterable[bytes | None]:
    """In pieces, each of which says its number. Browsers take those behind the frame's header as well, and of two with
    one number the first; others the last; others whatever comes as it comes.
    """
    pieces = [
        (data[one.begin + 16], data[one.begin + 18 : one.end])
        for one in jpeg.segments(data, Budget(0, 0))
        if one.marker == 0xE2 and data.startswith(_ICC, one.begin + 4) and min(one.end, len(data)) - one.begin > 18
    ]
    numbered = (dict(reversed(pieces)), dict(pieces))
    joined = [b"".join(body for _, body in sorted(one.items())) for one in numbered]
    return [*_carried(data, image), *joined, b"".join(body for _, body in pieces)]


def _png(data: bytes, image: Image.Image) -> Iterable[bytes | None]:
    """cICP before iCCP before gAMA and cHRM, as not every viewer knows each, and these not beside sRGB.

    Of each the first, ahead of the pixels, undamaged.
    """
    said: dict[bytes, bytes] = {}
    for chunk in chunks(data):
        if chunk[0] == b"IDAT":
            break
        if chunk[0] in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM") and whole(data, chunk):
            said.setdefault(chunk[0], data[chunk[1] + 8 : chunk[2] - 4])
    if len(said.get(b"cICP", b"")) == 4 and said[b"cICP"][2:] == b"\0\1":  # else browsers ask the next
        yield coded(said[b"cICP"][0], said[b"cICP"][1])
    if b"iCCP" in said:
        yield _inflated(said[b"iCCP"].partition(b"\0")[2][1:])
    gamma, points = said.get(b"gAMA", b""), said.get(b"cHRM", b"")
    if b"sRGB" in said or not (gamma or points):
        return
    exponent = 100_000 / (int.from_bytes(gamma[:4], "big") or 45_455) if len(gamma) >= 4 else 2.2
    if len(points) < 32:
        yield made(exponent, _SRGB)
    else:
        numbers = [one / 100_000 for one in struct.unpack(">8I", points[:32])]
        yield made(exponent, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def _inflated(body: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(body, MOST + 1)
    except zlib.error:
        return None


def _avif(data: bytes, image: Image.Image) -> Iterable[bytes | None]:
    """The profile, and what `nclx` says of the transfer curve and the primaries, which some ask first."""
    yield from _carried(data, image)
    at = data.find(b"colrnclx", 0, 1 << 20)
    if 0 <= at <= len(data) - 12:
        yield coded(*struct.unpack_from(">HH", data, at + 8))


def _bmp(data: bytes, image: Image.Image) -> Iterable[bytes | None]:
    """A BITMAPV4HEADER's own numbers, or a BITMAPV5HEADER's embedded profile."""
    header = int.from_bytes(data[14:18], "little")
    kind = data[70:74]
    if header >= 124 and kind == b"DEBM":
        offset, size = struct.unpack_from("<II", data, 14 + 112)
        return [data[14 + offset : 14 + offset + size]]
    if header < 108 or kind != bytes(4):
        return []
    numbers = struct.unpack_from("<9i3I", data, 74)
    ends = [tuple(one / 2**30 for one in numbers[n : n + 3]) for n in (0, 3, 6)]
    if min(map(sum, ends)) <= 0 or not all(numbers[9:]):
        return []
    points = tuple((x / (x + y + z), y / (x + y + z)) for x, y, z in ends)
    return [made(sum(numbers[9:]) / 3 / 65536, (_SRGB[0], *points))]


_READERS: dict[str, Callable[[bytes, Image.Image], Iterable[bytes | None]]] = {
    "JPEG": _jpeg, "MPO": _jpeg, "PNG": _png, "AVIF": _avif, "BMP": _bmp,
}  # fmt: skip


@lru_cache(maxsize=64)
def coded(primaries: int, transfer: int) -> bytes | None:
    """The profile of H.273 code points; None where they say nothing, or sRGB and its like."""
    points = _PRIMARIES.get(primaries, _SRGB)
    if transfer in _GAMMAS:
        return made(_GAMMAS[transfer], points)
    if transfer in (_PQ, _HLG):
        return made(_hdr(transfer), points)
    return made(None, points) if points != _SRGB else None


@lru_cache(maxsize=64)
def made(curve: "float | tuple[int, ...] | None", points: Points) -> bytes | None:
    """An ICC profile of one curve (an exponent, samples 0..65535, None for sRGB's) and white, red, green, blue (x, y).

    None where the numbers describe no colours.
    """
    import numpy as np

    try:
        columns = _to_d50(points)
        samples = _curve(curve)
    except (ValueError, ZeroDivisionError, np.linalg.LinAlgError, OverflowError):
        return None
    words = struct.pack(f">I{len(samples)}H", len(samples), *samples)
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50))]
    tags += [(name, b"XYZ \0\0\0\0" + _fixed(one)) for name, one in zip(_COLUMNS, columns, strict=True)]
    tags += [(name, b"curv\0\0\0\0" + words) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return written(b"RGB ", tags)


def written(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a version 2 display profile of a colour space ("RGB ", "GRAY") with these tags, and PCS XYZ."""
    table = body = b""
    start = 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = b"lcms" + struct.pack(">I", 0x02100000) + b"mntr" + space + b"XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    head += b"acspAPPL" + bytes(24) + _fixed(_D50) + bytes(48)
    return struct.pack(">I", start + len(body)) + head + struct.pack(">I", len(tags)) + table + body


_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")
_D50 = (0.9642, 1.0, 0.8249)


def _fixed(numbers: "tuple[float, ...] | np.ndarray") -> bytes:
    whole_numbers = [round(float(one) * 65536) for one in numbers]
    if any(abs(one) >= 2**31 for one in whole_numbers):
        raise ValueError("no colour")
    return struct.pack(f">{len(whole_numbers)}i", *whole_numbers)


def _to_d50(points: Points) -> "np.ndarray":
    """The primaries in XYZ, one a row, adapted to D50 (Bradford)."""
    import numpy as np

    white, *ends = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    matrix = np.stack(ends, axis=1)
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapted = np.linalg.inv(cones) @ np.diag((cones @ _D50) / (cones @ white)) @ cones
    found = (adapted @ (matrix * np.linalg.solve(matrix, white))).T
    if not np.isfinite(found).all() or np.abs(found).max() >= 2**14:
        raise ValueError("no colours")
    return np.asarray(found)


def _curve(curve: "float | tuple[int, ...] | None") -> tuple[int, ...]:
    import numpy as np

    if isinstance(curve, tuple):
        return curve
    at = np.linspace(0, 1, _STEPS)
    linear = np.where(at <= 0.04045, at / 12.92, ((at + 0.055) / 1.055) ** 2.4) if curve is None else at**curve
    return tuple(np.rint(linear * 65535).astype(int).tolist())


def _hdr(transfer: int) -> tuple[int, ...]:
    """The curve of PQ or HLG, brought into the range of a plain screen as Chromium does."""
    import numpy as np

    at = np.linspace(0, 1, _STEPS)
    if transfer == _HLG:
        scene = np.where(at <= 0.5, at**2 / 3, (np.exp((at - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        nits = 1000 * scene**1.2
    else:
        power = at ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return tuple(np.rint(np.interp(nits, *_SCREEN) * 65535).astype(int).tolist())
