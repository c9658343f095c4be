"""The file that says what became of each class: `curate relabel --mapping FILE`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.options import suggest, toml_file
from curate.records import UNSURE, Axis, Taxonomy
from curate.store.taxonomies import Targets

KEYS = ("version", "from", "reason", "axes")


@dataclass(frozen=True)
class Remap:
    """By axis what each old class became: one new class (what people said of it is carried over), several (a split:
    people decide anew), or none (dropped: they decide anew, too).

    `origin` is the version that it is from, None where the file does not say.
    """

    version: str
    origin: str | None
    reason: str
    axes: Mapping[str, Targets]


def read(path: Path, taxonomy: Taxonomy) -> Remap:
    """The mapping of a file, checked against the taxonomy that it leads to; raises UsageError with file and key."""
    table = toml_file(path)
    try:
        return _remap(table, taxonomy)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _remap(table: Mapping[str, Any], taxonomy: Taxonomy) -> Remap:
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{key}: no such key; {suggest(key, KEYS)}")
    version, origin, reason = (table.get(key) for key in ("version", "from", "reason"))
    for key, value in (("version", version), ("from", origin), ("reason", reason)):
        if not isinstance(value, str) and (value is not None or key == "version"):
            raise UsageError(f"{key}: {value!r} is not a string" if value is not None else f"{key}: this key is needed")
    if version != taxonomy.version:
        raise UsageError(f"version: '{version}', and curate.toml has taxonomy {taxonomy.version}")
    if origin == version:
        raise UsageError(f"from: a mapping from {origin} to itself; a new policy has a version of its own")
    given = table.get("axes")
    if not isinstance(given, dict) or not given:
        raise UsageError("axes: say of each axis what became of its classes: [axes.content]")
    known = {axis.name: axis for axis in taxonomy.axes}
    return Remap(str(version), origin, reason or "", {name: _axis(name, one, known) for name, one in given.items()})


def _axis(name: str, given: Any, known: Mapping[str, Axis]) -> Targets:
    if name not in known:
        raise UsageError(f"axes.{name}: no such axis; {suggest(name, known)}")
    if not isinstance(given, dict) or not given:
        raise UsageError(f"axes.{name}: a table with a line for each class, please")
    if UNSURE in given:
        raise UsageError(f"axes.{name}.{UNSURE}: no class; who could not tell still cannot")
    found = {old: _targets(f"axes.{name}.{old}", value, known[name]) for old, value in given.items()}
    if (ring := _cycle(found)) is not None:
        raise UsageError(
            f"axes.{name}: {' -> '.join(ring)}: a cycle, by which names change their meaning and nobody could tell old"
            " labels from new ones; give the new classes names of their own"
        )
    return found


def _targets(where: str, value: Any, axis: Axis) -> tuple[str, ...]:
    if value is False:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise UsageError(f"{where}: {value!r}: give a class, a list of classes (decided anew), or false (dropped)")
    for name in names:
        if name not in axis.classes:
            raise UsageError(f"{where}: no such class '{name}' on axis {axis.name}; {suggest(name, axis.classes)}")
    if len(set(names)) != len(names):
        raise UsageError(f"{where}: a class is there twice")
    return tuple(names)


def _cycle(found: Targets) -> list[str] | None:
    """Classes each of which becomes the next, the last one the first; None where there is no such ring."""
    for start in found:
        ring, at = [start], start
        while len(found.get(at, ())) == 1 and (at := found[at][0]) not in ring:
            ring.append(at)
        if at == start and len(ring) > 1:
            return [*ring, start]
    return None


def check_former(remap: Remap, before: Mapping[str, Axis], now: Taxonomy) -> None:
    """Refuse a class that the earlier taxonomy did not have, and a merge of what was safe with what was not into one
    that is; raises UsageError. `before`: its axes, where they are known."""
    after = {axis.name: axis for axis in now.axes}
    for name, each in remap.axes.items():
        if (old := before.get(name)) is None:
            continue
        for one in each:
            if one not in old.classes:
                raise UsageError(
                    f"axes.{name}.{one}: the earlier taxonomy had no such class; {suggest(one, old.classes)}"
                )
        for target, some in _merged(each):
            risky = [one for one in some if one not in old.safe]
            if target in after[name].safe and risky and len(risky) < len(some):
                fine = next(one for one in some if one in old.safe)
                raise UsageError(
                    f"axes.{name}: '{fine}', which was safe, and '{risky[0]}', which was not, both become '{target}',"
                    f' which is safe: these contradict each other; {risky[0]} = ["{target}", ...] has people decide'
                )


def _merged(each: Targets) -> Iterator[tuple[str, list[str]]]:
    """The new classes that several old ones become, with these."""
    into: dict[str, list[str]] = {}
    for old, new in each.items():
        if len(new) == 1:
            into.setdefault(new[0], []).append(old)
    yield from ((target, some) for target, some in into.items() if len(some) > 1)
