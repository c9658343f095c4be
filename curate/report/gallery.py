"""Thumbnails for a notebook, under a report's rule: obscured, unless everything is called safe and it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from os import PathLike, fspath
from typing import Any

from curate.errors import UsageError
from curate.progress import Progress
from curate.report.contact_sheet import dangers, kept_apart, tiles
from curate.store import lookup
from curate.store.eligibility import inactive
from curate.store.workspace import Workspace

MOST = 200  # pictures of one gallery


@dataclass(frozen=True, repr=False)
class Gallery:
    """Thumbnails by id; a notebook shows them. `left_out`: samples that it does not show, and why."""

    tiles: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        many = "1 thumbnail" if len(self.tiles) == 1 else f"{len(self.tiles)} thumbnails"
        return f"{many}: {', '.join(str(one['id']) for one in self.tiles)}{self._missing}"

    @property
    def _missing(self) -> str:
        said = ", ".join(f"{name[:10]} ({why})" for name, why in self.left_out.items())
        return f"; not shown: {said}" if said else ""

    def _repr_html_(self) -> str:
        pictures = "".join(
            f'<figure style="display:inline-block;margin:4px"><img src="{escape(one["src"])}" alt="">'
            f"<figcaption>{escape(one['id'])}</figcaption></figure>"
            for one in self.tiles
        )
        return f"<div>{pictures}{f'<p>{escape(self._missing[2:])}</p>' if self.left_out else ''}</div>"


def _named(given: Any) -> list[str]:
    """The names in what was given."""
    if hasattr(given, "columns"):  # a DataFrame; pandas need not be here
        if "id" not in given.columns and given.index.name != "id":
            raise UsageError("show: this table has no column or index 'id'")
        given = given["id"] if "id" in given.columns else given.index
    try:
        names = [fspath(one) for one in ([given] if isinstance(given, str | PathLike) else given)]
    except TypeError as error:
        raise UsageError(f"show: give ids as texts, or a DataFrame with a column 'id' ({error})") from error
    return names


def gallery(ws: Workspace, ids: Any, clear: bool = False) -> Gallery:
    """Thumbnails of samples, in the order asked; what is held or kept apart is left out, and said.

    `ids`: names as every command takes them (`curate.store.lookup`), one alone, or a DataFrame with ids as its column
    or its index `id`. Raises UsageError for more than 200, for one that names no sample, and for `clear` where anything
    is not called safe.
    """
    ids = _named(ids)
    if len(ids) > MOST:
        raise UsageError(f"show: {len(ids)} pictures; at most {MOST} at once")
    if clear and (found := dangers(ws)):
        raise UsageError(f"show: clear pictures only where everything is called safe: {found[0]}")
    hidden = inactive(ws.catalog).keys() | kept_apart(ws)
    known = {row[0] for row in ws.catalog.all("SELECT id FROM samples")}
    whole = (one if one in known else lookup.one(ws.catalog, one) for one in ids)
    asked = list(dict.fromkeys(whole))
    made = tiles(ws, [one for one in asked if one not in hidden], clear, Progress(quiet=True))
    shown = [one for one in asked if one in made and made[one]["src"] is not None]
    why = {one: "kept back" if one in hidden else "cannot be read" for one in asked if one not in shown}
    return Gallery([made[one] for one in shown], why)
