"""Words that suggest that a picture shows somebody under age, in many languages; no option turns this off.

What it is for: nothing whose title, description, categories, address or folder suggests a minor enters a class that is
not safe, and a safe item of that kind is marked. It errs towards exclusion: "girl" is excluded though it often means a
woman, "student" though it often means an adult.

What it cannot do: it sees words, never pictures, and infers no age from looks. Words that nobody wrote, languages that
`minors.toml` does not hold, misspellings, code words, letters replaced by digits or by look-alikes pass unseen. Absence
of a match says nothing about anybody's age.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from curate.policy.text import plain, readings, words

_NUMBERED = re.compile(" (?:old|[0-9][0-9]?) ")
Table = Mapping[str, str]  # what to look for, and the id of the pattern that found it


@dataclass(frozen=True, slots=True)
class _Patterns:
    """What to look for. Of most kinds there is a table for text in ASCII, and one for any other, by `str.isascii`."""

    words: Table
    beginnings: Table
    lengths: tuple[int, ...]  # those that beginnings have
    heads: frozenset[str]  # beginnings, cut to the shortest of them
    inside: Mapping[bool, Table]
    exact: Table
    ages: Mapping[bool, Mapping[str, re.Pattern[str]]]
    friends: re.Pattern[str]


def suggests_minor(*texts: str) -> str | None:
    """The id of a pattern (`en:girl`) that one of the texts matches and no false friend explains, else None.

    URLs, paths, album and file names count as text: they are cut at punctuation, digits and changes of case.
    """
    return next((found for text in texts if text and (found := _first(readings(text))) is not None), None)


def version() -> str:
    """The version of the words; it goes into releases."""
    return str(_table()["version"])


def languages() -> tuple[str, ...]:
    """The languages that there are words of."""
    return tuple(sorted(key for key, value in _table().items() if isinstance(value, dict) and key != "false_friends"))


def _first(text: str) -> str | None:
    said, accented = plain(text), "" if text.isascii() else words(text)
    if _match(said, accented) is None:
        return None
    friends = _patterns().friends  # taken out only now: most texts match nothing
    return _match(friends.sub(" | ", said), friends.sub(" | ", accented))


def _match(text: str, accented: str) -> str | None:
    known, each, ascii_only = _patterns(), text.split(), text.isascii()
    for word in each:
        if word in known.words:
            return known.words[word]
        for length in known.lengths if word[: known.lengths[0]] in known.heads else ():
            if word[:length] in known.beginnings:
                return known.beginnings[word[:length]]
    for table, whole in ((known.inside[ascii_only], text), (known.exact if accented else {}, accented)):
        for part, name in table.items():
            if part in whole:
                return name
    if ascii_only and _NUMBERED.search(text) is None:
        return None  # no age without a number
    return next((name for name, age in known.ages[ascii_only].items() if age.search(text)), None)


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files("curate.policy").joinpath("minors.toml").read_text(encoding="utf-8"))


@cache
def _patterns() -> _Patterns:
    tables = {language: _table()[language] for language in languages()}
    every = _ids(tables, "words")
    beginnings = {word: f"{name}*" for word, name in _ids(tables, "beginnings").items()}
    inside = {word: f"{name}*" for word, name in _ids(tables, "parts").items()}
    inside |= {f" {word} ": name for word, name in every.items() if " " in word}
    lengths = sorted({len(word) for word in beginnings})
    ages = {
        f"{language}:{kind}": re.compile("|".join(table[kind]))
        for language, table in tables.items()
        for kind in ("ages", "patterns")
        if kind in table
    }
    return _Patterns(
        words={word: name for word, name in every.items() if " " not in word},
        beginnings=beginnings,
        lengths=tuple(lengths),
        heads=frozenset(word[: lengths[0]] for word in beginnings),
        inside={True: {word: name for word, name in inside.items() if word.isascii()}, False: inside},
        exact={f" {words(word).strip()} ": name for word, name in _ids(tables, "exact", plainly=False).items()},
        ages={True: {name: age for name, age in ages.items() if age.pattern.isascii()}, False: ages},
        friends=re.compile(f"(?<= )(?:{'|'.join(_friends())})(?= )"),
    )


def _ids(tables: Mapping[str, Any], key: str, *, plainly: bool = True) -> dict[str, str]:
    """Every word of a kind with its id; a language's `prefixes` are written together with its words."""
    found: dict[str, str] = {}
    for language, table in tables.items():
        for word in table.get(key, ()):
            for prefix in ("", *(table.get("prefixes", ()) if key != "parts" else ())):
                whole = plain(prefix + word).strip() if plainly else prefix + word
                found.setdefault(whole, f"{language}:{word}")
    return found


def _friends() -> list[str]:
    """The false friends as regular expressions; `{animal}` and `{key}` stand for what the table lists."""
    table = _table()["false_friends"]
    lists = {name: "|".join(table[name]) for name in ("animal", "key", "kind")}
    return [
        re.sub(r"\{([a-z]+)\}", lambda found: f"(?:{lists[found[1]]})", phrase)
        for name, phrases in table.items()
        if name not in lists
        for phrase in phrases
    ]
