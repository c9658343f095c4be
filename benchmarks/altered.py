"""Real pictures and what the web does to them: re-encodes, sizes, crops, borders, marks, tones, turns.

Photographs and drawings of the demo's packages, and (where they are installed) of the Debian packages
plasma-workspace-wallpapers, tuxpaint-stamps-default and openclipart-png. Every picture is written once as it is
(PNG, at most 512 px) and once in each alteration. `group` is the scene: the tiles of one photograph, which do not
overlap, or one folder of drawings, which resemble one another and are not copies.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from benchmarks.drawing import NOT_CLIP_ART, PHOTOGRAPHS, SHARE
from curate.demo.corpus import collect, default_cache
from curate.errors import ItemError
from curate.media.decode import Bounds, open_image, scaled

SIDE = 512  # px, longer side
LEAST = 96  # px, shorter side
TILES = 3  # of a wallpaper, across and down
EVERY = 4  # of the demo's drawings, one in so many
STAMPS, CLIPS = 60, 80
CROWD = 1500  # of each kind of drawing, at most, that is only there to be told apart

Alter = Callable[[Image.Image, np.random.Generator], Image.Image]
Found = tuple[str, str, bool, Image.Image]  # name, scene, whether drawn, picture


@dataclass(frozen=True)
class Picture:
    """One file of the corpus: which picture, of which scene, how altered ("as is": not at all)."""

    name: str
    base: str
    group: str
    drawn: bool
    how: str


def _cut(share: float, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Width and height less `share` of each, cut from a corner drawn by lot."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    x, y = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((int(x), int(y), int(x) + width, int(y) + height))


def _border(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.expand(image, round(min(image.size) * 0.05), "black")


def _marked(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Half transparent text across the middle, as wide as half of the picture."""
    layer = Image.new("RGBA", image.size)
    font = ImageFont.load_default(max(8, image.width // 9))
    at = (image.width / 2, image.height / 2)
    ImageDraw.Draw(layer).text(at, "example.org", (255, 255, 255, 150), font, "mm", stroke_width=1,
                               stroke_fill=(0, 0, 0, 150))  # fmt: skip
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _toned(
    kind: Callable[[Image.Image], ImageEnhance._Enhance], factor: float, image: Image.Image, _: np.random.Generator
) -> Image.Image:
    return kind(image).enhance(factor)


def _turned(degrees: float, image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="black")


def _flipped(kind: Image.Transpose, image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.transpose(kind)


def _sized(factor: float, image: Image.Image, _: np.random.Generator) -> Image.Image:
    size = (max(16, round(image.width * factor)), max(16, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _same(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image


# How a picture is altered, and the quality of the JPEG that it becomes.
ALTERED: dict[str, tuple[Alter, int]] = {
    **{f"re-encode q{q}": (_same, q) for q in (90, 70, 50, 30, 10)},
    "resize to 50 %": (partial(_sized, 0.5), 90),
    "resize to 25 %": (partial(_sized, 0.25), 90),
    **{f"crop {share} %": (partial(_cut, share / 100), 90) for share in (2, 5, 10, 20)},
    "border 5 %": (_border, 90),
    "watermark text": (_marked, 90),
    "brightness +30 %": (partial(_toned, ImageEnhance.Brightness, 1.3), 90),
    "brightness -30 %": (partial(_toned, ImageEnhance.Brightness, 0.7), 90),
    "contrast +30 %": (partial(_toned, ImageEnhance.Contrast, 1.3), 90),
    "contrast -30 %": (partial(_toned, ImageEnhance.Contrast, 0.7), 90),
    "greyscale": (lambda image, _: image.convert("L"), 90),
    "rotate 2°": (partial(_turned, 2), 90),
    "rotate 5°": (partial(_turned, 5), 90),
    "mirror": (partial(_flipped, Image.Transpose.FLIP_LEFT_RIGHT), 90),
    "turn 90°": (partial(_flipped, Image.Transpose.ROTATE_90), 90),
    "turn 180°": (partial(_flipped, Image.Transpose.ROTATE_180), 90),
    "turn 270°": (partial(_flipped, Image.Transpose.ROTATE_270), 90),
}
AS_IS = "as is"


def bases() -> Iterator[Found]:
    """(name, scene, whether drawn, picture), the same ones every time."""
    drawings = 0
    for item in collect(default_cache(), print):
        drawings += item.label == "drawings"
        if item.label == "drawings" and drawings % EVERY:
            continue
        yield f"demo-{item.name}", item.group, item.label == "drawings", _opened(item.data)
    for wall in sorted((SHARE / "wallpapers").glob("*/")):
        for number, tile in enumerate(_tiles(_wallpaper(wall))):
            yield f"wall-{wall.name}-{number}", f"wall-{wall.name}", wall.name not in PHOTOGRAPHS, tile
    for paths, count, drawn in ((_stamps(), STAMPS, False), (_clips(), CLIPS, True)):
        for path in paths[:count]:
            try:
                yield f"{path.parent.name}-{path.stem}", path.parent.name, drawn, _opened(path.read_bytes())
            except ItemError:
                continue


def strangers() -> Iterator[Found]:
    """Pictures that are used as they are, to be told apart: more windows of the wallpapers (half a tile from the tiles,
    so that neighbours share a half or a quarter, as frames of a panning camera do), and many more drawings."""
    for wall in sorted((SHARE / "wallpapers").glob("*/")):
        for number, window in enumerate(_windows(_wallpaper(wall))):
            yield f"window-{wall.name}-{number}", f"wall-{wall.name}", wall.name not in PHOTOGRAPHS, window
    for paths, skip, count in ((_stamps(), STAMPS, CROWD), (_clips(), CLIPS, CROWD)):
        for path in paths[skip : skip + count]:
            try:
                yield f"{path.parent.name}-{path.stem}", path.parent.name, True, _opened(path.read_bytes())
            except ItemError:
                continue


def _stamps() -> list[Path]:
    return _mixed(path for path in (SHARE / "tuxpaint" / "stamps").rglob("*.png") if "cartoon" not in path.parts)


def _clips() -> list[Path]:
    return _mixed(path for path in (SHARE / "openclipart" / "png").rglob("*.png") if not NOT_CLIP_ART & set(path.parts))


def _mixed(paths: Iterable[Path]) -> list[Path]:
    """In an order that is as good as chance, the same one every time."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())


def _wallpaper(wall: Path) -> Image.Image:
    files = [path for path in wall.rglob("*") if path.suffix in (".jpg", ".png") and "screenshot" not in path.name]
    return _opened(min(files, key=lambda path: path.stat().st_size).read_bytes())


def _windows(image: Image.Image) -> Iterator[Image.Image]:
    """As large as a tile, at every half tile that is no tile."""
    wide, high = image.width // TILES, image.height // TILES
    for y in range(2 * TILES - 1):
        for x in range(2 * TILES - 1):
            if x % 2 or y % 2:
                left, upper = x * wide // 2, y * high // 2
                yield image.crop((left, upper, left + wide, upper + high))


def _opened(data: bytes) -> Image.Image:
    return scaled(open_image(data, Bounds()), None)


def _tiles(image: Image.Image) -> Iterator[Image.Image]:
    wide, high = image.width // TILES, image.height // TILES
    for y in range(TILES):
        for x in range(TILES):
            yield image.crop((x * wide, y * high, (x + 1) * wide, (y + 1) * high))


def make(folder: Path) -> list[Picture]:
    """The pictures and their altered copies, in a folder, made where they are not there yet."""
    return _kept(folder, bases(), ALTERED)


def make_strangers(folder: Path) -> list[Picture]:
    """The pictures that are only there to be told apart, in a folder of their own."""
    return _kept(folder, strangers(), {})


def _kept(folder: Path, found: Iterator[Found], alter: Mapping[str, tuple[Alter, int]]) -> list[Picture]:
    index = folder / "index.json"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor() as pool:
            made = list(pool.map(partial(_write, folder, tuple(alter)), enumerate(_fit(found)), chunksize=4))
        index.write_text(json.dumps([asdict(one) for some in made for one in some]))
    return [Picture(**one) for one in json.loads(index.read_text())]


def _fit(found: Iterator[Found]) -> Iterator[Found]:
    """The pictures that are large enough, at the size they are used at, none twice."""
    seen = set()
    for name, group, drawn, image in found:
        if min(image.size) < LEAST:
            continue
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        small = image.convert("L").resize((16, 16)).tobytes()
        if min(image.size) >= LEAST // 2 and small not in seen:
            seen.add(small)
            yield name, group, drawn, image


def _write(folder: Path, alter: Sequence[str], numbered: tuple[int, Found]) -> list[Picture]:
    number, (_, group, drawn, image) = numbered
    base, rng = f"{number:04d}", np.random.default_rng(number)
    image.save(folder / f"{base}.png")
    made = [Picture(f"{base}.png", base, group, drawn, AS_IS)]
    for place, how in enumerate(alter):
        name, (change, quality) = f"{base}-{place:02d}.jpg", ALTERED[how]
        change(image, rng).save(folder / name, "JPEG", quality=quality)
        made.append(Picture(name, base, group, drawn, how))
    return made
