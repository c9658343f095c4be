"""`curate export --dry-run`: what a release would be, and which gates would let it pass; nothing is written."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from curate.contracts import ReleaseFormat
from curate.errors import GateError
from curate.label.final import vanished
from curate.records import Manifest
from curate.release import content, signing
from curate.release.checked import near, screened, second_look
from curate.release.content import looked
from curate.release.formats import check_formats
from curate.release.gates import check_leakage, check_learnt, check_rows, check_screened
from curate.release.header import axes_of, coverage_of
from curate.release.rows import collect
from curate.release.summary import thin
from curate.release.versions import check_version, last, settle
from curate.screening.gate import Gate

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


def preview(
    ws: "Workspace", version: str | None, gate: Gate, formats: Mapping[str, ReleaseFormat] | None = None,
    acknowledged: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The version that `export` would take, its rows, what it leaves out, and what each gate says: its verdict as that
    of `export`, or why it refuses.

    `formats` and `acknowledged` are those of `export`. `refused` are the gates that would end it with exit 4. Raises
    the UsageErrors that `export` raises.
    """
    if version is not None:
        check_version(ws, version)
    signing.of(ws)
    rows = collect(ws)
    check_rows(rows)
    gates, refused = dict[str, str](), list[str]()

    def ask(name: str, act: Callable[[], Mapping[str, Any]]) -> None:
        try:
            gates[name] = content.short(act())
        except GateError as error:
            gates[name] = str(error)
            refused.append(name)

    def looked_again() -> Mapping[str, Any]:
        nonlocal rows
        rows, said = second_look(ws, rows)
        return said

    ask("second_look", looked_again)
    version, changes = settle(ws, version, rows)
    check_learnt(ws, rows)
    release = Manifest(version, ws.work, {"taxonomy": {"axes": axes_of(ws.config)}}, rows.tables)
    for name, act in content.asked(ws, rows).items():
        ask(name, act)
    others: dict[str, tuple[Callable[[], object], Mapping[str, Any]]] = {
        "screened": (lambda: check_screened(ws, gate, rows), screened(rows, gate)),
        "near": (lambda: check_leakage(ws, release), near(rows)),
        "formats": (lambda: check_formats(release, formats or {}, acknowledged), looked(rows.count)),
    }
    for name, (refuse, passed) in others.items():
        ask(name, partial(_passed, refuse, passed))
    counts = {split: Counter(table.column("label").to_pylist()) for split, table in rows.tables.items()}
    before = last(ws)
    return {
        **coverage_of(ws),
        "version": version,
        "after": before and before[0],
        "step": changes and changes.level(),
        "changes": changes and changes.said(),
        "rows": {split: table.num_rows for split, table in rows.tables.items()},
        "counts": {split: dict(sorted(counted.items())) for split, counted in counts.items()},
        "excluded": dict(rows.excluded),
        "vanished": vanished(ws, ws.config.taxonomy.first, {name for one in counts.values() for name in one}),
        "thin_in_test": thin(rows.tables),
        "gates": gates,
        "refused": refused,
    }


def _passed(refuse: Callable[[], object], said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a gate says that has no more to say than that it refuses nothing."""
    refuse()
    return said
