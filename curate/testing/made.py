"""Harmless data, made here, on which plug-ins are tried."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.contracts import CandidatePool, Evidence
from curate.media.decoded import StoredImage
from curate.records import SPLITS, Axis, Manifest, Sample
from curate.release.rows import schema

if TYPE_CHECKING:
    import pyarrow as pa

CLASSES = ("drawings", "neutral", "porn")
_SIZES = ((320, 240), (64, 300), (1200, 900), (33, 33), (640, 480))


def pictures() -> list[StoredImage]:
    """Pictures of several sizes: noise, and a gradient."""
    return [_picture(n, size) for n, size in enumerate(_SIZES)]


def _picture(n: int, size: tuple[int, int]) -> StoredImage:
    from PIL import Image

    noise = np.random.default_rng(n).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, size[0], dtype=np.uint8)[None, :, None], noise.shape)
    file = BytesIO()
    Image.fromarray(noise if n % 2 else np.ascontiguousarray(ramp)).save(file, "PNG")
    data = file.getvalue()
    sha256, sha1, md5 = (hashlib.new(one, data, usedforsecurity=False).hexdigest() for one in ("sha256", "sha1", "md5"))
    sample = Sample(sha256, sha1, md5, len(data), "image/png", *size)
    return StoredImage(sample, {"content": ("neutral",)} if n % 2 else {}, partial(bytes, data))


def evidence() -> Evidence:
    """The votes of five functions on 60 rows, two scores, and what people say of 50, two a group; of the last row
    nobody says anything."""
    rng = np.random.default_rng(0)
    truth, k = rng.integers(0, len(CLASSES), 60), len(CLASSES)
    votes = np.where(rng.random((60, 5)) < 0.8, truth[:, None], rng.integers(0, k, (60, 5))).astype(np.int8)
    votes[rng.random(votes.shape) < 0.2] = -1
    votes[-1] = -1
    scores = (truth[:, None] + rng.normal(0, 1, (60, 2))).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    scores[-1] = np.nan
    gold = np.where(np.arange(60) < 50, truth, -1).astype(np.int8)
    groups = (np.arange(60) // 2).astype(np.int32)
    return Evidence(votes, np.eye(k, dtype=bool), np.full(k, 1 / k), scores, gold, groups, ("one", "other"))


def pool() -> CandidatePool:
    """Sixty rows of which some have no label, some are judged, some contested; with embeddings."""
    rng, told = np.random.default_rng(1), evidence()
    n, k = len(told.votes), len(CLASSES)
    probabilities = rng.dirichlet(np.ones(k), n)
    probabilities[::10] = np.nan
    unsafe = np.nan_to_num(probabilities[:, -1], nan=np.nan)
    names = [hashlib.sha256(bytes([row])).hexdigest() for row in range(n)]
    contested = rng.integers(0, 3, n).astype(np.int8)
    contradicted, judged = rng.random(n) < 0.1, rng.random(n) < 0.2
    embeddings = rng.normal(0, 1, (n, 8)).astype(np.float16)
    return CandidatePool(
        names, probabilities, told.votes, told.sets, unsafe, contradicted, contested, judged, embeddings,
        rng.dirichlet(np.ones(k), n), rng.integers(-1, k, n).astype(np.int8),
    )  # fmt: skip


class Bytes:
    """The pictures of a made release (`records.Pictures`): of each id one that nobody else has."""

    def open(self, id: str) -> bytes:
        """A PNG of noise."""
        from PIL import Image

        file = BytesIO()
        noise = np.random.default_rng(int(id[:8], 16)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file, "PNG")
        return file.getvalue()

    def each(self, ids: Iterable[str]) -> Iterator[bytes]:
        """The same of many."""
        return map(self.open, ids)


def release(folder: Path, without: tuple[str, int] | None = None, media: bool = False) -> Manifest:
    """A release of a few rows, with text that no format may trip over, written to a folder as `export` does it.

    `without`: the split and the place of a row that is left out; `media`: as a format with pictures is given it.
    """
    from curate.fingerprint import canonical
    from curate.store.tables import to_parquet

    folder.mkdir(exist_ok=True)
    rows = {
        split: _rows(split, [row for row in range(n) if (split, row) != without])
        for n, split in zip((3, 1, 0), SPLITS, strict=True)
    }
    header: dict[str, Any] = {"version": "1.0.0", "schema": 1, "columns": rows["train"].column_names}
    for split, table in rows.items():
        (folder / f"{split}.parquet").write_bytes(to_parquet(table))
    (folder / "release.json").write_text(canonical(header), encoding="utf-8")
    if not media:
        return Manifest("1.0.0", folder, header, rows)
    return Manifest("1.0.0", folder, header, {split: _exported(table) for split, table in rows.items()}, Bytes())


def _exported(rows: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    digests = [hashlib.sha256(Bytes().open(one)).hexdigest() for one in rows.column("id").to_pylist()]
    for name, values in (("sha256", digests), ("media_type", ["image/png"] * len(digests))):
        rows = rows.append_column(pa.field(f"exported_{name}", pa.string(), False), pa.array(values, pa.string()))
    return rows


def _rows(split: str, rows: Sequence[int]) -> "pa.Table":
    import pyarrow as pa

    columns = schema((Axis(),))
    return pa.Table.from_pylist([{one.name: _cell(one, split, row) for one in columns} for row in rows], columns)


def _cell(field: "pa.Field", split: str, row: int) -> object:
    if field.nullable and row == 0:
        return None
    said = {"id": hashlib.sha256(f"{split}{row}".encode()).hexdigest(), "split": split, "label": "neutral"}
    odd = '=1+1, "quoted"\nñ 猫 \u202e'
    return said.get(field.name, odd if str(field.type) == "string" else row + 1)
