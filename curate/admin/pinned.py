"""By which key what others release is signed: remembered at first use, and asked for from then on."""

from collections.abc import Callable

from curate.errors import GateError
from curate.layouts.exported import PUBLIC, SUMS, read_sums
from curate.release import signing
from curate.release.hydrate import Received
from curate.release.reader import HEADER
from curate.store.workspace import Workspace

KEY = "key-of:"  # begins the name of a fact: the key of the release at the place, or of the feed, that follows


def trusted(ws: Workspace, release: Received, place: str, given: str | None, note: Callable[[str], None]) -> str | None:
    """The key by which a release is signed: the one `given`, else the one that is known of its place, else, the first
    time, the one that came with it. None: it is not signed, and never was.

    Raises UsageError for a key that is none, GateError where the release is not signed by it.
    """
    folder, known = release.manifest.path, ws.catalog.get(f"{KEY}{place}")
    asked = given if given is not None else known  # an empty one is none, and nobody's leave to take what came
    if asked is None and (folder / PUBLIC).is_file():
        asked = str(folder / PUBLIC)
    if asked is None:
        return None
    key = signing.public_key(asked)
    sums = signing.check(folder / SUMS, key, f"release {release.version}")
    if read_sums(sums).get(HEADER) != release.stamp:
        raise GateError(f"release {release.version}: its {HEADER} is not the one that was signed; nothing is fetched")
    if key != known:
        note(f"release {release.version} is signed by {key}: it, and its feed of removals, must be from now on")
        ws.catalog.set(f"{KEY}{place}", key)
    return key


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
