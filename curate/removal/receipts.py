"""What a removal leaves on record: a receipt that names nothing that was removed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.store.catalog import Catalog


FOLDER = "receipts"
KINDS = ("sha256", "url", "path", "page")  # of names by which something is taken down


@dataclass(frozen=True)
class Receipt:
    """What was removed, in words that name nothing: keyed digests, counts, the releases affected and who has them."""

    receipt: str
    at: str
    reason: str
    digests: Mapping[str, Sequence[str]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    releases: Sequence[str] = ()
    recipients: Mapping[str, Sequence[str]] = field(default_factory=dict)
    models: Sequence[str] = ()
    blocks_near: bool = False

    @property
    def path(self) -> str:
        """Where it lies, below `work/`."""
        return f"{FOLDER}/{self.receipt}.json"


def said(receipt: Receipt | None, left: int = 0, shown: Iterable[Path] = ()) -> dict[str, Any]:
    """What a command prints of a removal (None: nothing was removed).

    `duplicates_left` are samples collapsed with what went, which stay; `shown` are the pages with pictures that there
    were: `curate report` and `dedupe --report` make anew what went along.
    """
    one = receipt or Receipt("", "", "")
    return {
        "removed": one.counts.get("samples", 0),
        "releases_affected": list(one.releases),
        "receipt": one.path if receipt else None,
        "recipients": dict(one.recipients),
        "models_affected": list(one.models),
        "blocks_near": one.blocks_near,
        "duplicates_left": left,
        "reports_removed": [str(page) for page in shown if not page.exists()],
    }


def told(result: Mapping[str, Any]) -> dict[str, Any]:
    """An answer that says a removal beside other things, for people: no word of it where nothing was removed."""
    if result["receipt"] is not None:
        return dict(result)
    kept = {name: one for name, one in result.items() if name not in said(None)}
    feed = {name: one for name, one in (kept.pop("removals") or {}).items() if one}
    return kept | ({"removals": feed} if feed else {})


def earlier(catalog: "Catalog", name: str) -> Receipt | None:
    """The receipt of what was taken down under this sha256, locator or page, if something was."""
    asked = [(kind, catalog.digest(kind, name)) for kind in KINDS]
    receipts = [catalog.scalar("SELECT receipt FROM tombstones WHERE kind = ? AND digest = ?", one) for one in asked]
    for receipt in filter(None, receipts):
        text = catalog.scalar("SELECT plan FROM removals WHERE receipt = ? AND state = 'done'", (receipt,))
        return receipt_of(json.loads(text)) if text else Receipt(receipt, "", "")
    return None


def receipt_of(said: Mapping[str, Any]) -> Receipt:
    """A receipt from its JSON."""
    return Receipt(**{one.name: said[one.name] for one in fields(Receipt)})
