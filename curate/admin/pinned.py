"""What is remembered of a release of others by its place: by which key it is signed, and which feed of removals is its
own. Both are taken at first use, and asked for from then on."""

from collections.abc import Callable
from dataclasses import dataclass

from curate.errors import GateError, ItemError
from curate.layouts.exported import PUBLIC, SUMS, read_sums
from curate.net.urls import is_url, parse, place_name
from curate.release import signing
from curate.release.hydrate import Received
from curate.release.reader import HEADER
from curate.store.catalog import BY_HAND, Catalog
from curate.store.workspace import Workspace

KEY = "key-of:"  # begins the name of a fact: the key of the release at the place, or of the feed, that follows
FEED = "removals-of:"  # begins the name of a fact: which feed the release at the place that follows has


@dataclass(frozen=True)
class Maker:
    """Who made a release: the public key by which it is signed, and the feed that was signed with it. None: unknown."""

    key: str | None = None
    feed: str | None = None


def trusted(ws: Workspace, release: Received, place: str, given: str | None, note: Callable[[str], None]) -> Maker:
    """By whom a release is signed: by the key `given`, else the one that is known of its place, else, the first time,
    the one that came with it. No key: it is not signed, and never was.

    Raises UsageError for a key that is none, GateError where the release is not signed by it.
    """
    folder, known = release.manifest.path, remembered(ws.catalog, KEY, place)
    asked = given if given is not None else next(iter(known), None)  # an empty one is none: no leave to take what came
    if given is None and len(known) > 1:
        raise GateError(
            f"release {release.version}: by other spellings of its address it was signed by {' and by '.join(known)};"
            " nothing is fetched until you say which holds (--key, key=)"
        )
    if asked is None and (folder / PUBLIC).is_file():
        asked = str(folder / PUBLIC)
    if asked is None:
        return Maker()
    key = signing.public_key(asked)
    sums = signing.check(folder / SUMS, key, f"release {release.version}")
    if read_sums(sums.data).get(HEADER) != release.stamp:
        raise GateError(f"release {release.version}: its {HEADER} is not the one that was signed; nothing is fetched")
    if [key] != known:
        note(f"release {release.version} is signed by {key}: it, and its feed of removals, must be from now on")
    ws.catalog.set(f"{KEY}{place}", key)
    return Maker(key, sums.feed)


def agreed(ws: Workspace, feed: str, key: str | None, given: bool) -> None:
    """Remember by which key a feed is signed; raises GateError where that was another one, unless this one was `given`
    by who asks."""
    known = ws.catalog.get(f"{KEY}{feed}")
    if known is not None and known != key and not given:
        raise GateError(
            f"removals: this feed was signed by {known} when it was read before, and is not now; nothing is fetched. If"
            " its makers say that they have another key, give that (--key, key=)"
        )
    if key is not None:
        ws.catalog.set(f"{KEY}{feed}", key)


def of_maker(catalog: Catalog, feed: str, key: str | None) -> set[str]:
    """The sources that are releases by who made a feed: it is theirs, or they are signed by the same key."""
    rows = catalog.all("SELECT source, json_extract(options, '$.path') FROM sources WHERE plugin = ?", (BY_HAND,))
    return {
        source
        for source, place in rows
        if feed in remembered(catalog, FEED, place) or (key is not None and key in remembered(catalog, KEY, place))
    }


def remembered(catalog: Catalog, fact: str, place: str) -> list[str]:
    """What is known of a place; of an address that was remembered by other spellings only, what each of them says."""
    if (own := catalog.get(f"{fact}{place}")) is not None:
        return [own]
    if not is_url(place):
        return []
    rows = catalog.all("SELECT key, value FROM meta WHERE key GLOB ? ORDER BY key", (f"{fact}*://*",))
    names = ((_name(str(row[0]).removeprefix(fact)), str(row[1])) for row in rows)
    wanted = _name(place)
    return list(dict.fromkeys(value for name, value in names if name == wanted))


def respell(catalog: Catalog, place: str) -> None:
    """Have what was listed from a place by another spelling of its address be of that place."""
    rows = catalog.all("SELECT source, json_extract(options, '$.path') FROM sources WHERE plugin = ?", (BY_HAND,))
    others = [(place, source) for source, path in rows if path != place and is_url(path) and _name(path) == place]
    with catalog.tx() as db:
        db.executemany("UPDATE sources SET options = json_set(options, '$.path', ?) WHERE source = ?", others)


def _name(place: str) -> str:
    """The one name of an address; of what was remembered and is none any more, what it is."""
    try:
        return place_name(parse(place))
    except ItemError:
        return place
