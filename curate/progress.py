"""How far a long job is: a bar on a terminal and in a notebook, a plain line every few seconds elsewhere."""

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol


def tell(text: str) -> None:
    """Say something on stderr. Where it finds no room, or nobody to read it, that ends nothing."""
    if sys.stderr is not None:  # print() would take stdout for it
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)


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
            tell(text)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Step]:
        """One stage; call what it yields as the work goes on."""
        if self.quiet:
            yield _silent
        elif (show := _display()) is not None:
            with _cell(show, name, total) as step:
                yield step
        elif sys.stderr is not None and sys.stderr.isatty():
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


def _display() -> Any:
    """IPython's `display`, where a kernel runs this: a notebook. None in any other process, IPython's terminal too."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return display


@contextmanager
def _cell(show: Any, name: str, total: int | None, every: float = 0.2) -> Iterator[Step]:
    """A bar in a cell's output that is written over; rich's would need ipywidgets. It stays, as it was at the end."""
    state = {"done": 0.0, "total": total or 0, "at": time.monotonic()}
    began = state["at"]
    handle = show(_bundle(name, state, 0.0), raw=True, display_id=True)

    def step(done: int = 1, *, total: int | None = None) -> None:
        state["done"] += done
        state["total"] = total or state["total"]
        if (now := time.monotonic()) - state["at"] >= every:
            state["at"] = now
            handle.update(_bundle(name, state, now - began), raw=True)

    try:
        yield step
    finally:
        handle.update(_bundle(name, state, time.monotonic() - began, ended=True), raw=True)


def _bundle(name: str, state: dict[str, float], seconds: float, ended: bool = False) -> dict[str, str]:
    """One state of a stage, as a notebook shows it and as text."""
    done, total = state["done"], state["total"]
    said = f"{done:,.0f}" + (f" of {total:,.0f}" if total else "")
    if ended:
        said += f", {_time(seconds)}"
    elif 0 < done < total:
        said += f", {_time(seconds * (total - done) / done)} left"
    at = f' value="{done:.0f}" max="{total:.0f}"' if total else ' value="1" max="1"' * ended
    bar = f'<progress{at} style="width: 20em; vertical-align: middle"></progress>'
    return {"text/plain": f"{name}: {said}", "text/html": f"<div>{html.escape(name)} {bar} {said}</div>"}


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _lines(name: str, total: int | None, every: float = 5.0) -> Iterator[Step]:
    state = {"done": 0, "total": total or 0, "at": time.monotonic(), "said": -1}

    def line() -> None:
        of = f" of {state['total']}" if state["total"] else ""
        state["said"] = state["done"]
        tell(f"{name}: {state['done']:.0f}{of}")

    def step(done: int = 1, *, total: int | None = None) -> None:
        state["done"] += done
        state["total"] = total or state["total"]
        if time.monotonic() - state["at"] >= every:
            state["at"] = time.monotonic()
            line()

    yield step
    if state["said"] != state["done"]:
        line()
