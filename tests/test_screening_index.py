"""The indexes find what brute force finds, at every distance, at every size, however the list came to be loaded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from curate.errors import GateError
from curate.screening import index as index_module
from curate.screening.entries import Entries, Names
from curate.screening.index import NOTHING, Bytes, Digests, Nearest, PdqIndex
from curate.screening.lists.lines import Lines

RADII = (31, 47)


def balanced(count: int, seed: int) -> Bytes:
    """PDQ-like hashes: 128 of 256 bits are set."""
    order = np.random.default_rng(seed).random((count, 256)).argsort(axis=1)
    return np.packbits(order < 128, axis=1)


def flipped(hash_: Bytes, bits: int, seed: int) -> Bytes:
    """The hash with that many of its bits turned over, at random places."""
    places = np.random.default_rng(seed).permutation(256)[:bits]
    mask = np.zeros(256, dtype=np.uint8)
    mask[places] = 1
    return hash_ ^ np.packbits(mask)


def brute(listed: Bytes, queries: Bytes, radius: int) -> Nearest:
    apart = np.bitwise_count(queries[:, None] ^ listed[None]).sum(axis=2, dtype=np.uint16)
    row = apart.argmin(axis=1)
    least = apart[np.arange(len(queries)), row]
    return Nearest(np.where(least <= radius, least, NOTHING), np.where(least <= radius, row, -1))


def same(found: Nearest, wanted: Nearest) -> None:
    assert found.distance.tolist() == wanted.distance.tolist()
    assert found.row.tolist() == wanted.row.tolist()


@pytest.fixture(params=["numpy", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of looking, whatever the size."""
    monkeypatch.setattr(index_module, "PLAIN", 1 << 60 if request.param == "numpy" else 0)
    return str(request.param)


@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000])
@pytest.mark.parametrize("twice", [False, True])
def test_every_distance_of_every_size(way: str, size: int, twice: bool, tmp_path: Path) -> None:
    """Recall is 1 up to the radius and 0 beyond it, before and after the list was saved and loaded."""
    listed = balanced(size, size)
    if twice:
        listed = np.concatenate([listed, listed, listed[:1]])
    rows = sorted({0, size // 2, size - 1})
    queries = np.concatenate([flipped(listed[row], d, 100 * d + row)[None] for d in range(49) for row in rows])
    queries = np.concatenate([queries, _flips_in_every_slot(listed[:1]), balanced(64, 999)])
    path = tmp_path / "list.txt"
    path.write_text("\n".join(one.tobytes().hex() for one in listed))
    entries = Entries()
    entries.add("lines:1", Lines(path, algorithm="pdq"))
    entries.build()
    assert entries.pdq is not None
    for radius in RADII:
        wanted = brute(listed, queries, radius)
        same(PdqIndex.of(listed.tobytes()).nearest(queries, radius), wanted)
        same(entries.pdq.nearest(queries, radius), wanted)
        near = wanted.distance[: 49 * len(rows)].reshape(49, -1) <= radius
        assert near[: radius + 1].all()
        assert not near[radius + 1 :].any()


def _flips_in_every_slot(hash_: Bytes) -> Bytes:
    """The worst for an index by slots: as many flips as the radius allows, spread evenly over the hash."""
    return np.concatenate([hash_ ^ index_module._flips(bits) for bits in (15, 16, 31, 32, 47, 48)])


def test_a_hundred_thousand(way: str) -> None:
    listed = balanced(100_000, 1)
    queries = np.concatenate([flipped(listed[37 * d], d, d)[None] for d in range(49)] + [balanced(8, 2)])
    found = PdqIndex.of(listed.tobytes())
    for radius in RADII:
        nearest = found.nearest(queries, radius)
        assert nearest.distance[: radius + 1].tolist() == list(range(radius + 1))
        assert nearest.row[: radius + 1].tolist() == [37 * d for d in range(radius + 1)]
        assert (nearest.row[radius + 1 :] == -1).all()


def test_another_process_finds_the_same(tmp_path: Path) -> None:
    """What the reference library loses: a list of one hash, saved here and loaded elsewhere."""
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
    blind = Nearest(np.full(2, NOTHING, np.uint16), np.full(2, -1, np.int64))
    monkeypatch.setattr(PdqIndex, "nearest", lambda self, queries, radius: blind)
    with pytest.raises(GateError, match="canary"):
        PdqIndex.of(balanced(1, 1).tobytes())


@pytest.mark.parametrize("width", [16, 20, 32])
def test_digests(width: int) -> None:
    rng = np.random.default_rng(width)
    values = [rng.bytes(width) for _ in range(300)] + [b"\0" * width, b"\1" + b"\0" * (width - 1), b"\xff" * width]
    listed = values[:-1] + values[:5]
    found = Digests.of(b"".join(listed), width)
    for number, value in enumerate(values[:-1]):
        assert found.find(value) == number
    assert found.find(values[-1]) is None
    assert found.find(rng.bytes(width)) is None
    assert Digests.of(values[0], width).find(values[0]) == 0


def test_names() -> None:
    texts = ["line 1", "", "42-image1", "é" * 30, "x"]
    names = Names()
    for text in texts:
        names.append(text)
    assert [names[n] for n in range(len(texts))] == texts


def test_nothing_asked_and_nothing_listed() -> None:
    empty, one = PdqIndex.of(b""), PdqIndex.of(balanced(1, 1).tobytes())
    assert empty.nearest(balanced(2, 1), 31).row.tolist() == [-1, -1]
    assert one.nearest(balanced(1, 1)[:0], 31).row.tolist() == []
