"""What `curate diff` says, done to rows: plainly, by what is said alone."""

from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]


def applied(before: Mapping[str, Row], said: Mapping[str, Any]) -> dict[str, Row]:
    """The rows after the changes, by what is said of them alone."""
    gone = {one["id"] for one in said["removed"]}
    rows = {one: dict(cells) for one, cells in before.items() if one not in gone}
    for one in said["relabelled"]:
        assert rows[one["id"]]["label"] == one["before"]
        rows[one["id"]] |= {"label": one["after"], "label_source": one["by_after"]}
    for one in said["moved"]:
        rows[one["id"]]["split"] = one["after"]
    for one in said["edited"]:
        rows[one["id"]][one["column"]] = one["after"]
    for one in said["added"]:
        rows[one["id"]] = {name: value for name, value in one.items() if name != "id"}
    for cells in rows.values():
        for name in said["columns"]["removed"]:
            cells.pop(name, None)
    return rows
