"""The gates of a release: rows that it may hold, and no group or near-duplicate in two splits."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, combinations
from typing import TYPE_CHECKING, Any

from curate.config import DedupeConfig
from curate.dedupe import sharing
from curate.dedupe.similarity import HashArrays, crossings
from curate.errors import GateError, UsageError
from curate.features import hashes
from curate.label.final import CONFLICT, CONTRADICTED, HUMAN, Label, accused, labels
from curate.label.table import LEARNT, taught_by
from curate.records import SPLITS, Axis, Manifest
from curate.release.rows import Rows, licensed
from curate.screening import asked
from curate.screening.gate import Gate
from curate.store import samples
from curate.store.eligibility import DUPLICATE, NOT_DEDUPED, WAYS, remedy

if TYPE_CHECKING:
    import numpy as np

    from curate.store.workspace import Workspace


ASKED = ("train", "test")  # the two splits between which mirrors, turns and borders are always asked
WIDER = ("orientations", "borders")
SHOWN = 3  # ids that a refusal names


# -- the gates -------------------------------------------------------------------------------------------------------


def check_rows(rows: Rows) -> None:
    """Refuse a release without rows; UsageError."""
    if not any(table.num_rows for table in rows.tables.values()):
        why = ", ".join(f"{n} {reason}" for reason, n in rows.excluded.items()) or "the workspace is empty"
        raise UsageError(f"nothing to release ({why}); {_remedy(rows.excluded)}")


def check_licenses(ws: "Workspace", rows: Rows) -> None:
    """Refuse a release with rows that lack a licence that they need, or have none that is accepted; GateError.

    What is to be made leaves out what is not accepted: the latter is of a release that was made before.
    """
    config = ws.config.export
    if not (config.require_license or config.licenses):
        return
    named = [pair for table in rows.tables.values()
             for pair in zip(*(table.column(one).to_pylist() for one in ("id", "license")), strict=True)]  # fmt: skip
    if config.require_license and (bare := [sample for sample, one in named if one is None]):
        raise GateError(
            f"licence: {len(bare)} of {rows.count} items have none ({some_of(bare)}), and [export] require_license ="
            ' true; [export] licenses = ["*"] leaves such out of what is made from now on'
        )
    accepts = licensed(config.licenses)
    if config.licenses and (other := [sample for sample, one in named if one is None or not accepts(one)]):
        raise GateError(
            f"licence: {len(other)} of {rows.count} items have none of [export] licenses ({some_of(other)});"
            " a higher version leaves them out"
        )


def check_learnt(ws: "Workspace", rows: Rows) -> None:
    """Refuse labels by a machine that learnt from samples that dedupe put in the test split since, or found near to
    what is tested on or held out; UsageError."""
    near = [row[0] for row in ws.catalog.iterate_tuples(_NEAR_TEST)]
    if axes := taught_by(ws, [*rows.tables["test"].column("id").to_pylist(), *near], LEARNT):
        raise UsageError(
            f"the labels on axis {', '.join(axes)} learnt from samples that are of the test split now, or near to what"
            " is tested on, as `curate dedupe` ran after `curate label`; run `curate label` again"
        )


_NEAR_TEST = "SELECT sample FROM members WHERE excluded IN ('merged_with_test', 'held_out')"


def check_accused(ws: "Workspace", release: Manifest) -> None:
    """Refuse a release with rows that it calls safe and of which more is known since, and with rows that may show
    minors, as is known since; GateError.

    They are in no release that is made now, or under another label: declared or flagged not safe, and called safe by a
    machine alone; judged not safe by people, or by some of them.
    """
    late, minors, young = set[str](), samples.minors(ws.catalog), set[str]()
    then = {one["name"]: one["safe"] for one in release.header["taxonomy"]["axes"]}  # a class may be none any more
    for n, axis in enumerate(ws.config.taxonomy.axes):
        bad, now, name = accused(ws, axis), labels(ws, axis), f"label_{axis.name}" if n else "label"
        for rows in release.rows.values():
            said = rows.column(name).to_pylist() if name in rows.column_names else ()
            for one, label in zip(rows.column("id").to_pylist(), said, strict=False):
                safe, known = label in then.get(axis.name, axis.safe), now.by_sample.get(one)
                renamed = label not in axis.classes and known is not None and known.name not in axis.safe
                if safe and (renamed or _is_doubted(known, axis, now.withheld.get(one), one in bad)):
                    late.add(one)
                if one in minors and not (safe or label is None):
                    young.add(one)
    if young | (late & minors):
        raise GateError(
            f"{len(young | (late & minors))} items may show minors, by words that came since release {release.version}"
            f" was made, and are not called safe ({some_of(young | (late & minors))}); a higher version leaves them out"
        )
    if late:
        raise GateError(
            f"{len(late)} items were declared, flagged or judged not safe since release {release.version} was made"
            f" ({some_of(late)}); a higher version leaves them out, or has people's label"
        )


def _is_doubted(known: Label | None, axis: Axis, withheld: str | None, is_accused: bool) -> bool:
    """Whether what was called safe is not safe by what is known now: of people, else of flags and declarations."""
    if known is not None and known.source == HUMAN:
        return known.name not in axis.safe or (is_accused and not known.seen)
    return is_accused or (known is None and withheld == CONFLICT)


def check_screened(ws: "Workspace", gate: Gate, rows: Rows) -> asked.Tally:
    """Refuse a release with rows that a list in force was never asked about, or where screening cannot answer.

    Where screening is not required nothing is refused, and the caller says what is returned. Raises GateError.
    """
    return asked.check(ws.catalog, gate, rows.sorted_ids, "no release is written")


def _remedy(excluded: Mapping[str, int]) -> str:
    """What comes next where there is nothing to release: the first step that has not been taken."""
    if not excluded:
        return "`curate fetch` comes first"
    if NOT_DEDUPED in excluded:
        return "`curate dedupe` and `curate label` come first"
    if "unlabelled" in excluded:
        return "`curate label` gives labels by what [[labelers]] and [label] functions say, `curate review` people's"
    if CONTRADICTED in excluded or CONFLICT in excluded:
        return (
            "people settle what is contradicted: `curate queue conflict`, then `curate review`; where a labelling"
            " function failed, mend it, then `curate label`"
        )
    if DUPLICATE not in excluded and remedy(excluded) != "status":
        return WAYS[remedy(excluded)]
    return "`curate status` and `curate verify` say more"


def check_leakage(ws: "Workspace", release: Manifest) -> None:
    """Refuse a release that shares an item, a group or a near-duplicate between splits. Reads what was written."""
    columns = {split: release.rows[split].select(["id", "group", "split"]).to_pydict() for split in SPLITS}
    for split in SPLITS:
        astray = [i for i, named in zip(columns[split]["id"], columns[split]["split"], strict=True) if named != split]
        if astray:
            raise GateError(f"leakage: {len(astray)} items in {split} belong to another split ({some_of(astray)})")
    ids = Counter(sample for split in SPLITS for sample in columns[split]["id"])
    if twice := [sample for sample, n in ids.items() if n > 1]:
        raise GateError(f"leakage: {len(twice)} items are there twice ({some_of(twice)})")
    for one, other in combinations(SPLITS, 2):
        if shared := set(columns[one]["group"]) & set(columns[other]["group"]):
            raise GateError(f"leakage: {len(shared)} groups are in {one} and in {other} ({some_of(shared)})")
    check_near(ws, {split: columns[split]["id"] for split in SPLITS})


def check_near(ws: "Workspace", ids: Mapping[str, list[str]]) -> None:
    """Every two splits by what dedupe grouped by; test and train by mirrors, turns and borders, whatever that is."""
    import numpy as np

    known = _hashes(ws, ids, SPLITS)
    missing = [ids[split][n] for split in SPLITS for n in np.flatnonzero(~known[split].hashed)]
    if missing and (n := hashes.outdated(ws, missing)):
        raise GateError(
            f"leakage: {n} items have a perceptual hash of another configuration only ({some_of(missing)}): [screening]"
            " has changed since; `curate dedupe` makes those of this one"
        )
    if missing:
        raise GateError(
            f"leakage: {len(missing)} items have no perceptual hash ({some_of(missing)});"
            " run `curate dedupe` again, which leaves out what cannot be hashed for good"
        )
    every = {split: sharing.every(ws, ids[split], known[split]) for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        found = [*sharing.crossed(every[one], every[other]), *crossings(known[one], known[other], ws.config.dedupe)]
        _refuse(ids, (one, other), found, "run `curate dedupe` again")
    full = replace(ws.config.dedupe, orientations=True, borders=True)
    if full != ws.config.dedupe:
        left, right = _hashes(ws, ids, ASKED, full).values()
        remedy = "set orientations and borders to true in [dedupe], and run it again"
        _refuse(ids, ASKED, crossings(left, right, full), remedy)


def _hashes(
    ws: "Workspace", ids: Mapping[str, list[str]], splits: Sequence[str], config: DedupeConfig | None = None
) -> dict[str, HashArrays]:
    """The hashes of each split; the tables, which hold every sample's, are read once."""
    every = HashArrays.from_workspace(ws, [one for split in splits for one in ids[split]], config)
    ends = list(accumulate(len(ids[split]) for split in splits))
    return {split: every.between(end - len(ids[split]), end) for split, end in zip(splits, ends, strict=True)}


def _refuse(
    ids: Mapping[str, list[str]], two: tuple[str, str], crossed: "Iterable[tuple[str, int, np.ndarray]]", remedy: str
) -> None:
    one, other = two
    for name, radius, found in crossed:
        if len(found):
            pairs = [f"{ids[one][a]} and {ids[other][b]}" for a, b in found[:SHOWN].tolist()]
            raise GateError(
                f"leakage: {len(found)} pairs between {one} and {other} look alike ({name}, {radius} bits or fewer"
                f" apart: {'; '.join(pairs)}); {remedy}"
            )


def leakage(config: DedupeConfig) -> dict[str, Any]:
    """By what no two splits share anything; and where dedupe was told to look for less, what test and train do not."""
    by = {"hash": config.hash, "radius": config.group_radius, "frames": config.frames}
    by |= {name: getattr(config, name) for name in WIDER}
    if config.orientations:
        by["turned_radius"] = config.turned_radius
    if all(getattr(config, name) for name in WIDER):
        return by
    return by | {"test_against_train": dict.fromkeys(WIDER, True) | {"turned_radius": config.turned_radius}}


def some_of(names: Iterable[str]) -> str:
    """The first few names, for a message."""
    found = sorted(names)
    return ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
