"""Random histories of a dataset: samples come, look alike, are held back, are taken down. Nothing ever moves."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.dedupe.groups import Memory, assign, merge_components, moved_names, remembered_pairs
from curate.dedupe.strata import Strata
from curate.records import SPLITS, Manifest
from curate.release.diff import between
from tests.support.changed import applied

SHARES = {"train": 0.5, "val": 0.2, "test": 0.3}
COLUMNS = ("id", "label", "split", "group", "label_source", "source", "votes")
KINDS = pa.schema([*((name, pa.string()) for name in COLUMNS), ("probability", pa.float64())])
Rows = dict[str, dict[str, Any]]


@dataclass
class World:
    """What the catalog would hold, and every release with what was taken out of it."""

    classes: dict[str, int] = field(default_factory=dict)
    alike: list[tuple[str, str]] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)
    releases: list[Rows] = field(default_factory=list)
    ever: dict[str, str] = field(default_factory=dict)  # the split of all that was ever placed
    seen: set[tuple[str, str]] = field(default_factory=set)  # all that was ever found to be alike, the gone as well

    def dedupe(self, wanted: Mapping[str, str]) -> Rows:
        """What `curate dedupe` does, and the rows that `export` makes of it."""
        ids = sorted(self.classes.keys() - self.held)
        at = {one: row for row, one in enumerate(ids)}
        least = dict(self.floors)
        for one in self.held & self.splits.keys():
            least[self.names[one]] = max(least.get(self.names[one], "train"), self.splits[one], key=SPLITS.index)
        memory = Memory.from_remembered(ids, self.names.items(), self.splits.items(), least)
        near = np.array([(at[a], at[b]) for a, b in self.alike if a in at and b in at], dtype=np.int64).reshape(-1, 2)
        groups = merge_components(np.arange(len(ids)), np.concatenate([near, remembered_pairs(memory)]))
        classes = np.array([self.classes[one] for one in ids], dtype=np.int64)
        strata = Strata(groups, classes, np.ones(len(ids), dtype=bool), memory.splits)
        asked = np.array([SPLITS.index(wanted[one]) if one in wanted else -1 for one in ids], dtype=np.int64)
        found = assign(ids, groups, memory.beside(asked), partial(strata.draw, "salt", SHARES))
        for row in np.flatnonzero(memory.minimum_splits >= 0).tolist():
            self._owe(found.names[row], SPLITS[memory.minimum_splits[row]])
        self.seen |= {(a, b) for a, b in self.alike if a in at and b in at}
        moved = moved_names(memory, found)
        self.names = {one: moved.get(name, name) for one, name in self.names.items()}
        self.names |= dict(zip(ids, found.names, strict=True))
        self.splits |= {one: SPLITS[split] for one, split in zip(ids, found.splits, strict=True)}
        return {
            one: self._row(one, found.names[row], self.splits[one])
            for row, one in enumerate(ids)
            if found.merged[row] < 0
        }

    def _owe(self, name: str, split: str) -> None:
        self.floors[name] = max(self.floors.get(name, "train"), split, key=SPLITS.index)

    def _row(self, one: str, group: str, split: str) -> dict[str, Any]:
        label = ("neutral", "porn", "sexy")[self.classes[one]]
        said = {"label": label, "split": split, "group": group, "label_source": "weak", "source": "urllist"}
        return {**said, "votes": None, "probability": 0.5}

    def take_down(self, gone: str) -> None:
        """As `curate.removal.erase` and `curate.release.redact` do it."""
        name = self.names.get(gone)
        if name is not None and any(one != gone and other == name for one, other in self.names.items()):
            self._owe(name, self.splits[gone])
        for known in (self.classes, self.names, self.splits):
            known.pop(gone, None)
        self.held.discard(gone)
        self.alike = [pair for pair in self.alike if gone not in pair]
        fresh = f"of-{gone}"
        self.names = {one: fresh if name == gone else name for one, name in self.names.items()}
        if gone in self.floors:
            self.floors[fresh] = self.floors.pop(gone)
        for release in self.releases:
            release.pop(gone, None)
            for row in release.values():
                row["group"] = fresh if row["group"] == gone else row["group"]


def history(seed: int, steps: int) -> Iterator[World]:
    """A world after each step; the last of its releases is the one that the step made."""
    random, world = Random(seed), World()
    for step in range(steps):
        new = [f"{random.randrange(10**6):06d}-{step}-{n}" for n in range(random.randrange(1, 14))]
        world.classes |= {one: random.randrange(3) for one in new}
        there = sorted(world.classes)
        world.alike += [tuple(random.sample(there, 2)) for _ in range(random.randrange(12)) if len(there) > 1]  # type: ignore[misc]
        world.held = {one for one in there if random.random() < 0.1}
        linked = sorted({one for pair in world.alike for one in pair})
        leaving = {
            *random.sample(there, min(len(there) - 1, random.randrange(2))),
            *random.sample(linked, len(linked) // 4),
        }
        for gone in sorted(leaving):
            world.take_down(gone)
        for one in random.sample(sorted(world.classes), min(len(world.classes), 2)):
            world.classes[one] = random.randrange(3)  # somebody labels it otherwise
        wanted = {one: random.choice(SPLITS) for one in world.classes if random.random() < 0.1}
        world.releases.append(world.dedupe(wanted))
        yield world


def manifest(rows: Rows) -> Manifest:
    each = [{"id": one, **rows[one]} for one in sorted(rows)]
    tables = {split: pa.Table.from_pylist([row for row in each if row["split"] == split], KINDS) for split in SPLITS}
    return Manifest("1.0.0", Path("nowhere"), {}, tables)


def check(world: World) -> None:
    """What must be true after each step."""
    for one, split in world.splits.items():
        assert world.ever.setdefault(one, split) == split, "it moved"
    in_splits: dict[str, set[str]] = {}
    for release in world.releases:
        for one, row in release.items():
            assert row["split"] == world.ever[one], "a release says otherwise"
    newest = world.releases[-1]
    for row in newest.values():
        in_splits.setdefault(row["group"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in in_splits.values()), "a group is in two splits"
    for a, b in world.alike:
        if a in newest and b in newest:
            assert newest[a]["split"] == newest[b]["split"], "what looks alike is in two splits"
    for pair in world.seen:
        for a, b in (pair, pair[::-1]):
            if world.ever[a] == "test" and b in newest:
                assert newest[b]["split"] == "test", "what looks like something tested on is trained on, that one gone"


def check_diff(before: Rows, after: Rows) -> None:
    said = json.loads(json.dumps(between(None, manifest(before), manifest(after))))
    assert applied(before, said) == after
    assert said["moved"] == []


def play(seeds: range, steps: int) -> None:
    for seed in seeds:
        for world in history(seed, steps):
            check(world)
        check_diff(*world.releases[-2:])


def test_nothing_moves_in_random_histories() -> None:
    play(range(1000, 1400), 9)


@pytest.mark.soak
def test_nothing_moves_in_many_long_histories() -> None:
    play(range(10_000, 15_000), 14)
