"""How users return who are not contacted: what the power of a campaign starts from, in any form it comes in."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.survival.curves import SurvivalCurves
from churnsurv.survival.frames import as_frame

__all__ = ["not_returned"]

Floats: TypeAlias = NDArray[np.float64]


def not_returned(base: Any, horizon: int) -> tuple[Floats, tuple[str, ...]]:
    """Return the probability of not having returned by day u = 1 ... horizon, and what a reader must know of it.

    Parameters
    ----------
    base : number, sequence, SurvivalCurves or table
        See `churnsurv.recall.power.campaign_power`.
    horizon : int

    Raises
    ------
    InputError
        If it is no curve of one group, does not fall, or nobody, or everybody, returns.
    FollowUpError
        If it ends before the horizon.

    Examples
    --------
    >>> not_returned([0.1, 0.1, 0.3], 3)[0].tolist()
    [0.9, 0.9, 0.7]
    """
    notes: tuple[str, ...] = ()
    if isinstance(base, (int, float, np.number)) and not isinstance(base, bool):
        if not 0 < base < 1:
            raise InputError(f"base is a return probability between 0 and 1, or a curve; it is {base!r}.")
        survival = np.power(1.0 - float(base), np.arange(1, horizon + 1) / horizon)
        notes = (
            f"Without a curve, users are taken to return at the same rate on each of the {horizon} days; most return "
            "early, which a curve would know.",
        )
    elif isinstance(base, SurvivalCurves):
        if len(base.groups) > 1:
            raise _several(base.groups)
        survival = base.at(np.arange(1, horizon + 1))["survival"].to_numpy(dtype=np.float64)
    elif isinstance(base, (list, tuple, np.ndarray)):
        survival = 1.0 - _by_day(np.asarray(base, dtype=np.float64), horizon)
    else:
        survival = _of_table(base, horizon)
    return _checked(survival, horizon), notes


def _by_day(returned: Floats, horizon: int) -> Floats:
    if returned.ndim != 1 or returned.size < horizon:
        raise FollowUpError(
            f"base has {returned.size} days and the horizon {horizon}: give the probability of having returned by each "
            "of the days 1, 2, ..., or a smaller horizon."
        )
    return returned[:horizon]


def _of_table(base: Any, horizon: int) -> Floats:
    frame = as_frame(base, needed=[], what="base")
    names = {"day", "returned"} <= set(frame.columns)
    if not names and not {"time", "survival"} <= set(frame.columns):
        raise SchemaError(
            "base: a table with 'day' and 'returned' (by the end of the day) or 'time' and 'survival' is needed. It "
            f"has {', '.join(repr(str(column)) for column in frame.columns)}."
        )
    for column in ("arm", "group", "campaign", "alive_at"):
        if column in frame.columns and frame[column].nunique(dropna=False) > 1:
            raise _several([str(value) for value in frame[column].unique()])
    time = frame["day" if names else "time"].to_numpy(dtype=np.float64)
    value = frame["returned" if names else "survival"].to_numpy(dtype=np.float64)
    order = np.argsort(time, kind="stable")
    time, value = time[order], (1.0 - value if names else value)[order]
    if np.isnan(time).any() or np.isnan(value).any():
        raise InputError("base: a day or a value is missing. Leave out rows without a value.")
    if time.size == 0 or time[-1] < horizon:
        raise FollowUpError(
            f"base ends on day {time[-1] if time.size else 0:g}, and the horizon is {horizon}. Ask for a smaller "
            "horizon, or give a curve that was followed for longer."
        )
    # A curve is level between its steps.
    place = np.searchsorted(time, np.arange(1, horizon + 1), side="right") - 1
    return np.where(place >= 0, value[np.maximum(place, 0)], 1.0)


def _several(groups: Any) -> InputError:
    listed = ", ".join(map(repr, groups[:5]))
    return InputError(f"base must be the curve of one group, users without contact; it has {listed}. Choose one.")


def _checked(survival: Floats, horizon: int) -> Floats:
    steps = np.diff(np.append(1.0, survival))
    if np.isnan(survival).any() or (survival < 0).any() or (survival > 1).any() or (steps > 1e-12).any():
        raise InputError(
            "base: probabilities of having returned by a day lie between 0 and 1 and never fall from day to day. "
            "Are they shares of each day? Then take their cumulative sum."
        )
    if survival[-1] <= 0 or survival[-1] >= 1:
        who = "nobody returns" if survival[-1] >= 1 else "everybody returns"
        raise InputError(f"base: {who} by day {horizon}, so that no lift can be planned for. Change the horizon.")
    return survival
