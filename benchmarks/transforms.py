"""Which copies each hash finds: precision and recall by alteration, ours beside imagededup's and cleanvision's.

    python -m benchmarks.transforms [--peer INTERPRETER] [--write docs/dedupe.md]

`--peer` is the interpreter of an environment with imagededup and cleanvision. True pairs are a picture and each of its
altered copies; hard non-duplicates are two pictures of one scene (tiles of a photograph that do not overlap, drawings
of one folder). Each method has one threshold for all alterations: the largest at which its precision, over all of
these pairs, is at least 0.99. `--write` puts the tables between the marks in that file.
"""

import argparse
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache as once
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.altered import ALTERED, AS_IS, Picture, make, make_strangers
from benchmarks.corpus import cache
from curate.config import DedupeConfig
from curate.dedupe.similarity import FLAT
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import pdq, phash
from curate.media.decode import Bounds, open_image, scaled
from curate.near import turns as near_turns
from curate.policy.written import Written
from labelers.efficientnet_lite0 import EfficientnetLite0

PRECISION = 0.99
FAR = 1e9  # the distance where a method says nothing of one of the two
PHASH_QUALITY, PDQ_QUALITY = 0.3, 0  # [dedupe] phash_quality and pdq_quality, at their most generous
SCENE = 300  # hard pairs of one scene, at most
VARIANT = 0.9  # correlation at 32x32 from which two drawings are variants of one
EMPTY = 3  # grey levels between the darkest and the lightest at 32x32; below it there is no picture to find again
ALIKE = 3.0  # mean grey levels at 32x32 by which two pictures must differ to count as non-duplicates
BEGIN, END = "<!-- benchmarks.transforms: begin -->", "<!-- benchmarks.transforms: end -->"
BOUNDS = Bounds(min_side=1)
SHORT = {
    "our pHash": "pHash", "pHash, borders": "pHash", "pHash, 8 orientations": "turned", "PDQ, upright": "PDQ",
    "PDQ, 8 orientations": "PDQ turned", "embeddings": "cosine",
}  # fmt: skip
TOGETHER: dict[str, tuple[float, ...]] = {  # tried together (upright is one of 8); -1: not asked
    "pHash, borders": (8, 9, 10, 11, 12, 13, 14),
    "pHash, 8 orientations": (4, 5, 6, 7, 8),
    "PDQ, 8 orientations": (24, 31, 40, 48),
    "embeddings": (-1, 0.0005, 0.002, 0.01),
}
RADII: dict[str, tuple[float, ...]] = {
    "our pHash": (4, 6, 8, 10, 12, 14, 16),
    "pHash, borders": (4, 6, 8, 10, 12, 14, 16),
    "pHash, 8 orientations": (2, 4, 5, 6, 7, 8, 10),
    "PDQ, upright": (16, 24, 31, 40, 48, 56, 64, 72),
    "PDQ, 8 orientations": (16, 24, 31, 40, 48, 56, 64, 72),
    "embeddings": (0.02, 0.05, 0.08, 0.1, 0.15, 0.2),
}

Values = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Method:
    """`near`: how far the files of each pair are apart; `scale`: how a threshold is said."""

    name: str
    near: Callable[[Pairs], Values]
    unit: str = "bits"


@dataclass(frozen=True)
class World:
    """The files, their true pairs, and pairs that are no duplicates: of one scene (hard), of different scenes."""

    pictures: Sequence[Picture]
    true: Pairs
    how: npt.NDArray[np.str_]
    hard: Pairs
    easy: Pairs


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="interpreter of an environment with imagededup and cleanvision")
    parser.add_argument("--folder", type=Path, default=cache() / "transforms")
    parser.add_argument("--write", type=Path, help="a Markdown file with the marks in it")
    parser.add_argument("--scenes", type=int, default=1, help="alter one scene in so many (for a quicker look)")
    asked = parser.parse_args()
    altered, strangers = asked.folder / "altered", asked.folder / "strangers"
    pictures = [one for one in make(altered) if chosen(one.group, asked.scenes)]
    others = make_strangers(strangers)
    ours, more = _ours(altered, pictures), _ours(strangers, others)
    both = {name: np.concatenate([ours[name], more[name]]) for name in ours}
    theirs = _theirs(altered, asked.peer, pictures), _theirs(strangers, asked.peer, others)
    text = tables(_world([*pictures, *others], both["thumb"]), both, _merged(*theirs))
    print(text)
    if asked.write:
        page = asked.write.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        asked.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def chosen(scene: str, every: int) -> bool:
    """Whether a scene is among one in so many, the same ones every time."""
    return int(hashlib.sha256(scene.encode()).hexdigest(), 16) % every == 0


# -- what each method says of each file ------------------------------------------------------------------------------


def _ours(folder: Path, pictures: Sequence[Picture]) -> dict[str, npt.NDArray[Any]]:
    """Our hashes and embeddings of every file, kept beside the corpus."""
    paths = [folder / one.name for one in pictures]
    marks = f"{phash.fingerprint_of(phash.FULL)}-{pdq.FINGERPRINT}"
    return _remembered(folder, f"hashes-{marks}", _hashes, paths) | _remembered(
        folder, f"embeddings-{EfficientnetLite0.version}", _embedding, paths
    )


def _remembered(
    folder: Path, name: str, work: Callable[[Path], dict[str, npt.NDArray[Any]]], paths: Sequence[Path]
) -> dict[str, npt.NDArray[Any]]:
    kept = folder.parent / f"{folder.name}-{len(paths)}-{name}.npz"
    if not kept.is_file():
        with ProcessPoolExecutor() as pool:
            rows = list(pool.map(work, paths, chunksize=64))
        found = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        np.savez(kept, allow_pickle=False, **found)
    with np.load(kept) as read:
        return dict(read)


def _hashes(path: Path) -> dict[str, npt.NDArray[Any]]:
    look = Inspect(BOUNDS)(FetchedBytes(0, path.read_bytes()))
    assert look.hashes is not None, f"{path}: {look.failure}"
    return {
        **{name: _both(look.hashes, name) for name in ("phash", "signs")},
        "quality": np.array([look.hashes[name] for name in ("quality", "inner_quality")], dtype=np.float32),
        "thumb": np.frombuffer(look.hashes["thumb"], dtype=np.uint8),
        "pdq": look.pdq[0].array,
        "pdq_quality": np.asarray(look.pdq[0].quality, dtype=np.uint8),
    }


def _both(row: Mapping[str, Any], name: str) -> npt.NDArray[np.uint8]:
    """Of the whole picture, and of the one within its border: uint8[2, 8]."""
    return np.frombuffer(row[name] + row[f"inner_{name}"], dtype=np.uint8).reshape(2, 8)


def _embedding(path: Path) -> dict[str, npt.NDArray[Any]]:
    return {"embedding": _network().label([_View(path.read_bytes())])["embedding"][0]}


@dataclass
class _View(Written):
    data: bytes
    sample: Any = None
    declared: Any = None

    def image(self, side: int | None) -> Any:
        return scaled(open_image(self.data, BOUNDS), side)


@once
def _network() -> EfficientnetLite0:
    network = EfficientnetLite0()
    network.load()
    return network


def _theirs(folder: Path, peer: str | None, pictures: Sequence[Picture]) -> dict[str, Any]:
    """What the peers say of each file, kept beside the corpus; nothing where there is no peer."""
    kept = folder.parent / f"{folder.name}-peer.json"
    if not kept.is_file() and peer is not None:
        script = Path(__file__).with_name("peer_dedup.py")
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([peer, script, folder, kept], check=True, capture_output=True, env=clean)
    if not kept.is_file():
        return {}
    found = json.loads(kept.read_text())
    sets = {name: f"{folder.name}-{number}" for number, some in enumerate(found["cleanvision"]) for name in some}
    names = [one.name for one in pictures]
    hashes = {kind: [bytes.fromhex(of[name]) for name in names] for kind, of in found["hashes"].items()}
    cnn = found["cnn"] if isinstance(found["cnn"], str) else [found["cnn"][name] for name in names]
    return {"hashes": hashes, "cnn": cnn, "sets": [sets.get(name, f"{folder.name}/{name}") for name in names]}


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What is said of both folders' files, in order."""
    if not one or not other:
        return {}
    cnn = one["cnn"] if isinstance(one["cnn"], str) else one["cnn"] + other["cnn"]
    hashes = {kind: one["hashes"][kind] + other["hashes"][kind] for kind in one["hashes"]}
    return {"hashes": hashes, "cnn": cnn, "sets": one["sets"] + other["sets"]}


# -- pairs -----------------------------------------------------------------------------------------------------------


def _world(pictures: Sequence[Picture], thumbs: npt.NDArray[np.uint8]) -> World:
    """The pairs. Two that are nearly equal at 32x32 count for nothing; nor do drawings that are variants of one."""
    first = [row for row, one in enumerate(pictures) if one.how == AS_IS and int(np.ptp(thumbs[row])) >= EMPTY]
    at = {pictures[row].base: row for row in reversed(first)}
    last = max(row for row, one in enumerate(pictures) if one.how != AS_IS)
    at = {base: row for base, row in at.items() if row < last}  # strangers count their own names anew
    copies = [row for row, one in enumerate(pictures) if one.how != AS_IS and one.base in at]
    true = np.array([(at[pictures[row].base], row) for row in copies])
    rows = np.array(first)
    group = np.unique([pictures[row].group for row in rows], return_inverse=True)[1]
    drawn = np.array([pictures[row].drawn and not pictures[row].group.startswith("wall-") for row in rows])
    left, right = np.triu_indices(len(rows), 1)
    same = group[left] == group[right]
    small = thumbs[rows].astype(np.float32)
    apart = _slices(left, right, lambda a, b: np.abs(small[a] - small[b]).mean(axis=1))
    centred = small - small.mean(axis=1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    variant = _slices(left, right, lambda a, b: (centred[a] * centred[b]).sum(axis=1)) > VARIANT
    told = (apart >= ALIKE) & ~(variant & drawn[left] & drawn[right])
    pairs = np.stack([rows[left], rows[right]], axis=1)
    how = np.array([pictures[row].how for row in copies])
    return World(pictures, true, how, _capped(pairs[same & told], group[left][same & told]), pairs[~same & told])


def _slices(left: Pairs, right: Pairs, of: Callable[[Pairs, Pairs], npt.NDArray[np.float32]]) -> Values:
    return np.concatenate([of(left[n : n + 8192], right[n : n + 8192]) for n in range(0, len(left), 8192)])


def _capped(pairs: Pairs, scene: Pairs) -> Pairs:
    """At most SCENE pairs of a scene, drawn by lot, so that one large folder does not decide."""
    order = np.random.default_rng(0).permutation(len(pairs))
    ranked = order[np.argsort(scene[order], kind="stable")]
    sizes = np.bincount(scene)
    place = np.arange(len(pairs)) - (np.cumsum(sizes) - sizes)[scene[ranked]]
    return pairs[np.sort(ranked[place < SCENE])]


def _bits(hashes: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_] | None = None) -> Callable[[Pairs], Values]:
    """Hamming distance; FAR where a hash says nothing of its picture."""
    words = np.ascontiguousarray(hashes).view(np.uint64)

    def near(pairs: Pairs) -> Values:
        bits = np.bitwise_count(words[pairs[:, 0]] ^ words[pairs[:, 1]]).sum(axis=1).astype(np.float64)
        return bits if known is None else np.where(known[pairs].all(axis=1), bits, FAR)

    return near


def _forms(
    both: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_], turns: Sequence[int] = (0,)
) -> Callable[[Pairs], Values]:
    """The smallest distance between a form of the one and, so turned, a form of the other: uint8[n, 2, 8] each."""

    def near(pairs: Pairs) -> Values:
        found = np.full(len(pairs), FAR)
        for mine, theirs, turn in product((0, 1), (0, 1), turns):
            other = near_turns.turned(both[:, theirs], turn) if turn else both[:, theirs]
            words, others = (np.ascontiguousarray(one).view(np.uint64) for one in (both[:, mine], other))
            bits = np.bitwise_count(words[pairs[:, 0]] ^ others[pairs[:, 1]]).sum(axis=1).astype(np.float64)
            told = known[pairs[:, 0], mine] & known[pairs[:, 1], theirs]
            np.minimum(found, np.where(told, bits, FAR), out=found)
        return found

    return near


def _default(ours: dict[str, Any]) -> Callable[[Pairs], Values]:
    """0 where dedupe by default calls two files near, FAR else; without PDQ's orientations, which find no more here."""
    config = DedupeConfig()
    told = ours["quality"] >= config.phash_quality
    steady = (ours["pdq_quality"] >= config.pdq_quality) & (ours["quality"][:, 0] >= FLAT)
    asked = (
        (_forms(ours["phash"], told), config.group_radius),
        (_forms(ours["signs"], told, range(pdq.ORIENTATIONS)), config.turned_radius),
        (_bits(ours["pdq"][:, 0], steady), config.pdq_group_radius),
    )
    return lambda pairs: np.where(np.any([near(pairs) <= at for near, at in asked], axis=0), 0.0, FAR)


def _turned(hashes: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_]) -> Callable[[Pairs], Values]:
    """The smallest distance between the first upright and any of the eight orientations of the second."""

    def near(pairs: Pairs) -> Values:
        words = np.ascontiguousarray(hashes).view(np.uint64)
        bits = _slices(
            pairs[:, 0], pairs[:, 1], lambda a, b: np.bitwise_count(words[a, :1] ^ words[b]).sum(axis=2).min(axis=1)
        )
        return np.where(known[pairs].all(axis=1), bits, FAR)

    return near


def _angles(vectors: npt.NDArray[Any]) -> Callable[[Pairs], Values]:
    """One less the cosine."""
    unit = vectors.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)

    def near(pairs: Pairs) -> Values:
        return 1 - _slices(pairs[:, 0], pairs[:, 1], lambda a, b: (unit[a] * unit[b]).sum(axis=1))

    return near


def _sets(of: Sequence[str]) -> Callable[[Pairs], Values]:
    """0 for two files of one set, FAR else."""
    number = np.unique(of, return_inverse=True)[1]
    return lambda pairs: np.where(number[pairs[:, 0]] == number[pairs[:, 1]], 0.0, FAR)


def methods(world: World, ours: dict[str, Any], theirs: dict[str, Any]) -> list[Method]:
    """Everything that is compared."""
    textured = ours["quality"] >= PHASH_QUALITY
    steady = (ours["pdq_quality"] >= PDQ_QUALITY) & (ours["quality"][:, 0] >= FLAT)
    found = [
        Method("ours, by default", _default(ours), "as set"),
        Method("our pHash", _bits(ours["phash"][:, 0], textured[:, 0])),
        Method("pHash, borders", _forms(ours["phash"], textured)),
        Method("pHash, 8 orientations", _forms(ours["signs"], textured, range(pdq.ORIENTATIONS))),
        Method("PDQ, upright", _bits(ours["pdq"][:, 0], steady)),
        Method("PDQ, 8 orientations", _turned(ours["pdq"], steady)),
        Method("embeddings", _angles(ours["embedding"]), "1 - cosine"),
    ]
    for name, hashes in theirs.get("hashes", {}).items():
        array = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), 8)
        found.append(Method(f"imagededup {name}", _bits(array)))
    if isinstance(theirs.get("cnn"), list):
        found.append(Method("imagededup CNN", _angles(np.array(theirs["cnn"])), "1 - cosine"))
    if theirs:
        found.append(Method("cleanvision", _sets(theirs["sets"]), "no threshold"))
    return found


# -- figures ---------------------------------------------------------------------------------------------------------


def threshold(true: Values, hard: Values) -> float:
    """The largest distance at which true pairs are at least PRECISION of what is found; -1 where there is none."""
    steps = np.unique(true[true < FAR])
    hits = np.searchsorted(np.sort(true), steps, side="right")
    misses = np.searchsorted(np.sort(hard), steps, side="right")
    good = np.flatnonzero(hits >= PRECISION * (hits + misses))
    return float(steps[good[-1]]) if good.size else -1.0


def tables(world: World, ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Both tables as Markdown."""
    found = [_judged(world, method) for method in methods(world, ours, theirs)]
    stages = [one for one in found if one.method.name in SHORT]
    best = _best(found)
    all_stages = _together(world, [one for one in stages if one.method.name in TOGETHER], best)
    shown = [found[0], all_stages, *found[1:]]
    head = f"| | {' | '.join(one.method.name for one in shown)} |"
    lines = [_about(world, theirs), "", head, f"|---|{'---:|' * len(shown)}"]
    lines.append(f"| **threshold** | {' | '.join(one.said for one in shown)} |")
    lines.append(f"| **precision** | {' | '.join(f'{one.precision:.3f}' for one in shown)} |")
    lines.append(
        f"| **found of different scenes, in a million pairs** | {' | '.join(f'{one.stray:.0f}' for one in shown)} |"
    )
    for how in ALTERED:
        cells = [f"{one.recall[how]:.3f}" for one in shown]
        if all_stages.recall[how] < best.get(how, 0.0):
            cells[1] += " (!)"
        lines.append(f"| {how} | {' | '.join(cells)} |")
    lines.append(f"| **all** | {' | '.join(f'{np.mean(list(one.recall.values())):.3f}' for one in shown)} |")
    return "\n".join([*lines, "", *_curves(world, stages)])


@dataclass(frozen=True)
class Judged:
    """A method at one threshold: recall by alteration, precision, and how many of a million easy pairs it takes."""

    method: Method
    at: float
    said: str
    true: Values
    hard: Values
    easy: Values
    recall: dict[str, float]
    precision: float
    stray: float


def _judged(world: World, method: Method, at: float | None = None) -> Judged:
    true, hard, easy = (method.near(pairs) for pairs in (world.true, world.hard, world.easy))
    at = threshold(true, hard) if at is None else at
    said = (
        "none"
        if at < 0
        else {"bits": f"{at:.0f}", "1 - cosine": f"cosine {1 - at:.3f}", "as set": "as set"}.get(method.unit, "–")
    )
    return _figures(world, method, at, said, (true, hard, easy))


def _figures(world: World, method: Method, at: float, said: str, of: tuple[Values, Values, Values]) -> Judged:
    true, hard, easy = of
    found = true <= at
    recall = {how: float(found[world.how == how].mean()) for how in ALTERED}
    hits, misses = int(found.sum()), int((hard <= at).sum())
    stray = 1e6 * float((easy <= at).mean())
    return Judged(method, at, said, true, hard, easy, recall, hits / max(1, hits + misses), stray)


def _together(world: World, stages: Sequence[Judged], best: dict[str, float]) -> Judged:
    """All stages, each at a radius of its own, one setting for all alterations.

    Of the settings whose union keeps the precision, the one that is not behind imagededup's best hash on most
    alterations, and of these the one that finds most.
    """
    at: tuple[tuple[int, float], Sequence[float]] = ((-1, -1.0), ())
    for radii in product(*(TOGETHER[one.method.name] for one in stages)):
        true, hard = (_any(stages, radii, side) for side in ("true", "hard"))
        if true.sum() < PRECISION * (true.sum() + hard.sum()):
            continue
        ahead = sum(true[world.how == how].mean() >= best.get(how, 0.0) for how in ALTERED)
        at = max(at, ((ahead, float(true.mean())), radii), key=lambda one: one[0])
    sides = [np.where(_any(stages, at[1], side), 0.0, FAR) for side in ("true", "hard", "easy")]
    said = ", ".join(
        f"{SHORT[one.method.name]} {1 - r:.3f}"
        if one.method.unit == "1 - cosine"
        else f"{SHORT[one.method.name]} {r:.0f}"
        for one, r in zip(stages, at[1], strict=True)
        if r >= 0
    )
    return _figures(world, Method("ours, all stages", stages[0].method.near), 0.0, said, (sides[0], sides[1], sides[2]))


def _any(stages: Sequence[Judged], radii: Sequence[float], side: str) -> npt.NDArray[np.bool_]:
    """Which pairs one stage at least finds."""
    found = [getattr(one, side) <= r for one, r in zip(stages, radii, strict=True)]
    return np.asarray(np.any(found, axis=0))


def _best(found: Sequence[Judged]) -> dict[str, float]:
    """The best recall of imagededup's hashes, by alteration."""
    hashes = [one for one in found if one.method.name.startswith("imagededup") and one.method.unit == "bits"]
    return {how: max(one.recall[how] for one in hashes) for how in ALTERED} if hashes else {}


def _about(world: World, theirs: dict[str, Any]) -> str:
    drawn = [one.drawn for one in world.pictures if one.how == AS_IS]
    said = (
        f"{len(drawn)} pictures ({len(drawn) - sum(drawn)} photographs, {sum(drawn)} drawings),"
        f" {len(world.true):,} true pairs, {len(world.hard):,} hard non-duplicates, {len(world.easy):,} pairs"
        " of different scenes."
    )
    if isinstance(theirs.get("cnn"), str):
        said += f" imagededup's CNN was not run: it downloads its weights ({theirs['cnn'].split(':')[0]})."
    return said


def _curves(world: World, stages: Sequence[Judged]) -> list[str]:
    """What each radius of a stage finds and takes wrongly, from which the defaults are chosen."""
    lines = [
        "| stage | radius | recall, all | precision | of different scenes, in a million pairs |",
        "|---|---:|---:|---:|---:|",
    ]
    for one in stages:
        for at in RADII[one.method.name]:
            there = _figures(world, one.method, at, "", (one.true, one.hard, one.easy))
            said = f"cosine {1 - at:.2f}" if one.method.unit == "1 - cosine" else f"{at:.0f} bits"
            mean = np.mean(list(there.recall.values()))
            lines.append(f"| {one.method.name} | {said} | {mean:.3f} | {there.precision:.4f} | {there.stray:.1f} |")
    return lines


if __name__ == "__main__":
    main()
