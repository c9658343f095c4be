"""What workers make of stored bytes, a sample at a time: something small, or nothing where that cannot be."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.contracts import Engine
from curate.engine import each, slices
from curate.errors import ItemError, StoreError
from curate.media.answers import is_encoded
from curate.store.blobs import LocalBlobs

Make = Callable[[bytes], bytes]  # raises ItemError where the bytes are no picture


@dataclass(frozen=True)
class Making:
    """The work that is mapped over ids. `make` is a function of a module, or a `partial` of one."""

    root: Path
    make: Make
    row: int = 1  # bytes of which an answer is a whole number of
    rows: int | None = None  # at most so many
    kind: str = ""  # a key of `curate.media.answers.KINDS`: what it must begin as

    @property
    def reads(self) -> tuple[Path]:
        """The store's bytes."""
        return (self.root,)

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        import numpy as np  # noqa: F401

    def fits(self, _: str, answer: bytes | None) -> bool:
        """Whether an answer is of whole rows, no more than there may be, or looks like what it is to be."""
        if answer is None:
            return True
        count, rest = divmod(len(answer), self.row)
        few = count > 0 and rest == 0 and (self.rows is None or count <= self.rows)
        return few and (not self.kind or is_encoded(answer, self.kind))

    def __call__(self, item: str) -> bytes | None:
        """What is made of the sample's bytes, or None where they are gone or are no picture any more."""
        try:
            with LocalBlobs(self.root).open(item) as blob:
                return self.make(blob.read())
        except (ItemError, StoreError, OSError):
            return None


def made(engine: Engine, work: Making, ids: Sequence[str], size: int) -> Iterator[tuple[str, bytes | None]]:
    """What is made of each sample, `size` of them at a time; None as well where a worker died over it."""
    for one, found in each(engine, work, slices(ids, size)):
        if isinstance(found, Exception) and not isinstance(found, ItemError):
            raise found
        yield one, found if isinstance(found, bytes) else None
