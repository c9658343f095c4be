"""What flows: Candidate (found) -> Sample (stored) -> columns in tables -> Manifest (released)."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif")
SPLITS = ("train", "val", "test")
UNSURE = "unsure"  # a decision that names no class: kept as data, never a label


LATER = (
    "later"  # metadata of an option that a plug-in got after tables and releases were made: its default changes no name
)


class Reason(StrEnum):
    """Why a candidate did not become a sample: a closed list, each with `retryable`."""

    MALFORMED_URL = "malformed_url"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    BLOCKED_SOURCE = "blocked_source"
    DENIED_CATEGORY = "denied_category"
    ROBOTS_DISALLOWED = "robots_disallowed"
    OPT_OUT_HEADER = "opt_out_header"
    ADDRESS_DENIED = "address_denied"
    PORT_DENIED = "port_denied"
    DNS = "dns"
    CONNECT = "connect"
    HOST_DOWN = "host_down"
    TLS = "tls"
    MALFORMED_ANSWER = "malformed_answer"
    TIMEOUT = "timeout"
    TOO_SLOW = "too_slow"
    HTTP_401_403 = "http_401_403"
    HTTP_404 = "http_404"
    HTTP_410 = "http_410"
    HTTP_451 = "http_451"
    HTTP_429_RATE = "http_429_rate"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    THUMB_SIZE_NOT_ALLOWED = "thumb_size_not_allowed"
    API_ERROR = "api_error"
    MAXLAG = "maxlag"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    ENCODING_DENIED = "encoding_denied"
    BOMB = "bomb"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    POLYGLOT = "polyglot"
    HIDDEN_DATA = "hidden_data"
    TRUNCATED = "truncated"
    HTML_INSTEAD_OF_MEDIA = "html_instead_of_media"
    UNSUPPORTED_MIME = "unsupported_mime"
    DECODE_ERROR = "decode_error"
    WORKER_DIED = "worker_died"
    PLACEHOLDER = "placeholder"
    HASH_MISMATCH = "hash_mismatch"
    FILE_MISSING = "file_missing"
    LICENSE_MISSING = "license_missing"
    LICENSE_DENIED = "license_denied"
    SOURCE_WITHDRAWN = "source_withdrawn"
    UPSTREAM_DELETED = "upstream_deleted"
    GATE_UNAVAILABLE = "gate_unavailable"
    GATE_MATCH = "gate_match"
    TAKEN_DOWN = "taken_down"

    @property
    def retryable(self) -> bool:
        """True where asking again later may help; everything else is an answer."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {
        Reason.DNS,
        Reason.CONNECT,
        Reason.HOST_DOWN,
        Reason.MALFORMED_ANSWER,
        Reason.TIMEOUT,
        Reason.TOO_SLOW,
        Reason.WORKER_DIED,
        Reason.HTTP_429_RATE,
        Reason.HTTP_5XX,
        Reason.MAXLAG,
        Reason.TRUNCATED,
        Reason.GATE_UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Locator:
    """Where the bytes are; only the kernel opens it. A `url` is never read as a path."""

    kind: Literal["url", "path"]
    value: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who the item is in the system it came from, so that deletion and re-upload there can be followed.

    `sha1` (hex) and `timestamp` are the original's; `width` (px) is that of the rendition that the locator names.
    """

    system: str
    page_id: str | None = None
    title: str | None = None
    sha1: str | None = None
    timestamp: str | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What a release says of an item of its own that is fetched anew: `curate hydrate`.

    `id` is the sha256 that its bytes must have; `split` and `group` are kept. `rendition` ("640x480") takes other bytes
    of that size in their place, since what they are made of is known to be unchanged upstream.
    """

    id: str
    split: str
    group: str
    rendition: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One mention of one item by one source.

    `ref` says where the source named it (`urls_neutral.txt:12`). `label` is the class the source declares on the
    taxonomy's first axis (None: unlabelled); `labels` those on other axes. `album` is what it was published together
    with (a gallery, a video, one photograph's crops): an album's members always share a split. `sha1` (hex) is what
    the bytes must have where the source knows it; `facts` is the rest of what it says (`description`, `categories`,
    `author`, ...), as text or tuples of texts. `given`: what a release that it comes from says of it.
    """

    locator: Locator
    ref: str
    label: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    album: str | None = None
    upstream: Upstream | None = None
    license: str | None = None
    attribution: str | None = None
    sha1: str | None = None
    facts: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    given: Given | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a source met and made no candidate of: `kind` to count by, `subject` as the source names it, and why."""

    kind: str
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What a source found at once; `cursor` resumes after it, and None says there is no more.

    `version` names the edition that was read, where the source knows it: a commit, a revision, a digest.
    """

    candidates: tuple[Candidate, ...]
    cursor: str | None
    notes: tuple[Note, ...] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a source expects to find, and what finding it costs.

    `bytes` is None where sizes are not known; `host` (name, or name:port) serves the media. `exact` False: a guess.
    """

    items: int
    api_calls: int
    bytes: int | None = None
    host: str | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an item in the system it came from; `detail` is the reason given, the new title, the new sha1."""

    upstream: Upstream
    kind: Literal["deleted", "withdrawn", "moved", "overwritten"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer of a server: `url` is the last one after redirects, headers are lower-case.

    `hops` are the URLs before it, `attempts` how often it was asked for; `robots` says what the last host's robots.txt
    said of it: "allowed", "absent" (there is none); None where nobody asked.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    hops: tuple[str, ...] = ()
    attempts: int = 1
    robots: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes that are in the store. `id` is their sha256; `parent` and `at_ms` place a frame in its video."""

    id: str
    sha1: str
    md5: str
    bytes: int
    media_type: str
    width: int
    height: int
    frames: int = 1
    parent: str | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """One question that a label answers. `safe` classes need no precaution; every other one, and no label, does."""

    name: str = "content"
    classes: tuple[str, ...] = ("drawings", "hentai", "neutral", "porn", "sexy")
    safe: tuple[str, ...] = ("drawings", "neutral")
    borderline: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Compose the names (NFC), since file systems and editors differ in how they keep accents."""
        for name in ("classes", "safe", "borderline"):
            object.__setattr__(self, name, tuple(unicodedata.normalize("NFC", one) for one in getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The axes, and the version that goes with every decision and every release.

    `guideline` is a text file that tells people how to judge; a digest of it goes with every decision.
    """

    version: str = "1"
    guideline: Path | None = None
    axes: tuple[Axis, ...] = (Axis(borderline=("sexy",)),)

    @property
    def first(self) -> Axis:
        """The axis that a release calls `label`."""
        return self.axes[0]


Algorithm = Literal["sha256", "sha1", "md5", "pdq"]


@dataclass(frozen=True, slots=True)
class Digests:
    """What screening knows of some bytes, in lower-case hex; `pdq`: every orientation of every part it can match."""

    sha256: str
    sha1: str
    md5: str
    pdq: tuple[str, ...] = ()

    def by_algorithm(self) -> dict[Algorithm, str]:
        """The digests of the bytes, by name."""
        return {"sha256": self.sha256, "sha1": self.sha1, "md5": self.md5}


class ListedHash(NamedTuple):  # made in half the time of a frozen dataclass: lists have millions of rows
    """One entry of a screening list: `value` is lower-case hex, `entry` names its row in the list.

    `doubt` says what is odd about the row; it is matched all the same, since a gate in doubt says no. `negative`: those
    who looked say that it is harmless; it is matched by nothing, and points out what other lists say of it.
    """

    algorithm: Algorithm
    value: str
    entry: str
    doubt: str = ""
    negative: bool = False


@dataclass(frozen=True, slots=True)
class CorruptRow:
    """A row of a screening list that could not be read: counted and named, never dropped in silence."""

    entry: str
    problem: str


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row of a screening list that is readable and not matched here; counted by `kind` (photodna, text, ...)."""

    entry: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dated:
    """The latest time that a screening list names itself, where it does: UTC, as ISO 8601 to the second."""

    entry: str
    at: str


class Pictures(Protocol):
    """Where a release's pictures come from, each as it may leave."""

    def open(self, id: str) -> bytes: ...
    def each(self, ids: Iterable[str]) -> Iterator[bytes]: ...  # in order; the next ones are read meanwhile


@dataclass(frozen=True)
class Manifest:
    """A frozen release: the header of `release.json` and one row a labelled survivor, sorted by id, in each split.

    `rows[split]` is a pyarrow Table with the columns of docs/releases.md; `path` is the release's folder. A format with
    `media = True` is given `source`, from which its pictures come, rows of pictures that may leave alone, and two more
    columns: `exported_sha256` and `exported_media_type` of the bytes that `open` gives.
    """

    version: str
    path: Path
    header: Mapping[str, Any]
    rows: Mapping[str, Any]
    source: Pictures | None = None

    def open(self, id: str) -> bytes:
        """The picture of a row as it may leave: without metadata, checked on reading. LookupError where rows alone are
        given, or none has that id."""
        if self.source is None:
            raise LookupError(f"{id}: this release is given as rows alone; a format of pictures says `media = True`")
        return self.source.open(id)

    def pictures(self, split: str) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Each row of a split with its picture as `open` gives it, in order; the next ones are read meanwhile."""
        if self.source is None:
            raise LookupError("this release is given as rows alone; a format of pictures says `media = True`")
        rows = self.rows[split]
        each = (row for batch in rows.to_batches(max_chunksize=1000) for row in batch.to_pylist())
        yield from zip(each, self.source.each(rows.column("id").to_pylist()), strict=True)
