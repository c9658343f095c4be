"""`curate report`: one page, `report.html`, that says what became of everything. It asks nothing of the network."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from curate import figures, sheet
from curate.progress import Progress
from curate.records import SPLITS
from curate.store.blobs import write
from curate.store.catalog import now
from curate.store.workspace import Workspace

NAME = "report.html"
SHADES = 8  # steps of shading in a confusion matrix; the template's style has one class for each

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S*")
_METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "roc_auc": "ROC-AUC, macro one-vs-rest",
    "average_precision": "Average precision, macro one-vs-rest",
}

Table = dict[str, Any]


def report(ws: Workspace, progress: Progress, extra: Mapping[str, object] | None = None) -> Path:
    """Write `report.html` beside curate.toml and say where it is.

    `extra["tables"]` is a list of {"title", "columns", "rows", "note"} to show as they are. No URL of an item is
    printed, and a thumbnail is clear only where the whole workspace is called safe (`sheet.dangers`).
    """
    facts = gather(ws)
    facts |= pictures(ws, facts, progress)
    facts["extra"] = list((extra or {}).get("tables", []))  # type: ignore[call-overload]
    path = ws.root / NAME
    write(path, render(facts).encode())
    return path


def gather(ws: Workspace) -> dict[str, Any]:
    """Every figure of the page."""
    axes = ws.config.taxonomy.axes
    return {
        "at": now(),
        "about": figures.about(ws),
        "screening": figures.screening(ws),
        "candidates": figures.candidates(ws),
        "failures": figures.failures(ws),
        "sources": figures.sources(ws),
        "duplicates": figures.duplicates(ws),
        "labelling": {axis.name: figures.labelling(ws, axis) for axis in axes},
        "labels": [figures.labels(ws, axis) for axis in axes],
        "releases": figures.releases(ws),
        "models": figures.models(ws),
    }


def pictures(ws: Workspace, facts: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The contact sheet by class, the largest near-duplicate groups, and why they are obscured where they are."""
    given = {one["axis"]: [label for label, _ in figures.weak(ws, axis).values()]
             for axis, one in zip(ws.config.taxonomy.axes, facts["labels"], strict=True)}  # fmt: skip
    why = sheet.dangers(ws, given)
    of = facts["labels"][0]["of"]
    chosen, groups = sheet.choose(ws, ws.config.taxonomy.first, of), sheet.largest(ws)
    names = [name for some in chosen.values() for name in some]
    names += [name for one in groups for _, name in one["members"]]
    made = sheet.tiles(ws, names, not why, progress)
    return {
        "dangers": why,
        "sheet": {label: [made[name] | _given(of.get(name)) for name in some] for label, some in chosen.items()},
        "groups": [
            one | {"members": [made[name] | {"collapsed": collapsed} for collapsed, name in one["members"]]}
            for one in groups
        ],
    }


def _given(label: Sequence[Any] | None) -> dict[str, Any]:
    return {"by": label[1] if label else None, "probability": label[2] if label else None}


def render(facts: Mapping[str, Any]) -> str:
    """The page: everything escaped, no script, one style that the page's own policy names by its hash."""
    from jinja2 import Environment, StrictUndefined

    style = files("curate").joinpath("report.css").read_text(encoding="utf-8")
    page = files("curate").joinpath(NAME).read_text(encoding="utf-8")
    there = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_said, trim_blocks=True, lstrip_blocks=True
    )
    there.globals |= {"splits": SPLITS, "shades": SHADES, "tables": _tables, "flow": _flow, "matrix": _matrix}
    there.filters |= {"n": _number, "bytes": _bytes}
    sealed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return there.from_string(page).render(f=facts, style=style, style_hash=sealed)
