"""One of many: a search over every byte below work/ finds nothing of it, packed or not, but in the removal list."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from curate.admin.verify import verify
from curate.config import Config
from curate.removal.takedown import takedown
from curate.store.workspace import Workspace
from tests.support.many import stocked, url
from tests.support.taken_down import QUIET


def found(work: Path, words: list[bytes]) -> set[str]:
    """The files below a folder in which one of the words stands."""
    files = [path for path in work.rglob("*") if path.is_file()]
    return {path.relative_to(work).as_posix() for path in files if _holds(path, words)}


def _holds(path: Path, words: list[bytes]) -> bool:
    data = path.read_bytes()
    if any(one in data for one in words):
        return True
    if path.suffix != ".parquet":
        return False
    texts = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]
    table = pq.read_table(path, columns=texts)
    asked = [one.decode() for one in words if one.isascii()]
    return any(pc.any(pc.match_substring(table.column(name), one)).as_py() for name in texts for one in asked)


@pytest.mark.parametrize("n", [2000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_one_of_many_leaves_no_trace(tmp_path: Path, n: int) -> None:
    ws = stocked(tmp_path, n)
    number = n * 2 // 3
    sample = str(ws.catalog.scalar("SELECT sample FROM candidates WHERE locator = ?", (url(number),)))
    with ws.blobs.open(sample) as blob:
        data = blob.read()
    digests = [hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in ("sha256", "sha1", "md5")]
    words = [data, *(one.encode() for one in digests), bytes.fromhex(sample), url(number).encode()]
    assert len(found(ws.work, words)) > 8
    with ws.driver("takedown"):
        ws.catalog.begin("takedown", "")
        assert takedown(ws, url(number), "asked for")["removed"] == 1
        ws.catalog.end("done")
    assert found(ws.work, words) <= {"releases/1.0.0/removed.csv", "exports/removals.jsonl"}
    ws.close()
    assert found(ws.work, words) == {"releases/1.0.0/removed.csv", "exports/removals.jsonl"}
    again = Workspace(tmp_path, Config())
    assert verify(again, QUIET)["items"] == []
    assert again.catalog.scalar("SELECT count(*) FROM samples") == n - 1
    again.close()
