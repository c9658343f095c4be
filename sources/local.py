"""A folder of images on this machine, read and never written."""

import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from curate.contracts import Http
from curate.errors import UsageError
from curate.layouts.folder import SUFFIXES, class_name, path_of, pictures, shown, text_of
from curate.records import LATER, Candidate, Locator, Note, Page

PAGE = 1000


@dataclass(frozen=True)
class Local:
    """Every picture file below `path`, in the order of its relative name: by suffix, or by content where it has none.

    `label` is the class of all of them; `label_from = "folder"` takes the first folder's name instead
    (`neutral/cat.jpg`), composed (NFC). `album = "folder"` says that the files of one folder belong together and share
    a split. Links that lead out of `path` are left out unless `follow_links`; what is left out is counted and said.
    """

    path: Path
    label: str | None = None
    label_from: Literal["none", "folder"] = "none"
    album: Literal["none", "folder"] = "none"
    follow_links: bool = field(default=False, metadata={LATER: True})
    license: str | None = None
    attribution: str | None = None

    def classes(self) -> frozenset[str | None]:
        """`label`, or the names of the first folders."""
        if self.label_from == "none":
            return frozenset({self._class("")})
        return frozenset(self._class(name) for name in self._names()[0])

    def place_of(self, label: str | None) -> str:
        """A file of this class, for an error to name."""
        if self.label_from == "none":
            return str(self.path)
        return next(
            (f"{self.path}/{shown(name)}" for name in self._names()[0] if self._class(name) == label), str(self.path)
        )

    def stamp(self) -> str:
        """A digest of the files' names, sizes and times of change."""
        whole = hashlib.sha256()
        for name in self._names()[0]:
            with suppress(OSError):
                known = os.stat(f"{self.path}/{name}")  # noqa: PTH116 (names may hold bytes that are no text)
                whole.update(os.fsencode(name) + b"\0%d %d\0" % (known.st_size, known.st_mtime_ns))
        return whole.hexdigest()

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """The files after the relative name `cursor`; raises UsageError for a folder without images."""
        names, left = self._names()
        if not names:
            raise UsageError(f"{self.path}: no images in this folder (looked for {', '.join(sorted(SUFFIXES))})")
        notes = tuple(Note("left_out", kind, str(count)) for kind, count in sorted(left.items()))
        after = b"" if cursor is None else os.fsencode(path_of(cursor))
        names = [name for name in names if os.fsencode(name) > after]
        for start in range(0, max(1, len(names)), PAGE):
            chunk = names[start : start + PAGE]
            last = start + PAGE >= len(names)
            found = tuple(self._candidate(name) for name in chunk)
            yield Page(found, None if last else text_of(chunk[-1]), notes if last else ())

    def _names(self) -> tuple[list[str], Counter[str]]:
        """The pictures' names, sorted as bytes, and how much of what kind is left out."""
        if not self.path.is_dir():
            raise UsageError(f"{self.path}: no such folder")
        left: Counter[str] = Counter()
        found = pictures(str(self.path), self.follow_links, "follow_links = true", lambda kind, _: left.update([kind]))
        return sorted(found, key=os.fsencode), left

    def _class(self, name: str) -> str | None:
        folder, slash, _ = name.partition("/")
        return class_name(folder) if slash else self.label and class_name(self.label)

    def _candidate(self, name: str) -> Candidate:
        return Candidate(
            locator=Locator("path", text_of(f"{self.path.resolve()}/{name}")),
            ref=shown(name),
            label=self._class(name if self.label_from == "folder" else ""),
            album=shown(name.rpartition("/")[0]) or None if self.album == "folder" else None,
            license=self.license,
            attribution=self.attribution,
        )
