"""What every command shares: the root application, and the options that each verb takes."""

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.models import OptionInfo

from curate import __version__, ending
from curate.commands.context import Context, Lines
from curate.errors import CurateError, InterruptionError, UsageError, of_system
from curate.options import is_text
from curate.stats.coverage import incomplete

INCOMPLETE, REFUSED, MATCHED = 3, 4, 5
NAME = "sha256 (8 digits and more), URL, path or commons:PAGEID."  # how a sample is named
ACKNOWLEDGE = "Who answers for it, and why, that pictures of classes leave that are not safe; kept with them."
CODES = {
    0: "done",
    1: "error",
    2: "usage or config",
    3: "finished, but more than 5 % could not be looked at, fetch stored nothing, or more items failed than"
    " `--max-failures` allows",
    4: "a gate refused, or check found a leak",
    5: "a screening match, or an incident that nobody has acknowledged: stop and follow the procedure",
    130: "interrupted (what is done is kept)",
}
app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    epilog="Exit codes: " + "; ".join(f"{code} {means}" for code, means in CODES.items()) + ".",
)  # fmt: skip


def _version(asked: bool) -> None:
    if asked:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and nothing else.")
    ] = False,
) -> None:
    """Dataset curation and labelling for content moderation: fetch, screen, dedupe, label, review, release, train."""


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that every verb takes; they arrive as its first argument, a Context."""
    own = list(inspect.signature(function).parameters.values())[1:]

    @functools.wraps(function)
    def command(*args: Any, **given: Any) -> None:
        common = {name: given.pop(name) for name in _COMMON}
        with answers(common["json"]) as out:
            ctx = Context(**common, out=out)
            try:
                _check_text(own, given)
                with _staying():
                    function(ctx, *args, **given)
            except InterruptionError:
                raise
            except CurateError as error:
                ctx.fail(error)
                raise
            except (OSError, ValueError) as error:
                if (known := of_system(error)) is None:
                    raise
                ctx.fail(known)
                raise known from error

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _COMMON.items()
    ]
    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return command


def _check_text(own: Sequence[inspect.Parameter], given: Mapping[str, Any]) -> None:
    """Refuse options that are no text: what people say is kept. (What an argument names is looked for as it is.)"""
    for one in own:
        option = any(isinstance(part, OptionInfo) for part in getattr(one.annotation, "__metadata__", ()))
        if option and not isinstance(given.get(one.name), Path) and not is_text(given.get(one.name)):
            raise UsageError(f"--{one.name.replace('_', '-')}: bytes that are no text (UTF-8)")


@contextmanager
def answers(alone: bool) -> Iterator[TextIO]:
    """Where a verb's answer goes: stdout. Where it is `alone` there, whatever else is written to stdout goes to stderr:
    what a plug-in prints, and what a library or a program that it starts writes to the descriptor."""
    out, error = sys.stdout, sys.stderr
    if not alone:
        yield out
        return
    with redirect_stdout(error):
        if not _is_descriptor(out, 1) or not _is_descriptor(error, 2):  # as in somebody's own program
            yield out
            return
        out.flush()
        kept = os.fdopen(os.dup(1), "w", encoding=out.encoding, errors=out.errors)
        os.dup2(2, 1)
        try:
            yield kept
            kept.flush()
        finally:
            os.dup2(kept.fileno(), 1)
            with suppress(OSError):  # said above; or an error is under way, whose code is the one to end with
                kept.close()


def _is_descriptor(stream: TextIO | None, number: int) -> bool:
    try:
        return stream is not None and stream.fileno() == number
    except (OSError, ValueError):  # kept in memory, or closed
        return False


@contextmanager
def _staying() -> Iterator[None]:
    """What ends the process in the middle of a verb is an error; nothing of ours does that: a plug-in's file, or what
    it imports."""
    try:
        yield
    except SystemExit as error:
        theirs = [one for one in traceback.extract_tb(error.__traceback__) if one.filename != ending.__file__][-1]
        raise UsageError(
            f"{theirs.filename}:{theirs.lineno}: it called sys.exit() or os._exit(), in the middle of the run"
        ) from error


def finish(
    ctx: Context, result: Mapping[str, Any], lines: Lines | None = None, code: int = 0, *, asked: bool = False
) -> None:
    """Print a verb's answer, and end with its code, or with 3 where the answer is incomplete."""
    ctx.say(result, lines, asked=asked)
    missing = incomplete(result)
    if ctx.json and missing:
        ctx.note(f"curate: not everything was looked at: {'; '.join(missing)}")
    if code or missing:
        raise typer.Exit(code or INCOMPLETE)


OPTIONS = frozenset({"--workspace", "-w", "--limit", "--json", "--quiet", "-q", "--verbose", "-v"})
_COMMON: dict[str, tuple[Any, Any]] = {
    "workspace": (
        Annotated[
            Path | None, typer.Option("--workspace", "-w", help="Folder with curate.toml (default: searched upwards).")
        ],
        None,
    ),
    "limit": (Annotated[int | None, typer.Option("--limit", min=1, help="Take on at most N items.")], None),
    "json": (Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")], False),
    "quiet": (
        Annotated[
            bool, typer.Option("--quiet", "-q", help="No progress, notes, account of work; what only asks answers.")
        ],
        False,
    ),
    "verbose": (Annotated[bool, typer.Option("--verbose", "-v", help="Tracebacks with errors.")], False),
}
