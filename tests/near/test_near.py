"""The near-duplicate join is complete: it finds what brute force finds, whatever path it takes."""

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate import near
from curate.errors import CurateError

HASHES = st.integers(0, 2**32 - 1)
SETTINGS = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(params=["numpy", "compiled"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small inputs take numpy; the compiled loops are made to take them, too."""
    if request.param == "compiled":
        monkeypatch.setattr(sys.modules["curate.near.join"], "SMALL", 0)
    return str(request.param)


def hashes(seed: int, n: int, nbytes: int, skew: bool = False) -> np.ndarray:
    """Random hashes, two fifths of which are copies with up to `nbytes` bits flipped, some of them equal."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 256, (n, nbytes), dtype=np.uint8)
    if skew:
        found[:, : nbytes // 2] = found[:1, : nbytes // 2]
    for row in rng.permutation(n)[: n * 2 // 5]:
        found[row] = found[rng.integers(0, n)]
        for bit in rng.integers(0, nbytes * 8, rng.integers(0, nbytes + 1)):
            found[row, bit // 8] ^= 1 << (bit % 8)
    return found


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.bitwise_count(a[:, None] ^ b[None]).sum(axis=2, dtype=np.int64))


def brute(found: np.ndarray, radius: int) -> np.ndarray:
    i, j = np.nonzero(distances(found, found) <= radius)
    return np.stack([i, j], axis=1)[i < j]


def components(n: int, pairs: np.ndarray) -> list[int]:
    label = list(range(n))
    changed = True
    while changed:
        changed = False
        for i, j in pairs.tolist():
            least = min(label[i], label[j])
            changed |= label[i] != least or label[j] != least
            label[i] = label[j] = least
    return label


@SETTINGS
@given(
    seed=HASHES, n=st.integers(0, 60), nbytes=st.sampled_from([8, 32]), radius=st.integers(0, 70), skew=st.booleans()
)
def test_pairs_are_those_of_brute_force(path: str, seed: int, n: int, nbytes: int, radius: int, skew: bool) -> None:
    found = hashes(seed, n, nbytes, skew)
    assert near.pairs(found, radius).tolist() == brute(found, radius).tolist()


@SETTINGS
@given(
    seed=HASHES, n=st.integers(0, 40), m=st.integers(0, 40), nbytes=st.sampled_from([8, 32]), radius=st.integers(0, 40)
)
def test_cross_is_that_of_brute_force(path: str, seed: int, n: int, m: int, nbytes: int, radius: int) -> None:
    both = hashes(seed, n + m, nbytes)
    i, j = np.nonzero(distances(both[:n], both[n:]) <= radius)
    assert near.cross(both[:n], both[n:], radius).tolist() == np.stack([i, j], axis=1).tolist()


@SETTINGS
@given(
    seed=HASHES,
    n=st.integers(0, 60),
    old=st.integers(0, 60),
    nbytes=st.sampled_from([8, 32]),
    radius=st.integers(0, 40),
)
def test_groups_are_components_and_grow_the_same(
    path: str, seed: int, n: int, old: int, nbytes: int, radius: int
) -> None:
    found = hashes(seed, n, nbytes)
    labels = near.groups(found, radius)
    assert labels.tolist() == components(n, brute(found, radius))
    before = near.groups(found[:old], radius)
    assert near.groups(found, radius, old=before).tolist() == labels.tolist()


@pytest.mark.parametrize(("nbytes", "radius"), [(8, 4), (8, 10), (32, 31), (32, 47)])
def test_thousands_are_those_of_brute_force(path: str, nbytes: int, radius: int) -> None:
    found = hashes(7, 3000, nbytes)
    assert np.array_equal(near.pairs(found, radius), brute(found, radius))


@pytest.mark.parametrize("nbytes", [8, 32])
def test_all_equal_is_one_group_and_too_many_pairs(path: str, nbytes: int) -> None:
    found = np.zeros((5000, nbytes), dtype=np.uint8)
    assert near.groups(found, 10).tolist() == [0] * 5000
    with pytest.raises(CurateError, match="max_pairs"):
        near.pairs(found, 10, max_pairs=1_000_000)
    with pytest.raises(CurateError, match="max_pairs"):
        near.cross(found, found, 10, max_pairs=1_000_000)


def test_every_distance_up_to_the_radius_and_none_beyond(path: str) -> None:
    one = np.random.default_rng(1).integers(0, 256, (1, 32), dtype=np.uint8)
    others = np.repeat(one, 64, axis=0)
    for distance in range(64):
        for bit in np.random.default_rng(distance).permutation(256)[:distance]:
            others[distance, bit // 8] ^= 1 << (bit % 8)
    assert near.cross(one, others, 31)[:, 1].tolist() == list(range(32))


@pytest.mark.parametrize("wrong", [np.zeros((3, 7), np.uint8), np.zeros((3, 8), np.int64), np.zeros(8, np.uint8)])
def test_what_is_no_table_of_hashes_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="hashes must be"):
        near.pairs(wrong, 1)


@pytest.mark.soak
def test_a_large_join_finds_exactly_what_was_planted() -> None:
    rng = np.random.default_rng(3)
    found = rng.integers(0, 256, (300_000, 32), dtype=np.uint8)
    copies = rng.permutation(300_000)
    for row, origin in zip(copies[:30_000], copies[30_000:60_000], strict=True):
        found[row] = found[origin]
        for bit in rng.permutation(256)[:31]:
            found[row, bit // 8] ^= 1 << (bit % 8)
    planted = np.sort(np.stack([copies[:30_000], copies[30_000:60_000]], axis=1), axis=1)
    planted = planted[np.lexsort((planted[:, 1], planted[:, 0]))]
    assert np.array_equal(near.pairs(found, 31), planted)


@SETTINGS
@given(
    seed=HASHES, n=st.integers(0, 40), nbytes=st.sampled_from([8, 32]), radius=st.integers(0, 40), cut=st.integers(0, 9)
)
def test_links_join_what_brute_force_joins(path: str, seed: int, n: int, nbytes: int, radius: int, cut: int) -> None:
    both = hashes(seed, 2 * n, nbytes)
    a, b = both[:n], both[n:]
    labels = near.groups(a, radius // 2)
    left, right = np.arange(n)[np.arange(n) % 10 >= cut], np.arange(n)[np.arange(n) % 7 >= cut]
    i, j = np.nonzero(distances(a, b) <= radius)
    chosen = np.isin(i, left) & np.isin(j, right)
    steps = np.concatenate([np.stack([np.arange(n), labels], axis=1), np.stack([i, j], axis=1)[chosen]])
    assert near.link(labels, a, b, radius, some=(left, right)).tolist() == components(n, steps)
    every = np.concatenate([steps, np.stack([i, j], axis=1)])
    assert near.link(labels, a, b, radius).tolist() == components(n, every)


@SETTINGS
@given(
    seed=HASHES, n=st.integers(0, 40), m=st.integers(0, 40), nbytes=st.sampled_from([8, 32]), radius=st.integers(0, 40)
)
def test_beside_is_what_brute_force_finds(path: str, seed: int, n: int, m: int, nbytes: int, radius: int) -> None:
    both = hashes(seed, n + m, nbytes)
    a, b = both[:n], both[n:]
    assert near.beside(a, b, radius).tolist() == (distances(a, b) <= radius).any(axis=1).tolist()


def test_cross_in_stretches_is_cross_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = hashes(11, 300, 32)
    whole = near.cross(found[:200], found[200:], 31)
    assert len(whole)
    monkeypatch.setattr(near, "STRETCH", 37)
    assert near.cross(found[:200], found[200:], 31).tolist() == whole.tolist()
    with pytest.raises(CurateError, match="max_pairs"):
        near.cross(found[:200], found[200:], 31, max_pairs=len(whole) - 1)
