"""By how much a model is worse on the same pictures altered: compressed, small, grey, blurred, bordered, mirrored."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.contracts import Engine, Labeler
from curate.evaluate.compare import Ground, side_by_side
from curate.evaluate.contenders import of_head
from curate.evaluate.pictures import ALTERATIONS, Altered, asked
from curate.linear import Head
from curate.records import Axis

if TYPE_CHECKING:
    from curate.evaluate.rows import Featured
    from curate.store.workspace import Workspace

MOST = 500  # rows of test that are altered: ids are digests, so the first are a random sample


def robustness(
    ws: "Workspace",
    engine: Engine,
    backbone: Labeler,
    test: "Featured",
    head: Head,
    axis: Axis,
    ground: Ground,
    seed: int,
) -> dict[str, Any]:
    """`rows` of {name, the figures, `difference` to the pictures as they are}, as `side_by_side` has them; a picture
    that cannot be read counts as an error where it is altered, too."""
    rows = np.zeros(len(test.rows), dtype=bool)
    rows[:MOST] = True
    ids = [one for one, kept in zip(test.rows.ids, rows, strict=True) if kept]
    altered: dict[str, Labeler] = {how: Altered(backbone, how) for how in ALTERATIONS}
    found = asked(ws, engine, altered, ids)
    features = {"as it is": test.features[rows]} | {how: found[how]["embedding"].astype(np.float32) for how in altered}
    some = [of_head(name, axis, head, values, test.rows.classes) for name, values in features.items()]
    return side_by_side(Ground(ground.judged.pick(rows), axis), some, seed, whole=True)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The largest loss."""
    apart = [
        (row["difference"].get("right"), row["name"], row["difference"].get("right_interval")) for row in found["rows"]
    ]
    known = [one for one in apart if one[0] is not None]
    if known:
        value, name, (low, high) = min(known)
        yield f"altered pictures ({found['of']} rows): worst is {name}, {value:+.4f} right ({low:+.4f} to {high:+.4f})"
