"""The `local_file` exchange of python-threatexchange: `pdq 0123...` a line, or bare values of one `signal_type`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.records import ListedHash
from curate.screening.lists._rows import Row, files, lines
from curate.screening.lists._signals import signal
from curate.screening.lists.tx_csv import COLLAB, KIND, VALUE, table


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

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """The hashes as rows of a `tx_csv`, which has a word for it; the list is named after its file."""
        kinds = {one.value: one.algorithm for one in hashes}
        return table([{KIND: kind, VALUE: value, COLLAB: self.path.stem} for value, kind in kinds.items()])
