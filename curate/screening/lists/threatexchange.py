"""Answers of ThreatExchange's `/threat_updates`, as JSON: pages, bare lists, or one record a line.

Source: the ThreatExchange API reference. A record replaces an earlier one with its id; `should_delete`, and a record
without `descriptors`, take it back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.records import CorruptRow
from curate.screening.lists._rows import Row, records
from curate.screening.lists._signals import signal


@dataclass(frozen=True)
class Threatexchange:
    """A JSON file, or a folder of pages. Indicators are matched whatever is said of them, until they are deleted."""

    path: Path
    provider: str = "self"

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError for a missing file, GateError for one that is not JSON."""
        last: dict[str, tuple[float, list[Row]]] = {}
        for place, record in records(self.path, "data"):
            found = _read(record)
            if found is None:
                yield CorruptRow(place, "no record with type and indicator")
                continue
            name, at, rows = found
            if name not in last or at >= last[name][0]:
                last[name] = (at, rows)
        for _, rows in last.values():
            yield from rows


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
