"""Embeddings by row, from a labeler's table."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from curate.config import Config
from curate.contracts import Decoded, Resources
from curate.features.embeddings import Embeddings, embeddings
from curate.options import Plugin
from curate.plugins import fingerprint_of, make, name_of
from tests.support.samples import workspace


@dataclass(frozen=True)
class Fake:
    """Four numbers."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources()
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[4]"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        return {"embedding": np.zeros((len(batch), 4), dtype=np.float16)}


def rows(ids: Sequence[str], vectors: np.ndarray) -> pa.Table:
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    return pa.table({"id": list(ids), "embedding": flat})


def test_rows_come_as_they_are_asked_for_from_any_part(tmp_path: Path) -> None:
    ws, fake = workspace(tmp_path), Fake()
    ids = [f"{n:02d}" for n in range(12)]
    vectors = np.arange(40, dtype=np.float16).reshape(10, 4)
    table = ws.table(name_of(fake), fingerprint_of(fake))
    table.write("000000", rows(ids[:6], vectors[:6]))
    table.write("000001", rows(ids[6:10], vectors[6:]))
    found = Embeddings(ws, fake, ids[::-1])
    assert found.shape == (12, 4)
    asked = np.array([11, 2, 2, 5, -1])
    whole = np.vstack([vectors.astype(np.float32), np.full((2, 4), np.nan)])[::-1]
    assert np.array_equal(found[asked], whole[asked], equal_nan=True)
    assert np.array_equal(found[np.arange(12) > 8], whole[9:], equal_nan=True)
    assert found[np.array([], dtype=int)].shape == (0, 4)
    table.write("000002", rows(["zz", ids[0]], vectors[:2]))  # of nobody here, and of one who has been met
    each = list(found.each())
    assert [places.tolist() for places, _ in each] == [[11, 10, 9, 8, 7, 6], [5, 4, 3, 2], []]
    assert all(np.array_equal(some, whole[places]) for places, some in each)
    assert list(Embeddings(ws, fake, []).each()) == []


def test_a_labeler_that_is_configured_and_has_run_gives_them(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    net = Plugin("efficientnet_lite0", {}, "labelers")
    config = dataclasses.replace(Config(), labelers=(Plugin("drawing", {}, "labelers"), net))
    assert embeddings(ws, config, ["a"]) is None, "it is configured, and has not run"
    labeler = make("labelers", net, "labeler")
    vectors = np.ones((1, 1280), dtype=np.float16)
    ws.table(name_of(labeler), fingerprint_of(labeler)).write("000000", rows(["a"], vectors))
    found = embeddings(ws, config, ["b", "a"])
    assert found is not None
    assert found.shape == (2, 1280)
    assert found[np.array([1])].tolist() == vectors.tolist()
