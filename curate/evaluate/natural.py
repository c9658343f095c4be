"""The figures at natural prevalence: test rows that an audit of an upload window drew, each standing for as many as it
was drawn from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.errors import UsageError
from curate.evaluate.contenders import Contender
from curate.label.estimate import frame
from curate.label.estimate.draws import drawn
from curate.records import Axis
from curate.stats.metrics import evaluate

if TYPE_CHECKING:
    from curate.evaluate.rows import Rows
    from curate.store.workspace import Workspace

LEAST = 20  # rows, below which nothing is said
UNSEEN = 0.01  # of the window, that strata may hold together of which no judged row is of test


def natural(ws: "Workspace", axis: Axis, rows: "Rows", model: Contender, seed: int) -> dict[str, Any]:
    """`figures` as of `evaluate`, on people's decisions of the newest audit that are of test, an item by its stratum's
    share; or `why_not`. `unseen`: the share of the window, UNSEEN at most, in strata of which test has no such item.

    Test is a random part of each stratum (splits are drawn by digest), so a judged test item stands for the stratum's
    size over how many of it are.
    """
    if not frame.natural(ws):
        return {"why_not": "no source is an upload window, so there is no natural prevalence to reweight by"}
    if ws.config.export.test_sources or ws.config.export.split_from:
        return {"why_not": "test was given, not drawn: it is no random part of what the audit was drawn from"}
    try:
        found = drawn(ws, axis, None)
    except UsageError as error:
        return {"why_not": str(error)}
    at = {one: n for n, one in enumerate(rows.ids)}
    items = [(at[one.sample], one) for one in found.items if one.state == "judged" and one.sample in at]
    counts = Counter(one.stratum for _, one in items)
    unseen = sum(n for stratum, n in enumerate(found.sizes) if not counts[stratum]) / max(sum(found.sizes), 1)
    if len(items) < LEAST or unseen > UNSEEN:
        said = f"{len(items)} decisions of the audit {found.queue} are of this split"
        return {"why_not": f"{said}; {LEAST} are needed, and some of each stratum but the smallest"}
    places = np.array([place for place, _ in items])
    truth = np.array([axis.classes.index(str(one.label)) for _, one in items])
    weights = np.array([found.sizes[one.stratum] / counts[one.stratum] for _, one in items])
    known = np.asarray(model.probabilities)
    judged = replace(
        rows.judged(known), truth=truth, probabilities=known[places], groups=[rows.column("group")[n] for n in places],
        classes=list(axis.classes), sources=["human"] * len(items), weights=weights / weights.mean(),
    )  # fmt: skip
    return {
        "queue": found.queue,
        "unseen": round(unseen, 4),
        **evaluate(judged, axis.safe, axis.borderline, seed),
        **_prevalence(axis, truth, weights),
    }


def _prevalence(axis: Axis, truth: np.ndarray, weights: np.ndarray) -> Mapping[str, Any]:
    unsafe: Sequence[bool] = [name not in axis.safe for name in axis.classes]
    return {"prevalence": round(float((weights * np.array(unsafe)[truth]).sum() / weights.sum()), 4)}
