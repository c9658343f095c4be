"""`curate doctor --plugin`: the suite on one file, and what is wrong with it."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.options import Plugin, build, own_file
from curate.plugins import NAMED, names, of_file
from curate.testing import KINDS, package_of, problems


def diagnose(path: Path, tables: Iterable[Plugin]) -> Iterator[tuple[str, bool | None, str]]:
    """What was looked at, whether it is well (None: it was not tried), and what was found.

    It is built from the options of the table that names it, or without any. Raises UsageError for a file that cannot be
    run, or that has nothing of any contract.
    """
    cls = of_file(path)
    package = package_of(cls)
    if package is None:
        raise UsageError(f"plugin: {path}: {cls.__name__} has nothing of what a {' or '.join(KINDS.values())} has")
    kind = KINDS[package]
    yield "plug-in", True, f"{cls.__name__}, a {kind}"
    taken = path.stem in names(package)
    yield "name", not taken, f"curate has a {kind} of that name" if taken else path.stem
    found = problems(package, cls)
    yield "contract", not found, "; ".join(f"it {one}" for one in found) or f"keeps that of a {kind}"
    if not found:
        ours = [one for one in tables if own_file(one.use) and Path(one.use).resolve() == path.resolve()]
        yield _behaviour(package, cls, ours[0] if ours else Plugin(path.stem), path.name)


def _behaviour(package: str, cls: type[Any], table: Plugin, name: str) -> tuple[str, bool | None, str]:
    said = {key: value for key, value in table.options.items() if key != "name" or package not in NAMED}
    needed = [
        one.name
        for one in dataclasses.fields(cls)
        if one.default is one.default_factory is dataclasses.MISSING and one.name not in said
    ]
    if needed:
        return (
            "behaviour",
            None,
            f"not tried: it needs {', '.join(needed)}, and no table of curate.toml names this file; "
            f'add one with use = "./{name}" and these keys',
        )
    try:
        plugin = build(cls, said, "options", table.base)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the plug-in's)
        return "behaviour", False, f"cannot be built: {type(error).__name__}: {error}"
    found = problems(package, plugin)
    return "behaviour", not found, "; ".join(f"it {one}" for one in found) or "does what its contract promises"
