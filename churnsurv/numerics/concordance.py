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

Weights multiply: a pair counts the product of its two. Frequencies give what the repeated rows give; with sampling
weights the derivative is taken in the weight of a row, and multiplied by it.

All counts are made in O(n log n): rows stand in order of the score, each knows its place in time, and a concordant pair
is one that stands there in the wrong order of time, an inversion. See `churnsurv.numerics.inversions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.censoring import Drawn
from churnsurv.numerics.inversions import inversions, weighted_inversions
from churnsurv.numerics.risk_sets import RiskSets

__all__ = ["Concordance", "Ranked", "concordance", "inversions", "ranked_pairs"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.integer[Any]]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Concordance:
    """Pairs, C and its standard error.

    Attributes
    ----------
    estimate : float
        C, between 0 and 1.
    std_error : float
        By the infinitesimal jackknife, over clusters where there are any.
    concordant, discordant, tied_score : int or float
        Comparable pairs: the one who churns first has the higher, the lower, the same score. Sums of the weights of
        pairs where these are no whole numbers.
    tied_time : int or float
        Pairs of events on the same day with different scores; not comparable.
    tied_both : int or float
        Pairs of events on the same day with the same score; not comparable.
    influence : (n,) float64, read-only
        Derivative of C in the weight of each row; sums to 0. 0 for rows that are never at risk on a day with events.
    """

    estimate: float
    std_error: float
    concordant: int | float
    discordant: int | float
    tied_score: int | float
    tied_time: int | float
    tied_both: int | float
    influence: Floats


def concordance(
    sets: RiskSets,
    score: NDArray[Any],
    *,
    cluster: Ints | None = None,
    n_clusters: int = 0,
    weights: Floats | None = None,
    frequency: bool = False,
) -> Concordance:
    """Compare a score with the order in which rows churn.

    Parameters
    ----------
    sets : RiskSets
        Who is at risk when; pairs are within its strata. Made with the frequencies, where there are any.
    score : (n,) number or bool, without NaN
        Higher means sooner churn. Only its order matters.
    cluster : (n,) integer, optional
        0 ... n_clusters - 1; the rows of a cluster may depend on each other.
    n_clusters : int
    weights : (n,) float64, optional
        > 0.
    frequency : bool
        A row stands for as many users as its weight says; else the weights are those of one row.

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
    drawn = Drawn(weights, frequency, cluster, n_clusters)
    if weights is not None:
        ranked = ranked_pairs(sets, score, as_event=weights, as_at_risk=weights, frequency=frequency)
        return ranked.result(ranked.of_event + ranked.of_at_risk, drawn, whole=frequency)
    at_risk = sets.at_risk()
    rows = slice(None) if at_risk.all() else np.flatnonzero(at_risk)
    pairs = _all_pairs(sets, rows, score[rows]) if at_risk.any() else None
    comparable = 0 if pairs is None else _number(pairs.comparable)
    if pairs is None or comparable == 0:
        raise _no_pair()
    concordant, tied = _number(pairs.concordant), _number(pairs.tied)
    estimate = (2 * concordant + tied) / (2 * comparable)
    influence = np.zeros(sets.place.shape[0])
    influence[rows] = (pairs.concordant + 0.5 * pairs.tied - estimate * pairs.comparable) / comparable
    influence.setflags(write=False)
    same_day_pairs = int((sets.n_events * (sets.n_events - 1) // 2).sum())
    return Concordance(
        estimate=estimate,
        std_error=drawn.std_error(influence),
        concordant=concordant,
        discordant=comparable - concordant - tied,
        tied_score=tied,
        tied_time=same_day_pairs - pairs.tied_both,
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


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """C from pairs with weights, and what its derivative is made of; arrays by row, (n,) float64.

    Attributes
    ----------
    estimate, comparable : float
        C, and the weight of all comparable pairs.
    concordant, tied_score, tied_time, tied_both : float
    of_event : (n,)
        Concordant and half of the tied pairs of a row as the event, less C times all of them, by the weights of the
        others, over `comparable`.
    of_at_risk : (n,)
        The same as the one at risk, by the weights of the events.
    """

    estimate: float
    comparable: float
    concordant: float
    tied_score: float
    tied_time: float
    tied_both: float
    of_event: Floats
    of_at_risk: Floats

    def result(self, influence: Floats, drawn: Drawn, *, whole: bool) -> Concordance:
        """Put the result together; counts are whole numbers where the weights of pairs are."""
        influence.setflags(write=False)

        def count(pairs: float) -> int | float:
            return round(pairs) if whole else pairs

        return Concordance(
            estimate=self.estimate,
            std_error=drawn.std_error(influence),
            concordant=count(self.concordant),
            discordant=count(self.comparable - self.concordant - self.tied_score),
            tied_score=count(self.tied_score),
            tied_time=count(self.tied_time),
            tied_both=count(self.tied_both),
            influence=influence,
        )


def ranked_pairs(
    sets: RiskSets, score: NDArray[Any], *, as_event: Floats, as_at_risk: Floats, frequency: bool = False
) -> Ranked:
    """Compare a score with the order in which rows churn, where pairs count the product of two weights.

    Parameters
    ----------
    sets : RiskSets
    score : (n,) number or bool, without NaN
    as_event, as_at_risk : (n,) float64
        > 0; weights of a row as the one who churns first, and as the other.
    frequency : bool
        `as_at_risk` says for how many users a row stands: two of them churn on one day.

    Raises
    ------
    InputError
        If there is no comparable pair.

    Examples
    --------
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([5, 8, 8, 9]), np.array([True, True, False, True]))
    >>> found = ranked_pairs(sets, np.array([3, 3, 1, 4]), as_event=np.array([2.0, 1, 1, 1]), as_at_risk=np.ones(4))
    >>> found.concordant, found.tied_score, found.comparable
    (3.0, 2.0, 8.0)
    """
    if not (sets.n_at_risk > sets.n_events).any():
        raise _no_pair()
    rows = np.flatnonzero(sets.at_risk())
    key = sets.place[rows] ^ 1
    event = key & 1 == 0
    a, b = np.where(event, as_event[rows], 0.0), as_at_risk[rows]
    sums, same_score = _weighted_pairs(sets, rows, key, score[rows], a, b)
    concordant, tied, comparable = (float(np.dot(a, sums[i])) for i in range(3))
    estimate = (concordant + tied / 2) / comparable
    by_row = np.zeros((2, sets.place.shape[0]))
    for role in range(2):
        part = sums[3 * role : 3 * role + 3]
        by_row[role, rows] = (part[0] + 0.5 * part[1] - estimate * part[2]) / comparable
    of_day = [np.bincount(key >> 1, np.where(event, weights, 0.0)) for weights in (a, b)]
    # a row makes no pair with itself, the users that it stands for do
    alone = float(a.sum() if frequency else np.dot(a, b))
    same_day, tied_both = ((float(pairs) - alone) / 2 for pairs in (np.dot(*of_day), same_score))
    return Ranked(estimate, comparable, concordant, tied, same_day - tied_both, tied_both, *by_row)


def _no_pair() -> InputError:
    return InputError(
        "there is no comparable pair: nobody churns while somebody else is at risk and goes on. Concordance needs "
        "at least two rows that are at risk together. Check the event column and the strata."
    )


def _weighted_pairs(
    sets: RiskSets, rows: Ints, key: NDArray[np.int32], score: NDArray[Any], a: Floats, b: Floats
) -> tuple[Floats, float]:
    """Concordant, tied and all pairs of each point, as the event and as the one at risk, (6, n).

    Also the weight of all pairs of events on one day with one score, each with itself too.

    The steps are those of `_all_pairs`.
    """
    segments = sets.segments
    order, new = _ranked(score, np.searchsorted(segments, key >> 1, side="right") if segments.shape[0] > 2 else None)
    code = np.zeros(key.shape[0], dtype=np.int32)
    code[order[1:]] = np.cumsum(new, dtype=np.int32)
    order = _stable_order(key, code)
    sums, same_score = _sums(key, order, new, segments, a, b)
    if sets.start is None:
        return sums, same_score
    start = sets.start[rows]
    late, events = np.flatnonzero(start < sets.n_slots), np.flatnonzero(key & 1 == 0)
    both = np.concatenate([late, events])
    key = np.concatenate([2 * start[late] + 1, key[events]])
    a, b = a[both], b[both]
    a[: late.shape[0]], b[late.shape[0] :] = 0.0, 0.0
    code = code[both]
    order = _stable_order(key, code)
    missed, _ = _sums(key, order, np.diff(code[order]) != 0, segments, a, b)
    # late rows take part as the one at risk here, events as the event
    sums[3:, late] -= missed[3:, : late.shape[0]]
    sums[:3, events] -= missed[:3, late.shape[0] :]
    return sums, same_score


def _sums(
    key: NDArray[np.int32], order: Ints, new: Flags, segments: Ints, a: Floats, b: Floats
) -> tuple[Floats, float]:
    """Pair each event with the points of greater keys in its segment; a is 0 for the others."""
    out = np.zeros((6, key.shape[0]))
    out[2], out[5] = _all_by_key(key, segments, a, b)
    ordered, a, b = key[order], a[order], b[order]
    found = weighted_inversions(_inverse(_stable_order(ordered)), a, b)
    event = ordered & 1 == 0
    out[0, order], out[3, order] = np.where(event, found.as_red, 0.0), found.as_blue
    score_first, score_after = _stretches(new)
    key_first, key_after = _stretches(new | (ordered[1:] != ordered[:-1]))
    a_before, b_before = (np.append(0.0, np.cumsum(weights)) for weights in (a, b))
    out[1, order] = np.where(event, b_before[score_after] - b_before[key_after], 0.0)
    out[4, order] = a_before[key_first] - a_before[score_first]
    together = b_before[key_after] - b_before[key_first]
    return out, float(np.dot(a, np.where(event, together, 0.0)))


def _all_by_key(key: NDArray[np.int32], segments: Ints, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """All pairs of a point as the event and as the one at risk, which its key says."""
    n_keys = 2 * int(segments[-1])
    events, at_risk = (np.bincount(key, weights, minlength=n_keys) for weights in (a, b))
    first, after = (np.repeat(2 * part, 2 * np.diff(segments)) for part in (segments[:-1], segments[1:]))
    events_before, at_risk_up_to = np.cumsum(events) - events, np.cumsum(at_risk)
    as_event = np.where(np.arange(n_keys) & 1 == 0, at_risk_up_to[after - 1] - at_risk_up_to, 0.0)
    return as_event[key], (events_before - events_before[first])[key]
