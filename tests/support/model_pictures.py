"""Harmless pictures of every kind that a model is asked about; their pixels, made by nothing but Pillow and NumPy."""

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from tests.support.pictures import clip, encode, photograph, texture

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "brick.png", "hubble_deep_field.jpg", "camera.png")


def files(n: int) -> list[bytes]:
    """Photographs and textures of odd sizes: with alpha, turned by EXIF, of 16 bits, grey, of inks and palettes."""
    return [_file(number) for number in range(n)]


@cache
def _file(number: int) -> bytes:
    kinds = (_photo, _odd, _alpha, _turned, _deep, _grey, _inks, _palette, _deep_colour, _keyed)
    return kinds[number % len(kinds)](number)


def _cut(n: int) -> Image.Image:
    picture = photograph(NAMES[n % len(NAMES)])
    left, top = n * 7 % (picture.width // 3), n * 13 % (picture.height // 3)
    return picture.crop((left, top, left + picture.width // 2 + n % 5, top + picture.height // 2 + n % 3))


def _photo(n: int) -> bytes:
    return encode(photograph(NAMES[n % len(NAMES)]).resize((700 + n, 560)), "JPEG", quality=60 + n % 35)


def _odd(n: int) -> bytes:
    return encode(texture(n, ((3, 700), (401, 17), (1, 1), (255, 257), (33, 1000))[n // 10 % 5]), "PNG")


def _alpha(n: int) -> bytes:
    picture = _cut(n).convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.arange(picture.width) % 256, (picture.height, 1)).astype(np.uint8)))
    return encode(picture, ("PNG", "WEBP")[n // 10 % 2], **({"lossless": True} if n // 10 % 2 else {}))


def _turned(n: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 1 + n // 10 % 8
    return encode(_cut(n), "JPEG", exif=exif.tobytes())


def _deep(n: int) -> bytes:
    grey = np.asarray(_cut(n).convert("L"), np.uint16)
    return encode(Image.fromarray((grey * 257) ^ (np.arange(grey.shape[1], dtype=np.uint16) % 200)), "PNG")


def _grey(n: int) -> bytes:
    return encode(_cut(n).convert("L"), ("JPEG", "PNG", "TIFF")[n // 10 % 3])


def _inks(n: int) -> bytes:
    return encode(_cut(n).convert("CMYK"), "JPEG")


def _palette(n: int) -> bytes:
    return encode(_cut(n).convert("P"), ("PNG", "GIF")[n // 10 % 2])


def _deep_colour(n: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and cannot write."""
    import cv2

    colours = np.asarray(_cut(n), np.uint16) * 257
    return bytes(cv2.imencode(".png", colours)[1])


def _keyed(n: int) -> bytes:
    return encode(_cut(n).convert("P"), "PNG", transparency=n % 200)


def moving(n: int) -> bytes:
    """An animation of three pictures."""
    return clip("GIF", [texture(n), photograph().resize((160, 120)), texture(n + 1)])


def outside(data: bytes, recipe: Mapping[str, Any]) -> "np.ndarray":
    """What somebody makes of a file who has preprocessing.json and docs/baseline.md, and nothing of curate."""
    image: Image.Image = Image.open(io.BytesIO(data))
    side, turn = recipe["shorter_side"], image.getexif().get(0x0112, 1)
    if image.format == "JPEG":
        ratio = max(1.0, min(image.size) / side)
        image.draft("RGB", (int(image.width / ratio), int(image.height / ratio)))
    image.load()
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
             5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
             8: Image.Transpose.ROTATE_90}  # fmt: skip
    image = image.transpose(turns[turn]) if turn in turns else image
    if image.mode == "I;16":
        image = Image.fromarray(np.floor(np.asarray(image, np.float64) * 255 / 65535).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = image.convert("RGB")
    if min(image.size) > side:
        ratio = min(image.size) / side
        size = (max(1, round(image.width / ratio)), max(1, round(image.height / ratio)))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return _prepared(image, recipe)


def _prepared(image: Image.Image, recipe: Mapping[str, Any]) -> "np.ndarray":
    height, width = recipe["size"]
    box = None
    if share := recipe.get("center_crop"):
        edge = min(image.size) * share
        box = ((image.width - edge) / 2, (image.height - edge) / 2, (image.width + edge) / 2, (image.height + edge) / 2)
    if recipe["interpolation"] == "bilinear, corners aligned":
        values = _corners(np.asarray(image, np.float64), height, width)
    else:
        resized = image.resize((width, height), Image.Resampling[recipe["interpolation"].upper()], box=box)
        if crop := recipe.get("crop"):
            left, top = (width - crop[1]) // 2, (height - crop[0]) // 2
            resized = resized.crop((left, top, left + crop[1], top + crop[0]))
        if quality := recipe.get("jpeg"):
            resized = Image.open(io.BytesIO(encode(resized, "JPEG", quality=quality)))
        values = np.asarray(resized, np.float64)
    values = values[..., ::-1] if recipe.get("channels") == "BGR" else values
    low, high = recipe["range"]
    values = values * (high - low) / 255 + low
    values = (values - recipe.get("mean", [0.0] * 3)) / recipe.get("std", [1.0] * 3)
    return np.asarray(values.transpose(2, 0, 1) if recipe["layout"] == "NCHW" else values, np.float32)


def _corners(values: "np.ndarray", height: int, width: int) -> "np.ndarray":
    rows, columns = np.linspace(0, values.shape[0] - 1, height), np.linspace(0, values.shape[1] - 1, width)
    by_row = np.array([[np.interp(rows, range(len(v)), v[:, x, c]) for c in range(3)] for v in [values]
                       for x in range(values.shape[1])]).transpose(2, 0, 1)  # fmt: skip
    out = np.empty((height, width, 3))
    for y in range(height):
        for c in range(3):
            out[y, :, c] = np.interp(columns, range(values.shape[1]), by_row[y, :, c])
    return out
