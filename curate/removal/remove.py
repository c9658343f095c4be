"""Removing samples, and everything that was made of them. `takedown` and `rescan` share it.

An intent is written down first, and the samples are held from then on; then what was derived goes, then the rows, then
the bytes, then every trace; last the receipt. Each step may be done twice, so what was killed anywhere is finished by
`resume`, which every verb that takes the driver's seat begins with.
"""

import fcntl
import hashlib
import json
import secrets
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import BusyError, ItemError, StoreError
from curate.fingerprint import canonical
from curate.label.table import taught_by
from curate.media import pdq
from curate.media.decode import Bounds
from curate.media.parts import parts
from curate.release import redact, removals
from curate.release.export import withdraw_unfinished
from curate.removal.erase import count, erase, group_name
from curate.store.blobs import disk, sync, write
from curate.store.catalog import PAGE, now
from curate.store.file_digests import keep
from curate.store.model_files import withdraw
from curate.store.tables import TUNED, Table
from curate.store.tombstones import LISTED

if TYPE_CHECKING:
    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace
from curate.removal.receipts import FOLDER, KINDS, Receipt, receipt_of
from curate.removal.secure_delete import scour

DAMAGED = "damaged-catalog.db"  # what the catalog's files are called that `verify --repair --rebuild` replaced
PAGES = ("report.html", "dedupe.html", "functions.html")  # pages beside curate.toml that show pictures
MARK = b'<meta name="generator" content="curate">'
_PLAIN = str.maketrans("", "", "-:")


@dataclass(frozen=True)
class Plan:
    """What is to be removed, as it was found at first; read again where a run was killed."""

    receipt: Receipt
    ids: Sequence[str]
    candidates: Sequence[int]  # those without bytes
    words: Sequence[str]  # what must be found nowhere afterwards: ids, locators, who they were upstream
    tombstones: Sequence[tuple[str, str]]
    exports: Mapping[str, Sequence[str]]


def remove(
    ws: "Workspace", ids: Sequence[str], reason: str, candidates: Sequence[int] = (), block_near: bool = False,
    away: Sequence[str] = (),
) -> Receipt:  # fmt: skip
    """Remove samples by id, and candidates (by number) that have no bytes; what came from their URLs stays away.

    For the holder of the driver's seat. `block_near` also keeps each picture's PDQ, so that a re-encoded copy stays
    away, too; `away` are ids of what is not here and must not come. Raises StoreError where something of them is left
    (a reader holds the catalog, a full disk): the samples stay held back, and the same again finishes it.
    """
    withdraw_unfinished(ws)  # it may hold them, and no release knows of it
    ids = _with_frames(ws.catalog, ids)
    affected, at = redact.holding(ws, ids), now()
    name = f"{at[:19].translate(_PLAIN)}Z-{secrets.token_hex(4)}"
    with ws.catalog.tx() as db:
        db.executemany("INSERT OR REPLACE INTO removing VALUES (?, ?)", ((one, name) for one in ids))
        plan = _plan(ws, Receipt(name, at, reason, releases=affected), ids, candidates, block_near, away)
        db.execute(
            "INSERT INTO removals VALUES (?, ?, ?, ?, 'pending', ?)",
            (name, at, ws.catalog.run, reason, canonical(asdict(plan))),
        )
        for one in plan.ids or [name]:
            ws.catalog.append(db, "takedown", one, {"receipt": name})
    with disk():
        return _finish(ws, plan)


def resume(ws: "Workspace") -> list[Receipt]:
    """Finish what was killed, and remove again what came back with an older catalog."""
    found = []
    for state, text in ws.catalog.all("SELECT state, plan FROM removals WHERE state != 'done' ORDER BY at"):
        with disk():
            found.append(_finish(ws, _read(json.loads(text))) if state == "pending" else _scrubbed(ws, text, ()))
    back = ws.catalog.all("SELECT sample, receipt FROM removing WHERE sample IN (SELECT id FROM samples) ORDER BY 1")
    if back:
        first = ", ".join(sorted({str(row[1]) for row in back}))
        found.append(remove(ws, [row[0] for row in back], f"came back with an older catalog; taken down by {first}"))
        redacted = [row[0] for row in ws.catalog.all("SELECT DISTINCT version FROM redactions ORDER BY version")]
        keep(ws, *(f"{folder}/{one}" for one in redacted for folder in ("releases", "exports")))
        removals.update(ws)
    if ws.catalog.scalar("SELECT 1 FROM removing"):
        with ws.catalog.tx() as db:
            erase(ws, db, ())  # what an older journal knew of them, who are no samples any more
            db.execute("DELETE FROM removing")
    return found


def confirm(ws: "Workspace", name: str, reason: str) -> None:
    """Keep what a rescan removed away for good, under this name: it does not come back if the list was wrong."""
    asked = [(kind, ws.catalog.digest(kind, name)) for kind in KINDS]
    keys = [one for one in asked if ws.tombstones.reasons([one]) == {LISTED}]
    receipt = next(
        (ws.catalog.scalar("SELECT receipt FROM tombstones WHERE kind = ? AND digest = ?", one) for one in keys), None
    )
    if receipt is not None:
        ws.tombstones.append(
            {"receipt": receipt, "at": now(), "reason": reason, "tombstones": [list(one) for one in keys]}
        )


# -- what is to be removed -------------------------------------------------------------------------------------------


def _plan(
    ws: "Workspace", receipt: Receipt, ids: Sequence[str], candidates: Sequence[int], block_near: bool,
    away: Sequence[str],
) -> Plan:  # fmt: skip
    """What there is of the samples in `removing`, and of candidates without bytes."""
    catalog = ws.catalog
    places = _places(catalog, candidates)
    names = ("locator", "final_url", "upstream")
    words = {*ids, *away, *(row[name] for row in places for name in names)} - {None}
    tombstones = _tombstones(ws, [*ids, *away], places, block_near)
    kinds = sorted({kind for kind, _ in tombstones} - {"pdq"})
    receipt = replace(
        receipt,
        digests={kind: [digest for one, digest in tombstones if one == kind] for kind in kinds},
        counts={"samples": len(ids), "candidates": len({row["candidate"] for row in places})} | count(catalog),
        recipients=_recipients(catalog, receipt.releases),
        models=[*_trained(catalog, receipt.releases), *(f"bootstrap of axis {one}" for one in taught_by(ws, ids))],
        blocks_near=any(kind == "pdq" for kind, _ in tombstones),
    )
    exports = {version: redact.exported(ws, version) for version in receipt.releases}
    return Plan(receipt, ids, list(candidates), sorted(words), tombstones, exports)


def _trained(catalog: "Catalog", releases: Collection[str]) -> list[str]:
    """The models that were trained on one of these releases; what was only measured on it (`eval`) saw no item."""
    rows = catalog.all("SELECT model, version FROM models WHERE model NOT LIKE 'eval:%' ORDER BY 1")
    return [row[0] for row in rows if row[1] in releases]


def _with_frames(catalog: "Catalog", ids: Sequence[str]) -> list[str]:
    """The samples, and the frames that were cut from them, sorted."""
    found = set(ids)
    for one in ids:
        found.update(row[0] for row in catalog.all("SELECT id FROM samples WHERE parent = ?", (one,)))
    return sorted(found)


def _places(catalog: "Catalog", candidates: Sequence[int]) -> list[Any]:
    """Where the items were, and who they are upstream: one row for each mention of each candidate."""
    bare = set(candidates)
    return [row for row in catalog.all(_PLACES) if row["sample"] is not None or row["candidate"] in bare]


_PLACES = """
SELECT c.candidate, c.sample, c.kind, c.locator, c.final_url, m.page_id, m.sha1, m.upstream
FROM candidates c LEFT JOIN mentions m USING (candidate)
WHERE c.sample IN gone OR c.sample IS NULL
"""


def keys_of(catalog: "Catalog", sample: str) -> list[tuple[str, str]]:
    """What keeps a sample away once it is removed: its kinds of names, and their keyed digests."""
    return sorted(_keys(catalog, [sample], catalog.all(_NAMES, (sample,))))


_NAMES = """
SELECT c.kind, c.locator, c.final_url, m.page_id, m.sha1 FROM candidates c LEFT JOIN mentions m USING (candidate)
WHERE c.sample = ?
"""


def _keys(catalog: "Catalog", ids: Sequence[str], places: Sequence[Any]) -> set[tuple[str, str]]:
    named = {("sha256", one) for one in ids}
    for row in places:
        named |= {(row["kind"], row["locator"]), ("url", row["final_url"]), ("page", row["page_id"])}
        named.add(("sha1", row["sha1"] and row["sha1"].lower()))
    return {(kind, catalog.digest(kind, value)) for kind, value in named if value is not None}


def _tombstones(ws: "Workspace", ids: Sequence[str], places: Sequence[Any], near: bool) -> list[tuple[str, str]]:
    found = _keys(ws.catalog, ids, places)
    if near:
        found |= {("pdq", one) for one in _pdq(ws, ids)}
    return sorted(found)


def _pdq(ws: "Workspace", ids: Sequence[str]) -> set[str]:
    """The upright PDQ (hex) of every part of the samples that says something, made from the bytes."""
    bounds = Bounds(ws.config.fetch.max_pixels, 1, ws.config.fetch.max_frames)
    found = set()
    for one in ids:
        try:
            with ws.blobs.open(one) as blob:
                found |= {
                    p.hashes[: pdq.BYTES].hex() for p in parts(blob.read(), bounds) if p.quality >= pdq.MIN_QUALITY
                }
        except (ItemError, StoreError):
            continue
    return found


def _recipients(catalog: "Catalog", versions: Sequence[str]) -> dict[str, list[str]]:
    """Who was given each of these releases."""
    rows = catalog.all("SELECT version, name FROM shares ORDER BY version, at, name")
    return {v: found for v in versions if (found := [row[1] for row in rows if row[0] == v])}


def _read(plan: dict[str, Any]) -> Plan:
    return Plan(**plan | {"receipt": Receipt(**plan["receipt"]), "tombstones": [(k, d) for k, d in plan["tombstones"]]})


def duplicates(catalog: "Catalog", ids: Iterable[str]) -> frozenset[str]:
    """The samples that were collapsed with one of these: the same picture in other bytes."""
    sql = "SELECT sample FROM members WHERE collapse = (SELECT collapse FROM members WHERE sample = ?)"
    return frozenset(row[0] for one in ids for row in catalog.all(sql, (one,))) - frozenset(ids)


# -- removing it -----------------------------------------------------------------------------------------------------


def _finish(ws: "Workspace", plan: Plan) -> Receipt:
    """Every step, in order; each may have been done before."""
    _block(ws, plan)
    gone = frozenset(plan.ids)
    for folder in sorted((ws.work / "tables").glob("*@*")):
        name, _, mark = folder.name.rpartition("@")
        if name == TUNED:  # what it has learnt, it may have learnt of these
            shutil.rmtree(folder)
        Table(ws.work / "tables", name, mark).without(gone)
    _derived(ws)
    done = redact.redact(ws, plan.receipt.releases, _redaction(ws, plan))
    redact.withdraw_strays(ws)
    if plan.receipt.releases:
        removals.update(ws)
    receipt = plan.receipt
    for model in _trained(ws.catalog, receipt.releases):
        if withdraw(ws.work / "models" / model, receipt.receipt):
            keep(ws, f"models/{model}")
    with ws.catalog.tx() as db:
        erase(ws, db, plan.candidates)
        db.execute("DELETE FROM removing WHERE receipt IS ?", (receipt.receipt,))
    for one in plan.ids:
        ws.blobs.delete(one)
    return _scrubbed(ws, canonical(asdict(receipt) | {"redacted": done}), plan.words)


def _block(ws: "Workspace", plan: Plan) -> None:
    known = {row["receipt"] for row in ws.tombstones.records()}
    if plan.receipt.receipt not in known:
        said = {"receipt": plan.receipt.receipt, "at": plan.receipt.at, "reason": plan.receipt.reason}
        ws.tombstones.append(said | {"tombstones": [list(one) for one in plan.tombstones]})


def _redaction(ws: "Workspace", plan: Plan) -> redact.Redaction:
    names = {one: group_name(ws.catalog, one) for one in plan.ids}
    return redact.Redaction(plan.receipt.receipt, plan.receipt.at, names, plan.exports)


def _derived(ws: "Workspace") -> None:
    """What shows pictures and is made again when somebody asks for it: review copies, pages.

    Raises BusyError while somebody reviews: their session shows nothing that is held, and its files are in use.
    """
    for folder in sorted((ws.work / "review").glob("*")):
        _close(folder)
    shutil.rmtree(ws.work / "review", ignore_errors=True)
    for page in pages(ws):
        page.unlink(missing_ok=True)
    for old in ws.work.glob(f"{DAMAGED}*"):
        old.unlink()


def pages(ws: "Workspace") -> list[Path]:
    """The pages that show pictures and are there: beside curate.toml, and where `report --out` put them."""
    put = [row[0].removeprefix(PAGE) for row in ws.catalog.all(_PUT, (f"{PAGE}*",))]
    found = [*(ws.root / name for name in PAGES), *map(Path, put)]
    return [one for one in found if one.is_file() and not one.is_symlink() and _ours(one)]


_PUT = "SELECT key FROM meta WHERE key GLOB ? ORDER BY key"


def _ours(page: Path) -> bool:
    """Whether a page is one of ours still, wherever it lies; beside curate.toml the name is ours."""
    with suppress(OSError), page.open("rb") as file:
        return page.name in PAGES or MARK in file.read(4096)
    return False


def _close(session: Path) -> None:
    try:
        with (session / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(
            f"work/review/{session.name} is open; what is to be removed is held back, and is shown to nobody from now"
            " on. Close `curate review`, and run the same again"
        ) from error
    except OSError:  # no session's folder
        return


def _scrubbed(ws: "Workspace", text: str, words: Sequence[str]) -> Receipt:
    """Rid the catalog's file of what it does not show any more, then write the receipt: that is the end."""
    said = json.loads(text)
    name = said["receipt"]
    with ws.catalog.tx() as db:
        db.execute("UPDATE removals SET state = 'scrub', plan = ? WHERE receipt = ?", (text, name))
    scour(ws, words)
    (ws.work / FOLDER).mkdir(mode=0o700, exist_ok=True)
    data = (json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    write(ws.work / FOLDER / f"{name}.json", data)
    sync(ws.work)
    keep(ws, FOLDER)
    with ws.catalog.tx() as db:
        db.execute("UPDATE removals SET state = 'done' WHERE receipt = ?", (name,))
        ws.catalog.append(db, "receipt", None, {"receipt": name, "sha256": hashlib.sha256(data).hexdigest()})
    return receipt_of(said)
