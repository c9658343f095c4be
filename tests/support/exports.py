"""Releases that a test makes and reads again, row by row."""

from typing import Any

from curate.contracts import ReleaseFormat
from curate.records import SPLITS
from curate.release.export import export
from curate.release.reader import load
from curate.store.workspace import Workspace
from tests.support.releases import FORMATS, QUIET, SCREENED


def released(ws: Workspace, version: str = "1.0.0", formats: dict[str, ReleaseFormat] | None = None) -> dict[str, Any]:
    return export(ws, version, FORMATS if formats is None else formats, QUIET, SCREENED)


def rows(ws: Workspace, version: str = "1.0.0") -> dict[str, dict[str, Any]]:
    """Every released row, by id."""
    release = load(ws.work / "releases" / version)
    return {row["id"]: row for split in SPLITS for row in release.rows[split].to_pylist()}
