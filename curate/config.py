"""`curate.toml` as dataclasses. Everything has a default; the shortest file names one source."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from curate.errors import UsageError
from curate.options import Bytes, Plugin, PluginName, build, toml, toml_file
from curate.records import SPLITS, UNSURE, Taxonomy

CONFIG_NAME = "curate.toml"
LEAST_SECONDS, MOST_SECONDS, LEAST_MEMORY = 2.0, 86_400.0, 256 * 2**20  # what one honest picture may need
LEAST_LOAD = 30.0  # seconds
LABELLERS = ("human", "weak", "model")  # who gives a label (`label_source`)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


@dataclass(frozen=True)
class EngineConfig:
    """Where work runs; `workers = 0` is one a core.

    A picture may take `item_seconds` of a worker and `item_memory` bytes in it; a worker may take `load_seconds` until
    it is ready. `confine`: whether workers are shut off from files, network and other processes: where the system can
    (auto), always (require), or never (off). `device`: what networks run on: a graphics processor where there is one
    that they can use (auto), or one of the kinds.
    """

    use: str = "pool"
    workers: int = 0
    item_seconds: float = 20.0
    item_memory: Bytes = Bytes(2**30)
    load_seconds: float = 600.0
    confine: Literal["auto", "require", "off"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what no honest picture can be decoded in."""
        if self.workers < 0:
            raise ValueError(f"workers must be at least 0 (one a core), not {self.workers}")
        if not LEAST_SECONDS <= self.item_seconds <= MOST_SECONDS:
            raise ValueError(
                f"item_seconds must lie between {LEAST_SECONDS:g}, which a picture of 100 megapixels may take, and"
                f" {MOST_SECONDS:g}, not {self.item_seconds:g}"
            )
        if not LEAST_LOAD <= self.load_seconds <= MOST_SECONDS:
            raise ValueError(
                f"load_seconds must lie between {LEAST_LOAD:g}, which loops that are compiled for the first time may"
                f" take, and {MOST_SECONDS:g}, not {self.load_seconds:g}"
            )
        if self.item_memory < LEAST_MEMORY:
            least = f"{LEAST_MEMORY // 2**20} MiB"
            raise ValueError(f"item_memory must be at least {least}, which an ordinary picture may take")


@dataclass(frozen=True)
class FetchConfig:
    """How media are asked for: who asks, how often, and how much is too much. Times are seconds, rates a second.

    `placeholder_urls`: the same bytes from so many URLs of one host are taken for a placeholder (0: never). `tokens`:
    for an API's host, the name of the environment variable that holds its OAuth token; it is sent nowhere else.
    `strip`: what would fail as `hidden_data` is stored without its metadata, where its format can be rewritten.
    `require_license`: what no source names a licence of is not fetched; `licenses`: nor what has none of these (`CC*`).
    """

    contact: str | None = None
    allow_private: tuple[str, ...] = ()
    allow_ports: tuple[int, ...] = (80, 443)
    concurrency: int = 64
    per_host: int = 4
    rate: float | None = None
    max_bytes: Bytes = Bytes(64 * 2**20)
    max_pixels: int = 100_000_000
    min_side: int = 16
    max_frames: int = 100
    strip: bool = False
    max_store: Bytes | None = None
    timeout: float = 60.0
    connect_timeout: float = 10.0
    min_rate: Bytes = Bytes(1024)
    retries: int = 3
    max_redirects: int = 5
    robots: bool = True
    opt_out: bool = True
    breaker: int = 10
    placeholder_urls: int = 20
    tokens: Mapping[str, str] = field(default_factory=dict)
    require_license: bool = False
    licenses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a token where the name of a variable that holds one belongs; it is not repeated."""
        for host, name in self.tokens.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"tokens: {host}: give the name of an environment variable, never the token itself")


@dataclass(frozen=True)
class RunConfig:
    """What one run may cost: items it takes on, minutes it lasts, and requests an hour to each documented API."""

    max_items: int | None = None
    max_minutes: float | None = None
    api_calls_per_hour: int | None = None

    def __post_init__(self) -> None:
        """Refuse a run that could do nothing."""
        for name in ("max_items", "max_minutes", "api_calls_per_hour"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be more than 0, not {value}")


@dataclass(frozen=True)
class ScreeningConfig:
    """Which lists and matchers keep known illegal material out; `required = false` only where every class is safe.

    `on_hot_entry`: an entry that has matched `stop_after_matches` times ends the run, or what it matches is held out
    in one incident and the run goes on with the rest. `entitled`: who may dispute a match; nobody looks at it for that.
    `on_match`: what becomes of the bytes of what matches. They are not kept, or sealed to `public_key` (X25519, hex or
    base64) for `preserve_days`, which needs an `operator`: who answers for it, and can be reached.
    """

    required: bool = True
    lists: tuple[Plugin, ...] = ()
    matchers: tuple[Plugin, ...] = ()
    max_age_days: float | None = None
    stop_after_matches: int = 1
    on_hot_entry: Literal["stop", "hold"] = "stop"
    entitled: tuple[str, ...] = ()
    on_match: Literal["discard", "preserve"] = "discard"
    operator: str | None = None
    public_key: str | None = None
    preserve_days: int = 365

    def __post_init__(self) -> None:
        """Require an operator and a key when matches are preserved."""
        if self.on_match == "preserve" and not (self.operator and self.public_key):
            raise ValueError('on_match = "preserve" needs operator (who answers for it) and public_key')
        if self.preserve_days < 1 or self.stop_after_matches < 0:
            raise ValueError("preserve_days must be at least 1, stop_after_matches at least 0 (0: never)")


@dataclass(frozen=True)
class DedupeConfig:
    """By which hashes, and how near: a group shares a split, a collapse set has one survivor. Radii are bits.

    `orientations` searches for mirrored and turned copies as well, within `turned_radius`; `borders` compares pictures
    without their border, too. `embeddings` names a labeler whose vectors group what lies within `cosine` of each other:
    crops, which hashes miss. `frames`: whether any distinct frame of an animation, or page of a file, makes a group
    with what shows the same, or the first alone. A hash of less than `phash_quality` or `pdq_quality` is not asked:
    such a picture has little texture. docs/dedupe.md has what each setting finds.
    """

    hash: Literal["phash", "pdq", "phash+pdq"] = "phash+pdq"
    group_radius: int = 10
    collapse_radius: int = 4
    pdq_group_radius: int = 31
    pdq_collapse_radius: int = 24
    phash_quality: float = 1.0
    pdq_quality: int = 50
    orientations: bool = True
    turned_radius: int = 6
    borders: bool = True
    embeddings: PluginName | None = None
    cosine: float = 0.95
    frames: Literal["any", "first"] = "any"

    def __post_init__(self) -> None:
        """Refuse a collapse set that would reach out of its group, and a search by what is not there."""
        if not 0 <= self.collapse_radius <= self.group_radius:
            raise ValueError("collapse_radius must lie between 0 and group_radius")
        if not 0 <= self.pdq_collapse_radius <= self.pdq_group_radius:
            raise ValueError("pdq_collapse_radius must lie between 0 and pdq_group_radius")
        if not 0 <= self.turned_radius <= 64:
            raise ValueError("turned_radius must lie between 0 and 64")
        if not 0 < self.cosine <= 1:
            raise ValueError("cosine must lie above 0 and be at most 1")
        if self.phash_quality <= 0 or not 0 <= self.pdq_quality <= 100:
            raise ValueError("phash_quality must lie above 0, pdq_quality between 0 and 100")

    @property
    def by_phash(self) -> bool:
        """Whether pHash is asked."""
        return "phash" in self.hash

    @property
    def by_pdq(self) -> bool:
        """Whether PDQ is asked."""
        return "pdq" in self.hash


@dataclass(frozen=True)
class LabelConfig:
    """How votes become labels. `balance` is the share of each class; `functions` are Python files of your own.

    `advise` names labelling functions whose flags keep nothing back: votes like any other, once audits say so.
    `bootstrap`: whether a classifier on embeddings is the last step; by default it is where a labeler makes them.
    """

    model: PluginName = "auto"
    seed: int = 0
    balance: Mapping[str, float] = field(default_factory=dict)
    functions: tuple[Path, ...] = ()
    advise: tuple[str, ...] = ()
    bootstrap: bool | None = None


@dataclass(frozen=True)
class ReviewConfig:
    """What people look at, and for how long. Shares are of a queue's items; times are minutes.

    `double`: judged by two people; `gold`: the answer is known, and the reviewer is not told which they are. After
    `max_minutes` at work or `max_reveals` originals, nothing more is shown for `pause_minutes`. `order` is that of
    queues that are not blind: as they were drawn (mixed), or what is least likely safe last (severity).
    """

    seed: int = 0
    double: float = 0.1
    gold: float = 0.05
    order: Literal["mixed", "severity"] = "mixed"
    max_minutes: float = 45.0
    max_reveals: int = 60
    pause_minutes: float = 10.0
    blur: int = 12
    greyscale: bool = True

    def __post_init__(self) -> None:
        """Refuse shares that are not shares, and limits that are none."""
        if not (0 <= self.double <= 1 and 0 <= self.gold <= 0.5):
            raise ValueError("double must lie between 0 and 1, gold between 0 and 0.5")
        if self.max_minutes <= 0 or self.max_reveals < 1 or self.pause_minutes <= 0 or self.blur < 1:
            raise ValueError("max_minutes, max_reveals, pause_minutes and blur must be above 0")


@dataclass(frozen=True)
class ExportConfig:
    """How a release is cut, in which formats it leaves, and what it must be.

    `on_suspect`: what looks alike across splits by a hash that dedupe does not group by is refused, or leaves the side
    that is trained on. `min_human_test`: the share of test labels that people must have given. `min_probability`: a
    machine's label that is less sure is left out. `licenses`: so is what has none of these (`CC*`; `*`: any), where any
    is named. `max_side`: the longer side in px of pictures that leave.
    `group_by`: what belongs together, and in one split, beside what looks alike. `split_from`: a CSV file of given
    splits, by id, page_id, url or path. `test_sources`: names of sources that are the test split, and nothing else.
    `removals`: where receivers find the feed of what was taken out since, a path seen from the exported folder or one
    above it, or an address. `signing_key`: a secret key of minisign's, by which all that leaves is signed.
    """

    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1})
    salt: str = "curate"
    formats: tuple[PluginName, ...] = ("parquet", "csv")
    require_license: bool = False
    licenses: tuple[str, ...] = ()
    removals: str = "removals.jsonl"
    signing_key: Path | None = None
    group_by: tuple[Literal["album", "author"], ...] = ("album",)
    split_from: Path | None = None
    test_sources: tuple[str, ...] = ()
    on_suspect: Literal["refuse", "drop"] = "refuse"
    min_human_test: float = 0.0
    min_probability: float = 0.0
    max_side: int | None = None

    def __post_init__(self) -> None:
        """Refuse shares that are not shares, and pictures of which nothing can be seen."""
        if self.max_side is not None and self.max_side < 16:
            raise ValueError(f"max_side must be at least 16 px, not {self.max_side}")
        for name in ("min_human_test", "min_probability"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {value:g}")
        if (
            set(self.splits) != set(SPLITS)
            or abs(sum(self.splits.values()) - 1) > 1e-9
            or min(self.splits.values()) < 0
        ):
            raise ValueError(f"splits needs {', '.join(SPLITS)}, none negative, with a sum of 1")


@dataclass(frozen=True)
class GuaranteeConfig:
    """What thresholds promise of rows never seen: `recall` of what is not safe at least, `false_alarms` among what is
    safe at most (None: nothing of these), all of it with `confidence`."""

    recall: float | None = 0.95
    false_alarms: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for name in ("recall", "false_alarms", "confidence"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {value}")


@dataclass(frozen=True)
class TrainConfig:
    """The baseline: a linear head on a frozen backbone, and what its thresholds promise.

    `augment`: `copies` of each picture of train, altered so, are learnt from, too. `soft`: of a label that a machine
    gave, the label model's probabilities are learnt, as the last `curate label` found them. `smoothing`: which share of
    a label is spread over all classes, by who gave it (human, weak, model). `finetune`: so many of the network's last
    blocks are tuned to train before.
    """

    backbone: PluginName = "efficientnet_lite0"
    epochs: int = 200
    patience: int = 20
    weight_decay: float = 0.03
    seed: int = 0
    augment: tuple[Literal["crop", "flip", "rotate", "colour", "jpeg", "erase"], ...] = ()
    copies: int = 1
    soft: bool = False
    smoothing: Mapping[str, float] = field(default_factory=dict)
    finetune: int = 0
    guarantee: GuaranteeConfig = field(default_factory=GuaranteeConfig)

    def __post_init__(self) -> None:
        """Refuse what nothing can be learnt by."""
        if self.epochs < 1 or self.patience < 1 or self.weight_decay < 0 or not 1 <= self.copies <= 100:
            raise ValueError("epochs and patience must be at least 1, weight_decay at least 0, copies 1 to 100")
        if self.finetune < 0:
            raise ValueError("finetune must be at least 0")
        if strange := sorted(self.smoothing.keys() - set(LABELLERS)):
            raise ValueError(f"smoothing: no such source of labels '{strange[0]}'; there are: {', '.join(LABELLERS)}")
        if not all(0 <= share < 1 for share in self.smoothing.values()):
            raise ValueError("smoothing: a share is at least 0 and below 1")


@dataclass(frozen=True)
class Config:
    """All of `curate.toml`."""

    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    engine: EngineConfig = field(default_factory=EngineConfig)
    fetch: FetchConfig = field(default_factory=FetchConfig)
    run: RunConfig = field(default_factory=RunConfig)
    screening: ScreeningConfig = field(default_factory=ScreeningConfig)
    sources: tuple[Plugin, ...] = ()
    dedupe: DedupeConfig = field(default_factory=DedupeConfig)
    labelers: tuple[Plugin, ...] = (Plugin("declared", where="labelers"),)
    label: LabelConfig = field(default_factory=LabelConfig)
    queues: tuple[Plugin, ...] = ()
    review: ReviewConfig = field(default_factory=ReviewConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        """Refuse a taxonomy that contradicts itself."""
        names = [axis.name for axis in self.taxonomy.axes]
        if not names or len(set(names)) != len(names):
            raise ValueError("taxonomy.axes: give at least one axis, and each a name of its own")
        for axis in self.taxonomy.axes:
            stray = (set(axis.safe) | set(axis.borderline)) - set(axis.classes)
            if UNSURE in axis.classes:
                raise ValueError(f"taxonomy.axes '{axis.name}': '{UNSURE}' is what a reviewer says who cannot tell")
            if stray or len(set(axis.classes)) != len(axis.classes) or len(axis.classes) < 2:
                wrong = f"{sorted(stray)} not among its classes" if stray else "give two classes or more, none twice"
                raise ValueError(f"taxonomy.axes '{axis.name}': {wrong}")


def load(root: Path) -> Config:
    """The config of a folder; raises UsageError naming the key, the file and the choice."""
    path = root / CONFIG_NAME
    if not path.exists():
        raise UsageError(f"{path}: no such file; `curate init` writes one to start from")
    return _config(toml_file(path), root, CONFIG_NAME)


def parse(text: str, root: Path, name: str = CONFIG_NAME) -> Config:
    """The config that a file with this text and name in this folder would be; raises UsageError as `load` does."""
    return _config(toml(text, root / name), root, name)


def _config(table: Mapping[str, Any], root: Path, name: str) -> Config:
    try:
        return build(Config, table, "", root)
    except UsageError as error:
        raise UsageError(f"{name}: {str(error).removeprefix(': ')}") from error


def digest(root: Path) -> str:
    """The sha256 of the config file: what a run or a release was made under."""
    return hashlib.sha256((root / CONFIG_NAME).read_bytes()).hexdigest()
