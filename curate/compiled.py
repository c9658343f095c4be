"""How loops are compiled: without Python's lock, on the first call, and kept on disk where a cache can be written.

Imported only by modules of loops, since numba takes a while; numba's cache watches the file that a loop stands in.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The function, compiled for the types of its first call."""
    try:
        return cast(F, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no folder that a cache could be written to
        return cast(F, numba.njit(nogil=True)(function))
