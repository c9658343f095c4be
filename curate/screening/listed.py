"""What is known of a list as a whole, on which terms it is matched, and what a match with one of its entries says."""

from dataclasses import dataclass, field

from curate.contracts import HashList
from curate.media.pdq import RADIUS


@dataclass(frozen=True, slots=True)
class Match:
    """What a list said of some bytes: which list, which of its rows, by which hash, how far away, in which part.

    `value` is the entry's hash (hex), which is looked up and never kept; `origin` is the list's (see `Terms`);
    `quality` is PDQ's of the part that matched, None where a digest did.
    """

    list: str
    entry: str
    algorithm: str
    provider: str = "self"
    distance: int = 0
    part: str = ""
    value: str = ""
    origin: str = ""
    quality: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a list is matched, whatever its format.

    `radius`: bits within which PDQ hashes are the same, 0..31. `negative`: the list holds what is known to be harmless;
    it matches nothing, and points out entries of other lists. `origin`: what the list is in curate.toml, wherever it
    stands there. `set_aside`: hashes (lower-case hex) that the operator set aside.
    """

    radius: int = RADIUS
    negative: bool = False
    origin: str = ""
    set_aside: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a radius at which a stranger's picture would match."""
        if not 0 <= self.radius <= RADIUS:
            raise ValueError(f"radius must lie between 0 and {RADIUS} bits, not {self.radius}")


@dataclass(frozen=True, slots=True)
class Configured:
    """A list of curate.toml: its name in messages, its reader, its terms."""

    name: str
    reader: HashList
    terms: Terms


@dataclass(frozen=True, slots=True)
class LoadedList:
    """One list as it was loaded: what a release and `curate screening status` say of it.

    `corrupt` rows could not be read, `doubtful` ones are odd and matched all the same (`doubts`: why the first ones
    are), `skipped` ones are counted by what they are. `sha256` is that of the file, or of the names and digests of a
    folder's files. `hashes` counts by algorithm, and twice what may be either of two: 64 digits of which nobody says
    what they are (`guessed` of them). `set_aside` counts values, `matched` hashes that are compared. `modified` is the
    newest file's time, `newest` the latest time that the list names itself.
    """

    name: str
    provider: str
    sha256: str
    entries: int
    corrupt: tuple[str, ...]
    modified: str
    doubtful: int = 0
    doubts: tuple[str, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, int] = field(default_factory=dict)
    radius: int = RADIUS
    negative: int = 0
    set_aside: int = 0
    guessed: int = 0
    matched: int = 0
    newest: str = ""
    origin: str = ""

    @property
    def positive(self) -> bool:
        """Whether the list names anything that must be kept out, what was set aside of it included."""
        return sum(self.hashes.values()) > self.negative
