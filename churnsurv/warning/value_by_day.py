"""What it is worth to contact everybody who is still silent on an idle day, by group and with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.warning.idle_groups import Groups
from churnsurv.warning.idle_tables import Curve, stacked
from churnsurv.warning.objectives import Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AS_STATED", "value_by_day"]

Floats: TypeAlias = NDArray[np.float64]

#: The saving curve that the call states, beside those that are tried.
AS_STATED = "as stated"
_PER = 1_000.0
_FEWEST = 10  # fewer blocks say too little of how much blocks differ


def value_by_day(
    curves: Sequence[Curve], groups: Groups, worth: Value, *, variants: bool = False, level: float = 0.95
) -> pd.DataFrame:
    """Return the table of schema "value_by_day".

    With S(d) = P(gap > d), contacting everybody still silent on idle day d is worth V s(d) S(idle_days) - c S(d) per
    gap. Block g of users moves S(d) by S(d) A_g(d) (`numerics.ratio_by_blocks`), and the value by the same sum, of
    which the variance is taken; limits are Student's t with one degree of freedom less than there are blocks.

    Parameters
    ----------
    curves : sequence of Curve
    groups : Groups
        What their places stand for.
    worth : Value
        V, c and s(d).
    variants : bool
        Also with the saving curves of ``worth.saving.variants()``.
    level : float
        Confidence level of the limits, each day alone.

    Raises
    ------
    InputError
        If `worth` is no value objective, its saving does not fall over the alert days, or a table of it does not
        reach them.
    """
    if not isinstance(worth, Value) or worth.saving is None:
        raise InputError(
            f"worth is a ch.Value: what a saved user brings, what a contact costs, and how many it saves; it is "
            f"{worth!r}. A precision or a capacity has no value by day."
        )
    days = np.arange(1, curves[0].idle_days)
    if not days.size:
        raise InputError("A rule of one idle day leaves no day between activity and churn to contact anybody on.")
    savings = [(AS_STATED, worth)]
    if variants:
        savings += [
            (name, Value(saved_value=worth.saved_value, contact_cost=worth.contact_cost, saving=saving))
            for name, saving in worth.saving.variants()
        ]
    gains = [(name, each.worth(days)) for name, each in savings]
    cost = float(worth.contact_cost or 0.0)
    parts = [_rows(curve, name, days, gain, cost, level) for curve in curves for name, gain in gains]
    return stacked([curve.group for curve in curves for _ in gains], parts, groups)


def _rows(
    curve: Curve, saving: str, days: NDArray[np.int64], gain: Floats, cost: float, level: float
) -> dict[str, Any]:
    survival, moved = curve.survival.survival, curve.survival.survival * curve.survival.influence
    moved = np.where(survival == 0, 0.0, moved)  # where nobody is left there is nothing to move
    estimate = _PER * (gain * survival[-1] - cost * survival[days])
    influence = _PER * (gain * moved[:, [-1]] - cost * moved[:, days])
    half = _half_width(influence, int(curve.survival.n_blocks[0]), level)
    highest = int(np.argmax(np.where(np.isnan(estimate), -np.inf, estimate)))
    return {
        "registration_gap": np.full(days.size, curve.registration_gap),
        "saving": np.full(days.size, saving, dtype=object),
        "idle_day": days,
        "value": estimate,
        "value_lower": estimate - half,
        "value_upper": estimate + half,
        "best": (np.arange(days.size) == highest) & (estimate > 0),
        "churn_probability": curve.churn.estimate[days],
    }


def _half_width(influence: Floats, n_blocks: int, level: float) -> Floats:
    from scipy.special import stdtrit

    if n_blocks < _FEWEST:
        return np.full(influence.shape[1], np.nan)
    error = np.sqrt(n_blocks / (n_blocks - 1) * (influence**2).sum(axis=0))
    return np.asarray(stdtrit(n_blocks - 1, 0.5 + level / 2) * error)
