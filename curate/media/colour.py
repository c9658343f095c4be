"""Pictures as a colour-managed viewer shows them: an ICC profile's way to sRGB, where that changes what is seen."""

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from curate.media import profiles

if TYPE_CHECKING:
    import numpy as np

LEVELS = 10  # of 255: a profile that moves no luminance by more hides nothing that PDQ could match (docs/screening.md)
_SAMPLED = 16384  # pixels on which a fast transform is compared with the exact one
_INTENTS = ("managed", "managed:relative", "managed:saturation")
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_TAGS = 100  # more than these lcms refuses
_SAMPLES = 0x7FFF  # of a curve; the same
_NEEDED = frozenset(b"A2B0 A2B1 A2B2 rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt chad".split())
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
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
    What lcms refuses, or reads by tables that others do not know, is read as others do, too.
    """
    if _SPACES.get(profile[16:20]) is None:
        return ()
    found, whole = _through(profile)
    if not whole and (plain := plainly(profile)) is not None:
        known = {one.name for one in found}
        found += [
            replace(one, name=f"{one.name}:plain" if one.name in known else one.name) for one in _through(plain)[0]
        ]
    return tuple(found)


def _through(profile: bytes) -> tuple[list[Managed], bool]:
    """The ways that lcms finds through a profile, and whether it takes them all, by tables that everybody knows."""
    mode, tables = _SPACES[profile[16:20]], _tables(profile)
    plain = _without(profile, tables)
    wanted = [(profile, intent, name) for intent, name in _intents(profile, tables)]
    found, whole = list[Managed](), all(profile[at : at + 3] != b"D2B" for at in tables)
    for body, intent, name in [*wanted, (plain, 0, "managed:matrix" if tables else "managed")]:
        try:
            one = _way(body, intent, name, mode, body is profile and bool(tables))
            if one.exact is not None or not _alike(_luma(_applied(one.fast, _probe(mode))), _luma(_probe(mode))):
                found.append(one)
        except Exception:  # noqa: BLE001 (whatever is wrong with a profile)
            whole &= name == "managed:matrix"
    return found, whole


def plainly(profile: bytes) -> bytes | None:
    """A profile as decoders read it that want no more of it than they need: its class, further tags, a second tag of
    one name and the number of a curve's samples mean nothing to them. None where none of those tags lies in it.
    """
    found: dict[bytes, bytes] = {}
    last = min(int.from_bytes(profile[128:132], "big"), (len(profile) - 132) // 12)
    for at in range(132, 132 + 12 * last, 12):
        if (name := profile[at : at + 4]) in _NEEDED:
            begin, size = (int.from_bytes(profile[n : n + 4], "big") for n in (at + 4, at + 8))
            found.setdefault(name, _thinned(profile[begin : begin + size]))
    if not found:
        return None
    kind = profile[12:16] if profile[12:16] in _CLASSES else _CLASSES[0]
    written = profiles.written(profile[16:20], list(found.items()))
    return written[:8] + profile[8:12] + kind + profile[16:24] + written[24:]


def _thinned(tag: bytes) -> bytes:
    """A curve of more samples than lcms takes, as what it makes of 8 bits; any other tag as it is."""
    import numpy as np

    count = int.from_bytes(tag[8:12], "big")
    if tag[:4] != b"curv" or not _SAMPLES < count <= (len(tag) - 12) // 2:
        return tag
    samples = np.frombuffer(tag, ">u2", count, 12)
    made = np.interp(np.linspace(0, count - 1, 256), np.arange(count), samples)
    return tag[:8] + (256).to_bytes(4, "big") + bytes(made.round().astype(">u2"))


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
