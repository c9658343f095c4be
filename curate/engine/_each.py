"""Small items go to a worker several at a time; and what a work may say of itself beside what it must."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from curate.contracts import Engine, R, Resources, T, Task
from curate.engine import _pace as pace

MOST = 2**20  # bytes of an answer, where its work does not say another number


@dataclass(frozen=True)
class All(Generic[T, R]):
    """The work on every item of a chunk; an exception is that item's result."""

    work: Task[T, R]

    def load(self) -> None:
        """Load the work."""
        self.work.load()

    def __call__(self, item: Sequence[T]) -> list[R | Exception]:
        """The result of each."""
        return [self._tried(one) for one in item]

    def _tried(self, one: T) -> R | Exception:
        pace.step()
        try:
            return self.work(one)
        except Exception as error:
            return error


def each(
    engine: Engine, work: Task[T, R], chunks: Iterable[Sequence[T]], needs: Resources | None = None
) -> Iterator[tuple[T, R | Exception]]:
    """Every item with its result, as `Engine.map` has it; what one of a chunk does to its worker costs no other."""
    for chunk, found in engine.map(All(work), chunks, needs or Resources()):
        if isinstance(found, Exception):  # there is no worker at all
            yield from ((one, found) for one in chunk)
        else:
            yield from zip(chunk, found, strict=True)


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of `size`, the last one shorter."""
    return (items[at : at + size] for at in range(0, len(items), size))


@dataclass(frozen=True)
class Own:
    """What a work may say of itself beside what it must (`contracts.Task`), and what stands where it says nothing."""

    work: Task[Any, Any]

    def bring(self, item: Any) -> Any:
        """What a worker is given for an item."""
        return self._asked("bring", item, item)

    def fits(self, given: Any, answer: Any) -> bool:
        """Whether an answer can be one to what was given."""
        return bool(self._asked("fits", True, given, answer))

    @property
    def most(self) -> int:
        """How many bytes an answer may have."""
        return int(getattr(self.work, "most", MOST))

    def pictures(self, item: Any) -> int:
        """How many times the seconds of a picture an item may take."""
        return int(self._asked("pictures", 1, item))

    def _asked(self, name: str, otherwise: Any, *about: Any) -> Any:
        method = getattr(self.work, name, None)
        return otherwise if method is None else method(*about)


def own(work: Task[Any, Any]) -> Own:
    """What a work says of itself; that on a chunk says what the one on its items does."""
    return Own(work.work if isinstance(work, All) else work)
