"""What a release must hold: a source for every row, each class in each split, people's labels where they are tested on.

Each gate says over how many rows it looked; over none there is no verdict.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from curate.errors import GateError
from curate.records import SPLITS
from curate.release.gates import check_licenses, some_of
from curate.release.rows import Rows

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

ENOUGH = 30  # groups of a class, from which it must be in every split
HUMAN, WEAK, MIXED = "human", "weak", "mixed"


def looked(rows: int, why: str = "", **more: Any) -> dict[str, Any]:
    """What a gate says that refused nothing: over how many rows it looked, and whether that is a verdict at all."""
    return {"rows": rows, "verdict": f"none: {why or 'there are no rows'}" if why or not rows else "passed"} | more


def short(said: Mapping[str, Any]) -> str:
    """The verdict of a gate, and over how many rows it is one."""
    return f"{said['verdict']} ({said['rows']} rows)"


def asked(ws: "Workspace", rows: Rows) -> dict[str, Callable[[], dict[str, Any]]]:
    """The gates by name, to be asked of these rows."""
    return {
        "licence": lambda: _licences(ws, rows),
        "sources": lambda: check_sources(rows),
        "classes": lambda: check_classes(ws, rows),
        "test_labels": lambda: check_people(ws, rows),
    }


def _licences(ws: "Workspace", rows: Rows) -> dict[str, Any]:
    check_licenses(ws, rows)
    asked = ws.config.export.require_license or ws.config.export.licenses
    return looked(rows.count, "" if asked else "[export] require_license = false")


def check_sources(rows: Rows) -> dict[str, Any]:
    """Refuse rows of which nobody says where they come from; GateError."""
    import pyarrow.compute as pc

    bare: list[str] = []
    for table in rows.tables.values():
        none = pc.and_(pc.equal(table.column("source"), ""), pc.equal(table.column("ref"), ""))
        bare += table.column("id").filter(none).to_pylist()
    if bare:
        raise GateError(
            f"source: {len(bare)} of {rows.count} items have none ({some_of(bare)}); `curate fetch` lists the sources"
            " again, `curate takedown ID` removes what none of them names"
        )
    return looked(rows.count)


def check_classes(ws: "Workspace", rows: Rows) -> dict[str, Any]:
    """Refuse a release where a class of ENOUGH groups or more is missing from a split that is to hold rows; GateError.

    On every axis. `asked`: how many classes have as many.
    """
    config, axes = ws.config.export, ws.config.taxonomy.axes
    asked, open_to = 0, [split for split in SPLITS if config.splits[split] > 0]
    for column in ("label", *(f"label_{axis.name}" for axis in axes[1:])):
        for name, groups in _groups(rows, column):
            asked += sum(groups.values()) >= ENOUGH
            missing = [split for split in open_to if not groups[split]]
            if missing and sum(groups.values()) >= ENOUGH:
                raise GateError(
                    f"classes: '{name}' ({column}) has {sum(groups.values())} groups and none in {', '.join(missing)}"
                    f" (of {rows.count} rows); {_more_of(missing[0], bool(config.test_sources))}"
                )
    return looked(rows.count, "" if asked else f"no class has {ENOUGH} groups", asked=asked)


def _more_of(split: str, held_out: bool) -> str:
    """How a class comes into a split; `held_out`: whole sources are the test split."""
    if held_out and split == "test":
        return (
            "only sources of [export] test_sources are tested on: name one there that has it, and `curate dedupe`; or"
            " say by test = 0 in [export] splits that a class need not be tested on"
        )
    return (
        f"`curate fetch` more of it, or give {split} a larger share in [export] splits: groups that are new are drawn"
        " by it"
    )


def _groups(rows: Rows, column: str) -> Iterator[tuple[str, dict[str, int]]]:
    """How many groups of each class there are in each split."""
    import pyarrow.compute as pc

    counts = {}
    for split, table in rows.tables.items():
        pairs = table.select([column, "group"]).group_by([column, "group"]).aggregate([])
        counts[split] = {one["values"]: one["counts"] for one in pc.value_counts(pairs.column(column)).to_pylist()}
    for name in sorted({name for some in counts.values() for name in some if name is not None}):
        yield name, {split: some.get(name, 0) for split, some in counts.items()}


def check_people(ws: "Workspace", rows: Rows) -> dict[str, Any]:
    """Refuse a test split of whose labels people gave a smaller share than asked for; GateError.

    `human`: how many they gave.
    """
    import pyarrow.compute as pc

    test, least = rows.tables["test"], ws.config.export.min_human_test
    human = int(pc.sum(pc.equal(test.column("label_source"), HUMAN)).as_py() or 0)
    if least and (human < least * test.num_rows or not test.num_rows):
        raise GateError(
            f"test labels: people gave {human} of {test.num_rows}, and [export] min_human_test = {least:g};"
            " `curate queue audit`, then `curate review`"
        )
    return looked(test.num_rows, "" if test.num_rows else "test holds no rows", human=human, least=least)


def whose(found: Mapping[str, Any]) -> str:
    """Whose word a figure on the test split is held against, of what `check_people` found: WEAK unless people's are
    asked for, or all are theirs."""
    if found["rows"] and found["human"] == found["rows"]:
        return HUMAN
    return MIXED if found["least"] else WEAK


def about(found: Mapping[str, Any]) -> str | None:
    """A line for whoever is about to quote a figure; None where all test labels are people's."""
    if whose(found) == HUMAN or not found["rows"]:
        return None
    which = "the others" if found["human"] else "them"
    return (
        f"test labels: people gave {found['human']} of {found['rows']}; every figure on {which} is agreement with the"
        " label model ([export] min_human_test = 0.5 refuses such a release)"
    )
