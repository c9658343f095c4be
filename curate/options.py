"""A TOML table becomes a dataclass, strictly: unknown keys and wrong types fail, naming key, file and choice."""

import dataclasses
import difflib
import math
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, TypeVar

from curate.errors import UsageError

Bytes = NewType("Bytes", int)  # "64 MiB" in the file
PluginName = Annotated[
    str, "plug-in"
]  # its name, or "./mine.py": a file below the folder of curate.toml, then its path
T = TypeVar("T")

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Plugin:
    """A table with `use`: a plug-in's name or its file's whole path, and its options as they stand in curate.toml."""

    use: str
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    base: Path = Path()


def toml(text: str, where: object) -> dict[str, Any]:
    """The tables of a TOML text; raises UsageError, which `where` begins, for what is none or cannot be read as one."""
    try:
        return tomllib.loads(text)
    except ValueError as error:  # a number of thousands of digits, too
        raise UsageError(f"{where}: not TOML: {error}") from error
    except RecursionError:
        raise UsageError(f"{where}: not TOML that can be read: nested too deep") from None


def toml_file(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises UsageError, with its name."""
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise UsageError(f"{path}: no plain file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    return toml(text, path)


def build(cls: type[T], table: Mapping[str, Any], where: str, base: Path) -> T:
    """The dataclass `cls` from a table; `where` names it in errors, paths are relative to `base`; raises UsageError."""
    known = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls, include_extras=True)
    for key in table:
        if key not in known:
            raise UsageError(f"{join(where, key)}: no such key; {suggest(key, known)}")
    values = {key: convert(hints[key], value, join(where, key), base) for key, value in table.items()}
    for name, one in known.items():
        required = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise UsageError(f"{join(where, name)}: this key is needed")
    try:
        return cls(**values)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def convert(kind: Any, value: Any, where: str, base: Path) -> Any:
    """One value as the type that a dataclass field declares; raises UsageError."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if kind == PluginName:
        return plugin_name(_expect(str, value, where, "the name of a plug-in"), where, base)
    if origin is Annotated:
        return convert(args[0], value, where, base)
    if origin in (types.UnionType, typing.Union):
        return value if value is None else convert(next(a for a in args if a is not type(None)), value, where, base)
    if origin is Literal:
        if value not in args:
            raise UsageError(f"{where}: no such choice {value!r}; {suggest(str(value), args)}")
        return value
    if origin is tuple:
        items = _expect(list, value, where, "a list")
        found = tuple(convert(args[0], item, f"{where}[{n}]", base) for n, item in enumerate(items))
        if typing.get_origin(args[0]) is Literal or args[0] == PluginName:
            twice = next((str(one) for n, one in enumerate(found) if one in found[:n]), None)
            if twice is not None:
                raise UsageError(f"{where}: {twice!r} is there twice")
        return found
    if origin in (dict, Mapping):
        items = _expect(dict, value, where, "a table")
        return {key: convert(args[1], item, join(where, key), base) for key, item in items.items()}
    if kind is Plugin:
        return plugin(_expect(dict, value, where, "a table"), where, base)
    if dataclasses.is_dataclass(kind):
        return build(kind, _expect(dict, value, where, "a table"), where, base)  # type: ignore[arg-type]
    return _scalar(kind, value, where, base)


def plugin(table: Mapping[str, Any], where: str, base: Path) -> Plugin:
    """A table that names its plug-in; raises UsageError where it names none."""
    options = dict(table)
    use = options.pop("use", None)
    if not isinstance(use, str):
        raise UsageError(f'{where}: this table needs use = "NAME"')
    where = re.sub(r"\[\d+\]$", "", where)
    return Plugin(plugin_name(use, where, base), options, where, base)


def plugin_name(use: str, where: str, base: Path) -> str:
    """A plug-in's name as it stands, and of a file of one's own its whole path; raises UsageError for a file that does
    not lie below `base`, or that a link leads out of it."""
    if not own_file(use):
        return use
    path, home = Path(use), base.resolve()
    if not Path(os.path.realpath(home / path)).is_relative_to(home):  # `resolve` raises where a link leads to itself
        raise UsageError(f"{join(where, use)}: a plug-in of one's own lies below the folder of curate.toml (./mine.py)")
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(
            f"{join(where, use)}: a plug-in of one's own is a Python file whose name is a name (./mine.py)"
        )
    return str(home / path)


def at_home(path: str, where: str = "") -> Path:
    """The path, `~` in it being the home of whoever runs this; raises UsageError where that is nowhere, as it may be in
    a container."""
    found = Path(os.path.expanduser(path))  # noqa: PTH111 (never raises)
    if not found.is_absolute():
        raise UsageError(f"{where}{path}: there is no home folder here; set HOME")
    return found


def own_file(use: str) -> bool:
    """Whether a plug-in is named by a file of one's own."""
    return "/" in use or use.endswith(".py")


def _scalar(kind: Any, value: Any, where: str, base: Path) -> Any:
    if kind is Bytes:
        return _size(value, where)
    if kind is Path:
        path = _expect(str, value, where, "a path")
        return at_home(path, f"{where}: ") if path.startswith("~/") else base / path
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, where)
    if kind is int and isinstance(value, bool):
        raise UsageError(f"{where}: {value!r} is not {_NAMES[int]}")
    if kind not in _NAMES:
        raise UsageError(f"{where}: no option can be a {kind}; str, int, float, bool, Path, and tuples of these can")
    return _expect(kind, value, where, _NAMES[kind])


def _finite(value: float, where: str) -> float:
    """A number that is one: nan is neither below nor above any bound, so no check of a range would refuse it."""
    try:
        if math.isfinite(found := float(value)):
            return found
    except OverflowError:
        raise UsageError(f"{where}: a number of that size cannot be meant") from None
    raise UsageError(f"{where}: {value!r} is not {_NAMES[float]}")


def _expect(kind: type[Any], value: Any, where: str, name: str) -> Any:
    if not isinstance(value, kind):
        raise UsageError(f"{where}: {value!r} is not {name}")
    return value


def _size(value: Any, where: str) -> Bytes:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value).lower())
    if isinstance(value, bool) or not match or match[2] not in _UNITS:
        raise UsageError(f'{where}: {value!r} is not a size such as "64 MiB"')
    return Bytes(int(_finite(float(match[1]), where) * _UNITS[match[2]]))


def join(where: str, key: str) -> str:
    """`table.key`, as errors name it."""
    return f"{where}.{key}" if where else key


def at_least(least: int, **numbers: int | None) -> None:
    """Raise UsageError for an argument that is neither None nor a whole number of `least` and more."""
    for name, value in numbers.items():
        if value is None or (hasattr(value, "__index__") and not isinstance(value, bool) and value >= least):
            continue
        raise UsageError(f"{name}: {value!r}: give a whole number, {least} or more")


def texts(given: str | Iterable[str]) -> list[str]:
    """Several texts; a text alone is one of them, and not its letters. Raises UsageError for what holds no texts."""
    found = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    if odd := [one for one in found if not isinstance(one, str)]:
        raise UsageError(f"{odd[0]!r}: give a text, or a list of texts")
    return found


def is_said(text: str | None) -> bool:
    """Whether a text says something: a letter or a digit at least, and no halves of characters."""
    return is_text(text) and any(c.isalnum() for c in text or "")


def is_text(given: object) -> bool:
    """Whether what was given holds no halves of characters: bytes of a command line that are no UTF-8."""
    return not any("\ud800" <= c <= "\udfff" for c in str(given))


def suggest(name: str, known: "Mapping[str, Any] | Sequence[str]") -> str:
    """`did you mean 'x'?`, or the list of what there is."""
    every = [str(one) for one in known]
    close = difflib.get_close_matches(name, every, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(every)}"
