"""The table of what leaves of each stored picture: how the bytes are made of those that are stored, and their digest.

`fetch` notes it of what it has decoded anyway, and an export of the others, once.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import PIL

from curate.fingerprint import fingerprint
from curate.media import leaving
from curate.media.decode import Bounds
from curate.media.leaving import Cut, Treated
from curate.store.tables import Table, to_table

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

NAME = "leaving"
_ANEW = -1  # stands for a cut that there is not


def bounds(ws: "Workspace") -> Bounds:
    """Within which a stored picture may leave."""
    return Bounds(ws.config.fetch.max_pixels, 1, ws.config.fetch.max_frames)


def table(ws: "Workspace") -> Table:
    """Where it is kept: a row a sample, made anew where another Pillow, or other bounds, might find otherwise."""
    return ws.table(NAME, treatment(ws))


def treatment(ws: "Workspace") -> str:
    """The fingerprint of all that decides which bytes leave of a sample."""
    at, side = bounds(ws), ws.config.export.max_side
    return fingerprint(NAME, leaving.VERSION, PIL.__version__, at.max_pixels, at.max_frames, side)


def known(rows_of: Table, ids: Collection[str]) -> tuple[dict[str, Treated], dict[str, str]]:
    """What was found out of these samples before: what leaves, and why nothing does."""
    treated, problems = dict[str, Treated](), dict[str, str]()
    ends: dict[bytes, bytes] = {}  # most files have one of few
    for _, rows in rows_of.each():
        for row in [] if rows is None else rows.to_pylist():
            if row["id"] not in ids:
                continue
            if row["problem"]:
                problems[row["id"]] = row["problem"]
            else:
                head, tail = (ends.setdefault(row[name], row[name]) for name in ("head", "tail"))
                cut = None if row["begin"] == _ANEW else Cut(row["begin"], row["end"], head, tail)
                treated[row["id"]] = Treated(row["sha256"], row["media_type"], cut)
    return treated, problems


def write(rows_of: Table, treated: Mapping[str, Treated], problems: Mapping[str, str], who: str) -> None:
    """One part of the table; it is named after `who` and what is in it."""
    import numpy as np

    ids = sorted(treated.keys() | problems.keys())
    if not ids:
        return
    nothing = Treated("", "", None)
    found = [treated.get(one, nothing) for one in ids]
    cuts = [one.cut or Cut(_ANEW, _ANEW) for one in found]
    columns: dict[str, object] = {
        "id": ids,
        "sha256": [one.sha256 for one in found],
        "media_type": [one.media_type for one in found],
        "problem": [problems.get(one, "") for one in ids],
        "begin": np.array([one.begin for one in cuts], dtype=np.int64),
        "end": np.array([one.end for one in cuts], dtype=np.int64),
        "head": [one.head for one in cuts],
        "tail": [one.tail for one in cuts],
    }
    rows_of.write(f"{who}-{fingerprint(ids)}", to_table(columns))
