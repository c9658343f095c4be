"""The demo's audit: a random sample judged by a script that knows where each picture comes from, then the estimate."""

from collections.abc import Mapping
from typing import Any

from curate.label.estimate.plan import Wanted, lasting
from curate.label.estimate.run import Asked, estimate
from curate.review.draw import Draw, queue
from curate.review.journal import Journal
from curate.review.queues.audit import Audit
from curate.store.workspace import Workspace

SIZE, SECONDS = 60, 4.0  # decisions, and what one is said to take
OF, HALF = "drawings", 0.03  # the class, and the half-width that the plan is for
REVIEWER = "demo"


def audit(ws: Workspace, truth: Mapping[str, str]) -> dict[str, Any]:
    """What `curate estimate` answers, with a plan; `truth` has the class of each sample by provenance."""
    name = queue(ws, Audit(), Draw(size=SIZE))["queue"]
    journal = Journal(ws.catalog, ws.config, name, REVIEWER)
    for item in journal.items():
        journal.decide(item.sample, truth[item.sample], SECONDS)
    journal.end()
    return estimate(ws, Asked(ws.config.taxonomy.first, name, wanted=Wanted("precision", OF, HALF)))


def table(found: Mapping[str, Any], labels: Mapping[str, str | None], truth: Mapping[str, str]) -> dict[str, Any]:
    """The estimate of one class beside what provenance says of all, for the terminal and the report."""
    called = [name for name, label in labels.items() if label == OF]
    there = [name for name in labels if truth[name] == OF]
    both = sum(truth[name] == OF for name in called)
    real = {"precision": both / len(called) if called else None, "recall": both / len(there) if there else None}
    rows = [
        [f"{one['what']} of {OF}", _share(one["value"]), f"{_share(one['low'])} to {_share(one['high'])}",
         _share(real[one["what"]])]
        for one in found["figures"]
        if one["class"] == OF and one["what"] in real
    ]  # fmt: skip
    plan, n = found["plan"], found["decisions"]["judged"]
    asked = f"`curate estimate --plan precision:{OF}={HALF}`"
    return {
        "title": f"How right the weak labels are, from {n} decisions",
        "columns": ["figure", "estimate", "95 % interval", "by provenance, of all"],
        "rows": rows,
        "note": f"{asked}: {plan['decisions']:,} decisions, {lasting(plan['hours'])}.",
    }


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
