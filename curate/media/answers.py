"""What a look at a file may answer. A worker may be in a stranger's hands: types alone do not say that bytes are a
hash, that a size is one a picture may have, or that a thumbnail is no page for somebody's browser.
"""

import math
from collections.abc import Sequence

from curate.errors import plain
from curate.media import phash
from curate.media.decode import Bounds
from curate.media.pdq import BYTES, MAIN, ORIENTATIONS, Pdq
from curate.records import MEDIA_TYPES, Sample

KINDS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF"}
_PARTS = 10_000  # more parts than a file may have that is looked into
_NAME = 100  # characters of a part's name


def is_row(row: phash.HashRow) -> bool:
    """Whether it can be one of the table of pHashes."""
    sizes = {len(one) for one in (row["phash"], row["signs"], row["inner_phash"], row["inner_signs"])}
    inner = math.isnan(row["inner_quality"]) or 0 <= row["inner_quality"] < math.inf
    whole = sizes == {phash.BITS // 8} and len(row["thumb"]) == phash.THUMB**2
    return whole and inner and 0 <= row["quality"] < math.inf


def is_pdq(parts: Sequence[Pdq]) -> bool:
    """Whether these can be the PDQs of a file, "main" among them, each part once; nothing is, too."""
    names = [one.part for one in parts]
    if names and (MAIN not in names or len(set(names)) < len(names) or len(names) > _PARTS):
        return False
    sizes = {len(one.hashes) for one in parts} <= {ORIENTATIONS * BYTES}
    names_fit = all(len(name) <= _NAME and name == plain(name) for name in names)
    return sizes and names_fit and all(0 <= one.quality <= 100 for one in parts)


def is_sample(one: Sample, bounds: Bounds) -> bool:
    """Whether it can be of a file within these bounds."""
    if one.media_type not in MEDIA_TYPES or (one.parent, one.at_ms) != (None, None):
        return False
    return is_size(one.width, one.height, bounds) and 1 <= one.frames <= bounds.max_frames


def is_size(width: int, height: int, bounds: Bounds) -> bool:
    """Whether a picture within these bounds can be of this size."""
    return min(width, height) >= max(1, bounds.min_side) and width * height <= bounds.max_pixels


def is_encoded(data: bytes, *kinds: str) -> bool:
    """Whether bytes begin as a file of one of these kinds does: what is no picture at all is shown to nobody."""
    return any(data.startswith(KINDS[kind]) for kind in kinds)
