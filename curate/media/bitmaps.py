"""BMPs that Pillow shows otherwise than browsers: runs that leave pixels out, palettes of fewer colours than levels."""

import io
import struct

from PIL import Image

_RLE8, _RLE4 = 1, 2


def with_holes(data: bytes) -> bytes | None:
    """Such a BMP as a PNG in which the pixels that no run sets are transparent; None where there are none.

    Raises struct.error or IndexError where its header ends early. Source: BITMAPINFOHEADER, "Bitmap Compression".
    """
    offset, header = struct.unpack_from("<II", data, 10)
    width, high, _planes, depth, coded = struct.unpack_from("<iiHHI", data, 18)
    if header < 40 or (coded, depth) not in ((_RLE8, 8), (_RLE4, 4)):
        return None
    levels, there = _drawn(data, offset, width, abs(high), depth)
    if 0 not in there:
        return None
    colours = (int.from_bytes(data[46:50], "little") or 1 << depth) * 4
    palette = data[14 + header : min(14 + header + colours, offset)]
    picture = Image.frombytes("P", (width, abs(high)), bytes(levels))
    picture.putpalette(palette[: len(palette) // 4 * 4], "BGRX")
    shown = picture.convert("RGB")
    shown.putalpha(Image.frombytes("L", picture.size, bytes(there)))
    out = io.BytesIO()
    (shown.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if high > 0 else shown).save(out, "PNG", compress_level=1)
    return out.getvalue()


def with_whole_palette(data: bytes) -> bytes | None:
    """A BMP whose palette is short, the rest of it black; None where it is whole, or Pillow takes it for a palette.

    Pillow takes one of greys for none, and shows the levels; two colours it takes for a bit a pixel.
    """
    offset, header = struct.unpack_from("<II", data, 10)
    depth, (used,) = data[28], struct.unpack_from("<I", data, 46)
    if header < 40 or depth not in (4, 8) or not 0 < used < 1 << depth:
        return None
    start = 14 + header
    colours = [data[at : at + 3] for at in range(start, start + 4 * used, 4)]
    if used != 2 and any(one != bytes((level,)) * 3 for level, one in enumerate(colours)):
        return None
    palette = data[start : start + 4 * used].ljust(4 << depth, b"\0")
    head = data[:10] + struct.pack("<I", start + len(palette)) + data[14:46] + bytes(4) + data[50:start]
    return head + palette + data[offset:]


def _drawn(data: bytes, at: int, width: int, height: int, depth: int) -> tuple[bytearray, bytearray]:
    """The level of each pixel as the runs set it, rows as they come; and 255 where one did."""
    levels, there, x, y = bytearray(width * height), bytearray(width * height), 0, 0
    while at + 1 < len(data) and y < height:
        count, value = data[at], data[at + 1]
        at += 2
        if count or value > 2:
            number = count or value
            if count:
                run = bytes((value,)) * count
            else:
                run, at = data[at : at + (value * depth + 7) // 8], at + (value * depth + 15) // 16 * 2
            if depth == 4:
                run = bytes(half for one in run for half in (one >> 4, one & 15))
            run = run[: max(0, min(number, width - x))]
            begin = y * width + x
            levels[begin : begin + len(run)] = run
            there[begin : begin + len(run)] = b"\xff" * len(run)
            x = min(x + number, width)
        elif value == 0:
            x, y = 0, y + 1
        elif value == 2 and at + 1 < len(data):
            x, y, at = min(x + data[at], width), y + data[at + 1], at + 2
        else:
            break
    return levels, there
