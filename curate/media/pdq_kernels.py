"""PDQ's loops over pixels, compiled: the 64 px of all four mirrors at once, and pdqhash's own arithmetic for one.

An axis has 128 places: the 64 px that PDQ keeps of it, and after them the 64 of the mirrored axis, which lie elsewhere.
Pixels are Pillow's words (uint32[height, width]: red in the low byte, then green and blue; the high byte is anything).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.compiled import compiled

SIDE = 64
PLACES = 2 * SIDE
STRIP = 128  # columns that are filtered at a time
APART = 16  # columns between rows of sums, which would else share a few places of the processor's cache
TILE = 64  # rows that are transposed at a time
BLOCK = 4096  # columns that are summed at a time: most pictures whole, row after row; a multiple of every `side`

U = np.uint32  # numba would go on in 64 bits with a plain number

Words = npt.NDArray[np.uint32]
Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Axis(NamedTuple):
    """Which places a pixel of an axis counts for, and by how much: those of pixel x from `starts[x]` on."""

    starts: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    weights: Doubles


@compiled
def window(length: int) -> int:
    """How many px one box filter averages over an axis of `length` px."""
    return (length + PLACES - 1) // PLACES


@compiled
def centre(place: int, length: int) -> int:
    """Which pixel of a filtered axis PDQ keeps as its `place`th."""
    return int((place + 0.5) * length / SIDE)


@compiled
def axis(length: int) -> Axis:
    """Two box filters, then one pixel in so many, as what each pixel adds to each place; O(length)."""
    size = window(length)
    ahead = (size + 2) // 2 - 1
    back = size - 1 - ahead
    lows = np.zeros(SIDE, dtype=np.int64)
    highs = np.zeros(SIDE, dtype=np.int64)
    shares = np.zeros((SIDE, 2 * size + 1))
    starts = np.zeros(length + 1, dtype=np.int64)
    for place in range(SIDE):
        middle = centre(place, length)
        first, last = max(middle - back, 0), min(middle + ahead, length - 1)
        low, high = max(first - back, 0), min(last + ahead, length - 1)
        for inner in range(first, last + 1):
            begin, end = max(inner - back, 0), min(inner + ahead, length - 1)
            share = 1 / ((last - first + 1) * (end - begin + 1))
            shares[place, begin - low] += share
            shares[place, end + 1 - low] -= share
        for x in range(low, high + 1):
            shares[place, x + 1 - low] += shares[place, x - low]
            starts[x + 1] += 1
            starts[length - x] += 1
        lows[place], highs[place] = low, high
    starts = np.cumsum(starts)
    free = starts.copy()
    places = np.empty(starts[length], dtype=np.int64)
    weights = np.empty(starts[length])
    for place in range(SIDE):
        for x in range(lows[place], highs[place] + 1):
            for pixel, target in ((x, place), (length - 1 - x, SIDE + place)):
                places[free[pixel]] = target
                weights[free[pixel]] = shares[place, x - lows[place]]
                free[pixel] += 1
    return Axis(starts, places, weights)


@compiled
def thousandths(word: np.uint32) -> np.float32:
    """The luminance of a pixel, in thousandths of a grey level: a whole number."""
    red, green, blue = word & U(255), (word >> U(8)) & U(255), (word >> U(16)) & U(255)
    return np.float32(np.int32(red * U(299) + green * U(587) + blue * U(114)))


@compiled
def add(words: Words, first: int, down: Axis, across: Axis, found: Doubles, blocks: Doubles, side: int) -> None:
    """Add the rows from `first` on, in thousandths of a grey level, to the places and to the blocks they lie in.

    Places: float64[128, 128], across first. Blocks of `side` x `side` px: float64[rows, columns].
    """
    height, width = words.shape
    sums = np.empty((PLACES, min(BLOCK, width) + APART), dtype=np.float32)
    line = np.empty(min(BLOCK, width), dtype=np.float32)
    soft = np.empty(min(BLOCK, width), dtype=np.float32)
    column = np.empty(PLACES)
    for left in range(0, width, BLOCK):
        count = min(BLOCK, width - left)
        sums[:] = 0
        soft[:] = 0
        for y in range(height):
            begin, end = down.starts[first + y], down.starts[first + y + 1]
            row = words[y, left : left + count]
            if end - begin == 2:  # nearly every row of nearly every picture: all at once
                one, other = sums[down.places[begin]], sums[down.places[begin + 1]]
                weight, second = np.float32(down.weights[begin]), np.float32(down.weights[begin + 1])
                for x in range(count):
                    grey = thousandths(row[x])
                    one[x] += weight * grey
                    other[x] += second * grey
                    soft[x] += grey
            else:
                for x in range(count):
                    line[x] = thousandths(row[x])
                    soft[x] += line[x]
                for n in range(begin, end):
                    place, weight = down.places[n], np.float32(down.weights[n])
                    for x in range(count):
                        sums[place, x] += weight * line[x]
            if (first + y + 1) % side == 0 or y == height - 1:
                means = blocks[(first + y) // side]
                for block in range((count + side - 1) // side):
                    total = 0.0
                    for x in range(side * block, min(side * (block + 1), count)):
                        total += soft[x]
                    means[left // side + block] += total
                soft[:] = 0
        for x in range(count):
            for place in range(PLACES):
                column[place] = sums[place, x]
            for n in range(across.starts[left + x], across.starts[left + x + 1]):
                place, weight = across.places[n], across.weights[n]
                for also in range(PLACES):
                    found[place, also] += weight * column[also]


@compiled
def gradient(square: Doubles, far: float) -> tuple[float, float]:
    """The steps between neighbours in float64[64, 64], in whole percent of the range of grey levels, summed: where each
    is by `far` less than it is, and where each is by as much more."""
    least = most = 0.0
    for rows, columns in ((1, 0), (0, 1)):
        for y in range(SIDE - rows):
            for x in range(SIDE - columns):
                step = abs((square[y, x] - square[y + rows, x + columns]) * 100 / 255)
                least += np.trunc(max(step - far, 0.0))
                most += np.trunc(step + far)
    return least, most


@compiled
def luminance(words: Words, grey: Singles) -> None:
    """Grey levels as pdqhash's binding has them: in double precision, then rounded to single."""
    height, width = words.shape
    for y in range(height):
        for x in range(width):
            word = words[y, x]
            red, green, blue = word & U(255), (word >> U(8)) & U(255), (word >> U(16)) & U(255)
            grey[y, x] = np.float32(red * 0.299 + green * 0.587 + blue * 0.114)


@compiled
def shrunk(grey: Singles, down: int, across: int) -> Singles:
    """What pdqhash makes of a picture that is so mirrored, then transposed: float32[64, 64].

    Each sum is taken in single precision, in the order in which pdqhash takes it: it drifts as pdqhash's does.
    """
    height, width = grey.shape
    if height == SIDE and width == SIDE:  # which pdqhash leaves as it is
        found = grey[::-1].copy() if down else grey
        return transposed(found[:, ::-1].copy() if across else found)
    twice = _filtered(_filtered(grey, np.arange(height), down), np.arange(width), across)
    return transposed(_filtered(_filtered(twice, _centres(height), 0), _centres(width), 0))


@compiled
def transposed(pixels: Singles) -> Singles:
    """A transposed copy, made block by block."""
    height, width = pixels.shape
    found = np.empty((width, height), dtype=np.float32)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            for x in range(left, min(left + TILE, width)):
                for y in range(top, min(top + TILE, height)):
                    found[x, y] = pixels[y, x]
    return found


@compiled
def _centres(length: int) -> npt.NDArray[np.int64]:
    return np.array([centre(place, length) for place in range(SIDE)])


@compiled
def _filtered(given: Singles, kept: npt.NDArray[np.int64], backwards: int) -> Singles:
    """A box filter down each column, or up; of its rows those that are `kept`, as it meets them, and transposed.

    Some columns at a time, so that little memory is touched.
    """
    length, width = given.shape
    size = window(length)
    ahead = (size + 2) // 2 - 1
    start, way = (length - 1, -1) if backwards else (0, 1)
    found = np.empty((width, len(kept)), dtype=np.float32)
    sums = np.empty(STRIP, dtype=np.float32)
    tile = np.empty((TILE, STRIP), dtype=np.float32)
    for left in range(0, width, STRIP):
        right = min(left + STRIP, width)
        sums[:] = 0
        done = 0
        for step in range(length + ahead):
            if step < length:
                row = given[start + way * step][left:right]
                for x in range(right - left):
                    sums[x] += row[x]
            if step >= size:
                row = given[start + way * (step - size)][left:right]
                for x in range(right - left):
                    sums[x] -= row[x]
            share = np.float32(min(step, length - 1) - max(step - size, -1))
            while done < len(kept) and kept[done] == step - ahead:
                row = tile[done % TILE]
                for x in range(right - left):
                    row[x] = sums[x] / share
                done += 1
                if done % TILE == 0 or done == len(kept):
                    first = (done - 1) // TILE * TILE
                    for x in range(right - left):
                        column = found[left + x][first:done]
                        for n in range(done - first):
                            column[n] = tile[n, x]
    return found


@compiled
def coefficients(pixels: Singles, cosines: Singles) -> Singles:
    """The DCT in single precision, summed in pdqhash's order: float32[16, 16] of float32[64, 64]."""
    rows = len(cosines)
    half = np.zeros((rows, SIDE), dtype=np.float32)
    found = np.zeros((rows, rows), dtype=np.float32)
    for i in range(rows):
        for k in range(SIDE):
            for j in range(SIDE):
                half[i, j] += cosines[i, k] * pixels[k, j]
    for i in range(rows):
        for j in range(rows):
            for k in range(SIDE):
                found[i, j] += half[i, k] * cosines[j, k]
    return found
