"""The compiled loops of the PDQ index, imported only where the input is large: numba alone takes half a second.

Every query is compared with every row, in vectors. Look-ups by slots of bits (multi-index hashing) were measured beside
it: at 47 bits and a million rows they touch 33,000 rows a query, each in another place of the memory, and take as long.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

Words = npt.NDArray[np.uint64]
F = TypeVar("F", bound=Callable[..., Any])
U = np.uint64  # indexes are unsigned: for a signed one numba tests whether it counts from the end

STRETCH = U(4096)  # rows that stay in the cache while query after query passes them
BLOCK = U(64)  # rows of which two words are looked at before the other two are


def nearest(columns: Words, asked: Words, radius: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    """Of each query (uint64[m, 4]) the least distance to a row of `columns` (uint64[4, n]), and the first such row.

    Where no row is within `radius` bits the distance is radius + 1 and the row -1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ends = np.linspace(0, columns.shape[1], cores + 1).astype(np.int64)
    best = np.full((cores, len(asked)), radius + 1, dtype=np.uint16)
    where = np.full((cores, len(asked)), -1, dtype=np.int64)
    with ThreadPoolExecutor(cores) as pool:
        jobs = [
            pool.submit(_scan, columns, asked, (ends[n], ends[n + 1]), radius, best[n], where[n]) for n in range(cores)
        ]
        for job in jobs:
            job.result()
    first = best.argmin(axis=0)[None]
    return np.take_along_axis(best, first, axis=0)[0], np.take_along_axis(where, first, axis=0)[0]


def _compiled(function: F) -> F:
    """Compile on first call; keep the result on disk where a cache can be written."""
    try:
        return numba.njit(nogil=True, cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(nogil=True)(function)  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.uint64(numba.uint64), generate


@_compiled
def _scan(columns: Words, asked: Words, stretch: Any, radius: int, best: Any, where: Any) -> None:
    first, second, third, fourth = columns[0], columns[1], columns[2], columns[3]
    low, end, most = U(stretch[0]), U(stretch[1]), U(radius)
    while low < end:
        high = min(low + STRETCH, end)
        for query in range(U(len(asked))):
            a, b, c, d = asked[query, U(0)], asked[query, U(1)], asked[query, U(2)], asked[query, U(3)]
            begin = low
            while begin < high:
                stop = min(begin + BLOCK, high)
                if _least_of_two(a, b, first, second, begin, stop) <= most:
                    for row in range(begin, stop):
                        apart = _popcount(a ^ first[row]) + _popcount(b ^ second[row])
                        if apart < U(best[query]):
                            apart += _popcount(c ^ third[row]) + _popcount(d ^ fourth[row])
                            if apart < U(best[query]):
                                best[query] = apart
                                where[query] = row
                begin = stop
        low = high


@_compiled
def _least_of_two(a: U, b: U, first: Words, second: Words, begin: U, end: U) -> U:
    """The least distance over two words, which is at most that over all. No branch in the loop: vectors."""
    least = U(128)
    for row in range(begin, end):
        least = min(least, _popcount(a ^ first[row]) + _popcount(b ^ second[row]))
    return least
