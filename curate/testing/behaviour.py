"""What a plug-in does on harmless data, held against what its contract promises."""

import copy
import hashlib
import io
import pickle
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from curate.config import EngineConfig
from curate.contracts import Selection, Stamped, SupportsAsk
from curate.engine import Aside
from curate.errors import UsageError, described
from curate.features.score_worker import Columns, blank, fill
from curate.fetch.listing import fault_of
from curate.net.loops import finished
from curate.plugins import own_file_of
from curate.records import CorruptRow, Dated, ListedHash, Locator, Manifest, Page, Response, SkippedRow
from curate.release.formats import is_media
from curate.testing import made

PAGES = 3  # of a source that are looked at
ROWS = 10_000  # of a hash list
_PRINTS = "prints ({!r}), where a command's answer goes; use `logging`"
_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "pdq": 64}


def tried(what: Callable[[Any], Iterator[str]], plugin: Any) -> Iterator[str]:
    """What is wrong with what a plug-in does; that it raises, leaves or prints is wrong, too."""
    said, found = io.StringIO(), list[str]()
    try:
        with redirect_stdout(said):
            for problem in what(plugin):
                found.append(problem)  # one by one: what was found stays, whatever it raises then
    except _AskedError:
        pass
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever it is, it is the plug-in's)
        found.append(f"raised {described(error)}")
    yield from found
    if told := said.getvalue().strip():
        yield _PRINTS.format(told[:60])


# -- sources ---------------------------------------------------------------------------------------------------------


class _AskedError(Exception):
    """The network was asked; what would come of it is not known here."""


class _NoNetwork:
    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        raise _AskedError(url)


def source(plugin: Any) -> Iterator[str]:
    """Its classes, and its first pages, as far as it needs no network."""
    classes = plugin.classes()
    if not isinstance(classes, frozenset) or not all(one is None or isinstance(one, str) for one in classes):
        yield f"has classes() that gives {classes!r}: a frozenset of text, with None where some have no label"
        return
    pages = finished(_listed(plugin, None))
    for page in pages:
        yield from _page(page, classes)
    if all(isinstance(page, Page) for page in pages):
        if pages != finished(_listed(plugin, None)):
            yield "lists something else the second time: order is part of the contract"
        if len(pages) > 1 and pages[1:] != finished(_listed(plugin, pages[0].cursor))[: len(pages) - 1]:
            yield "goes on elsewhere from the first page's cursor than it did without one"
    if isinstance(plugin, Stamped):
        yield from _stamped(plugin, classes)


async def _listed(plugin: Any, cursor: str | None) -> list[Any]:
    pages: list[Any] = []
    async for page in plugin.pages(_NoNetwork(), cursor):
        pages.append(page)
        if len(pages) == PAGES:
            break
    return pages


def _page(page: Any, classes: frozenset[str | None]) -> Iterator[str]:
    if not isinstance(page, Page) or not (page.cursor is None or isinstance(page.cursor, str)):
        yield f"has pages() that gives {str(page)[:80]}: Page(candidates, cursor) of curate.records, text or None"
        return
    for one in page.candidates:
        if (fault := fault_of(one)) is not None:
            yield f"lists {str(one)[:80]}: {fault}"
            return
        if (fault := _place(one.locator)) is not None:
            yield f"lists {one.ref} at {one.locator.value[:80]!r}: {fault}"
            return
        if one.label not in classes:
            yield f"lists {one.ref} with the label {one.label!r}, which classes() does not name"
            return


def _place(locator: Locator) -> str | None:
    if locator.kind == "path" and not Path(locator.value).is_absolute():
        return "a path must be absolute; one in a field of type Path is, and what is listed below it"
    if locator.kind == "url" and urlsplit(locator.value).scheme not in ("http", "https"):
        return "a url begins with http:// or https://; what lies on this machine is Locator('path', ...)"
    return None


def _stamped(plugin: Stamped, classes: frozenset[str | None]) -> Iterator[str]:
    if not isinstance(plugin.stamp(), str) or plugin.stamp() != plugin.stamp():
        yield "has a stamp() that is no text, or another one though nothing has changed"
    for label in sorted(classes, key=str):
        if not isinstance(place := plugin.place_of(label), str) or not place.strip():
            yield f"has place_of({label!r}) that gives {place!r}: the file and the line, or what else an error can name"


# -- labelers --------------------------------------------------------------------------------------------------------


def labeler(plugin: Any) -> Iterator[str]:
    """Its answers on a few pictures, all together and one by one; of one that a server answers for nobody is asked."""
    if isinstance(plugin, SupportsAsk):
        return
    pickle.dumps(plugin)  # it travels to workers
    pictures = made.pictures()
    ask = _asked(plugin)
    together = ask(pictures)
    alone = [ask([one]) for one in pictures]
    again = ask(pictures[::-1])
    for name, values in together.items():
        equal = values.dtype != object
        if not np.array_equal(values, np.concatenate([one[name] for one in alone]), equal_nan=equal):
            yield f"gives another {name} for a picture that comes alone: an answer is about the bytes, not its company"
        elif not np.array_equal(values[::-1], again[name], equal_nan=equal):
            yield f"gives another {name} in another order"


def _asked(plugin: Any) -> Callable[[list[Any]], Columns]:
    """What asks the labeler: one from a file of one's own runs where `label` will run it, shut off from everything."""
    work = _Labelling(plugin)
    if own_file_of(plugin) is not None:
        return Aside(EngineConfig(), work)
    work.load()
    return work


@dataclass
class _Labelling:
    """The work of a labeler, as a worker does it."""

    plugins: ClassVar[bool] = True
    labeler: Any

    @property
    def reads(self) -> list[Path]:
        """What it may read."""
        return [Path(one) for one in getattr(self.labeler, "reads", ())]

    @property
    def network(self) -> bool:
        """Whether it asks for the internet."""
        return bool(getattr(self.labeler, "network", False))

    def fits(self, given: list[Any], answer: Columns) -> bool:
        """Whether these are its columns, a row a picture."""
        wanted = blank(self.labeler, len(given))
        return {name: (one.shape, one.dtype) for name, one in wanted.items()} == {
            name: (one.shape, one.dtype) for name, one in answer.items()
        }

    def load(self) -> None:
        """Load a copy of it."""
        self._ready = copy.copy(self.labeler)
        with _heard():
            self._ready.load()

    def __call__(self, item: list[Any]) -> Columns:
        """Its columns of some pictures."""
        with _heard():
            return _answers(self._ready, item)


@contextmanager
def _heard() -> Iterator[None]:
    """In a worker nobody hears what is printed, and who leaves it ends it: both are said."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    except SystemExit as error:
        raise RuntimeError(f"raised SystemExit: {error}") from error
    if told := said.getvalue().strip():
        raise RuntimeError(_PRINTS.format(told[:60]))


def _answers(plugin: Any, pictures: Sequence[Any]) -> Columns:
    columns = blank(plugin, len(pictures))
    for why in fill(columns, plugin, {n: [replace(one, _views={})] for n, one in enumerate(pictures)}).values():
        raise RuntimeError(why)
    return columns


# -- formats, models, queues -----------------------------------------------------------------------------------------


def release_format(plugin: Any) -> Iterator[str]:
    """What it writes of a small release, twice, and what it leaves of a row that is taken out."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("release", "one", "two")]
        for place in places:
            place.mkdir()
        release = made.release(places[0], media=is_media(plugin))
        before, folders = _files(places[0]), sorted(Path(folder).iterdir())
        said = [plugin.write(release, out) or {} for out in places[1:]]
        one, two = map(_files, places[1:])
        for name, digest in said[0].items():
            if name not in one or hashlib.sha256(one[name]).hexdigest() != digest:
                yield f"says another sha256 of {name} than the file has, or there is no such file"
        if beside := [path.name for path in sorted(Path(folder).iterdir()) if path not in folders]:
            yield f"writes {', '.join(beside)} beside the folder that it is given"
        if not one:
            yield "writes no file"
        if one != two:
            differ = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
            yield f"writes other bytes the second time ({', '.join(differ)}): no clock, no chance, no order of arrival"
        if _files(places[0]) != before:
            yield "changes the release that it is given"
        yield from _rows_left_out(plugin, release, one, Path(folder))
        if hasattr(plugin, "remove"):
            yield from _taken_out(plugin, release, places[1])


def _taken_out(plugin: Any, release: Manifest, out: Path) -> Iterator[str]:
    """What `remove` leaves of a row, done twice, as where it was killed."""
    gone = release.rows["train"].column("id").to_pylist()[0]
    words = [gone.encode(), *([release.open(gone)] if is_media(plugin) else [])]
    less = made.release(out.with_name("less"), ("train", 0), is_media(plugin))
    for _ in range(2):
        plugin.remove({gone}, less, out)
        files = _files(out)
        left = sorted(name for name, data in files.items() if gone in name or any(word in data for word in words))
        if left:
            yield f"has remove() that leaves something of a row in {left[0]}"
            return
    again = out.with_name("again")
    again.mkdir()
    plugin.write(less, again)
    if _files(again) != files:
        yield "has remove() that leaves other files than write() would make of what is left"


def _rows_left_out(plugin: Any, release: Manifest, whole: Mapping[str, bytes], folder: Path) -> Iterator[str]:
    """Rows without which it writes the same: those it does not write."""
    for split, rows in release.rows.items():
        for at in range(len(rows)):
            given, out = folder / f"{split}-{at}", folder / f"{split}-{at}-out"
            given.mkdir()
            out.mkdir()
            plugin.write(made.release(given, (split, at), is_media(plugin)), out)
            if _files(out) == whole:
                yield f"does not write row {at + 1} of {len(rows)} of {split}: without it the files are the same"
                return


def _files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def label_model(plugin: Any) -> Iterator[str]:
    """Its probabilities, twice."""
    asked = made.evidence()
    found, again = plugin.predict(asked), plugin.predict(made.evidence())
    shape = (len(asked.votes), asked.sets.shape[1])
    if not isinstance(found, np.ndarray) or found.shape != shape or found.dtype != np.float64:
        given = f"{found.dtype}{found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        yield f"has predict() that gives {given}: float64{shape}"
        return
    known = found[~np.isnan(found).any(axis=1)]
    if np.abs(known.sum(axis=1) - 1).max(initial=0) > 1e-6 or (known < 0).any():
        yield "gives probabilities that are none: a row is not negative, and has a sum of 1"
    if not np.isnan(found[-1]).all():
        yield "says something of a row on which nobody votes: it must be NaN"
    if not np.array_equal(found, again, equal_nan=True):
        yield "says something else the second time"


def queue(plugin: Any) -> Iterator[str]:
    """What it picks of a small pool, twice."""
    pool, size = made.pool(), 10
    picked, again = list(plugin.pick(pool, size)), list(plugin.pick(made.pool(), size))
    if strange := [one for one in picked if not isinstance(one, Selection)]:
        yield f"picks {str(strange[0])[:80]}: Selection(row) of curate.contracts"
        return
    rows = [one.row for one in picked]
    if len(rows) > size or len(set(rows)) < len(rows) or not all(0 <= row < len(pool.samples) for row in rows):
        yield f"picks {len(rows)} rows of {size} that were asked for, one twice, or one that is not there"
    if any(one.inclusion is not None and not 0 < one.inclusion <= 1 for one in picked):
        yield "gives a chance that is none: above 0, at most 1"
    if plugin.reported and any(one.inclusion is None for one in picked):
        yield "is reported, and gives no chance for what it picks"
    if picked != again:
        yield "picks something else the second time: the same pool, the same picks"


# -- hash lists ------------------------------------------------------------------------------------------------------


def hash_list(plugin: Any) -> Iterator[str]:
    """The first rows of its file, or what it does where there is none."""
    if not str(plugin.provider).strip():
        yield "has no provider: who vouches for the list"
    if not Path(plugin.path).exists():
        try:
            next(iter(plugin.rows()), None)
        except UsageError:
            return
        yield f"says nothing of a file that is not there ({plugin.path}): it must raise UsageError"
        return
    rows = list(islice(plugin.rows(), ROWS))
    for row in rows:
        if not isinstance(row, (ListedHash, CorruptRow, SkippedRow, Dated)):
            yield f"yields {str(row)[:80]}: ListedHash, CorruptRow, SkippedRow or Dated of curate.records"
            return
        if isinstance(row, ListedHash) and not re.fullmatch(f"[0-9a-f]{{{_DIGITS.get(row.algorithm, 0)}}}", row.value):
            yield f"yields {row.entry} as {row.algorithm}, and it is not that in lower-case hex: CorruptRow says so"
            return
    listed = [row for row in rows if isinstance(row, ListedHash)][:1]
    if listed and not isinstance(plugin.dispute(listed, "a test"), str):
        yield "has dispute() that gives no text"
