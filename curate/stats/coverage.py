"""How much of what an answer is about was looked at. No verdict is given over what nobody could look at.

One mechanism for every verb: its result holds `coverage`, and `incomplete` where the answer is not to be relied on. The
command prints these first, then the rest, and ends with exit 3.
"""

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curate.errors import plain

KEPT = 300  # characters of a reason in the record of a run
_ID, _CUT = re.compile("[0-9a-f]{8}", re.IGNORECASE), "..."
FEW = 20  # one of so many may be unread; with more, the answer is incomplete


@dataclass(frozen=True)
class Coverage:
    """`looked` of `of` things were looked at; `rest` says what became of the others."""

    looked: int
    of: int
    things: str = "samples"
    rest: str = "could not be read"
    verb: str = "looked at"

    @property
    def said(self) -> str:
        """In words."""
        others = f"; {self.of - self.looked:,} {self.rest}" if self.looked < self.of else ""
        return f"{self.looked:,} of {self.of:,} {self.things}{others}"

    @property
    def short(self) -> str | None:
        """What is wrong with an answer that rests on so few; None where at most 5 % are missing."""
        unread = self.of - self.looked
        return f"{unread:,} of {self.of:,} {self.things} {self.rest}" if FEW * unread > self.of else None

    def facts(self, incomplete: str | None) -> dict[str, Any]:
        """What a verb's result says of it; `incomplete` is mostly `short`."""
        share = round(self.looked / self.of, 4) if self.of else None
        said = {"looked_at": self.looked, "of": self.of, "share": share, "said": self.said}
        said |= {"verb": self.verb} if self.verb != "looked at" else {}
        return {"coverage": said, "incomplete": incomplete}


def over(of: int, unread: int) -> dict[str, Any]:
    """The facts of a verb that could not read some of its samples: more than 5 %, and its answer is incomplete."""
    found = Coverage(of - unread, of)
    return found.facts(found.short)


def over_some(of: int, unread: int, nothing: Callable[[], str]) -> dict[str, Any]:
    """As `over`, of a verb whose answer over no sample is incomplete, too: `nothing` says why there is none."""
    found = Coverage(of - unread, of)
    return found.facts(found.short if of else nothing())


def incomplete(result: Mapping[str, Any]) -> list[str]:
    """Why a verb's answer is incomplete, or that of one of the verbs that it ran."""
    own = [str(result["incomplete"])] if result.get("incomplete") else []
    parts = ((name, part) for name, part in result.items() if isinstance(part, Mapping))
    return own + [f"{name}: {why}" for name, part in parts for why in incomplete(part)]


def unnamed(why: str) -> str:
    """A reason as the record of a run keeps it: one line, without what names an item, which a takedown would have to
    find (ids, URLs, paths)."""
    words = (_CUT if "/" in word or _ID.search(word) else word for word in plain(why).split())
    return textwrap.shorten(" ".join(words), KEPT, placeholder=f" {_CUT}")


def headline(result: Mapping[str, Any]) -> Iterator[str]:
    """The first lines of an answer: what it rests on, and whether that is enough."""
    if "coverage" in result:
        yield f"{result['coverage'].get('verb', 'looked at'):<26} {result['coverage']['said']}"
    yield from (f"{'INCOMPLETE':<26} {why}" for why in incomplete(result))


def rest(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of an answer the headline does not say; of the verbs that it ran, what each rests on in words."""
    found = {name: part for name, part in result.items() if name not in ("coverage", "incomplete")}
    for name, part in found.items():
        if isinstance(part, Mapping) and "coverage" in part:
            verb = str(part["coverage"].get("verb", "looked at"))
            found[name] = {verb: part["coverage"]["said"]} | {k: v for k, v in rest(part).items() if k != verb}
    return found
