"""Which version a release has: semantic, above the last, and as far above it as its rows ask (`changes`)."""

import re
from typing import TYPE_CHECKING

from curate.errors import UsageError
from curate.options import suggest
from curate.release.changes import LEVELS, Changes, compare
from curate.release.reader import load

if TYPE_CHECKING:
    from curate.release.rows import Rows
    from curate.store.workspace import Workspace

FIRST = "1.0.0"
_SEMVER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)


def check_version(ws: "Workspace", version: str) -> None:
    """Raise UsageError for a version that exists, is none, or is below the last."""
    if not _SEMVER.fullmatch(str(version)):  # a number, in Python
        raise UsageError(f"version '{version}': give MAJOR.MINOR.PATCH, such as {FIRST}, or none")
    if ws.catalog.scalar("SELECT 1 FROM releases WHERE version = ?", (version,)):
        raise UsageError(f"version {version}: there is such a release, and releases do not change; give a higher one")
    if _forgotten(ws, version):
        raise UsageError(f"version {version}: there was such a release, which was deleted; give a higher one")
    known = last(ws)
    if known is not None and order(known[0]) > order(version):
        major, minor, patch = order(known[0])
        raise UsageError(
            f"version {version}: {known[0]} is out, and versions go up; the next is {major}.{minor}.{patch + 1}"
            f" (or {major}.{minor + 1}.0, {major + 1}.0.0)"
        )


def settle(ws: "Workspace", version: str | None, rows: "Rows") -> tuple[str, Changes | None]:
    """The version of a release with these rows, and what changed since the last one (None: there is none).

    The next by the rule where none is given. Raises UsageError for one that is too small for what changed, naming the
    right one.
    """
    known = last(ws)
    if known is None:
        return version or _free(ws, FIRST, "patch"), None
    changes = compare(load(ws.work / "releases" / known[0], known[1]).rows, rows.tables)
    level = changes.level()
    right = _free(ws, step(known[0], level), level)
    if version is not None and order(version) < order(step(known[0], level)):
        raise UsageError(
            f"version {version}: since {known[0]}: {changes.said()}; that is a {level} step: give {right} or a higher"
            " one, or none"
        )
    return version or right, changes


def last(ws: "Workspace") -> tuple[str, str] | None:
    """The highest release of a workspace and its sha256; None where there is none."""
    known = {row[0]: row[1] for row in ws.catalog.all("SELECT version, sha256 FROM releases")}
    best = max(known, key=order, default=None)
    return None if best is None else (best, known[best])


def step(version: str, level: str) -> str:
    """The version that is one step of this level higher."""
    place, parts = LEVELS.index(level), order(version)
    return ".".join(map(str, (*parts[:place], parts[place] + 1, *(0,) * (2 - place))))


def check_released(ws: "Workspace", version: str) -> None:
    """Raise UsageError where there is no release of a version."""
    known = [row[0] for row in ws.catalog.all("SELECT version FROM releases ORDER BY created_at, version")]
    if version not in known:
        none = "there is none yet; `curate export 1.0.0` makes one"
        raise UsageError(f"release {version}: no such release; {suggest(version, known) if known else none}")


def order(version: str) -> tuple[int, ...]:
    """What versions are ordered by: (major, minor, patch)."""
    return tuple(int(part) for part in version.split("."))


def _free(ws: "Workspace", version: str, level: str) -> str:
    """The version, or the next one of its level that no deleted release had."""
    while _forgotten(ws, version):
        version = step(version, level)
    return version


def _forgotten(ws: "Workspace", version: str) -> bool:
    return ws.catalog.scalar("SELECT 1 FROM forgotten WHERE path = ?", (f"releases/{version}",)) is not None
