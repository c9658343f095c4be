"""Groups, splits and survivors as arithmetic: nothing moves, nothing leaks, nothing chains."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupe import groups
from curate.dedupe.groups import (
    Memory,
    assign,
    cluster_by_representative,
    hash_split,
    merge_components,
    remembered_pairs,
)
from curate.records import SPLITS

SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


def draw(names: Sequence[str], heads: groups.Rows, taken: groups.Rows) -> groups.Rows:
    return hash_split("salt", SHARES, names)


def named(number: int) -> str:
    """An id whose order is not that of its number."""
    return f"{(number * 7919) % 1009:04d}-{number}"


def one_drawn(salt: str, shares: dict[str, float], name: str) -> str:
    return SPLITS[hash_split(salt, shares, [name])[0]]


@dataclass(frozen=True)
class Past:
    """What earlier runs said, by id."""

    names: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    minimum_splits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a run says, in words."""

    names: list[str]
    splits: list[str]
    excluded: list[str | None]


def one_run(ids: list[str], edges: list[tuple[str, str]], past: Past) -> tuple[Found, Past, np.ndarray]:
    """What dedupe does with edges between ids, and what it remembers then."""
    at = {one: row for row, one in enumerate(ids)}
    memory = Memory.from_remembered(ids, past.names.items(), past.splits.items(), past.minimum_splits)
    tied = np.array([(at[a], at[b]) for a, b in edges if a in at and b in at], dtype=np.int64).reshape(-1, 2)
    together = merge_components(merge_components(np.arange(len(ids)), tied), remembered_pairs(memory))
    grouping = assign(ids, together, memory, draw)
    excluded = [None if split < 0 else f"merged_with_{SPLITS[split]}" for split in grouping.merged]
    found = Found(grouping.names, [SPLITS[split] for split in grouping.splits], excluded)
    assert {ids[row] for row in grouping.renamed} == {
        one for one, name in zip(ids, found.names, strict=True) if past.names.get(one) != name
    }
    names = {**past.names, **dict(zip(ids, found.names, strict=True))}
    splits = {**dict(zip(ids, found.splits, strict=True)), **past.splits}
    return found, Past(names, splits, past.minimum_splits), together


numbers = st.integers(0, 25)
edge = st.tuples(numbers, numbers)
Edges = list[tuple[int, int]]
step = st.tuples(st.sets(numbers, max_size=8), st.lists(edge, max_size=6), st.sets(numbers, max_size=4))


@given(st.lists(step, min_size=1, max_size=6))
def test_a_history_of_additions_and_removals_moves_nothing_and_leaks_nothing(
    history: list[tuple[set[int], Edges, set[int]]],
) -> None:
    memory, present, edges = Past(), set(), []
    for added, found, held in history:
        present |= {named(n) for n in added}
        edges += [(named(a), named(b)) for a, b in found]
        ids = sorted(present - {named(n) for n in held})
        before = dict(memory.splits)
        grouping, memory, together = one_run(ids, edges, memory)
        assert {one: memory.splits[one] for one in before} == before  # remembered for ever
        assert grouping.splits == [memory.splits[one] for one in ids]
        by_name: dict[str, set[str]] = {}
        for name, split, excluded in zip(grouping.names, grouping.splits, grouping.excluded, strict=True):
            if excluded is None:
                by_name.setdefault(name, set()).add(split)
        assert all(len(splits) == 1 for splits in by_name.values())
        assert len(set(grouping.names)) == len(set(together.tolist()))  # one name a group, one group a name
        for a, b in edges:
            if a in ids and b in ids:
                assert grouping.names[ids.index(a)] == grouping.names[ids.index(b)]
        again, _, _ = one_run(ids, edges, memory)
        assert again == grouping


@given(st.sets(numbers, min_size=1), st.lists(edge, max_size=20), st.randoms())
def test_the_order_in_which_edges_are_found_leaves_no_trace(there: set[int], found: Edges, random: Random) -> None:
    ids = sorted(named(n) for n in there)
    edges = [(named(a), named(b)) for a, b in found]
    first, _, _ = one_run(ids, edges, Past())
    random.shuffle(edges)
    second, _, _ = one_run(ids, [(b, a) for a, b in edges], Past())
    assert first == second


def test_a_new_group_is_named_after_its_smallest_member_and_keeps_the_name() -> None:
    first, memory, _ = one_run(["b", "c"], [("b", "c")], Past())
    assert first.names == ["b", "b"]
    second, _, _ = one_run(["a", "b", "c"], [("a", "b"), ("b", "c")], memory)
    assert second.names == ["b", "b", "b"]


def test_merged_groups_take_the_smallest_name() -> None:
    _, memory, _ = one_run(["b", "c"], [], Past())
    merged, _, _ = one_run(["a", "b", "c"], [("c", "a"), ("a", "b")], memory)
    assert merged.names == ["b", "b", "b"]


def test_a_group_that_loses_its_bridge_stays_one_group() -> None:
    """`b` is held back: `a` and `c` are no longer near each other, and still share a name and a split."""
    _, memory, _ = one_run(["a", "b", "c"], [("a", "b"), ("b", "c")], Past())
    left, _, _ = one_run(["a", "c"], [("a", "b"), ("b", "c")], memory)
    assert left.names == ["a", "a"]
    assert len(set(left.splits)) == 1


def test_a_name_comes_back_to_the_sample_that_it_was_taken_from() -> None:
    found, _, _ = one_run(["a", "b"], [], Past({"b": "a"}, {"b": "test"}))
    assert found == Found(["a", "a"], ["test", "test"], [None, None])


@pytest.mark.parametrize(
    ("remembered", "expected"),
    [
        ({"a": "train", "b": "test"}, "test"),
        ({"a": "val", "b": "test"}, "test"),
        ({"a": "train", "b": "val"}, "val"),
    ],
)
def test_of_merged_splits_the_strongest_wins(remembered: dict[str, str], expected: str) -> None:
    found, _, _ = one_run(["a", "b", "c"], [("a", "b"), ("b", "c")], Past({"a": "a", "b": "b"}, remembered))
    assert found.splits == [*remembered.values(), expected]
    assert found.excluded == [f"merged_with_{expected}", None, None]


def test_the_split_of_a_name_is_golden() -> None:
    """Changing this moves every sample of every workspace."""
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    fell = {
        split: "".join(n for n in "0123456789abcdef" if one_drawn("curate", shares, n * 64) == split)
        for split in shares
    }
    assert fell == {"train": "2345678abcf", "val": "d", "test": "019e"}
    counts = Counter(SPLITS[place] for place in hash_split("other", shares, [str(n) for n in range(20_000)]))
    for split, share in shares.items():
        assert counts[split] / 20_000 == pytest.approx(share, abs=0.01)


def test_a_split_without_a_share_is_never_drawn() -> None:
    for empty in ("train", "val", "test"):
        shares = {split: 0.0 if split == empty else 0.5 for split in ("train", "val", "test")}
        assert empty not in {one_drawn("s", shares, str(n)) for n in range(300)}
    assert {one_drawn("s", {"train": 1.0, "val": 0.0, "test": 0.0}, str(n)) for n in range(300)} == {"train"}


points = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=1, max_size=30)


@given(points, st.integers(0, 5), st.randoms())
def test_stars_are_what_a_greedy_walk_finds(placed: list[tuple[int, int]], radius: int, random: Random) -> None:
    where, labels = np.array([p for p, _ in placed]), np.array([label for _, label in placed])
    rank = np.arange(len(placed))
    random.shuffle(rank)  # type: ignore[arg-type]  # an array

    def alike(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(where[left] - where[right]) <= radius)

    wanted: dict[int, int] = {}
    for row in np.argsort(rank).tolist():
        if row not in wanted:
            for other in range(len(placed)):
                if other not in wanted and labels[other] == labels[row] and abs(where[other] - where[row]) <= radius:
                    wanted[other] = row
    assert cluster_by_representative(labels, rank, alike).tolist() == [wanted[row] for row in range(len(placed))]


def test_a_chain_of_look_alikes_does_not_collapse_into_one() -> None:
    """0-1-2-3-4 in steps of the radius: the middle one survives its neighbours, not the ends."""
    where = np.arange(5)
    found = cluster_by_representative(
        np.zeros(5, dtype=np.int64), np.array([2, 1, 0, 3, 4]), lambda a, b: np.abs(where[a] - where[b]) <= 1
    )
    assert found.tolist() == [0, 2, 2, 2, 4]


def test_past_the_bound_the_rest_stays_uncollapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "STARS", 2)
    where = np.array([0, 0, 10, 10, 20, 20])
    found = cluster_by_representative(np.zeros(6, dtype=np.int64), np.arange(6), lambda a, b: where[a] == where[b])
    assert found.tolist() == [0, 0, 2, 2, 4, 5]


def test_nothing_has_no_survivor() -> None:
    empty = np.empty(0, dtype=np.int64)
    assert cluster_by_representative(empty, empty, lambda a, b: a == b).tolist() == []
    assert one_run([], [], Past())[0] == Found([], [], [])
    assert merge_components(empty, empty.reshape(-1, 2)).tolist() == []
