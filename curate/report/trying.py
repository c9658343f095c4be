"""`curate functions --try`: one page of a few samples of each vote, obscured."""

from pathlib import Path

from curate import __version__
from curate.label.function_report import helps
from curate.label.trying import Tried
from curate.progress import Progress
from curate.report import contact_sheet, html
from curate.report import counts as figures
from curate.report.html import table
from curate.store.blobs import write
from curate.store.catalog import now
from curate.store.eligibility import inactive
from curate.store.workspace import Workspace

NAME = "functions.html"


def page(ws: Workspace, tried: Tried, progress: Progress) -> Path:
    """Write `functions.html` beside curate.toml and say where it is. Pictures are obscured, whatever they show."""
    hidden = inactive(ws.catalog).keys() | contact_sheet.kept_apart(ws)
    names = {one for votes in tried.shown.values() for some in votes.values() for one in some} - hidden
    made = contact_sheet.tiles(ws, names, False, progress)
    facts = {
        "name": figures.about(ws)["name"],
        "tool": __version__,
        "at": now(),
        "f": tried.facts,
        "functions": [
            {
                "name": one["name"],
                "table": _figures(one),
                "help": helps(one),
                "votes": {
                    vote: [made[name] for name in some if name in made]
                    for vote, some in tried.shown[one["name"]].items()
                },
            }
            for one in tried.facts["functions"]
        ],
    }
    facts["slices"] = [one for one in tried.facts.get("slices", ()) if one["faults"]]
    path = ws.root / NAME
    write(path, html.render(NAME, facts).encode())
    return path


def _figures(one: dict[str, object]) -> html.Table:
    names = ("coverage", "overlap", "conflict", "accuracy", "gold", "faults", "flags_alone")
    columns = [
        "Coverage",
        "Beside others",
        "In conflict",
        "Right",
        "of (people's labels)",
        "Failed on",
        "Alone keeps back",
    ]
    return table(f"{one['name']}", columns, [[one[name] for name in names]])
