"""Finds every plug-in by its file and runs the shared suite on it, so that none is left out by forgetting."""

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from curate.plugins import names, plugin_class

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "sources": ("classes", "pages"),
    "labelers": ("load", "label"),
    "manifests": ("write",),
    "curate.label.models": ("predict",),
    "curate.engine": ("prepare", "map"),
    "curate.screening.lists": ("rows", "dispute"),
    "curate.screening.matchers": ("check", "ask"),
    "curate.review.queues": ("pick",),
}
ALL = [(package, name) for package in PACKAGES for name in names(package)]


@pytest.fixture(params=ALL, ids=lambda pair: f"{pair[0]}.{pair[1]}")
def plugin(request: pytest.FixtureRequest) -> tuple[str, Any]:
    package, name = request.param
    return package, plugin_class(importlib.import_module(f"{package}.{name}"))


def test_a_plugin_is_a_dataclass_with_a_docstring(plugin: tuple[str, Any]) -> None:
    _, cls = plugin
    assert dataclasses.is_dataclass(cls), f"{cls}: its fields are its options, so it is a dataclass"
    assert inspect.getdoc(cls), f"{cls} has no docstring"


def test_a_plugin_keeps_its_contract(plugin: tuple[str, Any]) -> None:
    package, cls = plugin
    for method in PACKAGES[package]:
        assert callable(getattr(cls, method, None)), f"{cls.__name__} lacks {method}()"


def test_a_labeler_says_what_it_needs_and_gives(plugin: tuple[str, Any]) -> None:
    package, cls = plugin
    if package == "labelers":
        assert cls.version >= 1
        assert cls.needs.side in (0, 256, 512, 1024)
        assert cls.columns


def test_a_queue_says_what_may_rest_on_it(plugin: tuple[str, Any]) -> None:
    package, cls = plugin
    if package == "curate.review.queues":
        assert cls.blind in (True, False)
        assert cls.blind or not cls.reported, "a figure rests on judgements that nothing leaned on"


def test_contracts_are_small() -> None:
    tree = ast.parse((ROOT / "curate" / "contracts.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 15, f"{node.name} has {length} lines; contracts may only shrink"
