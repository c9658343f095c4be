"""Pictures for the notebooks: the demo's photographs that scikit-image, scikit-learn and matplotlib bring along, and
line drawings made of them. Nothing is downloaded where these packages are installed."""

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageFilter

from curate.demo.corpus import collect, default_cache, pins

PACKAGES = ("scikit-image", "scikit-learn", "matplotlib")
COPIES = 6  # photographs that are there a second time, smaller and compressed harder


def collected(folder: str) -> None:
    """A folder as somebody collects one: `neutral/`, `drawings/`, some pictures twice, one file that is none."""
    made = list(_pictures())
    for label, name, picture in made:
        _save(picture, Path(folder, label, name))
    for label, name, picture in made[:: len(made) // COPIES][:COPIES]:
        _save(_smaller(picture), Path(folder, label, f"copy-of-{name}"), quality=70)
    Path(folder, "neutral", "not-a-picture.jpg").write_bytes(b"<html>Please sign in.</html>")


def dataset(folder: str) -> None:
    """A dataset as one finds it: some of its test pictures are in train, too, one picture has two labels."""
    made = list(_pictures())
    tests = made[::5]
    for one in made:
        label, name, picture = one
        _save(picture, Path(folder, "test" if one in tests else "train", label, name))
    for label, name, picture in tests[:COPIES]:
        _save(_smaller(picture), Path(folder, "train", label, f"copy-of-{name}"), quality=70)
    label, name, picture = made[2]
    _save(picture, Path(folder, "train", "drawings", f"again-{name}"))
    Path(folder, "train", "neutral", "cut-off.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")


def _pictures() -> Iterator[tuple[str, str, Image.Image]]:
    """Class, name and picture; photographs and drawings take turns, and no drawing is of a photograph that is shown."""
    items = [
        one
        for one in collect(default_cache(), print, [pin for pin in pins() if pin.package in PACKAGES])
        if one.label == "neutral"
    ]
    for n, one in enumerate(items):
        picture = Image.open(io.BytesIO(one.data)).convert("RGB")
        if n % 2:
            yield "drawings", one.name, picture.filter(ImageFilter.CONTOUR)
        else:
            yield "neutral", one.name, picture


def _smaller(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS)


def _save(picture: Image.Image, path: Path, quality: int = 92) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "JPEG", quality=quality)
