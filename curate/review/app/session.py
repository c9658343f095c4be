"""`curate review`: FiftyOne's app around a queue, obscured by default, behind a guard that is the only way in."""

import fcntl
import hashlib
import logging
import os
import re
import secrets
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.engine import Aside
from curate.errors import BusyError, ItemError, UsageError
from curate.review.app import dataset as slice_
from curate.review.app import pull, server, thumbnails
from curate.review.app.controller import Controller, ItemView
from curate.review.app.guard import Guard, ReviewDoor
from curate.review.app.mongod import Mongod
from curate.review.app.routes import Routes
from curate.review.app.server import Options, Serving, Watch
from curate.review.app.thumbnails import ThumbnailStyle, name_of
from curate.review.assignment import Item, sheets
from curate.review.journal import Journal
from curate.store.workspace import Workspace


def review(ws: Workspace, queue: str, reviewer: str, options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Serve one reviewer one queue until it is closed; the session's counts. `say` is given the address, once.

    The dataset holds what is left of the queue, and may be deleted: every decision is in the catalog before the next
    item appears. Raises UsageError for an address, a port, a queue or a name that will not do, BusyError where this
    reviewer has this queue open, CurateError where mongod is missing or ends.
    """
    server.check(options)
    journal = Journal(ws.catalog, ws.config, queue, reviewer)
    folder = ws.work / "review" / _folder_name(queue, journal.reviewer)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder, queue, journal.reviewer), server.listening(options) as sock, Mongod(folder / "db") as mongod:
        slice_.environment(folder, mongod.uri)
        session = _Session(ws, journal, folder.resolve(), options)
        try:
            ended = session.serve(sock, mongod, say)
        finally:
            journal.end()
            session.leave()
    return {**session.summary, "closed_by": ended}


class _Session:
    """The parts of one session, put together."""

    def __init__(self, ws: Workspace, journal: Journal, folder: Path, options: Options) -> None:
        self.ws, self.journal, self.folder, self.options = ws, journal, folder, options
        config = ws.config.review
        self.look = ThumbnailStyle(config.blur, config.greyscale, options.unobscured)
        self.media = folder / "media"
        self._revealed = Aside(ws.config.engine, thumbnails.Revealing(ws.blobs.root, thumbnails.limits(ws)))
        self.summary: dict[str, Any] = {}
        self.dataset: Any = None
        self.sheets: Mapping[str, Sequence[str]] = {}
        self.missing = 0  # items whose bytes are not in the store

    def serve(self, sock: Any, mongod: Mongod, say: Callable[[str], None]) -> str:
        """Build, serve, and account for it; what ended it: close, SIGINT, ..."""
        app = _fiftyone(sock.getsockname()[1])
        desk = self.desk()
        token = secrets.token_urlsafe(24)
        door = ReviewDoor(
            self.options.scheme, server.authorities(sock, self.options.scheme), token, self.media, slice_.NAME,
            desk.shows, desk.paused,
        )  # fmt: skip
        serving: Serving | None = None
        routes = Routes(desk, self.original, slice_.NAME, lambda: serving.close() if serving else None)
        serving = Serving(Guard(app, routes.app(), door), sock, self.options)
        where = server.url(sock, self.options, token)

        def ready() -> None:
            say(where)
            if self.options.browser:
                server.open_browser(where, self.folder)

        watch = Watch(lambda: pull.pull(self.dataset, desk), mongod.ended, lambda: desk.seen_at, self.options.browser)
        try:
            serving.run(ready, watch)
        finally:
            self.summary = self.journal.summary() | {"missing": self.missing}
            (self.folder / "open.html").unlink(missing_ok=True)
        return signal.Signals(serving.signal).name if serving.signal else "close"

    def desk(self) -> Controller:
        """The dataset, its pictures, and who sits before them. What an earlier session left unpulled comes first."""
        before = slice_.existing()
        self.journal.begin({"unobscured": True} if self.options.unobscured else {})
        if before is not None:
            self.dataset = before
            cards = [ItemView(str(row["_id"]), Item(row["sample"], 0, "", False)) for row in _rows(before)]
            pull.pull(before, Controller(self.journal, cards, self.media, self.look, lambda _: None))
        items = self.journal.items()
        there = set(thumbnails.make(self.ws, [item.sample for item in items], self.media, self.look))
        self.missing = len(items) - len(there)
        items = [item for item in items if item.sample in there]
        self.sheets = sheets(self.ws.catalog, self.journal.queue)
        self.draw_sheets([item.sample for item in items])
        if not items:
            raise UsageError(f"queue {self.journal.queue}: nothing is left for {self.journal.reviewer}")
        facts = slice_.known(self.ws, items, self.journal.axis)
        self.dataset = slice_.build(items, facts, self.paths(items), self.journal.axis)
        cards = [ItemView(str(row["_id"]), item) for row, item in zip(_rows(self.dataset), items, strict=True)]
        return Controller(self.journal, cards, self.media, self.look, self.vanish, self.readmit, self.sheets)

    def draw_sheets(self, samples: Sequence[str]) -> None:
        """The pictures of items that stand for others; those of single members are never served."""
        if not (some := [one for one in samples if one in self.sheets]):
            return
        members = self.folder / "members"
        thumbnails.make(self.ws, sorted({one for name in some for one in self.sheets[name]}), members, self.look)
        for name in some:
            thumbnails.sheet(self.media, members, self.sheets[name], self.look)

    def paths(self, items: Sequence[Item]) -> Mapping[str, Path]:
        """The picture of each item."""
        return {item.sample: self.media / name_of(item.sample, self.look) for item in items}

    def vanish(self, keys: list[str]) -> None:
        """Take samples out of FiftyOne."""
        if self.dataset is not None:
            self.dataset.delete_samples(keys)

    def readmit(self, sample: str) -> ItemView | None:
        """An item of an earlier session, whose decision was taken back."""
        item = next((one for one in self.journal.items() if one.sample == sample), None)
        if item is None:
            return None
        self.media.mkdir(exist_ok=True)
        if not thumbnails.one(self.ws, sample, self.media / name_of(sample, self.look), self.look):
            return None
        self.draw_sheets([sample])
        facts = slice_.known(self.ws, [item], self.journal.axis)
        return ItemView(slice_.add(self.dataset, [item], facts, self.paths([item]))[0], item)

    def original(self, sample: str) -> tuple[bytes, str]:
        """What is stored at full size, as the pixels that were screened; never the file itself."""
        try:
            return self._revealed(sample)
        except ItemError as error:
            raise UsageError(f"{sample[:12]}: cannot be shown: {error}") from error

    def leave(self) -> None:
        """Let go of the database before it ends, so that nothing waits for it at exit."""
        from fiftyone.core.odm import database

        database._disconnect()


def _fiftyone(port: int) -> Any:
    """FiftyOne's ASGI application. It is imported here and nowhere earlier: its environment must stand first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fiftyone.server.app import app
        from fiftyone.server.events import set_port

    set_port(port)
    app.debug = False
    logging.getLogger("fiftyone").setLevel(logging.CRITICAL)
    return app


def _rows(dataset: Any) -> Iterator[Mapping[str, Any]]:
    """FiftyOne's rows, in the order they were made."""
    rows: Iterator[Mapping[str, Any]] = dataset._sample_collection.find({}, {"sample": 1}).sort("_id", 1)
    return rows


def _folder_name(queue: str, reviewer: str) -> str:
    """A folder a queue and reviewer; whatever a name holds, it names nothing outside."""
    plain = re.sub(r"[^a-z0-9]+", "-", queue.lower()).strip("-")[:24] or "queue"
    return f"{plain}-{hashlib.sha256(repr((queue, reviewer)).encode()).hexdigest()[:8]}"


@contextmanager
def _alone(folder: Path, queue: str, reviewer: str) -> Iterator[None]:
    """One server a queue and reviewer; raises BusyError with the process that has it."""
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = (folder / "lock").read_text(encoding="utf-8").strip()
            raise BusyError(f"queue {queue}: {reviewer} has it open already (pid {who}); close that one") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
