"""Answers of StopNCII's `FetchHashes`, as JSON: pages of `hashRecords`. The latest record of a hash is in force."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.records import CorruptRow, Dated, ListedHash, SkippedRow
from curate.screening.lists._rows import Row, documents, moment
from curate.screening.lists._signals import signal

GONE = frozenset({"withdrawn", "deleted"})


@dataclass(frozen=True)
class Stopncii:
    """A JSON file, or a folder of pages. Only the states Withdrawn and Deleted take a hash back: one that nobody knows,
    in any field, keeps it."""

    path: Path
    provider: str = "self"

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError for a missing file, GateError for one that is not JSON."""
        last: dict[tuple[str, str], tuple[float, str, bool]] = {}
        more, place = False, ""
        for place, page in documents(self.path):
            found = page.get("hashRecords") if isinstance(page, dict) else page
            more = isinstance(page, dict) and bool(page.get("hasMoreRecords"))
            for number, record in enumerate(found if isinstance(found, list) else [found]):
                entry = f"{place}[{number}]"
                read = _read(record)
                if read is None:
                    yield CorruptRow(entry, "no record with signalType and hashValue")
                elif read[0] not in last or read[1] >= last[read[0]][0]:
                    last[read[0]] = (read[1], entry, read[2])
        if more:
            yield CorruptRow(place, "the last page says that there are more; fetch the rest")
        for (kind, value), (_, entry, gone) in last.items():
            if gone:
                yield SkippedRow(entry, "withdrawn")
            else:
                yield from signal(kind, value, entry)
        yield Dated("lastModtimestamp", moment(max((at for at, _, _ in last.values()), default=None)))

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """The body of a call of `SubmitFeedback`: looked into, and not blocked."""
        tags = ["false_positive", " ".join(reason.split())]
        values = dict.fromkeys(one.value for one in hashes)
        found = [{"hashValue": value, "feedbackValue": "NotBlocked", "tags": tags} for value in values]
        return json.dumps({"count": len(found), "hashFeedbacks": found}, indent=1, ensure_ascii=False) + "\n"


def _read(record: Any) -> tuple[tuple[str, str], float, bool] | None:
    """A record's key, its time, and whether it takes the hash back."""
    if not isinstance(record, dict):
        return None
    kind, value, at = record.get("signalType"), record.get("hashValue"), record.get("lastModtimestamp")
    if not isinstance(value, str):
        return None
    gone = str(record.get("hashStatus")).lower() in GONE
    return (str(kind or ""), value.strip().lower()), float(at) if isinstance(at, (int, float)) else 0.0, gone
