"""What labelers say whose answers a server gives (`contracts.SupportsAsk`): pictures are made small in confined
workers, and sent by this process alone, to the one server that curate.toml names. What it answered before to the same
(`answers`) is not asked again.

A grey picture is asked about before any other is sent, and whenever several pictures in a row came to nothing: a
server that does not answer about that one ends the run; else it is those pictures' own fault, and each has its reason.
"""

import asyncio
import base64
import io
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from ipaddress import ip_address
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curate.contracts import Decoded, Post, Resources, SupportsAsk
from curate.engine import slices
from curate.errors import CurateError, ItemError, UsageError, described
from curate.features.answers import Answers, Send, as_bytes, as_json
from curate.features.score_worker import OVER, Scores, Scoring, Task, blank, over_frames
from curate.media.decode import Bounds
from curate.media.thumbnail import LARGEST, legible
from curate.net import urls
from curate.net.limits import Limits
from curate.net.loops import finished
from curate.progress import Progress
from curate.records import Reason, Sample
from curate.store import holds

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

SAMPLES, TASKS = 16, 4  # of a task, and tasks whose pictures are held at once: these are asked about, then written
ENOUGH = 8  # failures in a row
RETRIES, BACKOFF = 2, 0.5  # of what may pass: 429, 5xx, no connection; seconds, doubled
ANSWER = 2**20  # bytes
LONGEST = 300  # characters of what a labeler raises: it may hold all of an answer
LONG = 5.0  # seconds that a server asks to wait, from which on it is said
ASIDE = 2**31  # failures in a row after which the client itself would stop: they are counted here
_SENT = re.compile(r"/9j/[A-Za-z0-9+/]+=*(?: /9j/[A-Za-z0-9+/]+=*){0,2}")  # base64 of one to three JPEGs
_TOKEN = re.compile(r"[\x21-\x7e]+")
_REMEDIES = {
    Reason.HTTP_404: "is `server` its address as far as /v1, and `model` one that it has?",
    Reason.HTTP_401_403: "it wants a key: `token_env` names the variable that holds it",
}
Mapped = Callable[[Scoring, Sequence[Task]], Iterator[tuple[Task, Scores]]]
Answer = Mapping[str, float] | str | None  # by column, or why there is none; None: nobody asked
log = logging.getLogger(__name__)


def at(name: str, labeler: SupportsAsk) -> str:
    """The "host:port" of a labeler's server; raises UsageError for one that is not on this machine and not named."""
    where = f"labelers.{name}"
    try:
        url = urls.parse(labeler.server)
    except ItemError as error:
        raise UsageError(f"{where}.server: {error}") from error
    if {"?", "#"} & set(labeler.server):
        raise UsageError(f"{where}.server: an address as far as /v1: no query, no fragment")
    host = url.raw_host or ""
    found = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
    if host == "localhost" or (urls.is_address(host) and ip_address(host).is_loopback):
        return found
    if labeler.allow_host != found:
        raise UsageError(
            f"{where}.server: {found} is not this machine: pictures would leave it, which may be unlawful"
            f' (docs/labels.md, "A written policy"); allow_host = "{found}" says that they may'
        )
    if url.scheme != "https":
        raise UsageError(
            f"{where}.server: https, or pictures would travel in the clear; a tunnel (ssh -L) does as well"
        )
    return found


def answers(
    ws: "Workspace", labelers: Mapping[str, SupportsAsk], tasks: Sequence[Task], mapped: Mapped, progress: Progress
) -> Iterator[tuple[Task, Scores]]:
    """What servers say of the samples of tasks, some at a time; raises CurateError where one does not answer, when what
    it said before was given. UsageError at once, before anything is asked for, where a key is lacking."""
    asked = []
    for name, labeler in labelers.items():
        mine = [
            Task(task.shard, some, (name,))
            for task in tasks if name in task.labelers
            for some in map(tuple, slices(task.samples, SAMPLES))
        ]  # fmt: skip
        if mine:
            held = partial(holds.is_held, ws.catalog)
            kept, contact = Answers(ws, labeler), ws.config.fetch.contact
            server = _Server(name, labeler, at(name, labeler), contact, held, kept, progress.note)
            asked.append(_asked_of(ws, server, mine, mapped, progress))
    return chain.from_iterable(asked)


def _asked_of(
    ws: "Workspace", server: "_Server", tasks: Sequence[Task], mapped: Mapped, progress: Progress
) -> Iterator[tuple[Task, Scores]]:
    name, labeler = server.name, server.labeler
    bounds = Bounds(max_pixels=ws.config.fetch.max_pixels, min_side=1)
    work = _Making({name: _Pictures(labeler.needs.side, bool(over_frames(labeler)))}, ws.blobs, bounds)
    if server.at == labeler.allow_host:
        progress.note(f"{name}: {sum(len(one.samples) for one in tasks)} pictures at most are sent to {server.at}")
    for some_tasks in slices(tasks, TASKS):
        yield from server.scores(list(mapped(work, some_tasks)))
        if server.ended is not None:
            raise server.ended
    if server.recalled:
        progress.note(f"{name}: {server.recalled} answers were known, and not asked for again")
    if server.unclear:
        log.warning("%s: %d answers said nothing that it could read, and it abstains there", name, server.unclear)


# -- in a worker -----------------------------------------------------------------------------------------------------


@dataclass
class _Pictures:
    """Of each sample one frame or several, as base64 of JPEGs, parted by a space: pixels, and nothing else of it."""

    side: int
    several: bool
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources()
    columns: ClassVar[Mapping[str, str]] = {"sent": "string"}

    def __post_init__(self) -> None:
        """It needs what the labeler needs."""
        vars(self)["needs"] = Resources(side=self.side)

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        """Each sample's."""
        return {"sent": np.array([" ".join(self._frames(one)) for one in batch], dtype=object)}

    def _frames(self, one: Any) -> Iterator[str]:
        for frame in one.frames() if self.several else [one]:
            yield base64.b64encode(legible(frame.image(self.side), 2 * self.side)).decode()


class _Making(Scoring):
    """Decodes each frame that is sent before it is made small, so that one which cannot be is its sample's own fault;
    believes a worker no text that is not base64 of a few small JPEGs."""

    def _decoded(
        self, sample: Sample, sides: Sequence[int], several: bool, failed: dict[str, str]
    ) -> Sequence[Decoded]:
        every = any(isinstance(one, _Pictures) and one.several for one in self.labelers.values())
        return super()._decoded(sample, sides, every, failed)

    def fits(self, given: Task, answer: Scores) -> bool:
        """Whether these can be the pictures of the task's samples."""
        texts = [text for columns in answer.columns.values() for text in columns["sent"] if text is not None]
        return super().fits(given, answer) and all(len(one) <= 4 * LARGEST and _SENT.fullmatch(one) for one in texts)


# -- in this process -------------------------------------------------------------------------------------------------


@dataclass
class _Server:
    """One labeler's server, as far as it has answered. `held` says of a sample, when its picture is about to leave,
    whether it is held back by now; `kept` are its answers, of earlier runs too; `ended`: why it is asked no more."""

    name: str
    labeler: SupportsAsk
    at: str
    contact: str | None
    held: Callable[[str], bool]
    kept: Answers
    say: Callable[[str], None]
    ended: CurateError | None = None
    unclear: int = 0
    recalled: int = 0  # answers that were known
    _known: bool = False  # it has answered about the grey picture
    _until: float = 0.0  # when what it asked to wait is over
    _failures: int = 0  # in a row
    _tokens: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Read the key; raises UsageError where one is named and not there."""
        if name := self.labeler.token_env:
            secret = _secret(f"labelers.{self.name}.token_env", name)
            self._tokens = {urls.host_key(self.labeler.server): secret}

    def scores(self, found: Sequence[tuple[Task, Scores]]) -> Iterator[tuple[Task, Scores]]:
        """The tasks, without the samples that nobody asked about since the server ended, and their scores.

        However it ends, what was answered is kept.
        """
        texts = [text for _, ready in found for text in ready.columns[self.name]["sent"]]
        made = [*zip((one.id for task, _ in found for one in task.samples), texts, strict=True)]
        self.kept.recall({one.id: task.shard for task, _ in found for one in task.samples})
        try:
            said = iter(finished(self._all(made)) if made else [])
        finally:
            self.kept.keep()
        for task, ready in found:
            rows = {one: next(said) for one in task.samples}
            asked = tuple(one for one in task.samples if rows[one] is not None or one.id in ready.why(self.name))
            scores = Scores({self.name: blank(self.labeler, len(asked))}, ready.why(self.name))
            for place, row in enumerate(rows[one] for one in asked):
                if isinstance(row, str):
                    scores.failed[asked[place].id] = f"labelers.{self.name}: {row}"
                for column, value in row.items() if isinstance(row, Mapping) else ():
                    scores.columns[self.name][column][place] = value
                    self.unclear += int(np.isnan(value))
            if asked:
                yield Task(task.shard, asked, task.labelers), scores

    async def _all(self, made: Sequence[tuple[str, str | None]]) -> list[Answer]:
        from curate.net.client import Client  # not in workers, which import this file, too

        places, first = asyncio.Semaphore(self.labeler.concurrency), asyncio.Lock()
        async with Client(self._limits(), self._waits) as http:

            async def sent(path: str, body: bytes) -> bytes:
                return (await http.post(f"{self.labeler.server.rstrip('/')}/{path}", body)).body

            async def post(path: str, body: Mapping[str, Any]) -> Any:
                return as_json(await sent(path, as_bytes(body)))

            async def send(path: str, body: bytes) -> bytes:
                async with first:
                    if not self._known:
                        self.ended, self._known = await self._tried(post), True
                if self.ended is not None:
                    raise self.ended
                return await sent(path, body)

            return await asyncio.gather(*(self._one(send, post, places, *one) for one in made))

    def _limits(self) -> Limits:
        one, seconds = self.labeler, self.labeler.timeout
        return Limits(
            self.contact or "nobody", (self.at,), concurrency=one.concurrency, per_host=one.concurrency,
            max_bytes=ANSWER, timeout=seconds, connect_timeout=min(10.0, seconds), read_timeout=seconds, min_rate=1,
            retries=RETRIES, backoff=BACKOFF, breaker=ASIDE, tokens=self._tokens,
        )  # fmt: skip

    def _waits(self, seconds: float) -> None:
        """Say that the server asks to wait, once, however many questions it refused meanwhile."""
        until, longest = time.monotonic() + seconds, Limits.max_wait
        if seconds < LONG or until < self._until + LONG:
            return
        self._until = until
        done = f"over {longest:.0f} s are not waited for" if seconds > longest else "it is waited for; Ctrl-C ends that"
        self.say(f"{self.name}: {self.at} asks to wait for {seconds:.0f} s: {done}")

    async def _one(self, send: Send, post: Post, places: asyncio.Semaphore, sample: str, text: str | None) -> Answer:
        async with places:
            if self.ended is not None or text is None or self.held(sample):
                return None
            try:
                each = await self._each(send, sample, text.split())
            except CurateError as error:
                if error is self.ended:
                    return None
                if not isinstance(error, ItemError):
                    raise
                return await self._failed(post, str(error))
            except (Exception, SystemExit) as error:  # noqa: BLE001 (it is the labeler's, and of one picture)
                return await self._failed(post, described(error)[:LONGEST])
            self._failures = 0
            over = over_frames(self.labeler)
            values = {column: np.array([one[column] for one in each]) for column in self.labeler.columns}
            return {name: float(OVER[over[name]](all_) if name in over else all_[0]) for name, all_ in values.items()}

    async def _each(self, send: Send, sample: str, pictures: Sequence[str]) -> list[Mapping[str, float]]:
        """What is said of each frame. Where the labeler raises because of what it was answered, that is not kept, and
        where some of it was known, all is asked anew."""
        for anew in (False, True):
            dialogue = self.kept.about(sample, send, anew)
            try:
                found = [await self._asked(dialogue.post, one) for one in pictures]
            except (Exception, SystemExit):
                if dialogue.failed:
                    raise
                dialogue.new.clear()
                if anew or not dialogue.recalled:
                    raise
            else:
                self.recalled += dialogue.recalled
                return found
        raise AssertionError("unreachable")

    async def _asked(self, post: Post, picture: str) -> Mapping[str, float]:
        said = await self.labeler.ask(post, picture)
        return {column: float(said[column]) for column in self.labeler.columns}

    async def _failed(self, post: Post, why: str) -> str:
        self._failures += 1
        if self._failures >= ENOUGH and self.ended is None:
            self._failures = 0
            found = await self._tried(post)
            self.ended = self.ended or found
        return why

    async def _tried(self, post: Post) -> CurateError | None:
        """Ask about the grey picture: why it comes to nothing; None where it does not."""
        try:
            await self._asked(post, _grey())
        except ItemError as error:
            hint, why = _REMEDIES.get(error.reason), str(error)
            kind: type[CurateError] = UsageError if hint else CurateError
        except CurateError as error:
            return error
        except (Exception, SystemExit) as error:  # noqa: BLE001 (as above)
            hint, why, kind = None, described(error)[:LONGEST], CurateError
        else:
            return None
        said = f"labelers.{self.name}: {self.at}, asked about a grey picture: {why}"
        return kind(f"{said}; {hint or 'what is scored is kept, and the same command goes on from there'}")


def _secret(where: str, name: str) -> str:
    """The value of an environment variable, which is never shown."""
    if not (value := os.environ.get(name)):
        raise UsageError(f"{where}: the environment variable {name} is not set")
    if not _TOKEN.fullmatch(value):
        raise UsageError(f"{where}: what the environment variable {name} holds cannot be sent as a key")
    return value


@cache
def _grey() -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(out, "JPEG")
    return base64.b64encode(out.getvalue()).decode()
