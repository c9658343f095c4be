"""The removals feed: what releases had and have no more, for those who were given them. It lies beside the exports.

`removals.jsonl` is a file of chained lines (`curate.store.chain`). The first says whose feed it is; each other names
one item that was taken down, with the releases that had it. `docs/receiving.md` is for who reads it.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from curate.errors import GateError
from curate.fingerprint import canonical
from curate.layouts.exported import FEED
from curate.net.urls import is_url
from curate.records import Manifest
from curate.release import redact, signing
from curate.store import chain
from curate.store.blobs import write
from curate.store.file_digests import forget_file, is_as_kept, keep_file

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

NAME = FEED
PLACE = f"exports/{NAME}"  # below `work/`
SCHEMA = 1
FOLDERS = 3  # that a relative name is looked for in: an exported format, its release, all exports
UNSIGNED = (
    "the feed of removals was signed, and is not any more, since [export] signing_key names no key: whoever was given a"
    " signed release refuses it"
)
_ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-f]{32}")  # of a feed, which is remembered beside the places of releases
log = logging.getLogger(__name__)


# -- who makes releases ----------------------------------------------------------------------------------------------


def update(ws: "Workspace") -> None:
    """Add to the feed what is not in it of all that was taken out of releases; make it where there is none.

    May be done again: the same removals make the same file.
    """
    path = ws.work / PLACE
    versions = {one["id"]: one["versions"] for one in redact.removed(ws)}
    listed = sorted(redact.removed_from(ws), key=lambda one: (one["at"], one["receipt"], one["id"]))
    records = [
        {"id": one["id"], "at": one["at"], "receipt": one["receipt"], "versions": versions[one["id"]]} for one in listed
    ]
    first = {"feed": signing.feed_of(ws), "schema": SCHEMA}
    known = _known(ws, path, [first, *records])
    there = {one.get("id") for one in known}
    data = b"".join(chain.lines(path)[: len(known)])
    prev = known[-1]["digest"] if known else chain.GENESIS
    for record in (*([] if known else [first]), *(one for one in records if one["id"] not in there)):
        line, prev = chain.line(record, prev)
        data += line
    if not path.is_file() or data != path.read_bytes():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if ws.config.export.signing_key is None and signing.signature_of(path).exists():
            log.warning("%s", UNSIGNED)
        _drop(ws, f"{PLACE}{signing.SUFFIX}")  # first: killed here, `verify` names it, and nobody is given a wrong one
        write(path, data)
    keep_file(ws, PLACE)
    _sign(ws, path)


def _known(ws: "Workspace", path: Path, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the feed that stay as they are: of one that is not as it was kept, those at its beginning that
    `records` has, too, since somebody else may have written the others."""
    known = [] if chain.broken(path) else chain.records(path)
    if is_as_kept(ws, PLACE) or ws.catalog.scalar("SELECT 1 FROM files WHERE path = ?", (PLACE,)) is None:
        return known
    ours = {canonical(one) for one in records}
    own = ({name: said for name, said in one.items() if name not in ("prev", "digest")} for one in known)
    return known[: sum(1 for _ in takewhile(lambda one: canonical(one) in ours, own))]


def _sign(ws: "Workspace", path: Path) -> None:
    """The feed's signature, written anew; without a key that of the same feed may stay, if it is as it was."""
    if (signer := signing.at_hand(ws)) is not None:
        signer.sign(path, f"file:{NAME}")
        keep_file(ws, f"{PLACE}{signing.SUFFIX}")
    elif not is_as_kept(ws, f"{PLACE}{signing.SUFFIX}"):
        _drop(ws, f"{PLACE}{signing.SUFFIX}")


def _drop(ws: "Workspace", place: str) -> None:
    (ws.work / place).unlink(missing_ok=True)
    forget_file(ws, place)


def withdraw(ws: "Workspace") -> None:
    """Let nothing of the feed be left where there is no release."""
    if ws.catalog.scalar("SELECT 1 FROM releases") is None:
        for place in (PLACE, f"{PLACE}{signing.SUFFIX}"):
            _drop(ws, place)


# -- who was given one -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feed:
    """A feed as it was read: whose it is, its last line's digest, the items it names, and how many of them, from the
    first, were read before."""

    feed: str
    last: str
    items: Sequence[Mapping[str, Any]]
    before: int = 0


def places(named: str | None, place: str, given: str | None) -> list[str]:
    """Where the feed of the release at a place, a folder or an address, may be, the likeliest first: `given`, else as
    its header `named` it; empty: it has none."""
    if given is not None or named is None or is_url(named):
        return [one for one in (given, named) if one is not None][:1]
    if is_url(place):
        return list(dict.fromkeys(urljoin(f"{place}/", "../" * up + named) for up in range(FOLDERS)))
    folder = Path(place)
    return [str(one / named) for one in [folder, *folder.absolute().parents][:FOLDERS]]


def read(path: Path, known: Mapping[str, str], before: Collection[str], name: str) -> Feed:
    """Read a feed, called `name`. `known`: the last line that was read of each; `before`: which one this release had.

    Raises GateError where it is not there, damaged, another one, or older than what was read of it: nobody can say
    then what was taken down.
    """
    if not path.is_file():
        raise GateError(f"removals: {name} is not there, and {_SO}; bring it, or say where it is (--removals FILE)")
    lines = chain.records(path)
    feed, items = (lines[0].get("feed"), lines[1:]) if lines else (None, [])
    if feed and lines[0].get("schema") != SCHEMA and not chain.broken(path):
        raise GateError(f"removals: {name} was made by a newer curate, and {_SO}; upgrade curate")
    if chain.broken(path) or not (isinstance(feed, str) and _NAME.fullmatch(feed)):
        raise GateError(f"removals: {name} is damaged, or no feed of removals, and {_SO}; ask for it again")
    if before and feed not in before:
        raise GateError(f"removals: {name} is another feed than the one that was read before, and {_SO}")
    if (last := known.get(feed)) is not None and last not in {one["digest"] for one in lines}:
        raise GateError(f"removals: {name} is older than when it was read last, or another history, and {_SO}")
    for number, one in enumerate(items, start=2):
        if not (isinstance(one.get("id"), str) and _ID.fullmatch(one["id"]) and isinstance(one.get("versions"), list)):
            raise GateError(f"removals: {name}:{number}: names no item, and {_SO}")
    read_so_far = [one["digest"] for one in lines].index(last) if last else 0
    return Feed(feed, str(lines[-1]["digest"]), items, read_so_far)


def check_own(feed: Feed, release: Manifest, bound: str | None, name: str) -> None:
    """Raise GateError for a feed, called `name`, of another workspace than a release. `bound`: the feed that was signed
    with the release; None: nobody knows. What the release itself says was taken out before, its own feed names."""
    if bound not in (None, feed.feed):
        raise GateError(
            f"removals: {name} is the feed of another dataset ({feed.feed[:8]}), and not the one that release"
            f" {release.version} was signed with ({bound[:8]}), and {_SO}; say where that is (--removals FILE)"
        )
    there = {one["id"] for one in feed.items}
    if lacking := sum(one["id"] not in there for one in release.header.get("removed", ())):
        raise GateError(
            f"removals: {name} lacks {lacking} items that were taken out before release {release.version} was made, as"
            f" that says: it is older, or of another dataset, and {_SO}; say where its own is (--removals FILE)"
        )


_SO = "nobody can say what was taken down since; nothing is fetched"
