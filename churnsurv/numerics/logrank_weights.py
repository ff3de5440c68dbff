"""How much each day counts in a test of the log-rank family.

With n at risk and d churns in the stratum on each day, S(t-) Kaplan and Meier's survival of the stratum just before the
day and S~ Peto and Peto's estimate, which is never 0:

| weighting | weight of day t |
|---|---|
| log-rank | 1 |
| gehan-wilcoxon | n |
| tarone-ware | sqrt n |
| peto-peto | S~(t) = prod (1 - d / (n + 1)) over the days up to and including t |
| fleming-harrington p q | S(t-)^p (1 - S(t-))^q, with 0^0 = 1 |

(Klein and Moeschberger 2003, section 7.3). All are known before the day but for d itself in Peto and Peto's. R's
``survdiff(rho = r)`` is Fleming and Harrington's with p = r, q = 0: also with ``rho = 1``, which R calls the Peto and
Peto modification, the weight is S(t-) and not S~(t).

In strata n, d and S are those of the stratum: with the number at risk as weight large strata count more than their
number of churns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.logrank_counts import EventSets
from churnsurv.numerics.risk_sets import running_sums

__all__ = ["COMBINED", "LOG_RANK", "Weighting", "day_weights", "weighting_of"]

Floats: TypeAlias = NDArray[np.float64]

_NAMES = ("log-rank", "gehan-wilcoxon", "tarone-ware", "peto-peto", "fleming-harrington", "max-combo")
_TITLES = ("log-rank", "Gehan-Wilcoxon", "Tarone-Ware", "Peto-Peto", "Fleming-Harrington", "max-combo")


@dataclass(frozen=True, slots=True)
class Weighting:
    """A weighting of days.

    Attributes
    ----------
    name : str
    p, q : float
        The powers of Fleming and Harrington's.
    """

    name: str
    p: float = 0.0
    q: float = 0.0

    @property
    def title(self) -> str:
        """The name as it is written in a sentence.

        Examples
        --------
        >>> Weighting("fleming-harrington", 0, 1).title
        'Fleming-Harrington(0, 1)'
        """
        title = _TITLES[_NAMES.index(self.name)]
        return f"{title}({self.p:g}, {self.q:g})" if self.name == "fleming-harrington" else title


LOG_RANK = Weighting("log-rank")
# differences that stay, early ones, late ones, and those in the middle
COMBINED = tuple(Weighting("fleming-harrington", p, q) for p, q in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)))


def weighting_of(weighting: str | Sequence[Any]) -> Weighting:
    """Read a weighting as the user writes it.

    Raises
    ------
    InputError
        If it is none; the nearest name is given.

    Examples
    --------
    >>> weighting_of("tarone-ware").name, weighting_of(("fleming-harrington", 0, 1)).q
    ('tarone-ware', 1.0)
    """
    if isinstance(weighting, str):
        if weighting in _NAMES and weighting != "fleming-harrington":
            return Weighting(weighting)
        name: object = weighting
    else:
        parts = tuple(weighting) if isinstance(weighting, (tuple, list)) else (weighting,)
        name = parts[0] if parts else weighting
        if name == "fleming-harrington" and len(parts) == 3 and all(_power(value) for value in parts[1:]):
            return Weighting("fleming-harrington", float(parts[1]), float(parts[2]))
    if name == "fleming-harrington":
        raise InputError(
            f"weighting: Fleming and Harrington's takes two powers >= 0, such as ('fleming-harrington', 0, 1) for late "
            f"differences or ('fleming-harrington', 1, 0) for early ones; got {weighting!r}."
        )
    known = ", ".join(f"('{n}', p, q)" if n == "fleming-harrington" else repr(n) for n in _NAMES)
    raise InputError(f"weighting must be one of {known}, not {weighting!r}.{did_you_mean(str(name), _NAMES)}")


def _power(value: object) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and bool(np.isfinite(value)) and float(value) >= 0  # type: ignore[arg-type,call-overload]


def day_weights(weighting: Weighting, sets: EventSets) -> Floats:
    """Return the weight of each risk set, shape (n_sets,).

    Parameters
    ----------
    weighting : Weighting
        Of one kind: "max-combo" is several.
    sets : EventSets
        With sampling weights n and d are sums of weights, in units of their mean.

    Examples
    --------
    >>> from churnsurv.numerics.logrank_counts import GroupRows, count_groups
    >>> sets = count_groups(GroupRows(np.array([1, 2, 3, 4]), np.ones(4, bool), np.array([0, 1, 0, 1]), 2)).sets
    >>> day_weights(Weighting("peto-peto"), sets).round(3).tolist()
    [0.8, 0.6, 0.4, 0.2]
    >>> day_weights(Weighting("fleming-harrington", 1, 0), sets).round(3).tolist()
    [1.0, 0.75, 0.5, 0.25]
    """
    n: Floats = sets.at_risk.sum(axis=1)
    d: Floats = sets.churned.sum(axis=1)
    if weighting.name == "log-rank":
        return np.ones(n.shape)
    if weighting.name == "gehan-wilcoxon":
        return n
    if weighting.name == "tarone-ware":
        return np.asarray(np.sqrt(n), dtype=np.float64)
    if weighting.name == "peto-peto":
        if sets.n_at_risk is not sets.at_risk and n.size:
            unit = n.sum() / sets.n_at_risk.sum()  # the one that is added is one row of mean weight
            n, d = n / unit, d / unit
        return _products(1 - d / (n + 1), sets.strata)
    survival = _products((n - d) / n, sets.strata)
    before = np.append(1.0, survival[:-1])[: n.size]
    begins = sets.strata[:-1]
    before[begins[begins < n.size]] = 1.0
    weights: Floats = before**weighting.p * (1 - before) ** weighting.q
    return weights


def _products(factor: Floats, strata: NDArray[np.int64]) -> Floats:
    """Running products that start afresh with each stratum."""
    if strata.size == 2:
        return np.asarray(np.cumprod(factor), dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(factor)
    gone = running_sums((factor == 0).astype(np.float64), strata) > 0
    product: Floats = np.exp(running_sums(np.where(factor > 0, logs, 0.0), strata))
    return np.where(gone, 0.0, product)
