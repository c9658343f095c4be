"""Which of what left is not signed as the config wants it: for `curate verify`."""

import logging
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from curate.errors import UsageError
from curate.layouts.exported import SUMS, is_beside
from curate.release import removals, signing

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

log = logging.getLogger(__name__)


def unsigned(ws: "Workspace", wrong: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """What left, is as it was kept, and is not signed by the key that is named: it changed while that was not at hand,
    or there was another."""
    if ws.config.export.signing_key is None:
        return
    try:
        key = signing.of(ws)
    except UsageError as error:
        log.warning("%s; whose signatures these are is not looked at", error)
        key = None
    kept = {str(row[0]) for row in ws.catalog.all("SELECT path FROM files WHERE path GLOB 'exports/*'")}
    for path in sorted(kept - {*wrong}):
        signature = f"{path}{signing.SUFFIX}"
        if not (is_beside(path, SUMS) or path == removals.PLACE) or signature in wrong:
            continue
        if signature not in kept:
            yield "missing", signature, "it is not signed, though [export] signing_key names a key"
        elif key is not None and not signing.is_signed(ws.work / path, key.public):
            yield "corrupt", signature, "it is not by the key that [export] signing_key names"
