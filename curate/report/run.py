"""`curate report`: one page, `report.html`, that says what became of everything. It asks nothing of the network."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.label import table as weak_table
from curate.label.estimate.beside import beside
from curate.label.final import Label
from curate.progress import Progress
from curate.records import SPLITS
from curate.report import contact_sheet, functions, html, models, reviewers
from curate.report import counts as figures
from curate.report.html import Table, table
from curate.review import agreement
from curate.store.blobs import write
from curate.store.catalog import PAGE, Catalog, now
from curate.store.workspace import Workspace

NAME = "report.html"


def report(ws: Workspace, progress: Progress, extra: Mapping[str, Any] | None = None, out: Path | None = None) -> Path:
    """Write `report.html` beside curate.toml, or `out`, and say where it is.

    `extra["tables"]` is a list of {"title", "columns", "rows", "note"} to show as they are. No URL of an item is
    printed, and a thumbnail is clear only where the whole workspace is called safe (`sheet.dangers`).
    """
    if out is not None:
        html.check_place(out, "--out")
    facts = gather(ws)
    facts |= pictures(ws, facts, progress)
    facts["extra"] = [table(**{"note": "", **one}) for one in (extra or {}).get("tables", [])]
    path = out.absolute() if out is not None else ws.root / NAME
    try:
        write(path, render(facts).encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    if out is not None and not ws.borrowed:
        remember(ws.catalog, path)
    return path


def remember(catalog: Catalog, path: Path) -> None:
    """Note where a page was put that shows pictures, so that a takedown finds it."""
    with catalog.tx() as db:
        db.execute("INSERT OR IGNORE INTO meta VALUES (?, '')", (f"{PAGE}{path}",))


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
        "labelling": {axis.name: weak_table.report(ws, axis) for axis in axes},
        "labels": [figures.labels(ws, axis) for axis in axes],
        "audits": {axis.name: beside(ws, axis) for axis in axes},
        "people": agreement.stats(ws),
        "releases": figures.releases(ws),
        "models": figures.models(ws),
    }


def pictures(ws: Workspace, facts: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The contact sheet by class, the largest near-duplicate groups, and why they are obscured where they are."""
    why = contact_sheet.dangers(ws)
    of = facts["labels"][0]["of"]
    chosen, groups = contact_sheet.choose(ws, ws.config.taxonomy.first, of), contact_sheet.largest(ws)
    names = [name for some in chosen.values() for name in some]
    names += [name for one in groups for _, name in one["members"]]
    made = contact_sheet.tiles(ws, names, not why, progress)
    return {
        "dangers": why,
        "sheet": {label: [made[name] | _given(of.get(name)) for name in some] for label, some in chosen.items()},
        "groups": [
            one | {"members": [made[name] | {"collapsed": collapsed} for collapsed, name in one["members"]]}
            for one in groups
        ],
    }


def _given(label: Label | None) -> dict[str, Any]:
    machine = label is not None and label.source != "human"
    return {"by": label and label.source, "probability": label.probability if label and machine else None}


def render(facts: Mapping[str, Any]) -> str:
    """The page, from the figures."""
    return html.render(
        NAME,
        {
            "f": facts,
            "flow": flow(facts),
            "tables": tables(facts),
            "labels": [
                _labels(one, facts["labelling"][one["axis"]]) | {"audit": facts["audits"][one["axis"]]["said"]}
                for one in facts["labels"]
            ],
            "people": reviewers.tables(facts["people"]),
            "releases": [
                one | {"table": _release(one), "excluded": _excluded(one), "holds": _holds(one)}
                for one in facts["releases"]
            ],
            "models": [models.section(one) for one in facts["models"]],
        },
    )


def flow(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How many are left at each step of the way, and as a share (%) of the candidates."""
    found, first = facts["candidates"], facts["labels"][0]
    last = facts["releases"][-1]["rows"] if facts["releases"] else None
    steps = [
        ("Candidates", found["candidates"], "URLs and paths that the sources name"),
        ("Stored", found["stored"], "whose bytes are in the store"),
        ("Samples", found["samples"], "distinct bytes"),
        ("Survivors", first["survivors"], "one of each collapse set, none held back"),
        ("Labelled", first["survivors"] - first["unlabelled"], "by a person or the label model"),
        ("Released", sum(map(_total, last.values())) if last else 0, "in the newest release"),
    ]
    whole = max(n for _, n, _ in steps) or 1
    return [{"name": name, "n": n, "of": of, "share": 100 * n / whole} for name, n, of in steps]


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def tables(facts: Mapping[str, Any]) -> dict[str, Table]:
    """The tables that every report has."""
    return {
        "sources": table(
            "Candidates by source",
            ["Source", "Of", "Candidates", "Stored", "Failed", "Pending"],
            [
                [row[k] for k in ("source", "of", "candidates", "stored", "failed", "pending")]
                for row in facts["sources"]
            ],
            "A candidate that two sources name is counted at both.",
        ),
        "failures": table(
            "Failures by reason",
            ["Reason", "Candidates", "Worth retrying", "What it means", "For example"],
            [
                [row["reason"], row["n"], row["retryable"], row["means"], ", ".join(row["places"]) or None]
                for row in facts["failures"]
            ],
            "curate fetch --retry-failed asks again for what is worth retrying.",
        ),
        "duplicates": _duplicates(facts["duplicates"]),
        "conflicts": _conflicts(facts["duplicates"]),
        "runs": table(
            "Runs",
            ["Verb", "Ended as", "Why", "Tool", "Config", "Started", "Ended"],
            [
                [
                    run["verb"],
                    run["status"],
                    run["why"],
                    run["tool"],
                    (run["config"] or "")[:12],
                    run["started_at"],
                    run["ended_at"],
                ]
                for run in facts["about"]["runs"]
            ],
        ),
    }


def _time(stamp: str) -> str:
    return stamp[:19].replace("T", "\N{NO-BREAK SPACE}")


def _seconds(run: Mapping[str, Any]) -> float | None:
    if run["ended_at"] is None:
        return None
    return (datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()


def _duplicates(found: Mapping[str, Any]) -> Table:
    rows: list[list[Any]] = [
        ["Samples looked at", found["looked_at"], ""],
        ["Groups of two and more", found["groups"], f"{found['grouped']:,} samples; a group's members share a split"],
        [
            "Collapse sets of two and more",
            found["collapse_sets"],
            f"{found['collapsed']:,} samples; one of each survives",
        ],
        ["Duplicates", found["duplicates"], "samples collapsed into a survivor"],
        *([f"Survivors in {split}", n, ""] for split, n in found["splits"].items()),
        *([f"Left out: {reason}", n, ""] for reason, n in found["excluded"].items()),
        ["Conflicts", found["conflicts"], "sources or people who contradict each other"],
    ]
    return table("Groups, collapse sets, splits", ["", "Count", "Meaning"], rows)


def _conflicts(found: Mapping[str, Any]) -> Table:
    named = found["conflicts_named"]
    rows = [[row["kind"], row["subject"][:12], row["axis"], row["reason"]] for row in named]
    note = f"The first {len(named)} of {found['conflicts']:,}." if len(named) < found["conflicts"] else ""
    return table("Conflicts", ["Kind", "Subject", "Axis", "Reason"], rows, note)


def _labels(one: Mapping[str, Any], found: Mapping[str, Any] | None) -> dict[str, Any]:
    """What one axis's section shows."""
    given = [
        [row["class"], *(row[by] for by in figures.BY), sum(row[by] for by in figures.BY), row["declared"]]
        for row in one["classes"]
    ]
    whole = [sum(row[column] for row in given) for column in range(1, 6)]
    return {
        "axis": one["axis"],
        "model": (found or {}).get("model"),
        "gold": (found or {}).get("gold"),
        "coverage": (found or {}).get("coverage"),
        "incomplete": (found or {}).get("incomplete"),
        "chosen": (found or {}).get("chosen"),
        "bootstrap": (found or {}).get("bootstrap"),
        **functions.tables(found or {}),
        "classes": table(
            "Labels by class and by who gave them",
            ["Class", "Human", "Weak", "Model", "Labelled", "Declared by sources"],
            [*given, ["All", *whole]],
            f"{one['survivors']:,} survivors; {_counted(one)}. A person's label goes before a weak one; the model"
            " is the bootstrap classifier. Two sources may"
            " declare two classes of one sample.",
        ),
    }


def _counted(one: Mapping[str, Any]) -> str:
    """How many are labelled, how many are not, and how many are withheld until people look, by reason."""
    said = f"{one['survivors'] - one['unlabelled']:,} labelled, {one['unlabelled']:,} without a label"
    return said + "".join(f"; withheld until people look, {reason}: {n:,}" for reason, n in one["withheld"].items())


def _release(one: Mapping[str, Any]) -> Table | None:
    if one["rows"] is None:
        return None
    names = sorted({label for counts in one["rows"].values() for label in counts})
    rows = [[split, *(counts.get(name, 0) for name in names), _total(counts)] for split, counts in one["rows"].items()]
    whole = [sum(row[column] for row in rows) for column in range(1, len(names) + 2)]
    return table(
        f"Release {one['version']}: rows by split and class", ["Split", *names, "All"], [*rows, ["All", *whole]]
    )


def _holds(one: Mapping[str, Any]) -> list[Table]:
    """Rows by source, licence and who gave the label; the borderline slice; classes that are small in test."""
    if (found := one["holds"]) is None:
        return []
    slices = {
        "source": ("Source", found["by"]["source"]),
        "licence": ("Licence", found["by"]["license"]),
        "label source": ("Label source", found["by"]["label_source"]),
        "label source, of borderline classes": ("Label source", found["borderline"]["by_label_source"]),
    }
    tables = [
        table(f"Rows by {name}", [head, *SPLITS, "All"], [_split(value, counts) for value, counts in rows])
        for name, (head, rows) in slices.items()
    ]
    thin = [[row["class"], row["rows"], row["groups"], row["half_width"]] for row in found["thin"]]
    note = "Half the width of a share's 95 % interval where it is widest: near-duplicates count as one."
    return [*tables, table("Few in test", ["Class", "Rows", "Groups", "Half width"], thin, note)] if thin else tables


def _split(value: str, counts: Mapping[str, int]) -> list[Any]:
    each = [counts.get(split, 0) for split in SPLITS]
    return [value, *each, sum(each)]


def _excluded(one: Mapping[str, Any]) -> Table:
    return table(
        "Left out of it", ["Reason", "Samples"], [[reason, n] for reason, n in sorted(one["excluded"].items())]
    )
