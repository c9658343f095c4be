# ruff: noqa: PTH101, PTH115, PTH102, PTH104, PTH108, PTH123, PTH208, PTH211
"""System calls that a decoder in a stranger's hands might try: each attempt answers what it got, or raises."""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np

from curate.engine import _pace

LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Target:
    """Whom it is aimed at: a folder with `secret` and a catalog in it, the process that started the engine, a port."""

    folder: str
    parent: int
    port: int

    @property
    def secret(self) -> str:
        return f"{self.folder}/secret"


def _call(number: int, *arguments: Any) -> int:
    found = int(LIBC.syscall(number, *arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(16)


def _write(path: str) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    return os.write(handle, b"taken over")


def _connect(family: int, where: Any, kind: int = socket.SOCK_STREAM) -> str:
    with socket.socket(family, kind) as one:
        one.connect(where)
    return "connected"


def _listen() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
    return "listens"


def _forked() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


def _thread(attempt: Callable[[], Any]) -> Any:
    """The same from a thread that was not there when the door was shut."""
    got: list[Any] = []

    def tried() -> None:
        try:
            got.append(attempt())
        except OSError as error:
            got.append(error)

    one = threading.Thread(target=tried)
    one.start()
    one.join()
    if isinstance(got[0], OSError):
        raise got[0]
    return got[0]


def _raise_limit() -> int:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0]


def _signalled_by_file(parent: int) -> str:
    here, _ = os.pipe()
    fcntl.fcntl(here, fcntl.F_SETOWN, parent)
    return "owns"


def _no_filter(parent: int) -> str:
    """Another, empty filter on top; the first one must stay in force."""
    LIBC.prctl(22, 2, ctypes.byref(ctypes.c_uint64()))
    os.kill(parent, 0)
    return "signalled"


def _room(size: int) -> str:
    """Make the memory that both see smaller: whoever writes there would be ended."""
    assert _pace._room is not None
    os.ftruncate(_pace._room.handle, size)
    return "made smaller"


def _others(read: str, parent: int) -> bytes:
    found = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    return _read(f"/proc/{found[0] if found else parent}/{read}")


def _machine_code(code: bytes) -> int:
    """Run it: what a decoder's memory fault may end in."""
    room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    room.write(code)
    at = ctypes.addressof(ctypes.c_char.from_buffer(room))
    found = int(ctypes.CFUNCTYPE(ctypes.c_int)(at)())
    if found < 0:
        raise OSError(-found, "machine code")
    return found


PROCESS = {  # each reaches into another process, or begins one
    "kill parent": lambda t: os.kill(t.parent, signal.SIGTERM),
    "signal 0": lambda t: os.kill(t.parent, 0),
    "signal the server": lambda t: os.kill(os.getppid(), signal.SIGSTOP),
    "signal the group": lambda t: os.killpg(0, 0),
    "signal all": lambda t: os.kill(-1, 0),
    "signal a thread": lambda t: _call(200, t.parent, 0),
    "signal a thread of": lambda t: _call(234, t.parent, t.parent, 0),
    "queue a signal": lambda t: _call(129, t.parent, 0, ctypes.create_string_buffer(128)),
    "pidfd": lambda t: os.pidfd_open(t.parent),
    "signal by file": lambda t: _signalled_by_file(t.parent),
    "ptrace attach": lambda t: _call(101, 16, t.parent, 0, 0),
    "ptrace seize": lambda t: _call(101, 0x4206, t.parent, 0, 0),
    "read its memory": lambda t: _call(310, t.parent, None, 0, None, 0, 0),
    "write its memory": lambda t: _call(311, t.parent, None, 0, None, 0, 0),
    "open its memory": lambda t: _read(f"/proc/{t.parent}/mem"),
    "its environment": lambda t: _read(f"/proc/{t.parent}/environ"),
    "its command": lambda t: _read(f"/proc/{t.parent}/cmdline"),
    "its files": lambda t: os.listdir(f"/proc/{t.parent}/fd"),
    "list processes": lambda t: os.listdir("/proc"),
    "others' environment": lambda t: _others("environ", t.parent),
    "its limits": lambda t: resource.prlimit(t.parent, resource.RLIMIT_NOFILE, (1, 1)),
    "its priority": lambda t: os.setpriority(os.PRIO_PROCESS, t.parent, 19),
    "its processors": lambda t: os.sched_setaffinity(t.parent, {0}),
    "exec": lambda t: os.execv("/bin/true", ["true"]),
    "run": lambda t: subprocess.run(["/bin/true"], check=True).returncode,
    "shell": lambda t: os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {}),
    "fork": lambda t: _forked(),
    "system": lambda t: 1 / (os.system("true") == 0),
    "clone3": lambda t: _call(435, ctypes.create_string_buffer(88), 88),
    "clone": lambda t: _call(56, signal.SIGCHLD, None, None, None, None),
    "vfork": lambda t: _call(58),
    "clone into a namespace": lambda t: _call(56, 0x10000000 | signal.SIGCHLD, None, None, None, None),
    "thread in a namespace": lambda t: _call(56, 0x10000000 | 0x10000, None, None, None, None),
    "another's namespace": lambda t: _call(308, 0, 0),
    "exec by a handle": lambda t: _call(322, os.open(sys.executable, os.O_RDONLY), b"", None, None, 0x1000),
    "steal a handle": lambda t: _call(438, 0, 0, 0),
    "signal by pidfd": lambda t: _call(424, 0, 0, None, 0),
    "compare with it": lambda t: _call(312, os.getpid(), t.parent, 0, 0, 0),
    "its memory's advice": lambda t: _call(440, 0, None, 0, 4, 0),
    "end its memory": lambda t: _call(448, 0, 0),
    "move its pages": lambda t: _call(279, t.parent, 0, None, None, None, 0),
    "its group": lambda t: os.setpgid(t.parent, 0),
    "its scheduler": lambda t: os.sched_setscheduler(t.parent, os.SCHED_OTHER, os.sched_param(0)),
    "its disk priority": lambda t: _call(251, 1, t.parent, 0),
    "its folder": lambda t: os.readlink(f"/proc/{t.parent}/cwd"),
    "its program": lambda t: os.readlink(f"/proc/{t.parent}/exe"),
    "its handles": lambda t: os.readlink(f"/proc/{t.parent}/fd/0"),
    "its map": lambda t: _read(f"/proc/{t.parent}/maps"),
    "its state": lambda t: _read(f"/proc/{t.parent}/status"),
    "its environment, from here": lambda t: _read(f"/proc/self/../{t.parent}/environ"),
    "the server's memory": lambda t: _read(f"/proc/{os.getppid()}/mem"),
    "the server's handles": lambda t: os.listdir(f"/proc/{os.getppid()}/fd"),
    "be killed last": lambda t: _write("/proc/self/oom_score_adj"),
    "wait in the kernel": lambda t: _call(323, 0),
    "32-bit calls": lambda t: 1 / (_machine_code(bytes.fromhex("b814000000cd80c3")) > 0),
    "machine code": lambda t: _machine_code(bytes.fromhex("b8390000000f05c3")),  # fork
    "be traced": lambda t: _call(101, 0, 0, 0, 0),
    "another personality": lambda t: _call(135, 0x0040000),
    "new user namespace": lambda t: _call(272, 0x10000000),
    "survive": lambda t: 1 / (LIBC.prctl(1, 0) == 0),
    "outlive the filter": lambda t: _no_filter(t.parent),
    "another's session": lambda t: os.setsid(),
}
FILES = {  # each reads, lists or changes what is no business of a decoder
    "read a secret": lambda t: _read(t.secret),
    "read from a thread": lambda t: _thread(lambda: _read(t.secret)),
    "open the catalog": lambda t: _read(f"{t.folder}/work/catalog.db"),
    "list the workspace": lambda t: os.listdir(t.folder),
    "list home": lambda t: os.listdir(Path.home()),
    "list the root": lambda t: os.listdir("/"),
    "list tmp": lambda t: os.listdir("/tmp"),
    "list shm": lambda t: os.listdir("/dev/shm"),
    "read passwd": lambda t: _read("/etc/passwd"),
    "read passwd by a link": lambda t: _read("/proc/self/root/etc/passwd"),
    "read by a thread's root": lambda t: _read(f"/proc/self/task/{os.getpid()}/root{t.secret}"),
    "read by openat2": lambda t: _call(437, -100, t.secret.encode(), struct.pack("QQQ", os.O_RDONLY, 0, 0), 24),
    "read by a path alone": lambda t: os.read(os.open(f"/proc/self/fd/{os.open(t.secret, os.O_PATH)}", os.O_RDONLY), 1),
    "read shadow": lambda t: _read("/etc/shadow"),
    "read a key": lambda t: _read(str(Path.home() / ".ssh" / "id_rsa")),
    "read the history": lambda t: os.listdir("/var"),
    "list the devices": lambda t: os.listdir("/dev"),
    "the disk": lambda t: _read("/dev/vda"),
    "the terminal": lambda t: _write("/dev/tty"),
    "another terminal": lambda t: os.open("/dev/ptmx", os.O_RDWR),
    "kernel messages": lambda t: _read("/dev/kmsg"),
    "kernel settings": lambda t: _write("/proc/sys/kernel/core_pattern"),
    "virtual machines": lambda t: os.open("/dev/kvm", os.O_RDWR),
    "file systems in user space": lambda t: os.open("/dev/fuse", os.O_RDWR),
    "write what is read only": lambda t: os.open(np.__file__, os.O_RDWR),
    "write the null device's folder": lambda t: _write("/dev/null2"),
    "an unnamed file": lambda t: os.open("/tmp", os.O_TMPFILE | os.O_RDWR),
    "an unnamed file there": lambda t: os.open(t.folder, os.O_TMPFILE | os.O_RDWR),
    "append": lambda t: os.open(t.secret, os.O_WRONLY | os.O_APPEND),
    "exchange": lambda t: _call(316, -100, t.secret.encode(), -100, f"{t.folder}/work".encode(), 2),
    "a named pipe": lambda t: os.mkfifo(f"{t.folder}/pipe"),
    "a swap file": lambda t: _call(167, t.secret.encode(), 0),
    "by a handle": lambda t: _call(304, -100, ctypes.create_string_buffer(256), os.O_RDONLY),
    "watch everything": lambda t: _call(300, 0, 0),
    "new mounts": lambda t: _call(428, -100, b"/", 1),
    "another root": lambda t: _call(155, b"/", b"/"),
    "a new file system": lambda t: _call(430, b"tmpfs", 0),
    "list the mounts": lambda t: _call(458, ctypes.create_string_buffer(24), ctypes.create_string_buffer(64), 8, 0),
    "secret memory": lambda t: _call(447, 0),
    "shared memory by name": lambda t: shared_memory.SharedMemory("taken", create=True, size=16),
    "posix queue": lambda t: _call(240, b"taken", os.O_CREAT | os.O_RDWR, 0o600, None),
    "semaphores": lambda t: _call(64, 0, 1, 0o1600),
    "a lease": lambda t: fcntl.fcntl(os.open(t.secret, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK),
    "lock": lambda t: fcntl.flock(os.open(f"{t.folder}/work/catalog.db", os.O_RDONLY), fcntl.LOCK_EX),
    "write the room's handle anew": lambda t: os.open("/proc/self/fd/103", os.O_RDWR | os.O_TRUNC),
    "read hosts": lambda t: _read("/etc/hosts"),
    "write a blob": lambda t: _write(f"{t.folder}/work/blobs/aa"),
    "write a list": lambda t: _write(f"{t.folder}/list.txt"),
    "overwrite": lambda t: _write(t.secret),
    "truncate": lambda t: os.truncate(t.secret, 0),
    "remove": lambda t: os.unlink(t.secret),
    "remove the tree": lambda t: shutil.rmtree(t.folder),
    "rename": lambda t: os.rename(t.secret, t.secret + "2"),
    "link": lambda t: os.link(t.secret, "/tmp/taken"),
    "symlink": lambda t: os.symlink(t.secret, f"{t.folder}/link"),
    "make a folder": lambda t: os.mkdir(f"{t.folder}/made"),
    "open to all": lambda t: os.chmod(t.secret, 0o777),
    "give away": lambda t: os.chown(t.secret, 1, 1),
    "set its time": lambda t: os.utime(t.secret, (0, 0)),
    "its attributes": lambda t: os.listxattr(t.secret),
    "watch": lambda t: _call(254, _call(294, 0), t.folder.encode(), 0xFFF),
    "handle": lambda t: _call(303, -100, t.secret.encode(), ctypes.create_string_buffer(256), None, 0),
    "fill tmp": lambda t: _write("/tmp/curate-taken"),
    "fill shm": lambda t: _write("/dev/shm/curate-taken"),
    "beside the code": lambda t: _write(str(Path(__file__).with_name("taken.py"))),
    "in the environment": lambda t: _write(f"{sys.prefix}/taken.py"),
    "own memory as a file": lambda t: os.open("/proc/self/mem", os.O_RDWR),
    "a file in memory": lambda t: os.memfd_create("taken"),
    "shared memory": lambda t: _call(29, 0, 2**30, 0o1600),
    "shrink the room": lambda t: _room(0),
    "grow the room": lambda t: _room(2**30),
    "mount": lambda t: _call(165, b"none", t.folder.encode(), b"tmpfs", 0, None),
    "chroot": lambda t: os.chroot(t.folder),
    "a device": lambda t: os.mknod("/tmp/taken", 0o20600, os.makedev(1, 1)),
    "raise a limit": lambda t: _raise_limit(),
    "be somebody": lambda t: os.setuid(1),
}
NETWORK = {
    "connect": lambda t: _connect(socket.AF_INET, ("127.0.0.1", t.port)),
    "connect from a thread": lambda t: _thread(lambda: _connect(socket.AF_INET, ("127.0.0.1", t.port))),
    "connect by v6": lambda t: _connect(socket.AF_INET6, ("::1", t.port)),
    "datagram": lambda t: _connect(socket.AF_INET, ("127.0.0.1", t.port), socket.SOCK_DGRAM),
    "abstract socket": lambda t: _connect(socket.AF_UNIX, "\0taken"),
    "socket of a file": lambda t: _connect(socket.AF_UNIX, f"{t.folder}/socket"),
    "netlink": lambda t: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": lambda t: socket.socket(17, socket.SOCK_RAW),
    "a socket by machine code": lambda t: _machine_code(  # socket(AF_INET, SOCK_STREAM, 0)
        bytes.fromhex("b829000000bf02000000be0100000031d20f05c3")
    ),
    "virtual sockets": lambda t: socket.socket(40, socket.SOCK_STREAM),
    "kernel crypto": lambda t: socket.socket(38, socket.SOCK_SEQPACKET),
    "bluetooth": lambda t: socket.socket(31, socket.SOCK_RAW, 1),
    "to nobody": lambda t: _call(44, 1, b"x", 1, 0, None, 0),
    "a handle by a message": lambda t: _call(46, 1, ctypes.create_string_buffer(56), 0),
    "io_uring enter": lambda t: _call(426, 0, 0, 0, 0, None, 0),
    "a key": lambda t: _call(248, b"user", b"taken", b"x", 1, -3),
    "ask for a key": lambda t: _call(249, b"user", b"taken", None, -3),
    "reboot": lambda t: _call(169, 0, 0, 0, 0),
    "the machine's name": lambda t: _call(170, b"taken", 5),
    "quotas": lambda t: _call(179, 0, None, 0, None),
    "make all wait": lambda t: _call(162),
    "rights of root": lambda t: _call(126, struct.pack("Ii", 0x20080522, 0), b"\xff" * 24),
    "a pair": lambda t: socket.socketpair(),
    "listen": lambda t: _listen(),
    "ask for a name": lambda t: 1 / bool(socket.getaddrinfo("localhost", 80)),
    "io_uring": lambda t: _call(425, 8, ctypes.create_string_buffer(120)),
    "bpf": lambda t: _call(321, 0, ctypes.create_string_buffer(128), 128),
    "perf": lambda t: _call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0),
    "keys": lambda t: _call(250, 0, -3, 0, 0, 0),
    "message queue": lambda t: _call(68, 0, 0o1600),
    "module": lambda t: _call(175, b"", 0, b""),
    "clock": lambda t: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "32 bits": lambda t: _call(0x40000000 + 39),
    "what comes tomorrow": lambda t: 1 / (_call(463, 0) >= 0),
}
CALLS: dict[str, Callable[[Target], Any]] = PROCESS | FILES | NETWORK
MISSING = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EBADF, errno.EXDEV}
