"""All that a file shows, or holds without showing it: each part with its PDQ."""

from curate.media import pdq
from curate.media.decode import Bounds, open_image, scaled


def parts(data: bytes, bounds: Bounds) -> tuple[pdq.Pdq, ...]:
    """PDQ of each part of a file, "main" first, by the hash that decides; raises ItemError."""
    return (pdq.full(scaled(open_image(data, bounds), None)),)
