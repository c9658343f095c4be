"""Every gate that can be asked before a release is written, and what is said of it beside them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.errors import GateError
from curate.records import SPLITS
from curate.release import content, gates, remarks
from curate.release.content import looked
from curate.release.rows import Rows
from curate.screening.asked import Tally
from curate.screening.gate import Gate
from curate.stats.cues import Shortcut

if TYPE_CHECKING:
    import numpy as np

    from curate.store.workspace import Workspace

SUSPECTED = "suspected_copy"  # why a row is left out that a second look found near to one of a stronger split
REMEDY = (
    '`curate dedupe --from-gate` joins them into groups, [export] on_suspect = "drop" leaves the side out that is'
    " trained on"
)


@dataclass(frozen=True)
class Checked:
    """Rows that no gate refused, what each gate looked at, and remarks that refuse nothing."""

    rows: Rows
    asked: Tally
    gates: Mapping[str, Mapping[str, Any]]
    host: Shortcut
    nearest: Mapping[str, Any] | None

    @property
    def header(self) -> dict[str, Any]:
        """What `release.json` says of it."""
        host = {"auc": self.host.auc, "chance": self.host.chance, "rows": self.host.rows, "verdict": self.host.verdict}
        said = {"gates": self.gates, "test_labels": content.whose(self.gates["test_labels"]), "host": host}
        return said | ({} if self.nearest is None else {"nearest_by_embedding": self.nearest})

    @property
    def facts(self) -> dict[str, Any]:
        """The same in short, for the answer of the verb."""
        short = {name: content.short(one) for name, one in self.gates.items()}
        return {"gates": short, "test_labels": content.whose(self.gates["test_labels"])}

    def warnings(self) -> Iterator[str]:
        """What nobody should have to look for."""
        yield from filter(None, (content.about(self.gates["test_labels"]), remarks.about_host(self.host)))


def check(ws: "Workspace", rows: Rows, gate: Gate) -> Checked:
    """Ask every gate of these rows; GateError where one refuses, UsageError where labels learnt from test."""
    gates.check_learnt(ws, rows)
    asked, found = gates.check_screened(ws, gate, rows), {"screened": screened(rows, gate)}
    rows, found["second_look"] = second_look(ws, rows)
    found |= {name: act() for name, act in content.asked(ws, rows).items()}
    found["near"] = near(rows)
    return Checked(rows, asked, found, remarks.host(rows), remarks.nearest(ws, rows))


def screened(rows: Rows, gate: Gate) -> dict[str, Any]:
    """What the screening gate says of rows that it lets pass."""
    return looked(rows.count, "" if gate.required else "[screening] required = false")


def near(rows: Rows) -> dict[str, Any]:
    """What the gate on copies across splits says of rows that it lets pass."""
    return looked(rows.count, _alone(rows))


def second_look(ws: "Workspace", rows: Rows) -> tuple[Rows, dict[str, Any]]:
    """The rows without those that look like one of a stronger split by hashes that dedupe does not group by.

    Raises GateError for such, where they are not to be left out.
    """
    import numpy as np

    from curate.dedupe.second_look import across

    ids = [sample for sample, _ in rows.ids()]
    found = across(ws, ids, np.repeat(np.arange(len(SPLITS)), [rows.tables[split].num_rows for split in SPLITS]))
    if len(found.pairs) and ws.config.export.on_suspect == "refuse":
        shown = "; ".join(f"{ids[a]} and {ids[b]}" for a, b in found.pairs[: gates.SHOWN].tolist())
        raise GateError(
            f"second look: {len(found.pairs)} pairs among {len(ids)} rows look alike across splits, by hashes that"
            f" dedupe does not group by ({shown}); {REMEDY}"
        )
    out = np.unique(found.pairs[:, 0])
    why = _alone(rows) or ("" if found.told else "no picture has a hash that says anything")
    said = looked(found.told, why, of=len(ids), candidates=found.candidates, confirmed=len(found.pairs))
    return (_without(rows, out) if len(out) else rows), said


def _alone(rows: Rows) -> str:
    """Why splits cannot be compared; empty where they can."""
    some = sum(table.num_rows > 0 for table in rows.tables.values())
    return "" if some > 1 else "one split holds all rows, and there is no other"


def _without(rows: Rows, out: "np.ndarray") -> Rows:
    """All but these rows, counted from the first of the first split."""
    import numpy as np
    import pyarrow as pa

    kept = np.ones(rows.count, dtype=bool)
    kept[out] = False
    tables, at = {}, 0
    for split, table in rows.tables.items():
        tables[split] = table.filter(pa.array(kept[at : at + table.num_rows]))
        at += table.num_rows
    return Rows(tables, dict(sorted({**rows.excluded, SUSPECTED: len(out)}.items())))
