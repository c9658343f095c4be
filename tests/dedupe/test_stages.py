"""What is near what, remembered: a run that builds on earlier ones says what a first run says."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate import near
from curate.dedupe import search as stages
from curate.dedupe.search import Stage, by_cosine, by_forms, by_hash, by_orientation, joined
from curate.near import turns as near_turns
from curate.store.workspace import Workspace
from tests.support.builders import workspace

SETTINGS = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


@cache
def phash_of(number: int) -> np.ndarray:
    """Eight far-apart hashes, and others a few bits from one of them."""
    rng = np.random.default_rng(number)
    found = np.random.default_rng(number % 8).integers(0, 256, 8, dtype=np.uint8)
    for bit in rng.integers(0, 64, rng.integers(0, 9)):
        found[bit // 8] ^= 1 << (bit % 8)
    return found


@cache
def turns_of(number: int) -> np.ndarray:
    """Eight orientations of one of five pictures; every other one is given in another orientation than it came in."""
    base = np.random.default_rng(number % 5).integers(0, 256, (8, 32), dtype=np.uint8)
    found = np.roll(base, 4 * (number % 2), axis=0)
    rng = np.random.default_rng(number)
    for bit in rng.integers(0, 256, rng.integers(0, 24)):
        found[:, bit // 8] ^= np.uint8(1 << (bit % 8))
    if number % 3 == 0:  # as where rounding decides: near to what others look like turned, and not the other way round
        found[1:] = rng.integers(0, 256, (7, 32), dtype=np.uint8)
    return found


def lacks(number: int) -> bool:
    """Whether pHash says nothing of it, so that PDQ's orientations are asked."""
    return number % 7 < 4


@cache
def forms_of(number: int) -> tuple[np.ndarray, list[bool]]:
    """One of six pictures, turned anyhow; some with a border, of which some are told by what is within it only."""
    rng = np.random.default_rng(number)
    found = np.random.default_rng(number % 6).integers(0, 256, (2, 8), dtype=np.uint8)
    found = near_turns.turned(found[::-1] if number % 4 == 1 else found, number % 8)
    for form, bit in zip(rng.integers(0, 2, 6), rng.integers(0, 64, 6), strict=True):
        found[form, bit // 8] ^= np.uint8(1 << (bit % 8))
    return found, [number % 5 != 2, number % 3 == 0 or number % 5 == 2]


@cache
def vector_of(number: int) -> np.ndarray:
    base = np.random.default_rng(number % 5).normal(size=6)
    found = base + 0.12 * np.random.default_rng(number).normal(size=6)
    return (found / np.linalg.norm(found)).astype(np.float32)


def stage_of(name: str, numbers: list[int]) -> Stage:
    if name == "phash":
        return by_hash(name, "mark", np.array([phash_of(n) for n in numbers]).reshape(-1, 8), 10)
    if name == "orientations":
        turns = np.array([turns_of(n) for n in numbers], np.uint8).reshape(-1, 8, 32)
        some = np.flatnonzero([lacks(n) for n in numbers])
        return by_orientation("mark", turns[:, 0], some, turns[some], 31)
    if name in ("forms", "turned"):
        forms = np.array([forms_of(n)[0] for n in numbers], np.uint8).reshape(-1, 2, 8)
        told = np.array([forms_of(n)[1] for n in numbers], bool).reshape(-1, 2)
        return by_forms(name, "mark", forms, told, 6, turned=name == "turned")
    return by_cosine("mark", np.array([vector_of(n) for n in numbers], np.float32).reshape(-1, 6), 0.97)


@cache
def alike(name: str, a: int, b: int) -> bool:
    if name == "phash":
        return int(np.bitwise_count(phash_of(a) ^ phash_of(b)).sum()) <= 10
    if name == "orientations":
        one, other = turns_of(a), turns_of(b)
        either = [
            (lacks(b), np.bitwise_count(one[0] ^ other[1:])),
            (lacks(a), np.bitwise_count(other[0] ^ one[1:])),
        ]
        least = min([int(bits.sum(axis=1).min()) for asked, bits in either if asked], default=256)
        same = (one == other).all() if lacks(a) and lacks(b) else lacks(a) == lacks(b) and (one[0] == other[0]).all()
        return bool(same or least <= 31)
    if name in ("forms", "turned"):
        (one, told), (other, known) = forms_of(a), forms_of(b)
        pairs = [(one[i], other[j]) for i in range(2) for j in range(2) if told[i] and known[j]]
        turns = range(8 if name == "turned" else 1)
        apart = [np.bitwise_count(near_turns.turned(x[None], g)[0] ^ y).sum() for x, y in pairs for g in turns]
        return bool(min(apart, default=99) <= 6)
    return bool(vector_of(a) @ vector_of(b) >= 0.97)


def brute(name: str, numbers: list[int]) -> list[int]:
    label = list(range(len(numbers)))
    for _ in numbers:
        for i, a in enumerate(numbers):
            for j, b in enumerate(numbers[:i]):
                if alike(name, a, b):
                    label[i] = label[j] = min(label[i], label[j])
    return label


histories = st.lists(st.sets(st.integers(0, 40), max_size=14), min_size=1, max_size=5)


@pytest.mark.parametrize("name", ["phash", "forms", "turned", "orientations", "embeddings"])
@SETTINGS
@given(histories)
def test_whatever_was_there_before_the_answer_is_that_of_a_first_run(
    ws: Workspace, name: str, history: list[set[int]]
) -> None:
    for present in history:
        numbers = sorted(present, key=named)
        ids = [named(n) for n in numbers]
        found, rebuilt = joined(ws, stage_of(name, numbers), ids, np.arange(len(ids)))
        assert found.tolist() == brute(name, numbers)
        assert rebuilt == []


def named(number: int) -> str:
    """An id whose order is not that of its number."""
    return f"{(number * 7919) % 1009:04x}{number:060x}"


def counted(stage: Stage, asked: list[int]) -> Stage:
    """The stage, which notes how many rows it is asked to search for."""

    def search(rows: np.ndarray, old: np.ndarray) -> np.ndarray:
        asked.append(len(rows) - len(old))
        return stage.search(rows, old)

    return Stage(stage.name, stage.rests_on, stage.features, search)


def run(ws: Workspace, numbers: list[int], change: Callable[[Stage], Stage] = lambda stage: stage) -> list[int]:
    """How many rows each search was for."""
    asked: list[int] = []
    numbers = sorted(numbers, key=named)
    hashes = np.stack([np.random.default_rng(n % 8).integers(0, 256, 8, dtype=np.uint8) for n in numbers])
    hashes[:, 0] ^= np.array([2 ** (n // 8) - 1 for n in numbers], dtype=np.uint8)  # who is near whom: n % 8 tells
    stage = counted(change(by_hash("phash", "mark", hashes, 10)), asked)
    joined(ws, stage, [named(n) for n in numbers], np.arange(len(numbers)))
    return asked


def test_only_what_is_new_is_searched_for(ws: Workspace) -> None:
    assert run(ws, list(range(20))) == [20]
    assert run(ws, list(range(20))) == []
    assert run(ws, list(range(25))) == [5]
    assert run(ws, list(range(25))) == []


def test_a_component_that_lost_a_member_is_searched_for_anew(ws: Workspace) -> None:
    run(ws, list(range(16)))  # eight components of two
    assert run(ws, list(range(1, 16))) == [1]
    assert run(ws, list(range(16))) == [1]


def test_another_radius_or_another_hash_asks_again(ws: Workspace) -> None:
    run(ws, list(range(16)))

    def wider(stage: Stage) -> Stage:
        return Stage(stage.name, ("mark", 12), stage.features, stage.search)

    def altered(stage: Stage) -> Stage:
        features = stage.features.copy()
        features[0, 0] ^= 255
        return by_hash("phash", "mark", features, 10)

    assert run(ws, list(range(16)), wider) == [16]
    assert run(ws, list(range(16)), altered) == [2]  # the one whose hash is another, and who was with it


def test_a_corrupt_table_is_named_and_made_again(ws: Workspace) -> None:
    ids, rows = [named(n) for n in range(6)], np.arange(6)
    ids.sort()
    stage = stage_of("phash", list(range(6)))
    first, _ = joined(ws, stage, ids, rows)
    (path,) = stage.table(ws).path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    again, rebuilt = joined(ws, stage, ids, rows)
    assert again.tolist() == first.tolist()
    assert rebuilt == ["near-phash/all"]
    assert joined(ws, stage, ids, rows)[1] == []


def test_rows_without_the_feature_are_near_to_nothing(ws: Workspace) -> None:
    stage = by_hash("phash", "mark", np.zeros((4, 8), np.uint8), 10)
    ids = sorted(named(n) for n in range(4))
    assert joined(ws, stage, ids, np.array([1, 3]))[0].tolist() == [0, 1, 2, 1]
    assert joined(ws, stage, ids, np.array([], dtype=np.int64))[0].tolist() == [0, 1, 2, 3]


def test_a_vector_block_ends_where_it_should(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = list(range(23))
    whole = stage_of("embeddings", numbers).search(np.arange(23), np.empty(0, np.int64))
    monkeypatch.setattr(stages, "BLOCK", 4)
    assert stage_of("embeddings", numbers).search(np.arange(23), np.empty(0, np.int64)).tolist() == whole.tolist()


@pytest.mark.soak
@pytest.mark.parametrize(("nbytes", "radius"), [(8, 8), (32, 31)])
def test_a_hundred_thousand_in_waves_are_those_of_a_first_run(ws: Workspace, nbytes: int, radius: int) -> None:
    """Waves of arrivals and removals through the compiled join; old ones come back, too."""
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 256, (120_000, nbytes), dtype=np.uint8)
    for row in rng.permutation(120_000)[:30_000]:
        hashes[row] = hashes[rng.integers(0, 120_000)]
        for bit in rng.integers(0, 8 * nbytes, rng.integers(0, nbytes)):
            hashes[row, bit // 8] ^= np.uint8(1 << (bit % 8))
    present = np.zeros(len(hashes), dtype=bool)
    for share in (0.6, 0.9, 0.8, 1.0):
        present = rng.random(len(hashes)) < share
        rows = np.flatnonzero(present)
        found, _ = joined(
            ws, by_hash("soak", "mark", hashes[rows], radius), [f"{n:064x}" for n in rows], np.arange(len(rows))
        )
        assert np.array_equal(found, near.groups(hashes[rows], radius))
