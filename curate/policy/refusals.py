"""What is never fetched: sources by name or by layout, and categories by their names. No option lifts a refusal.

A name proves little: a copy under another name passes, and only the hash lists and the people who run this are left
to stop it. What is recognised is refused before anything is asked for.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

from curate.errors import GateError, UsageError
from curate.policy.text import plain, readings

NAMES = frozenset({"classes", "label", "labels", "title"})  # options whose values are categories or classes
PROSE = frozenset({"approved_by", "contact", "exclude", "include", "reason"})  # options that may name what they avoid
HEADING = 400  # characters of a README that are read


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not taken: `id` of the row (the pattern, for a category), in a sentence, and who says so."""

    id: str
    reason: str
    reference: str


@dataclass(frozen=True, slots=True)
class _Source:
    refusal: Refusal
    names: re.Pattern[str]
    unless: re.Pattern[str] | None
    leaves: tuple[str, ...]
    heading: re.Pattern[str] | None
    categories: tuple[str, ...]


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files("curate.policy").joinpath("refusals.toml").read_text(encoding="utf-8"))


def version() -> str:
    """The version of the list of refusals; it goes into releases."""
    return str(_table()["version"])


def refused(text: str) -> Refusal | None:
    """The refused source that a name, a URL, a path or an option's value names."""
    said = plain(readings(text))
    for source in _sources():
        if source.names.search(source.unless.sub(" | ", said) if source.unless else said):
            return source.refusal
    return None


@lru_cache(maxsize=4096)
def denied_category(name: str) -> Refusal | None:
    """The denied pattern that a category, a class or a folder's name matches (each part of a path is looked at)."""
    for part in name.split("/"):
        bare = part.removeprefix("Category:").strip()
        said = plain(readings(bare)).strip()
        for refusal, pattern, says in _denied():
            if fnmatchcase(bare.casefold(), pattern) or says.search(said):
                return refusal
    return None


def refused_path(path: Path) -> Refusal | None:
    """The refused source that a file or folder is a copy of, by its whole path or by what lies in it."""
    found = refused(str(path.absolute())) or refused(os.path.realpath(path))
    return found or next((s.refusal for s in _sources() for root in _roots(path) if _is_copy(root, s)), None)


def check_sources(descriptions: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a run before its first request; raises GateError with the reason and the reference.

    A description is a configured source as it stands: `use`, its options, and `classes`, what it can yield.
    """
    for description in descriptions:
        where = f"sources.{description.get('use', '?')}"
        for key, value in _values(description):
            refusal = _found(key, value)
            if refusal is not None:
                raise GateError(f"{where}.{key}: refused ({refusal.id}): {refusal.reason}. See {refusal.reference}")


def check_approvals(descriptions: Iterable[Mapping[str, Any]], safe: Iterable[str]) -> None:
    """Where a source knows `approved_by`, a class that is not safe needs it, and a `reason`; raises UsageError."""
    for description in descriptions:
        unsafe = sorted(str(c or "unlabelled") for c in set(description.get("classes", ())) - set(safe))
        missing = [key for key in ("reason", "approved_by") if key in description and not _text(description[key])]
        if unsafe and missing:
            said = "this key is needed" if len(missing) == 1 else f"this key and {missing[1]} are needed"
            raise UsageError(
                f"sources.{description.get('use', '?')}.{missing[0]}: {said}, since not every class of this source is"
                f" safe ({', '.join(unsafe[:5])}); they go into the release"
            )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _found(key: str, value: str | Path) -> Refusal | None:
    if isinstance(value, Path):
        return refused_path(value) or denied_category(f"{value.name}/{value.stem.removeprefix('urls_')}")
    return refused(value) or (denied_category(value) if key in NAMES else None)


def _values(table: Mapping[str, Any]) -> Iterator[tuple[str, str | Path]]:
    """Every text of a table, at any depth, with its key; what `path` names comes as a Path."""
    for key, value in table.items():
        if key not in PROSE:
            yield from ((k, Path(v) if k == "path" else v) for k, v in _texts(key, value))


def _texts(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from _values(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from chain.from_iterable(_texts(key, item) for item in value)
    elif isinstance(value, (str, Path)):
        yield key, value


def _roots(path: Path) -> list[Path]:
    """The folders by which a copy would be known: the one named, and the one that holds its `raw_data`."""
    here = path if path.is_dir() else path.parent
    tops = [folder.parent for folder in (here, *here.parents) if folder.name == "raw_data"]
    beside = [here] if here.name.startswith("reddit_sub_") or path.name.startswith("urls") else []
    return [path, *beside, *tops]


def _is_copy(root: Path, source: _Source) -> bool:
    if source.leaves and root.name.startswith("reddit_sub_"):
        return True
    return (
        any(fnmatchcase(name, pattern) for name in _categories(root) for pattern in source.categories)
        or any(next(root.glob(pattern), None) is not None for pattern in source.leaves)
        or (source.heading is not None and source.heading.search(_heading(root)) is not None)
    )


def _categories(root: Path) -> Iterator[str]:
    """The categories of a tree of lists, or that of one list."""
    yield root.stem.removeprefix("urls_")
    yield from (folder.name for folder in chain(root.glob("*/"), root.glob("raw_data/*/")))


def _heading(root: Path) -> str:
    try:
        with (root / "README.md").open(encoding="utf-8", errors="replace") as file:
            return plain(file.read(HEADING))
    except OSError:
        return ""


@cache
def _sources() -> tuple[_Source, ...]:
    return tuple(
        _Source(
            Refusal(row["id"], row["reason"], row["reference"]),
            re.compile("|".join(row["names"])),
            re.compile("|".join(row["unless"])) if row["unless"] else None,
            tuple(row.get("leaves", ())),
            re.compile(row["heading"]) if "heading" in row else None,
            tuple(row.get("categories", ())),
        )
        for row in _table()["refused"]
    )


@cache
def _denied() -> tuple[tuple[Refusal, str, re.Pattern[str]], ...]:
    why = _table()["denial"]
    return tuple(
        (Refusal(row["pattern"], why["reason"], why["reference"]), row["pattern"], re.compile(row["words"]))
        for row in _table()["denied"]
    )
