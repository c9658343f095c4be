"""Lists of URLs: a text file, a CSV file, or a folder laid out like nsfw_data_scraper (`<class>/urls_<class>.txt`)."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from curate.contracts import Http
from curate.errors import UsageError
from curate.layouts.folder import class_name
from curate.layouts.url_lists import LABEL, UrlList, find, rows
from curate.records import Candidate, Locator, Note, Page

PAGE = 1000
COLUMNS = frozenset({LABEL, "album", "attribution", "license", "sha1"})  # of a CSV file; the others are facts


@dataclass(frozen=True)
class Urllist:
    """One URL a line; blank lines and lines that start with `#` are passed over.

    `path` is a text file (all of it of class `label`), a CSV file, or a folder whose sub-folders are classes. A CSV
    file's first row names its columns: `url`, and any of `label`, `license`, `attribution`, `album`, `sha1`; what a row
    leaves empty is as configured here, and other columns are kept as facts. `album = "folder"` says that URLs with the
    same host and folder belong together (a gallery) and share a split. `reason` and `approved_by` say why a list with
    classes that are not safe is fetched, and who answers for it; they are needed there, and go into the release.
    """

    path: Path
    label: str | None = None
    album: Literal["none", "folder"] = "none"
    license: str | None = None
    attribution: str | None = None
    reason: str | None = None
    approved_by: str | None = None

    def classes(self) -> frozenset[str | None]:
        """`label` for a file (and a CSV file's column of that name); the folders' names for a folder."""
        found: set[str | None] = set()
        for one in self._lists():
            found |= {_class(row, one) for _, _, row in rows(one)} if one.is_csv else {one.label}
        return frozenset(found)

    def place_of(self, label: str | None) -> str:
        """The list, and in a table the line, that names this class first."""
        for one in self._lists():
            if not one.is_csv and one.label == label:
                return str(one.path)
            for number, _, row in rows(one) if one.is_csv else ():
                if _class(row, one) == label:
                    return f"{one.path}:{number}"
        return str(self.path)

    def stamp(self) -> str:
        """The names, sizes and times of change of the lists, as a digest."""
        known = [(one.name, one.path.stat()) for one in self._lists()]
        whole = "".join(f"{name}\0{stat.st_size} {stat.st_mtime_ns}\0" for name, stat in known)
        return hashlib.sha256(os.fsencode(whole)).hexdigest()

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """A page a thousand lines; the cursor is [file, line]. Raises UsageError where there is not one URL in all."""
        after = tuple(json.loads(cursor)) if cursor else ("", 0)
        page: list[Candidate] = []
        notes: list[Note] = []
        place, found = after, cursor is not None
        for one in self._lists():
            if one.name < after[0]:
                continue
            for number, url, row in rows(one):
                if (one.name, number) <= after:
                    continue
                place, ref = (one.name, number), f"{one.name}:{number}"
                if not url:
                    notes.append(Note("skipped", ref, "no URL in this row"))
                    continue
                if not url.isascii() and (escaped := _UNDECODED.sub(_escape, url)) != url:
                    notes.append(Note("not_utf8", ref, "asked for byte by byte"))
                    url = escaped
                page.append(self._candidate(url, one, row, ref))
                found = True
                if len(page) == PAGE:
                    yield Page(tuple(page), json.dumps(place), tuple(notes))
                    page, notes = [], []
        if not found:
            raise UsageError(f"{self.path}: not one URL in it")
        yield Page(tuple(page), None, tuple(notes), version=self._version())

    def _version(self) -> str:
        """The sha256 of the lists, names and bytes."""
        whole = hashlib.sha256()
        for one in self._lists():
            whole.update(f"{one.name}\0".encode())
            with one.path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return f"sha256:{whole.hexdigest()}"

    def _lists(self) -> list[UrlList]:
        """The lists; a single file is of class `label`, wherever it lies."""
        found = find(self.path)
        return (
            [UrlList(self.path, self.path.name, self.label and class_name(self.label))]
            if self.path.is_file()
            else found
        )

    def _candidate(self, url: str, one: UrlList, row: Mapping[str, str], ref: str) -> Candidate:
        return Candidate(
            locator=Locator("url", url),
            ref=ref,
            label=_class(row, one),
            album=row.get("album") or (_folder(url) if self.album == "folder" else None),
            license=row.get("license", self.license),
            attribution=row.get("attribution", self.attribution),
            sha1=row["sha1"].lower() if "sha1" in row else None,
            facts={name: value for name, value in row.items() if name not in COLUMNS},
        )


_UNDECODED = re.compile("[\udc80-\udcff]")


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]) - 0xDC00:02X}"


def _class(row: Mapping[str, str], one: UrlList) -> str | None:
    return unicodedata.normalize("NFC", row[LABEL]) if LABEL in row else one.label


def _folder(url: str) -> str | None:
    """Host and folder of a URL; None where it has neither."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    folder = parts.path.rpartition("/")[0]
    return f"{parts.netloc.rpartition('@')[2].lower()}{folder}" if parts.netloc and folder else None
