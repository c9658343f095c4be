"""Which sample each row of a table names, by one or more of its columns: of many rows at once."""

import unicodedata
from collections.abc import Mapping, Sequence

from curate.errors import UsageError
from curate.store import lookup
from curate.store.catalog import Catalog

KEYS = ("sha256", "page_id", "url", "path")


class Join:
    """Finds the sample that a row names, by an index of what the rows ask for."""

    def __init__(self, catalog: Catalog, rows: Sequence[Mapping[str, str]]) -> None:
        self._by: dict[str, dict[str, set[str]]] = {}
        for key in KEYS:
            if asked := {_plain(key, row[key]) for row in rows if row.get(key)}:
                self._by[key] = lookup.index(catalog, key, asked)

    def sample(self, row: Mapping[str, str], where: str) -> str | None:
        """The one sample that every key with an answer fits; None where no key has one; raises UsageError otherwise."""
        given = {key: _plain(key, row[key]) for key in KEYS if row.get(key)}
        if not given:
            raise UsageError(f"{where}: names no sample; give one of {', '.join(KEYS)}")
        found = [self._by[key][value] for key, value in given.items() if value in self._by[key]]
        if not found:
            return None
        fit = set.intersection(*found)
        if len(fit) != 1:
            what = f"fits {len(fit)} samples" if fit else "fits different samples by different keys"
            raise UsageError(f"{where}: {' and '.join(given)} {what}; name the one that is meant by its sha256")
        return next(iter(fit))


def _plain(key: str, value: str) -> str:
    if key == "sha256":
        return value.lower()
    if key == "path":
        return unicodedata.normalize("NFC", value.replace("\\", "/").removeprefix("./"))
    return value
