"""Finds every plug-in by its file and runs the shared suite on it, so that none is left out by forgetting."""

import ast
import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest

from curate.plugins import CONTRACTS, names, plugin_class
from curate.testing import package_of, problems

ROOT = Path(__file__).resolve().parent.parent
ALL = [(package, name) for package in CONTRACTS for name in names(package)]


@pytest.fixture(params=ALL, ids=lambda pair: f"{pair[0]}.{pair[1]}")
def plugin(request: pytest.FixtureRequest) -> tuple[str, Any]:
    package, name = request.param
    return package, plugin_class(importlib.import_module(f"{package}.{name}"))


def test_a_plugin_keeps_its_contract(plugin: tuple[str, Any]) -> None:
    package, cls = plugin
    assert problems(package, cls) == []


def test_a_plugin_without_needed_options_does_what_it_promises(plugin: tuple[str, Any]) -> None:
    package, cls = plugin
    needed = [one for one in dataclasses.fields(cls) if one.default is one.default_factory is dataclasses.MISSING]
    if not needed and cls.__name__ != "Commons":  # wants one of two
        assert problems(package, cls()) == []


def test_a_plugin_is_told_by_its_shape(plugin: tuple[str, Any]) -> None:
    package, cls = plugin
    if package != "curate.engine":
        assert package_of(cls) == package


def test_contracts_are_small() -> None:
    tree = ast.parse((ROOT / "curate" / "contracts.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 15, f"{node.name} has {length} lines; contracts may only shrink"
