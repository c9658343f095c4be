"""What every plug-in must do, for its author's own tests: each function raises AssertionError with what is wrong.

    from curate.testing import check_labeler
    from mine import Mine

    def test_mine():
        check_labeler(Mine())

Given a class, only its shape is looked at; given one that is built from its options, it is tried, on harmless data
that is made here, without the network.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from curate import contracts
from curate.plugins import CONTRACTS, GROUPS
from curate.testing import behaviour
from curate.testing.shape import shape

KINDS = {  # package -> what a plug-in of it is
    "sources": "source",
    "labelers": "labeler",
    "manifests": "format",
    "curate.label.models": "label model",
    "curate.review.queues": "queue",
    "curate.screening.lists": "hash list",
    "curate.screening.matchers": "matcher",
    "curate.engine": "engine",
}
_TRIED: dict[str, Callable[[Any], Iterator[str]]] = {
    "sources": behaviour.source,
    "labelers": behaviour.labeler,
    "manifests": behaviour.release_format,
    "curate.label.models": behaviour.label_model,
    "curate.review.queues": behaviour.queue,
    "curate.screening.lists": behaviour.hash_list,
}

__all__ = [
    "check_format", "check_hash_list", "check_label_model", "check_labeler", "check_matcher", "check_queue",
    "check_source", "package_of", "problems",
]  # fmt: skip


def problems(package: str, plugin: Any) -> list[str]:
    """What is wrong with a plug-in of a package, or with its class: its shape first, then what it does."""
    found = list(shape(package, plugin))
    if found or isinstance(plugin, type) or package not in _TRIED:
        return found
    return list(behaviour.tried(_TRIED[package], plugin))


def package_of(cls: type[Any]) -> str | None:
    """The package whose contract a class comes nearest to; None where it has nothing of any."""
    fields = [one.name for one in dataclasses.fields(cls)]
    shares = {package: contracts.likeness(CONTRACTS[package], cls, fields) for package in GROUPS}
    best = max(shares, key=lambda package: shares[package])
    return best if shares[best] > 0 else None


def check_source(plugin: Any) -> None:
    """It lists the same in the same order, a cursor leads to the page after it, and each class is one that it names."""
    _check("sources", plugin)


def check_labeler(plugin: Any) -> None:
    """It gives the columns that it names, a row a sample, and the same for a sample whatever comes with it."""
    _check("labelers", plugin)


def check_format(plugin: Any) -> None:
    """It writes a file at least, and the same bytes from the same release."""
    _check("manifests", plugin)


def check_label_model(plugin: Any) -> None:
    """It gives probabilities, none where nobody votes, and the same each time."""
    _check("curate.label.models", plugin)


def check_queue(plugin: Any) -> None:
    """It picks rows of the pool, each once, no more than asked for, and the same each time."""
    _check("curate.review.queues", plugin)


def check_hash_list(plugin: Any) -> None:
    """It yields every row of its file, readable or not, and raises UsageError where there is none."""
    _check("curate.screening.lists", plugin)


def check_matcher(plugin: Any) -> None:
    """It has the shape of one; nobody is asked."""
    _check("curate.screening.matchers", plugin)


def _check(package: str, plugin: Any) -> None:
    cls = plugin if isinstance(plugin, type) else type(plugin)
    found = problems(package, plugin)
    if found:  # no `assert`, which `python -O` takes away
        raise AssertionError(f"{cls.__name__}, a {KINDS[package]}: it {'; it '.join(found)}")
