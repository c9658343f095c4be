"""Each verb that decodes keeps the budget of an item: a file that takes too long costs itself, and is named."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.checks import page, scan
from curate.config import EngineConfig
from curate.contracts import Resources
from curate.dedupe import held_out
from curate.engine import each
from curate.engine.pool import Pool
from curate.errors import ItemError, UsageError
from curate.evaluate import bundle
from curate.evaluate.bundle import load_model
from curate.features import detail, frames, hashes
from curate.features.blobwork import Making
from curate.features.inspect import FetchedBytes
from curate.features.scores import compute
from curate.media.decode import Bounds
from curate.progress import Progress
from curate.records import Reason
from curate.report import contact_sheet
from curate.review.app import thumbnails
from curate.store.shards import assign
from curate.store.workspace import Workspace
from labelers.drawing import Drawing
from tests.evaluate.test_graph import saved
from tests.support.bombs import scans
from tests.support.builders import add, workspace
from tests.support.pictures import encode, texture

QUIET = Progress(quiet=True)
SECONDS = 1.0
POOL = Pool(1, item_seconds=SECONDS)
SLOW = scans(6_000, 199, refining=True)  # seconds, of any machine; one less than is refused before it is decoded


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Two pictures and a slow one; the least that [engine] allows is 2 s, so what it says is set beside it."""
    made = workspace(tmp_path / "ws")
    engine = EngineConfig(workers=1)
    object.__setattr__(engine, "item_seconds", SECONDS)
    made.config = replace(made.config, engine=engine)
    for module in (page, bundle):
        monkeypatch.setattr(module, "EngineConfig", lambda: engine)
    yield made
    made.close()


@pytest.fixture
def ids(ws: Workspace) -> tuple[str, str, str]:
    """A picture, the slow one, another picture."""
    return add(ws, encode(texture(1))), add(ws, SLOW), add(ws, encode(texture(2)))


def test_dedupe(ws: Workspace, ids: tuple[str, str, str]) -> None:
    assert hashes.complete(ws, sorted(ids), POOL, QUIET).unhashed == [ids[1]]
    for make in (detail._grain, frames.frames_of):
        work = Making(ws.blobs.root, partial(make, bounds=Bounds()))
        assert _slow([answer for _, answer in each(POOL, work, [ids])]) == [False, True, False]


def test_label_and_train(ws: Workspace, ids: tuple[str, str, str]) -> None:
    assign(ws.catalog)
    failed = compute(ws, POOL, [Drawing()], QUIET).failed
    assert failed.keys() == {ids[1]}
    assert "too_slow" in failed[ids[1]]


def test_check_and_its_page(ws: Workspace, tmp_path: Path) -> None:
    paths, folder = [], tmp_path / "set"
    folder.mkdir()
    for n, data in enumerate((encode(texture(1)), SLOW, encode(texture(2)))):
        (folder / f"{n}.jpg").write_bytes(data)
        paths.append(str(folder / f"{n}.jpg"))
    found = scan.look(paths, POOL, QUIET)
    assert [found[path].reason for path in paths] == [None, Reason.TOO_SLOW, None]
    assert [picture is None for _, picture in sorted(page._pictures(paths))] == [False, True, False]
    held = held_out.hold_out(ws, str(folder), POOL, QUIET)
    assert (held["items"], held["unreadable"]) == (2, 1)


def test_report(ws: Workspace, ids: tuple[str, str, str]) -> None:
    assert {name: picture is None for name, picture in contact_sheet._pictures(ws, ids, False)} == dict(
        zip(ids, (False, True, False), strict=True)
    )


def test_review(ws: Workspace, ids: tuple[str, str, str], tmp_path: Path) -> None:
    """A grey field in its place; asked for in clear, a line."""
    from curate.engine import Aside

    look = thumbnails.ThumbnailStyle()
    assert thumbnails.make(ws, list(ids), tmp_path / "media", look) == list(ids)
    sizes = [len((tmp_path / "media" / thumbnails.name_of(one, look)).read_bytes()) for one in ids]
    assert sizes[1] < min(sizes[0], sizes[2])
    reveal = Aside(ws.config.engine, thumbnails.Revealing(ws.blobs.root, Bounds()))
    assert reveal(ids[0])[1] == "image/jpeg"
    with pytest.raises(ItemError, match="too_slow"):
        reveal(ids[1])
    assert reveal(ids[2])[1] == "image/jpeg", "by another worker"
    reveal.close()
    with pytest.raises(ItemError, match="file_missing"):
        thumbnails.Revealing(ws.blobs.root, Bounds())("0" * 64)


def test_a_trained_model(ws: Workspace, tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "model", "onnx"))
    found = [
        answer
        for _, answer in POOL.map(model.work, [FetchedBytes(0, encode(texture(1))), FetchedBytes(1, SLOW)], Resources())
    ]
    assert isinstance(found[0], np.ndarray)
    assert _slow(found) == [False, True]
    with pytest.raises(ItemError, match="too_slow"):
        model.predict([SLOW])


def _slow(found: list[Any]) -> list[bool]:
    assert not [one for one in found if isinstance(one, UsageError)]
    return [isinstance(one, ItemError) and one.reason is Reason.TOO_SLOW for one in found]
