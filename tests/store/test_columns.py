"""Tables read as columns are read in their own order, and rows found by ids as a dictionary finds them."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import curate
from curate.report import samples as reported
from curate.store import columns
from curate.store import samples as store_samples
from tests.support.calling_here import command
from tests.support.folders import config, fill


def test_each_part_is_read_in_the_order_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many samples, as which a few are treated here: by the key, and nothing is sorted."""
    (tmp_path / "curate.toml").write_text(config("words"))
    fill(tmp_path, ("neutral", "drawings"), 8)
    plans: dict[str, str] = {}
    read = columns._part

    def watched(db: sqlite3.Connection, scan: columns.Scan, bounds: Any, given: Any, careful: bool) -> Any:
        sql = scan.sql(scan.texts(careful), *bounds)
        plans[sql] = next(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", given))
        return read(db, scan, bounds, given, careful)

    monkeypatch.setattr(columns, "_part", watched)
    monkeypatch.setattr(columns, "ROWS", 4)
    for one in (store_samples, reported):
        monkeypatch.setattr(one, "FEW", 0)
    for verb in (["fetch"], ["dedupe"], ["label"], ["export", "1.0.0"]):
        code, out, err = command(tmp_path, *verb, "-q")
        assert code == 0, out + err
    curate.open(tmp_path, quiet=True).samples()
    assert len(plans) >= 20
    own = re.compile(r"SEARCH \w+ USING (INTEGER PRIMARY KEY|PRIMARY KEY|INDEX sqlite_autoindex_\w+) \(")
    assert {sql: plan for sql, plan in plans.items() if not own.match(plan)} == {}


def test_what_another_index_gives_is_put_in_order(tmp_path: Path) -> None:
    """SQLite takes the index of what is asked, where that looks shorter."""
    with sqlite3.connect(tmp_path / "one.db") as db:
        db.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID")
        db.execute("CREATE INDEX t_b ON t (b)")
        db.executemany("INSERT INTO t VALUES (?, ?)", ((f"{n:02}", f"{-n % 7}") for n in range(50)))
    scan = columns.Scan({"a": "a", "b": "b"}, "t INDEXED BY t_b", "a", where=(("b > ?", ("0",)),), keys="t")
    found = columns.read(db, scan)
    assert list(zip(*(one.to_pylist() for one in found.values()), strict=True)) == [
        (f"{n:02}", f"{-n % 7}") for n in range(50) if n % 7
    ]
    db.close()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("value", ["a\x1f\x1e", "\x1e", "\x1f", "a\x1fb", "", "\x1e\x1f\x1e"])
def test_texts_may_hold_what_stands_between_them(value: str, mixed: bool) -> None:
    """Also where so many are null that their number comes out right."""
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        for nulls in range(3):
            db.execute("DELETE FROM t")
            given = [value, "b", *[None] * nulls]
            db.executemany("INSERT INTO t (b) VALUES (?)", ((one,) for one in given))
            scan = columns.Scan({"a": "a", "b": "b"}, "t", "a", numbers=("a",), nullable=("b",), mixed=mixed)
            assert columns.read(db, scan)["b"].to_pylist() == given
    db.close()


@pytest.mark.parametrize("width", [64, 63])
def test_rows_of_many_are_those_that_a_dictionary_finds(width: int) -> None:
    """Digests, which are compared by their first digits and then as a whole, and what is none."""
    chance = np.random.default_rng(0)
    names = sorted({chance.bytes(32).hex()[:width] for _ in range(5000)})
    ids = pa.array(names[:4000] + names[4001:], pa.large_string())  # one that lies between is unknown
    alike = [one[:16] + "0" * (width - 16) for one in names[:9]]
    asked = [*chance.permutation(names).tolist(), *names[:50], *alike]
    place = {name: n for n, name in enumerate(ids.to_pylist())}
    for some in (asked, asked[:3000], asked[:20], []):
        found = columns.rows(pa.array(some, pa.large_string()), ids)
        assert found.tolist() == [place.get(one, -1) for one in some]
    twins = pa.array(sorted([names[0], names[0][:16] + "f" * (width - 16), *names[1:9]]), pa.large_string())
    assert columns.rows(twins.take(pa.array([2, 1, 0])), twins).tolist() == [2, 1, 0]  # alike in their first digits
    assert columns.rows(ids[7:].slice(3), ids).tolist() == list(range(10, len(ids)))
    assert columns.rows(ids.take(pa.array([5, 2])), ids[1:]).tolist() == [4, 1]
