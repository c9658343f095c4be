"""How far a long job is: a bar on a terminal, a plain line every few seconds elsewhere, always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Step(Protocol):
    """Told how many more are done, and how many there will be once that is known."""

    def __call__(self, done: int = 1, *, total: int | None = None) -> None: ...


class Progress:
    """Shows each stage of a verb; `quiet` shows nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def note(self, text: str) -> None:
        """Say something that should be known before a long job."""
        if not self.quiet:
            print(text, file=sys.stderr)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Step]:
        """One stage; call what it yields as the work goes on."""
        if self.quiet:
            yield _silent
        elif sys.stderr.isatty():
            with _bar(name, total) as step:
                yield step
        else:
            with _lines(name, total) as step:
                yield step


def _silent(done: int = 1, *, total: int | None = None) -> None:
    """Say nothing."""


@contextmanager
def _bar(name: str, total: int | None) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=total)

        def step(done: int = 1, *, total: int | None = None) -> None:
            bars.update(task, advance=done, total=total)

        yield step


@contextmanager
def _lines(name: str, total: int | None, every: float = 5.0) -> Iterator[Step]:
    state = {"done": 0, "total": total or 0, "at": time.monotonic(), "said": -1}

    def line() -> None:
        of = f" of {state['total']}" if state["total"] else ""
        state["said"] = state["done"]
        print(f"{name}: {state['done']:.0f}{of}", file=sys.stderr, flush=True)

    def step(done: int = 1, *, total: int | None = None) -> None:
        state["done"] += done
        state["total"] = total or state["total"]
        if time.monotonic() - state["at"] >= every:
            state["at"] = time.monotonic()
            line()

    yield step
    if state["said"] != state["done"]:
        line()
