"""What the demo shows of labelling: the functions, the model that `auto` took and why, and what the bootstrap added."""

from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = ("function", "coverage", "overlap", "conflict", "flags alone", "failed on", "remarks")
KEYS = ("name", "coverage", "overlap", "conflict", "alone", "faults", "remarks")


def tables(name: str, said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A table for each axis of what `curate label` answers, for the terminal and the report; `name` is the set's."""
    for axis, found in said["axes"].items():
        yield {
            "title": f"Labelling functions of {name}, axis {axis}",
            "columns": list(COLUMNS),
            "rows": [[_cell(one[key]) for key in KEYS] for one in found["functions"] if one["coverage"]],
            "note": " ".join(_notes(found)),
        }


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    if silent := [one["name"] for one in found["functions"] if not one["coverage"]]:
        yield f"Found nothing to vote on: {', '.join(silent)}."
    yield f"Label model: {found['chosen']['model']} ({found['chosen']['reason']})."
    if bootstrap := found.get("bootstrap"):
        yield f"Bootstrap: {bootstrap['said']}."
