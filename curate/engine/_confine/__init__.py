"""What a worker may reach once it has loaded its work: the code it runs, what its work names, and nothing else.

Landlock shuts files and other processes off, seccomp the network, other programs and the rest of the kernel; both are
there for an ordinary process of Linux. docs/confinement.md has the whole list.
"""

import contextlib
import ctypes
import importlib.machinery
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.contracts import Resources, Task
from curate.engine._confine.denied import Denied
from curate.errors import UsageError

# Whatever the loader, the C library and the numeric libraries look at.
_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
    "/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/stat", "/proc/version",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random",
)  # fmt: skip
_NETWORK = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services",
    "/etc/ssl", "/etc/ca-certificates", "/usr/share/ca-certificates", "/etc/pki",
)  # fmt: skip
_WHOLE = ("site-packages", "dist-packages")
_OPEN_FILES, _MORE_THREADS = 256, 512
_ALL_THREADS = 8  # the version of Landlock that knows of TSYNC
_VERSION, _SEARCH = 0x20080522, 1 << 2  # _LINUX_CAPABILITY_VERSION_3, CAP_DAC_READ_SEARCH
DECLARE = "a plug-in that needs it says so: reads = [...] for files and folders, network = true for the internet"


@dataclass(frozen=True)
class Door:
    """What stays reachable behind it: paths to read, the internet, graphics processors."""

    reads: tuple[str, ...] = ()
    network: bool = False
    gpus: bool = False
    plugins: bool = False  # code of plug-ins runs behind it
    single: bool = True  # nothing behind it wants the threads that load() started

    def listen(self) -> Denied | None:
        """What tells of a plug-in's calls that are denied."""
        return Denied([*self._readable(), *(_gpus() if self.gpus else ())], self.network) if self.plugins else None

    def shut(self) -> None:
        """Confine this process for good; raises OSError where the kernel refuses."""
        import landlockpy

        from curate.engine._confine import filter as calls

        importlib.machinery.PathFinder.find_spec("curate_looks_at_every_folder_once")  # none can be listed later
        os.chdir("/")
        _limit()
        _drop_capabilities()
        read = landlockpy.AccessFS.READ_FILE | landlockpy.AccessFS.READ_DIR
        device = read | landlockpy.AccessFS.WRITE_FILE | landlockpy.AccessFS.IOCTL_DEV
        scoped = landlockpy.Scope.SIGNAL | landlockpy.Scope.ABSTRACT_UNIX_SOCKET
        handled = landlockpy.AccessNet.NONE if self.network else None
        with landlockpy.Ruleset(handled_net=handled, scoped=scoped) as rules:
            for path in self._readable():
                with contextlib.suppress(OSError):  # what is not there needs no rule
                    folder = os.path.isdir(path)  # noqa: PTH112
                    rules.allow_path(path, read if folder else landlockpy.AccessFS.READ_FILE)
            for path in ("/dev/null", *(_gpus() if self.gpus else ())):
                with contextlib.suppress(OSError):
                    rules.allow_path(path, device)
            rules.restrict(landlockpy.RestrictFlag.TSYNC)
        calls.install(self.network, 0 if self.single or landlockpy.abi_version() >= _ALL_THREADS else self._flags())

    def _flags(self) -> int:
        """With which no thread opens a file where Landlock does not hold them all: to write, or to make one. A graphics
        processor's own are opened to read and write."""
        unnamed = os.O_TMPFILE & ~os.O_DIRECTORY
        return os.O_WRONLY | os.O_CREAT | os.O_TRUNC | unnamed | (0 if self.gpus else os.O_RDWR)

    def _readable(self) -> Iterator[str]:
        yield from _SYSTEM
        yield from _imported()
        yield from self.reads
        if self.network:
            yield from _NETWORK


def door_of(work: Task[Any, Any], needs: Resources, confine: str) -> Door | None:
    """The door of a work's workers; None where nothing confines them. Raises UsageError where something must."""
    if confine == "off" or ((why := lacking()) is not None and confine != "require"):
        return None
    if why is not None:
        raise UsageError(f'engine.confine: "require", and {why}; "auto" runs workers unconfined')
    inner = getattr(work, "work", work)
    reads = tuple(os.path.abspath(path) for path in getattr(inner, "reads", ()))  # noqa: PTH100
    return Door(
        reads,
        bool(getattr(inner, "network", False)),
        needs.gpus > 0,
        bool(getattr(inner, "plugins", False)),
        _single(needs),
    )


def _single(needs: Resources) -> bool:
    """Whether it must do without the threads that load() started: where it can, and the door shuts behind one only."""
    import landlockpy

    return not needs.gpus and needs.cpus <= 1 and landlockpy.abi_version() < _ALL_THREADS


def lacking() -> str | None:
    """What this system lacks to confine a worker, or None."""
    if sys.platform != "linux":
        return f"{sys.platform} has no Landlock and no seccomp"
    import landlockpy

    from curate.engine._confine import filter as calls

    if not landlockpy.supported():
        return "this kernel has no Landlock (or it is not among its security modules: `cat /sys/kernel/security/lsm`)"
    return None if calls.able() else "this kernel has no seccomp filters for this machine"


def named(error: Exception) -> Exception:
    """The error, or where it comes from a call that was denied, one that says how to ask for it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, PermissionError):
            what = f"{os.fsdecode(seen.filename)}: " if isinstance(seen.filename, (str, bytes)) else ""
            return refusal(f"{what}{seen.strerror}")
        seen = seen.__cause__ or seen.__context__
    return error


def refusal(what: str) -> UsageError:
    """The error that says what was denied, and how to ask for it."""
    return UsageError(f"a worker is confined, and was denied this: {what}; {DECLARE}")


# -- what is reachable -----------------------------------------------------------------------------------------------


def _imported() -> Iterator[str]:
    """The folders that Python imports from. Of one that is no environment's own only what can be imported: somebody's
    work may lie beside it."""
    own = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix} - {"/"}
    yield from own
    for path in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        yield from [path] if path else []
    for entry in sys.path:
        folder = Path(entry)
        if folder.name in _WHOLE or folder.is_file():
            yield entry
        elif not any(folder.is_relative_to(one) for one in own):
            yield from (str(one) for one in _modules(folder))


def _modules(folder: Path) -> Iterator[Path]:
    try:
        names = list(folder.iterdir())
    except OSError:
        return
    for one in names:
        if one.suffix in (".py", ".so", ".pyd") or (one / "__init__.py").is_file():
            yield one


def _gpus() -> Iterator[str]:
    yield from (str(one) for one in Path("/dev").glob("nvidia*"))
    yield from ("/dev/dri", "/dev/kfd", "/proc/driver/nvidia")


# -- what is bounded -------------------------------------------------------------------------------------------------


def _limit() -> None:
    import resource

    tasks = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])  # of the whole machine
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_NPROC: tasks + _MORE_THREADS,
    }
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _drop_capabilities() -> None:
    """A worker of root's has no right of root's, but to look into folders: those that a rule names."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = struct.pack("Ii", _VERSION, 0), ctypes.create_string_buffer(24)
    libc.capget(header, sets)
    held = struct.unpack("6I", sets.raw)
    if libc.capset(header, struct.pack("6I", held[0] & _SEARCH, held[1] & _SEARCH, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
