"""`curate taxonomy diff`: what differs between the taxonomies of two config files, and a mapping to start from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.config import parse
from curate.errors import UsageError
from curate.records import Axis, Taxonomy


def read(path: Path) -> Taxonomy:
    """The taxonomy of a config file of any name; raises UsageError as `config.load` does."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"), path.parent, path.name).taxonomy
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error


def diff(old: Taxonomy, new: Taxonomy) -> dict[str, Any]:
    """By axis which classes came, went and stayed, and which are called safe or borderline otherwise than before.

    `same`: nothing differs but the version, or nothing at all. `draft`: a mapping file with a line for each old class.
    """
    before, after = ({axis.name: axis for axis in one.axes} for one in (old, new))
    axes = {name: _axis(before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])}
    said: dict[str, Any] = {"from": old.version, "to": new.version, "axes": axes}
    said["same"] = not any(any(one[key] for key in _KEYS if key != "kept") for one in axes.values())
    return said | {"draft": draft(old, new)}


_KEYS = ("added", "removed", "kept", "now_safe", "no_longer_safe", "now_borderline", "no_longer_borderline")


def _axis(old: Axis | None, new: Axis | None) -> dict[str, list[str]]:
    """Lists of classes, each in its axis's order; an axis that is in one of the two only has them all new, or gone."""
    before, after = (one.classes if one else () for one in (old, new))
    both = [name for name in before if name in after]
    found = {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "kept": both,
    }
    for name in ("safe", "borderline"):
        was, now = (getattr(one, name) if one else () for one in (old, new))
        found[f"now_{name}"] = [one for one in both if one in now and one not in was]
        found[f"no_longer_{name}"] = [one for one in both if one in was and one not in now]
    return found


def draft(old: Taxonomy, new: Taxonomy) -> str:
    """A mapping file: classes that stayed become themselves, of those that went somebody must say what they are."""
    lines = [f"version = {_text(new.version)}", f"from = {_text(old.version)}", 'reason = ""  # releases quote it']
    after = {axis.name: axis.classes for axis in new.axes}
    for axis in old.axes:
        if axis.name in after:
            lines += ["", f"[axes.{_key(axis.name)}]", *(_line(name, after[axis.name]) for name in axis.classes)]
    return "\n".join(lines) + "\n"


def _line(name: str, classes: Sequence[str]) -> str:
    if name in classes:
        return f"{_key(name)} = {_text(name)}"
    return f'# {_key(name)} = "CLASS", or ["ONE", "OTHER"] to decide anew, or false: it is no class any more'


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _text(name)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a basic string of TOML


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield f"taxonomy {said['from']} -> {said['to']}"
    for axis, found in said["axes"].items():
        some = [f"{key.replace('_', ' ')}: {', '.join(found[key])}" for key in _KEYS if found[key] and key != "kept"]
        yield f"{axis}: {'; '.join(some) or 'as it was'}"
    if not said["same"] and said["from"] == said["to"]:
        yield "the version is the same: give the new one a version of its own, or decisions of both are taken for one"
    if not said["same"]:
        yield from ("", "a mapping to start from (`curate relabel --mapping FILE`):", "")
        yield from said["draft"].splitlines()
