"""Answers of ThreatExchange's `/threat_updates`, as JSON: pages, bare lists, or one record a line.

Source: the ThreatExchange API reference. A record replaces an earlier one with its id; `should_delete`, and a record
without `descriptors`, take it back.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.records import CorruptRow, Dated, ListedHash
from curate.screening.lists._rows import Row, moment, records
from curate.screening.lists._signals import signal


@dataclass(frozen=True)
class Threatexchange:
    """A JSON file, or a folder of pages. Indicators are matched whatever is said of them, until they are deleted."""

    path: Path
    provider: str = "self"

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError for a missing file, GateError for one that is not JSON."""
        last: _Last = {}
        yield from self._latest(last)
        for _, rows, _ in last.values():
            yield from rows
        yield Dated("last_updated", moment(max((at for at, _, _ in last.values()), default=None)))

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """What to post as reactions, a record for each indicator: its descriptors are those that the list names."""
        last: _Last = {}
        list(self._latest(last))
        wanted = {one.entry for one in hashes}
        found = [_disputed(record, reason) for _, rows, record in last.values() if {row.entry for row in rows} & wanted]
        return json.dumps({"data": found}, indent=1, ensure_ascii=False) + "\n"

    def _latest(self, last: "_Last") -> Iterator[CorruptRow]:
        """Fill in the record in force of each indicator; what cannot be read is yielded."""
        for place, record in records(self.path, "data"):
            found = _read(record)
            if found is None:
                yield CorruptRow(place, "no record with type and indicator")
                continue
            name, at, rows = found
            if name not in last or at >= last[name][0]:
                last[name] = (at, rows, record)


_Last = dict[str, tuple[float, list[Row], Any]]  # of each indicator: when it was updated, its rows, the whole record


def _disputed(record: Any, reason: str) -> dict[str, Any]:
    data = (record.get("descriptors") or {}).get("data") if isinstance(record.get("descriptors"), dict) else None
    known = [one["id"] for one in data if isinstance(one, dict) and "id" in one] if isinstance(data, list) else []
    said = {key: record.get(key) for key in ("id", "type", "indicator")} | {"descriptors": known}
    return said | {"reactions": ["DISAGREE_WITH_TAGS"], "opinion": "FALSE_POSITIVE", "reason": reason}


def _read(record: Any) -> tuple[str, float, list[Row]] | None:
    """A record's key, its time, and its rows: none where it takes the indicator back."""
    if not isinstance(record, dict):
        return None
    kind, value = record.get("type"), record.get("indicator")
    name = str(record.get("id") or f"{kind} {value}")
    stamp = str(record.get("last_updated"))
    at = float(stamp) if stamp.isdigit() else 0.0
    if record.get("should_delete") is True or "descriptors" not in record:
        return name, at, []
    if not isinstance(kind, str) or not isinstance(value, str):
        return None
    return name, at, list(signal(kind, value, name[:80]))
