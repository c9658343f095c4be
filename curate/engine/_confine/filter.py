"""The system calls that a worker may make, as a seccomp filter: a classic BPF program that the kernel runs at each.

What a worker has no use for is refused with EPERM, what is newer than this file with ENOSYS, another architecture's
calls end it. Sources: Linux, Documentation/userspace-api/seccompfilter.rst and include/uapi/linux/filter.h.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

from curate.engine._confine import syscalls as calls

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, AUDIT_ARCH
_LOAD, _EQUAL, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ, JGT, JSET, BPF_RET
_NR, _ARCH, _ARG = 0, 4, 16  # places in struct seccomp_data; arguments have 8 bytes each, the low half first
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_MODE_FILTER, _TSYNC, _SPEC_ALLOW = 1, 1, 4
_CLONE_THREAD = 0x10000
_OWN, _SIGNAL, _OWN_EX = 8, 10, 15  # F_SETOWN, ...: whom the kernel signals about a file
_NAME, _GET_NAME, _VMA_NAME = 15, 16, 0x53564D41  # prctl: harmless, and asked for by libraries
_INTERNET = (2, 10, 16)  # AF_INET, AF_INET6, AF_NETLINK (by which the C library asks for addresses)

Step = tuple[int, int, int, int]  # code, jump if true, jump if false, value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def able() -> bool:
    """Whether the kernel has such filters, and this file knows the machine's numbers."""
    if platform.machine() not in _MACHINES:
        return False
    action = ctypes.c_uint32(_ERRNO)
    number = calls.SECCOMP[_MACHINES[platform.machine()][0]]
    return bool(ctypes.CDLL(None).syscall(number, 2, 0, ctypes.byref(action)) == 0)  # SECCOMP_GET_ACTION_AVAIL


def install(network: bool, opened: int = 0) -> None:
    """Filter every thread of this process from now on; raises OSError where the kernel refuses."""
    column, arch = _MACHINES[platform.machine()]
    steps = b"".join(struct.pack("HBBI", *step) for step in program(column, arch, os.getpid(), network, opened))
    libc = ctypes.CDLL(None, use_errno=True)
    told = _Program(len(steps) // 8, steps)
    if libc.syscall(calls.SECCOMP[column], _MODE_FILTER, _TSYNC | _SPEC_ALLOW, ctypes.byref(told)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def program(column: int, arch: int, pid: int, network: bool, opened: int = 0) -> list[Step]:
    """The filter for a process, with or without the internet; no file is opened with any of the flags `opened`."""
    refused = [calls.RUN, calls.OTHERS, calls.FILES, calls.MEMORY, calls.SYSTEM]
    names = {name: pair for group in refused for name, pair in group.items()}
    names |= calls.SERVE if network else calls.NETWORK
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), _answer(_KILL), (_LOAD, 0, 0, _NR)]
    steps += [(_ABOVE, 0, 1, calls.NEWEST), _answer(_ERRNO | errno.ENOSYS)]
    steps += [(_EQUAL, 0, 1, calls.CLONE3[column]), _answer(_ERRNO | errno.ENOSYS)]  # the C library then uses clone
    for pair in names.values():
        if pair[column] >= 0:
            steps += [(_EQUAL, 0, 1, pair[column]), _answer(_ERRNO | errno.EPERM)]
    steps += _only(calls.CLONE[column], 0, [_CLONE_THREAD], code=_BITS)
    steps += _only(calls.KILL[column], 0, [pid]) + _only(calls.TGKILL[column], 0, [pid])
    steps += _only(calls.PRLIMIT[column], 0, [0, pid])
    steps += _only(calls.PRCTL[column], 0, [_NAME, _GET_NAME, _VMA_NAME])
    steps += _never(calls.FCNTL[column], 1, [_OWN, _SIGNAL, _OWN_EX])
    if opened:
        steps += [(_EQUAL, 0, 1, calls.OPENAT2[column]), _answer(_ERRNO | errno.ENOSYS)]  # its flags are out of sight
        for number, argument in ((calls.OPEN[column], 1), (calls.OPENAT[column], 2)):
            steps += _never(number, argument, [opened], code=_BITS) if number >= 0 else []
    if network:
        steps += _only(calls.NETWORK["socket"][column], 0, _INTERNET)
    return [*steps, _answer(_ALLOW)]


def _answer(what: int) -> Step:
    return (_RETURN, 0, 0, what)


def _only(number: int, argument: int, values: Iterable[int], code: int = _EQUAL) -> list[Step]:
    """Allow a call with these values of an argument, and with no other."""
    tests = [step for value in values for step in ((code, 0, 1, value), _answer(_ALLOW))]
    return _at(number, argument, [*tests, _answer(_ERRNO | errno.EPERM)])


def _never(number: int, argument: int, values: Iterable[int], code: int = _EQUAL) -> list[Step]:
    """Refuse a call with these values of an argument."""
    tests = [step for value in values for step in ((code, 0, 1, value), _answer(_ERRNO | errno.EPERM))]
    return _at(number, argument, [*tests, _answer(_ALLOW)])


def _at(number: int, argument: int, then: list[Step]) -> list[Step]:
    return [(_EQUAL, 0, len(then) + 1, number), (_LOAD, 0, 0, _ARG + 8 * argument), *then]
