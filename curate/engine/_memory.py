"""Memory that is freed stays with the process, for the next picture."""

import ctypes

_MMAP, _TRIM = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
LARGEST = 64 << 20  # bytes; what is larger goes back when it is freed
KEPT = 256 << 20  # bytes


def keep() -> None:
    """Keep up to KEPT bytes of what is freed; nothing where the C library is not glibc.

    By default glibc gives a picture's pixels back to the system, which clears the pages for the next one: 2,400 page
    faults a picture of 1280x960, and more time than its decode.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP, LARGEST)
    mallopt(_TRIM, KEPT)
