"""Mirrored and turned copies by the signs of pHash: exact to the bit, and no pair lost that eight joins would find."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.media import phash
from curate.near import dihedral, turns
from curate.near.components import Classes, flatten, union
from curate.near.join import SMALL
from curate.near.orbits import join_orbits, plan
from curate.near.sides import pairs_of
from tests.support.pictures import photograph, texture

SETTINGS = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TRANSPOSE = Image.Transpose
# What PIL calls the eight, in their order.
PILLOW = (None, TRANSPOSE.ROTATE_90, TRANSPOSE.ROTATE_180, TRANSPOSE.ROTATE_270, TRANSPOSE.FLIP_TOP_BOTTOM,
          TRANSPOSE.FLIP_LEFT_RIGHT, TRANSPOSE.TRANSPOSE, TRANSPOSE.TRANSVERSE)  # fmt: skip


@pytest.fixture(params=["numpy", "compiled"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small inputs take numpy; the compiled loops are made to take them, too."""
    if request.param == "compiled":
        monkeypatch.setattr(sys.modules["curate.near.dihedral"], "SMALL", 0)
    return str(request.param)


def hashes(seed: int, n: int, radius: int) -> np.ndarray:
    """Random hashes; two fifths are turned copies with up to `radius` + 2 bits flipped, some their own transpose."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 256, (n, 8), dtype=np.uint8)
    for row in rng.permutation(n)[: n * 2 // 5]:
        found[row] = turns.turned(found[[rng.integers(0, n)]], int(rng.integers(0, 8)))[0]
        for bit in rng.permutation(64)[: rng.integers(0, radius + 3)]:
            found[row, bit // 8] ^= np.uint8(1 << (bit % 8))
    for row in rng.permutation(n)[: n // 8]:
        bits = np.unpackbits(found[row]).reshape(8, 8)
        found[row] = np.packbits(np.triu(bits) | np.triu(bits, 1).T)
    return found


def eight_joins(found: np.ndarray, radius: int) -> np.ndarray:
    """All pairs, i < j, of which one lies within the radius of the other in some orientation: int64[m, 2]."""
    upright, near = found.view(np.uint64)[:, 0], np.zeros((len(found), len(found)), dtype=bool)
    for turn in range(8):
        turned = turns.turned(found, turn).view(np.uint64)[:, 0]
        near |= np.bitwise_count(upright[:, None] ^ turned[None]) <= radius
    i, j = np.nonzero(near | near.T)
    return np.stack([i, j], axis=1)[i < j]


def components(n: int, pairs: np.ndarray) -> list[int]:
    parent = np.arange(n)
    union(parent, pairs[:, 0], pairs[:, 1])
    found: list[int] = flatten(parent).tolist()
    return found


# -- to the bit ------------------------------------------------------------------------------------------------------


def pictures() -> Iterator[Image.Image]:
    yield from (photograph(name) for name in ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"))
    yield from (texture(seed) for seed in range(8))


def test_the_signs_of_turned_pixels_follow_from_those_upright() -> None:
    for image in pictures():
        thumb = image.convert("L").resize((phash.THUMB, phash.THUMB), Image.Resampling.LANCZOS)
        upright = np.frombuffer(phash.columns_of(thumb)["signs"], np.uint8)[None]
        for turn, how in enumerate(PILLOW):
            turned = thumb if how is None else thumb.transpose(how)
            assert phash.columns_of(turned)["signs"] == turns.turned(upright, turn).tobytes(), (turn, how)


def test_a_turned_picture_of_any_size_has_nearly_the_signs_that_follow() -> None:
    for image in pictures():
        upright = np.frombuffer(phash.columns_of(image)["signs"], np.uint8)[None]
        for turn, how in enumerate(PILLOW):
            copy = image if how is None else image.transpose(how)
            signs = np.frombuffer(phash.columns_of(copy)["signs"], np.uint8)[None]
            assert np.bitwise_count(signs ^ turns.turned(upright, turn)).sum() <= 4


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_turns_are_a_group_and_keep_distances(seed: int) -> None:
    one, other = np.random.default_rng(seed).integers(0, 256, (2, 1, 8), dtype=np.uint8)
    apart = np.bitwise_count(one ^ other).sum()
    for turn in range(8):
        assert np.bitwise_count(turns.turned(one, turn) ^ turns.turned(other, turn)).sum() == apart
        back = {1: 3, 3: 1}.get(turn, turn)
        assert (turns.turned(turns.turned(one, turn), back) == one).all()
    assert len({turns.turned(one, turn).tobytes() for turn in range(8)}) in (4, 8)


# -- no pair lost ----------------------------------------------------------------------------------------------------


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 60), radius=st.integers(0, 16), old=st.integers(0, 60))
def test_groups_are_those_of_eight_joins_and_grow_the_same(path: str, seed: int, n: int, radius: int, old: int) -> None:
    found = hashes(seed, n, radius)
    labels = dihedral.groups(found, radius)
    assert labels.tolist() == components(n, eight_joins(found, radius))
    before = dihedral.groups(found[:old], radius)
    assert dihedral.groups(found, radius, old=before).tolist() == labels.tolist()


@pytest.mark.parametrize("radius", [0, 3, 6, 8, 10, 13])
def test_the_large_join_finds_every_pair_and_no_other(radius: int) -> None:
    found = hashes(radius, 2500, radius)
    first = Classes.from_words(found.view(np.uint64)).first
    wanted = eight_joins(found[first], radius)
    assert len(wanted) > 100

    def pairs(new: np.ndarray) -> np.ndarray:
        blocks = join_orbits(found.view(np.uint64)[:, 0], new, first, radius, np.arange(len(found)))
        return np.unique(np.sort(np.searchsorted(first, np.concatenate(list(blocks))), axis=1), axis=0)

    assert np.array_equal(pairs(first), wanted)
    late = first[len(first) // 2 :]
    assert np.array_equal(pairs(late), wanted[(wanted >= len(first) // 2).any(axis=1)])


def test_thousands_with_planted_turns_are_grouped_as_brute_force_does() -> None:
    """So many that the compiled join is asked."""
    found, pairs = hashes(20, 12_000, 6), []
    assert 8 * pairs_of(len(found), len(found), itself=False) > SMALL
    upright = found.view(np.uint64)[:, 0]
    for turn in range(8):
        turned = turns.turned(found, turn).view(np.uint64)[:, 0]
        for start in range(0, len(found), 50):
            i, j = np.nonzero(np.bitwise_count(upright[start : start + 50, None] ^ turned[None]) <= 6)
            pairs.append(np.stack([i + start, j], axis=1))
    assert dihedral.groups(found, 6).tolist() == components(len(found), np.concatenate(pairs))


@pytest.mark.parametrize("radius", range(0, 20))
def test_slots_are_left_alone_by_turns_and_their_flips_exceed_the_radius(radius: int) -> None:
    for new, every in ((1_300_000, 1_300_000), (5_000, 1_000_000), (30_000, 30_000)):
        slots = plan(radius, new, every)
        assert sum(slot.flips + 1 for slot in slots) > radius
        bits = np.concatenate([slot.bits for slot in slots])
        assert len(np.unique(bits)) == len(bits)
        for slot in slots:
            mask = slot.mask(1).view(np.uint8)[None]
            assert (turns.transposed(mask) == mask).all()


def test_what_is_no_table_of_hashes_is_refused() -> None:
    wrongs: list[np.ndarray] = [np.zeros((3, 32), np.uint8), np.zeros((3, 8), np.int64), np.zeros(8, np.uint8)]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="hashes must be"):
            dihedral.groups(wrong, 6)
