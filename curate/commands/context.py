"""What every command shares: its options, the project they name, and how a result is said."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from curate.admin.session import Session
from curate.commands.streams import takes_all
from curate.commands.wording import worded
from curate.config import CONFIG_NAME
from curate.errors import CurateError, MatchError, UsageError, WitnessError
from curate.label.terminal import table
from curate.layouts.folder import shown
from curate.progress import tell
from curate.project import Project
from curate.stats.coverage import headline, rest
from curate.store.workspace import find_root, here

WIDE = 120  # characters of a list that stands in one line
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)  # that JSON lets pass
Lines = Callable[[Mapping[str, Any]], Iterator[str]]


@dataclass(frozen=True)
class Context:
    """The options that every verb takes, and the project that they name."""

    workspace: Path | None
    limit: int | None
    json: bool
    quiet: bool
    verbose: bool
    out: TextIO | None = None  # where answers go; None: stdout
    answered: list[bool] = field(default_factory=list)  # as often as an object was printed

    @property
    def root(self) -> Path:
        """The folder with curate.toml: named, or searched upwards from here."""
        if self.workspace is not None:
            return self.workspace
        found = find_root(here())
        if found is None:
            raise UsageError(f"no {CONFIG_NAME} here or in a folder above; `curate init` writes one to start from")
        return found

    @property
    def session(self) -> Session:
        """What opens the workspace."""
        return Session(self.root, self.quiet, self.verbose)

    @property
    def project(self) -> Project:
        """The project of this folder, as Python has it."""
        return Project(self.session)

    def say(self, result: Mapping[str, Any], lines: Lines | None = None, *, asked: bool = False) -> None:
        """Print what a verb found: one JSON object, or lines for people.

        `--quiet` leaves out the account of what was done; not what was `asked`, by a verb that only reads.
        """
        if self.json:
            self.answered.append(True)
            self.line(result)
        elif asked or not self.quiet:
            for line in (*headline(result), *(lines(result) if lines else _lines(worded(rest(result))))):
                print(shown(line), file=self.out)

    def line(self, result: Mapping[str, Any]) -> None:
        """Print one JSON object on a line."""
        text = json.dumps(dict(result), ensure_ascii=not takes_all(self.out))
        print(_UNPRINTABLE.sub(lambda c: json.dumps(c[0])[1:-1], text), file=self.out)

    def fail(self, error: CurateError) -> None:
        """With `--json`, print an error as the one object, where none was printed yet."""
        if self.json and not self.answered:
            facts = error.facts if isinstance(error, MatchError) else {}
            self.say({**facts, "error": str(error), "exit": error.exit_code})

    def said(self, ask: Callable[..., Mapping[str, Any]], *args: Any, asked: bool = True) -> None:
        """Print what a method that only reads says, also where something of the workspace is missing."""
        try:
            self.say(ask(*args), asked=asked)
        except WitnessError as error:
            if error.facts:
                self.say(error.facts, asked=asked)
            raise

    def note(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            tell(shown(text))


def _lines(result: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A result as `name  value` lines, what a name holds below it."""
    for name, value in result.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{indent}{name}:"
            if (lined := table(name, value)) is not None:
                yield from (f"{indent}  {line}" for line in lined)
                continue
            yield from (f"{indent}  " + "  ".join(f"{k}={_short(v)}" for k, v in row.items()) for row in value)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value) and sum(map(len, value)) > WIDE:
            yield f"{indent}{name}:"
            yield from (f"{indent}  - {one}" for one in value)
        else:
            yield f"{indent}{name:<{26 - len(indent)}} {_short(value)}"


def _short(value: Any) -> str:
    """A value in words: what is not there or not known is `-`, what is empty `none`."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        each = (f"({_short(one)})" if isinstance(one, Mapping) else _short(one) for one in value)
        return ", ".join(each) or "none"
    return str(value)
