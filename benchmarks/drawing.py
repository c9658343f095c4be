"""How well, and how fast, the labeler `drawing` tells photographs from drawings: on the demo's images, and on others.

    python -m benchmarks.drawing            accuracy of the score and of each vote; img/s
    python -m benchmarks.drawing --fit      also fit the coefficients anew and print them as they stand in the labeler
    python -m benchmarks.drawing --others   also on images of Debian packages that the demo does not use:
                                            plasma-workspace-wallpapers, openclipart-png, tuxpaint-stamps-default

Every image of the demo is judged as it is, as JPEG of quality 60, 75 and 90, and at half its size. "Cross-validated"
fits on four fifths of the provenance groups (a photograph, a folder of drawings) and judges the last fifth.
"""

import argparse
import hashlib
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from curate.demo.corpus import collect, default_cache
from curate.errors import ItemError
from curate.media.decode import Bounds, open_image, scaled
from labelers.drawing import DRAWN, FAMILIES, MODELS, PHOTOGRAPHED, Drawing, score, statistics

SIDE = Drawing.needs.side
SHARE = Path("/usr/share")
# The wallpapers that are photographs (looked at one by one); the rest are painted or rendered.
PHOTOGRAPHS = (
    "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey", "Kite",
    "OneStandsOut", "Path", "Volna", "summer_1am",
)  # fmt: skip
CLIP_ART = 400
NOT_CLIP_ART = {"people", "recreation", "special", "unsorted"}  # folders that nobody has looked through


@dataclass(frozen=True)
class Case:
    """One picture to judge; `drawn` is the truth by provenance, `look` says which copy of it this is."""

    group: str
    drawn: bool
    look: str
    found: dict[str, float]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--others", action="store_true")
    asked = parser.parse_args()
    cases = list(demo())
    print_speed()
    print_table("demo", cases)
    print_votes(cases)
    if asked.fit:
        print_fit(cases)
    if asked.others:
        for name, found in others().items():
            print_table(name, list(found))


def demo() -> Iterator[Case]:
    """Every image of the demo, and its copies."""
    for item in collect(default_cache(), print):
        drawn = item.label == "drawings"
        yield from cases_of(item.group, drawn, scaled(open_image(item.data, Bounds()), None))


def cases_of(group: str, drawn: bool, image: Image.Image) -> Iterator[Case]:
    """A picture as it is, and as it looks after the web has had it."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    copies = {f"q{quality}": encoded(image, "JPEG", quality) for quality in (60, 75, 90)}
    copies["half"] = encoded(half, "JPEG", 90)
    copies = {"as is": encoded(image, "PNG", 0), **copies}
    for look, data in copies.items():
        small = scaled(open_image(data, Bounds(min_side=8)), SIDE)
        yield Case(group, drawn, look, statistics(np.asarray(small)))


def encoded(image: Image.Image, kind: str, quality: int) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, kind, quality=quality)
    return out.getvalue()


def others() -> dict[str, Iterator[Case]]:
    """Out of the corpus: photographs and drawings of Debian packages, those that are installed."""
    walls = sorted((SHARE / "wallpapers").glob("*/"))
    photographs = (image for wall in walls if wall.name in PHOTOGRAPHS for image in quarters(wallpaper(wall)))
    art = (wallpaper(wall) for wall in walls if wall.name not in PHOTOGRAPHS)
    clips = (SHARE / "openclipart" / "png").rglob("*.png")
    stamps = sorted((SHARE / "tuxpaint" / "stamps" / "animals").rglob("*.png"))
    return {
        "wallpapers: photographs and quarters of them": named(False, photographs),
        "wallpapers: painted or rendered": named(True, art),
        "clip art": named(True, opened(mixed(clip for clip in clips if not NOT_CLIP_ART & set(clip.parts)))),
        "stamps: photographs, cut out": named(False, opened(path for path in stamps if "cartoon" not in path.parts)),
    }


def named(drawn: bool, images: Iterable[Image.Image]) -> Iterator[Case]:
    """The cases of these pictures, each a group of its own."""
    for number, image in enumerate(images):
        yield from cases_of(str(number), drawn, image)


def wallpaper(folder: Path) -> Image.Image:
    """The smallest file of a wallpaper, at most 1920 px."""
    found = [path for path in folder.rglob("*") if path.suffix in (".jpg", ".png") and "screenshot" not in path.name]
    image = scaled(open_image(min(found, key=lambda path: path.stat().st_size).read_bytes(), Bounds()), None)
    image.thumbnail((1920, 1920))
    return image


def quarters(image: Image.Image) -> Iterator[Image.Image]:
    """A picture and its four quarters."""
    wide, high = image.width // 2, image.height // 2
    yield image
    for x, y in ((0, 0), (wide, 0), (0, high), (wide, high)):
        yield image.crop((x, y, x + wide, y + high))


def mixed(paths: Iterable[Path]) -> list[Path]:
    """Some of them, the same ones every time."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())[:CLIP_ART]


def opened(paths: Iterable[Path]) -> Iterator[Image.Image]:
    """Those that have at least 64 px a side and at most 9 million."""
    for path in paths:
        try:
            yield scaled(open_image(path.read_bytes(), Bounds(max_pixels=9_000_000, min_side=64)), None)
        except ItemError:
            continue


def print_speed(number: int = 200) -> None:
    """Images a second and core, decoded to SIDE beforehand."""
    arrays = [np.asarray(scaled(open_image(item.data, Bounds()), SIDE)) for item in collect(default_cache())]
    large = [pixels for pixels in arrays if min(pixels.shape[:2]) > 200]
    start = time.perf_counter()
    for pixels in islice(large, number):
        statistics(pixels)
    print(f"speed: {min(number, len(large)) / (time.perf_counter() - start):.0f} img/s, decoding not counted")


def print_table(name: str, cases: list[Case]) -> None:
    """Accuracy of the score at one half, by copy."""
    if not cases:
        print(f"{name}: not installed")
        return
    right = np.array([(score("drawing", case.found) >= 0.5) == case.drawn for case in cases])
    looks = np.array([case.look for case in cases])
    by_look = "  ".join(f"{look} {right[looks == look].mean():.3f}" for look in dict.fromkeys(looks))
    print(f"{name}: accuracy {right.mean():.4f} of {len(cases)} ({by_look})")


def print_votes(cases: list[Case]) -> None:
    """Accuracy where a function votes, and how often it does; then their majority."""
    truth = np.array([case.drawn for case in cases])
    votes = np.array([[cast(score(family, case.found)) for family in FAMILIES] for case in cases])
    for name, column in zip((*FAMILIES, "majority"), (*votes.T, np.sign(votes.sum(axis=1))), strict=True):
        voted = column != 0
        right = ((column > 0) == truth)[voted].mean()
        print(f"  vote {name}: coverage {voted.mean():.4f}, accuracy where it votes {right:.4f}")


def cast(value: float) -> int:
    """1 for a drawing, -1 for a photograph, 0 for neither."""
    return int(value >= DRAWN) - int(value <= PHOTOGRAPHED)


def print_fit(cases: list[Case]) -> None:
    """Fit each model anew; print its coefficients on raw statistics and its cross-validated accuracy."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth, groups = np.array([case.drawn for case in cases]), [case.group for case in cases]
    looks = np.array([case.look for case in cases])
    for name, keys in {name: list(weights) for name, (_, weights) in MODELS.items()}.items():
        rows = np.array([[case.found[key] for key in keys] for case in cases])
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=5000))
        right = cross_val_predict(model, rows, truth, groups=groups, cv=GroupKFold(5)) == truth
        print(f"{name}: cross-validated accuracy {right.mean():.4f}, of originals {right[looks == 'as is'].mean():.4f}")
        scale, fitted = model.fit(rows, truth)
        weights = fitted.coef_[0] / scale.scale_
        bias = float(fitted.intercept_[0] - weights @ scale.mean_)
        print(f'    "{name}": ({bias:.3f}, {dict(zip(keys, (round(float(w), 3) for w in weights), strict=True))}),')


if __name__ == "__main__":
    main()
