"""Answers of NCMEC's hash sharing API v2, as XML: pages of entries and tombstones, in no order of time.

Source: NCMEC, Hash Sharing Web Service Technical Documentation. An entry is named by its member and its id. Its element
is `image` or `video`, or what a newer environment calls it: whatever has a member and an id is one, so that no kind of
material is passed over for its name. DTDs and entities are refused: a list comes from outside.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from curate.errors import GateError, UsageError
from curate.records import CorruptRow, Dated, ListedHash, SkippedRow
from curate.screening.lists._rows import Row, files, moment
from curate.screening.lists._signals import signal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

TOMBSTONE = "deleted"
TEST = "test_"  # what names of the test environments begin with
_NO_GUID = "<!-- reasonIds is left out: its guid is one of those that NCMEC gives its members for this fingerprint -->"
NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
ENTRIES = frozenset({"image", "video", "deletedimage", "deletedvideo"})


@dataclass(frozen=True)
class Ncmec:
    """An XML file, or a folder of pages. Every classification and every feedback keeps the hash; a tombstone with the
    same or a later time takes it back. `reason_guid`: NCMEC's own name of the reason that a dispute gives."""

    path: Path
    provider: str = "self"
    reason_guid: str = ""

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError for a missing file, GateError for one that is no XML, or is not whole."""
        read = _Read()
        for file in files(self.path):
            _page(file, read)
        yield from read.corrupt
        if read.next and read.pages == read.next:
            yield CorruptRow(files(self.path)[-1].name, "every page names a next one: the last is missing")
        for name, (_, rows) in read.last.items():
            yield from rows if rows is not None else [SkippedRow(name, TOMBSTONE)]
        yield Dated("maxTimestamp", read.newest)

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """A `feedbackSubmission` for each entry and fingerprint that its comments name.

        NCMEC takes reasons by guid, and hands the guids out to its members: no list has them. Without `reason_guid` the
        element is left out, and a comment says so, since one with an empty guid says nothing.
        """
        named = dict.fromkeys((*one.entry.split("-", 1), one.algorithm.upper(), one.value) for one in hashes)
        told = [f"member {m}, entry {e}, {kind} {value}: {reason}" for m, e, kind, value in named]
        said = [f"  <!-- {' '.join(re.sub('-(?=-)', '- ', one).split())} -->\n" for one in told]  # -- ends a comment
        guid = f"    <reasonIds>\n      <guid>{escape(self.reason_guid)}</guid>\n    </reasonIds>\n"
        guid = guid if self.reason_guid else f"    {_NO_GUID}\n"
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<feedbackSubmission xmlns="{NAMESPACE}">\n{"".join(said)}'
            f"  <negative>\n{guid}  </negative>\n</feedbackSubmission>\n"
        )


@dataclass
class _Read:
    """The record in force of each entry (None: a tombstone), what could not be read, and which pages there were."""

    last: dict[str, tuple[str, list[Row] | None]] = field(default_factory=dict)
    corrupt: list[Row] = field(default_factory=list)
    pages: int = 0
    next: int = 0
    newest: str = ""


def _page(file: Path, read: _Read) -> None:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    read.pages += 1
    number = 0
    try:
        with file.open("rb") as opened:
            for _, element in iterparse(BytesIO(opened.read().strip()), forbid_dtd=True):
                name = _tag(element).lower().removeprefix(TEST)
                read.newest = max(read.newest, moment(element.get("maxTimestamp")))
                if name in ENTRIES or _is_entry(element):
                    number += 1
                    _entry(element, name, f"{file.name}[{number}]", read)
                    element.clear()
                elif name == "next" and (element.text or "").strip():
                    read.next += 1
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise GateError(
            f"{file.name} is no XML that can be trusted, or is not whole ({type(error).__name__})"
        ) from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error


def _is_entry(element: "Element") -> bool:
    """Whether an element is an entry, or would be if it were whole, whatever it is called."""
    named = _child(element, "member") is not None and _child(element, "id") is not None
    return named or _child(element, "fingerprints") is not None


def _entry(element: "Element", name: str, place: str, read: _Read) -> None:
    member, key = _child(element, "member"), _child(element, "id")
    if member is None or key is None or not (key.text or "").strip():
        read.corrupt.append(CorruptRow(place, "an entry without member or id"))
        return
    entry = f"{member.get('id')}-{(key.text or '').strip()}"
    stamp = _child(element, "timestamp")
    at = ((stamp.text or "") if stamp is not None else "").strip()
    read.newest = max(read.newest, moment(at))
    at = at or read.last.get(entry, ("",))[0]  # without a time, the order of reading decides
    rows = None if name.startswith(TOMBSTONE) else _rows(element, entry)
    if entry not in read.last or at >= read.last[entry][0]:
        read.last[entry] = (at, rows)


def _rows(element: "Element", entry: str) -> list[Row]:
    found: list[Row] = []
    fingerprints = _child(element, "fingerprints")
    for one in fingerprints if fingerprints is not None else ():
        kind, value = _tag(one).lower().removeprefix(TEST), (one.text or "").strip()
        known = list(signal(kind, value, entry))
        if not value and not any(isinstance(row, SkippedRow) for row in known):
            known = [CorruptRow(entry, f"{kind}: {'only a reference (href)' if one.get('href') else 'empty'}")]
        found += known
    return found or [CorruptRow(entry, "an entry without fingerprints")]


def _child(element: "Element", name: str) -> "Element | None":
    return next((one for one in element if _tag(one) == name), None)


def _tag(element: "Element") -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
