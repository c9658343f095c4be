"""One item after another, in this process: for tests, debugging, and work too small to share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from curate.contracts import HASHING, R, Resources, T, Task
from curate.engine._each import All, own


@dataclass(frozen=True)
class Serial:
    """Runs work in this process."""

    workers: int = 1

    def prepare(self, modules: Sequence[str] = HASHING) -> None:
        """Nothing: this process is there."""

    def map(self, work: Task[T, R], items: Iterable[T], needs: Resources) -> Iterator[tuple[T, R | Exception]]:
        """Each item with its result, in order."""
        work.load()
        bring: Any = own(work).bring
        for item in items:
            try:
                yield item, work([bring(one) for one in item] if isinstance(work, All) else bring(item))
            except Exception as error:
                yield item, error
