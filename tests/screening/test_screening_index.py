"""The indexes find what brute force finds, at every distance, at every size, however the list came to be loaded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import GateError
from curate.screening import index as index_module
from curate.screening import kernels
from curate.screening.entries import Entries, Names
from curate.screening.index import CANARIES, LONG, NOTHING, RADIUS, Bytes, DigestIndex, Nearest, PdqIndex, Words
from curate.screening.lists.lines import Lines

ENDLESS = 1 << 60
WAYS = {"numpy": (ENDLESS, ENDLESS), "compiled": (0, ENDLESS), "slots": (0, 0)}  # what counts as plain, as long
RADII = (*range(RADIUS + 1), 32, 47)


def balanced(count: int, seed: int) -> Bytes:
    """PDQ-like hashes: 128 of 256 bits are set."""
    order = np.random.default_rng(seed).random((count, 256)).argsort(axis=1)
    return np.packbits(order < 128, axis=1)


def anything(count: int, seed: int) -> Bytes:
    """Hashes with any number of ones, as PDQ gives none."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def flipped(hash_: Bytes, bits: int, seed: int) -> Bytes:
    """The hash with that many of its bits turned over, at random places."""
    places = np.random.default_rng(seed).permutation(256)[:bits]
    mask = np.zeros(256, dtype=np.uint8)
    mask[places] = 1
    return hash_ ^ np.packbits(mask)


def evenly(hash_: Bytes, bits: int) -> Bytes:
    """The hash with that many of its bits turned over, as many in every 16 as can be: each slot holds its share."""
    flips = np.zeros((16, 16), dtype=np.uint8)
    flips.T.flat[:bits] = 1
    return hash_ ^ np.packbits(flips)


def brute(listed: Bytes, queries: Bytes) -> Nearest:
    """The nearest row of each query, however far."""
    apart = np.stack([np.bitwise_count(query ^ listed).sum(axis=1, dtype=np.uint16) for query in queries])
    row = apart.argmin(axis=1)
    return Nearest(apart[np.arange(len(queries)), row], row)


def same(found: Nearest, nearest: Nearest, radius: int) -> None:
    within = nearest.distance <= radius
    assert found.distance.tolist() == np.where(within, nearest.distance, NOTHING).tolist()
    assert found.row.tolist() == np.where(within, nearest.row, -1).tolist()


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of looking, whatever the size."""
    _take(monkeypatch, request.param)
    return str(request.param)


def _take(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    plain, long = WAYS[way]
    monkeypatch.setattr(index_module, "PLAIN", plain)
    monkeypatch.setattr(index_module, "LONG", long)
    monkeypatch.setattr(kernels, "HEAVY", ENDLESS)  # by slots alone


@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000])
@pytest.mark.parametrize("twice", [False, True])
def test_every_distance_of_every_size(way: str, size: int, twice: bool, tmp_path: Path) -> None:
    """Recall is 1 up to the radius and 0 beyond it, before and after the list was saved and loaded."""
    listed = balanced(size, size)
    if twice:
        listed = np.concatenate([listed, listed, listed[:1]])
    rows = sorted({0, size // 2, size - 1})
    queries = np.concatenate([flipped(listed[row], d, 100 * d + row)[None] for d in range(49) for row in rows])
    queries = np.concatenate([queries, *(evenly(listed[:1], bits) for bits in (15, 16, 30, 31, 32, 47, 48))])
    queries = np.concatenate([queries, balanced(64, 999)])
    path = tmp_path / "list.txt"
    path.write_text("\n".join(one.tobytes().hex() for one in listed))
    entries = Entries()
    entries.add("lines:1", Lines(path, algorithm="pdq"))
    entries.build()
    (own,) = (one for _, one in entries._pdq())
    index, wanted = PdqIndex.from_bytes(listed.tobytes()), brute(listed, queries)
    for radius in RADII:
        same(index.nearest(queries, radius), wanted, radius)
        same(own.nearest(queries, radius), wanted, radius)
        near = wanted.distance[: 49 * len(rows)].reshape(49, -1) <= radius
        assert near[: radius + 1].all()
        assert not near[radius + 1 :].any()


def test_a_hundred_thousand(way: str) -> None:
    listed = balanced(100_000, 1)
    queries = np.concatenate([flipped(listed[37 * d], d, d)[None] for d in range(49)] + [balanced(8, 2)])
    found = PdqIndex.from_bytes(listed.tobytes())
    for radius in (0, 15, 16, 30, 31, 47):
        nearest = found.nearest(queries, radius)
        assert nearest.distance[: radius + 1].tolist() == list(range(radius + 1))
        assert nearest.row[: radius + 1].tolist() == [37 * d for d in range(radius + 1)]
        assert (nearest.row[radius + 1 :] == -1).all()


@pytest.mark.parametrize("slot", range(16))
def test_flips_that_leave_one_slot_to_find_it(way: str, slot: int) -> None:
    """The worst for an index by slots: two flips in every 16 bits, but one in a single slot; one more, and none is."""
    listed = balanced(300, slot)
    last = np.unpackbits(listed[-1:].view(np.uint8)).reshape(16, 16)
    order = np.random.default_rng(slot).random((16, 16)).argsort(axis=1)
    flips = (order < 2).astype(np.uint8)
    assert flips.sum() == 32
    edge = flips.copy()
    edge[slot, order[slot] == 0] = 0
    inside = edge.copy()
    inside[slot] = 0
    queries = np.packbits((last ^ np.stack([inside, edge, flips])).reshape(3, 256), axis=1)
    found = PdqIndex.from_bytes(listed.tobytes()).nearest(queries, RADIUS)
    assert found.distance.tolist() == [30, 31, NOTHING]
    assert found.row.tolist() == [299, 299, -1]


def test_of_equals_the_first_whichever_slot_finds_it(way: str) -> None:
    """Two rows at the same distance, one to be found by the first slot alone and one by the last alone."""
    query = balanced(1, 1)
    first, last = query ^ CANARIES[1], query ^ CANARIES[16]
    for listed in (np.concatenate([first, last]), np.concatenate([last, first])):
        found = PdqIndex.from_bytes(listed.tobytes()).nearest(query, RADIUS)
        assert (found.distance.tolist(), found.row.tolist()) == ([31], [0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lists_of_any_shape(data: st.DataObject) -> None:
    """A few hashes and what lies near them: ties, duplicates, shared words and slots, any number of ones."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    seeds = rng.integers(0, 256, (data.draw(st.integers(1, 4)), 32), dtype=np.uint8)
    seeds[0] = data.draw(st.sampled_from([seeds[0], np.zeros(32, np.uint8), np.full(32, 255, np.uint8)]))
    if data.draw(st.booleans()):
        seeds[:] = np.tile(seeds[:, :2], 16)  # every slot alike

    def some(count: int) -> Bytes:
        noise = rng.random((count, 256)) < data.draw(st.sampled_from([0.0, 0.01, 0.06, 0.12]))
        noise[:, data.draw(st.integers(0, 255)) :] = False  # the rest is shared
        return seeds[rng.integers(0, len(seeds), count)] ^ np.packbits(noise, axis=1)

    listed, queries = some(data.draw(st.integers(1, 300))), some(data.draw(st.integers(1, 80)))
    radius, wanted = data.draw(st.integers(0, 47)), brute(listed, queries)
    for way in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            _take(patch, way)
            patch.setattr(kernels, "PIECE", data.draw(st.sampled_from([1 << 19, 7])))
            patch.setattr(kernels, "HEAVY", data.draw(st.sampled_from([ENDLESS, 0.5, 0.05])))
            same(PdqIndex.from_bytes(listed.tobytes()).nearest(queries, radius), wanted, radius)


def test_a_skewed_list_costs_no_more_than_comparing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the list lies near one hash. Queries like it are compared with all, others stay with the slots."""
    listed, compared, every = anything(LONG + 100, 1), list[int](), kernels._all
    mass = np.random.default_rng(2).permutation(len(listed))[: len(listed) // 10]
    listed[mass] = np.stack([flipped(listed[0], n % 20, n) for n in range(len(mass))])

    def counted(columns: Words, asked: Words, radius: int) -> kernels.Found:
        compared.append(len(asked))
        return every(columns, asked, radius)

    monkeypatch.setattr(kernels, "_all", counted)
    index = PdqIndex.from_bytes(listed.tobytes())
    alike = np.stack([flipped(listed[row], n, n) for n, row in enumerate(mass[:16])])
    others = np.stack([flipped(row, 20, 1) for row in np.delete(listed, mass, axis=0)[:50]])
    compared.clear()
    queries = np.concatenate([others, alike])
    same(index.nearest(queries, RADIUS), brute(listed, queries), RADIUS)
    assert len(compared) == 1
    assert 16 <= compared[0] <= 19  # one in two hundred others has 16 bits that are near the mass by chance


@pytest.mark.parametrize("size", [1000, LONG])
def test_one_at_a_time_or_all_at_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = balanced(size, 3)
    index = PdqIndex.from_bytes(listed.tobytes())
    queries = np.concatenate([listed[::500], *(flipped(listed[n], n, n)[None] for n in range(40)), anything(40, 9)])
    whole = index.nearest(queries, RADIUS)
    for step in (1, 8, 33):
        parts = [index.nearest(queries[at : at + step], RADIUS) for at in range(0, len(queries), step)]
        assert np.concatenate([part.row for part in parts]).tolist() == whole.row.tolist()
        assert np.concatenate([part.distance for part in parts]).tolist() == whole.distance.tolist()
    monkeypatch.setattr(kernels, "PIECE", 11)
    assert index.nearest(queries, RADIUS).row.tolist() == whole.row.tolist()
    assert (whole.row[: len(listed[::500])] == np.arange(0, size, 500)).all()


def test_another_process_finds_the_same(tmp_path: Path) -> None:
    """What the reference library loses: a list of one hash, saved here and loaded elsewhere. No compiler is loaded."""
    listed = balanced(1, 5)
    (tmp_path / "list.txt").write_text(listed.tobytes().hex())
    query = flipped(listed[0], 30, 1).tobytes().hex()
    code = (
        "import sys, numpy as np; from pathlib import Path; from curate.screening.gate import load;"
        "from curate.screening.lists.lines import Lines; from curate.media.pdq import Pdq;"
        "from curate.records import Digests; g = load([('lines:1', Lines(Path(sys.argv[1])))], True, None, 1);"
        "p = Pdq('main', bytes.fromhex(sys.argv[2]) * 8, 90);"
        "print(g.problems, g.screen([Digests('0' * 64, '0' * 40, '0' * 32)], [(p,)])[0].match)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "list.txt"), query], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("() Match(list='lines:1', entry='line 1', algorithm='pdq'")
    assert "distance=30" in run.stdout


def test_an_index_that_misses_its_canary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that finds nothing, silently, is what must never pass for one that found nothing."""
    blind = Nearest(np.full(17, NOTHING, np.uint16), np.full(17, -1, np.int64))
    monkeypatch.setattr(PdqIndex, "nearest", lambda self, queries, radius: blind)
    with pytest.raises(GateError, match="canary"):
        PdqIndex.from_bytes(balanced(1, 1).tobytes())


def test_the_canary_proves_each_slot() -> None:
    """A long list of which one slot alone finds nothing is refused: each is asked for what only it can find."""
    index = PdqIndex.from_bytes(anything(LONG, 4).tobytes())
    assert index.slots is not None
    for slot in range(16):
        kept = index.slots.words[slot].copy()
        index.slots.words[slot] = ~kept
        with pytest.raises(GateError, match="canary"):
            index.check()
        index.slots.words[slot] = kept
    index.check()


@pytest.mark.soak
def test_ten_million() -> None:
    """A list of ten million, half of it near-copies of a few thousand hashes: what is planted is found, and no more."""
    listed, rng = anything(10_000_000, 0), np.random.default_rng(0)
    half, noise = len(listed) // 2, np.packbits(rng.random((1000, 256)) < 0.1, axis=1)
    listed[:half] = balanced(5000, 1)[rng.integers(0, 5000, half)] ^ noise[rng.integers(0, 1000, half)]
    index = PdqIndex.from_bytes(listed.tobytes())
    rows = rng.integers(0, len(listed), 80)
    queries = np.stack([flipped(listed[row], n % 40, n) for n, row in enumerate(rows)] + list(balanced(20, 7)))
    words, asked = np.ascontiguousarray(listed).view(np.uint64), queries.view(np.uint64)
    found = index.nearest(queries, RADIUS)
    for n, query in enumerate(asked):
        apart = np.bitwise_count(words ^ query).sum(axis=1, dtype=np.uint16)
        row = int(apart.argmin())
        assert (found.row[n], found.distance[n]) == ((row, apart[row]) if apart[row] <= RADIUS else (-1, NOTHING))


@pytest.mark.parametrize("width", [16, 20, 32])
def test_digests(width: int) -> None:
    rng = np.random.default_rng(width)
    values = [rng.bytes(width) for _ in range(300)] + [b"\0" * width, b"\1" + b"\0" * (width - 1), b"\xff" * width]
    listed = values[:-1] + values[:5]
    found = DigestIndex.from_bytes(b"".join(listed), width)
    for number, value in enumerate(values[:-1]):
        assert found.find(value) == number
    assert found.find(values[-1]) is None
    assert found.find(rng.bytes(width)) is None
    assert DigestIndex.from_bytes(values[0], width).find(values[0]) == 0


def test_names() -> None:
    texts = ["line 1", "", "42-image1", "é" * 30, "x"]
    names = Names()
    names.extend(texts[:2])
    names.extend([])
    names.extend(iter(texts[2:]))
    assert [names[n] for n in range(len(texts))] == texts


def test_nothing_asked_and_nothing_listed() -> None:
    empty, one = PdqIndex.from_bytes(b""), PdqIndex.from_bytes(balanced(1, 1).tobytes())
    assert empty.nearest(balanced(2, 1), 31).row.tolist() == [-1, -1]
    assert one.nearest(balanced(1, 1)[:0], 31).row.tolist() == []
