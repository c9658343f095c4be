"""What somebody holds back while a server is asked, and what cannot be decoded to its end, does not leave; whatever a
labeler raises when it asks is of that picture alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.engine.serial import Serial
from curate.features import asking
from curate.features.scores import compute, read
from curate.progress import Progress
from curate.screening.quarantine import quarantine
from curate.store.workspace import Workspace
from labelers.policy import Policy
from tests.support.net_server import Request
from tests.support.pictures import clip, encode, texture
from tests.support.samples import sha256, workspace
from tests.support.vlm import Model, but_for, completion, says

FILES = sorted((encode(texture(seed, (40, 30)), "PNG") for seed in range(6)), key=sha256)


@pytest.mark.parametrize("how", ["by a reviewer", "on its way out"])
def test_what_is_held_back_in_the_meantime_is_not_sent(how: str, tmp_path: Path) -> None:
    ws, ids = workspace(tmp_path, FILES), [sha256(one) for one in FILES]
    beside = Workspace(tmp_path, ws.config)  # of somebody else, who waits for no run to end

    def hold(_: Request) -> bool:
        if how == "by a reviewer":
            quarantine(beside.catalog, ids[-1], "seen", actor="ann")
        else:
            with beside.catalog.tx() as db:
                db.execute("INSERT OR IGNORE INTO removing SELECT id, 'r' FROM samples WHERE id = ?", (ids[-1],))
        return False

    with Model(but_for(hold, says(lambda _: completion("Yes")))) as model:
        policy = model.policy(concurrency=1)
        compute(ws, Serial(), [policy], Progress(quiet=True))
        assert len(model.pictures) == 2 * (len(FILES) - 1)
    beside.close()
    assert np.isnan(read(ws, policy, ids)["bright"]).tolist() == [False] * 5 + [True]


def test_animations_whose_ends_are_cut_off_cannot_be_decoded_and_end_no_run(tmp_path: Path) -> None:
    frames = [[Image.new("RGB", (80, 60), (grey + n,) * 3) for grey in (10, 240, 60)] for n in range(2)]
    files = [clip("GIF", some, (80, 60))[:-10] for some in frames]
    ws = workspace(tmp_path, files)
    with ws.catalog.tx() as db:
        db.execute("UPDATE samples SET frames = 3")
    with Model() as model:
        failed = compute(ws, Serial(), [model.policy()], Progress(quiet=True)).failed
    assert sorted(failed) == sorted(map(sha256, files))
    assert all(why.startswith("truncated: ") for why in failed.values()), failed
    assert model.pictures == []


class _SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("raised", "why"),
    [(_SilentError(), "_SilentError"), (SystemExit(7), "SystemExit: 7"), (ValueError("x" * 2**20), "Va")],
)
def test_whatever_ask_raises_is_that_pictures_and_a_line(raised: BaseException, why: str, tmp_path: Path) -> None:
    class Own(Policy):
        """It has its own way to ask."""

        async def ask(self, post: Any, picture: str) -> Mapping[str, float]:
            if picture != asking._grey():
                raise raised
            return {"bright": 1.0, "dark": 0.0}

    ws = workspace(tmp_path, FILES[:1])
    made = Own("m", dict.fromkeys(("bright", "dark"), "?"), "x")
    (said,) = compute(ws, Serial(), [made], Progress(quiet=True)).failed.values()
    assert f": {why}" in said
    assert len(said) < 400
