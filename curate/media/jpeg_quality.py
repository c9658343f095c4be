"""How strongly a JPEG was compressed, told from its quantisation table. Nothing is decoded."""

from typing import BinaryIO

MOST = 64  # segments that are looked at
_DQT, _SCAN = 0xDB, 0xDA
# The sum of the standard's luminance table (ITU-T T.81, K.1), which libjpeg scales by 5000 / q or by 200 - 2q percent.
_STANDARD = 3684


def quality(file: BinaryIO) -> int | None:
    """The libjpeg quality, 1 to 100, whose luminance table comes nearest to the file's; None for what is no JPEG, or
    has no such table before its first scan. Below 20, where tables end at 255, it is a little too high."""
    if file.read(2) != b"\xff\xd8":
        return None
    for _ in range(MOST):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SCAN:
            return None
        length = int.from_bytes(head[2:], "big") - 2
        if head[1] == _DQT:
            return _of_table(file.read(length))
        file.seek(max(0, length), 1)
    return None


def _of_table(data: bytes) -> int | None:
    wide = 2 if data and data[0] >> 4 else 1
    values = data[1 : 1 + 64 * wide]
    if len(values) < 64 * wide:
        return None
    total = sum(int.from_bytes(values[n : n + wide], "big") for n in range(0, len(values), wide))
    percent = 100 * total / _STANDARD
    found = (200 - percent) / 2 if percent <= 100 else 5000 / percent
    return min(100, max(1, round(found)))
