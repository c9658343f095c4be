"""A workspace for one verb: opened, its witnesses asked, its lock taken, the run recorded however it ends."""

import inspect
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from curate.config import CONFIG_NAME, Config, digest, load
from curate.contracts import HASHING, Engine
from curate.engine import engine_of
from curate.errors import CurateError, DiskFullError, InterruptionError, MatchError, UsageError, WitnessError, of_system
from curate.layouts.folder import shown
from curate.policy import trust
from curate.progress import Progress, tell
from curate.stats.coverage import incomplete, unnamed
from curate.store import borrowed, holds, witnesses
from curate.store.workspace import Workspace

Doubts = Literal["refuse", "leave"]  # what becomes of a verb where something of the workspace is missing
FETCHING = ("fetch", "hydrate", "run", "demo")  # verbs that ask for candidates
NO_CONTACT = "fetch.contact: missing; who asks must be reachable (it goes into the User-Agent)"
FILES, LEAST_FILES = 1024, 256  # that may be open at once: as Linux has it, as macOS has it
SHOWN = 5  # incidents that are named
T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """Opens the workspace in `root`. `quiet`: no progress, no notes; `verbose`: workers' words on stderr."""

    root: Path
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError where this process could not tell the truth of files, by its encoding or its limits."""
        if (encoding := sys.getfilesystemencoding()) != "utf-8":
            raise UsageError(
                f"names of files would be read as {encoding} here, and one picture have two names; set PYTHONUTF8=1, or"
                " LC_ALL to a locale of UTF-8"
            )
        _allow_files()

    @property
    def config(self) -> Config:
        """The parsed curate.toml."""
        return load(self.root)

    @property
    def progress(self) -> Progress:
        """Bars or lines on stderr, or nothing."""
        return Progress(self.quiet)

    def engine(self, config: Config, modules: Sequence[str] = HASHING) -> Engine:
        """Where work runs; it gets ready meanwhile, for work that wants these modules."""
        engine = engine_of(config.engine, self.verbose)
        engine.prepare(modules)
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
    def open(self, doubts: Doubts = "refuse", late: bool = False, tells: bool = True) -> Iterator[Workspace]:
        """The workspace. Incidents that nobody has acknowledged are said, also where `--quiet` is: first, or (`late`)
        last, where the verb may be what acknowledges one; not where it `tells` nobody, who was told before.

        Raises WitnessError where something says that more was lost than it knows, unless that is left to the verb.
        """
        with interruptible(), closing(Workspace(self.root, self.config)) as ws:
            _begin(ws, doubts)
            if tells and not late:
                _say_untold(ws)
            try:
                yield ws
            finally:
                if late:
                    _say_untold(ws)

    def read(self, act: Callable[[Workspace], T], doubts: Doubts = "refuse", tells: bool = True) -> T:
        """What `act`, which only reads, says of the workspace; of a copy of its catalog where it cannot be written."""
        if borrowed.writable(self.root / "work"):
            try:
                with self.open(doubts, tells=tells) as ws:
                    return act(ws)
            except DiskFullError:  # SQLite writes even where it reads
                pass
        work = (self.root / "work").resolve()
        witnesses.no_catalog(work)
        with (
            interruptible(),
            borrowed.copy(work) as copy,
            closing(Workspace(self.root, self.config, copy)) as ws,
        ):
            _begin(ws, doubts)
            if tells:
                _say_untold(ws)
            return act(ws)

    def reread(self, act: Callable[[Workspace], T]) -> T:
        """`read`, as often as somebody who has read before wants to know again: what waits is not said each time."""
        return self.read(act, tells=False)

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
                finish_removal(ws)
            yield ws

    @contextmanager
    def driven(self, ws: Workspace, verb: str, tells: bool = False) -> Iterator[None]:
        """`drive`, of a workspace that is open."""
        with ws.driver(verb):
            ws.catalog.begin(verb, digest(self.root))
            status, why = "failed", ""
            try:
                yield
                why = "; ".join(incomplete(ws.said))
                status = "failed" if ws.wrong else "incomplete" if why else "done"
                why = ws.wrong or why
            except KeyboardInterrupt:
                status = "interrupted"
                if verb in FETCHING:
                    left = ws.catalog.scalar("SELECT count(*) FROM candidates WHERE state = 'pending'")
                    self.note(f"curate: {left} candidates are left to fetch")
                raise
            except CurateError as error:
                why = f"exit {error.exit_code}: {error}"
                waiting = holds.untold(ws.catalog) if tells and not isinstance(error, MatchError) else []
                if waiting:
                    tell(f"curate: {shown(str(error))}")
                    raise MatchError(untold_said(waiting)) from error
                raise
            finally:
                ws.catalog.end(status, {"why": unnamed(why)} if why else {})

    def note(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            tell(shown(text))

    def note_void(self, names: Sequence[str]) -> None:
        """Say which tables of hashes were made by rules that no longer hold; they are gone, so it is said once."""
        for name in names:
            self.note(f"{name}: hashes of an earlier version, which saw less of a file; made again from what is stored")


def _allow_files() -> None:
    """As many files as usual may be open at once: one that could not be opened would be on record as one that is not
    there. Raises UsageError where not even so many may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < LEAST_FILES:  # -1: no limit
        raise UsageError(f"{hard} files may be open at once here (ulimit -n); allow {LEAST_FILES} or more")
    if 0 <= soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard < 0 else min(hard, FILES), hard))


@contextmanager
def interruptible() -> Iterator[None]:
    """What interrupts it is an error of the tree, and so is what the system says of names, rights and disks."""
    try:
        yield
    except InterruptionError:
        raise
    except KeyboardInterrupt:
        raise InterruptionError from None
    except (OSError, ValueError) as error:
        if (known := of_system(error)) is None:
            raise
        raise known from error


def interruptions(cls: type[T]) -> type[T]:
    """The class, each public method of which is `interruptible` from its first line on, with what it imports."""
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(cls, name, interruptible()(method))
    return cls


def finish_removal(ws: Workspace) -> None:
    """Finish a removal that was killed."""
    if holds.unfinished(ws.catalog):
        from curate.removal.remove import resume  # which imports half of the stages

        resume(ws)


def _begin(ws: Workspace, doubts: Doubts) -> None:
    if doubts == "refuse":
        refuse(ws.doubts())


def _say_untold(ws: Workspace) -> None:
    if waiting := holds.untold(ws.catalog):
        tell(f"curate: {untold_said(waiting)}")


def refuse(doubts: Sequence[str], facts: Mapping[str, Any] | None = None) -> None:
    """Raise WitnessError where something of the workspace is missing."""
    if doubts:
        for one in doubts[:-1]:
            tell(f"curate: {shown(one)}")
        raise WitnessError(doubts[-1], facts)


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
