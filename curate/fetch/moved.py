"""A source that moved: a workspace in another place knows its lists and its files again, and asks for nothing twice.

Files are known by their digests. A list is known by the names, sizes and times of its files.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.contracts import Source, Stamped
from curate.fetch.known import known_again, merge
from curate.fetch.listing import source_id, stamp_of, unapproved
from curate.fingerprint import canonical
from curate.layouts.folder import path_of, shown, text_of
from curate.plugins import kind_of, options_of
from curate.progress import Progress
from curate.store.catalog import Catalog, Row
from curate.store.given_tables import came

PATH = "path"  # the option that says where a source on this machine is
_FORMER = "SELECT source, options, stamp FROM sources WHERE plugin = ? ORDER BY listed_at DESC, source"
_FILES = """
SELECT DISTINCT c.candidate, c.locator, c.sample, c.detail, m.ref FROM mentions m JOIN candidates c USING (candidate)
WHERE m.source = ? AND c.kind = 'path' ORDER BY c.candidate
"""


def follow(catalog: Catalog, sources: Sequence[Source], progress: Progress) -> int:
    """Take what was listed under another path for what is configured now, where it is the same; how many candidates.

    A source that is new, and that differs in its path only from one that is configured no more, is that one where its
    files are: a list with the same stamp, or a folder in which a stored file lies that has the bytes it had.
    """
    known_again(catalog, sources)
    configured = {source_id(one): one for one in sources if isinstance(one, Stamped)}
    known = {row[0] for row in catalog.all("SELECT source FROM sources")}
    found = 0
    for name, source in configured.items():
        if name in known or PATH not in options_of(source):
            continue
        for row in catalog.all(_FORMER, (kind_of(source),)):
            if row["source"] not in configured and _same_but_path(json.loads(row["options"]), options_of(source)):
                places = _places(catalog, row["source"], source, progress)
                if places or (row["stamp"] is not None and row["stamp"] == stamp_of(source)):
                    found += _rename(catalog, row["source"], name, source, places)
                    break
    return found


def _same_but_path(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return canonical({**unapproved(one), PATH: None}) == canonical({**unapproved(other), PATH: None})


def _places(catalog: Catalog, former: str, source: Any, progress: Progress) -> dict[int, str]:
    """The candidates of a former source whose files lie where the source is now, and the text of their paths."""
    rows = catalog.all(_FILES, (former,))
    bases = Counter(base for row in rows if (base := _base(row)) is not None)
    if not bases:
        return {}
    base, here = bases.most_common(1)[0][0], str(Path(source.path).resolve())
    places, stored = {}, 0
    with progress.stage("known again", len(rows)) as step:
        for row in rows:
            path = path_of(row["locator"])
            if path.startswith(f"{base}/"):
                new = Path(here + path[len(base) :])
                if row["sample"] is None and new.exists():
                    places[row["candidate"]] = text_of(str(new))
                elif row["sample"] is not None and _digest(new) in _digests(row):
                    places[row["candidate"]] = text_of(str(new))
                    stored += 1
            step()
    return places if stored else {}


def _base(row: Row) -> str | None:
    """The folder that a candidate was listed in: its path without the name that the source gave it."""
    path = path_of(row["locator"])
    for at in range(len(path) - 1, -1, -1):
        if path[at] == "/" and shown(path[at + 1 :]) == row["ref"]:
            return path[:at]
    return None


def _digests(row: Row) -> Iterator[str]:
    """The sha256 of what is stored, and of what came where that was rewritten."""
    yield from filter(None, (row["sample"], came(row["detail"])))


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _rename(catalog: Catalog, former: str, name: str, source: Source, places: Mapping[int, str]) -> int:
    """Make one source of the two, and move what was known again; what is not stays where it was."""
    with catalog.tx() as db:
        db.execute(_INSERT, (name, canonical(unapproved(options_of(source))), former))
        merge(db, former, name)
        moved = sum(_move(db, candidate, path) for candidate, path in places.items())
        catalog.append(db, "moved", None, {"source": name, "was": former, "files": moved})
    return moved


_INSERT = """
INSERT INTO sources (source, plugin, options, listed, stamp, version, listed_at)
SELECT ?, plugin, ?, listed, stamp, version, listed_at FROM sources WHERE source = ?
"""


def _move(db: sqlite3.Connection, candidate: int, path: str) -> int:
    """Whether a candidate has a new place; not where another one has it already."""
    sql = "UPDATE OR IGNORE candidates SET locator = ? WHERE candidate = ? AND locator <> ?"
    return db.execute(sql, (path, candidate, path)).rowcount
