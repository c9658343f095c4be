"""What is never taken, whatever the configuration says: refused sources, denied categories, what may show minors."""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from curate.policy.minors import suggests_minor
from curate.policy.refusals import denied_category, refused
from curate.records import Candidate

PERSONS = frozenset({"author", "credit", "license_url", "restrictions", "revision", "taken", "uploader", "usage_terms"})
CATEGORIES = frozenset({"categories", "category_path"})
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What the policy says of a candidate: `blocked` and `denied` say why it may not enter (None: it may)."""

    blocked: str | None = None  # a refused source: the failure blocked_source
    denied: str | None = None  # a denied category, or a minor beside a class that is not safe: denied_category
    may_depict_minors: bool = False


def judge(candidate: Candidate, safe: Container[str | None]) -> PolicyVerdict:
    """What a candidate's own words say of it; `safe` are the taxonomy's safe classes, and no label is not among them.

    Denied categories and refused sources hold for every class; a suggestion of minors bars from classes that are not
    safe, and marks the others. The reasons are ids of patterns and never hold a URL.
    """
    for text in _places(candidate):
        if (refusal := refused(text)) is not None:
            return PolicyVerdict(blocked=refusal.id)
    for name in _categories(candidate):
        if (refusal := denied_category(name)) is not None:
            return PolicyVerdict(denied=f"denied category {refusal.id}")
    found = suggests_minor(*_words(candidate))
    if found is not None and candidate.label not in safe:
        return PolicyVerdict(denied=f"may depict minors: {found}")
    return PolicyVerdict(may_depict_minors=found is not None)


def _places(candidate: Candidate) -> Iterator[str]:
    """Where a candidate comes from; a path on this machine counts by its `ref`, since its folders are the user's. A
    `ref` that is a sha256 (a row of a release that is fetched anew) says nothing: one in 2,400 holds `bebe`."""
    if _SHA256.fullmatch(candidate.ref) is None:
        yield candidate.ref
    if candidate.locator.kind == "url":
        yield candidate.locator.value
    if candidate.album is not None:
        yield candidate.album


def _categories(candidate: Candidate) -> Iterator[str]:
    if candidate.label is not None:
        yield candidate.label
    if candidate.album is not None:
        yield candidate.album
    for key in CATEGORIES & candidate.facts.keys():
        yield from _texts(candidate.facts[key])


def _words(candidate: Candidate) -> Iterator[str]:
    """Everything that is said of what a candidate shows; names of persons who made it say nothing of that."""
    yield from _places(candidate)
    if candidate.upstream is not None and candidate.upstream.title is not None:
        yield candidate.upstream.title
    for key in sorted(candidate.facts.keys() - PERSONS):
        yield from _texts(candidate.facts[key])


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
