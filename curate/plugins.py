"""Finds plug-ins by file name, imports only those that are named, and builds them from their table."""

import dataclasses
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from curate.errors import UsageError
from curate.marks import fingerprint
from curate.toml import Plugin, build, join, suggest


def names(package: str) -> list[str]:
    """The plug-ins of a package: its files. Imports none of them."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def module(package: str, name: str, where: str, kind: str) -> ModuleType:
    """The file of a plug-in; raises UsageError with the nearest name."""
    if name not in (known := names(package)):
        folder = next(iter(importlib.import_module(package).__path__))
        said = f"{join(where, name)}: no such {kind}; {suggest(name, known)}"
        raise UsageError(f"{said} (one of your own is a file in {folder})")
    return importlib.import_module(f"{package}.{name}")


def make(package: str, table: Plugin, kind: str) -> Any:
    """The plug-in that a table names, built from its options."""
    found = module(package, table.use, table.where, kind)
    return build(plugin_class(found), table.options, join(table.where, table.use), table.base)


def plugin_class(found: ModuleType) -> type[Any]:
    """The one class of a plug-in's file that bears the file's name (`open_nsfw.py`: `OpenNsfw`)."""
    name = found.__name__.rpartition(".")[2]
    wanted = name.replace("_", "").lower()
    for value in vars(found).values():
        if isinstance(value, type) and value.__module__ == found.__name__ and value.__name__.lower() == wanted:
            return value
    raise UsageError(f"{found.__name__}: the file has no dataclass named like it")


def name_of(plugin: object) -> str:
    """A plug-in's name: its file's."""
    return type(plugin).__module__.rpartition(".")[2]


def options_of(plugin: Any) -> dict[str, Any]:
    """A plug-in's options as JSON can hold them."""
    return {f.name: _plain(getattr(plugin, f.name)) for f in dataclasses.fields(plugin)}


def mark_of(plugin: Any) -> str:
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
