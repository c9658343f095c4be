"""What labelling functions are asked about: rows with every column, and with what is written of the sample.

A row is what Snorkel's preprocessors take: a namespace that can be copied, pickled and changed. What is written is read
when a function first asks for it, of a part of the rows at once, so that memory is bounded and who asks for no words
pays for none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import cached_property, lru_cache
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from curate.policy.written import Written
from curate.store.mentions import Mentions

if TYPE_CHECKING:
    import numpy as np

TEXTS = frozenset({*(one.name for one in fields(Written)), "words"})


class Row(SimpleNamespace):
    """A sample's columns as attributes; `TEXTS` are there as well, and are not among `vars`.

    All functions are asked about the same row, so none can change it; a copy, which preprocessors change, it can.
    """

    __slots__ = ("_part", "_place", "_shared")

    def __init__(self, known: Mapping[str, Any], part: "_Part | _One", place: int = 0, shared: bool = False) -> None:
        super().__init__(**known)
        for name, value in (("_part", part), ("_place", place), ("_shared", shared)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._shared:
            raise AttributeError(f"a row cannot be changed ({name}): other functions see it, too; change a copy.copy()")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if self._shared:
            raise AttributeError(f"a row cannot be changed ({name}): other functions see it, too; change a copy.copy()")
        super().__delattr__(name)

    def __getattr__(self, name: str) -> Any:
        if name in TEXTS:
            return getattr(self._part.written[self._place], name)
        raise AttributeError(f"a row has no attribute '{name}'{_near(name, tuple(vars(self)))}")

    def __copy__(self) -> "Row":
        return Row(vars(self), self._part, self._place)

    def __reduce__(self) -> tuple[Any, ...]:
        return Row, (dict(vars(self)), _One([self._part.written[self._place]]))


@lru_cache(maxsize=64)  # a function that asks for what is not there asks so of every row
def _near(name: str, known: tuple[str, ...]) -> str:
    close = [] if name.startswith("__") else get_close_matches(name, [*known, *sorted(TEXTS)], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


class _Part:
    """Samples whose words are read together."""

    def __init__(self, mentions: Mentions, ids: Sequence[str]) -> None:
        self._mentions, self._ids = mentions, ids

    @cached_property
    def written(self) -> Sequence[Written]:
        return self._mentions.of(self._ids)


class _One:
    def __init__(self, written: Sequence[Written]) -> None:
        self.written = written


class Rows(Sequence[Row]):
    """Some samples as `columns`, NumPy arrays, for functions that are vectorised, and as rows for all others: these are
    made when one is first asked for."""

    def __init__(self, columns: Mapping[str, Any], mentions: Mentions) -> None:
        self.columns = MappingProxyType({name: _unchanging(values) for name, values in columns.items()})
        self._mentions = mentions

    @cached_property
    def _each(self) -> list[Row]:
        plain = [values.tolist() if values.ndim == 1 else values for values in self.columns.values()]
        part = _Part(self._mentions, self.columns["id"].tolist())
        each = enumerate(zip(*plain, strict=True))
        return [Row(dict(zip(self.columns, values, strict=True)), part, place, True) for place, values in each]

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __iter__(self) -> Iterator[Row]:
        return iter(self._each)

    def __getitem__(self, place: Any) -> Any:
        return self._each[place]


def rows(columns: Mapping[str, Any], mentions: Mentions, start: int, stop: int) -> Rows:
    """Rows `start` to `stop` of columns that have `id`: NumPy arrays, or Arrow's of text."""
    return Rows({name: values[start:stop] for name, values in columns.items()}, mentions)


def _unchanging(values: Any) -> "np.ndarray":
    """The same as NumPy has it, text as Python's; no function can change it for those that come after."""
    import numpy as np
    import pyarrow as pa

    plain = np.array(values.to_pylist(), dtype=object) if isinstance(values, pa.Array) else np.asarray(values)
    seen = plain.view()
    seen.flags.writeable = False
    return seen
