"""Labelling functions, pairs of them and slices as tables that a terminal shows; `--json` has every field."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Cell = Callable[[Row], str]
PAIRS = 10  # that are printed
APART = 0.01  # of the samples: two functions that contradict each other on fewer say little


def table(kind: str, rows: Sequence[Row]) -> list[str] | None:
    """The lines of a list that is called `kind`; None where it is not one that stands in a table."""
    make = _KINDS.get(kind)
    return make[1](rows) if make is not None and rows and make[0] in rows[0] else None


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns below each other, the first to the left and the others to the right; without those that are empty."""
    used = [n for n in range(len(heads)) if n == 0 or any(row[n] not in ("-", "") for row in rows)]
    cells = [[row[n] for n in used] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *others = (f"{row[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)))
        lines.append("  ".join([first, *others]).rstrip())
    return lines


def _functions(rows: Sequence[Row]) -> list[str]:
    from curate.label.function_report import helps

    found = aligned(list(_FUNCTION), [[cell(row) for cell in _FUNCTION.values()] for row in rows])
    return found + [f"- {said}" for row in rows for said in helps(row)]


def _pairs(rows: Sequence[Row]) -> list[str]:
    telling = [one for one in rows if one["copy"] or one["correlated"] or one["conflict"] > APART][:PAIRS]
    found = aligned(list(_PAIR), [[cell(row) for cell in _PAIR.values()] for row in telling]) if telling else []
    return found + [f"{len(rows) - len(telling)} more: --json"] * (len(rows) > len(telling))


def _slices(rows: Sequence[Row]) -> list[str]:
    found = aligned(list(_SLICE), [[cell(row) for cell in _SLICE.values()] for row in rows])
    failed = (row for row in rows if row["faults"])
    return found + [f"- {row['name']} failed on {row['faults']}, first with {row['fault']}" for row in failed]


def _share(key: str) -> Cell:
    return lambda row: "-" if row.get(key) is None else f"{row[key]:.1%}"


def _count(key: str) -> Cell:
    return lambda row: f"{row[key]:,}" if row.get(key) else "-"


def _right(row: Row) -> str:
    """Accuracy on people's labels, and its interval."""
    if row.get("accuracy") is None:
        return "-"
    low, high = row["interval"]
    return f"{row['accuracy']:.1%} ({low:.1%} to {high:.1%})"


def _alarms(row: Row) -> str:
    found = row.get("false_alarms")
    return f"{found['flagged']} of {found['n']}" if found and found["n"] else "-"


def _wrong(row: Row) -> str:
    if row["wrong_together"] is None:
        return "-"
    return f"{row['wrong_together']} of {row['gold']} ({row['by_chance']:.4g} by chance)"


_FUNCTION: Mapping[str, Cell] = {
    "name": lambda row: str(row["name"]),
    "votes on": _share("coverage"),
    "beside others": _share("overlap"),
    "in conflict": _share("conflict"),
    "right": _right,
    "of gold": _count("gold"),
    "safe, called not safe": _alarms,
    "keeps back alone": _count("alone"),
    "failed on": _count("faults"),
}
_PAIR: Mapping[str, Cell] = {
    "pair": lambda row: " / ".join(row["functions"]),
    "both vote": _share("both"),
    "in conflict": _share("conflict"),
    "same answer": _share("same"),
    "wrong together": _wrong,
    "so": lambda row: ", ".join([*["copies"] * row["copy"], *["err together"] * row["correlated"]]),
}
_SLICE: Mapping[str, Cell] = {
    "name": lambda row: str(row["name"]),
    "samples": _count("samples"),
    "labelled": _count("labelled"),
    "right": _right,
    "of gold": _count("gold"),
    "failed on": _count("faults"),
}
_KINDS: Mapping[str, tuple[str, Callable[[Sequence[Row]], list[str]]]] = {  # a field by which each is known
    "functions": ("coverage", _functions),
    "pairs": ("by_chance", _pairs),
    "slices": ("labelled", _slices),
}
