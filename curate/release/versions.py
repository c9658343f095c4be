"""Which version a release may have: semantic, and above the last."""

import re
from typing import TYPE_CHECKING

from curate.errors import UsageError
from curate.options import suggest

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


def check_version(ws: "Workspace", version: str) -> None:
    """Raise UsageError for a version that exists, is none, or is below the last."""
    if not _SEMVER.fullmatch(version):
        raise UsageError(f"version '{version}': give MAJOR.MINOR.PATCH, such as 1.0.0")
    if ws.catalog.scalar("SELECT 1 FROM releases WHERE version = ?", (version,)):
        raise UsageError(f"version {version}: there is such a release, and releases do not change; give a higher one")
    if ws.catalog.scalar("SELECT 1 FROM forgotten WHERE path = ?", (f"releases/{version}",)):
        raise UsageError(f"version {version}: there was such a release, which was deleted; give a higher one")
    known = [row[0] for row in ws.catalog.all("SELECT version FROM releases")]
    if known and order(last := max(known, key=order)) > order(version):
        major, minor, patch = order(last)
        raise UsageError(
            f"version {version}: {last} is out, and versions go up; the next is {major}.{minor}.{patch + 1}"
            f" (or {major}.{minor + 1}.0, {major + 1}.0.0)"
        )


def check_released(ws: "Workspace", version: str) -> None:
    """Raise UsageError where there is no release of a version."""
    known = [row[0] for row in ws.catalog.all("SELECT version FROM releases ORDER BY created_at, version")]
    if version not in known:
        none = "there is none yet; `curate export 1.0.0` makes one"
        raise UsageError(f"release {version}: no such release; {suggest(version, known) if known else none}")


def order(version: str) -> tuple[int, ...]:
    """What versions are ordered by: (major, minor, patch)."""
    return tuple(int(part) for part in version.split("."))
