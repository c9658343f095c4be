"""What is written of a picture: which topics its titles, captions, categories and depicted items speak of."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from curate.contracts import Decoded, Resources
from curate.records import Axis
from labelers._words import TOPICS, category, items, lexicon, topics
from labelers._words.votes import voters

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

FILED, NAMED, TOLD = 1.0, 0.75, 0.5  # in a category or as a depicted item; in a title or file name; in longer text


@dataclass
class Words:
    """Keyword features from every mention of a picture, in 16 languages.

    A column a topic: 1 where a category or a depicted item speaks of it, 0.75 a title or file name, 0.5 a description,
    a caption or a local file's folders, 0 nothing; NaN where there is nothing but a file name that says nothing. A
    folder that is named like a declared class counts for nothing, since `declared` votes by it. Sees words, never
    pictures; misspellings, code words and other languages pass unseen; letters of
    another alphabet in a word do not. Reads no pixels and is never cached, since a
    later fetch may say more.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=0, batch=4096)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(TOPICS, "float32")
    slices: ClassVar[Mapping[str, tuple[str, float, float]]] = {topic: (topic, NAMED, FILED) for topic in TOPICS}

    def load(self) -> None:
        """Read the words."""
        lexicon()

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """How plainly each topic is spoken of."""
        import numpy as np

        filed, named, told, nothing = np.array([_found(one) for one in batch], dtype=np.int64).reshape(-1, 4).T
        return {topic: _level(1 << place, filed, named, told, nothing) for place, topic in enumerate(TOPICS)}


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """Votes for sets of classes, on axes with an explicit class; `labelers._words.votes` says which."""
    return voters(axis) if f"words_{TOPICS[0]}" in columns else []


def _level(bit: int, filed: Any, named: Any, told: Any, nothing: Any) -> "np.ndarray":
    import numpy as np

    found = np.select(
        [filed & bit > 0, named & bit > 0, told & bit > 0, nothing > 0], [FILED, NAMED, TOLD, np.nan], 0.0
    )
    return found.astype(np.float32)


def _found(one: Decoded) -> tuple[int, int, int, bool]:
    """The topics in categories and items, in names, in other text; and whether nothing is said at all."""
    known, filed = items(), 0
    for item in one.depicts:
        filed |= known.get(item, 0)
    for name in one.categories:
        filed |= category(name)
    named = _any((one.title, one.file_name if one.file_name != one.title else ""))
    told = _any((one.description, *_folders(one)))
    said = one.title or one.description or one.categories or one.depicts or filed | named | told
    return filed, named, told, not said


def _any(texts: Iterable[str]) -> int:
    found = 0
    for text in texts:
        if text:
            found |= topics(text.replace("\n", " | "))
    return found


def _folders(one: Decoded) -> Iterator[str]:
    """The folders of a local file, but for those that are named after a declared class."""
    if one.host or "/" not in one.ref:
        return
    declared = {name.casefold() for classes in one.declared.values() for name in classes}
    for path in one.ref.split("\n"):
        yield from (part for part in path.split("/")[:-1] if part.casefold() not in declared)
