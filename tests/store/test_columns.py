"""Tables read as columns are read in their own order: a scan that sorts reads the whole table anew for each part."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.report import samples as reported
from curate.store import columns
from curate.store import samples as store_samples
from tests.support.calling_here import command
from tests.support.folders import config, fill


def test_nothing_is_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many samples, as which a few are treated here."""
    (tmp_path / "curate.toml").write_text(config("words"))
    fill(tmp_path, ("neutral", "drawings"), 8)
    plans: dict[str, str] = {}
    read = columns._part

    def watched(db: sqlite3.Connection, scan: columns.Scan, inner: str, given: Any, careful: bool) -> Any:
        for first in (True, False):
            sql = scan.sql(first)
            marks = [*(value for _, values in scan.where for value in values), *([] if first else [""])]
            plans[sql] = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", marks))
        return read(db, scan, inner, given, careful)

    monkeypatch.setattr(columns, "_part", watched)
    for one in (store_samples, reported):
        monkeypatch.setattr(one, "FEW", 0)
    for verb in (["fetch"], ["dedupe"], ["label"], ["export", "1.0.0"]):
        code, out, err = command(tmp_path, *verb, "-q")
        assert code == 0, out + err
    curate.open(tmp_path, quiet=True).samples()
    assert len(plans) >= 10
    assert {sql: plan for sql, plan in plans.items() if "TEMP B-TREE" in plan} == {}
