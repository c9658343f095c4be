"""Words that tell what a picture shows, in many languages: found in text as `curate.policy.text` normalises it.

A file a language: a list of words or phrases for each topic, whole words unless a star ends a beginning
(`обнаженн*`). `inside = true`: found anywhere, for languages that part no words. `prefixes` are written together with a
word. `not` has phrases that mean something else ("nude mouse"): they are taken out of a text before it is looked at
again. Accents do not count. A word that another language has for something else is left out, or stands in a phrase.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from curate.policy.text import pieces, plain, readings, spoken

TOPICS = (
    "nudity", "sexual", "suggestive", "underwear_swim", "swimming", "wrestling", "breastfeeding", "medical", "art",
    "sculpture", "drawn", "photograph", "everyday",
)  # fmt: skip
ITEMS = "items"  # the file of what Wikidata has
BITS: Mapping[str, int] = {topic: 1 << place for place, topic in enumerate(TOPICS)}


class Lexicon:
    """All languages as tables to look things up in; a set of topics is an int, a bit each of `BITS`."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]]) -> None:
        self._words: defaultdict[str, int] = defaultdict(int)
        self._beginnings: defaultdict[str, int] = defaultdict(int)
        self._phrases: defaultdict[str, dict[str, int]] = defaultdict(dict)  # by their first word
        self._inside: defaultdict[str, dict[str, int]] = defaultdict(dict)  # by their first character
        self._friends: defaultdict[str, list[str]] = defaultdict(list)  # by their first word, or character
        for table in tables.values():
            for topic, bit in BITS.items():
                for word in _spelled(table, topic):
                    self._add(word, bit, table.get("inside", False))
            for phrase in _spelled(table, "not"):
                inside = table.get("inside", False)
                self._friends[phrase[0] if inside else phrase.split()[0]].append(phrase if inside else f" {phrase} ")
        for phrases in self._friends.values():
            phrases.sort(key=len, reverse=True)  # "naked mole rat" before "naked mole"
        self._telling = self._words.keys() | {self._rarest(one) for some in self._phrases.values() for one in some}
        self._heads = frozenset(one[:_HEAD] for one in self._beginnings)
        self._lengths = tuple(sorted({len(one) for one in self._beginnings}))

    def _add(self, word: str, bit: int, inside: bool) -> None:
        if inside:
            self._inside[word[0]][word] = self._inside[word[0]].get(word, 0) | bit
        elif word.endswith("*"):
            self._beginnings[word[:-1]] |= bit
        elif " " in word:
            first = self._phrases[word.split()[0]]
            first[f" {word} "] = first.get(f" {word} ", 0) | bit
        else:
            self._words[word] |= bit

    def _rarest(self, phrase: str) -> str:
        """The word that says most surely that a text holds a phrase: one that counts by itself, else the longest."""
        letters = [one for one in phrase.split() if not one.isdigit()]
        return max(letters, key=lambda one: (one in self._words, len(one)))

    def topics(self, text: str) -> int:
        """The topics that a text as `curate.policy.text.plain` gives it is about."""
        found = self._found(text)
        if found and (bare := self._without_friends(text)) != text:
            return self._found(bare)
        return found

    def hints(self, piece: str) -> bool:
        """Whether a text may be about something for this piece of it: it has a word of a topic, or of a phrase the word
        that tells most, or begins like one."""
        each = set(piece.split())
        if not self._telling.isdisjoint(each):
            return True
        if piece.isascii():
            return False  # so is no beginning, and nothing that is found inside
        heads = {word[:_HEAD] for word in each}
        return not (self._heads.isdisjoint(heads) and self._inside.keys().isdisjoint(piece))

    def _found(self, text: str) -> int:
        each, found = set(text.split()), 0
        for word in self._words.keys() & each:
            found |= self._words[word]
        for first in self._phrases.keys() & each:
            for phrase, bit in self._phrases[first].items():
                if phrase in text:
                    found |= bit
        if text.isascii():
            return found
        if not self._heads.isdisjoint([word[:_HEAD] for word in each]):
            for beginning in self._beginnings.keys() & {word[:length] for word in each for length in self._lengths}:
                found |= self._beginnings[beginning]
        for first in self._inside.keys() & set(text):
            for part, bit in self._inside[first].items():
                if part in text:
                    found |= bit
        return found

    def _without_friends(self, text: str) -> str:
        firsts = set(text.split()) if text.isascii() else {*text.split(), *text}
        for first in sorted(self._friends.keys() & firsts):
            for phrase in self._friends[first]:
                while phrase in text:  # two that share a space are not replaced at once
                    text = text.replace(phrase, " | ")
        return text


_HEAD = 4  # characters that beginnings share at least


def _spelled(table: Mapping[str, Any], key: str) -> Iterator[str]:
    """A table's words for a topic as they are looked for."""
    for word in table.get(key, ()):
        for prefix in ("", *table.get("prefixes", ())):
            yield plain(prefix + word.rstrip("*")).strip() + "*" * word.endswith("*")


@cache
def tables() -> Mapping[str, Mapping[str, Any]]:
    """The files, by the name of the language."""
    here = files("labelers._words")
    found = sorted((one.name.removesuffix(".toml"), one) for one in here.iterdir() if one.name.endswith(".toml"))
    return {name: tomllib.loads(one.read_text(encoding="utf-8")) for name, one in found}


@cache
def lexicon() -> Lexicon:
    """All languages."""
    return Lexicon({name: table for name, table in tables().items() if name != ITEMS})


@cache
def items() -> Mapping[str, int]:
    """The topics of an item of Wikidata."""
    found: defaultdict[str, int] = defaultdict(int)
    for topic, bit in BITS.items():
        for item in tables()[ITEMS].get(topic, ()):
            found[item] |= bit
    return found


def topics(text: str) -> int:
    """What a text is about. Most texts have no word that any list has, and each piece is looked up once."""
    if not any(map(_hints, pieces(text, digits="%" in text))):
        return 0
    return lexicon().topics(spoken(text, accents=False))


@lru_cache(maxsize=1 << 17)
def _hints(piece: str) -> bool:
    return lexicon().hints(plain(readings(piece)))


category = lru_cache(maxsize=1 << 16)(topics)  # many files share one
