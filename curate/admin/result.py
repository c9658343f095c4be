"""What a verb answers, for Python and notebooks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.label.terminal import table
from curate.options import suggest
from curate.store import holds
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Result(Mapping[str, Any]):
    """What a verb found, by name; `open_incidents` are those that nobody has acknowledged (docs/screening.md)."""

    facts: Mapping[str, Any]
    open_incidents: tuple[int, ...] = ()

    @classmethod
    def waiting(cls, ws: Workspace, facts: Mapping[str, Any]) -> "Result":
        """With the incidents that wait to be acknowledged; the record of the run says whether it is complete."""
        ws.said = facts
        return cls(facts, tuple(holds.untold(ws.catalog)))

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)

    def __repr__(self) -> str:
        return "\n".join(_lines(self.facts))

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{escape(name)}</th><td>{_cell(name, value)}</td></tr>" for name, value in self.facts.items())
        return f"<table>{''.join(rows)}</table>"


@dataclass(frozen=True, repr=False)
class Estimates(Result):
    """What `curate estimate` found."""

    def frame(self) -> "pd.DataFrame":
        """`figures`, a row each."""
        import pandas as pd

        return pd.DataFrame(self["figures"])


@dataclass(frozen=True, repr=False)
class Differences(Result):
    """What `curate diff` found."""

    def frame(self, name: str) -> "pd.DataFrame":
        """One of its lists, a row each; raises UsageError for a name that is none of them."""
        import pandas as pd

        lists = {key: value for key, value in self.facts.items() if isinstance(value, list)}
        if name not in lists:
            raise UsageError(f"diff: no list is called '{name}'; {suggest(name, lists)}")
        return pd.DataFrame(lists[name])

    def __repr__(self) -> str:
        from curate.release.diff import lines

        return "\n".join(lines(self.facts))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def _lines(facts: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """`name  value`, labelling functions and their pairs as tables, wherever they are."""
    for name, value in facts.items():
        if (lines := _below(name, value)) is None:
            yield f"{indent}{name:<{26 - len(indent)}} {value}"
        else:
            yield f"{indent}{name}:"
            yield from (f"{indent}  {line}" for line in lines)


def _below(name: str, value: Any) -> list[str] | None:
    """The lines of what has tables in it; None of what is said in one line."""
    if isinstance(value, Mapping) and any(isinstance(one, Mapping) or _below(key, one) for key, one in value.items()):
        return list(_lines(value))
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return table(name, value)
    return None


def _cell(name: str, value: Any) -> str:
    lines = _below(name, value)
    return escape(str(value)) if lines is None else "<pre>" + escape("\n".join(lines)) + "</pre>"
