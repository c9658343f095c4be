"""`curate hydrate` on a workspace: removals first, then the rows behind guard and gate, then what came of them."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.admin import configured
from curate.admin.pinned import FEED, Maker, agreed, of_maker, remembered, respell, trusted
from curate.admin.session import Session
from curate.contracts import Http
from curate.errors import ItemError, MatchError, UsageError
from curate.fetch.known import known_again
from curate.fetch.listing import source_id
from curate.fetch.run import fetch
from curate.net.loops import finished
from curate.net.urls import is_url, parse, place_name
from curate.options import is_said
from curate.release import hydrate, recovery, removals, signing
from curate.release.hydrate import Hydrate, Received
from curate.removal.received import follow, read_before
from curate.stats.coverage import Coverage
from curate.store.workspace import Workspace


@dataclass(frozen=True)
class Asked:
    """What is to be fetched anew: a folder or an address, where its removals are, who answers for it, and by which
    public key it is signed."""

    release: str
    removals: str | None = None
    reason: str | None = None
    approved_by: str | None = None
    limit: int | None = None
    max_failures: int | None = None
    key: str | None = None


def hydrated(session: Session, ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Take out what was taken down, then fetch what is not here, and say how much of the release is.

    Raises GateError, and fetches nothing, where the feed of removals cannot say what was taken down.
    """
    started = time.monotonic()
    with _opened(session, ws, asked.release) as (at, path, release):
        hydrate.check_version(release)
        respell(ws.catalog, path)
        maker = trusted(ws, release, path, asked.key, session.note)
        gone = _removed(session, ws, release, (at, path), asked, maker)
        source = _source(ws, release, path, asked)
        name = source_id(source)
        known_again(ws.catalog, [source])
        _check_approval(ws, source)
        hydrate.begin_again(ws, name, release)
        engine, gate = session.engine(ws.config), configured.gate(ws.config, ws.catalog)
        client = session.client(ws.config)
        try:
            found = fetch(ws, [source], client, gate, engine, session.progress, asked.limit, only=True)
        except MatchError as error:
            said = recovery.account(ws, name, release) | gone
            raise MatchError(str(error), {**error.facts, **said}) from error
        facts = _facts(recovery.account(ws, name, release), asked.max_failures) | gone
    kept = {key: found[key] for key in ("asked", "deferred_hosts", "bytes")}
    if hosts := found["deferred_hosts"]:
        session.note(
            f"{hosts} hosts kept failing and were left alone: what was not asked of them is pending; run it again"
        )
    return facts | kept | {"seconds": round(time.monotonic() - started, 3)}


def _facts(found: dict[str, Any], max_failures: int | None) -> dict[str, Any]:
    """What is here of the release, first."""
    why = ", ".join(f"{n:,} {reason}" for reason, n in found["missing"].items())
    covered = Coverage(found["recovered"], found["rows"], "rows", f"are not here ({why})", "here")
    return covered.facts(recovery.shortfall(found, max_failures)) | found


@contextmanager
def _opened(session: Session, ws: Workspace, release: str) -> Iterator[tuple[str, str, Received]]:
    """The place of a release as it is asked for, and as it is remembered, and the release; from an address its files
    come for as long."""
    if not is_url(release):
        path = Path(os.path.realpath(release))  # `resolve` raises where a link leads to itself
        yield str(path), str(path), hydrate.opened(path)
        return
    try:
        place = str(parse(release)).rstrip("/")
        name = place_name(parse(release))
    except ItemError as error:
        raise UsageError(f"hydrate: nothing of this address: {error}") from error
    folder = ws.work / "spool" / "release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        finished(_download(session, ws, place, folder))
        yield place, name, hydrate.opened(folder, local=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _download(session: Session, ws: Workspace, release: str, folder: Path) -> None:
    async with session.client(ws.config) as http:
        asking: Http = http
        await hydrate.download(asking, release, folder)


def _removed(
    session: Session, ws: Workspace, release: Received, place: tuple[str, str], asked: Asked, maker: Maker
) -> dict[str, Any]:
    """What the feed of a release says was taken down is removed, whatever comes after it. `place`: of the release, as
    it is asked for, and as it is remembered."""
    (at, path), key = place, maker.key
    places = removals.places(release.manifest.header.get("removals"), at, asked.removals)
    if not places:
        session.note(f"release {release.version} names no feed of removals: what its makers take down stays unknown")
        return {"removed": 0, "receipt": None, "removals": None}
    before = remembered(ws.catalog, FEED, path)
    with _feed(session, ws, places, key) as (file, source):
        feed = removals.read(file, read_before(ws.catalog), before, source)
        if key is not None:
            signing.check(file, key, f"removals: {source}")
    removals.check_own(feed, release.manifest, maker.feed, source)
    agreed(ws, feed.feed, key, asked.key is not None)
    if key is not None and maker.feed is None and not before:
        session.note(
            f"release {release.version} was signed without saying which feed of removals is its own: {source} is taken"
            " for it, since it is by the same key"
        )
    ws.catalog.set(f"{FEED}{path}", feed.feed)
    found = follow(ws, feed, release.version, of_maker(ws.catalog, feed.feed, key))
    for line in _told(found, release.version):
        session.note(line)
    return found | {"removals": {"path": source, **found["removals"]}}


def _told(found: Mapping[str, Any], version: str) -> Iterator[str]:
    """What a feed named and what was done about it, a line each."""
    counts = found["removals"]
    if others := counts["others"]:
        yield f"the feed names {others} items of other releases than {version}; they stay away, too"
    for whose, n in (("your own sources name", counts["yours"]), ("releases by others name", counts["foreign"])):
        if n:
            yield (
                f"the feed names {n} items that {whose}, too: they are held back, and not removed; `curate takedown ID`"
                " removes one, `curate screening incident` lists them"
            )
    if new := counts["new"]:
        yield (
            f"taken down by who made the release, and new here: {new}; samples of these that were here and are removed:"
            f" {found['removed']}"
        )
    if left := found["duplicates_left"]:
        yield f"{left} samples that show what was removed in other bytes stay; `curate takedown ID` removes one"


@contextmanager
def _feed(session: Session, ws: Workspace, places: Sequence[str], key: str | None) -> Iterator[tuple[Path, str]]:
    """A copy of the feed, for as long, with its signature, and where it was found: nobody changes it between reading
    and checking.

    Raises UsageError for an address where no key is known: whoever answers there could say anything.
    """
    if key is None and is_url(places[0]):
        raise UsageError(
            f"removals: the release names its feed at an address ({places[0]}), and nothing of it is signed: whoever"
            " answers there could have you delete what they like. Bring the file, and give it as --removals FILE"
            " (removals=FILE), or say whose signature holds (--key, key=)"
        )
    folder = ws.work / "spool" / "feed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        copy = folder / removals.NAME
        if is_url(places[0]):
            place, feed, signature = finished(_ask(session, ws, places))
            for path, data in ((copy, feed), (signing.signature_of(copy), signature)):
                if data is not None:
                    path.write_bytes(data)
        else:
            place = next((one for one in places if Path(one).is_file()), places[0])
            for path, file in ((copy, Path(place)), (signing.signature_of(copy), signing.signature_of(Path(place)))):
                if file.is_file():
                    shutil.copyfile(file, path)
        yield copy, place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ask(session: Session, ws: Workspace, places: Sequence[str]) -> tuple[str, bytes | None, bytes | None]:
    """Which of these addresses has a feed, the feed, and its signature; None for what is not to be had."""
    async with session.client(ws.config) as http:
        for place in places:
            if (feed := await _body(http, place)) is not None:
                return place, feed, await _body(http, place + signing.SUFFIX)
    return places[0], None, None


async def _body(http: Http, place: str) -> bytes | None:
    try:
        return (await http.get(place)).body
    except ItemError:
        return None


def _check_approval(ws: Workspace, source: Hydrate) -> None:
    """Raise UsageError where a class is not safe here, and nobody says why it is fetched and who answers for it."""
    axis, said = ws.config.taxonomy.first, (source.reason, source.approved_by)
    flags = ("--reason TEXT (reason=)", "--approved-by NAME (approved_by=)")
    unsafe = sorted({str(one) for one in source.classes()} & ({*axis.classes} - {*axis.safe}))
    if unsafe and (lacking := [flag for flag, text in zip(flags, said, strict=True) if not is_said(text)]):
        raise UsageError(
            f"hydrate: {' and '.join(lacking)}: needed, since not every class of this release is safe here"
            f" ({', '.join(unsafe)}); it goes into your releases"
        )


def _source(ws: Workspace, release: Received, path: str, asked: Asked) -> Hydrate:
    reason, by = hydrate.earlier(ws, path)
    wanted = {one.system for one in map(hydrate.upstream_of, release.rows) if one is not None}
    systems = configured.systems(ws.config, wanted)
    return Hydrate(path, asked.reason or reason, asked.approved_by or by, release, systems)
