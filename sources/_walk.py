"""A way through a wiki, one request at a time: what it knows between two requests is a `State`, all of the cursor."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from curate.errors import ItemError
from curate.records import Note, Reason
from sources._mediawiki import Api, merge

CATEGORY, FILE = 14, 6  # namespaces

Json = Mapping[str, Any]


@dataclass
class State:
    """What is known between two requests."""

    job: int = 0  # which of the configured ways
    structured: bool | None = None  # whether the wiki has structured data; None: not asked yet
    queue: list[tuple[list[str], int | None]] | None = None  # paths of categories; redirects followed, None: no need
    visited: set[str] = field(default_factory=set)  # page ids of categories
    at: list[str] | None = None  # the path of the category that is being listed
    more: dict[str, Any] | None = None  # the API's `continue`, as it came
    held: dict[str, Any] = field(default_factory=dict)  # the pages of a batch that is not whole yet
    whole: bool = False
    found: int = 0
    top: int = 0  # the newest file's page id
    drawn: int = 0
    done: bool = False

    @classmethod
    def read(cls, cursor: str | None) -> "State":
        """The state that `write` wrote; None: the start."""
        if cursor is None:
            return cls()
        kept = json.loads(cursor)
        return cls(**kept | {"visited": set(kept["visited"])})

    def write(self) -> str:
        """The state as a cursor."""
        return json.dumps(asdict(self), default=sorted)

    def next(self) -> "State":
        """The start of the next way."""
        return State(job=self.job + 1, structured=self.structured)

    async def read_on(self, api: Api, params: Mapping[str, str]) -> None:
        """One request of a listing: more of the batch that is held, or the next one."""
        answer = await api.ask({**params, **{name: str(value) for name, value in (self.more or {}).items()}})
        merge(self.held, answer)
        if self.more is not None and answer.get("continue") == self.more:
            raise ItemError(Reason.API_ERROR, "the listing does not go on: the same `continue` again")
        self.more = answer.get("continue")
        self.whole = bool(answer.get("batchcomplete"))


class Walk(Protocol):
    """One way through a wiki."""

    state: State
    where: str  # in a candidate's `ref`
    label: str | None
    limit: int | None  # files

    async def prepare(self, api: Api) -> list[Note] | None:
        """Do one request that must come before the next listing; None where there is none to do."""
        ...

    def params(self) -> Mapping[str, str]:
        """What the listing asks for beside `_wikifile.query`."""
        ...

    def take(self) -> tuple[Sequence[Json], list[Note]]:
        """The files of the whole batch that is held, in order, and what was left out; the batch counts as done."""
        ...

    def finish(self) -> None:
        """The listing came to its end."""
        ...
