"""What `curate dedupe` finds by default, of real photographs and what people do to pictures: 18 edits of each.

    python -m benchmarks.edits [--write docs/dedupe.md]

One picture of each scene among the photographs of `benchmarks.altered`. A copy is found where dedupe itself calls it
near to its original, not by way of another copy: with the defaults, and with each of the two settings turned off.
`--write` puts the table between the marks in that file.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from benchmarks.altered import ALTERED, bases
from curate.config import Config, DedupeConfig
from curate.dedupe.similarity import HashArrays, near
from curate.engine.pool import Pool
from curate.features import hashes
from curate.progress import Progress
from curate.store.workspace import Workspace
from tests.support.builders import add

BEGIN, END = "<!-- benchmarks.edits: begin -->", "<!-- benchmarks.edits: end -->"
HOPELESS = ("crop 25 %", "inverted")  # which no stage here is to find
QUALITY = 85
SETTINGS = {
    "default": DedupeConfig(),
    "`borders = false`": DedupeConfig(borders=False),
    "`orientations = false`": DedupeConfig(orientations=False),
    "both": DedupeConfig(orientations=False, borders=False),
}
Edit = Callable[[Image.Image], Image.Image]


def _altered(name: str, image: Image.Image) -> Image.Image:
    return ALTERED[name][0](image, np.random.default_rng(image.width * 8191 + image.height))


def _cut(share: float, image: Image.Image) -> Image.Image:
    """The middle, so much narrower and lower."""
    x, y = (round(side * share / 2) for side in image.size)
    return image.crop((x, y, image.width - x, image.height - y))


def _letterbox(image: Image.Image) -> Image.Image:
    """Black bars above and below, an eighth of the height each."""
    return ImageOps.expand(image, (0, image.height // 8), "black")


def _page(image: Image.Image) -> Image.Image:
    """A screenshot: the picture at four fifths of its size on a plain page, a line of text above it and one below."""
    page = Image.new("RGB", (round(image.width * 1.3), round(image.height * 1.6)), (248, 248, 250))
    small = image.resize((round(image.width * 0.8), round(image.height * 0.8)), Image.Resampling.LANCZOS)
    left, top = (page.width - small.width) // 2, round(page.height * 0.2)
    page.paste(small, (left, top))
    draw = ImageDraw.Draw(page)
    draw.text((left, top // 3), "A page with a picture on it", (30, 30, 30))
    draw.text((left, (top + small.height + page.height) // 2), "Posted by somebody, 3 hours ago", (90, 90, 90))
    return page


EDITS: dict[str, tuple[Edit, int]] = {
    "JPEG q75": (lambda image: image, 75),
    "JPEG q30": (lambda image: image, 30),
    "half the size": (partial(_altered, "resize to 50 %"), QUALITY),
    "brightness +30 %": (partial(_altered, "brightness +30 %"), QUALITY),
    "contrast -30 %": (partial(_altered, "contrast -30 %"), QUALITY),
    "colour +60 %": (lambda image: ImageEnhance.Color(image).enhance(1.6), QUALITY),
    "greyscale": (partial(_altered, "greyscale"), QUALITY),
    "watermark text": (partial(_altered, "watermark text"), QUALITY),
    "rotate 2°": (partial(_altered, "rotate 2°"), QUALITY),
    "crop 5 %": (partial(_cut, 0.05), QUALITY),
    "crop 10 %": (partial(_cut, 0.1), QUALITY),
    "crop 25 %": (partial(_cut, 0.25), QUALITY),
    "border 5 %": (partial(_altered, "border 5 %"), QUALITY),
    "letterbox": (_letterbox, QUALITY),
    "screenshot on a page": (_page, QUALITY),
    "mirror": (ImageOps.mirror, QUALITY),
    "lost EXIF turn": (lambda image: image.transpose(Image.Transpose.ROTATE_90), QUALITY),
    "inverted": (ImageOps.invert, QUALITY),
}


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a Markdown file with the marks in it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = table(Path(folder))
    print(text)
    if asked.write:
        page = asked.write.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        asked.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def table(folder: Path) -> str:
    """What is found of each edit, by setting."""
    ws = Workspace(folder, Config())
    pairs: dict[str, list[tuple[str, str]]] = {how: [] for how in EDITS}
    count = 0
    for image in photographs():
        count += 1
        original = add(ws, _encoded(image, 92))
        for how, (edit, quality) in EDITS.items():
            pairs[how].append((original, add(ws, _encoded(edit(image), quality))))
    ids = sorted({one for some in pairs.values() for two in some for one in two})
    hashes.complete(ws, ids, Pool(0), Progress(quiet=True))
    at = {one: row for row, one in enumerate(ids)}
    lines = [f"{count} photographs, each in {len(EDITS)} edits.", "", f"| edit | {' | '.join(SETTINGS)} |"]
    lines.append(f"|---|{'---:|' * len(SETTINGS)}")
    found: dict[str, dict[str, float]] = {}
    for name, config in SETTINGS.items():
        alike = near(HashArrays.from_workspace(ws, ids, config), config)
        found[name] = {how: _share(alike, [[at[a], at[b]] for a, b in some]) for how, some in pairs.items()}
    for how in EDITS:
        lines.append(f"| {how} | {' | '.join(f'{of[how]:.2f}' for of in found.values())} |")
    rest = [how for how in EDITS if how not in HOPELESS]
    for said, some in ((f"**all but {' and '.join(HOPELESS)}**", rest), ("**all**", list(EDITS))):
        lines.append(f"| {said} | {' | '.join(f'{np.mean([of[how] for how in some]):.2f}' for of in found.values())} |")
    ws.close()
    return "\n".join(lines)


def photographs() -> Iterator[Image.Image]:
    """One of each scene."""
    seen = set()
    for name, scene, drawn, image in bases():
        if not drawn and scene not in seen and name.startswith(("demo-", "wall-")):
            seen.add(scene)
            yield image


def _share(alike: Callable[..., npt.NDArray[np.bool_]], pairs: list[list[int]]) -> float:
    rows = np.array(pairs)
    return float(alike(rows[:, 0], rows[:, 1]).mean())


def _encoded(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


if __name__ == "__main__":
    main()
