"""Harmless pictures of every kind, mode and size, numbered: real ones that packages ship, and arithmetic."""

import random
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

# Debian's tuxpaint-stamps-default, plasma-workspace-wallpapers and openclipart-png; without them, scikit-image's only.
FOLDERS = ("/usr/share/tuxpaint/stamps", "/usr/share/wallpapers", "/usr/share/openclipart")
SCIKIT = ("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png",
          "coins.png", "color.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png",
          "logo.png", "moon.png", "page.png", "phantom.png", "retina.jpg", "rocket.jpg", "text.png")  # fmt: skip
MODES = ("RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "YCbCr", "HSV", "LAB", "PA", "RGBX", "I", "F")


def picture(number: int, most: int = 900) -> Image.Image:
    """The picture of this number, its sides from 5 px up to `most`; every third is real."""
    draw = random.Random(number)
    size = tuple(round(5 * (most / 5) ** draw.random()) for _ in range(2))
    image = real(draw, size) if number % 3 == 0 else Image.fromarray(made(number // 3, draw, size))
    return image.convert(MODES[number // 2 % len(MODES)]) if number % 2 else image


def real(draw: random.Random, size: tuple[int, int]) -> Image.Image:
    """A part of a picture that a package ships, at this size; what is transparent in it is drawn on white."""
    image = Image.open(draw.choice(draw.choice(files()))).convert("RGBA")
    left, top = (draw.randrange(1 + side // 2) for side in image.size)
    part = image.crop((left, top, left + image.width // 2 + 1, top + image.height // 2 + 1))
    flat = Image.new("RGBA", part.size, "white")
    flat.alpha_composite(part)
    return flat.convert("RGB").resize(size, draw.choice((Image.Resampling.BICUBIC, Image.Resampling.NEAREST)))


@cache
def files() -> list[list[Path]]:
    """What is installed, a list a package."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "data"
    found = [sorted(p for p in Path(one).rglob("*") if p.suffix in (".png", ".jpg")) for one in FOLDERS]
    return [[folder / name for name in SCIKIT if (folder / name).is_file()], *(some[:1000] for some in found if some)]


def made(kind: int, draw: random.Random, size: tuple[int, int]) -> np.ndarray:
    """Arithmetic: uint8[height, width, 3]."""
    rng = np.random.default_rng(draw.getrandbits(32))
    down, across = np.mgrid[0 : size[1], 0 : size[0]]
    step = draw.randint(1, 40)
    waves = np.sin(down / step) * np.cos(across / draw.randint(1, 40))
    noise = rng.integers(0, 256, (size[1], size[0], 3))
    ramp = 255 * (down / size[1] + across / size[0]) / 2
    kinds: tuple[Callable[[], np.ndarray], ...] = (
        lambda: np.full_like(noise, rng.integers(0, 256, 3)),  # flat
        lambda: np.full_like(noise, draw.choice((0, 255))),  # black and white
        lambda: (255 * down / size[1])[..., None] * rng.random(3),  # ramps
        lambda: (255 * across / size[0])[..., None] * rng.random(3),
        lambda: ramp[..., None] * rng.random(3),
        lambda: (128 + 127 * waves)[..., None] * rng.random(3),  # ripples
        lambda: ((down // step + across // step) % 2)[..., None] * rng.integers(0, 256, 3),  # chequers
        lambda: noise,  # a px each
        lambda: np.where(noise < step, 255 - noise, 255),  # grain on white
        lambda: noise // 16 + 120,  # grain on grey
        lambda: (noise + noise[::-1]) // 2,  # symmetric
        lambda: (noise + noise[:, ::-1] + noise[::-1] + noise[::-1, ::-1]) // 4,
        lambda: np.where((down < step)[..., None], rng.integers(0, 256, 3), rng.integers(0, 256, 3)),  # a flag
        lambda: 255 * np.exp(-(((down - size[1] / 3) / size[1]) ** 2) * 30)[..., None] * np.ones(3),  # a glow
    )
    return kinds[kind % len(kinds)]().astype(np.uint8)
