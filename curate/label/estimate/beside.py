"""What stands beside every figure that rests on weak labels: how right an audit found them, or that there is none."""

from collections.abc import Mapping
from typing import Any

from curate.errors import UsageError
from curate.label.estimate.calls import LABELS, NOT_SAFE
from curate.label.estimate.run import Asked, estimate
from curate.records import Axis
from curate.store import views
from curate.store.workspace import Workspace

NONE = "no audit; `curate queue audit`, then `curate review audit --reviewer NAME`"
WHAT = ("precision", "recall")


def beside(ws: Workspace, axis: Axis) -> dict[str, Any]:
    """Precision and recall of `not_safe` from the newest audit that was judged (of each class, where all are safe).

    `figures` is empty where nobody judged one that holds; `said` has all of it in a line. `current`: the catalog still
    holds what the audit was drawn from.
    """
    none: dict[str, Any] = {"queue": None, "judged": 0, "planned": 0, "current": None, "figures": [], "said": NONE}
    if not views.audited(ws.catalog, axis.name, ws.config.taxonomy.version):
        return none
    try:
        found = estimate(ws, Asked(axis))
    except UsageError as error:
        return none | {"said": f"no audit: {str(error).removeprefix('estimate: ')}"}
    classes = [NOT_SAFE] if set(axis.classes) - set(axis.safe) else axis.classes
    figures = [
        {key: one[key] for key in ("what", "class", "value", "low", "high", "rests_on")}
        for one in found["figures"]
        if one["score"] == LABELS and one["what"] in WHAT and one["class"] in classes
    ]
    figures.sort(key=lambda one: classes.index(one["class"]))
    counts, current = found["decisions"], found["frame"]["current"]
    said = {
        "queue": found["queue"], "judged": counts["judged"], "planned": sum(counts.values()), "current": current,
        "figures": figures,
    }  # fmt: skip
    return said | {"said": line(said)}


def line(said: Mapping[str, Any]) -> str:
    """The figures in a line, each with its 95 % interval."""
    if not said["figures"]:
        return NONE
    each = [
        f"{one['what']} of {one['class']} {_share(one['value'])} ({one['low']:.1%} to {one['high']:.1%})"
        for one in said["figures"]
    ]
    of = f"{said['judged']:,} of {said['planned']:,} decisions of {said['queue']}"
    return f"by {of}: {', '.join(each)}" + ("" if said["current"] else "; the catalog has changed since it was drawn")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
