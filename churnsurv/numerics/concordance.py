"""Harrell's C: of the pairs of users of whom one is seen to churn first, the share in which the score said so.

An event i and a row j make a comparable pair where j is at risk on the day of i and does not churn on it: the row of
the event churns first. A censoring on that very day comes after it, so that the pair counts; two events on one day do
not tell who was first and are no pair. The pair is concordant where i has the higher score; equal scores count half:

    C = (concordant + tied / 2) / comparable.

The infinitesimal jackknife takes the derivative of C in the weight of each row. With c_k, t_k, m_k the concordant, tied
and comparable pairs in which row k takes part, whether as the event or as the one at risk, it is

    (c_k + t_k / 2 - C m_k) / comparable,

and the variance is the sum of its squares, over rows or over the sums of clusters (Therneau and Watson 2017; ties as in
concordance of R's survival package).

All counts are made in O(n log n): rows stand in order of the score, each knows its place in time, and a concordant pair
is one that stands there in the wrong order of time, an inversion. See `inversions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.risk_sets import RiskSets

__all__ = ["Concordance", "concordance", "inversions"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.integer[Any]]
Flags: TypeAlias = NDArray[np.bool_]

# A digit and the number of rows in a block fit into one byte, and one value is left for those that are not red.
_LARGEST_BASE, _NOT_RED = 255, 255
# Blocks compared at once: their comparisons stay in the second-level cache.
_BLOCKS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Concordance:
    """Pairs, Harrell's C and its standard error.

    Attributes
    ----------
    estimate : float
        C, between 0 and 1.
    std_error : float
        By the infinitesimal jackknife, over clusters where there are any.
    concordant, discordant, tied_score : int
        Comparable pairs: the one who churns first has the higher, the lower, the same score.
    tied_time : int
        Pairs of events on the same day with different scores; not comparable.
    tied_both : int
        Pairs of events on the same day with the same score; not comparable.
    influence : (n,) float64, read-only
        Derivative of C in the weight of each row; sums to 0. 0 for rows that are never at risk on a day with events.
    """

    estimate: float
    std_error: float
    concordant: int
    discordant: int
    tied_score: int
    tied_time: int
    tied_both: int
    influence: Floats


def concordance(
    sets: RiskSets, score: NDArray[Any], *, cluster: Ints | None = None, n_clusters: int = 0
) -> Concordance:
    """Compare a score with the order in which rows churn.

    Parameters
    ----------
    sets : RiskSets
        Who is at risk when; pairs are within its strata, and rows count once.
    score : (n,) number or bool, without NaN
        Higher means sooner churn. Only its order matters.
    cluster : (n,) integer, optional
        0 ... n_clusters - 1; the rows of a cluster may depend on each other.
    n_clusters : int

    Raises
    ------
    InputError
        If there is no comparable pair.

    Examples
    --------
    Three churn, on days 5, 8 and 9, one is censored on day 8. Of five pairs (5-8, 5-8+, 5-9, 8-8+, 8-9) one is tied,
    and two are discordant.

    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([5, 8, 8, 9]), np.array([True, True, False, True]))
    >>> found = concordance(sets, np.array([3.0, 3.0, 1.0, 4.0]))
    >>> found.concordant, found.discordant, found.tied_score, found.estimate
    (2, 2, 1, 0.5)
    """
    at_risk = sets.at_risk()
    rows = slice(None) if at_risk.all() else np.flatnonzero(at_risk)
    pairs = _all_pairs(sets, rows, score[rows]) if at_risk.any() else None
    comparable = 0 if pairs is None else _number(pairs.comparable)
    if pairs is None or comparable == 0:
        raise InputError(
            "there is no comparable pair: nobody churns while somebody else is at risk and goes on. Concordance needs "
            "at least two rows that are at risk together. Check the event column and the strata."
        )
    concordant, tied = _number(pairs.concordant), _number(pairs.tied)
    estimate = (2 * concordant + tied) / (2 * comparable)
    influence = np.zeros(sets.place.shape[0])
    influence[rows] = (pairs.concordant + 0.5 * pairs.tied - estimate * pairs.comparable) / comparable
    influence.setflags(write=False)
    by_cluster = influence if cluster is None else np.bincount(cluster, weights=influence, minlength=n_clusters)
    same_day = int((sets.n_events * (sets.n_events - 1) // 2).sum())
    return Concordance(
        estimate=estimate,
        std_error=float(np.sqrt(np.square(by_cluster).sum())),
        concordant=concordant,
        discordant=comparable - concordant - tied,
        tied_score=tied,
        tied_time=same_day - pairs.tied_both,
        tied_both=pairs.tied_both,
        influence=influence,
    )


class _Pairs(NamedTuple):
    """Pairs that each point takes part in, as the event or as the one at risk; pairs of events equal in all."""

    concordant: NDArray[np.int32]
    tied: NDArray[np.int32]
    comparable: NDArray[np.int32]
    tied_both: int


def _number(by_point: NDArray[np.int32]) -> int:
    return int(by_point.sum(dtype=np.int64)) // 2


def _all_pairs(sets: RiskSets, rows: Ints | slice, score: NDArray[Any]) -> _Pairs:
    # even for an event, which comes before everything else that ends on its day or until the next day with events
    key = sets.place[rows] ^ 1
    segments = sets.segments
    order, new = _ranked(score, np.searchsorted(segments, key >> 1, side="right") if segments.shape[0] > 2 else None)
    code = np.empty(0, dtype=np.int32)
    if sets.start is not None or not new.all():
        code = np.zeros(key.shape[0], dtype=np.int32)
        code[order[1:]] = np.cumsum(new, dtype=np.int32)
        order = _stable_order(key, code)
    pairs = _pairs(key, order, new, segments, events_at_risk=True)
    if sets.start is None:
        return pairs
    # every row was taken as at risk from the first: take back its pairs with events not after its entry
    start = sets.start[rows]
    late, events = np.flatnonzero(start < sets.n_slots), np.flatnonzero(key & 1 == 0)
    key = np.concatenate([2 * start[late] + 1, key[events]])
    code = code[np.concatenate([late, events])]
    order = _stable_order(key, code)
    missed = _pairs(key, order, np.diff(code[order]) != 0, segments, events_at_risk=False)
    for counts, not_there in zip(pairs[:3], missed[:3], strict=True):
        counts[late] -= not_there[: late.shape[0]]
        counts[events] -= not_there[late.shape[0] :]
    return pairs


def _pairs(key: NDArray[np.int32], order: Ints, new: Flags, segments: Ints, *, events_at_risk: bool) -> _Pairs:
    """Pair each event, which has an even key, with the points of greater keys in its segment.

    Parameters
    ----------
    key : (n,) int32
    order : (n,) integer
        By segment, score and key.
    new : (n - 1,) bool
        Whether the next point in this order has another segment or score.
    events_at_risk : bool
        Events are points to be paired with too; else only those with odd keys are.
    """
    comparable = _comparable_by_key(key, segments, events_at_risk=events_at_risk)[key]
    key = key[order]
    event = key & 1 == 0
    concordant, tied, tied_both = np.empty_like(key), np.zeros_like(key), 0
    # segments follow each other in both orders, so that no inversion crosses them
    concordant[order] = inversions(_inverse(_stable_order(key)), event, red_is_blue=events_at_risk)
    if not new.all():
        tied[order], tied_both = _tied(key, new, event, events_at_risk=events_at_risk)
    return _Pairs(concordant, tied, comparable, tied_both)


def _tied(
    key: NDArray[np.int32], new_score: Flags, event: Flags, *, events_at_risk: bool
) -> tuple[NDArray[np.int32], int]:
    """Pairs with the same score, for points in order of segment, score and key."""
    n = key.shape[0]
    events_before = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(event, out=events_before[1:], dtype=np.int32)
    at_risk_before = np.arange(n + 1, dtype=np.int32)
    if not events_at_risk:
        at_risk_before -= events_before
    score_first, score_after = _stretches(new_score)
    key_first, key_after = _stretches(new_score | (key[1:] != key[:-1]))
    counts = np.where(event, at_risk_before[score_after] - at_risk_before[key_after], 0)
    before = events_before[key_first] - events_before[score_first]
    counts += before if events_at_risk else np.where(event, 0, before)
    others = (events_before[key_after] - events_before[key_first])[event] - 1
    return counts, _number(others)


def _stretches(new: Flags) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each point, where its stretch of equal ones begins and where the next one does."""
    edges = np.concatenate([[0], np.flatnonzero(new) + 1, [new.shape[0] + 1]]).astype(np.int32)
    lengths = np.diff(edges)
    return np.repeat(edges[:-1], lengths), np.repeat(edges[1:], lengths)


def _comparable_by_key(key: NDArray[np.int32], segments: Ints, *, events_at_risk: bool) -> NDArray[np.int32]:
    """All pairs of a point, which its key says."""
    n_keys = 2 * int(segments[-1])
    number = np.bincount(key, minlength=n_keys)
    is_event = np.arange(n_keys) & 1 == 0
    events = np.where(is_event, number, 0)
    at_risk = number if events_at_risk else number - events
    events_before, at_risk_up_to = np.cumsum(events) - events, np.cumsum(at_risk)
    first, after = (np.repeat(2 * part, 2 * np.diff(segments)) for part in (segments[:-1], segments[1:]))
    as_event = np.where(is_event, at_risk_up_to[after - 1] - at_risk_up_to, 0)
    as_at_risk = events_before - events_before[first]
    if not events_at_risk:
        as_at_risk[is_event] = 0
    both: NDArray[np.int32] = (as_event + as_at_risk).astype(np.int32)
    return both


def _ranked(score: NDArray[Any], segment: Ints | None) -> tuple[Ints, Flags]:
    """Order by segment and score, and whether the next one in it differs."""
    order = np.argsort(score)
    if segment is not None:
        order = order[_stable_order(segment[order])]
    ordered = score[order]
    new = ordered[1:] != ordered[:-1]
    if segment is not None:
        new |= np.diff(segment[order]) != 0
    return order, new


def _inverse(permutation: Ints) -> NDArray[np.int32]:
    inverse = np.empty(permutation.shape[0], dtype=np.int32)
    inverse[permutation] = np.arange(permutation.shape[0], dtype=np.int32)
    return inverse


def _stable_order(*codes: Ints) -> NDArray[np.intp]:
    """Order by the last of the codes, those equal by the one before it, and so on; codes are >= 0.

    Two bytes at a time, lowest first: these numpy counts, which is many times faster than to compare.
    """
    order: NDArray[np.intp] | None = None
    for code in codes:
        largest = int(code.max())
        for shift in range(0, largest.bit_length(), 16):
            digit = (code >> shift).astype(np.uint16 if largest >> shift > 255 else np.uint8)
            if order is None:
                order = np.argsort(digit, kind="stable")
            else:
                order = order[np.argsort(digit[order], kind="stable")]
    return np.arange(codes[0].shape[0]) if order is None else order


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
