"""`curate doctor --plugin`: the suite on one file, and what is wrong with it."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from curate.contracts import Labeler
from curate.errors import UsageError, described
from curate.label import functions as voting
from curate.label.run import fields_of
from curate.label.slices import is_slicing
from curate.options import Plugin, build, own_file
from curate.plugins import NAMED, names, of_file
from curate.records import Axis
from curate.testing import KINDS, package_of, problems

Looked = tuple[str, bool | None, str]  # what was looked at, whether it is well (None: not tried), and what was found


def diagnose(path: Path, tables: Iterable[Plugin], axes: Sequence[Axis] = ()) -> Iterator[Looked]:
    """What was looked at of a plug-in in a file.

    It is built from the options of the table that names it, or without any; a labeler's `functions` are asked for on
    the axes that are given. Raises UsageError for a file that cannot be
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
        yield from _behaviour(package, cls, ours[0] if ours else Plugin(path.stem), path.name, axes)


def _behaviour(package: str, cls: type[Any], table: Plugin, name: str, axes: Sequence[Axis]) -> Iterator[Looked]:
    said = {key: value for key, value in table.options.items() if key != "name" or package not in NAMED}
    needed = [
        one.name
        for one in dataclasses.fields(cls)
        if one.default is one.default_factory is dataclasses.MISSING and one.name not in said
    ]
    if needed:
        why = f"it needs {', '.join(needed)}, and no table of curate.toml names this file"
        yield "behaviour", None, f'not tried: {why}; add one with use = "./{name}" and these keys'
        return
    try:
        plugin = build(cls, said, "options", table.base)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the plug-in's)
        yield "behaviour", False, f"cannot be built: {described(error)}"
        return
    found = problems(package, plugin)
    yield "behaviour", not found, "; ".join(f"it {one}" for one in found) or "does what its contract promises"
    if package == "labelers" and axes:
        yield _functions(plugin, axes)


def _functions(plugin: Labeler, axes: Sequence[Axis]) -> Looked:
    """Whether `label` could ask the functions beside a labeler; none is asked about anything."""
    try:
        made = [(axis, voting.unique(voting.functions_of([plugin])(axis, fields_of([plugin])))) for axis in axes]
        for axis, some in made:
            voting.check([one for one in some if not is_slicing(one)], axis)
    except UsageError as error:
        return "functions", False, str(error)
    return "functions", True, "; ".join(f"{len(some)} on axis {axis.name}" for axis, some in made)
