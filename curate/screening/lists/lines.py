"""One hash a line: md5, sha1, sha256 or PDQ in hex; blank lines and lines that start with `#` are passed over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.records import Algorithm, ListedHash
from curate.screening.lists._rows import Row, files, guessed, lines, listed


@dataclass(frozen=True)
class Lines:
    """A text file of hashes. `algorithm` says what they are; without it the length of each does, and 64 digits are
    matched as sha256 and as PDQ. `provider` names who vouches for the list."""

    path: Path
    provider: str = "self"
    algorithm: Algorithm | None = None

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError where the file is missing."""
        for file in files(self.path):
            for number, line in enumerate(lines(file), start=1):
                value = line.strip()
                if not value or value.startswith("#"):
                    continue
                if self.algorithm is None:
                    yield from guessed(value, f"line {number}")
                else:
                    yield listed(self.algorithm, value, f"line {number}")

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """The hashes, a line each, below a comment that says why."""
        values = dict.fromkeys(one.value for one in hashes)
        return "".join([f"# disputed: {' '.join(reason.split())}\n", *(f"{value}\n" for value in values)])
