"""The report's section on a baseline: figures, curves, slices, thresholds, and other models on the same rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.evaluate import thresholds
from curate.evaluate.figures import NAMES
from curate.report.html import Table, table
from curate.stats.metrics import against

SHADES = 8  # steps of shading in a confusion matrix; the page's style has a class for each
SIDE = 100  # of a plot's square, in its own units
_OF_A_MACHINE = (
    "It is held against labels that a machine gave, some or all: how often it is right, people alone can say."
)
_COUNTS = {
    "not_safe_n": "Not safe: samples",
    "borderline_n": "Borderline: samples",
    "borderline_flagged": "Borderline: called not safe",
}
_COMPARED = {
    "right": "Right", "roc_auc": "ROC-AUC", "average_precision": "Average precision",
    "not_safe_roc_auc": "Not safe: ROC-AUC", "not_safe_average_precision": "Not safe: AP", "not_safe_recall": "Recall",
    "not_safe_false_positive_rate": "False alarms",
}  # fmt: skip


def section(model: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of one model; parts that an older curate did not measure are left out."""
    every = (_natural, _beside, _slices, _ratios, _altered, _shortcuts, _bands)
    return {
        **model, "table": scores(model), "matrix": matrix(model), "against": against(model["test"]),
        "plots": list(plots(model["test"])), "parts": [one for make in every if (one := make(model)) is not None],
        "foot": (model.get("side_by_side") or {}).get("foot", []),
        "promise": list(thresholds.lines(model["thresholds"])) if "thresholds" in model else [],
    }  # fmt: skip


def _between(ends: Sequence[float] | None) -> str | None:
    return f"{ends[0]:.3f} to {ends[1]:.3f}" if ends and None not in ends else None


def scores(model: Mapping[str, Any]) -> Table:
    """Every figure of test, with its interval and the people's labels that it rests on."""
    test = model["test"]
    counts = {"n": "Samples", "groups": "Near-duplicate groups"}
    rows: list[list[Any]] = [[name, test[key], None, None] for key, name in counts.items() if key in test]
    people = {one["what"]: one["people"] for one in test.get("figures", ())}
    named = {key: name[0].upper() + name[1:] for key, name in NAMES.items()}
    if test.get("heading") != "accuracy":
        named.pop("accuracy" if "agreement" in test else "agreement")
    if "agreement" not in test and test.get("heading") != "accuracy":  # of an older curate
        named["accuracy"] = "Agreement"
    for key, name in named.items():
        if test.get(key) is not None:
            rows.append([name, test[key], _between(test.get(f"{key}_interval")), people.get(key)])
    rows += [[name, test[key], None, None] for key, name in _COUNTS.items() if key in test]
    theirs = test.get("human", {"n": 0})
    if 0 < theirs["n"] < test["n"]:
        said = f"Accuracy on the {theirs['n']} that people labelled"
        rows.append([said, theirs["accuracy"], _between(theirs["interval"]), theirs["n"]])
    note = "" if test.get("heading") == "accuracy" else _OF_A_MACHINE
    if test.get("unread"):
        note += f" {test['unread']} rows could not be read, and count as errors."
    return table("Test figures", ["", "Value", "95 % interval", "Labels of people"], rows, note.strip())


def matrix(model: Mapping[str, Any]) -> dict[str, Any]:
    """The confusion matrix with row totals, recall, and a shade (0 to 8) by the share of its row."""
    classes, counts = (model["test"]["confusion"][key] for key in ("classes", "rows"))
    rows = []
    for index, (name, row) in enumerate(zip(classes, counts, strict=True)):
        whole = sum(row)
        cells = [{"n": n, "shade": round(SHADES * n / whole) if whole else 0} for n in row]
        rows.append({"class": name, "cells": cells, "n": whole, "recall": row[index] / whole if whole else None})
    return {
        "classes": classes,
        "rows": rows,
        "truth": "True" if model["test"].get("heading") == "accuracy" else "Labelled",
    }


# -- plots -----------------------------------------------------------------------------------------------------------


def plots(test: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines in a square of SIDE, upwards: what each axis is, and under whose labels it was drawn."""
    drawn, said = test.get("curves", {}), test.get("heading", "")
    if drawn.get("roc"):
        yield _plot("ROC, not safe", "false alarms", "recall", drawn["roc"], said, diagonal=True)
        yield _plot("Precision and recall, not safe", "recall", "precision", drawn["pr"], said)
    if drawn.get("reliability"):
        points = [[one["said"], one["right"]] for one in drawn["reliability"]]
        yield _plot("Reliability, 15 bins", "probability", "share right", points, said, diagonal=True, dots=True)


def _plot(
    title: str, x: str, y: str, points: Sequence[Sequence[float]], said: str, diagonal: bool = False, dots: bool = False
) -> dict[str, Any]:
    placed = [(round(SIDE * a, 1), round(SIDE * (1 - b), 1)) for a, b in points]
    return {
        "title": title, "x": x, "y": y, "said": said, "diagonal": diagonal, "dots": placed if dots else [],
        "path": " ".join(f"{a:g},{b:g}" for a, b in placed),
    }  # fmt: skip


# -- tables ----------------------------------------------------------------------------------------------------------


def _beside(model: Mapping[str, Any]) -> Table | None:
    """The models of `train`, then those of `eval`, each with its difference to the baseline."""
    found = model.get("side_by_side")
    if not found:
        return None
    rows = [(row, found) for row in found["rows"]]
    rows += [
        (one["side_by_side"]["rows"][-1], one["side_by_side"]) for one in model.get("evals", ()) if one["side_by_side"]
    ]
    keys = [key for key in _COMPARED if any(key in row for row, _ in rows)]
    lines = [[row["name"], row["n"], row["missing"], *(_compared(row, key) for key in keys)] for row, _ in rows]
    whose = "right is accuracy" if found["heading"] == "accuracy" else f"right is {found['heading']}"
    note = (
        f"On {found['of']} rows; {whose}. In brackets: difference to the baseline on the rows that both have, and its"
        " 95 % interval, paired over groups. A row that is missing is in no figure."
    )
    return table("Side by side, test split", ["Model", "n", "Missing", *(_COMPARED[key] for key in keys)], lines, note)


def _compared(row: Mapping[str, Any], key: str) -> str | None:
    if key not in row:
        return None
    ends = row["difference"].get(f"{key}_interval")
    apart = f" ({row['difference'][key]:+.3f}: {ends[0]:+.3f} to {ends[1]:+.3f})" if ends else ""
    return f"{row[key]:.3f}{apart}"


def _slices(model: Mapping[str, Any]) -> Table | None:
    found = model.get("slices")
    if not found:
        return None
    rows = [
        [
            f"{one['kind']}: {one['name']}", one["n"], one["people"],
            *(x for key in ("right", "false_alarms", "recall") for x in (one[key], _between(one[f"{key}_interval"]))),
        ]
        for one in found
    ]  # fmt: skip
    worst = model.get("worst")
    said = f"The worst is {worst['kind']}: {worst['name']} ({_whose(worst)}). " if worst else ""
    note = f"{said}Below {model['least']} rows nothing is said. What is stated of persons is taken from sources' words."
    columns = ["Slice", "n", "Labels of people", "Right", "", "False alarms", "", "Recall", ""]
    return table(f"By slice, {model['test'].get('heading', '')}", columns, rows, note)


def _whose(worst: Mapping[str, Any]) -> str:
    low, high = worst["right_interval"]
    return f"{worst.get('heading', 'right')} {worst['right']:.3f}, {low:.3f} to {high:.3f}"


def _ratios(model: Mapping[str, Any]) -> Table | None:
    rows = [
        [f"{one['of']} over {one['over']}", one["ratio"], _between(one["interval"])]
        for one in model.get("ratios", ())
        if one["interval"]
    ]
    return table("False alarms of stated groups, as a ratio", ["", "Ratio", "95 % interval"], rows) if rows else None


def _altered(model: Mapping[str, Any]) -> Table | None:
    found = model.get("robustness")
    if not found:
        return None
    keys = [key for key in ("right", "not_safe_recall", "not_safe_false_positive_rate") if key in found["rows"][0]]
    rows = [[row["name"], row["n"], *(_compared(row, key) for key in keys)] for row in found["rows"]]
    note = f"The same {found['of']} pictures, altered; in brackets the difference to what they are. {found['heading']}."
    return table("Altered pictures", ["", "n", *(_COMPARED[key] for key in keys)], rows, note)


def _shortcuts(model: Mapping[str, Any]) -> Table | None:
    rows = [
        [one["cue"], one["auc"], one["chance"], "tells the label" if one["found"] else one["why_not"] or "says little"]
        for one in model.get("shortcuts", ())
    ]
    note = "How well each alone, without the picture, tells the label. A model may have learnt that instead."
    return table("Shortcuts", ["Cue", "ROC-AUC", "By chance", ""], rows, note) if rows else None


def _natural(model: Mapping[str, Any]) -> Table | None:
    found = model.get("natural")
    if not found:
        return None
    if found.get("why_not"):
        return table("At natural prevalence", ["", ""], [["Not known", found["why_not"]]])
    named = {key: name for key, name in NAMES.items() if found.get(key) is not None}
    rows = [[name, found[key], _between(found.get(f"{key}_interval"))] for key, name in named.items()]
    note = (
        f"{found['n']} decisions of the audit {found['queue']}, each by its stratum; not safe: {found['prevalence']}."
    )
    if found.get("unseen"):
        note += f" In strata of which test has none: {found['unseen']} of the window."
    return table("At natural prevalence", ["", "Value", "95 % interval"], rows, note)


def _bands(model: Mapping[str, Any]) -> Table | None:
    found = model.get("thresholds", {}).get("test")
    if not found:
        return None
    keys = {
        "passed": "Pass", "looked_at": "Looked at", "blocked": "Blocked", "missed": "Not safe that pass",
        "false_alarms": "Safe that are blocked",
    }  # fmt: skip
    rows = [
        [
            words,
            *(
                f"{one[key]:.3f} ({_between(one[f'{key}_interval'])})" if one[key] is not None else None
                for one in found.values()
            ),
        ]
        for key, words in keys.items()
    ]
    note = "Chosen on val and frozen; shares of test, with 95 % intervals. Only what is guaranteed is a promise."
    one = next(iter(found.values()))
    note += f" On {one['n']} rows, {thresholds.whose(one)}."
    return table("Thresholds", ["", *(name.capitalize() for name in found)], rows, note)
