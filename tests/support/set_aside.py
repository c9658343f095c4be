"""A listed picture among others, and its entry set aside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.admin import configured
from curate.screening.entry import aside, find
from tests.support import screened
from tests.support.pictures import photograph
from tests.support.screened import hash_of, opened

PHOTO = photograph()
HASH = hash_of(PHOTO)


def listed(root: Path, values: Sequence[str], name: str = "list.txt") -> None:
    """A list that has another entry, too, so that it can match something whatever is set aside."""
    screened.listed(root, [*values, "5" * 32], name)


def set_it_aside(
    root: Path, name: str, only: str | None = None, every: bool = False, reason: str = "a logo"
) -> dict[str, Any]:
    ws = opened(root)
    try:
        found = find(ws.catalog, configured.lists(ws.config), name)
        return aside(ws.catalog, found, found.chosen(only, every), "ann", reason)
    finally:
        ws.close()
