"""Whether a campaign that is still running brings users back, with a statement that may be read every day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned_cells import AssignedCells, assigned_cells
from churnsurv.data.rule import days_of
from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.e_process import PRIOR_SCALE, EProcess, daily_cells, e_process
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, ChurnRule

__all__ = ["GO_ON", "LIFT", "NO_LIFT", "LiftMonitor", "lift_monitor"]

Ints: TypeAlias = NDArray[np.int64]

LIFT, NO_LIFT, GO_ON = "lift", "no lift worth having", "go on"
_LARGEST = 1e300  # e-values are cut here, so that they stay numbers


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LiftMonitor(Result):
    """Evidence on the lift of a campaign at the end of each day; made by `lift_monitor`.

    Attributes
    ----------
    campaign, control : str
    arms : tuple of str
        Those compared with the control.
    decisions : Mapping of str to str
        By arm: "lift", "no lift worth having" or "go on".
    horizon : int
    smallest_lift : float or None
    prior_scale : float
    level : float
        Of all limits of all arms on all days together.
    threshold : float
        The e-value from which on there is a lift, or harm: the number of arms over 1 - level.
    first_day, last_day : date
        Of the table.
    n_users : int
        Users assigned by the last day.
    rule : ChurnRule
    notes : tuple of str
    """

    _schema: ClassVar[str] = "lift_monitor"

    campaign: str
    control: str
    arms: tuple[str, ...]
    decisions: Mapping[str, str]
    horizon: int
    smallest_lift: float | None
    prior_scale: float
    level: float
    threshold: float
    first_day: date
    last_day: date
    n_users: int
    rule: ChurnRule
    notes: tuple[str, ...]
    _table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each arm and day; schema "lift_monitor"."""
        return self._table.copy()

    @property
    def decision(self) -> str:
        """That of the arm; of several, "lift" where one has a lift, "no lift worth having" where none can have one."""
        found = set(self.decisions.values())
        return LIFT if LIFT in found else GO_ON if GO_ON in found else NO_LIFT

    def plot(self, ax: Axes | None = None, *, arm: str | None = None) -> Axes:
        """Draw the confidence sequence by calendar day, of one arm or all; see `churnsurv.plots.lift_monitor`."""
        from churnsurv.plots import lift_monitor

        axes: Axes = lift_monitor(self._table, ax, smallest_lift=self.smallest_lift, arm=arm, level=self.level)
        return axes

    def _headline(self) -> str:
        last = self._table.groupby("arm", sort=False).tail(1)
        told = [
            f"{row['arm']} against {self.control}: {row['decision']}; {_ratio(row)}, e-value {row['e_value']:.3g}"
            for row in last.to_dict("records")
        ]
        days = (self.last_day - self.first_day).days + 1
        return f"{'; '.join(told)}; day {days} of {self.campaign}, {counted(self.n_users, 'user')}"

    def _facts(self) -> dict[str, Any]:
        plain = (
            "campaign", "control", "arms", "horizon", "smallest_lift", "prior_scale", "level", "threshold",
            "first_day", "last_day", "n_users", "notes",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in plain},
            "decision": self.decision,
            "decisions": dict(self.decisions),
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
        }


def lift_monitor(
    assignments: Any,
    log: ActivityLog,
    *,
    control: str = "holdout",
    horizon: int | str = 30,
    smallest_lift: float | None = None,
    prior_scale: float = PRIOR_SCALE,
    campaign: str | None = None,
    until: date | str | None = None,
    exclude_conflicts: bool = False,
    level: float = 0.95,
) -> LiftMonitor:
    """Follow a campaign from its first day on, and say as soon as the data can whether it brings users back.

    The statement may be looked at on every day, and the campaign stopped for what it says: the chance that a campaign
    without effect is ever said to have one is at most 1 - level. Nobody need have been followed to the horizon.

    Parameters
    ----------
    assignments : table
        `user_id, campaign, arm, assigned_at`, perhaps `stratum` and `propensity`.
    log : ActivityLog
        Its last day, or `until`, is the last one that counts; it must be complete.
    control : str
        The arm that others are compared with.
    horizon : int or text such as "30d"
        Returns count on so many days, the day of assignment being the first.
    smallest_lift : float, optional
        The smallest odds ratio of return on a day that is worth having, at least 1: 1.1 is a return that is 10 % more
        likely, in odds, on each day. Where the upper limit falls below it, the campaign may be ended as futile.
    prior_scale : float
        Standard deviation of the prior of the log odds ratio, 0.01 to 1: about how large an effect is expected. To be
        set before the campaign; the statement holds with any, and comes soonest with one that fits.
    campaign : str, optional
        Needed where the table has several.
    until : date or ISO text, optional
        Say what was known at the end of this day.
    exclude_conflicts : bool
        Leave out users who are in several arms of the campaign, which is refused otherwise.
    level : float
        Probability with which all limits of all arms on all days hold together; several arms share 1 - level.

    Returns
    -------
    LiftMonitor
        ``.table`` has a row for each arm and calendar day; what it says of a day never changes later. ``.decision`` is
        "lift" from the day on which the lower limit of the odds ratio is above 1, which is when `e_value` reaches
        `threshold`; "no lift worth having" once the upper limit is below `smallest_lift` (1 where none is given, which
        is harm); else "go on". The first decision stands.

    Raises
    ------
    InputError
        If there is no such control arm, users of one cluster were assigned together, propensities differ in a way that
        cannot be told apart, or an argument is not understood.

    Notes
    -----
    Within a day of assignment and stratum, who of those that return on a calendar day was treated is a draw without
    replacement if the contact does nothing, whatever share was treated (`churnsurv.numerics.e_process`): users of
    different days of assignment are never in one risk set. Limits are those of an odds ratio that is the same on all
    days; that there is no effect is tested exactly whatever the effect is.

    Examples
    --------
    >>> import churnsurv as ch
    >>> app = ch.simulate_app(4000, seed=1)
    >>> found = lift_monitor(app.campaigns, app.log, control="none", campaign="early_warning", until="2025-02-10")
    >>> found.decision, found.arms
    ('go on', ('push', 'push_then_sms', 'sms', 'voucher'))
    """
    days, held_level = days_of(horizon, "horizon", least=1), check_level(level)
    _check_sizes(smallest_lift, prior_scale)
    log = log if until is None else log.as_of(until)
    cells = assigned_cells(log, assignments, horizon=days, campaign=campaign, exclude_conflicts=exclude_conflicts)
    arms = _arms(cells, control)
    _refuse_clusters(cells)
    stratum = _strata(cells, control)
    first, last = _span(cells, days)
    alpha = (1.0 - held_level) / len(arms)
    least = 1.0 if smallest_lift is None else float(smallest_lift)
    tables = []
    for arm in arms:
        kept = (cells.arm == cells.arms.index(arm)) | (cells.arm == cells.arms.index(control))
        treated = cells.arm == cells.arms.index(arm)
        seen = daily_cells(
            cells.day[kept], stratum[kept], treated[kept], cells.time[kept], cells.n[kept], until=last, horizon=days
        )
        evidence = e_process(seen, first=first, n_days=last - first + 1, prior_scale=prior_scale, alpha=alpha)
        by_arm = (_by_day(cells, treated, first, last, days), _by_day(cells, kept & ~treated, first, last, days))
        tables.append(_table(arm, evidence, by_arm, first, least))
    import pandas as pd

    table = pd.concat(tables, ignore_index=True)
    decisions = {arm: str(part["decision"].iloc[-1]) for arm, part in zip(arms, tables, strict=True)}
    return LiftMonitor(
        campaign=cells.campaign,
        control=control,
        arms=arms,
        decisions=MappingProxyType(decisions),
        horizon=days,
        smallest_lift=None if smallest_lift is None else least,
        prior_scale=float(prior_scale),
        level=held_level,
        threshold=1.0 / alpha,
        first_day=_date(first),
        last_day=_date(last),
        n_users=int(cells.n.sum()),
        rule=log.rule,
        notes=_notes(cells, arms, held_level, float(prior_scale), days),
        _table=table,
    )


# ------------------------------------------------------------------------------------------------------------ tables


def _span(cells: AssignedCells, horizon: int) -> tuple[int, int]:
    """The first and last day that are told: no return after the last one counts."""
    end = int(np.datetime64(cells.observed_until, "D").astype(np.int64))
    return int(cells.day.min()), min(end, int(cells.day.max()) + horizon - 1)


def _by_day(cells: AssignedCells, of: NDArray[np.bool_], first: int, last: int, horizon: int) -> tuple[Ints, Ints]:
    """Users assigned and returned by the end of each day."""
    n, day, time = cells.n[of], cells.day[of] - first, cells.time[of]
    back = (time > 0) & (time <= horizon)
    size = last - first + 1
    assigned = np.cumsum(np.bincount(day, n, size)).astype(np.int64)
    returned = np.cumsum(np.bincount((day + time - 1)[back], n[back], size)).astype(np.int64)
    return assigned, returned


def _table(
    arm: str, evidence: EProcess, by_arm: tuple[tuple[Ints, Ints], tuple[Ints, Ints]], first: int, least: float
) -> pd.DataFrame:
    import pandas as pd

    size = evidence.log_e.size
    (n_treated, back_treated), (n_control, back_control) = by_arm
    lower, upper = np.exp(evidence.lower), np.exp(evidence.upper)
    estimate = np.exp(np.where(np.isfinite(evidence.estimate), evidence.estimate, np.nan))
    return pd.DataFrame(
        {
            "arm": np.full(size, arm, dtype=object),
            "day": (first + np.arange(size)).astype("datetime64[D]").astype("datetime64[s]"),
            "e_value": np.minimum(np.exp(np.minimum(evidence.log_e, np.log(_LARGEST))), _LARGEST),
            "estimate": estimate,
            "lower": lower,
            "upper": np.where(np.isfinite(upper), upper, np.nan),
            "n_treated": n_treated,
            "n_control": n_control,
            "returned_treated": back_treated,
            "returned_control": back_control,
            "decision": _decisions(lower, upper, least),
        }
    )


def _decisions(lower: NDArray[np.float64], upper: NDArray[np.float64], least: float) -> NDArray[Any]:
    """What is said on each day: the first decision stands."""
    told = np.full(lower.size, GO_ON, dtype=object)
    told[lower > 1.0] = LIFT
    told[upper < least] = NO_LIFT
    made = np.flatnonzero(told != GO_ON)
    if made.size:
        told[made[0] :] = told[made[0]]
    return told


def _ratio(row: Mapping[Any, Any]) -> str:
    """The odds ratio in words, as far as there is one."""
    estimate = "not known" if np.isnan(row["estimate"]) else f"{row['estimate']:.3g}"
    upper = "any" if np.isnan(row["upper"]) else f"{row['upper']:.3g}"
    return f"odds ratio of return on a day {estimate} ({row['lower']:.3g} to {upper})"


def _date(day: int) -> date:
    found: date = np.datetime64(day, "D").item()
    return found


# ------------------------------------------------------------------------------------------------------------ checks


def _check_sizes(smallest_lift: Any, prior_scale: Any) -> None:
    number = isinstance(prior_scale, (int, float)) and not isinstance(prior_scale, bool)
    if not number or not 0.01 <= prior_scale <= 1:
        raise InputError(
            f"prior_scale is the standard deviation of the log odds ratio expected, from 0.01 to 1; it is "
            f"{prior_scale!r}. 0.3 suits odds ratios of 1.05 to 2."
        )
    if smallest_lift is None:
        return
    number = isinstance(smallest_lift, (int, float, np.number)) and not isinstance(smallest_lift, bool)
    if not number or not 1 <= smallest_lift < np.inf:
        raise InputError(
            f"smallest_lift is an odds ratio of return on a day, such as 1.1, and at least 1; it is {smallest_lift!r}. "
            "A lift in probability is about the hazard_ratio that campaign_power(lift=...) has for it."
        )


def _arms(cells: AssignedCells, control: str) -> tuple[str, ...]:
    if control not in cells.arms:
        raise InputError(
            f"assignments: campaign {cells.campaign!r} has no arm {control!r} to compare with."
            f"{did_you_mean(str(control), cells.arms)} Name the control: control=... of {', '.join(cells.arms)}."
        )
    others = tuple(arm for arm in cells.arms if arm != control)
    if not others:
        raise InputError(f"assignments: campaign {cells.campaign!r} has the arm {control!r} alone: nothing to compare.")
    return others


def _refuse_clusters(cells: AssignedCells) -> None:
    shared = cells.counts["shared_clusters"]
    if shared:
        raise InputError(
            f"assignments: {counted(shared, 'user')} share their cluster with others. A monitor is exact for users who "
            "were drawn one by one: leave the column out if they were, else keep one user of each cluster."
        )


def _strata(cells: AssignedCells, control: str) -> Ints:
    """Codes of users with the same chance to be in each arm, as far as it is given."""
    if np.isnan(cells.propensity).all():
        return cells.stratum
    chance = np.where(cells.arm == cells.arms.index(control), 1.0 - cells.propensity, cells.propensity)
    # 1 - 0.9 is not 0.1 to the last digit.
    chance = np.round(chance, 9)
    if len(cells.arms) > 2:
        own = np.round(cells.propensity, 9)
        places = np.unique(np.column_stack([cells.arm, cells.stratum, cells.day]), axis=0)
        if len(np.unique(np.column_stack([cells.arm, cells.stratum, cells.day, own]), axis=0)) > len(places):
            raise InputError(
                "assignments: 'propensity' differs between users of one arm, day of assignment and stratum. With "
                "several arms the chances of the others are not known from it: add a 'stratum' of users who had the "
                "same chances."
            )
        return cells.stratum
    _, codes = np.unique(np.column_stack([cells.stratum, chance]), axis=0, return_inverse=True)
    return codes.ravel().astype(np.int64)


def _notes(
    cells: AssignedCells, arms: tuple[str, ...], level: float, prior_scale: float, horizon: int
) -> tuple[str, ...]:
    notes = [
        f"Limits hold on all days together at {100 * level:g} %, however often they are looked at; prior of the log "
        f"odds ratio: normal, standard deviation {prior_scale:g}.",
        f"Returns on days 1 to {horizon} of each user count, the day of assignment being the first. The share of the "
        "arms may change from day to day; where it changes within a day, or by kind of user, name the kinds in "
        "'stratum'.",
    ]
    if len(arms) > 1:
        notes.append(
            f"{len(arms)} arms share the {100 * (1 - level):.3g} % of error: an arm needs an e-value of "
            f"{len(arms) / (1 - level):.4g}."
        )
    if cells.counts["left_out"]:
        notes.append(f"{counted(cells.counts['left_out'], 'row')} of the assignments could not be used.")
    return tuple(notes)
