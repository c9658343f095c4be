"""One hash a line: md5, sha1 or sha256 in hex; blank lines and lines that start with `#` are passed over."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curate.errors import UsageError
from curate.records import CorruptRow, ListedHash

Algorithm = Literal["md5", "sha1", "sha256"]
_BY_LENGTH: dict[int, Algorithm] = {32: "md5", 40: "sha1", 64: "sha256"}


@dataclass(frozen=True)
class Lines:
    """A text file of hashes; the length of each says what it is. `provider` names who vouches for the list."""

    path: Path
    provider: str = "self"

    def rows(self) -> Iterator[ListedHash | CorruptRow]:
        """Every row; raises UsageError where the file is missing."""
        try:
            text = self.path.read_bytes().decode("utf-8-sig", errors="replace")
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror or error}") from error
        for number, line in enumerate(text.splitlines(), start=1):
            value = line.strip().lower()
            if not value or value.startswith("#"):
                continue
            algorithm = _BY_LENGTH.get(len(value)) if re.fullmatch("[0-9a-f]+", value) else None
            if algorithm is None:
                yield CorruptRow(f"line {number}", "neither md5, sha1 nor sha256 in hex")
            else:
                yield ListedHash(algorithm, value, f"line {number}")
