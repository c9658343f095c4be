"""Finds plug-ins by file name, imports only those that are named, and builds them from their table."""

import dataclasses
import importlib.util
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import curate
from curate import contracts
from curate.errors import UsageError
from curate.fingerprint import fingerprint
from curate.options import Plugin, build, join, suggest
from curate.policy import trust

CONTRACTS: Mapping[str, Any] = {
    "sources": contracts.Source,
    "labelers": contracts.Labeler,
    "manifests": contracts.ReleaseFormat,
    "curate.label.models": contracts.LabelModel,
    "curate.engine": contracts.Engine,
    "curate.review.queues": contracts.QueryStrategy,
    "curate.screening.lists": contracts.HashList,
    "curate.screening.matchers": contracts.Matcher,
}


def names(package: str) -> list[str]:
    """The plug-ins of a package: its files. Imports none of them."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def module(package: str, name: str, where: str, kind: str) -> ModuleType:
    """The file of a plug-in, run; raises UsageError with the nearest name, and for a file that somebody else could have
    written or that cannot be run."""
    if name not in (known := names(package)):
        folder = next(iter(importlib.import_module(package).__path__))
        said = f"{join(where, name)}: no such {kind}; {suggest(name, known)}"
        raise UsageError(f"{said} (one of your own is a file in {folder})")
    spec = importlib.util.find_spec(f"{package}.{name}")
    found = Path(spec.origin if spec and spec.origin else name)
    trust.check(found, like=Path(curate.__file__))  # who owns this program is obeyed already
    try:
        return importlib.import_module(f"{package}.{name}")
    except (Exception, SystemExit) as error:  # what a file of one's own may raise is that file's fault
        raise UsageError(f"{join(where, name)}: {found}: {type(error).__name__}: {error}") from error


def make(package: str, table: Plugin, kind: str) -> Any:
    """The plug-in that a table names, built from its options; raises UsageError where it does not keep its contract."""
    found = module(package, table.use, table.where, kind)
    made = build(plugin_class(found), table.options, join(table.where, table.use), table.base)
    for name, promised in sorted(_promised(CONTRACTS[package]).items()):
        if problem := _broken(made, name, promised):
            where = f"{join(table.where, table.use)}: {found.__file__}: {type(made).__name__}"
            raise UsageError(f"{where} {problem}; curate/contracts.py says what a {kind} has")
    return made


def _promised(contract: Any) -> dict[str, Any]:
    """What a contract asks for, by name; annotations without a value are data."""
    bases = [
        base for base in contract.__mro__ if base not in (object, Protocol) and base.__module__ == contract.__module__
    ]
    found: dict[str, Any] = {}
    for base in reversed(bases):
        found |= dict.fromkeys(base.__annotations__) | vars(base)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _broken(made: object, name: str, promised: Any) -> str | None:
    """What is wrong with one thing that a contract asks for; None where it is as it should be."""
    method = inspect.isfunction(promised)
    missing = object()
    if inspect.getattr_static(made, name, missing) is missing:
        return f"lacks {name}()" if method else f"lacks `{name}`"
    if not method:
        return None
    given = getattr(made, name)
    if not callable(given):
        return f"has `{name}`, which is no method"
    asked = list(inspect.signature(promised).parameters)[1:]
    try:
        inspect.signature(given).bind(*asked)
    except TypeError:
        return f"has {name}() that does not take ({', '.join(asked)})"
    except ValueError:  # compiled, without a signature
        return None
    return None


def plugin_class(found: ModuleType) -> type[Any]:
    """The one class of a plug-in's file that bears the file's name (`open_nsfw.py`: `OpenNsfw`)."""
    name = found.__name__.rpartition(".")[2]
    wanted = name.replace("_", "").lower()
    for value in vars(found).values():
        if isinstance(value, type) and value.__module__ == found.__name__ and value.__name__.lower() == wanted:
            if not dataclasses.is_dataclass(value):
                raise UsageError(f"{found.__file__}: {value.__name__} is no dataclass: its fields are its options")
            return value
    raise UsageError(
        f"{found.__file__}: no dataclass {name.title().replace('_', '')} in it: the file's name says its name"
    )


def name_of(plugin: object) -> str:
    """A plug-in's name: its file's."""
    return type(plugin).__module__.rpartition(".")[2]


def options_of(plugin: Any) -> dict[str, Any]:
    """A plug-in's options as JSON can hold them."""
    return {f.name: _plain(getattr(plugin, f.name)) for f in dataclasses.fields(plugin)}


def fingerprint_of(plugin: Any) -> str:
    """The fingerprint of a plug-in's table: name, version, options."""
    return fingerprint(name_of(plugin), getattr(plugin, "version", 0), options_of(plugin))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return options_of(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
