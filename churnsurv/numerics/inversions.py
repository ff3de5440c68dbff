"""Inversions of a permutation, counted or weighted, by element: what pairs in the wrong order of time come down to."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["WeightedInversions", "inversions", "weighted_inversions"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.integer[Any]]
Flags: TypeAlias = NDArray[np.bool_]

# A digit and the number of rows in a block fit into one byte, and one value is left for those that are not red.
_LARGEST_BASE, _NOT_RED = 255, 255
# Blocks compared at once: their comparisons stay in the second-level cache.
_BLOCKS = 4096
# Groups of 2 ** _LEAF elements are compared pair by pair where pairs have weights.
_LEAF = 4


def inversions(place: Ints, red: Flags, *, red_is_blue: bool = True) -> NDArray[np.int32]:
    """Count for each element of a permutation the inversions that it takes part in.

    An inversion is a blue element that stands before a red one and has the higher place.

    Parameters
    ----------
    place : (n,) integer
        A permutation of 0 ... n - 1.
    red : (n,) bool
        The others are blue.
    red_is_blue : bool
        Red elements are blue as well.

    Returns
    -------
    (n,) int32
        Inversions as the red one, plus those as the blue one.

    Notes
    -----
    Places are written in `levels` digits to a base of about the `levels`-th root of n, at most 255: one digit up to 255
    elements, three up to 16 million. Two elements are told apart by the first digit in which their places differ. On
    that level the elements with equal digits before form a group, in the order of the sequence. Groups are cut to
    blocks of `base` elements: within a block all pairs are compared, as bytes, many at a time; between blocks a running
    table of how often each digit occurred holds the counts. So each level is a few passes over n numbers and n base / 2
    comparisons of bytes.

    Examples
    --------
    >>> inversions(np.array([2, 0, 3, 1]), np.array([True, True, False, True])).tolist()
    [2, 1, 1, 2]
    """
    n = place.shape[0]
    base, levels = _digits(n)
    total = base**levels
    red_at = np.zeros(total, dtype=np.bool_)
    red_at[place] = red
    # what fills up the last block stands last and has the highest places: part of no inversion
    at = np.concatenate([place.astype(np.int32, copy=False), np.arange(n, total, dtype=np.int32)])
    counts = np.zeros(total, dtype=np.int32)
    for size in (base**k for k in range(levels - 1, -1, -1)):
        digit, is_red = (at // size % base).astype(np.uint8), red_at[at]
        _within_blocks(digit, is_red, base, counts, red_is_blue=red_is_blue)
        if size > 1:
            reds = np.count_nonzero(red_at.reshape(-1, base, size), axis=2)
            _between_blocks(digit, is_red, reds, counts, red_is_blue=red_is_blue)
            order = np.argsort(digit.reshape(-1, base * size), axis=1, kind="stable")
            order += np.arange(0, total, base * size)[:, None]
            at, counts = at[order.ravel()], counts[order.ravel()]
    by_place = np.empty_like(counts)
    by_place[at] = counts
    return by_place[place]


def _digits(n: int) -> tuple[int, int]:
    """Return the smallest base, and the fewest digits, that write all places."""
    levels = 1
    while _LARGEST_BASE**levels < n:
        levels += 1
    base = max(2, int(n ** (1 / levels)) - 1)
    while base**levels < n:
        base += 1
    return base, levels


def _within_blocks(
    digit: NDArray[np.uint8], red: Flags, base: int, counts: NDArray[np.int32], *, red_is_blue: bool
) -> None:
    """Compare all pairs of each block, and add to the counts."""
    step = _BLOCKS * base
    for first in range(0, digit.shape[0], step):
        rows = slice(first, first + step)
        # turned, so that one comparison takes the k-th element of every block with all before it
        d, r = (np.ascontiguousarray(part[rows].reshape(-1, base).T) for part in (digit, red))
        # nothing is greater than 255, and 0 is greater than nothing
        sought = np.where(r, d, np.uint8(_NOT_RED))
        blue = d if red_is_blue else np.where(r, np.uint8(0), d)
        greater = np.empty(d.shape, dtype=np.bool_)
        before, after = np.zeros(d.shape, dtype=np.uint8), np.zeros(d.shape, dtype=np.uint8)
        for k in range(1, base):
            inverted = np.greater(blue[:k], sought[k], out=greater[:k]).view(np.uint8)
            np.add.reduce(inverted, axis=0, out=before[k])
            after[:k] += inverted
        before += after  # no more than base - 1 together
        counts[rows] += np.ascontiguousarray(before.T).ravel()


def _between_blocks(
    digit: NDArray[np.uint8], red: Flags, reds: Ints, counts: NDArray[np.int32], *, red_is_blue: bool
) -> None:
    """Count, for each element, those of other blocks of its group, and add to the counts.

    `reds` has, by group and digit, how many red elements there are. `base` blocks are taken at a time: few enough for
    the cache, and a table of blocks by digits is no larger than the blocks themselves.
    """
    base = reds.shape[1]
    span, group = base * base, digit.shape[0] // reds.shape[0]
    block = np.repeat(np.arange(0, span, base), base)
    for first in range(0, digit.shape[0], span):
        if first % group == 0:
            blue_before, red_after = np.zeros(base, dtype=np.int64), reds[first // group]
        rows = slice(first, first + span)
        cell = block + digit[rows] + span * red[rows]
        others, red_here = np.bincount(cell, minlength=2 * span).reshape(2, base, base)
        blue_here = others + red_here if red_is_blue else others
        blue_up_to = blue_before + np.cumsum(blue_here, axis=0)
        before, after = blue_up_to - blue_here, red_after - np.cumsum(red_here, axis=0)
        blue_before, red_after = blue_up_to[-1], after[-1]
        # as red: blue ones before with a greater digit; as blue: red ones after with a smaller digit
        as_red = np.sum(before, axis=1, keepdims=True) - np.cumsum(before, axis=1)
        as_blue = np.cumsum(after, axis=1) - after
        counts[rows] += np.stack([as_blue, as_red + as_blue if red_is_blue else as_red]).ravel()[cell]


class WeightedInversions(NamedTuple):
    """Sums over the inversions of each element, (n,) float64.

    Attributes
    ----------
    as_red
        Blue weight of the elements before it with a higher place.
    as_blue
        Red weight of the elements after it with a lower place.
    """

    as_red: Floats
    as_blue: Floats


def weighted_inversions(place: Ints, red: Floats, blue: Floats) -> WeightedInversions:
    """Add up, for each element of a permutation, the weights of those that it makes an inversion with.

    Parameters
    ----------
    place : (n,) integer
        A permutation of 0 ... n - 1.
    red, blue : (n,) float64
        Weights of each element in either role; 0 where it does not have it.

    Notes
    -----
    Places are written in binary digits. Two elements are told apart by the first digit in which their places differ;
    on that level running sums over the elements with equal digits before, in the order of the sequence, hold the
    answer. So each level is a few passes over n numbers, and there are log2(n) of them.

    Examples
    --------
    >>> found = weighted_inversions(np.array([2, 0, 3, 1]), np.array([1.0, 2.0, 0.0, 4.0]), np.ones(4))
    >>> found.as_red.tolist(), found.as_blue.tolist()
    ([0.0, 1.0, 0.0, 2.0], [6.0, 0.0, 4.0, 0.0])
    """
    n = place.shape[0]
    levels = max(_LEAF, max(n - 1, 1).bit_length())
    total = 1 << levels
    # what fills up stands last, has the highest places and no weight
    at = np.concatenate([place.astype(np.int32, copy=False), np.arange(n, total, dtype=np.int32)])
    reds, blues = (np.concatenate([weights, np.zeros(total - n)]) for weights in (red, blue))
    as_red, as_blue = np.zeros(total), np.zeros(total)
    for level in range(levels - 1, _LEAF - 1, -1):
        half = 1 << level
        high = (at & half) != 0
        low = ~high
        # half of each group is high
        as_red += _running(blues * high, 2 * half) * low
        as_blue += _running((reds * low)[::-1], 2 * half)[::-1] * high
        lows, highs = (np.flatnonzero(which).reshape(-1, half) for which in (low, high))
        order = np.concatenate([lows, highs], axis=1).ravel()
        at, reds, blues, as_red, as_blue = (values[order] for values in (at, reds, blues, as_red, as_blue))
    _within_leaves(at, reds, blues, as_red, as_blue)
    found = np.empty((2, total))
    found[0, at], found[1, at] = as_red, as_blue
    return WeightedInversions(found[0, place], found[1, place])


def _running(values: Floats, size: int) -> Floats:
    """Running sums that begin anew every `size` elements."""
    return np.asarray(np.cumsum(values.reshape(-1, size), axis=1).ravel())


def _within_leaves(at: Ints, reds: Floats, blues: Floats, as_red: Floats, as_blue: Floats) -> None:
    """Compare all pairs of each of the last groups, and add to the sums."""
    size = 1 << _LEAF
    step = size * _BLOCKS
    for first in range(0, at.shape[0], step):
        rows = slice(first, first + step)
        # turned, so that one comparison takes the k-th element of every group with all before it
        place, red, blue = (np.ascontiguousarray(x[rows].reshape(-1, size).T) for x in (at, reds, blues))
        before, after = np.zeros(place.shape), np.zeros(place.shape)
        for k in range(1, size):
            inverted = place[:k] > place[k]
            before[k] = np.einsum("ij,ij->j", inverted, blue[:k])
            after[:k] += inverted * red[k]
        as_red[rows] += before.T.ravel()
        as_blue[rows] += after.T.ravel()
