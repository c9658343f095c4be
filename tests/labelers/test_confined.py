"""The labelers that ship with us work in workers that are shut off from files, the network and other processes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from curate.contracts import Labeler
from curate.engine._confine import lacking
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.features.scores import compute, read
from curate.progress import Progress
from labelers.efficientnet_lite0 import EfficientnetLite0
from labelers.nsfwjs import Nsfwjs
from labelers.nudenet import Nudenet
from labelers.onnx import Onnx
from labelers.quality import Quality
from labelers.skin import Skin
from tests.support.builders import add, workspace
from tests.support.pictures import encode, photograph

MODEL = Path(__file__).parents[1] / "support" / "onnx" / "channels.onnx"
QUIET = Progress(quiet=True)


def labelers() -> list[Labeler]:
    model = Onnx(MODEL, hashlib.sha256(MODEL.read_bytes()).hexdigest(), ("red", "green", "blue"), size=8)
    return [EfficientnetLite0(), Nsfwjs(), Nudenet(), model, Quality(), Skin()]


@pytest.mark.skipif(lacking() is not None, reason="workers cannot be confined here")
def test_they_say_the_same_in_a_confined_worker(tmp_path: Path) -> None:
    """And load in it from files that they need not name."""
    files = [encode(photograph(name), "PNG") for name in ("astronaut.png", "coffee.png", "chelsea.png")]
    found = []
    for name, engine in (("confined", Pool(2, confine="require")), ("here", Serial())):
        ws = workspace(tmp_path / name)
        ids = sorted(add(ws, one) for one in files)
        assert compute(ws, engine, labelers(), QUIET).failed == {}
        found.append([read(ws, one, ids) for one in labelers()])
        ws.close()
    for one, other, labeler in zip(*found, labelers(), strict=True):
        assert one.keys() == other.keys() == labeler.columns.keys()
        for name, values in one.items():
            if values.dtype == object:
                assert values.tolist() == other[name].tolist()
            else:
                np.testing.assert_array_equal(values, other[name])
                assert not np.isnan(values).any()
