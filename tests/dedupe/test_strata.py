"""Each class has its share of every split, as far as groups allow; the hash says who goes where, wherever it can."""

from collections import Counter
from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupe.groups import Memory, assign, hash_split
from curate.dedupe.strata import Strata
from curate.records import SPLITS

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def drawn(
    classes: list[int], groups: list[int] | None = None, splits: dict[int, str] | None = None,
    shares: dict[str, float] = SHARES, salt: str = "s",
) -> list[str]:  # fmt: skip
    """The split of each row; `groups` by first row, `splits` of those that were placed before."""
    ids = [f"{n:06d}" for n in range(len(classes))]
    of = np.array(groups if groups is not None else range(len(ids)), dtype=np.int64)
    said = [(ids[row], split) for row, split in (splits or {}).items()]
    memory = Memory.from_remembered(ids, [(one, one) for one, _ in said], said)
    strata = Strata(of, np.array(classes, dtype=np.int64), np.ones(len(ids), dtype=bool), memory.splits)
    found = assign(ids, of, memory, partial(strata.draw, salt, shares))
    return [SPLITS[split] for split in found.splits]


def counts(classes: list[int], splits: list[str]) -> dict[int, list[int]]:
    pairs = Counter(zip(classes, splits, strict=True))
    return {one: [pairs[one, split] for split in SPLITS] for one in sorted(set(classes))}


@given(st.lists(st.integers(0, 3), max_size=120), st.text(max_size=3))
def test_of_single_samples_every_class_has_its_share_to_the_row(classes: list[int], salt: str) -> None:
    splits = drawn(classes, salt=salt)
    for whole, found in zip(Counter(sorted(classes)).values(), counts(classes, splits).values(), strict=True):
        for n, share in zip(found, SHARES.values(), strict=True):
            assert abs(n - share * whole) < 1


def test_few_samples_of_a_class_are_tested_on_before_they_are_validated_on() -> None:
    found = {n: counts([0] * n, drawn([0] * n))[0] for n in (1, 3, 5, 6, 10, 15)}
    assert found == {
        1: [1, 0, 0], 3: [3, 0, 0], 5: [4, 0, 1], 6: [5, 0, 1], 10: [8, 1, 1], 15: [12, 1, 2],
    }  # fmt: skip


def test_hardly_any_group_goes_elsewhere_than_its_hash_says() -> None:
    """So that two workspaces with one salt agree on nearly all that both have."""
    classes = [n % 3 for n in range(3000)]
    by_hash = [SPLITS[split] for split in hash_split("s", SHARES, [f"{n:06d}" for n in range(3000)])]
    splits = drawn(classes)
    assert sum(a != b for a, b in zip(by_hash, splits, strict=True)) < 0.03 * 3000
    assert all(found == [800, 100, 100] for found in counts(classes, splits).values())


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=5))
def test_what_is_placed_stays_and_later_rows_make_up_for_it(history: list[list[int]]) -> None:
    classes: list[int] = []
    placed: dict[int, str] = {}
    for more in history:
        classes += more
        splits = drawn(classes, splits=placed)
        assert all(splits[row] == split for row, split in placed.items())
        placed = dict(enumerate(splits))
    for whole, found in zip(Counter(sorted(classes)).values(), counts(classes, splits).values(), strict=True):
        for n, share in zip(found, SHARES.values(), strict=True):
            assert abs(n - share * whole) <= 2, "as if they had come at once, but for what rounds"


def test_later_rows_make_up_for_splits_that_were_drawn_otherwise() -> None:
    placed = dict.fromkeys(range(50), "train")
    splits = drawn([0] * 100, splits=placed)
    assert counts([0] * 100, splits)[0] == [80, 10, 10]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=40), st.text(max_size=2))
def test_groups_stay_whole_and_are_spread_as_far_as_they_allow(sizes: list[tuple[int, int]], salt: str) -> None:
    groups: list[int] = []
    classes: list[int] = []
    for size, one in sizes:
        groups += [len(groups)] * size
        classes += [one] * size
    splits = drawn(classes, groups, salt=salt)
    assert all(splits[row] == splits[head] for row, head in enumerate(groups))
    for one, found in counts(classes, splits).items():
        largest = max(size for size, of in sizes if of == one)
        whole = sum(found)
        for n, share in zip(found, SHARES.values(), strict=True):
            assert n - share * whole < largest + 1, "no split has more than its share and one group"


def test_a_group_larger_than_a_split_does_not_fill_it() -> None:
    for salt in "abcdefghij":
        splits = drawn([0] * 150, [*[0] * 50, *range(50, 150)], salt=salt)
        assert splits[0] == "train"
        assert counts([0] * 150, splits)[0] == [120, 15, 15]


def test_a_split_without_a_share_has_nothing() -> None:
    splits = drawn([0, 1] * 40, shares={"train": 0.75, "val": 0.25, "test": 0.0})
    assert counts([0, 1] * 40, splits) == {0: [30, 10, 0], 1: [30, 10, 0]}
