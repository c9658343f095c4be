"""What every verb shares: its options, the workspace they open, the run that is recorded, and how a result is said."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

from curate.commands.wording import worded
from curate.config import CONFIG_NAME, Config, digest, load
from curate.contracts import Engine
from curate.coverage import headline, rest
from curate.engine import engine_of
from curate.errors import CurateError, DiskFullError, MatchError, UsageError, WitnessError
from curate.layouts.folder import shown
from curate.policy import trust
from curate.progress import Progress
from curate.store import borrowed, catalog, holds, witnesses
from curate.store.workspace import Workspace, find_root

Doubts = Literal["refuse", "leave"]  # what becomes of a verb where something of the workspace is missing
FETCHING = ("fetch", "run", "demo")  # verbs that ask for candidates
NO_CONTACT = "fetch.contact: missing; who asks must be reachable (it goes into the User-Agent)"
SHOWN = 5  # incidents that are named
T = TypeVar("T")
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)  # that JSON lets pass


@dataclass(frozen=True)
class Context:
    """The options that every verb takes, and what they open."""

    workspace: Path | None
    limit: int | None
    json: bool
    quiet: bool
    verbose: bool
    settle: Callable[[Workspace], object] = bool  # what must be finished before a verb drives
    out: TextIO | None = None  # where answers go; None: stdout

    @property
    def root(self) -> Path:
        """The folder with curate.toml: named, or searched upwards from here."""
        if self.workspace is not None:
            return self.workspace
        found = find_root(Path.cwd())
        if found is None:
            raise UsageError(f"no {CONFIG_NAME} here or in a folder above; `curate init` writes one to start from")
        return found

    @property
    def config(self) -> Config:
        """The parsed curate.toml."""
        return load(self.root)

    @property
    def user(self) -> str:
        """Who is at the keyboard, as the log names them."""
        return catalog.user()

    @property
    def progress(self) -> Progress:
        """Bars or lines on stderr, or nothing."""
        return Progress(self.quiet)

    def engine(self, config: Config) -> Engine:
        """Where work runs; it gets ready meanwhile."""
        engine = engine_of(config.engine, self.verbose)
        engine.prepare()
        return engine

    def client(self, config: Config) -> Any:
        """The network under the config's limits; without a contact, nobody is asked for anything."""
        from dataclasses import fields

        from curate.net.client import Client
        from curate.net.limits import Limits
        from curate.net.offline import Offline

        if config.fetch.contact is None:
            return Offline(NO_CONTACT)
        shared = {f.name for f in fields(Limits)} & {f.name for f in fields(config.fetch)} - {"tokens"}
        tokens = {host: _secret(host, name) for host, name in config.fetch.tokens.items()}
        return Client(Limits(**{name: getattr(config.fetch, name) for name in shared}, tokens=tokens))

    def obey(self) -> None:
        """Raise UsageError where somebody else could have written what says what is run here."""
        for one in (self.root / CONFIG_NAME, self.root / "work"):
            trust.check(one)

    @contextmanager
    def open(self, doubts: Doubts = "refuse", late: bool = False) -> Iterator[Workspace]:
        """The workspace. Incidents that nobody has acknowledged are said, also where `--quiet` is: first, or (`late`)
        last, where the verb may be what acknowledges one.

        Raises WitnessError where something says that more was lost than it knows, unless that is left to the verb.
        """
        ws = Workspace(self.root, self.config)
        try:
            _begin(ws, doubts)
            if not late:
                _say_untold(ws)
            try:
                yield ws
            finally:
                if late:
                    _say_untold(ws)
        finally:
            ws.close()

    def read(self, act: Callable[[Workspace], T], doubts: Doubts = "refuse") -> T:
        """What `act`, which only reads, says of the workspace; of a copy of its catalog where it cannot be written."""
        if borrowed.writable(self.root / "work"):
            try:
                with self.open(doubts) as ws:
                    return act(ws)
            except DiskFullError:  # SQLite writes even where it reads
                pass
        witnesses.no_catalog((self.root / "work").resolve())
        with borrowed.copy((self.root / "work").resolve()) as copy:
            ws = Workspace(self.root, self.config, copy)
            try:
                _begin(ws, doubts)
                _say_untold(ws)
                return act(ws)
            finally:
                ws.close()

    def tell(self, act: Callable[[Workspace], Mapping[str, Any]]) -> None:
        """Print what `act` says of the workspace, in any case; then raise WitnessError where something is missing."""
        result, doubts = self.read(lambda ws: (act(ws), ws.doubts()), "leave")
        self.say(result)
        _refuse(doubts)

    @contextmanager
    def drive(
        self, verb: str, obeying: bool = True, tells: bool = False, doubts: Doubts = "refuse", late: bool = False
    ) -> Iterator[Workspace]:
        """The workspace, held by one verb, whose run is recorded however it ends.

        `tells`: the verb ends with 5 while an incident waits to be acknowledged, whatever else it failed with; where it
        did not fail, the command looks at `views.untold`. Raises UsageError where somebody else could have written what
        says what is run, unless the verb runs nothing of it (`obeying` False).
        """
        if obeying:
            self.obey()
        with self.open(doubts, late) as ws, self.driven(ws, verb, tells):
            if doubts == "refuse" or not ws.doubts():
                self.settle(ws)
            yield ws

    @contextmanager
    def driven(self, ws: Workspace, verb: str, tells: bool = False) -> Iterator[None]:
        """`drive`, of a workspace that is open."""
        with ws.driver(verb):
            ws.catalog.begin(verb, digest(self.root))
            status = "failed"
            try:
                yield
                status = "done"
            except KeyboardInterrupt:
                status = "interrupted"
                if verb in FETCHING:
                    left = ws.catalog.scalar("SELECT count(*) FROM candidates WHERE state = 'pending'")
                    self.note(f"curate: {left} candidates are left to fetch")
                raise
            except CurateError as error:
                waiting = holds.untold(ws.catalog) if tells and not isinstance(error, MatchError) else []
                if waiting:
                    print(f"curate: {shown(str(error))}", file=sys.stderr)
                    raise MatchError(untold_said(waiting)) from error
                raise
            finally:
                ws.catalog.end(status)

    def say(self, result: Mapping[str, Any], lines: Callable[[Mapping[str, Any]], Iterator[str]] | None = None) -> None:
        """Print what a verb found: one JSON object, or lines for people."""
        if self.json:
            print(
                _UNPRINTABLE.sub(lambda c: json.dumps(c[0])[1:-1], json.dumps(result, ensure_ascii=False)),
                file=self.out,
            )
        elif not self.quiet:
            for line in (*headline(result), *(lines(result) if lines else _lines(worded(rest(result))))):
                print(shown(line), file=self.out)

    def note_void(self, result: Mapping[str, Any]) -> None:
        """Say which tables of hashes were made by rules that no longer hold; they are gone, so it is said once."""
        for name in result["void"]:
            self.note(f"{name}: hashes of an earlier version, which saw less of a file; made again from what is stored")

    def note(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            print(shown(text), file=sys.stderr)


def _begin(ws: Workspace, doubts: Doubts) -> None:
    if doubts == "refuse":
        _refuse(ws.doubts())


def _say_untold(ws: Workspace) -> None:
    if waiting := holds.untold(ws.catalog):
        print(f"curate: {untold_said(waiting)}", file=sys.stderr)


def _refuse(doubts: Sequence[str]) -> None:
    if doubts:
        for one in doubts[:-1]:
            print(f"curate: {shown(one)}", file=sys.stderr)
        raise WitnessError(doubts[-1])


def untold_said(numbers: Sequence[int]) -> str:
    """What is said of incidents that nobody has acknowledged."""
    some = f"{', '.join(map(str, numbers[:SHOWN]))}{', ...' if len(numbers) > SHOWN else ''}"
    what = f"incident {some} is open" if len(numbers) == 1 else f"{len(numbers)} incidents are open ({some})"
    return (
        f"{what}, and nobody has said that they know of it: follow docs/screening.md; `curate screening acknowledge"
        f" {numbers[0]} --by NAME` ends this message and the exit code 5, and lets go of nothing"
    )


def _secret(host: str, name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(f"fetch.tokens: {host}: the environment has no {name}; set it, or take the line out")
    return value


def _lines(result: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A result as `name  value` lines, what a name holds below it."""
    for name, value in result.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{indent}{name}:"
            yield from (f"{indent}  " + "  ".join(f"{k}={_short(v)}" for k, v in row.items()) for row in value)
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
