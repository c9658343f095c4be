"""Where a kernel, a machine or a system has less: bounded all the same, and a line that says what is missing."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import psutil  # noqa: F401  (it asks for the platform where it is imported)
import pytest

from curate.contracts import Resources
from curate.engine import _limits as limits
from curate.engine import _transport as parcel
from curate.engine._confine import filter, lacking, syscalls
from curate.engine.pool import Pool
from tests.engine.test_engine import Square
from tests.support.pictures import encode, texture

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[engine]
workers = 1
confine = "{confine}"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""
# Runs what follows on a kernel that answers to some calls that it does not have them: the filter is inherited.
PRELUDE = """
import ctypes, runpy, struct, sys
from curate.engine._confine import filter
missing, error = {missing!r}, {error}
steps = [(0x20, 0, 0, 0)]
for number in missing:
    steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
steps.append((0x06, 0, 0, 0x7FFF0000))
code = b"".join(struct.pack("HBBI", *step) for step in steps)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
program = filter._Program(len(steps), code)
assert libc.prctl(22, 2, ctypes.byref(program)) == 0, ctypes.get_errno()
"""
COMMAND = 'sys.argv = ["curate", *sys.argv[1:]]\nrunpy.run_module("cli", run_name="__main__")'
DOCTOR = """
from curate.config import Config, EngineConfig
from curate.admin.doctor import _confinement
for how in ("auto", "require"):
    print(_confinement(Config(engine=EngineConfig(confine=how))))
"""
SQUARES = """
from curate.contracts import Resources
from curate.engine import _transport as _parcel
from curate.engine.pool import Pool
from tests.engine.test_engine import Square
assert _parcel.Room.make() is None
print(sorted(dict(Pool(2).map(Square(), range(1, 5), Resources())).values()))
"""
ENOSYS, EOPNOTSUPP, EPERM, ENOSPC = 38, 95, 1, 28
LANDLOCK, MEMFD = [444, 445, 446], [319]
x86 = pytest.mark.skipif(lacking() is not None or os.uname().machine != "x86_64", reason="numbers of x86_64")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for n in range(3):
        (tmp_path / "images" / f"{n}.jpg").write_bytes(encode(texture(n, (64, 48))))
    return tmp_path


def where_missing(missing: list[int], error: int, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run code where the kernel answers with an error to these calls."""
    run = [sys.executable, "-c", PRELUDE.format(missing=missing, error=error) + code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=250)


@x86
@pytest.mark.parametrize(
    ("missing", "error", "what"),
    [(LANDLOCK, ENOSYS, "no Landlock"), (LANDLOCK, EOPNOTSUPP, "no Landlock"), ([317], ENOSYS, "no seccomp filters")],
)
def test_the_doctor_says_what_a_kernel_lacks(missing: list[int], error: int, what: str) -> None:
    """Not built with it, or not started with it."""
    auto, require = where_missing(missing, error, DOCTOR).stdout.splitlines()
    assert "ok=None" in auto
    assert "ok=False" in require
    assert all(f"this kernel has {what}" in line for line in (auto, require))


@x86
def test_a_kernel_without_landlock(root: Path) -> None:
    """What must be confined is refused, what may be runs."""
    (root / "curate.toml").write_text(CONFIG.format(confine="require"))
    refused = where_missing(LANDLOCK, ENOSYS, COMMAND, "fetch", "-w", str(root))
    assert refused.returncode == 2
    assert 'engine.confine: "require", and this kernel has no Landlock' in refused.stderr
    assert "Traceback" not in refused.stderr
    (root / "curate.toml").write_text(CONFIG.format(confine="auto"))
    fetched = where_missing(LANDLOCK, ENOSYS, COMMAND, "fetch", "-w", str(root), "--json")
    assert '"stored": 3' in fetched.stdout, fetched.stderr


@x86
@pytest.mark.parametrize("error", [ENOSYS, EPERM, ENOSPC])
def test_a_system_without_memory_that_both_see(error: int) -> None:
    """No memfd_create, or one that is refused, or no memory for it: what is handed over takes the pipe."""
    run = where_missing(MEMFD, error, SQUARES)
    assert run.stdout.strip() == "[1, 4, 9, 16]", run.stderr


def test_nothing_of_the_engines_is_in_dev_shm() -> None:
    """So it may be full, or not there at all."""
    for path in [*(ROOT / "curate" / "engine").rglob("*.py"), *(ROOT / "curate" / "confine").rglob("*.py")]:
        assert "/dev/shm" not in path.read_text(encoding="utf-8"), path
        assert "shared_memory" not in path.read_text(encoding="utf-8"), path


# -- other machines --------------------------------------------------------------------------------------------------

TABLES = [syscalls.NETWORK, syscalls.RUN, syscalls.OTHERS, syscalls.FILES, syscalls.MEMORY, syscalls.SYSTEM]
NAMED = {name: pair for table in TABLES for name, pair in table.items()} | {
    "clone": syscalls.CLONE, "clone3": syscalls.CLONE3, "kill": syscalls.KILL, "tgkill": syscalls.TGKILL,
    "prctl": syscalls.PRCTL, "prlimit64": syscalls.PRLIMIT, "fcntl": syscalls.FCNTL, "seccomp": syscalls.SECCOMP,
}  # fmt: skip
HEADERS = [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h")]


@pytest.mark.parametrize("column", [0, 1], ids=["x86_64", "aarch64"])
def test_the_numbers_are_the_kernels(column: int) -> None:
    """Where its headers are: those of x86_64, and the generic ones, which are aarch64's."""
    if not HEADERS[column].exists():
        pytest.skip("the kernel's headers are not here")
    text = HEADERS[column].read_text(encoding="utf-8")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    newest = max(known.values())
    for name, pair in NAMED.items():
        if pair[column] <= newest:
            assert known.get(name, -1) == pair[column], name


def ran(steps: list[filter.Step], number: int, arguments: tuple[int, ...] = (), arch: int = 0xC00000B7) -> int:
    """What a filter answers to a call: the machine of classic BPF, as far as a filter uses it."""
    memory = struct.pack("<iIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    place, held = 0, 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        if code == 0x20:
            (held,) = struct.unpack_from("<I", memory, value)
        elif code == 0x06:
            return value
        else:
            right = {0x15: held == value, 0x25: held > value, 0x45: bool(held & value)}[code]
            place += yes if right else no


def test_the_filter_of_aarch64() -> None:
    """Tried by a machine of ours, since there is no such processor here."""
    allow, deny, unknown = 0x7FFF0000, 0x00050001, 0x00050000 | ENOSYS
    steps = filter.program(1, 0xC00000B7, 77, network=False)
    assert ran(steps, 63) == ran(steps, 56) == allow, "read, openat"
    for name, pair in NAMED.items():
        if pair[1] >= 0 and name not in ("clone", "kill", "tgkill", "prlimit64", "prctl", "fcntl", "seccomp", "clone3"):
            assert ran(steps, pair[1]) == deny, name
    assert ran(steps, syscalls.CLONE3[1]) == ran(steps, syscalls.NEWEST + 1) == unknown
    assert ran(steps, syscalls.CLONE[1], (0x10000,)) == allow
    assert ran(steps, syscalls.CLONE[1], (17,)) == deny
    for name in ("KILL", "TGKILL"):
        assert ran(steps, getattr(syscalls, name)[1], (77, 9)) == allow
        assert ran(steps, getattr(syscalls, name)[1], (78, 0)) == deny
    assert ran(steps, 63, arch=0xC000003E) == 0x80000000, "another architecture's calls end it"
    reading = filter.program(1, 0xC00000B7, 77, network=False, opened=os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    assert ran(reading, syscalls.OPENAT[1], (0, 0, os.O_RDONLY | os.O_CLOEXEC)) == allow
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_RDWR | os.O_CLOEXEC):
        assert ran(reading, syscalls.OPENAT[1], (0, 0, flags)) == deny
    assert ran(reading, syscalls.OPENAT2[1]) == unknown
    online = filter.program(1, 0xC00000B7, 77, network=True)
    assert ran(online, syscalls.NETWORK["socket"][1], (2,)) == ran(online, syscalls.NETWORK["connect"][1]) == allow
    assert ran(online, syscalls.NETWORK["socket"][1], (1,)) == ran(online, syscalls.NETWORK["listen"][1]) == deny


def test_a_machine_decides_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that asks whether there are filters has another number on each."""
    asked = []

    class Libc:
        def syscall(self, number: int, *_: object) -> int:
            asked.append(number)
            return 0

    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: Libc())
    for machine, number in (("x86_64", 317), ("aarch64", 277)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert filter.able()
        assert asked[-1] == number


# -- other systems ---------------------------------------------------------------------------------------------------


def test_a_system_that_lacks_what_linux_has(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """As macOS: no affinity, no memory without a name, no death with a parent, neither Landlock nor /proc."""
    for name in ("sched_getaffinity", "memfd_create"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert limits.cores() == os.cpu_count()
    assert parcel.Room.make() is None
    assert dict(Pool(2).map(Square(), range(1, 7), Resources())) == {n: n * n for n in range(1, 7)}
    assert limits.machine_memory(root) > 2**28, "no /proc"


def test_what_they_come_from_works_without_what_linux_has(tmp_path: Path) -> None:
    """The process that workers are forked from, where it has none of it either."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, psutil, numba\ndel os.sched_getaffinity, os.memfd_create\nsys.platform = 'darwin'\n"
    )
    code = "import sys\nassert sys.platform == 'darwin'\n" + SQUARES
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert run.stdout.strip() == "[1, 4, 9, 16]", run.stderr


def test_windows_is_one_line(tmp_path: Path) -> None:
    """There is no fcntl there."""
    code = (
        "import importlib.util, runpy, sys\nreal = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'fcntl' else real(name, *rest)\n"
        "sys.argv = ['curate', 'check', '.']\nrunpy.run_module('cli', run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("curate: needs Linux or macOS")
    assert run.stderr.count("\n") == 1
