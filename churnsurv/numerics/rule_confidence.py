"""Which rules may be the best: a confidence set over the whole family, by the bootstrap of its largest error.

With t_r the estimated benefit of rule r, D(r) its error, r0 the best rule in truth and M = max over the family of D,

    max_r t_r - t_r0  <=  M - D(r0),

because no true benefit exceeds that of r0. So the set of rules r with max t - t_r <= q_r, q_r the quantile of M - D(r),
holds r0 with at least the chance of the quantile. Bootstrap samples stand in for the errors; M of a sample is found by
the search itself, on the differences (`rule_search`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.rule_limits import option_rules, side_pairs
from churnsurv.numerics.rule_search import RuleFamily, best_rules, one_sided

__all__ = ["MayBeBest", "Resampled", "largest", "may_be_best", "may_be_best_of", "resampled"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_CHUNK = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Benefits per gap over one ordered pair of variables.

    Attributes
    ----------
    family : RuleFamily
    estimate : (n_1, n_2, n_days) float64
    samples : (n_samples, n_1, n_2, n_days) float64
        The same of bootstrap samples.
    """

    family: RuleFamily
    estimate: Floats
    samples: Floats


def resampled(values: Floats, n_gaps: Floats, weights: Floats) -> Floats:
    """Benefits per gap of bootstrap samples of blocks.

    Parameters
    ----------
    values : (n_blocks, ...) float64
    n_gaps : (n_blocks,) float64
    weights : (n_samples, n_blocks) float64
        How often each sample has drawn each block.

    Examples
    --------
    >>> resampled(np.array([[2.0], [6.0]]), np.array([1.0, 2.0]), np.array([[1.0, 1.0], [2.0, 0.0]])).ravel().round(2)
    array([2.67, 2.  ])
    """
    total = weights @ values.reshape(values.shape[0], -1)
    found = total / (weights @ n_gaps)[:, None]
    return np.asarray(found.reshape(weights.shape[0], *values.shape[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class MayBeBest:
    """Rules of the confidence set over one ordered pair of variables.

    Attributes
    ----------
    rules : (n, 5) int64
        As in `rule_search.NOBODY`.
    benefit : (n,) float64
        Per gap.
    """

    rules: Ints
    benefit: Floats


def largest(parts: Sequence[tuple[Floats, RuleFamily]]) -> Floats:
    """The largest benefit of any rule over any pair of variables, contacting nobody included; shape (n,)."""
    return np.asarray(np.max([best_rules(values, family).score for values, family in parts], axis=0))


def may_be_best(parts: Sequence[Resampled], *, level: float) -> tuple[bool, list[MayBeBest]]:
    """Find the rules that are not worse than the best as far as the data can tell.

    Parameters
    ----------
    parts : sequence of Resampled
        The same samples over each ordered pair of variables.
    level : float
        Chance, at least, that the set holds the best rule.

    Returns
    -------
    (bool, list of MayBeBest)
        Whether contacting nobody is in the set, and the rules of each pair.
    """
    top = float(largest([(part.estimate[None], part.family) for part in parts])[0])
    errors = [part.samples - part.estimate for part in parts]
    up = largest([(error, part.family) for error, part in zip(errors, parts, strict=True)])
    down = largest([(-error, part.family) for error, part in zip(errors, parts, strict=True)])
    needed = _at_least(up.size, level)
    reach = float(np.sort(up + down)[-needed])
    nobody = int((up >= top).sum()) >= needed
    return nobody, [_in_set(part, error, top, up, reach, needed) for part, error in zip(parts, errors, strict=True)]


def may_be_best_of(estimate: Floats, samples: Floats, *, level: float) -> tuple[bool, NDArray[np.bool_]]:
    """Find which of given rules, or contacting nobody, may be the best of them as far as the data can tell.

    Parameters
    ----------
    estimate : (n_rules,) float64
        Benefits per gap.
    samples : (n_samples, n_rules) float64
        The same of bootstrap samples.
    level : float

    Returns
    -------
    (bool, (n_rules,) bool)

    Examples
    --------
    >>> draws = np.array([[1.0, 0.9], [1.3, 0.9], [0.7, 0.9], [0.9, 0.9]])
    >>> may_be_best_of(np.array([1.0, 0.9]), draws, level=0.5)
    (False, array([ True, False]))
    """
    errors = samples - estimate
    top, up = max(0.0, float(estimate.max(initial=0.0))), errors.max(axis=1, initial=0.0)
    needed = _at_least(up.size, level)
    kept = ((up[:, None] - errors) >= top - estimate).sum(axis=0) >= needed
    return bool((up >= top).sum() >= needed), np.asarray(kept)


def _at_least(n: int, level: float) -> int:
    """In how many of n samples M - D(r) must reach the shortfall of a rule: its quantile, by order statistics."""
    return n - min(math.ceil(level * (n + 1)), n) + 1


def _in_set(part: Resampled, error: Floats, top: float, up: Floats, reach: float, needed: int) -> MayBeBest:
    family = part.family
    benefit, errors = _options(part.estimate), _options(np.moveaxis(error, 0, -1))
    pairs, alone = side_pairs(family), np.append(False, np.repeat(family.allowed, family.n_days))
    found, worth = [], []
    for split in range(family.n_splits + 1):
        low, high = split, family.n_splits + split
        total = benefit[0][:, None] if split == 0 else np.add.outer(benefit[low], benefit[high])
        allowed = alone[:, None] if split == 0 else pairs
        first, second = np.nonzero(allowed & (top - total <= reach))
        value = total[first, second]
        for start in range(0, first.size, _CHUNK):
            one, two = first[start : start + _CHUNK], second[start : start + _CHUNK]
            missed = top - value[start : start + _CHUNK]
            error_of = errors[low, one] if split == 0 else errors[low, one] + errors[high, two]
            kept = ((up - error_of) >= missed[:, None]).sum(axis=1) >= needed
            found.append(option_rules(split, one[kept], two[kept], family))
            worth.append(value[start : start + _CHUNK][kept])
    return MayBeBest(np.concatenate([np.zeros((0, 5), np.int64), *found]), np.concatenate([np.zeros(0), *worth]))


def _options(values: Floats) -> Floats:
    """Benefits of each side and option, option 0 being never: (n_1, n_2, n_days, ...) to (2 K + 1, n, ...)."""
    sums = one_sided(one_sided(values, axis=0), axis=1)
    options = sums.reshape(sums.shape[0], -1, *values.shape[3:])
    return np.concatenate([np.zeros_like(options[:, :1]), options], axis=1)
