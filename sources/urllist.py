"""Lists of URLs: one text file, or a folder laid out like nsfw_data_scraper (`raw_data/<class>/urls_<class>.txt`)."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from curate.contracts import Http
from curate.errors import UsageError
from curate.records import Candidate, Locator, Page

PAGE = 1000


@dataclass(frozen=True)
class Urllist:
    """One URL a line; blank lines and lines that start with `#` are passed over.

    `path` is a text file (all of it of class `label`), or a folder whose sub-folders are classes. `album = "folder"`
    says that URLs with the same host and folder belong together (a gallery) and share a split.
    """

    path: Path
    label: str | None = None
    album: Literal["none", "folder"] = "none"
    license: str | None = None
    attribution: str | None = None

    def classes(self) -> frozenset[str | None]:
        """`label` for a file; the folders' names for a folder."""
        return frozenset(label for label, _ in self._files())

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """A page a thousand lines; the cursor is [file, line]. Raises UsageError where there is not one URL in all."""
        after = tuple(json.loads(cursor)) if cursor else ("", 0)
        page: list[Candidate] = []
        place, found = after, cursor is not None
        for label, path in self._files():
            name = self._name(path)
            if name < after[0]:
                continue
            for number, line in _lines(path):
                if (name, number) <= after:
                    continue
                page.append(self._candidate(line, label, f"{name}:{number}"))
                place, found = (name, number), True
                if len(page) == PAGE:
                    yield Page(tuple(page), json.dumps(place))
                    page = []
        if not found:
            raise UsageError(f"{self.path}: not one URL in it")
        yield Page(tuple(page), None)

    def _files(self) -> list[tuple[str | None, Path]]:
        """(class, file) pairs in the order of their names."""
        if self.path.is_file():
            return [(self.label, self.path)]
        root = self.path / "raw_data" if (self.path / "raw_data").is_dir() else self.path
        if not root.is_dir():
            raise UsageError(f"{self.path}: no such file or folder")
        found = [(p.parent.name, p) for p in root.glob("*/urls_*.txt") if p.stem == f"urls_{p.parent.name}"]
        if not found:
            raise UsageError(f"{self.path}: no <class>/urls_<class>.txt in this folder")
        return sorted(found, key=lambda pair: self._name(pair[1]))

    def _name(self, path: Path) -> str:
        return path.name if path == self.path else path.relative_to(self.path).as_posix()

    def _candidate(self, line: str, label: str | None, ref: str) -> Candidate:
        return Candidate(
            locator=Locator("url", line),
            ref=ref,
            label=label,
            album=_folder(line) if self.album == "folder" else None,
            license=self.license,
            attribution=self.attribution,
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that say something; bytes that are no UTF-8 become U+FFFD, which no URL may hold."""
    with path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
        for number, line in enumerate(file, start=1):
            text = line.strip()
            if text and not text.startswith("#"):
                yield number, text


def _folder(url: str) -> str | None:
    """Host and folder of a URL; None where it has neither."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    folder = parts.path.rpartition("/")[0]
    return f"{parts.netloc.rpartition('@')[2].lower()}{folder}" if parts.netloc and folder else None
