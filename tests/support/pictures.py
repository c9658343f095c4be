"""Harmless pictures, made or shipped by packages, for tests."""

import io
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image


def texture(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A smooth random picture: no two seeds look alike to a perceptual hash."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as a file's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@cache
def photograph(name: str = "astronaut.png") -> Image.Image:
    """A photograph that scikit-image ships."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return Image.open(Path(spec.origin).parent / "data" / name).convert("RGB")


def clip(kind: str, frames: Sequence[Image.Image], size: tuple[int, int] = (160, 120)) -> bytes:
    """These pictures as an animation, or as pages."""
    made = io.BytesIO()
    first, *rest = (frame.convert("RGB").resize(size) for frame in frames)
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "AVIF" else {}
    if kind != "TIFF":
        options["duration"] = 80
    first.save(made, kind, save_all=True, append_images=rest, **options)
    return made.getvalue()
