"""What a plug-in promises: a dataclass in a file of its own; its fields are its options, the file's name its name."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from curate.records import (
    Change,
    CorruptRow,
    Dated,
    Digests,
    Estimate,
    ListedHash,
    Manifest,
    Page,
    Response,
    Sample,
    SkippedRow,
    Upstream,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

VERSION = 1  # raise it when a contract changes so that a plug-in that kept it does not; theirs is `contract: ClassVar`
T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
Post = Callable[[str, Mapping[str, Any]], Awaitable[Any]]  # a path below the server, JSON; the JSON of its answer

__all__ = [
    "CandidatePool", "Decoded", "Engine", "Evidence", "HashList", "Http", "LabelModel", "Labeler", "QueryStrategy",
    "ReleaseFormat", "Resources", "Selection", "Source", "SupportsAsk", "SupportsSync", "Task", "Vectors",
]  # fmt: skip


class Http(Protocol):
    """The network, as a source sees it: guarded, polite, bounded."""

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        """Fetch one URL whole; raises ItemError with a reason of the closed list."""
        ...


class Source(Protocol):
    """Finds candidates. Pages and their cursor are committed together, so a killed run resumes."""

    def classes(self) -> frozenset[str | None]:
        """Every class it can yield on the first axis; None where a candidate may come unlabelled."""
        ...

    def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """The pages after `cursor` (None: from the start), in an order that does not change."""
        ...


@runtime_checkable
class Stamped(Source, Protocol):
    """A source on this machine, where it can be seen whether what it lists has changed."""

    def stamp(self) -> str:
        """Another text whenever a file of it came, went or changed, as far as names, sizes and times tell."""
        ...

    def place_of(self, label: str | None) -> str:
        """Where it names this class first (None: where it names none), for an error to name."""
        ...


@runtime_checkable
class SupportsSync(Source, Protocol):
    """A source that can say what became of what it found. `system` is that of its candidates' `upstream`."""

    @property
    def system(self) -> str: ...

    def changes(self, http: Http, known: Sequence[Upstream]) -> AsyncIterator[Change]:
        """Whatever of these items of its system is not as it was, each asked after."""
        ...

    async def explain(self, http: Http, change: Change) -> str:
        """Why it happened, in the system's words; asked once, of what is new."""
        ...


@runtime_checkable
class SupportsPlan(Source, Protocol):
    """A source that can say how much it will find with few requests, before it lists it."""

    async def plan(self, http: Http) -> Sequence[Estimate]:
        """One estimate for each part of it."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What one labeler takes. `side`: shorter side of the picture in px (256, 512, 1024), or 0 for no pixels at all."""

    cpus: int = 1
    gpus: int = 0
    batch: int = 64
    side: int = 256


class Worded(Protocol):
    """What is written of a sample, by every mention of it and of what it collapses with: `curate.policy.written`."""

    title: str
    file_name: str
    description: str
    categories: tuple[str, ...]
    depicts: tuple[str, ...]  # Q146
    host: str
    license: str
    ref: str

    @property
    def words(self) -> str: ...  # all of it but host, licence and items, normalised


class Decoded(Worded, Protocol):
    """One sample, decoded on demand; each view is derived from the bytes alone, so no score depends on its company.

    What sources declare, and what is written, is told to labelers without pixels (`needs.side == 0`), asked each time.
    """

    @property
    def sample(self) -> Sample: ...
    @property
    def declared(self) -> Mapping[str, tuple[str, ...]]: ...  # axis -> the classes that sources declare, sorted

    def image(self, side: int | None) -> "Image.Image":
        """Oriented RGB, transparency on white, one frame, shorter side at most `side` px (None: full)."""
        ...


class Labeler(Protocol):
    """Says one thing about each sample, as numbers. No store, no network, no engine, no threshold.

    It may have: `reads`, `network`, what a confined worker may reach; `over_frames: {column: how}`, of animations
    ("max" of what is less safe the higher it is, "min", "mean"; else the first frame's); `devices` beside the CPU
    ("cuda", "mps"), `device = "cpu"`, set before `load`; `notice`, what a release must say; `functions(axis, columns)`;
    `slices: {name: (column, least, most)}` of a test split; `says(axis)`, which classes columns are of; `trained_on`.
    """

    version: ClassVar[int]  # raise it when answers change; part of the table's name
    needs: ClassVar[Resources]
    columns: ClassVar[Mapping[str, str]]  # {"nsfw": "float32"} or {"embedding": "float16[1280]"}

    def load(self) -> None: ...  # weights; once in each worker; heavy imports go here
    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]": ...  # rows in order; NaN abstains


@runtime_checkable
class SupportsAsk(Labeler, Protocol):
    """A labeler whose answers a server gives: asked from the driver, a picture at a time; `label` is never called.

    `server`: its URL on this machine, or with https where `allow_host` is its "host:port"; `token_env` names a variable
    with its key. An answer may take `timeout` seconds; so many pictures are asked about at once (`concurrency`).
    """

    server: str
    allow_host: str | None
    token_env: str | None
    timeout: float
    concurrency: int

    async def ask(self, post: Post, picture: str) -> Mapping[str, float]: ...  # base64 of a JPEG; a number a column


@dataclass(frozen=True)
class Evidence:
    """What a label model weighs: n rows, m functions, k classes. A vote is for a set of classes, often of one."""

    votes: "np.ndarray"  # int8[n, m], places in `sets`; -1 abstains
    sets: "np.ndarray"  # bool[s, k], the classes that each place stands for; the first k are the classes one by one
    balance: "np.ndarray"  # float64[k] > 0, sum 1: how frequent each class is taken to be
    scores: "np.ndarray" = None  # type: ignore[assignment]  # float32[n, d], numbers of labelers; NaN: not known
    gold: "np.ndarray" = None  # type: ignore[assignment]  # int8[n], the class that people gave, to learn from; -1: none
    groups: "np.ndarray" = None  # type: ignore[assignment]  # int32[n], near-duplicates share one: never apart in folds
    columns: Sequence[str] = ()  # names of the d scores, where they are known

    def __post_init__(self) -> None:
        """Fill in what was not given: no scores (d = 0), no gold, a group each."""
        _fill(self)


def _fill(evidence: Evidence) -> None:
    import numpy as np

    n = len(evidence.votes)
    blank: dict[str, np.ndarray] = {
        "scores": np.empty((n, 0), dtype=np.float32),
        "gold": np.full(n, -1, dtype=np.int8),
        "groups": np.arange(n, dtype=np.int32),
    }
    for name, values in blank.items():
        if getattr(evidence, name) is None:
            object.__setattr__(evidence, name, values)


class LabelModel(Protocol):
    """Turns votes into probabilities. What may be called safe is not its affair: see `curate.label.flags`."""

    def predict(self, evidence: Evidence) -> "np.ndarray":
        """float64[n, k]; a row of which the model knows nothing (no vote or score that it can take) is NaN.

        A row with gold, and what is in its group, is answered by what was not trained on that group.
        """
        ...


class ReleaseFormat(Protocol):
    """Writes a release in one format. No clock, no machine, no order of arrival: same rows, same bytes.

    It may have: `media = True`, where pictures leave with the rows: `release.pictures` and `release.open` have them;
    `check(release)`, which raises UsageError for rows that it cannot hold, before anything is written;
    `remove(ids, release, out)`, which brings what `write` wrote up to date where ids are gone from `release.rows`, or
    have another row there, and may be done again where it was killed: without it all is written anew. What `write`
    returns may be the sha256 (hex) of files by their name below `out`, which are not read again then.
    """

    def write(self, release: Manifest, out: Path) -> Mapping[str, str] | None: ...


class HashList(Protocol):
    """Reads one screening list. Every row is yielded, readable or not; raises UsageError for a missing file.

    Raises GateError where the file as a whole cannot be read, so that nobody knows what it would have listed.
    """

    @property
    def path(self) -> Path: ...
    @property
    def provider(self) -> str: ...  # who vouches for the list

    def rows(self) -> Iterator[ListedHash | CorruptRow | SkippedRow | Dated]: ...

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """What tells the list's owner that these of its hashes are wrong, as a file in their own format."""


class Matcher(Protocol):
    """Asks one remote service about hashes: bytes never leave. Raises GateError where it does not answer in full."""

    @property
    def provider(self) -> str: ...

    def check(self) -> None: ...  # before anything is fetched
    def ask(self, items: Sequence[Digests]) -> Sequence[str | None]: ...  # the entry that matched, or None; in order


class Vectors(Protocol):
    """Embeddings that may not all be in memory: a NumPy array, or what reads rows when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # (n, d)
    def __getitem__(self, rows: "np.ndarray") -> "np.ndarray": ...  # int[r] -> float[r, d]; NaN: not known


@dataclass(frozen=True)
class CandidatePool:
    """What may be asked about: n rows in a random order, of k classes and m voters; what is not known is NaN, or -1."""

    samples: Sequence[str]
    probabilities: "np.ndarray"  # float64[n, k]
    votes: "np.ndarray"  # int8[n, m], places in `sets`
    sets: "np.ndarray"  # bool[s, k], the classes that a vote is for
    unsafe: "np.ndarray"  # float64[n], the probability of a class that is not safe
    contradicted: "np.ndarray"  # bool[n], declared or flagged not safe, and no machine may say otherwise
    contested: "np.ndarray"  # int8[n], 2: people contradict each other or cannot tell, 1: sources do, 0
    judged: "np.ndarray"  # bool[n], somebody has decided
    embeddings: Vectors | None = None  # of n rows; None where no labeler makes them. Ask for few rows, not for all
    out_of_fold: "np.ndarray | None" = None  # float64[n, k], of models that had not seen the row's label; None: none
    given: "np.ndarray | None" = None  # int8[n], the class that people, or else the label model, gave; None: as -1
    groups: "np.ndarray | None" = None  # int32[n] >= 0, near-duplicates share one; None: not told


@dataclass(frozen=True, slots=True)
class AuditedPool(CandidatePool):
    """The same with what earlier audits found, and with what labelers of pixels say."""

    audited: "np.ndarray | None" = None  # int8[n], 1: not safe, 0: safe, -1: not looked at, or not told; None: no audit
    split: "np.ndarray | None" = None  # int32[n], in which cluster that was found to be no one thing, -1: none
    scores: "np.ndarray | None" = None  # float32[n, d], their numbers, NaN: not known; None: not told


@dataclass(frozen=True, slots=True)
class Selection:
    """One row of the pool, from which stratum, with which chance. `people` to judge it; 0: as the config says.

    `members`: the rows that it stands for, itself the first (none: itself alone); the decision is on a sheet of them.
    """

    row: int
    stratum: str = ""
    inclusion: float | None = None
    people: int = 0
    members: tuple[int, ...] = ()


class QueryStrategy(Protocol):
    """Chooses what people are asked next. No store, no clock: the same pool, the same picks."""

    reported: ClassVar[bool]  # every item of the pool has a known chance above 0: figures may rest on the decisions
    blind: ClassVar[bool]  # the machine's answer and other people's are kept from whoever judges

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """At most `size` rows of the pool, each once."""
        ...


class Task(Protocol[T_contra, R_co]):
    """What an engine maps: picklable; `load` runs once in each worker, which is confined after it.

    An answer is plain data (numbers, text, bytes, arrays, dataclasses of these) of the type that `__call__` declares.
    A work may have more: `reads` and `network`, what a worker may reach; `plugins`, whether it runs code of plug-ins;
    `bring(item)`, which in the driver makes of an item what a worker is given (the bytes at a path);
    `fits(given, answer)`, whether that can be an answer to it; `pictures(item)`, how many times the seconds of a
    picture it may take (`curate.engine.step` says where one begins).
    """

    def load(self) -> None: ...
    def __call__(self, item: T_contra) -> R_co: ...


HASHING = ("curate.media.pdq", "curate.media.resize")  # compiled loops that any work on pictures may want


class Engine(Protocol):
    """A map. Results come in any order, each with its item; an exception is that item's result, never the run's end.

    `prepare` says that work will come: what takes a while to start may begin to. `modules`: those that it will want,
    loaded where they have something to load.
    """

    def prepare(self, modules: Sequence[str] = HASHING) -> None: ...
    def map(self, work: Task[T, R], items: Iterable[T], needs: Resources) -> Iterator[tuple[T, R | Exception]]: ...


# -- what a contract asks for ----------------------------------------------------------------------------------------


def broken(contract: Any, made: object, fields: Collection[str]) -> Iterator[str]:
    """What is wrong with a plug-in by its contract, or with its class, of which `fields` are data of each."""
    for name, asked in sorted(promised(contract).items()):
        if problem := _broken(made, name, asked, fields):
            yield problem


def likeness(contract: Any, cls: type[Any], fields: Collection[str]) -> float:
    """Which share of what a contract asks for a class has, by name."""
    asked = promised(contract)
    return sum(hasattr(cls, name) or name in fields for name in asked) / len(asked)


def promised(contract: Any) -> dict[str, Any]:
    """What a contract asks for, by name; annotations without a value are data."""
    bases = [one for one in contract.__mro__ if one not in (object, Protocol) and one.__module__ == contract.__module__]
    found: dict[str, Any] = {}
    for base in reversed(bases):
        found |= dict.fromkeys(base.__annotations__) | vars(base)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _broken(made: object, name: str, promise: Any, fields: Collection[str]) -> str | None:
    """What is wrong with one thing that a contract asks for; None where it is as it should be."""
    method, missing = inspect.isfunction(promise), object()
    found = inspect.getattr_static(made, name, missing)
    if found is missing and not (isinstance(made, type) and name in fields):
        return f"lacks {name}()" if method else f"lacks `{name}`"
    if not method:
        return None
    given = getattr(made, name, None)
    if not callable(given):
        return f"has `{name}`, which is no method"
    asked = list(inspect.signature(promise).parameters)[1:]
    itself = [made] if isinstance(made, type) and inspect.isfunction(found) else []
    try:
        inspect.signature(given).bind(*itself, *asked)
    except TypeError:
        return f"has {name}() that does not take ({', '.join(asked)})"
    except ValueError:  # compiled, without a signature
        return None
    return None
