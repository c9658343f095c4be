"""The removals feed: what releases had and have no more, for those who were given them. It lies beside the exports.

`removals.jsonl` is a file of chained lines (`curate.store.chain`). The first says whose feed it is; each other names
one item that was taken down, with the releases that had it. `docs/receiving.md` is for who reads it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import GateError, UsageError
from curate.net.urls import is_url
from curate.release import redact
from curate.store import chain
from curate.store.blobs import write
from curate.store.file_digests import keep_file

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

NAME = "removals.jsonl"
PLACE = f"exports/{NAME}"  # below `work/`
SCHEMA = 1
FOLDERS = 3  # that a relative name is looked for in: an exported format, its release, all exports
_ID = re.compile(r"[0-9a-f]{64}")


# -- who makes releases ----------------------------------------------------------------------------------------------


def update(ws: "Workspace") -> None:
    """Add to the feed what is not in it of all that was taken out of releases; make it where there is none.

    May be done again: the same removals make the same file.
    """
    path = ws.work / PLACE
    known = [] if chain.broken(path) else chain.records(path)
    versions = {one["id"]: one["versions"] for one in redact.removed(ws)}
    listed = sorted(redact.removed_from(ws), key=lambda one: (one["at"], one["receipt"], one["id"]))
    there = {one.get("id") for one in known}
    records = [
        {"id": one["id"], "at": one["at"], "receipt": one["receipt"], "versions": versions[one["id"]]} for one in listed
    ]
    new = [one for one in records if one["id"] not in there]
    data = b"".join(chain.lines(path)) if known else b""
    prev = known[-1]["digest"] if known else chain.GENESIS
    head = [] if known else [{"feed": ws.catalog.digest("feed", NAME)[:32], "schema": SCHEMA}]
    for record in (*head, *new):
        line, prev = chain.line(record, prev)
        data += line
    if head or new:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write(path, data)
    keep_file(ws, PLACE)


def withdraw(ws: "Workspace") -> None:
    """Let nothing of the feed be left where there is no release."""
    if ws.catalog.scalar("SELECT 1 FROM releases") is None:
        (ws.work / PLACE).unlink(missing_ok=True)
        with ws.catalog.tx() as db:
            db.execute("DELETE FROM files WHERE path = ?", (PLACE,))


# -- who was given one -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feed:
    """A feed as it was read: whose it is, its last line's digest, the items it names, and how many of them, from the
    first, were read before."""

    path: Path
    feed: str
    last: str
    items: Sequence[Mapping[str, Any]]
    before: int = 0


def find(named: str | None, folder: Path | None, given: Path | None) -> Path | None:
    """Where a release's feed is: `given`, else as its header `named` it, seen from its `folder`; None: it has none.

    Raises UsageError for an address: a feed is not signed yet, so whoever answers there could say anything.
    """
    if given is not None:
        return given
    if named is None:
        return None
    if folder is None or is_url(named):
        raise UsageError(
            f"removals: the release names its feed at an address ({named}), and feeds are not signed yet: a remote one"
            " is not read. Bring the file, and give it as --removals FILE (removals=FILE)"
        )
    places = [folder, *folder.absolute().parents][:FOLDERS]
    return next((one / named for one in places if (one / named).is_file()), folder / named)


def read(path: Path, known: Mapping[str, str], before: str | None) -> Feed:
    """Read a feed. `known`: the last line that was read of each feed; `before`: which feed this release had so far.

    Raises GateError where it is not there, damaged, another one, or older than what was read of it: nobody can say
    then what was taken down.
    """
    if not path.is_file():
        raise GateError(f"removals: {path} is not there, and {_SO}; bring it, or say where it is (--removals FILE)")
    lines = chain.records(path)
    if chain.broken(path) or not lines or not isinstance(lines[0].get("feed"), str):
        raise GateError(f"removals: {path} is damaged, or no feed of removals, and {_SO}; ask for it again")
    feed, items = str(lines[0]["feed"]), lines[1:]
    if lines[0].get("schema") != SCHEMA:
        raise GateError(f"removals: {path} was made by a newer curate, and {_SO}; upgrade curate")
    if before not in (None, feed):
        raise GateError(f"removals: {path} is another feed than the one that was read before, and {_SO}")
    if (last := known.get(feed)) is not None and last not in {one["digest"] for one in lines}:
        raise GateError(f"removals: {path} is older than when it was read last, or another history, and {_SO}")
    for number, one in enumerate(items, start=2):
        if not (isinstance(one.get("id"), str) and _ID.fullmatch(one["id"]) and isinstance(one.get("versions"), list)):
            raise GateError(f"removals: {path}:{number}: names no item, and {_SO}")
    read_so_far = [one["digest"] for one in lines].index(last) if last else 0
    return Feed(path, feed, str(lines[-1]["digest"]), items, read_so_far)


_SO = "nobody can say what was taken down since; nothing is fetched"
