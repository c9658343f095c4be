"""The `local_file` exchange of python-threatexchange: `pdq 0123...` a line, or bare values of one `signal_type`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.screening.lists._rows import Row, files, lines
from curate.screening.lists._signals import signal


@dataclass(frozen=True)
class TxLocal:
    """A text file of signals. `signal_type` (pdq, md5, video_md5, ...) is that of lines which name none."""

    path: Path
    provider: str = "self"
    signal_type: str | None = None

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError where the file is missing."""
        for file in files(self.path):
            for number, line in enumerate(lines(file), start=1):
                if not (value := line.strip()) or value.startswith("#"):
                    continue
                named, _, rest = value.partition(" ")
                kind, value = (named, rest) if rest else (self.signal_type or "", value)
                yield from signal(kind, value, f"line {number}")
