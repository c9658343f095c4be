"""What gives the labels of a release away without the picture: its border, how it was compressed, its size, format and
host."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.errors import StoreError
from curate.features import hashes
from curate.features.scores import samples
from curate.media.jpeg_quality import quality
from curate.net.urls import hostname
from curate.stats.cues import WHY_NOT, Asked, Shortcut, enough

if TYPE_CHECKING:
    from curate.evaluate.rows import Rows
    from curate.store.workspace import Workspace

CUES = ("border", "jpeg quality", "size", "format", "host")
MOST = 20_000  # rows that are asked about: ids are digests, so the first are a random sample


def shortcuts(ws: "Workspace", parts: Sequence["Rows"]) -> list[dict[str, Any]]:
    """How much each cue says of the labels of a release's rows: {cue, auc, chance, found, why_not}, the worst first.

    `auc` is macro one-vs-rest where the cue's model never looked, `chance` its highest value over shuffled labels.
    """
    rows = sorted((one, label, group, url) for part in parts for one, label, group, url in zip(
        part.ids, part.column("label"), part.column("group"), part.column("url"), strict=True
    ))[:MOST]  # fmt: skip
    known = enough([label for _, label, _, _ in rows], [group for _, _, group, _ in rows])
    if not known:
        return [_facts(Shortcut(cue, why_not=WHY_NOT)) for cue in CUES]
    rows = [one for one in rows if one[1] in known]
    ids = [one for one, *_ in rows]
    asked = Asked([label for _, label, _, _ in rows], [group for _, _, group, _ in rows])
    known_samples = samples(ws, ids)
    stored = [known_samples[one] for one in ids]
    size = np.array([(one.bytes, one.width, one.height) for one in stored], dtype=np.float64)
    bytes_, width, height = size.T
    found = [
        asked.words("border", _borders(ws, ids)),
        asked.words("jpeg quality", [_quality(ws, one) for one in ids]),
        asked.numbers("size", np.stack([bytes_, width, height, width / height, bytes_ / (width * height)], axis=1)),
        asked.words("format", [one.media_type for one in stored]),
        asked.words("host", [hostname(url) for *_, url in rows]),
    ]
    return [_facts(one) for one in sorted(found, key=lambda one: -(one.auc or 0))]


def _borders(ws: "Workspace", ids: Sequence[str]) -> list[str | None]:
    found = hashes.read(ws, ids)
    return [
        None if not known else "none" if np.isnan(inner) else "border"
        for known, inner in zip(found.known, found.qualities[:, 1], strict=True)
    ]


def _quality(ws: "Workspace", one: str) -> str | None:
    """As a word: another program's tables lie between libjpeg's, and a class that has them all to itself is told."""
    try:
        with ws.blobs.open(one) as file:
            found = quality(file)
    except StoreError:
        return None
    return "none" if found is None else str(found)


def _facts(one: Shortcut) -> dict[str, Any]:
    return {"cue": one.by, "auc": one.auc, "chance": one.chance, "found": one.found, "why_not": one.why_not or None}
