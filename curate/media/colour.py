"""Pictures as a colour-managed viewer shows them: an ICC profile's way to sRGB, where that changes what is seen."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

LEVELS = 10  # of 255: a profile that moves no luminance by more hides nothing that PDQ could match (docs/screening.md)
_SAMPLED = 16384  # pixels on which a fast transform is compared with the exact one
_INTENTS = ("managed", "managed:relative", "managed:saturation")
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_TAGS = 100  # more than these are not read
_EXACT = 0x0100  # cmsFLAGS_NOOPTIMIZE: no table of 33 steps between the samples and what the profile says of them


@dataclass(frozen=True)
class Managed:
    """One way through a profile. `exact` is None where the fast one is exact: curves and a matrix."""

    name: str
    mode: str  # of the picture that it takes: RGB, L or CMYK
    fast: Any
    exact: Any = None

    def __call__(self, image: Image.Image) -> Image.Image:
        """The picture in sRGB."""
        chosen = self.fast if self.exact is None or self._agrees(image) else self.exact
        return _applied(chosen, image)

    def _agrees(self, image: Image.Image) -> bool:
        """Whether both ways are one to the picture's own colours: pixels that nobody can choose beforehand."""
        import hashlib

        import numpy as np

        pixels = np.asarray(image).reshape(-1, len(image.getbands()))
        seed = int.from_bytes(hashlib.sha256(pixels.tobytes()).digest()[:8], "big")
        some = pixels[np.random.default_rng(seed).integers(0, len(pixels), _SAMPLED)]
        picture = _picture(some, self.mode)
        apart = np.abs(_luma(_applied(self.fast, picture)) - _luma(_applied(self.exact, picture)))
        return bool((apart > LEVELS).mean() < 0.001)


def ways(profile: bytes | None) -> "tuple[Managed, ...]":
    """The ways through a profile that change what is seen, by more than LEVELS; none where it cannot be read."""
    return _ways(profile) if profile else ()


@lru_cache(maxsize=64)
def _ways(profile: bytes) -> tuple[Managed, ...]:
    """Each rendering intent with a table of its own, and the curves and matrix that a viewer may prefer to tables.

    Curves and a matrix are judged by what they make of a few colours; a table could spare just those, and is applied.
    """
    mode, tables = _SPACES.get(profile[16:20]), _tables(profile)
    if mode is None:
        return ()
    plain = _without(profile, tables)
    wanted = [(profile, intent, name) for intent, name in _intents(profile, tables)]
    found = []
    for body, intent, name in [*wanted, (plain, 0, "managed:matrix" if tables else "managed")]:
        try:
            one = _way(body, intent, name, mode, body is profile and bool(tables))
            if one.exact is not None or not _alike(_luma(_applied(one.fast, _probe(mode))), _luma(_probe(mode))):
                found.append(one)
        except Exception:  # noqa: BLE001, S112 (whatever is wrong with a profile: then no viewer applies it)
            continue
    return tuple(found)


def _intents(profile: bytes, tables: list[int]) -> list[tuple[int, str]]:
    """The rendering intents that have look-up tables of their own; two tags may name one."""
    own: dict[bytes, tuple[int, str]] = {}
    for at in reversed(tables):
        if (intent := profile[at + 3] - ord("0")) in range(len(_INTENTS)):
            own[profile[at + 4 : at + 12]] = (intent, _INTENTS[intent])
    return sorted(own.values())


def _way(profile: bytes, intent: int, name: str, mode: str, table: bool) -> Managed:
    from PIL import ImageCms

    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    build = ImageCms.buildTransform
    fast = build(source, target, mode, "RGB", ImageCms.Intent(intent))
    exact = build(source, target, mode, "RGB", ImageCms.Intent(intent), ImageCms.Flags(_EXACT)) if table else None
    return Managed(name, mode, fast, exact)


def _applied(transform: Any, image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    found = ImageCms.applyTransform(image, transform)
    assert found is not None
    found.info = {}
    return found


def _tables(profile: bytes) -> list[int]:
    """Where in the tag table the look-up tables from device to PCS are named: profiles of curves alone have none."""
    count = min(int.from_bytes(profile[128:132], "big"), _TAGS)
    places = (132 + 12 * n for n in range(count))
    return [at for at in places if profile[at : at + 3] in (b"A2B", b"D2B")]


def _without(profile: bytes, places: list[int]) -> bytes:
    found = bytearray(profile)
    for at in places:
        found[at] = ord("x")
    return bytes(found)


@lru_cache(maxsize=4)
def _probe(mode: str) -> Image.Image:
    """Colours that tell curves and a matrix apart from sRGB's: all greys, and primaries and their mixtures, dimmed."""
    import numpy as np

    ramp = np.arange(256, dtype=np.uint8)
    if mode != "RGB":
        return _picture(np.stack([ramp] * len(Image.new(mode, (1, 1)).getbands()), axis=1), mode)
    mixtures = [(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1) if r + g + b]
    return _picture(np.concatenate([ramp[:, None] * np.array(one, dtype=np.uint8) for one in mixtures]), mode)


def _picture(pixels: "np.ndarray", mode: str) -> Image.Image:
    return Image.frombytes(mode, (len(pixels), 1), pixels.tobytes())


def _alike(one: "np.ndarray", other: "np.ndarray") -> bool:
    return float(abs(one - other).max()) <= LEVELS


def _luma(image: Image.Image) -> "np.ndarray":
    import numpy as np

    return np.asarray(np.asarray(image.convert("RGB")).astype(np.float64) @ (0.299, 0.587, 0.114))
