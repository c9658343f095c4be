"""What the second look of a release takes for a copy that dedupe does not: of altered copies, and of hard pairs.

    python -m benchmarks.second_look [--scenes 2] [--write docs/dedupe.md]

The pictures and pairs of `benchmarks.transforms`, asked by the rules of `curate.dedupe.second_look` as they are set.
Ends with 1 where one hard pair is taken for a copy that dedupe does not take for one.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import transforms
from benchmarks.altered import ALTERED, make, make_strangers
from benchmarks.corpus import cache
from curate.dedupe import second_look
from curate.media import pdq, phash

BEGIN, END = "<!-- benchmarks.second_look: begin -->", "<!-- benchmarks.second_look: end -->"


def main() -> None:
    """Print what is found, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=cache() / "transforms")
    parser.add_argument("--scenes", type=int, default=1, help="alter one scene in so many (for a quicker look)")
    parser.add_argument("--write", type=Path, help="a Markdown file with the marks in it")
    asked = parser.parse_args()
    pictures = [one for one in make(asked.folder / "altered") if transforms.chosen(one.group, asked.scenes)]
    others = make_strangers(asked.folder / "strangers")
    mark = f"hashes-{phash.fingerprint_of(phash.FULL)}-{pdq.FINGERPRINT}"
    read = [
        transforms._remembered(folder, mark, transforms._hashes, [folder / one.name for one in some])
        for folder, some in ((asked.folder / "altered", pictures), (asked.folder / "strangers", others))
    ]
    ours = {name: np.concatenate([one[name] for one in read]) for name in read[0]}
    world = transforms._world([*pictures, *others], ours["thumb"])
    near = transforms._default(ours)
    new = {
        name: second(ours, pairs) & (near(pairs) > 0)
        for name, pairs in (("true", world.true), ("hard", world.hard), ("easy", world.easy))
    }
    text = "\n".join(_said(world, near(world.true) > 0, new))
    print(text)
    if asked.write:
        page = asked.write.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        asked.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    sys.exit(bool(new["hard"].sum()))


def second(ours: dict[str, np.ndarray], pairs: np.ndarray) -> np.ndarray:
    """Which pairs the second look takes for copies: bool[m]."""
    looks, told = second_look.looks(ours["thumb"], ours["phash"][:, 0])
    found = told[pairs].all(axis=1) & (transforms._bits(looks)(pairs) <= second_look.RADIUS)
    for near in (partial(second_look.by_bits, ours["pdq"][:, 0]), partial(second_look.by_thumbs, ours["thumb"])):
        found[found] = near(pairs[found])
    return np.asarray(found)


def _said(world: transforms.World, missed: np.ndarray, new: dict[str, np.ndarray]) -> list[str]:
    lines = [
        f"Of {len(world.true):,} altered copies dedupe misses {missed.sum():,}, of which the second look finds"
        f" {new['true'].sum():,}; of {len(world.hard):,} hard pairs that dedupe leaves apart it takes"
        f" {new['hard'].sum()} for copies, of {len(world.easy):,} pairs of different scenes {new['easy'].sum()}.",
        "",
        "| missed by dedupe, of | found by the second look |",
        "|---|---:|",
    ]
    for how in ALTERED:
        of = world.how == how
        if new["true"][of].any():
            lines.append(f"| {how}: {missed[of].sum()} of {of.sum()} | {new['true'][of].sum()} |")
    return lines


if __name__ == "__main__":
    main()
