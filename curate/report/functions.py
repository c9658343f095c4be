"""What the page says of labelling functions: each alone, pairs, false alarms, and which label model was taken."""

from collections.abc import Mapping
from typing import Any

from curate.label.function_report import helps
from curate.report.html import Table, table


def tables(found: Mapping[str, Any]) -> dict[str, Any]:
    """From the report of an axis (one that an older curate wrote has less in it)."""
    return {
        "functions": _functions(found),
        "pairs": _pairs(found),
        "false_alarms": _false_alarms(found),
        "models": _models(found),
        "slices": _slices(found),
        "help": [said for one in found.get("functions", ()) for said in helps(one)],
    }


def _functions(found: Mapping[str, Any]) -> Table:
    """A row a function; those of ours that never vote are named below, and why one failed is said where one did."""
    silent = [one for one in found.get("functions", []) if not one["coverage"] and not one.get("help")]
    shown = [one for one in found.get("functions", []) if one not in silent or one.get("faults")] or silent
    titles = {
        "name": "Function", "coverage": "Coverage", "overlap": "Overlap", "conflict": "Conflict",
        "accuracy": "Accuracy", "interval": "95 % interval", "gold": "Of", "alone": "Alone keeps back",
    }  # fmt: skip
    if any(one.get("faults") for one in shown):
        titles |= {"faults": "Failed on", "fault": "First with"}
    rows = [[_interval(row.get(key)) if key == "interval" else row.get(key) for key in titles] for row in shown]
    never = ", ".join(one["name"] for one in silent if one not in shown)
    return table(
        "Labelling functions",
        list(titles.values()),
        rows,
        "Shares of the survivors on which a function votes, votes with another, and votes against another."
        " Accuracy on as many samples as people have labelled. Kept back, until people look, is what this function"
        f" alone finds not safe, or failed on.{f' Found nothing to vote on: {never}.' if never else ''}",
    )


def _pairs(found: Mapping[str, Any]) -> Table:
    rows = [
        [
            " / ".join(one["functions"]), one["both"], one["conflict"], one["same"], one["gold"],
            one["wrong_together"], one["by_chance"], _says(one),
        ]
        for one in found.get("pairs", [])
    ]  # fmt: skip
    return table(
        "Pairs of labelling functions",
        ["Pair", "Both vote", "In conflict", "Same answer", "Gold", "Wrong together", "By chance", "So"],
        rows,
        "Shares of the survivors on which both vote, and on which no class is in both votes; of those on which either"
        " votes, where both give one answer. On people's labels: how often both are wrong, and how often they would be"
        " were they independent. Copies and correlated functions count once in truth, and twice for a label model that"
        " takes them for independent.",
    )


def _says(one: Mapping[str, Any]) -> str:
    return ", ".join(word for key, word in (("copy", "copies"), ("correlated", "err together")) if one[key])


def _false_alarms(found: Mapping[str, Any]) -> Table:
    said = [(one["name"], one.get("false_alarms")) for one in found.get("functions", [])]
    whole = found.get("false_alarms")
    rows = [
        [name, one["n"], one["flagged"], one["share"], _interval(one["interval"])]
        for name, one in [*said, ("the label model", whole)]
        if one is not None and one["n"]
    ]
    return table(
        "False alarms",
        ["Who", "Of people's safe labels", "Called not safe", "Share", "95 % interval"],
        rows,
        "Samples that people called safe, outside the test split and not picked for being doubtful.",
    )


def _models(found: Mapping[str, Any]) -> Table:
    losses = found.get("chosen", {}).get("log_loss", {})
    rows = [[name, loss, "chosen" if name == found.get("model") else ""] for name, loss in losses.items()]
    note = "Cross-validated on people's labels; the lower, the better. Of classes that are guessed at random, log k."
    return table("Label models", ["Model", "Log-loss", ""], rows, note)


def _slices(found: Mapping[str, Any]) -> Table:
    rows = [
        [one["name"], one["samples"], one["labelled"], one["accuracy"], _interval(one["interval"]), one["gold"],
         one["faults"], one["fault"]]
        for one in found.get("slices", [])
    ]  # fmt: skip
    return table(
        "Slices",
        ["Slice", "Survivors", "Labelled", "Accuracy", "95 % interval", "Of", "Failed on", "First with"],
        rows,
        "Parts that slicing functions name. Accuracy of the weak labels on as many samples as people have labelled;"
        " a sample on which a slicing function fails is in no slice of its.",
    )


def _interval(pair: Any) -> str | None:
    return f"{pair[0]:.3f} to {pair[1]:.3f}" if pair else None
