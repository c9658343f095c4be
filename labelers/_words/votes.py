"""What words are worth as votes. Words are weak evidence: most votes are for several classes, and few are flags.

Which classes a vote is for: `safe`, those that the axis calls safe; `unsafe`, the others; `gentle`, all but the
explicit ones; one medium's, all that are not the other's alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from curate.records import Axis
from labelers._columns import Columns, Rule, first, voter
from labelers._words import TOPICS

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

EXPLICIT = ("porn", "hentai", "nsfw", "explicit")  # classes that explicit words mean, those that the axis has
SUGGESTIVE = "sexy"
OF_DRAWINGS, OF_PHOTOGRAPHS = ("drawings", "hentai"), ("neutral", "porn", "sexy")  # classes of one medium alone
PLAIN = 0.75  # from here on a topic is in a title, a file name, a category or a depicted item


def voters(axis: Axis) -> "list[LabelingFunction]":
    """The functions of an axis; none on one without an explicit class, or where that is called safe."""
    explicit = tuple(name for name in axis.classes if name in EXPLICIT)
    safe = tuple(name for name in axis.classes if name in axis.safe)
    if not explicit or not safe or set(explicit) & set(safe):
        return []
    unsafe = tuple(name for name in axis.classes if name not in safe)
    gentle = tuple(name for name in axis.classes if name not in explicit)
    made = [
        _voter(
            "explicit", _explicit, (_medium(explicit, OF_DRAWINGS), _medium(explicit, OF_PHOTOGRAPHS), explicit, unsafe)
        ),
        _voter("nudity", _nudity, (unsafe,)),
        _voter("underwear_swim", _clothed, (gentle,)),
        _voter("art", _in_art("art"), (safe, gentle)),
        _voter("sculpture", _in_art("sculpture"), (safe, gentle)),
        *(_voter(topic, _harmless(topic), (safe,)) for topic in ("swimming", "wrestling", "medical", "everyday")),
        _voter("breastfeeding", _breastfeeding, (safe,)),
    ]
    if SUGGESTIVE in unsafe:
        made.append(_voter("suggestive", _suggestive, (SUGGESTIVE,)))
    if {"drawings", "neutral"} <= set(axis.classes):
        media = tuple(tuple(n for n in axis.classes if n not in out) for out in (OF_PHOTOGRAPHS, OF_DRAWINGS))
        made.append(_voter("medium", _drawn_or_photographed, media))
    return made


def _medium(explicit: Sequence[str], of: Sequence[str]) -> Sequence[str]:
    return tuple(name for name in explicit if name in of) or explicit


def _voter(name: str, vote: Rule, sets: Sequence[str | Sequence[str]]) -> "LabelingFunction":
    return voter(f"words_{name}", vote, [f"words_{topic}" for topic in TOPICS], sets)


def _said(columns: Columns, *topics: str, least: float = PLAIN) -> "np.ndarray":
    """bool[n], where one of the topics is spoken of that plainly; NaN is nothing."""
    import numpy as np

    found: np.ndarray = np.zeros(len(columns[f"words_{topics[0]}"]), dtype=bool)
    for topic in topics:
        found |= columns[f"words_{topic}"] >= least
    return found


def _hinted(columns: Columns, *topics: str) -> "np.ndarray":
    return _said(columns, *topics, least=0.5)


# -- flags -----------------------------------------------------------------------------------------------------------


def _explicit(c: Columns) -> "np.ndarray":
    """Sexual acts, of the medium that is named; in art: not safe, whichever class. Nothing where doctors speak."""
    found = _said(c, "sexual") & ~_hinted(c, "medical", "breastfeeding")
    drawn, photographed = _said(c, "drawn"), _said(c, "photograph")
    return first(
        (found & _hinted(c, "art", "sculpture"), 3), (found & drawn & ~photographed, 0),
        (found & photographed & ~drawn, 1), (found, 2),
    )  # fmt: skip


def _nudity(c: Columns) -> "np.ndarray":
    """Nudity of people, where no art, medicine or breastfeeding is spoken of."""
    return first((_said(c, "nudity") & ~_hinted(c, "art", "sculpture", "medical", "breastfeeding"), 0))


def _suggestive(c: Columns) -> "np.ndarray":
    return first((_said(c, "suggestive") & ~_hinted(c, "art", "sculpture", "medical", "sexual"), 0))


# -- what looks like it and is not -----------------------------------------------------------------------------------


def _clothed(c: Columns) -> "np.ndarray":
    return first((_said(c, "underwear_swim") & ~_hinted(c, "nudity", "sexual"), 0))


def _in_art(topic: str) -> Rule:
    """Works of art: safe; where they are nudes, not explicit."""

    def vote(c: Columns) -> "np.ndarray":
        found = _said(c, topic) & ~_hinted(c, "sexual", "suggestive")
        return first((found & _hinted(c, "nudity"), 1), (found, 0))

    return vote


def _harmless(topic: str) -> Rule:
    """A topic of which nothing but its own is said that could be taken for something else."""

    def vote(c: Columns) -> "np.ndarray":
        return first((_said(c, topic) & ~_hinted(c, "nudity", "sexual", "suggestive"), 0))

    return vote


def _breastfeeding(c: Columns) -> "np.ndarray":
    return first((_said(c, "breastfeeding") & ~_hinted(c, "sexual", "suggestive") & ~_said(c, "nudity"), 0))


def _drawn_or_photographed(c: Columns) -> "np.ndarray":
    """The medium; a photograph of a work of art is that of neither."""
    drawn, photographed = _said(c, "drawn"), _said(c, "photograph")
    return first((drawn & ~photographed, 0), (photographed & ~drawn & ~_hinted(c, "drawn", "art"), 1))
