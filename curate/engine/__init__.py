"""Where work runs. An engine is a map; small items go to a worker several at a time, by `each`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from curate.contracts import Engine, Needs, R, T, Work


@dataclass(frozen=True)
class _All(Generic[T, R]):
    """The work on every item of a chunk; an exception is that item's result."""

    work: Work[T, R]

    def load(self) -> None:
        self.work.load()

    def __call__(self, item: Sequence[T]) -> list[R | Exception]:
        return [self._tried(one) for one in item]

    def _tried(self, one: T) -> R | Exception:
        try:
            return self.work(one)
        except Exception as error:
            return error


def each(
    engine: Engine, work: Work[T, R], chunks: Iterable[Sequence[T]], needs: Needs | None = None
) -> Iterator[tuple[T, R | Exception]]:
    """Every item with its result, as `Engine.map` has it; a chunk that has none is tried again item by item."""
    needs, whole = needs or Needs(), _All(work)
    for chunk, found in engine.map(whole, chunks, needs):
        if not isinstance(found, Exception):
            yield from zip(chunk, found, strict=True)
        elif len(chunk) == 1:
            yield chunk[0], found
        else:
            for (item,), alone in engine.map(whole, [[one] for one in chunk], needs):
                yield item, alone if isinstance(alone, Exception) else alone[0]


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of `size`, the last one shorter."""
    return (items[at : at + size] for at in range(0, len(items), size))
