"""Finds plug-ins, imports only those that are named, and builds them from their table.

Ours are found by their file's name. From outside comes a file of one's own below the folder of curate.toml, or what an
installed package names as an entry point: checked alike, and their digest goes wherever their answers are kept.
"""

import copyreg
import dataclasses
import hashlib
import importlib.abc
import importlib.util
import io
import linecache
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import curate
from curate import contracts
from curate.errors import UsageError, described
from curate.fingerprint import canonical, fingerprint
from curate.layouts.table import plain
from curate.options import Plugin, build, join, own_file, suggest
from curate.policy import shapes, trust
from curate.records import LATER

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
GROUPS = {  # of entry points, by which an installed package says what it has
    "sources": "curate.sources",
    "labelers": "curate.labelers",
    "manifests": "curate.manifests",
    "curate.label.models": "curate.label_models",
    "curate.review.queues": "curate.queues",
    "curate.screening.lists": "curate.hash_lists",
    "curate.screening.matchers": "curate.matchers",
}
NAMED = ("sources", "labelers")  # whose tables may give a plug-in a name: `name = "..."`
_GIVEN = "_curate_name"  # where a plug-in keeps the name of its table
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Outside:
    """A plug-in's file that is not ours. `source` is what was read of a file of one's own, so that every process runs
    the same; `module` and `attr` are where an entry point's class is."""

    name: str
    path: str
    digest: str
    source: bytes | None = None
    module: str = ""
    attr: str = ""


_FROM: dict[type[Any], Outside] = {}  # the classes from outside that this process has loaded


def names(package: str) -> list[str]:
    """The plug-ins of a package: its files. Imports none of them."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def called(table: Plugin) -> str:
    """What a table's plug-in is called: its `name`, or the plug-in's own."""
    return str(table.options.get("name") or _stem(table.use))


def named(package: str, use: str, where: str, kind: str) -> type[Any]:
    """The class of a plug-in that is named; raises UsageError for a file that somebody else could have written or that
    cannot be run, for a name that two have, and where there is none, with the nearest name."""
    found = _outside(package, use, where, kind)
    if found is None:
        return plugin_class(module(package, use, where, kind))
    with running(join(where, found.name), found.path):
        return _class(found)


def of_file(path: Path) -> type[Any]:
    """The class in a file of one's own, wherever it lies; raises UsageError as `named` does."""
    found = _read(str(path.absolute()), "plugin")
    with running("plugin", found.path):
        return _class(found)


def digest(package: str, use: str, where: str, kind: str) -> str | None:
    """The digest of a plug-in from outside; None of one of ours."""
    found = _outside(package, use, where, kind)
    return None if found is None else found.digest


def module(package: str, name: str, where: str, kind: str) -> ModuleType:
    """The file of a plug-in of ours, run; raises UsageError as `named` does."""
    if name not in (known := names(package)):
        own = f' (one of your own is a file: "./{name if name.isidentifier() else "mine"}.py")' * (package in GROUPS)
        raise UsageError(f"{join(where, name)}: no such {kind}; {suggest(name, known)}{own}")
    spec = importlib.util.find_spec(f"{package}.{name}")
    found = Path(spec.origin if spec and spec.origin else name)
    trust.check(found, like=Path(curate.__file__))  # who owns this program is obeyed already
    with running(join(where, name), str(found)):
        return importlib.import_module(f"{package}.{name}")


def make(package: str, table: Plugin, kind: str) -> Any:
    """The plug-in that a table names, built from its options; raises UsageError where it does not keep its contract."""
    cls = named(package, table.use, table.where, kind)
    where, options = join(table.where, _stem(table.use)), dict(table.options)
    given = options.pop("name", None) if package in NAMED else None
    if given is not None:
        _check_name(package, given, where)
    file = str(sys.modules[cls.__module__].__file__)
    for problem in _refused(package, cls):
        raise UsageError(f"{where}: {file}: {cls.__name__} {problem}")
    with running(where, file) if cls in _FROM else nullcontext():
        made = build(cls, options, where, table.base)
    for problem in broken(package, made):
        raise UsageError(f"{where}: {file}: {cls.__name__} {problem}; curate/contracts.py says what a {kind} has")
    if given is not None:
        _give(made, given, where)
    return made


@contextmanager
def running(where: str, file: str) -> Iterator[None]:
    """What a plug-in's file may raise, or print, is that file's fault: raises UsageError."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{where}: {file}: {described(error)}") from error
    if printed.closed or (said := printed.getvalue().strip()):
        does = "closes sys.stdout" if printed.closed else f"prints ({said[:60]!r})"
        raise UsageError(f"{where}: {file}: it {does}, where a command's answer goes; use `logging`")


# -- from outside ----------------------------------------------------------------------------------------------------


def _outside(package: str, use: str, where: str, kind: str) -> Outside | None:
    """Where a plug-in comes from that is not ours; None where it is. Raises UsageError where two have its name."""
    entries = [one for one in _entries(tuple(sys.path), package) if one.name == use] if package in GROUPS else []
    stem, places = _stem(use), [_place(one) for one in entries]
    if own_file(use):
        if package not in GROUPS:
            raise UsageError(f"{join(where, stem)}: no {kind} can be a file of one's own")
        places = [use]
    ours = [f"curate's own {package}.{stem}"] if stem in names(package) else []
    if len(both := [*ours, *places]) > 1:
        raise UsageError(f"{join(where, stem)}: two are called so: {' and '.join(both)}; one needs another name")
    if own_file(use):
        return _read(use, join(where, stem))
    return next((_located(one, join(where, stem)) for one in entries), None)


def _stem(use: str) -> str:
    return Path(use).stem if own_file(use) else use


def _read(use: str, where: str) -> Outside:
    path = Path(use)
    trust.check(path)
    plain(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{where}: {path}: {error.strerror}") from error
    return Outside(path.stem, use, hashlib.sha256(source).hexdigest(), source)


@lru_cache
def _entries(path: tuple[str, ...], package: str) -> tuple[metadata.EntryPoint, ...]:
    """The plug-ins that the packages on this path name; none is imported."""
    return tuple(metadata.entry_points(group=GROUPS[package]))


def _place(entry: metadata.EntryPoint) -> str:
    return f"{entry.value} of the installed package {entry.dist.name if entry.dist else '?'}"


def _located(entry: metadata.EntryPoint, where: str) -> Outside:
    """The file of an entry point; each package that leads to it is trusted before it is run."""
    parts, file, top = entry.module.split("."), None, None
    for n in range(1, len(parts) + 1):
        name = ".".join(parts[:n])
        with running(where, _place(entry)):
            spec = importlib.util.find_spec(name)
        if spec is None:
            raise UsageError(f"{where}: {_place(entry)}: no module {name}")
        file = spec.origin if spec.has_location else None
        top = top or file
        for place in [file] if file else spec.submodule_search_locations or ():
            trust.check(Path(place), like=Path(curate.__file__))
    if file is None or top is None:
        raise UsageError(f"{where}: {_place(entry)}: {entry.module} is no file")
    version = entry.dist.version if entry.dist else ""
    return Outside(entry.name, file, _whole(Path(top), version), None, entry.module, entry.attr or "")


def _whole(top: Path, version: str) -> str:
    """The digest of a package's Python files, or of a module's; the version stands for what else it has."""
    files = sorted(top.parent.rglob("*.py")) if top.name == "__init__.py" else [top]
    each = [(str(one.relative_to(top.parent)), hashlib.sha256(one.read_bytes()).hexdigest()) for one in files]
    return hashlib.sha256(canonical([version, each]).encode()).hexdigest()


class _Source(importlib.abc.ExecutionLoader):
    """Runs what was read of a file, whatever has become of the file since."""

    def __init__(self, found: Outside) -> None:
        self._found = found

    def get_filename(self, fullname: str) -> str:
        return self._found.path

    def get_source(self, fullname: str) -> str:
        text = importlib.util.decode_source(self._found.source or b"")
        known = (len(text), None, text.splitlines(keepends=True), self._found.path)  # for warnings and tracebacks: a
        linecache.cache[self._found.path] = known  # confined worker may not open it, and it may be another file by now
        return text


def _class(found: Outside) -> type[Any]:
    """The class of a plug-in from outside; its module is run once in each process."""
    if found.source is None:
        made = importlib.import_module(found.module)
        cls = getattr(made, found.attr, None) if found.attr else plugin_class(made)
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
            raise UsageError(f"{found.path}: {found.attr} is no dataclass in it: its fields are its options")
    else:
        cls = plugin_class(_run(found), found.name)
    if cls not in _FROM:
        _FROM[cls] = found
        copyreg.pickle(cls, _reduced)
    return cls


def _run(found: Outside) -> ModuleType:
    name = f"curate_own_{fingerprint(found.path, found.digest)}_{found.name}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_loader(name, _Source(found))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _reduced(made: Any) -> tuple[Any, ...]:
    """How one travels to a worker: with what is run there; nobody can import it by its name."""
    return _again, (_FROM[type(made)],), object.__reduce_ex__(made, 4)[2]


def _again(found: Outside) -> Any:
    return object.__new__(_class(found))


# -- what it is ------------------------------------------------------------------------------------------------------


def broken(package: str, made: Any) -> Iterator[str]:
    """What is wrong with a plug-in, or with its class, by its contract."""
    yield from _refused(package, made)
    contract = contracts.SupportsAsk if package == "labelers" and hasattr(made, "ask") else CONTRACTS[package]
    lacking = list(contracts.broken(contract, made, [one.name for one in dataclasses.fields(made)]))
    yield from lacking or shapes.strange(package, made)


def _refused(package: str, made: Any) -> Iterator[str]:
    """What is looked at before one is built: the version of its contract, and options that are its table's own."""
    if (said := getattr(made, "contract", contracts.VERSION)) != contracts.VERSION:
        yield f"keeps version {said!r} of its contract, and this is version {contracts.VERSION}"
    for one in dataclasses.fields(made):
        if one.name in ("use", *(["name"] if package in NAMED else [])):
            yield f"has an option `{one.name}`, which is its table's own key"


def plugin_class(found: ModuleType, name: str = "") -> type[Any]:
    """The one class of a plug-in's file that bears the file's name (`open_nsfw.py`: `OpenNsfw`)."""
    name = name or found.__name__.rpartition(".")[2]
    wanted = name.replace("_", "").lower()
    here = [one for one in vars(found).values() if isinstance(one, type) and one.__module__ == found.__name__]
    public = dict.fromkeys(one for one in here if dataclasses.is_dataclass(one) and not one.__name__.startswith("_"))
    value = next((one for one in here if one.__name__.lower() == wanted), None)
    if value is None:
        wanted = name.title().replace("_", "")
        raise UsageError(f"{found.__file__}: no dataclass {wanted} in it: the file's name says its name")
    if not dataclasses.is_dataclass(value):
        raise UsageError(f"{found.__file__}: {value.__name__} is no dataclass: its fields are its options")
    if len(public) > 1:
        said = ", ".join(one.__name__ for one in public)
        raise UsageError(f"{found.__file__}: more than one dataclass in it: {said}; one that only helps begins with _")
    return value


# -- what it is called -----------------------------------------------------------------------------------------------


def kind_of(plugin: object) -> str:
    """A plug-in's own name: its file's, or its entry point's."""
    found = _FROM.get(type(plugin))
    return found.name if found is not None else type(plugin).__module__.rpartition(".")[2]


def network_of(plugin: object) -> str:
    """What `[train] backbone` calls a labeler: its own name, and which network it runs where that is an option."""
    architecture = getattr(plugin, "architecture", "")
    return f"{kind_of(plugin)}:{architecture}" if architecture else kind_of(plugin)


def name_of(plugin: object) -> str:
    """What a plug-in is called: the name that its table gives it, or its own."""
    return str(getattr(plugin, _GIVEN, None) or kind_of(plugin))


def digest_of(plugin: object) -> str | None:
    """The digest of a plug-in's file where it comes from outside; None of one of ours."""
    found = _FROM.get(type(plugin))
    return None if found is None else found.digest


def identity_of(plugin: object) -> list[str]:
    """What tells plug-ins of one name apart: what it is where its table names it, and the digest of what is not ours;
    nothing of a plug-in of ours under its own name."""
    own = [kind_of(plugin)] if name_of(plugin) != kind_of(plugin) else []
    return own + [found for found in [digest_of(plugin)] if found is not None]


def _check_name(package: str, name: object, where: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{where}.name: {name!r} is no name: small letters, digits and _, a letter first")
    if name in names(package):
        raise UsageError(f"{where}.name: '{name}' is a plug-in of curate's own; give another name")


def _give(made: object, name: str, where: str) -> None:
    try:
        object.__setattr__(made, _GIVEN, name)
    except AttributeError as error:
        raise UsageError(f"{where}.name: {type(made).__name__} has slots, so no room for a name") from error


def own_file_of(plugin: object) -> str | None:
    """The sha256 of a plug-in's file where it is a file of one's own; None of what is found by a name."""
    found = _FROM.get(type(plugin))
    return None if found is None or found.source is None else found.digest


def options_of(plugin: Any) -> dict[str, Any]:
    """A plug-in's options as JSON can hold them."""
    return {f.name: _plain(getattr(plugin, f.name)) for f in dataclasses.fields(plugin)}


def fingerprint_of(plugin: Any) -> str:
    """The fingerprint of a plug-in's table: name, version, options, and its identity where it is not ours alone.

    Options that change no answer (`field(compare=False)`) are no part of it.
    """
    left = {
        f.name
        for f in dataclasses.fields(plugin)
        if not f.compare or (f.metadata.get(LATER) and getattr(plugin, f.name) == f.default)
    }
    options = {key: value for key, value in options_of(plugin).items() if key not in left}
    said = (name_of(plugin), getattr(plugin, "version", 0), options)
    device = [one for one in [getattr(plugin, "device", "cpu")] if one != "cpu"]  # another device rounds otherwise
    return fingerprint(*said, *identity_of(plugin), *device)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return options_of(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
