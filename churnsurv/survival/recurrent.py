"""Churn that recurs: the mean cumulative number of churns of a user by days since registration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.data.spells import Spells
from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError
from churnsurv.numerics.cluster import clustered_hazard_error, clustered_rows
from churnsurv.numerics.day_counts import DayCounts, counts_by_group
from churnsurv.numerics.kaplan_meier import NelsonAalen, nelson_aalen
from churnsurv.numerics.weighted_counts import steps_of
from churnsurv.survival.curve_data import days_asked, named_groups
from churnsurv.survival.curve_questions import hazard_columns
from churnsurv.survival.factors import Factor, group_columns, joined
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level, column_list
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MeanCumulativeCurves", "mean_cumulative_churns"]

Days = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeanCumulativeCurves(Result):
    """Mean cumulative number of churns by group; made by `mean_cumulative_churns`.

    Attributes
    ----------
    groups : tuple of str
    level : float
        Of the intervals.
    last_day : mapping of str to int
        The last day after registration to which any user of the group was observed.
    n_users : mapping of str to int
        Users of each group.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-02-20", "2024-04-30"], "kind": "login"})
    >>> users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-01-01"]})
    >>> curves = mean_cumulative_churns(ActivityLog(events, users).churn_spells(spells="all"))
    >>> curves.table[["time", "mean", "n_at_risk", "n_events"]]
       time  mean  n_at_risk  n_events
    0     0   0.0          2         0
    1    30   1.0          2         2
    2    80   1.5          2         1
    3   120   1.5          2         0
    """

    _schema: ClassVar[str] = "mean_cumulative"

    groups: tuple[str, ...]
    level: float
    last_day: Mapping[str, int]
    n_users: Mapping[str, int]
    _curves: tuple[NelsonAalen, ...]
    _counts: tuple[DayCounts, ...]
    _by: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each day on which somebody of the group churns or is observed for the last time; one at day 0."""
        return self._joined([_row_days(counts) for counts in self._counts])

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Return the means on given days after registration; columns as in `table`.

        Parameters
        ----------
        times : number or (n,)
            Days >= 0.

        Raises
        ------
        FollowUpError
            If a day lies beyond the last day of a group.

        Examples
        --------
        >>> import churnsurv as ch
        >>> curves = mean_cumulative_churns(ch.simulate_app(100, seed=1).log.churn_spells(spells="all"))
        >>> curves.at([29, 60])["mean"].round(2).tolist()
        [0.0, 0.38]
        """
        days = days_asked(times)
        beyond = [group for group in self.groups if days.size and days.max() > self.last_day[group]]
        if beyond:
            listed = named_groups([f"{group!r} day {self.last_day[group]}" for group in beyond])
            raise FollowUpError(
                f"nobody was observed to day {days.max()} after registration; last days: {listed}. Ask for days up to "
                f"{min(self.last_day[group] for group in beyond)}, or leave these groups out."
            )
        return self._joined([days for _ in self.groups])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the means with their intervals."""
        from churnsurv.plots.hazard import hazard_curves

        axes: Axes = hazard_curves(self.table, ax, level=self.level)
        return axes

    def _joined(self, days: Sequence[NDArray[Any]]) -> pd.DataFrame:
        import pandas as pd

        parts = []
        for curve, counts, asked in zip(self._curves, self._counts, days, strict=True):
            columns = hazard_columns(curve, asked, "mean")
            at = np.minimum(np.searchsorted(counts.time, asked), counts.time.size - 1)
            columns["n_at_risk"] = counts.at_risk(asked)[0]
            columns["n_events"] = np.where(counts.time[at] == asked, counts.n_events[0][at], 0)
            parts.append(columns)
        lengths = [asked.size for asked in days]
        columns = {"group": np.repeat(np.array(self.groups, dtype=object), lengths)}
        columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        beside = self._by.take(np.repeat(np.arange(len(parts)), lengths)).reset_index(drop=True)
        return pd.DataFrame(columns).join(beside)

    def _headline(self) -> str:
        n, churns = sum(self.n_users.values()), sum(int(counts.n_events.sum()) for counts in self._counts)
        ends = ", ".join(
            f"{group} {float(curve.cumulative_hazard[-1]):.3g}"
            for group, curve in list(zip(self.groups, self._curves, strict=True))[:3]
        )
        more = ", ..." if len(self.groups) > 3 else ""
        return f"{n:,} users, {churns:,} churns; mean number by the last day: {ends}{more}"

    def _facts(self) -> dict[str, Any]:
        of_groups = [
            {"group": group, "n_users": self.n_users[group], "last_day": self.last_day[group]} for group in self.groups
        ]
        return {"level": self.level, "groups": of_groups, **self._said}


def _row_days(counts: DayCounts) -> NDArray[Any]:
    """Return the days of a group's table: of churns and last observations, and day 0.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> _row_days(day_counts(np.array([2, 5]), np.array([True, False]))).tolist()
    [0, 2, 5]
    """
    return np.union1d(counts.time, np.zeros(1, counts.time.dtype))


def mean_cumulative_churns(
    spells: Spells, *, by: str | Sequence[str] | None = None, level: float = 0.95
) -> MeanCumulativeCurves:
    """Estimate how often a user has churned by each day after registration, on average.

    Parameters
    ----------
    spells : Spells
        All spells: ``log.churn_spells(spells="all")``.
    by : str or sequence of str, optional
        Attributes of users that split the result; missing values form the category "(missing)".
    level : float
        Confidence level; the limits are symmetric on the log scale.

    Returns
    -------
    MeanCumulativeCurves
        Every user is at risk from registration to the end of the log; the days between churn and return count, because
        a user who is away is still a user who could have been there. Nelson's estimate, the sum of churns over users
        observed, needs no model of how spells depend on each other (Lawless and Nadeau 1995; Cook and Lawless 2007,
        section 3.6), and its variance is robust by user. Users who registered before the log began are left out, with
        their returns; those who have any are counted in the JSON. Of spells built with
        ``left_truncated="assume_first_spell"`` they enter late, once the log is as long as the churn rule.

    Raises
    ------
    InputError
        If these are not all spells, they were cut at a baseline day, or a `by` column changes within a user.

    Examples
    --------
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(300, seed=1).log
    >>> mean_cumulative_churns(log.churn_spells(spells="all"))
    <MeanCumulativeCurves: 300 users, 353 churns; mean number by the last day: all 1.63>
    """
    level = check_level(level)
    _check_spells(spells)
    names = column_list("by", by)
    frame = spells.table
    kept, n_left_out = _of_known_users(frame, spells)
    frame = frame[kept].reset_index(drop=True)
    if len(frame) == 0:
        raise InputError(
            "no user registered within the log, so that no number of churns is known from registration on. Take a log "
            "that begins earlier, or spells with left_truncated='assume_first_spell'."
        )
    user, first_row = _users(frame)
    factor = _groups_of_users(frame, names, user, first_row)
    beside = group_columns(factor.values, "mean_cumulative")
    entry, last = _observed(frame.iloc[first_row], spells)
    rows = _between_churns(frame, user, entry, last)
    return _estimated(rows, factor, beside, last > entry, level=level, said={
        "by": names, "n_users_with_returns_only": n_left_out, "data": spells._facts()
    })  # fmt: skip


def _check_spells(spells: object) -> None:
    if not isinstance(spells, Spells):
        raise InputError(
            f"mean_cumulative_churns takes Spells, from log.churn_spells(spells='all'), not {type(spells).__name__}: "
            "it needs the days on which each user registered and the log ends."
        )
    if spells.spells != "all":
        raise InputError("these are first spells only. Build all of them: log.churn_spells(spells='all').")
    if spells.baseline_day is not None:
        raise InputError(
            f"these spells were cut at day {spells.baseline_day} of each, and churns before that are missing. Build "
            "them without baseline_day."
        )


def _of_known_users(frame: pd.DataFrame, spells: Spells) -> tuple[NDArray[np.bool_], int]:
    """Rows of users whose churns are all known, and how many others have rows, those of their returns."""
    before = (frame["registered_at"] < np.datetime64(spells.window.first)).to_numpy()
    if spells.left_truncated == "exclude":
        return ~before, int(frame.loc[before, "user_id"].nunique())
    unseen = spells.counts["not_seen"]
    if unseen:
        warnings.warn(
            f"{counted(unseen, 'user')} registered before the log began and {'was' if unseen == 1 else 'were'} never "
            "seen in it: they are no rows here, although they belong to the users who can churn. From the days of late "
            "entry on the mean is too high. Leave late users out: left_truncated='exclude'.",
            ChurnsurvWarning,
            stacklevel=3,
        )
    return np.ones(len(frame), dtype=np.bool_), 0


def _users(frame: pd.DataFrame) -> tuple[Days, Days]:
    """Codes of users, and the position of each one's first row; rows stand in the order of user and spell."""
    import pandas as pd

    user = np.asarray(pd.factorize(frame["user_id"])[0], dtype=np.int64)
    return user, np.flatnonzero(np.diff(user, prepend=-1) != 0)


def _groups_of_users(frame: pd.DataFrame, names: Sequence[str], user: Days, first_row: Days) -> Factor:
    """Group users by columns that do not change within one of them."""
    import pandas as pd

    from churnsurv.errors import require_columns

    require_columns("spells", names, frame.columns)
    of_users = frame.iloc[first_row]
    for name in names:
        codes = pd.factorize(frame[name], use_na_sentinel=False)[0]
        differs = codes != codes[first_row][user]
        if differs.any():
            row = int(np.argmax(differs))
            raise InputError(
                f"by: {name!r} changes within a user (user {frame['user_id'].iloc[row]!r}, spell "
                f"{frame['spell'].iloc[row]}): each user needs one group. Take an attribute of the user."
            )
    return joined(of_users, names)


def _observed(of_users: pd.DataFrame, spells: Spells) -> tuple[Days, Days]:
    """Days after registration from which, and to which, the churns of each user are known."""
    registered = of_users["registered_at"].to_numpy().astype("datetime64[D]")
    first, last = np.datetime64(spells.window.first, "D"), np.datetime64(spells.window.last, "D")
    known_from = (first - registered).astype(np.int64) + spells.rule.idle_days - 1
    entry = np.where(registered < first, known_from, 0)
    return entry, (last - registered).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The time of each user cut at its churns: (entry, duration] with or without a churn at its end."""

    user: Days
    entry: Days
    duration: Days
    churned: NDArray[np.bool_]


def _between_churns(frame: pd.DataFrame, user: Days, entry: Days, last: Days) -> _Rows:
    churned = frame["churned"].to_numpy(dtype=np.bool_)
    origin = frame["registered_at"].to_numpy().astype("datetime64[D]")
    day = (frame["end_date"].to_numpy().astype("datetime64[D]") - origin).astype(np.int64)[churned]
    of = user[churned]
    same = np.diff(of, prepend=-1) == 0
    since = np.where(same, np.roll(day, 1), entry[of])
    reached = entry.copy()
    np.maximum.at(reached, of, day)
    tail = np.flatnonzero(reached < last)
    return _Rows(
        user=np.concatenate([of, tail]),
        entry=np.concatenate([since, reached[tail]]),
        duration=np.concatenate([day, last[tail]]),
        churned=np.repeat([True, False], [of.size, tail.size]),
    )


def _estimated(
    rows: _Rows,
    factor: Factor,
    beside: pd.DataFrame,
    at_risk: NDArray[np.bool_],
    *,
    level: float,
    said: Mapping[str, Any],
) -> MeanCumulativeCurves:
    n_groups = len(factor.labels)
    of_user = np.zeros(at_risk.size, dtype=np.int64) if factor.codes is None else factor.codes.astype(np.int64)
    counts = counts_by_group(rows.duration, rows.churned, entry=rows.entry, group=of_user[rows.user], n_groups=n_groups)
    kept = [g for g in range(n_groups) if counts[g].time.size]
    without = [repr(factor.labels[g]) for g in range(n_groups) if not counts[g].time.size]
    if not kept:
        raise InputError("no user is observed for a day: all registered on the last day of the log. Take a longer one.")
    if without:
        warnings.warn(
            f"no mean for {named_groups(without)}: no user of the group is observed for a day.",
            ChurnsurvWarning,
            stacklevel=3,
        )
    curves = []
    for g in kept:
        mine = of_user[rows.user] == g
        placed = clustered_rows(
            counts[g].time, rows.duration[mine], rows.churned[mine], rows.user[mine], entry=rows.entry[mine]
        )
        steps = steps_of(counts[g])
        curves.append(nelson_aalen(steps, level=level, std_error=clustered_hazard_error(steps, placed)))
    labels = tuple(factor.labels[g] for g in kept)
    users = np.bincount(of_user, minlength=n_groups)
    return MeanCumulativeCurves(
        groups=labels,
        level=level,
        last_day=MappingProxyType({factor.labels[g]: int(counts[g].time[-1]) for g in kept}),
        n_users=MappingProxyType({factor.labels[g]: int(users[g]) for g in kept}),
        _curves=tuple(curves),
        _counts=tuple(counts[g] for g in kept),
        _by=beside.take(kept).reset_index(drop=True),
        _said={**said, "n_no_risk": int((~at_risk).sum())},
    )
