"""Thumbnails for a notebook, under a report's rule: obscured, unless everything is called safe and it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from curate.errors import UsageError
from curate.progress import Progress
from curate.report.contact_sheet import dangers, kept_apart, tiles
from curate.store.eligibility import inactive
from curate.store.workspace import Workspace

MOST = 200  # pictures of one gallery


@dataclass(frozen=True, repr=False)
class Gallery:
    """Thumbnails by id; a notebook shows them."""

    tiles: Sequence[Mapping[str, Any]]

    def __repr__(self) -> str:
        return f"{len(self.tiles)} thumbnails: {', '.join(str(one['id']) for one in self.tiles)}"

    def _repr_html_(self) -> str:
        pictures = "".join(
            f'<figure style="display:inline-block;margin:4px"><img src="{escape(one["src"])}" alt="">'
            f"<figcaption>{escape(one['id'])}</figcaption></figure>"
            for one in self.tiles
            if one["src"] is not None
        )
        return f"<div>{pictures}</div>"


def gallery(ws: Workspace, ids: Sequence[str], clear: bool = False) -> Gallery:
    """Thumbnails of samples, in the order asked; what is held, gone or kept apart is left out.

    Raises UsageError for more than 200, and for `clear` where anything is not called safe.
    """
    if len(ids) > MOST:
        raise UsageError(f"show: {len(ids)} pictures; at most {MOST} at once")
    if clear and (found := dangers(ws)):
        raise UsageError(f"show: clear pictures only where everything is called safe: {found[0]}")
    hidden = inactive(ws.catalog).keys() | kept_apart(ws)
    known = {row[0] for row in ws.catalog.all("SELECT id FROM samples")}
    wanted = [one for one in dict.fromkeys(ids) if one in known and one not in hidden]
    made = tiles(ws, wanted, clear, Progress(quiet=True))
    return Gallery([made[one] for one in wanted if one in made])
