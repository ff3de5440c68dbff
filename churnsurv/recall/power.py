"""How many users and days a campaign needs to show a lift, and what looking at it every day costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.rule import days_of
from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.campaign_power import (
    Measure,
    TwoCurves,
    followed_users,
    size_for,
    smallest_lift,
    two_curves,
    wald_power,
)
from churnsurv.numerics.e_process import PRIOR_SCALE
from churnsurv.numerics.monitored_power import MonitoredPower, monitored_power
from churnsurv.recall.power_base import not_returned
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CampaignPower", "campaign_power"]

Floats: TypeAlias = NDArray[np.float64]

_MEASURES = ("return_probability", "hazard_ratio", "days_to_return")
_UNITS = {
    "return_probability": "more returns by day {horizon}, as a probability",
    "hazard_ratio": "hazard ratio",
    "days_to_return": "days later (below 0: sooner), of {horizon}",
}
_PRECISION = 2e-3  # of the number of users of a monitored campaign
_MOST_DAYS = 20_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CampaignPower(Result):
    """Users, days and power of a planned campaign; made by `campaign_power`.

    Attributes
    ----------
    measure : {"return_probability", "hazard_ratio", "days_to_return"}
    unit : str
        Of `lift`, in words.
    asked : {"users", "power", "lift"}
        What was not given, and is found.
    horizon : int
    holdout : float
    accrual_per_day : float or None
    power : float
        Asked for, where users or a lift are found.
    level : float
    monitor : bool
    prior_scale : float
    notes : tuple of str
    """

    _schema: ClassVar[str] = "campaign_power"

    measure: str
    unit: str
    asked: str
    horizon: int
    holdout: float
    accrual_per_day: float | None
    power: float
    level: float
    monitor: bool
    prior_scale: float
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _days: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each lift and number of users; schema "campaign_power"."""
        return self._table.copy()

    @property
    def by_day(self) -> pd.DataFrame:
        """Power by the calendar day of the campaign; schema "campaign_power_days". Empty without accrual."""
        return self._days.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the power by day of the campaign; needs accrual. See `churnsurv.plots.campaign_power`."""
        from churnsurv.plots import campaign_power

        axes: Axes = campaign_power(self._days, ax, power=self.power)
        return axes

    def _headline(self) -> str:
        row = self._table.iloc[0]
        days = "" if self.accrual_per_day is None else f" in {row['days']:,.0f} days"
        lift = f"lift {row['lift']:.4g} ({self.unit})"
        shown = {
            "users": f"{row['n_users']:,.0f} users{days} for a {lift} with a power of {100 * row['power']:.1f} %",
            "power": f"power {100 * row['power']:.1f} % of a {lift} with {row['n_users']:,.0f} users{days}",
            "lift": f"smallest {lift} of {row['n_users']:,.0f} users{days} with a power of {100 * row['power']:.1f} %",
        }[self.asked]
        watched = ""
        if self.monitor:
            watched = (
                f"; looked at every day: at most {row['monitored_users']:,.0f} users, {row['expected_days']:.0f} days"
            )
            watched += " on average"
        more = f"; and {len(self._table) - 1} more" if len(self._table) > 1 else ""
        return f"{shown}{watched}{more}; hold-out {100 * self.holdout:.3g} %"

    def _facts(self) -> dict[str, Any]:
        names = (
            "measure", "unit", "asked", "horizon", "holdout", "accrual_per_day", "power", "level", "monitor",
            "prior_scale", "notes",
        )  # fmt: skip
        by_day = {str(name): self._days[name].tolist() for name in self._days.columns}
        return {**{name: getattr(self, name) for name in names}, "by_day": by_day}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What all rows share."""

    measure: Measure
    control: Floats
    holdout: float
    per_day: float | None
    power: float
    alpha: float
    monitor: bool
    prior_scale: float

    @property
    def horizon(self) -> int:
        return self.control.size

    def sizes(self, n: int) -> tuple[int, int]:
        """Users of the arm and of the control."""
        control = min(max(round(self.holdout * n), 1), n - 1)
        return n - control, control

    def power_of(self, curves: TwoCurves, n: int, followed: Floats | None = None) -> float:
        control = self.sizes(n)[1] / n
        all_followed = np.full(self.horizon, float(n))
        seen = all_followed if followed is None else followed
        return wald_power(curves, self.measure, seen, holdout=control, alpha=self.alpha)

    def days(self, n: int) -> int | None:
        return None if self.per_day is None else int(np.ceil(n / self.per_day)) + self.horizon - 1


def campaign_power(
    *,
    base: Any,
    lift: float | Sequence[float] | None = None,
    measure: str = "return_probability",
    holdout: float = 0.1,
    accrual_per_day: float | None = None,
    horizon: int | str = 30,
    power: float = 0.8,
    n_users: int | Sequence[int] | None = None,
    monitor: bool = False,
    prior_scale: float = PRIOR_SCALE,
    level: float = 0.95,
) -> CampaignPower:
    """Say how many users and days a campaign needs, how sure so many are to show a lift, or which lift they show.

    Parameters
    ----------
    base : number, sequence, SurvivalCurves or table
        How users return who are not contacted: the probability of having returned by the end of day 1, 2, ..., horizon;
        a curve of one group by `kaplan_meier` with day = time; a table of `day, returned` or of `time, survival` (also
        ``curves.conditional(30, days)``, of those who are idle for 30 days); or only the probability by the horizon.
    lift : number or sequence of numbers, optional
        Arm less control: in probability (0.02 is 20 more returns per 1,000 users), in days (below 0 is sooner), or the
        hazard ratio. None: find the smallest one towards more and sooner returns; then `n_users` is needed.
    measure : {"return_probability", "hazard_ratio", "days_to_return"}
        Which lift, and which test of `campaign_lift`.
    holdout : float
        Share of users in the control.
    accrual_per_day : float, optional
        Users assigned a day, in both arms: for days.
    horizon : int or text such as "30d"
        Days that count, the day of assignment being the first.
    power : float
        Wanted, where users or a lift are found.
    n_users : int or sequence of int, optional
        Users of both arms. None: find how many a lift needs.
    monitor : bool
        Also for a campaign that is looked at every day by `lift_monitor` and ends when its e-value crosses; needs
        `accrual_per_day`.
    prior_scale : float
        As in `lift_monitor`.
    level : float
        One less the two-sided size of the test.

    Returns
    -------
    CampaignPower
        ``.table`` has a row for each lift and number of users; ``.by_day`` the power of a single test at the end of
        each calendar day, users who were not followed to the horizon being censored, and with `monitor` the chance that
        the lift has shown by then.

    Raises
    ------
    InputError
        If neither `lift` nor `n_users` is given, no treated users could have the lift, or an argument is not
        understood.
    FollowUpError
        If `base` ends before the horizon.

    Notes
    -----
    The treated have one hazard ratio against the control on all days. Tests are Wald's with the variances that
    `campaign_lift` estimates, unpooled (`churnsurv.numerics.campaign_power` has the formulas), without covariates,
    which only gain. `base` is taken as known. The monitored campaign is computed in large samples
    (`churnsurv.numerics.monitored_power`).

    Examples
    --------
    Of 1,000 users 100 return without contact. What does it take to see 20 more?

    >>> campaign_power(base=0.1, lift=0.02, holdout=0.5, accrual_per_day=200)
    <CampaignPower: 7,677 users in 68 days for a lift 0.02 (more returns by day 30, as a probability) with a power of
    80.0 %; hold-out 50 %>
    """
    days, held_level = days_of(horizon, "horizon", least=1), check_level(level)
    if measure not in _MEASURES:
        raise InputError(
            f"measure must be one of {', '.join(map(repr, _MEASURES))}, not {measure!r}."
            f"{did_you_mean(str(measure), _MEASURES)}"
        )
    if measure == "days_to_return" and days == 1:
        raise InputError("days to return need a horizon of 2 days or more.")
    _check_numbers(holdout, accrual_per_day, power, prior_scale, 1 - held_level, monitor=monitor)
    control, notes = not_returned(base, days)
    plan = _Plan(
        cast(Measure, measure), control, float(holdout), accrual_per_day, float(power), 1 - held_level, monitor,
        float(prior_scale),
    )  # fmt: skip
    lifts, users = _lifts(lift, measure), _users(n_users)
    if lifts == [None] and users == [None]:
        raise InputError("give lift, n_users, or both: from a lift follow users, from users the smallest lift.")
    rows = [_row(plan, *each) for each in product(lifts, users)]
    asked = "users" if users == [None] else "lift" if lifts == [None] else "power"
    return CampaignPower(
        measure=measure,
        unit=_UNITS[measure].format(horizon=days),
        asked=asked,
        horizon=days,
        holdout=plan.holdout,
        accrual_per_day=None if accrual_per_day is None else float(accrual_per_day),
        power=plan.power,
        level=held_level,
        monitor=monitor,
        prior_scale=plan.prior_scale,
        notes=(*notes, *_notes(plan)),
        _table=_frame([row.told for row in rows], "campaign_power"),
        _days=_frame([day for row in rows for day in row.days(plan)], "campaign_power_days"),
    )


# -------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One row of the table, and what its days are made of."""

    told: dict[str, Any]
    curves: TwoCurves
    n: int
    watched: MonitoredPower | None

    def days(self, plan: _Plan) -> Iterator[dict[str, Any]]:
        """Power by the end of each day until the last user is followed to the horizon."""
        last = plan.days(self.n)
        if plan.per_day is None or last is None:
            return
        for day in range(1, last + 1):
            followed = followed_users(plan.horizon, n_users=self.n, per_day=plan.per_day, day=day)
            yield {
                "lift": self.told["lift"],
                "n_users": self.n,
                "day": day,
                "n_assigned": int(followed[0]),
                "n_followed": int(followed[-1]),
                "power": plan.power_of(self.curves, self.n, followed),
                "monitored_power": None if self.watched is None else float(self.watched.crossed[day - 1]),
            }


def _row(plan: _Plan, lift: float | None, n_users: int | None) -> _Row:
    if lift is None:
        n = cast(int, n_users)
        share = plan.sizes(n)[1] / n
        curves = smallest_lift(plan.power, plan.control, plan.measure, n_users=n, holdout=share, alpha=plan.alpha)
    else:
        curves = two_curves(plan.control, measure=plan.measure, lift=lift)
        n = _whole(plan, curves) if n_users is None else n_users
    last = plan.days(n)
    if last is not None and last > _MOST_DAYS:
        raise InputError(
            f"{n:,} users at {plan.per_day:g} a day take {last:,} days. Take a larger lift, or more users a day."
        )
    arm, control = plan.sizes(n)
    told = {
        "lift": curves.lift(plan.measure) if lift is None else lift,
        "control_return": float(1 - curves.control[-1]),
        "arm_return": float(1 - curves.arm[-1]),
        "hazard_ratio": curves.hazard_ratio,
        "n_users": n,
        "n_arm": arm,
        "n_control": control,
        "days": last,
        "power": plan.power_of(curves, n),
    }
    if not plan.monitor:
        return _Row(told, curves, n, None)
    most = _monitored_users(plan, curves, n) if n_users is None else n
    watched = _watched(plan, curves, most)
    told |= {
        "monitored_users": most,
        "monitored_days": watched.crossed.size,
        "monitored_power": float(watched.crossed[-1]),
        "expected_days": watched.expected_days,
        "cost_factor": most / n,
    }
    return _Row(told, curves, n, watched if most == n else _watched(plan, curves, n))


def _whole(plan: _Plan, curves: TwoCurves) -> int:
    """The number of whole users, in whole arms."""
    exact = size_for(plan.power, curves, plan.measure, holdout=plan.holdout, alpha=plan.alpha)
    n = max(int(np.ceil(exact - 1e-6)), 2)
    # Whole arms split a little differently.
    while plan.power_of(curves, n) < plan.power - 1e-9:
        n += 1
    return n


def _watched(plan: _Plan, curves: TwoCurves, n: int) -> MonitoredPower:
    return monitored_power(
        curves,
        n_users=n,
        per_day=cast(float, plan.per_day),
        holdout=plan.holdout,
        prior_scale=plan.prior_scale,
        alpha=plan.alpha,
    )


def _monitored_users(plan: _Plan, curves: TwoCurves, fixed: int) -> int:
    """Users at most with which the e-value crosses with the wanted power."""

    def enough(n: int) -> bool:
        days = plan.days(n)
        if days is not None and days > _MOST_DAYS:
            raise InputError(
                f"A campaign looked at every day would take more than {_MOST_DAYS:,} days. Take a larger lift, or more "
                "users a day."
            )
        return bool(_watched(plan, curves, n).crossed[-1] >= plan.power)

    low, high = 1, max(fixed, 2)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > max(1, _PRECISION * high):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _frame(rows: list[dict[str, Any]], layout: str) -> pd.DataFrame:
    import pandas as pd

    kinds = {"number": "float64", "integer": "Int64"}
    columns = schema(layout).columns
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    frame = frame.astype({column.name: kinds[column.kind] for column in columns})
    whole = [column.name for column in columns if column.kind == "integer" and not frame[column.name].isna().any()]
    return frame.astype(dict.fromkeys(whole, "int64"))


# ------------------------------------------------------------------------------------------------------------ checks


def _check_numbers(holdout: Any, per_day: Any, power: Any, prior_scale: Any, alpha: float, *, monitor: bool) -> None:
    for what, value, low, high, such in (
        ("holdout", holdout, 0.0, 1.0, "0.1"),
        ("power", power, alpha, 1.0, "0.8"),
    ):
        if not _is_number(value) or not low < value < high:
            raise InputError(f"{what} must lie between {low:g} and {high:g}, such as {such}; it is {value!r}.")
    if not _is_number(prior_scale) or not 0.01 <= prior_scale <= 1:
        raise InputError(f"prior_scale must lie between 0.01 and 1, such as {PRIOR_SCALE:g}; it is {prior_scale!r}.")
    if per_day is not None and (not _is_number(per_day) or not 0 < per_day < np.inf):
        raise InputError(f"accrual_per_day is the number of users assigned a day, above 0; it is {per_day!r}.")
    if monitor and per_day is None:
        raise InputError("monitor=True needs accrual_per_day: when the lift shows depends on who is assigned when.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _lifts(lift: Any, measure: str) -> list[float | None]:
    if lift is None:
        return [None]
    found = [lift] if _is_number(lift) else list(lift)
    least, none = (0.0, 1.0) if measure == "hazard_ratio" else (-np.inf, 0.0)
    for each in found:
        if not _is_number(each) or not least < each < np.inf or each == none:
            what = "a ratio above 0 and not 1" if measure == "hazard_ratio" else "a number other than 0"
            raise InputError(f"lift: of {measure} it is {what}; it is {each!r}.")
    if not found:
        raise InputError("lift: the list is empty.")
    return [float(each) for each in found]


def _users(n_users: Any) -> list[int | None]:
    if n_users is None:
        return [None]
    found = [n_users] if _is_number(n_users) else list(n_users)
    for each in found:
        if isinstance(each, bool) or not hasattr(each, "__index__") or not 2 <= each <= 10**12:
            raise InputError(f"n_users is a whole number of users of both arms, 2 or more; it is {each!r}.")
    if not found:
        raise InputError("n_users: the list is empty.")
    return [int(each) for each in found]


def _notes(plan: _Plan) -> list[str]:
    notes = [
        f"Two-sided tests at {100 * plan.alpha:.3g} %, all users followed for {counted(plan.horizon, 'day')}; the "
        "treated have one hazard ratio against the control on all days.",
    ]
    if plan.monitor:
        notes.append(
            "Looked at every day, a campaign may need more users at most, and ends sooner where the lift is there: "
            "expected_days against days."
        )
    return notes
