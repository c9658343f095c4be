"""What a worker says is data of the shape that was asked for, or it is no answer."""

import importlib
import inspect
import pkgutil
import struct
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import curate
from curate.checks.page import Obscuring
from curate.checks.scan import Looking, Seen
from curate.contracts import Resources
from curate.dedupe.held_out import Reading
from curate.engine import _answers
from curate.engine._each import All
from curate.engine.pool import Pool
from curate.errors import CurateError, ItemError, UsageError, plain
from curate.evaluate.bundle import Predicting
from curate.features.blobwork import Making
from curate.features.hash_worker import Found, Hashing
from curate.features.inspect import FetchedBytes, Inspect, digests
from curate.features.score_worker import Scores, Scoring, Task, blank
from curate.media import phash
from curate.media.decode import Bounds
from curate.media.pdq import Pdq
from curate.records import Reason, Sample
from curate.review.app.thumbnails import Rendering, Revealing, ThumbnailStyle
from curate.testing.behaviour import _Labelling
from tests.support.pictures import encode, texture

DATA = encode(texture(1))
ARRIVAL = FetchedBytes(0, DATA, digests(DATA))
HERE = Path()
OURS = {"All", "_Run", "_Ask"}  # a chunk of another work; what runs in this process alone


def works() -> dict[str, type]:
    """Every work of the kernel."""
    found = {}
    for module in pkgutil.walk_packages(curate.__path__, "curate."):
        if module.name.startswith(("curate.demo", "curate.commands")):
            continue
        for name, one in inspect.getmembers(importlib.import_module(module.name), is_dataclass):
            if isinstance(one, type) and one.__module__ == module.name and {"load", "__call__"} <= vars(one).keys():
                found[name] = one
    return {name: one for name, one in found.items() if name not in OURS}


def test_every_work_says_what_can_be_an_answer() -> None:
    found = works()
    assert len(found) >= 10
    assert [name for name, one in found.items() if "fits" not in vars(one)] == []
    assert {type(work).__name__ for work, *_ in CASES} == found.keys(), "each is tried below"


LOOK = Inspect(Bounds())(ARRIVAL)
SAMPLE = LOOK.sample
assert SAMPLE is not None
assert LOOK.hashes is not None
ROW = LOOK.hashes
SEEN = Looking(Inspect(Bounds()))(ARRIVAL)
READ = Reading(Inspect(Bounds()), 2**20)(ARRIVAL)
assert READ is not None
JPEG, PNG = encode(texture(2)), encode(texture(2), "PNG")
TASK = Task(0, (replace(SAMPLE, id="a" * 64), replace(SAMPLE, id="b" * 64)), ("one",))


class One:
    """A labeler of one column."""

    version, needs, columns = 1, Resources(), {"x": "float32", "said": "string"}


ONE: Any = One()
SCORING = Scoring({"one": One()}, None, Bounds())  # type: ignore[dict-item, arg-type]
SCORES = SCORING.blank(TASK)


def look(**other: Any) -> Any:
    return replace(LOOK, **other)


def sample(**other: Any) -> Any:
    assert SAMPLE is not None
    return look(sample=replace(SAMPLE, **other))


def row(**other: Any) -> Any:
    return phash.HashRow(**{**ROW, **other})  # type: ignore[typeddict-item]


def columns(**other: Any) -> Scores:
    return Scores({"one": SCORES.columns["one"] | other})


def read(place: int, value: Any) -> Any:
    """What is held out of a file, but for one value of its first frame."""
    assert READ is not None
    first = list(READ[1][0])
    first[place] = value
    return READ[0], [tuple(first)]


MAIN = LOOK.pdq[0]
# a work, what it is given, what it may answer, and what it may not
CASES: list[tuple[Any, Any, list[Any], list[Any]]] = [
    (Inspect(Bounds()), ARRIVAL, [LOOK, look(sample=None, hashes=None, pdq=(), failure=ItemError(Reason.TRUNCATED))], [
        look(sha256="0" * 64), look(sha1="0" * 40), look(md5="0" * 32), look(pdq=()), look(sample=None),
        look(failure=ItemError(Reason.BOMB)), look(hashes=None), look(sample=None, hashes=None, pdq=()),
        look(came=("a", "b", "c")),
        look(rewritten=JPEG), sample(width=0), sample(width=-160), sample(width=2**63), sample(parent="x"),
        sample(height=15), sample(frames=0), sample(frames=101), sample(bytes=1), sample(id="0" * 64),
        sample(width=10**6, height=10**6), sample(at_ms=1), sample(media_type="text/html"),
        look(hashes=row(phash=b"")), look(hashes=row(phash=bytes(9))),
        look(hashes=row(thumb=b"")), look(hashes=row(quality=float("nan"))), look(hashes=row(quality=float("inf"))),
        look(hashes=row(quality=-1.0)), look(pdq=(MAIN, MAIN)), look(pdq=(replace(MAIN, part="other"),)),
        look(pdq=(replace(MAIN, hashes=b""),)), look(pdq=(replace(MAIN, quality=101),)),
        look(pdq=(MAIN, replace(MAIN, part="x" * 1000))), look(pdq=(MAIN, replace(MAIN, part="\x1b[2J"))),
        look(pdq=(MAIN, *(Pdq(str(n), MAIN.hashes, 1) for n in range(10_001)))),
    ]),
    (Hashing(HERE, Bounds(), 0), ("a", True, True), [Found("a"), Found("a", ROW, (MAIN,))], [
        Found("a", row(phash=b"")), Found("a", ROW, (replace(MAIN, hashes=bytes(255)),)),
    ]),
    (Hashing(HERE, Bounds(), 0), ("a", False, False), [Found("a")], [Found("a", ROW), Found("a", None, (MAIN,))]),
    (_Labelling(ONE), [1, 2], [blank(ONE, 2)], [blank(ONE, 1), blank(ONE, 3), {"x": np.zeros(2, np.float32)}, {}]),
    (Making(HERE, bytes, 1024, rows=1), "a", [None, bytes(1024)], [b"", bytes(1023), bytes(1025), bytes(2048)]),
    (Making(HERE, bytes, 10), "a", [None, bytes(10), bytes(90)], [b"", bytes(9), bytes(95)]),
    (Making(HERE, bytes, kind="jpeg"), "a", [None, JPEG], [PNG, b"<svg>"]),
    (Making(HERE, bytes, kind="png"), "a", [None, PNG], [JPEG, b'"><script>']),
    (Looking(Inspect(Bounds())), ARRIVAL, [SEEN, Seen("", SEEN.sha256, SEEN.md5, SEEN.size, reason="truncated")], [
        replace(SEEN, sha256=""), replace(SEEN, md5=""), replace(SEEN, size=0), replace(SEEN, width=-1),
        replace(SEEN, media_type="text/html"), replace(SEEN, phash=b""), replace(SEEN, pdq=bytes(31)),
        replace(SEEN, quality=float("nan")), replace(SEEN, pdq_quality=1000), replace(SEEN, reason="truncated"),
        Seen("", SEEN.sha256, SEEN.md5, SEEN.size, reason="made up"),
        Seen("", SEEN.sha256, SEEN.md5, SEEN.size, reason="truncated", detail="\x1b]0;title\x07"),
    ]),
    (Looking(Inspect(Bounds())), Seen("", reason="not_a_file"), [Seen("", reason="not_a_file")], [SEEN, Seen("")]),
    (Reading(Inspect(Bounds()), 2**20), ARRIVAL, [READ, None], [
        ("0" * 64, READ[1]), (READ[0], []), (READ[0], READ[1] * 34), read(2, float("nan")), read(3, bytes(33)),
        read(0, -1), read(0, 2**40), read(1, bytes(7)), read(4, -1), read(4, 101),
    ]),
    (Reading(Inspect(Bounds()), 2**20), None, [None], [READ]),
    (Rendering(HERE, ThumbnailStyle(), Bounds()), "a", [JPEG], [PNG, b"", b"<html>"]),
    (Revealing(HERE, Bounds()), "a", [(JPEG, "image/jpeg"), (b"RIFF", "image/webp")], [
        (JPEG, "text/html"), (JPEG, "image/svg+xml"), (b"<script>", "image/jpeg"), (PNG, "image/webp"),
    ]),
    (Obscuring(), ARRIVAL, [PNG], [JPEG, b""]),
    (Predicting(Path(), {}, {}, "abc", "a"), ARRIVAL, [np.array([0.2, 0.3, 0.5])], [
        np.array([0.5, 0.5]), np.array([0.2, 0.3, 0.5], np.float32), np.array([0.5, 0.5, 0.5]),
        np.array([1.5, -0.5, 0]), np.array([np.nan, 0, 1]), np.array([[0.2, 0.3, 0.5]]),
    ]),
    (SCORING, TASK, [SCORES, Scores(SCORES.columns, {"a" * 64: "it is no picture"})], [
        Scores({}), columns(x=np.zeros(3, np.float32)), columns(x=np.zeros(2)), columns(y=np.zeros(2, np.float32)),
        columns(said=np.zeros(2, np.float32)), Scores(SCORES.columns, {"c" * 64: "another sample"}),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: type(case[0]).__name__)
def test_a_shape_that_no_look_has_is_no_answer(case: tuple[Any, Any, list[Any], list[Any]]) -> None:
    """After the way through the pipe, where its types are checked."""
    work, item, good, bad = case

    def travelled(answer: Any) -> Any:
        kind, most = _answers.kind_of(work), getattr(work, "most", 2**20)
        return _answers.decode(_answers.encode(1, [answer]), 1, 1, kind, most)[0]

    for answer in good:
        assert work.fits(item, travelled(answer)), answer
    for answer in bad:
        try:
            found = travelled(answer)
        except ValueError:
            continue
        assert not work.fits(item, found), answer


# -- bytes -----------------------------------------------------------------------------------------------------------


def framed(raw: bytes, failed: bool = False) -> bytes:
    return struct.pack("!qI", 1, 1) + struct.pack("!?I", failed, len(raw)) + raw


def array(*said: Any, code: int = 1) -> bytes:
    return framed(msgspec.msgpack.encode(msgspec.msgpack.Ext(code, msgspec.msgpack.encode(said))))


FORGED = [
    b"", b"\0", framed(b""), framed(b"")[:-1], struct.pack("!qI", 2, 1), struct.pack("!qI", 1, 2**32 - 1),
    struct.pack("!qI", 1, 1) + struct.pack("!?I", False, 2**31) + b"\xc0", framed(b"\xa1x"), framed(b"\x91" * 100_000),
    array("|O", (1,), bytes(8)), array("nonsense", (1,), bytes(8)), array("<f8", (2**40,), bytes(8)),
    array("(9999,9999)f8", (1,), bytes(8)), array("<f8", (-2, -3), bytes(48)), array("<f8", (2**63,), bytes(8)),
    array("<M8[s]", (1,), bytes(8)), array("V8", (1,), bytes(8)), array("<f8", (1,), bytes(7)), array(1, 2, 3),
    array("<f8", (1,), bytes(8), code=99), array(["a", 5], code=2),
    framed(b"", failed=True), framed(msgspec.msgpack.encode({"kind": 5}), failed=True),
    framed(msgspec.msgpack.encode({"kind": "", "said": "", "reason": "gate_match"}), failed=True),
    framed(msgspec.msgpack.encode({"kind": "", "said": "", "reason": "taken_down"}), failed=True),
]  # fmt: skip


@pytest.mark.parametrize("kind", [int, np.ndarray, Sample, list[Scores]])
def test_forged_bytes_are_no_answer(kind: Any) -> None:
    for said in FORGED:
        with pytest.raises(ValueError, match=r".+"):
            _answers.decode(said, 1, 1, kind)


@given(st.binary(max_size=200))
def test_whatever_bytes_come_nothing_else_is_raised(noise: bytes) -> None:
    for kind in (Any, np.ndarray, Scores):
        for said in (noise, framed(noise), framed(noise, failed=True)):
            try:
                (found,) = _answers.decode(said, 1, 1, kind)
            except ValueError:
                continue
            assert kind is Any or isinstance(found, kind | Exception)


def test_an_answer_is_bounded() -> None:
    said = _answers.encode(1, ["x" * 1000])
    assert _answers.decode(said, 1, 1, str, 2000) == ["x" * 1000]
    with pytest.raises(ValueError, match="1003 bytes; 1000 are allowed"):
        _answers.decode(said, 1, 1, str, 1000)


@pytest.mark.parametrize("array", [np.arange(6, dtype="<i2").reshape(2, 3), np.array([], np.float16), np.array([True])])
def test_arrays_travel_as_they_are(array: Any) -> None:
    (found,) = _answers.decode(_answers.encode(1, [array]), 1, 1, np.ndarray)
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


def test_what_a_terminal_would_obey_is_escaped() -> None:
    error = ItemError(Reason.DECODE_ERROR, "\x1b[2J\x07\nhello\u202e")
    (found,) = _answers.decode(_answers.encode(1, [error]), 1, 1, int)
    assert found.detail == error.detail == "\\x1b[2J\\x07\\nhello\\u202e"
    assert plain("ünïcode, plain") == "ünïcode, plain"


# -- what is raised --------------------------------------------------------------------------------------------------


class Raising:
    """Raises what it is asked to."""

    plugins = False

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: str) -> str:
        raise {
            "bug": TypeError("a bug of ours"), "usage": UsageError("stop"), "denied": PermissionError(1, "denied"),
            "reason": ItemError(Reason.TRUNCATED, "cut"), "memory": MemoryError(),
        }[item]  # fmt: skip


class Plugin(Raising):
    """The same, and runs plug-ins' code."""

    plugins = True


def raised(work: Any, confine: Any, wrap: Callable[[Any], Any] = lambda one: one) -> dict[Any, str]:
    items = ["bug", "usage", "reason", "denied", "memory"]
    found = dict(Pool(1, confine=confine).map(wrap(work), items, Resources()))
    return {item: f"{type(one).__name__}: {one}" for item, one in found.items()}


def test_an_error_costs_its_item_where_workers_are_confined() -> None:
    ours = raised(Raising(), "auto")
    assert ours == {
        "bug": "ItemError: worker_died: TypeError: a bug of ours",
        "usage": "ItemError: worker_died: UsageError: stop",
        "reason": "ItemError: truncated: cut",
        "denied": "ItemError: worker_died: OSError: PermissionError: [Errno 1] denied",
        "memory": "ItemError: too_large: not enough memory",
    }
    theirs = raised(Plugin(), "auto")
    assert theirs.pop("usage") == "UsageError: stop", "what a plug-in was denied is said to whoever wrote it"
    assert "reads = [" in theirs.pop("denied")
    assert theirs.items() <= ours.items()
    assert raised(Raising(), "off")["bug"] == "TypeError: a bug of ours", "as it is where nothing is confined"


@pytest.mark.parametrize("how", ["raises", "dies", "hangs", "cannot be read"])
def test_a_load_that_fails_ends_the_run_in_a_line(how: str) -> None:
    work = Unreadable() if how == "cannot be read" else Loading(how)
    said = {
        "raises": "no weights", "dies": "workers end with exit code 7 while they load", "hangs": "not ready within 1 s",
        "cannot be read": "cannot be made here",
    }[how]  # fmt: skip
    with pytest.raises((CurateError, RuntimeError), match=said):
        list(Pool(2, load_seconds=1.0 if how == "hangs" else 60.0).map(work, ["a", "b"], Resources()))


def test_a_load_that_dies_once_is_done_again(tmp_path: Path) -> None:
    found = dict(Pool(1).map(Loading(str(tmp_path / "died")), ["a", "b"], Resources()))
    assert found == {"a": "a", "b": "b"}


class Loading:
    """Loads as it is told to: a path is where it notes that it has died once."""

    def __init__(self, how: str) -> None:
        self.how = how

    def load(self) -> None:
        import os
        import time

        if self.how == "raises":
            raise UsageError("no weights")
        if self.how == "hangs":
            time.sleep(10**6)
        if self.how == "dies" or not Path(self.how).exists():
            if self.how != "dies":
                Path(self.how).touch()
            os._exit(7)

    def __call__(self, item: str) -> str:
        return item


class Unreadable:
    """Cannot be unpickled where it arrives."""

    def __reduce__(self) -> Any:
        return _unreadable, ()

    def load(self) -> None:
        """Never."""

    def __call__(self, item: str) -> str:
        return item


def _unreadable() -> None:
    raise RuntimeError("cannot be made here")


def test_a_fault_of_ours_is_traced_with_v(capfd: pytest.CaptureFixture[str]) -> None:
    for aloud in (False, True):
        list(Pool(1, aloud=aloud).map(Raising(), ["bug"], Resources()))
        said = capfd.readouterr().err
        assert ("Traceback" in said) == ("TypeError: a bug of ours" in said) == aloud


def test_a_chunk_has_the_same() -> None:
    found = list(Pool(1).map(All(Raising()), [["bug", "reason"]], Resources()))
    assert [str(one) for one in found[0][1]] == ["worker_died: TypeError: a bug of ours", "truncated: cut"]  # type: ignore[union-attr]


def test_a_picture_is_refused_before_it_is_decoded() -> None:
    """4 bytes a pixel of colour, 1 of grey: what an item's memory cannot hold is not tried."""
    grey, colour = (encode(Image.new(mode, (9000, 9000)), "PNG") for mode in ("L", "RGB"))
    work = Inspect(Bounds(), pdq=False, side=phash.SIDE)
    pool = Pool(1, item_memory=300 * 2**20)
    found = {
        item.candidate: one
        for item, one in pool.map(work, [FetchedBytes(0, grey), FetchedBytes(1, colour)], Resources())
    }
    assert found[0].failure is None, found[0].failure  # type: ignore[union-attr]
    failure = found[1].failure  # type: ignore[union-attr]
    assert failure is not None
    assert str(failure) == "too_large: 1 x 9000x9000 RGB are 308 MiB, once decoded"
